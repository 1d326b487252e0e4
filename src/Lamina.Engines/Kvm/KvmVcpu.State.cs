// The architectural state between the kernel's structures and the engines' common one.
using Lamina.Core.Engine;
using Lamina.Core.Interrupts;
using Lamina.Engines.X86;
using Lamina.Engines.X86.Memory;
using Lamina.Engines.X86.Msr;
using Lamina.Host;
using static Lamina.Engines.Kvm.KvmApi;

namespace Lamina.Engines.Kvm;

internal sealed unsafe partial class KvmVcpu
{
    /// <inheritdoc/>
    public void GetState(VcpuState state)
    {
        GetRegisters(state);
        GetSpecialRegisters(state);
        GetExtended(state);
        kvm_debugregs debug;
        Require(_vcpu.Request(KVM_GET_DEBUGREGS, &debug), "does not tell the debug registers");
        for (var n = 0; n < 4; n++) state.Dr[n] = debug.db[n];
        (state.Dr[6], state.Dr[7]) = (debug.dr6, debug.dr7);
        state.Msrs.Clear();
        GetMsrs(state.Msrs);
        _msrs.Save(state.Msrs);
        // An exception that is under way and the interrupt of an instruction come again when that instruction is executed again, but for a trap, whose instruction is over.
        var events = Events();
        state.Shadow = (events.interrupt_shadow & KVM_X86_SHADOW_INT_MOV_SS) != 0 ? InterruptShadow.MovSs : events.interrupt_shadow != 0 ? InterruptShadow.Sti : InterruptShadow.None;
        state.NmiBlocked = events.nmi_masked != 0 && events.nmi_injected == 0;
        state.Activity = Activity;
        var pending = _events.Save();
        state.Pending = pending with
        {
            Nmi = pending.Nmi || events.nmi_pending != 0 || events.nmi_injected != 0,
            Interrupt = pending.Interrupt ?? (events.interrupt_injected != 0 && events.interrupt_soft == 0 ? events.interrupt_nr : null),
            DebugTrap = (events.exception_injected | events.exception_pending) != 0 && events.exception_nr == Vector.Debug ? debug.dr6 & Processor.Dr6Traps : 0,
        };
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> SetState(VcpuState state)
    {
        _model.Require(state);
        var refused = new Refusals();
        PutState(state, refused);
        var pending = state.Pending;
        if (pending.Interrupt is { } vector && !CanHold)
        {
            if (!TryInject(state, vector)) refused.Add($"the interrupt {vector}, which was acknowledged and cannot be delivered yet");
            pending = pending with { Interrupt = null };
        }
        if (pending.DebugTrap != 0 && !TryTrap(state, pending.DebugTrap)) refused.Add("a debug trap behind a load of SS");
        _events.Load(pending);
        return refused.All;
    }

    /// <summary>Whether an acknowledged interrupt can wait here: the kernel takes none from us where it has the 8259 pair, too.</summary>
    private bool CanHold => _apic is not null || (Index == 0 && _machine.KernelIrqchip is IEngineLocalApics);

    private bool TryInject(VcpuState state, byte vector)
    {
        if ((state.Rflags & Rflags.IF) == 0 || state.Shadow != InterruptShadow.None || state.Activity != VcpuActivity.Running) return false;
        var events = Events();
        (events.interrupt_injected, events.interrupt_nr, events.flags) = (1, vector, 0);
        Require(_vcpu.Request(KVM_SET_VCPU_EVENTS, &events), "takes no pending events");
        return true;
    }

    // The kernel delivers it before the next instruction, which one that a load of SS holds back may not be.
    private bool TryTrap(VcpuState state, ulong trap)
    {
        if (state.Shadow != InterruptShadow.None || state.Activity != VcpuActivity.Running) return false;
        kvm_debugregs debug;
        Require(_vcpu.Request(KVM_GET_DEBUGREGS, &debug), "does not tell the debug registers");
        debug.dr6 |= trap;
        Require(_vcpu.Request(KVM_SET_DEBUGREGS, &debug), "takes no debug registers");
        var events = Events();
        (events.exception_injected, events.exception_pending, events.exception_nr, events.exception_has_error_code, events.flags) = (1, 0, Vector.Debug, 0, 0);
        Require(_vcpu.Request(KVM_SET_VCPU_EVENTS, &events), "takes no debug trap");
        return true;
    }

    /// <summary>Replaces the state; what others asked for meanwhile stays.</summary>
    private void PutState(VcpuState state, Refusals refused)
    {
        SetSpecialRegisters(state, refused);
        SetRegisters(state);
        SetExtended(state, refused);
        var debug = new kvm_debugregs { dr6 = state.Dr[6], dr7 = state.Dr[7] };
        for (var n = 0; n < 4; n++) debug.db[n] = state.Dr[n];
        Put(_vcpu.Request(KVM_SET_DEBUGREGS, &debug), "debug registers", refused);
        _msrs.Load(state.Msrs);
        foreach (var (index, value) in state.Msrs) PutMsr(index, value, refused);
        var shadow = state.Activity == VcpuActivity.Running ? state.Shadow : InterruptShadow.None;
        var events = new kvm_vcpu_events
        {
            flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW,
            interrupt_shadow = shadow switch { InterruptShadow.Sti => KVM_X86_SHADOW_INT_STI, InterruptShadow.MovSs => KVM_X86_SHADOW_INT_MOV_SS, _ => 0 },
            nmi_masked = state.NmiBlocked ? (byte)1 : (byte)0,
        };
        Require(_vcpu.Request(KVM_SET_VCPU_EVENTS, &events), "takes no pending events");
        Activity = state.Activity;
        _run->ready_for_interrupt_injection = 0;
        _run->if_flag = (byte)(state.Rflags >> 9 & 1);
        (_unfinished, _stepUnfinished, _tscStale, _readinessStale, _nmiHanded) = (false, false, true, true, false);
    }

    private void PutMsr(uint index, ulong value, Refusals refused)
    {
        // Those of struct kvm_sregs, and those that Load has put in place.
        if (index is MsrIndex.Tsc or MsrIndex.TscAdjust or MsrIndex.WallClock or MsrIndex.SystemTime or MsrIndex.Efer or MsrIndex.FsBase or MsrIndex.GsBase) return;
        var taken = _machine.Cpu.KeptMsrs.Contains(index) ? TrySetMsr(index, value) : _msrs.TryWrite(index, value);
        if (!taken) refused.AddMsr(index, value);
    }

    /// <summary>A value that the kernel finds impossible is the state's fault; whatever else goes wrong is the host's.</summary>
    private static void Put(int result, string what, Refusals refused)
    {
        if (result == -DeviceFile.Invalid) refused.Add(what);
        else Require(result, $"takes no {what}");
    }

    // Struct kvm_regs begins with the general registers in an order of its own.
    private static ReadOnlySpan<byte> KernelOrder =>
        [GprIndex.Rax, GprIndex.Rbx, GprIndex.Rcx, GprIndex.Rdx, GprIndex.Rsi, GprIndex.Rdi, GprIndex.Rsp, GprIndex.Rbp, 8, 9, 10, 11, 12, 13, 14, 15];

    private void GetRegisters(VcpuState state)
    {
        kvm_regs r;
        Require(_vcpu.Request(KVM_GET_REGS, &r), "does not tell the registers");
        for (var n = 0; n < 16; n++) state.Gpr[KernelOrder[n]] = ((ulong*)&r)[n];
        (state.Rip, state.Rflags) = (r.rip, r.rflags);
    }

    private void SetRegisters(VcpuState state)
    {
        var registers = new kvm_regs { rip = state.Rip, rflags = (state.Rflags & (Rflags.Arithmetic | Rflags.System)) | Rflags.Fixed };
        for (var n = 0; n < 16; n++) ((ulong*)&registers)[n] = state.Gpr[KernelOrder[n]];
        Require(_vcpu.Request(KVM_SET_REGS, &registers), "takes no registers");
    }

    private void GetSpecialRegisters(VcpuState state)
    {
        var s = SpecialRegisters();
        state.Segments[SegmentIndex.Es] = FromKernel(s.es);
        state.Segments[SegmentIndex.Cs] = FromKernel(s.cs);
        state.Segments[SegmentIndex.Ss] = FromKernel(s.ss);
        state.Segments[SegmentIndex.Ds] = FromKernel(s.ds);
        state.Segments[SegmentIndex.Fs] = FromKernel(s.fs);
        state.Segments[SegmentIndex.Gs] = FromKernel(s.gs);
        state.Segments[SegmentIndex.Ldtr] = FromKernel(s.ldt);
        state.Segments[SegmentIndex.Tr] = FromKernel(s.tr);
        state.Gdtr = new DescriptorTableState { Base = s.gdt.@base, Limit = s.gdt.limit };
        state.Idtr = new DescriptorTableState { Base = s.idt.@base, Limit = s.idt.limit };
        (state.Cr0, state.Cr2, state.Cr3, state.Cr4, state.Efer) = (s.cr0, s.cr2, s.cr3, s.cr4, s.efer);
        state.Pdptes = UsesPdptes(state) ? GetPdptes(state.Cr3) : null;
    }

    private static bool UsesPdptes(VcpuState state) => (state.Cr0 & Cr0.PG) != 0 && (state.Cr4 & Cr4.PAE) != 0 && (state.Efer & Efer.LMA) == 0;

    private ulong[] GetPdptes(ulong cr3)
    {
        kvm_sregs2 special;
        if (_machine.KeepsPdptes)
        {
            Require(_vcpu.Request(KVM_GET_SREGS2, &special), "does not tell the PDPTE registers");
            if ((special.flags & KVM_SREGS2_FLAGS_PDPTRS_VALID) != 0) return new ReadOnlySpan<ulong>(special.pdptrs, 4).ToArray();
        }
        return ReadPdptes(cr3);
    }

    // As the kernel reads them where it was not told.
    private ulong[] ReadPdptes(ulong cr3)
    {
        var values = new ulong[4];
        for (var n = 0; n < 4; n++) _ = _machine.Options.Memory.TryRead((cr3 & 0xffff_ffe0) + (ulong)(n * 8), out values[n]);
        return values;
    }

    private void SetPdptes(ulong[] values, ulong cr3, Refusals refused)
    {
        if (_machine.KeepsPdptes && values.Length == 4)
        {
            kvm_sregs2 special;
            Require(_vcpu.Request(KVM_GET_SREGS2, &special), "does not tell the PDPTE registers");
            special.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
            values.CopyTo(new Span<ulong>(special.pdptrs, 4));
            Put(_vcpu.Request(KVM_SET_SREGS2, &special), "PDPTEs with reserved bits", refused);
        }
        else if (!values.AsSpan().SequenceEqual(ReadPdptes(cr3))) refused.Add("PDPTEs that memory does not show any more");
    }

    private void SetSpecialRegisters(VcpuState state, Refusals refused)
    {
        var (apicBase, priority) = ApicRegisters;
        var special = new kvm_sregs
        {
            es = ToKernel(state.Segments[SegmentIndex.Es]),
            cs = ToKernel(state.Segments[SegmentIndex.Cs]),
            ss = ToKernel(state.Segments[SegmentIndex.Ss]),
            ds = ToKernel(state.Segments[SegmentIndex.Ds]),
            fs = ToKernel(state.Segments[SegmentIndex.Fs]),
            gs = ToKernel(state.Segments[SegmentIndex.Gs]),
            ldt = ToKernel(state.Segments[SegmentIndex.Ldtr]),
            tr = ToKernel(state.Segments[SegmentIndex.Tr]),
            gdt = new kvm_dtable { @base = state.Gdtr.Base, limit = state.Gdtr.Limit },
            idt = new kvm_dtable { @base = state.Idtr.Base, limit = state.Idtr.Limit },
            cr0 = state.Cr0 | Cr0.ET,
            cr2 = state.Cr2,
            cr3 = state.Cr3,
            cr4 = state.Cr4,
            cr8 = priority,
            efer = state.Efer,
            apic_base = apicBase,
        };
        Put(_vcpu.Request(KVM_SET_SREGS, &special), "control and segment registers that do not go together", refused);
        if (state.Pdptes is { } pdptes && UsesPdptes(state)) SetPdptes(pdptes, state.Cr3, refused);
    }

    private void GetExtended(VcpuState state)
    {
        kvm_xcrs xcrs;
        Require(_vcpu.Request(KVM_GET_XCRS, &xcrs), "does not tell XCR0");
        state.Xcr0 = xcrs.nr_xcrs > 0 ? xcrs.value : 1;
        kvm_xsave xsave;
        Require(_vcpu.Request(KVM_GET_XSAVE, &xsave), "does not tell the vector registers");
        var length = XsaveLength;
        if (state.Xsave.Length != length) state.Xsave = new byte[length];
        // The host's own components are none of the guest's.
        new XsaveImage(xsave.region, _model).StateBits &= _model.XcrMask | XsaveImage.LegacyComponents;
        new ReadOnlySpan<byte>(xsave.region, length).CopyTo(state.Xsave);
    }

    private void SetExtended(VcpuState state, Refusals refused)
    {
        var xcrs = new kvm_xcrs { nr_xcrs = 1, value = state.Xcr0 | 1 };
        Put(_vcpu.Request(KVM_SET_XCRS, &xcrs), "XCR0", refused);
        var xsave = default(kvm_xsave);
        var image = new XsaveImage(xsave.region, _model);
        image.Reset(0);
        // Not even the header: the initial state.
        if (state.Xsave.Length >= XsaveImage.HeaderEnd)
        {
            var length = Math.Min(state.Xsave.Length, XsaveLength);
            state.Xsave.AsSpan(0, length).CopyTo(new Span<byte>(xsave.region, length));
            // What is not in XSTATE_BV is in its initial state; MXCSR alone counts always.
            var mxcsr = image.Mxcsr;
            var components = _model.XcrMask | XsaveImage.LegacyComponents;
            for (var component = 0; component < 8; component++)
                if ((components >> component & 1) != 0 && !image.InUse(component)) image.Initialize(component);
            image.Mxcsr = mxcsr & KernelMxcsrMask;
            image.StateBits = XsaveImage.LegacyComponents | image.StateBits & components;
            new Span<byte>(xsave.region + XsaveImage.HeaderAt + 8, 56).Clear();
        }
        Require(_vcpu.Request(KVM_SET_XSAVE, &xsave), "takes no vector registers");
    }

    // Bits of MXCSR that every processor with hardware virtualization has. SDM vol. 1, 11.6.6.
    private const uint KernelMxcsrMask = 0xffff;

    private int XsaveLength => (int)_model.StandardSize(_model.XcrMask);

    private void GetMsrs(IDictionary<uint, ulong> msrs)
    {
        var request = new kvm_msrs { nmsrs = 1 };
        foreach (var index in _machine.Cpu.KeptMsrs)
        {
            request.entry = new kvm_msr_entry { index = index };
            if (_vcpu.Request(KVM_GET_MSRS, &request) != 1) throw new HostException($"the kernel's KVM does not tell MSR 0x{index:x}");
            msrs[index] = request.entry.data;
        }
    }

    private bool TrySetMsr(uint index, ulong value)
    {
        var request = new kvm_msrs { nmsrs = 1, entry = new kvm_msr_entry { index = index, data = value } };
        return _vcpu.Request(KVM_SET_MSRS, &request) == 1;
    }

    private void SetMsr(uint index, ulong value)
    {
        if (!TrySetMsr(index, value)) throw new HostException($"the kernel's KVM refuses the value 0x{value:x} for MSR 0x{index:x}");
    }

    private static SegmentState FromKernel(in kvm_segment s) => new()
    {
        Base = s.@base,
        Limit = s.limit,
        Selector = s.selector,
        Attributes = s.type | (uint)s.s << 4 | (uint)s.dpl << 5 | (uint)s.present << 7 | (uint)s.avl << 12 | (uint)s.l << 13 | (uint)s.db << 14 | (uint)s.g << 15
            | (uint)s.unusable << 16,
    };

    private static kvm_segment ToKernel(in SegmentState s)
    {
        var a = s.Attributes;
        return new kvm_segment
        {
            @base = s.Base,
            limit = s.Limit,
            selector = s.Selector,
            type = (byte)(a & 0xf),
            s = (byte)(a >> 4 & 1),
            dpl = (byte)(a >> 5 & 3),
            present = (byte)(a >> 7 & 1),
            avl = (byte)(a >> 12 & 1),
            l = (byte)(a >> 13 & 1),
            db = (byte)(a >> 14 & 1),
            g = (byte)(a >> 15 & 1),
            unusable = (byte)(a >> 16 & 1),
        };
    }
}
