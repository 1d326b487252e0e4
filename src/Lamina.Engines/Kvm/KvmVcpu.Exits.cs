// Why the guest was left, and what is done about it. Nothing here allocates but for a trace and for failures.
using System.Runtime.InteropServices;
using Lamina.Core.Bus;
using Lamina.Core.Engine;
using Lamina.Core.Inspection;
using Lamina.Core.Logging;
using Lamina.Engines.X86;
using Lamina.Engines.X86.Msr;
using static Lamina.Engines.Kvm.KvmApi;

namespace Lamina.Engines.Kvm;

internal sealed unsafe partial class KvmVcpu
{
    private const int LongestInstruction = 15;

    private static readonly string[] s_exitNames =
    [
        "unknown", "exception", "io", "hypercall", "debug", "hlt", "mmio", "irq window open", "shutdown", "fail entry", "intr", "set tpr", "tpr access",
    ];

    private readonly long[] _exits = new long[64];
    private long _interrupts, _interrupted;

    private VcpuExit? HandleExit()
    {
        var reason = _run->exit_reason;
        if (reason < _exits.Length) _exits[reason]++;
        switch (reason)
        {
            case KVM_EXIT_IO:
                _unfinished = true;
                _stepUnfinished = _steps;
                HandlePorts();
                return null;
            case KVM_EXIT_MMIO:
                _unfinished = true;
                _stepUnfinished = _steps;
                HandleMemory();
                return null;
            case KVM_EXIT_X86_RDMSR or KVM_EXIT_X86_WRMSR:
                _unfinished = true;
                _stepUnfinished = _steps;
                HandleMsr(reason == KVM_EXIT_X86_WRMSR);
                return null;
            case KVM_EXIT_HLT:
                _log.Trace(LogEvent.Halt, $"hlt");
                // An NMI that the kernel could not deliver before the HLT, behind STI say, ends it.
                _events.Activity = NmiComesFirst() ? VcpuActivity.Running : VcpuActivity.Halted;
                return EndStep();
            case KVM_EXIT_IRQ_WINDOW_OPEN or KVM_EXIT_INTR or KVM_EXIT_SET_TPR:
                return null;
            case KVM_EXIT_IOAPIC_EOI:
                _kernelIrqchip!.EndInterrupt(_run->eoi.vector);
                return null;
            case KVM_EXIT_DIRTY_RING_FULL:
                _machine.DirtyRings!.MakeRoom(_dirtyRing!);
                return null;
            case KVM_EXIT_SHUTDOWN:
                _log.Trace(LogEvent.TripleFault, $"triple fault");
                return VcpuExit.TripleFault;
            case KVM_EXIT_DEBUG:
                return HandleDebug();
            case KVM_EXIT_INTERNAL_ERROR when _run->@internal.suberror == KVM_INTERNAL_ERROR_EMULATION && LackedMemory():
                return null;
            default:
                return Fail(FailureReport.Sentence(*_run, Index));
        }
    }

    /// <summary>Goes on where an instruction could not be carried out because it was not there. False: there is another reason.</summary>
    private bool LackedMemory()
    {
        var off = RunsOffMemory();
        // Memory came, went or became something else since the guest was entered, and maybe while that was looked at: try again.
        if ((_changesSeen & 1) != 0 || _changesSeen != _machine.Memory.Changes) return true;
        if (off) InjectInvalidOpcode();
        return off;
    }

    /// <summary>Whether the instruction at RIP is not all in memory: what is fetched from elsewhere is all ones, which no instruction begins with.</summary>
    private bool RunsOffMemory()
    {
        var (address, left) = (LinearRip(), LongestInstruction);
        while (left > 0)
        {
            if (!TryTranslate(address, left, out var physical, out var length) || !_machine.Memory.IsReadable(physical, length)) return true;
            (address, left) = (address + (uint)length, left - length);
        }
        return false;
    }

    private void InjectInvalidOpcode()
    {
        // An interrupt that the kernel has taken and not delivered stays.
        kvm_vcpu_events events;
        Require(_vcpu.Request(KVM_GET_VCPU_EVENTS, &events), "does not tell the pending events");
        (events.exception_injected, events.exception_pending, events.exception_nr, events.exception_has_error_code, events.flags) = (1, 0, Vector.InvalidOpcode, 0, 0);
        Require(_vcpu.Request(KVM_SET_VCPU_EVENTS, &events), "takes no exception");
    }

    /// <summary>The entry ended because somebody asked for it.</summary>
    private VcpuExit? Interrupted()
    {
        _interrupted++;
        return _stepUnfinished && !_unfinished ? EndStep() : null;
    }

    private void HandlePorts()
    {
        _machine.Options.Memory.RequireNotLost();
        var io = _run->io;
        // Holds: the kernel says where in the shared memory the data are and how many.
        var data = (byte*)_run + io.data_offset;
        for (var n = 0u; n < io.count; n++, data += io.size)
        {
            var value = new Span<byte>(data, io.size);
            if (io.direction == KVM_EXIT_IO_IN) _bus.ReadPort(io.port, value);
            else _bus.WritePort(io.port, value);
            _log.Trace(LogEvent.Access, $"{(io.direction == KVM_EXIT_IO_IN ? "in" : "out")} 0x{io.port:x}: {Convert.ToHexString(value)}");
        }
    }

    // Devices take 1, 2, 4 or 8 bytes; an access that is cut by a page border can have others.
    private void HandleMemory()
    {
        _machine.Options.Memory.RequireNotLost();
        var address = _run->mmio.phys_addr;
        var data = new Span<byte>(_run->mmio.data, (int)Math.Min(_run->mmio.len, 8));
        if (_run->mmio.is_write != 0) _log.Trace(LogEvent.Access, $"write {data.Length} bytes to 0x{address:x}: {Convert.ToHexString(data)}");
        else _log.Trace(LogEvent.Access, $"read {data.Length} bytes from 0x{address:x}");
        while (data.Length > 0)
        {
            var size = Piece(address, data.Length);
            AccessMemory(address, data[..size], _run->mmio.is_write != 0);
            data = data[size..];
            address += (uint)size;
        }
    }

    // As the translator cuts them: naturally aligned, unless the guest's whole access is of such a size.
    private static int Piece(ulong address, int length)
    {
        if (length is 1 or 2 or 4 or 8) return length;
        var size = 8;
        while (size > length || (address & (ulong)(size - 1)) != 0) size >>= 1;
        return size;
    }

    private void AccessMemory(ulong address, Span<byte> data, bool write)
    {
        if (AccessedApic(address, data, write)) return;
        if (write) _bus.WriteMemory(address, data);
        else _bus.ReadMemory(address, data);
    }

    private void HandleMsr(bool write)
    {
        ref var msr = ref _run->msr;
        if (write)
        {
            if (msr.index == MsrIndex.TscDeadline) CheckTsc(msr.data);
            msr.error = (byte)(_msrs.TryWrite(msr.index, msr.data) ? 0 : 1);
            if (msr.index == MsrIndex.ApicBase && msr.error == 0) _apicBaseStale = true;
        }
        else
        {
            msr.error = (byte)(_msrs.TryRead(msr.index, out var value) ? 0 : 1);
            msr.data = value;
        }
        _log.Trace(LogEvent.Msr, $"{(write ? "wrmsr" : "rdmsr")} 0x{msr.index:x}: {(msr.error != 0 ? "#GP" : $"0x{msr.data:x}")}");
    }

    /// <summary>Ends the run for good. What the vCPU was doing goes to a file that the sentence names.</summary>
    private VcpuExit Fail(string sentence)
    {
        var state = new VcpuState();
        try
        {
            GetState(state);
        }
        catch (Lamina.Host.HostException)
        {
            // The registers cannot be read any more; the rest still says something.
        }
        var shared = new ReadOnlySpan<byte>(_run, Marshal.SizeOf<kvm_run>() + 128);
        Failure = FailureReport.TryWrite(sentence, state, shared) is { } path ? $"{sentence}; its state is in {path}" : sentence;
        return VcpuExit.Failed;
    }

    /// <inheritdoc/>
    public void Count(CounterList counters)
    {
        for (var reason = 0; reason < _exits.Length; reason++)
            if (_exits[reason] != 0) counters.Total("vcpu_exits", _exits[reason], "exits from the guest, by reason", of: NameOf((uint)reason));
        counters.Total("vcpu_exits", _interrupted, "exits from the guest, by reason", of: "asked for");
        counters.Total("vcpu_interrupts", _interrupts, "interrupts taken");
    }

    private static string NameOf(uint reason) => reason switch
    {
        KVM_EXIT_X86_RDMSR => "rdmsr",
        KVM_EXIT_X86_WRMSR => "wrmsr",
        KVM_EXIT_INTERNAL_ERROR => "internal error",
        KVM_EXIT_IOAPIC_EOI => "ioapic eoi",
        KVM_EXIT_DIRTY_RING_FULL => "dirty ring full",
        _ => reason < s_exitNames.Length ? s_exitNames[reason] : $"{reason}",
    };
}
