// Far JMP, CALL and RET: through code segments, call gates, TSSs and task gates. SDM vol. 3, 5.8; vol. 2, JMP, CALL, RET.
using Lamina.Core.Engine;
using Lamina.Engines.X86.Segmentation;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private Outcome FarJump(ushort selector, ulong offset)
    {
        if (IsFlatMode)
        {
            if (offset > Context->Cs.Limit) return FaultOutcome(GeneralProtection());
            LoadFlatSegment(SegmentIndex.Cs, selector);
            Context->Rip = offset;
            return Outcome.Branched;
        }
        if (IsNull(selector)) return FaultOutcome(GeneralProtection());
        if (!TryReadDescriptor(selector, Vector.GeneralProtection, 0, out var descriptor, out var address)) return Outcome.Fault;
        if (descriptor.IsSystem) return FarSystemTransfer(selector, in descriptor, address, isCall: false);
        if (!TryCheckDirectTarget(selector, ref descriptor, address) || !CheckCodeOffset(in descriptor, offset)) return Outcome.Fault;
        LoadCodeSegment(selector, in descriptor, Context->Cpl);
        Context->Rip = offset;
        return Outcome.Branched;
    }

    private Outcome FarCall(ushort selector, ulong offset, int operandSize)
    {
        var returnRip = NextRip;
        if (IsFlatMode)
        {
            if (offset > Context->Cs.Limit) return FaultOutcome(GeneralProtection());
            var flat = CurrentStack(operandSize, 0);
            if (!TryPush(ref flat, Context->Cs.Selector) || !TryPush(ref flat, returnRip)) return Outcome.Fault;
            SetStackPointer(flat.Pointer);
            LoadFlatSegment(SegmentIndex.Cs, selector);
            Context->Rip = offset;
            return Outcome.Branched;
        }
        if (IsNull(selector)) return FaultOutcome(GeneralProtection());
        if (!TryReadDescriptor(selector, Vector.GeneralProtection, 0, out var descriptor, out var address)) return Outcome.Fault;
        if (descriptor.IsSystem) return FarSystemTransfer(selector, in descriptor, address, isCall: true);
        if (!TryCheckDirectTarget(selector, ref descriptor, address)) return Outcome.Fault;
        var stack = CurrentStack(operandSize, 0);
        if (!TryPush(ref stack, Context->Cs.Selector) || !TryPush(ref stack, returnRip) || !CheckCodeOffset(in descriptor, offset)) return Outcome.Fault;
        SetStackPointer(stack.Pointer);
        LoadCodeSegment(selector, in descriptor, Context->Cpl);
        Context->Rip = offset;
        return Outcome.Branched;
    }

    /// <summary>Checks a code segment that is jumped to or called directly.</summary>
    private bool TryCheckDirectTarget(ushort selector, ref Descriptor descriptor, ulong address)
    {
        var allowed = descriptor.IsCode && IsValidCodeSize(in descriptor)
            && (descriptor.IsConforming ? descriptor.Dpl <= Context->Cpl : Rpl(selector) <= Context->Cpl && descriptor.Dpl == Context->Cpl);
        if (!allowed) return RaiseSelector(Vector.GeneralProtection, selector, 0);
        if (!descriptor.IsPresent) return RaiseSelector(Vector.NotPresent, selector, 0);
        return TryMarkAccessed(ref descriptor, address);
    }

    private Outcome FarSystemTransfer(ushort selector, in Descriptor descriptor, ulong address, bool isCall)
    {
        // IA-32e mode knows 64-bit call gates only. SDM vol. 3, 5.8.3.1.
        var type = descriptor.Type;
        var isTss = type is SystemType.AvailableTss16 or SystemType.AvailableTss32;
        var isGate = type is SystemType.CallGate16 or SystemType.CallGate32 or SystemType.TaskGate;
        if (IsLongMode ? type != SystemType.CallGate32 : !isTss && !isGate) return FaultOutcome(RaiseSelector(Vector.GeneralProtection, selector, 0));
        if (descriptor.Dpl < Context->Cpl || Rpl(selector) > descriptor.Dpl) return FaultOutcome(RaiseSelector(Vector.GeneralProtection, selector, 0));
        if (!descriptor.IsPresent) return FaultOutcome(RaiseSelector(Vector.NotPresent, selector, 0));
        var source = isCall ? TaskSwitchSource.Call : TaskSwitchSource.Jump;
        if (isTss) return TrySwitchTask(selector, in descriptor, address, source, NextRip, 0, null) ? Outcome.Branched : Outcome.Fault;
        if (type == SystemType.TaskGate)
            return TrySwitchTaskThroughGate(descriptor.GateSelector, source, NextRip, 0, null) ? Outcome.Branched : Outcome.Fault;
        return ThroughCallGate(in descriptor, isCall);
    }

    private Outcome ThroughCallGate(in Descriptor gate, bool isCall)
    {
        var selector = gate.GateSelector;
        if (IsNull(selector)) return FaultOutcome(GeneralProtection());
        if (!TryReadDescriptor(selector, Vector.GeneralProtection, 0, out var code, out var address)) return Outcome.Fault;
        var cpl = Context->Cpl;
        var privilege = isCall || code.IsConforming ? code.Dpl <= cpl : code.Dpl == cpl;
        if (!code.IsCode || !privilege || (IsLongMode && (!code.IsLong || code.IsBig))) return FaultOutcome(RaiseSelector(Vector.GeneralProtection, selector, 0));
        if (!code.IsPresent) return FaultOutcome(RaiseSelector(Vector.NotPresent, selector, 0));
        if (!TryMarkAccessed(ref code, address)) return Outcome.Fault;
        var width = IsLongMode ? 8 : gate.Type == SystemType.CallGate32 ? 4 : 2;
        var offset = width == 8 ? gate.GateOffset64 : width == 4 ? gate.GateOffset32 : gate.GateOffset16;
        if (isCall)
        {
            var inner = !code.IsConforming && code.Dpl < cpl;
            if (inner ? !TryCallInner(in gate, in code, width, offset) : !TryCallSame(in code, width, offset)) return Outcome.Fault;
            if (inner) cpl = code.Dpl;
        }
        else if (!CheckCodeOffset(in code, offset)) return Outcome.Fault;
        LoadCodeSegment(selector, in code, cpl);
        Context->Rip = offset;
        return Outcome.Branched;
    }

    private bool TryCallSame(in Descriptor code, int width, ulong offset)
    {
        var stack = CurrentStack(width, 0);
        if (width == 8) stack.AddressSize = 8;
        if (!TryPush(ref stack, Context->Cs.Selector) || !TryPush(ref stack, NextRip) || !CheckCodeOffset(in code, offset)) return false;
        WriteGpr(GprIndex.Rsp, stack.AddressSize, stack.Pointer);
        return true;
    }

    /// <summary>A call to more privilege: the stack comes from the TSS, and parameters are copied.</summary>
    private bool TryCallInner(in Descriptor gate, in Descriptor code, int width, ulong offset)
    {
        var level = code.Dpl;
        StackWriter stack;
        if (width == 8)
        {
            if (!TryReadStackFromLongTss(level, 0, out var pointer)) return false;
            stack = new StackWriter { Segment = NullSegment((ushort)level, level), Pointer = pointer, AddressSize = 8, Width = 8, Mode = ModeOf(level) };
        }
        else
        {
            if (!TryReadStackFromTss(level, 0, out var selector, out var pointer)) return false;
            if (!TryCheckStackSegment(selector, level, Vector.InvalidTss, 0, false, out var segment)) return false;
            stack = new StackWriter
            {
                Segment = segment,
                Pointer = pointer,
                AddressSize = StackAddressSizeOf(in segment),
                Width = width,
                ErrorCode = (uint)selector & 0xfffc,
                Mode = ModeOf(level),
            };
        }
        if (!TryPush(ref stack, Context->Ss.Selector) || !TryPush(ref stack, Context->Gpr[GprIndex.Rsp])) return false;
        if (width != 8)
            for (var n = gate.GateParameterCount - 1; n >= 0; n--)
                if (!TryReadMemory(SegmentIndex.Ss, (StackPointer + (ulong)(n * width)) & StackMask, width, out var parameter) || !TryPush(ref stack, parameter)) return false;
        if (!TryPush(ref stack, Context->Cs.Selector) || !TryPush(ref stack, NextRip) || !CheckCodeOffset(in code, offset)) return false;
        SwitchStack(in stack);
        return true;
    }

    private Outcome FarReturn(int operandSize, uint release)
    {
        var pointer = StackPointer;
        if (!TryPopAt(ref pointer, operandSize, out var rip) || !TryPopAt(ref pointer, operandSize, out var cs)) return Outcome.Fault;
        var selector = (ushort)cs;
        if (IsFlatMode)
        {
            if (rip > Context->Cs.Limit) return FaultOutcome(GeneralProtection());
            SetStackPointer(pointer + release);
            LoadFlatSegment(SegmentIndex.Cs, selector);
            Context->Rip = rip;
            return Outcome.Branched;
        }
        if (!TryCheckReturnTarget(selector, out var code) || !CheckCodeOffset(in code, rip)) return Outcome.Fault;
        var level = Rpl(selector);
        if (level == Context->Cpl)
        {
            SetStackPointer(pointer + release);
            LoadCodeSegment(selector, in code, level);
            Context->Rip = rip;
            return Outcome.Branched;
        }
        pointer = (pointer + release) & StackMask;
        if (!TryPopAt(ref pointer, operandSize, out var newPointer) || !TryPopAt(ref pointer, operandSize, out var newStack)) return Outcome.Fault;
        var toLong = IsLongMode && code.IsLong;
        if (!TryCheckStackSegment((ushort)newStack, level, Vector.GeneralProtection, 0, toLong, out var stack)) return Outcome.Fault;
        LoadCodeSegment(selector, in code, level);
        SetSegment(SegmentIndex.Ss, in stack);
        // With a 16-bit stack the upper half of ESP stays as it was. SDM vol. 2, RET.
        WriteGpr(GprIndex.Rsp, StackAddressSize, newPointer + release);
        DropPrivilegedSegments(level);
        Context->Rip = rip;
        return Outcome.Branched;
    }

    /// <summary>Checks a code segment that RET or IRET returns to.</summary>
    private bool TryCheckReturnTarget(ushort selector, out Descriptor code)
    {
        code = default;
        if (IsNull(selector)) return GeneralProtection();
        if (!TryReadDescriptor(selector, Vector.GeneralProtection, 0, out code, out var address)) return false;
        var level = Rpl(selector);
        var allowed = code.IsCode && level >= Context->Cpl && IsValidCodeSize(in code) && (code.IsConforming ? code.Dpl <= level : code.Dpl == level);
        if (!allowed) return RaiseSelector(Vector.GeneralProtection, selector, 0);
        if (!code.IsPresent) return RaiseSelector(Vector.NotPresent, selector, 0);
        return TryMarkAccessed(ref code, address);
    }

    private static Outcome FaultOutcome(bool raised) => raised ? Outcome.Next : Outcome.Fault;
}
