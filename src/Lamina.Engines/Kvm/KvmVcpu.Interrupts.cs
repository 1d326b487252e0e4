// How interrupts come to a vCPU. Either the machine has its local APIC and the kernel is handed vectors one by one, or the kernel
// has it and only what the 8259 pair asks for is handed over; then the kernel waits out HLT and start-up, too.
using Lamina.Core.Bus;
using Lamina.Core.Engine;
using Lamina.Core.Interrupts;
using Lamina.Core.Logging;
using Lamina.Engines.X86.Msr;
using Lamina.Host;
using static Lamina.Engines.Kvm.KvmApi;

namespace Lamina.Engines.Kvm;

internal sealed unsafe partial class KvmVcpu
{
    private const ulong ApicPageLength = 0x1000, ApicBaseX2Apic = 1 << 10;

    // One of the two is null.
    private readonly ILocalInterruptController? _apic;
    private readonly KvmKernelIrqchip? _kernelIrqchip;
    private readonly LocalApicImage? _resetApic;

    private bool _apicBaseStale;

    /// <summary>The state is not the one for which the kernel said last whether the guest takes an interrupt.</summary>
    private bool _readinessStale;

    /// <summary>The kernel was handed an NMI that it may not have delivered yet.</summary>
    private bool _nmiHanded;

    private bool HasInterrupt => _events.Interrupt >= 0 || (_apic is not null ? _apic.HasInterrupt : Index == 0 && _kernelIrqchip!.ExternalAsserted);

    private bool WakesFromHalt()
    {
        if (!HasInterrupt || _run->if_flag == 0) return false;
        _events.Activity = VcpuActivity.Running;
        return true;
    }

    /// <summary>Hands the kernel an NMI. One that is blocked does not end a HLT.</summary>
    private void HandNmi()
    {
        Require(_vcpu.Request(KVM_NMI), "takes no NMI");
        _nmiHanded = true;
        if (NmiComesFirst()) _events.Activity = VcpuActivity.Running;
    }

    /// <summary>Whether an NMI that the kernel was handed waits and can be delivered: before a maskable interrupt, of which the kernel would deliver one that it has first.</summary>
    private bool NmiComesFirst()
    {
        if (!_nmiHanded) return false;
        var events = Events();
        _nmiHanded = (events.nmi_pending | events.nmi_injected) != 0;
        return events.nmi_injected != 0 || (events.nmi_pending != 0 && events.nmi_masked == 0);
    }

    private kvm_vcpu_events Events()
    {
        kvm_vcpu_events events;
        Require(_vcpu.Request(KVM_GET_VCPU_EVENTS, &events), "does not tell the pending events");
        return events;
    }

    /// <summary>Hands the kernel an interrupt where the guest can take one, and asks to be told when it can where it cannot.</summary>
    private void Inject()
    {
        if (!HasInterrupt || _steps)
        {
            _run->request_interrupt_window = 0;
            return;
        }
        if (_run->ready_for_interrupt_injection != 0 && _run->if_flag != 0 && !NmiComesFirst() && Acknowledge() is var vector and >= 0)
        {
            _log.Trace(LogEvent.Interrupt, $"interrupt {vector}");
            var interrupt = (uint)vector;
            var result = _vcpu.Request(KVM_INTERRUPT, &interrupt);
            // A guest can mask LINT0 between the kernel's word that it takes one and the entry: the last one then still waits there.
            if (result == -DeviceFile.Exists && _kernelIrqchip is not null) _events.Interrupt = vector;
            else Require(result, $"takes no interrupt {vector}");
            _run->ready_for_interrupt_injection = 0;
            _interrupts++;
        }
        _run->request_interrupt_window = (byte)(HasInterrupt ? 1 : 0);
    }

    private int Acknowledge()
    {
        var held = _events.Interrupt;
        _events.Interrupt = -1;
        return held >= 0 ? held : _apic is not null ? _apic.Acknowledge() : _kernelIrqchip!.AcknowledgeExternal();
    }

    /// <summary>An access to the vCPU's own register page, where the machine has the local APIC.</summary>
    private bool AccessedApic(ulong address, Span<byte> data, bool write)
    {
        if (_apic?.MmioBase is not { } page || address - page >= ApicPageLength) return false;
        if (write) _apic.Mmio.Write(address - page, data);
        else if (_apic.Mmio.Read(address - page, data) != AccessResult.Ok) data.Fill(0xff);
        return true;
    }

    // ---- what the kernel's local APIC remembers ----

    /// <summary>RESET of the local APIC in the kernel.</summary>
    internal void ResetLocalApic()
    {
        SetLocalApic(_resetApic!);
    }

    /// <summary>INIT of the local APIC, wherever it is: all but its identity, its base and with it the mode (SDM vol. 3, 11.4.7.3).</summary>
    private void InitLocalApic()
    {
        if (_apic is not null) _apic.Init();
        else SetLocalApic(_resetApic! with { Base = SpecialRegisters().apic_base });
    }

    internal LocalApicImage GetLocalApic()
    {
        kvm_lapic_state state;
        Require(_vcpu.Request(KVM_GET_LAPIC, &state), "does not tell its local APIC's registers");
        var deadline = new kvm_msrs { nmsrs = 1, entry = new kvm_msr_entry { index = MsrIndex.TscDeadline } };
        // Without the feature there is no deadline.
        if (_vcpu.Request(KVM_GET_MSRS, &deadline) != 1) deadline.entry.data = 0;
        return new LocalApicImage
        {
            Base = SpecialRegisters().apic_base,
            Registers = new ReadOnlySpan<byte>(state.regs, LocalApicImage.Length).ToArray(),
            TscDeadline = deadline.entry.data == 0 ? 0 : deadline.entry.data - _msrs.TscAdjust,
        };
    }

    internal void SetLocalApic(LocalApicImage image)
    {
        SetApicBase(image.Base);
        kvm_lapic_state state;
        image.Registers.CopyTo(new Span<byte>(state.regs, LocalApicImage.Length));
        Require(_vcpu.Request(KVM_SET_LAPIC, &state), "takes no registers of a local APIC");
        // The kernel counts the deadline down by the guest's counter.
        SynchronizeTsc();
        if (image.TscDeadline != 0) SetMsr(MsrIndex.TscDeadline, image.TscDeadline + _msrs.TscAdjust);
    }

    // ---- what the vCPU is doing ----

    private uint MpState
    {
        get
        {
            uint state;
            Require(_vcpu.Request(KVM_GET_MP_STATE, &state), "does not tell what the vCPU is doing");
            return state;
        }
        set
        {
            var state = value;
            Require(_vcpu.Request(KVM_SET_MP_STATE, &state), "does not make the vCPU wait");
        }
    }

    private VcpuActivity Activity
    {
        get => _kernelIrqchip is null
            ? _events.Activity
            : MpState switch
            {
                KVM_MP_STATE_HALTED => VcpuActivity.Halted,
                KVM_MP_STATE_UNINITIALIZED or KVM_MP_STATE_INIT_RECEIVED => VcpuActivity.WaitForStartUp,
                _ => VcpuActivity.Running,
            };
        set
        {
            _events.Activity = _kernelIrqchip is null ? value : VcpuActivity.Running;
            if (_kernelIrqchip is null) return;
            MpState = value switch
            {
                VcpuActivity.Halted => KVM_MP_STATE_HALTED,
                VcpuActivity.WaitForStartUp => KVM_MP_STATE_INIT_RECEIVED,
                _ => KVM_MP_STATE_RUNNABLE,
            };
        }
    }

    /// <summary>IA32_APIC_BASE and CR8, which go to the kernel beside the other registers.</summary>
    private (ulong Base, ulong Priority) ApicRegisters
    {
        get
        {
            if (_apic is not null)
            {
                _ = _apic.TryReadMsr(MsrIndex.ApicBase, out var apicBase);
                // The kernel only needs to know whether CPUID shows a local APIC; the mode is the machine's affair.
                return (apicBase & ~ApicBaseX2Apic, _apic.TaskPriority);
            }
            var special = SpecialRegisters();
            return (special.apic_base, special.cr8);
        }
    }

    private void UpdateApicBase()
    {
        SetApicBase(ApicRegisters.Base);
        _apicBaseStale = false;
    }

    private void SetApicBase(ulong value)
    {
        var special = SpecialRegisters();
        special.apic_base = value;
        Require(_vcpu.Request(KVM_SET_SREGS, &special), "takes no base of the local APIC");
    }

    private kvm_sregs SpecialRegisters()
    {
        kvm_sregs special;
        Require(_vcpu.Request(KVM_GET_SREGS, &special), "does not tell the registers");
        return special;
    }
}
