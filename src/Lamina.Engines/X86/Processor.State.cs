// The whole state at once: RESET, INIT, start-up, and copies in and out for snapshots, debuggers and loaders.
// SDM vol. 3, 9.1 (table 9-1) and 9.4.4.
using Lamina.Core.Engine;
using Lamina.Engines.X86.Memory;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private const ulong ResetPat = 0x0007_0406_0007_0406;

    /// <summary>Power-up.</summary>
    public void Reset()
    {
        var xsave = Context->XsaveArea;
        *Context = default;
        Context->XsaveArea = xsave;
        Context->Xcr0 = 1;
        Context->Pat = ResetPat;
        Context->Cr0 = Cr0.CD | Cr0.NW;
        _plainMsrs.Reset();
        _memoryTypes.Reset();
        _paravirtualClock.Reset();
        _specCtrl = 0;
        Vectors.Reset(_mxcsrMask);
        ResetRegisters();
        _cache.Flush(global: true);
    }

    /// <summary>INIT: as RESET, but vector state, MSRs (except EFER), the TSC and the cache bits of CR0 stay.</summary>
    public void Init()
    {
        _apic.Init();
        ResetRegisters();
    }

    private void ResetRegisters()
    {
        var cr0 = Context->Cr0;
        for (var n = 0; n < 16; n++) Context->Gpr[n] = 0;
        Context->Gpr[GprIndex.Rdx] = _model.Query(1, 0, _index, 0, 1, true).Eax;
        Context->Rip = 0xfff0;
        Context->ArithmeticFlags = 0;
        Context->SystemFlags = Rflags.Fixed;
        for (var n = 0; n < 6; n++) *Segment(n) = new SegmentRegister { Limit = 0xffff, Attributes = SegmentAttributes.RealModeData };
        Context->Cs = new SegmentRegister { Selector = 0xf000, Base = 0xffff_0000, Limit = 0xffff, Attributes = SegmentAttributes.RealModeData | SegmentAttributes.Code };
        Context->Ldtr = new SegmentRegister { Limit = 0xffff, Attributes = SegmentAttributes.P | SystemType.Ldt };
        Context->Tr = new SegmentRegister { Limit = 0xffff, Attributes = SegmentAttributes.P | SystemType.BusyTss32 };
        Context->GdtrBase = Context->IdtrBase = 0;
        Context->GdtrLimit = Context->IdtrLimit = 0xffff;
        Context->Cr0 = (cr0 & (Cr0.CD | Cr0.NW)) | Cr0.ET;
        Context->Cr2 = Context->Cr3 = Context->Cr4 = Context->Efer = 0;
        Context->Dr0 = Context->Dr1 = Context->Dr2 = Context->Dr3 = 0;
        Context->Dr6 = Dr6Fixed;
        Context->Dr7 = Dr7Fixed;
        Context->Cpl = Context->InterruptShadow = Context->NmiBlocked = 0;
        _pendingDebug = 0;
        DebugRegistersWritten();
        _cache.Flush(global: true);
        _cache.SegmentBaseOrLimitChanged();
        _cache.ModeChanged();
    }

    /// <summary>A start-up IPI: real mode at vector * 4 KiB.</summary>
    public void StartUp(byte vector)
    {
        Context->Cs.Selector = (ushort)(vector << 8);
        Context->Cs.Base = (ulong)vector << 12;
        Context->Rip = 0;
        _cache.SegmentBaseOrLimitChanged();
    }

    /// <summary>Copies the state out. The XSAVE image must be current. <see cref="VcpuState.Activity"/> is the runtime's to fill.</summary>
    public void Save(VcpuState state)
    {
        for (var n = 0; n < 16; n++) state.Gpr[n] = Context->Gpr[n];
        state.Rip = Context->Rip;
        state.Rflags = Flags;
        for (var n = 0; n < 8; n++)
        {
            var segment = Segment(n);
            state.Segments[n] = new SegmentState { Base = segment->Base, Limit = segment->Limit, Attributes = segment->Attributes, Selector = segment->Selector };
        }
        state.Gdtr = new DescriptorTableState { Base = Context->GdtrBase, Limit = (ushort)Context->GdtrLimit };
        state.Idtr = new DescriptorTableState { Base = Context->IdtrBase, Limit = (ushort)Context->IdtrLimit };
        (state.Cr0, state.Cr2, state.Cr3, state.Cr4) = (Context->Cr0, Context->Cr2, Context->Cr3, Context->Cr4);
        (state.Efer, state.Xcr0) = (Context->Efer, Context->Xcr0);
        for (var n = 0; n < 4; n++) state.Dr[n] = (&Context->Dr0)[n];
        (state.Dr[6], state.Dr[7]) = (Context->Dr6, Context->Dr7);
        var length = (int)_model.StandardSize(_model.XcrMask);
        if (state.Xsave.Length != length) state.Xsave = new byte[length];
        new ReadOnlySpan<byte>(Context->XsaveArea, length).CopyTo(state.Xsave);
        // Host addresses of translated code have no business in a saved state.
        state.Xsave.AsSpan(XsaveImage.InstructionPointerAt, 16).Clear();
        SaveMsrs(state.Msrs);
        state.InterruptShadow = Context->InterruptShadow != 0;
        state.NmiBlocked = Context->NmiBlocked != 0;
    }

    /// <summary>Puts a state in place.</summary>
    /// <exception cref="ArgumentException">The state is not one that this CPU model can be in.</exception>
    public void Load(VcpuState state)
    {
        _model.Require(state);
        for (var n = 0; n < 16; n++) Context->Gpr[n] = state.Gpr[n];
        Context->Rip = state.Rip;
        Context->ArithmeticFlags = state.Rflags & Rflags.Arithmetic;
        Context->SystemFlags = (state.Rflags & Rflags.System) | Rflags.Fixed;
        for (var n = 0; n < 8; n++)
        {
            ref readonly var segment = ref state.Segments[n];
            *Segment(n) = new SegmentRegister { Base = segment.Base, Limit = segment.Limit, Attributes = segment.Attributes, Selector = segment.Selector };
        }
        (Context->GdtrBase, Context->GdtrLimit) = (state.Gdtr.Base, state.Gdtr.Limit);
        (Context->IdtrBase, Context->IdtrLimit) = (state.Idtr.Base, state.Idtr.Limit);
        (Context->Cr0, Context->Cr2, Context->Cr3, Context->Cr4) = (state.Cr0 | Cr0.ET, state.Cr2, state.Cr3, state.Cr4);
        Context->Efer = state.Efer;
        Context->Xcr0 = state.Xcr0 | 1;
        for (var n = 0; n < 4; n++) (&Context->Dr0)[n] = state.Dr[n];
        Context->Dr6 = (state.Dr[6] & 0xe00f) | Dr6Fixed;
        Context->Dr7 = (state.Dr[7] & 0xffff_27ff) | Dr7Fixed;
        // The privilege level is SS's: that holds in every mode. SDM vol. 3, 25.4.1.
        Context->Cpl = !IsProtected ? 0 : IsVirtual8086 ? 3 : (Context->Ss.Attributes >> (int)SegmentAttributes.DplShift) & 3;
        LoadVectors(state.Xsave);
        LoadMsrs(state.Msrs);
        Context->InterruptShadow = state.InterruptShadow ? ShadowSti : 0;
        Context->NmiBlocked = state.NmiBlocked ? 1u : 0;
        _pendingDebug = 0;
        if ((Context->Cr0 & Cr0.PG) != 0 && (Context->Cr4 & Cr4.PAE) != 0 && !IsLongMode)
            for (var n = 0; n < 4; n++) Context->Pdpte[n] = ReadPhysical<ulong>((Context->Cr3 & 0xffff_ffe0) + (ulong)(n * 8));
        DebugRegistersWritten();
        _cache.Flush(global: true);
        _cache.SegmentBaseOrLimitChanged();
        _cache.ModeChanged();
    }

    private void LoadVectors(byte[] xsave)
    {
        var vectors = Vectors;
        vectors.Reset(_mxcsrMask);
        if (xsave.Length < XsaveImage.HeaderEnd) return; // none given: the initial state
        var length = Math.Min(xsave.Length, (int)_model.StandardSize(_model.XcrMask));
        xsave.AsSpan(0, length).CopyTo(new Span<byte>(Context->XsaveArea, length));
        // A hand-made or hostile image must not make the host's XRSTOR fault.
        *(uint*)(Context->XsaveArea + XsaveImage.MxcsrMaskAt) = _mxcsrMask;
        vectors.MakeLoadable();
        new Span<byte>(Context->XsaveArea + XsaveImage.InstructionPointerAt, 16).Clear();
    }
}
