// Delivery of exceptions and interrupts through the IDT or the real-mode vector table, and what happens when delivery
// itself faults: double fault, shutdown. SDM vol. 3, chapter 6 (6.12 legacy, 6.14 IA-32e); real mode: 21.1.4.
using Lamina.Core.Engine;
using Lamina.Engines.X86.Paging;
using Lamina.Engines.X86.Segmentation;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private const uint ShadowSti = 1, ShadowMovSs = 2;

    /// <summary>An exception or interrupt on its way through the IDT.</summary>
    private readonly record struct Event(int Vector, InterruptKind Kind, bool HasErrorCode, uint ErrorCode, ulong ReturnRip, ulong FlagsToPush)
    {
        public bool IsSoftware => Kind is InterruptKind.Software or InterruptKind.SoftwareException;

        /// <summary>The EXT bit of error codes: the event is external to the program. SDM vol. 3, 6.13.</summary>
        public uint Ext => IsSoftware ? 0u : 1u;
    }

    /// <summary>Delivers <see cref="Fault"/>. SDM vol. 3, table 6-5: contributory exceptions and page faults during delivery.</summary>
    /// <returns><see cref="Outcome.Branched"/> at a handler, or <see cref="Outcome.Shutdown"/>.</returns>
    public Outcome DeliverFault()
    {
        var first = Fault;
        while (true)
        {
            if (TryDeliverException(in first)) return Outcome.Branched;
            if (first.Vector == Vector.DoubleFault) return Outcome.Shutdown;
            var second = Fault;
            var doubled = IsContributory(first.Vector) ? IsContributory(second.Vector)
                : first.Vector == Vector.PageFault && (IsContributory(second.Vector) || second.Vector == Vector.PageFault);
            first = doubled ? Fault.WithCode(Vector.DoubleFault, 0) : second;
        }
    }

    /// <summary>Delivers an interrupt; a fault on the way is delivered in its place.</summary>
    /// <param name="vector">Its vector, 0 to 255.</param>
    /// <param name="kind">Not <see cref="InterruptKind.Exception"/>: those come by <see cref="DeliverFault"/>.</param>
    public Outcome DeliverInterrupt(int vector, InterruptKind kind)
    {
        if (kind == InterruptKind.Nmi) Context->NmiBlocked = 1;
        var interrupt = new Event(vector, kind, false, 0, Context->Rip, Flags);
        return TryDeliver(in interrupt) ? Outcome.Branched : DeliverFault();
    }

    /// <summary>INT n, INT3, INTO and INT1 as instructions: the return address is behind them.</summary>
    private Outcome SoftwareInterrupt(int vector, InterruptKind kind)
    {
        var interrupt = new Event(vector, kind, false, 0, NextRip, Flags);
        if (!TryDeliver(in interrupt)) return Outcome.Fault;
        ConsumeStep(interrupt.FlagsToPush);
        return Outcome.Branched;
    }

    private static bool IsContributory(byte vector) => vector is Vector.DivideError or (>= Vector.InvalidTss and <= Vector.GeneralProtection);

    private bool TryDeliverException(in Fault fault)
    {
        if (fault.Vector == Vector.PageFault) Context->Cr2 = fault.Detail;
        if (fault.Vector == Vector.Debug)
        {
            // B0 to B3 tell of this exception; BS, BD and BT are left for software to clear. SDM vol. 3, 18.2.3.
            Context->Dr6 = (Context->Dr6 & ~0xfUL) | fault.Detail;
            Context->Dr7 &= ~Dr7Gd;
        }
        // RF is pushed set for fault-class exceptions, so that an instruction breakpoint is not hit again. SDM vol. 3, 18.3.1.1.
        var flags = Flags;
        if (!fault.IsTrap && fault.Vector is not (Vector.Debug or Vector.DoubleFault or Vector.MachineCheck)) flags |= Rflags.RF;
        var exception = new Event(fault.Vector, InterruptKind.Exception, fault.HasErrorCode, fault.ErrorCode, Context->Rip, flags);
        return TryDeliver(in exception);
    }

    private bool TryDeliver(in Event e)
    {
        var done = IsLongMode ? TryDeliverLong(in e) : IsProtected ? TryDeliverProtected(in e) : TryDeliverReal(in e);
        if (done) Context->InterruptShadow = 0;
        return done;
    }

    private bool TryDeliverReal(in Event e)
    {
        var offset = (uint)e.Vector * 4;
        if (offset + 3 > Context->IdtrLimit) return GeneralProtection();
        if (!TryReadLinear(Context->IdtrBase + offset, 4, out var entry, AccessMode.Implicit)) return false;
        var stack = CurrentStack(2, 0);
        if (!TryPush(ref stack, e.FlagsToPush) || !TryPush(ref stack, Context->Cs.Selector) || !TryPush(ref stack, e.ReturnRip)) return false;
        if ((ushort)entry > Context->Cs.Limit) return GeneralProtection();
        SetStackPointer(stack.Pointer);
        SetFlags(Flags & ~(Rflags.IF | Rflags.TF | Rflags.AC | Rflags.RF));
        LoadFlatSegment(SegmentIndex.Cs, (ushort)(entry >> 16));
        Context->Rip = (ushort)entry;
        return true;
    }

    private uint GateErrorCode(in Event e) => (uint)e.Vector * 8 | 2 | e.Ext;

    private bool TryDeliverProtected(in Event e)
    {
        if (IsVirtual8086 && e.Kind == InterruptKind.Software && IoPrivilege < 3) return GeneralProtection();
        var offset = (uint)e.Vector * 8;
        if (offset + 7 > Context->IdtrLimit) return GeneralProtection(GateErrorCode(in e));
        if (!TryReadLinear(Context->IdtrBase + offset, 8, out var raw, AccessMode.Implicit)) return false;
        var gate = new Descriptor(raw);
        var known = gate.IsSystem && gate.Type is SystemType.TaskGate or SystemType.InterruptGate16 or SystemType.TrapGate16
            or SystemType.InterruptGate32 or SystemType.TrapGate32;
        if (!known || !gate.IsSystem) return GeneralProtection(GateErrorCode(in e));
        if (e.IsSoftware && gate.Dpl < Context->Cpl) return GeneralProtection(GateErrorCode(in e));
        if (!gate.IsPresent) return NotPresent(GateErrorCode(in e));
        if (gate.Type == SystemType.TaskGate)
            return TrySwitchTaskThroughGate(gate.GateSelector, TaskSwitchSource.Interrupt, e.ReturnRip, e.Ext, e.HasErrorCode ? e.ErrorCode : null);
        return TryCheckHandler(gate.GateSelector, e.Ext, out var code) && TryEnterHandler(in e, in gate, in code);
    }

    /// <summary>Checks the code segment that a gate names.</summary>
    private bool TryCheckHandler(ushort selector, uint ext, out Descriptor code)
    {
        code = default;
        if (IsNull(selector)) return GeneralProtection(ext);
        if (!TryReadDescriptor(selector, Vector.GeneralProtection, ext, out code, out var address)) return false;
        if (!code.IsCode || code.Dpl > Context->Cpl || (IsLongMode && (!code.IsLong || code.IsBig))) return RaiseSelector(Vector.GeneralProtection, selector, ext);
        if (!code.IsPresent) return RaiseSelector(Vector.NotPresent, selector, ext);
        return TryMarkAccessed(ref code, address);
    }

    private bool TryEnterHandler(in Event e, in Descriptor gate, in Descriptor code)
    {
        var width = (gate.Type & 8) != 0 ? 4 : 2;
        var fromVirtual = IsVirtual8086;
        var inner = !code.IsConforming && code.Dpl < Context->Cpl;
        if (fromVirtual && (!inner || code.Dpl != 0)) return RaiseSelector(Vector.GeneralProtection, gate.GateSelector, e.Ext);
        StackWriter stack;
        if (inner)
        {
            if (!TryReadStackFromTss(code.Dpl, e.Ext, out var selector, out var pointer)) return false;
            if (!TryCheckStackSegment(selector, code.Dpl, Vector.InvalidTss, e.Ext, false, out var segment)) return false;
            stack = new StackWriter
            {
                Segment = segment,
                Pointer = pointer,
                AddressSize = StackAddressSizeOf(in segment),
                Width = width,
                ErrorCode = ((uint)selector & 0xfffc) | e.Ext,
                Mode = ModeOf(code.Dpl),
            };
            if (fromVirtual && !(TryPush(ref stack, Context->Gs.Selector) && TryPush(ref stack, Context->Fs.Selector)
                && TryPush(ref stack, Context->Ds.Selector) && TryPush(ref stack, Context->Es.Selector))) return false;
            if (!TryPush(ref stack, Context->Ss.Selector) || !TryPush(ref stack, Context->Gpr[GprIndex.Rsp])) return false;
        }
        else stack = CurrentStack(width, e.Ext);
        if (!TryPush(ref stack, e.FlagsToPush) || !TryPush(ref stack, Context->Cs.Selector) || !TryPush(ref stack, e.ReturnRip)) return false;
        if (e.HasErrorCode && !TryPush(ref stack, e.ErrorCode)) return false;
        var offset = width == 4 ? gate.GateOffset32 : gate.GateOffset16;
        if (offset > code.Limit) return GeneralProtection(e.Ext);

        var isInterruptGate = (gate.Type & 1) == 0;
        SetFlags(Flags & ~(Rflags.TF | Rflags.NT | Rflags.RF | Rflags.VM | (isInterruptGate ? Rflags.IF : 0)));
        if (inner) SwitchStack(in stack);
        else SetStackPointer(stack.Pointer);
        LoadCodeSegment(gate.GateSelector, in code, inner ? code.Dpl : Context->Cpl);
        if (fromVirtual)
        {
            ReadOnlySpan<int> data = [SegmentIndex.Es, SegmentIndex.Ds, SegmentIndex.Fs, SegmentIndex.Gs];
            foreach (var number in data) SetSegment(number, NullSegment(0));
        }
        Context->Rip = offset;
        return true;
    }

    private bool TryDeliverLong(in Event e)
    {
        var offset = (uint)e.Vector * 16;
        if (offset + 15 > Context->IdtrLimit) return GeneralProtection(GateErrorCode(in e));
        if (!TryReadLinear(Context->IdtrBase + offset, 8, out var raw, AccessMode.Implicit)
            || !TryReadLinear(Context->IdtrBase + offset + 8, 8, out var high, AccessMode.Implicit)) return false;
        var gate = new Descriptor(raw, high & uint.MaxValue);
        if (!gate.IsSystem || gate.Type is not (SystemType.InterruptGate32 or SystemType.TrapGate32)) return GeneralProtection(GateErrorCode(in e));
        if (e.IsSoftware && gate.Dpl < Context->Cpl) return GeneralProtection(GateErrorCode(in e));
        if (!gate.IsPresent) return NotPresent(GateErrorCode(in e));
        if (!TryCheckHandler(gate.GateSelector, e.Ext, out var code)) return false;

        var inner = !code.IsConforming && code.Dpl < Context->Cpl;
        var level = inner ? code.Dpl : Context->Cpl;
        ulong pointer;
        if (gate.GateStackTable != 0)
        {
            if (!TryReadStackFromLongTss((uint)gate.GateStackTable + 3, e.Ext, out pointer)) return false;
        }
        else if (inner)
        {
            if (!TryReadStackFromLongTss(level, e.Ext, out pointer)) return false;
        }
        else pointer = Context->Gpr[GprIndex.Rsp];
        if (!TryPushLongFrame(in e, ref pointer, level)) return false;
        if (!IsCanonical(gate.GateOffset64)) return GeneralProtection(e.Ext);

        var isInterruptGate = (gate.Type & 1) == 0;
        SetFlags(Flags & ~(Rflags.TF | Rflags.NT | Rflags.RF | Rflags.VM | (isInterruptGate ? Rflags.IF : 0)));
        if (inner) SetSegment(SegmentIndex.Ss, NullSegment((ushort)level, level));
        LoadCodeSegment(gate.GateSelector, in code, level);
        Context->Gpr[GprIndex.Rsp] = pointer;
        Context->Rip = gate.GateOffset64;
        return true;
    }

    /// <summary>SS, RSP, RFLAGS, CS, RIP and the error code, on a stack aligned to 16 bytes. SDM vol. 3, 6.14.2.</summary>
    private bool TryPushLongFrame(in Event e, ref ulong pointer, uint level)
    {
        var frame = stackalloc ulong[6];
        var count = e.HasErrorCode ? 6 : 5;
        var at = frame;
        if (e.HasErrorCode) *at++ = e.ErrorCode;
        *at++ = e.ReturnRip;
        *at++ = Context->Cs.Selector;
        *at++ = e.FlagsToPush;
        *at++ = Context->Gpr[GprIndex.Rsp];
        *at = Context->Ss.Selector;
        var bottom = (pointer & ~0xfUL) - (ulong)(count * 8);
        if (!IsCanonical(bottom) || !IsCanonical(bottom + (ulong)(count * 8 - 1))) return StackFault(e.Ext);
        if (!TryWriteLinear(bottom, new ReadOnlySpan<byte>(frame, count * 8), ModeOf(level))) return false;
        pointer = bottom;
        return true;
    }
}
