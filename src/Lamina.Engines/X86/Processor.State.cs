// The whole state at once: RESET, INIT, start-up, and copies in and out for snapshots, debuggers and loaders.
// SDM vol. 3, 9.1 (table 9-1) and 9.4.4.
using Lamina.Core.Engine;
using Lamina.Engines.X86.Memory;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    /// <summary>Bits of DR6 that traps set; BD is a fault's. SDM vol. 3, 18.2.3.</summary>
    // Between MOV SS and the next instruction CheckTraps is not asked; what it would report.
    internal const ulong Dr6Traps = 0xf | Dr6Bs | Dr6Bt;

    /// <summary>Power-up.</summary>
    public void Reset()
    {
        var xsave = Context->XsaveArea;
        *Context = default;
        Context->XsaveArea = xsave;
        _plainMsrs.Reset();
        _specCtrl = 0;
        var state = new VcpuState();
        ResetStates.Reset(state, _model, _index);
        Load(state);
    }

    /// <summary>INIT: as RESET, but vector state, MSRs (except EFER), the TSC and the cache bits of CR0 stay.</summary>
    public void Init()
    {
        _apic.Init();
        NoteTaskPriority();
        var state = new VcpuState();
        Save(state);
        ResetStates.Init(state, _model, _index);
        Load(state);
    }

    /// <summary>A start-up IPI: real mode at vector * 4 KiB.</summary>
    public void StartUp(byte vector)
    {
        var state = new VcpuState();
        Save(state);
        ResetStates.StartUp(state, vector);
        Load(state);
    }

    /// <summary>
    /// Copies the state out. The XSAVE image must be current. <see cref="VcpuState.Activity"/> and all that is pending but debug traps are
    /// the runtime's to fill.
    /// </summary>
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
        state.Pdptes = UsesPdptes ? [Context->Pdpte[0], Context->Pdpte[1], Context->Pdpte[2], Context->Pdpte[3]] : null;
        state.Shadow = (InterruptShadow)Context->InterruptShadow;
        state.NmiBlocked = Context->NmiBlocked != 0;
        state.Pending = new PendingEvents { DebugTrap = _pendingDebug };
    }

    /// <summary>Puts a state in place.</summary>
    /// <returns>What this CPU model cannot be in, a few words each.</returns>
    /// <exception cref="ArgumentException">It needs components of the vector state that the model lacks.</exception>
    public IReadOnlyList<string> Load(VcpuState state)
    {
        _model.Require(state);
        var refused = new Refusals();
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
        LoadVectors(state.Xsave, refused);
        LoadMsrs(state.Msrs, refused);
        Context->InterruptShadow = (uint)state.Shadow;
        Context->NmiBlocked = state.NmiBlocked ? 1u : 0;
        _pendingDebug = state.Pending.DebugTrap & Dr6Traps;
        LoadPdptes(state.Pdptes, refused);
        DebugRegistersWritten();
        _cache.Flush(global: true);
        _cache.SegmentBaseOrLimitChanged();
        _cache.ModeChanged();
        _cache.IdentificationChanged();
        return refused.All;
    }

    private bool UsesPdptes => (Context->Cr0 & Cr0.PG) != 0 && (Context->Cr4 & Cr4.PAE) != 0 && !IsLongMode;

    private void LoadPdptes(ulong[]? values, Refusals refused)
    {
        for (var n = 0; n < 4; n++) Context->Pdpte[n] = 0;
        if (!UsesPdptes || (values is null ? TryLoadPdptes(Context->Cr3) : TrySetPdptes(values))) return;
        refused.Add("PDPTEs with reserved bits");
    }

    private void LoadVectors(byte[] xsave, Refusals refused)
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
