// Near branches, loops, far transfers and software interrupts. SDM vol. 2.
using Lamina.Core.Engine;
using Lamina.Engines.X86.Decode;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private Outcome ControlTransfer(in Instruction i)
    {
        switch (i.Id)
        {
            case InstructionId.JmpRelative: return JumpNear(RelativeTarget(in i));
            case InstructionId.JumpConditional: return IsConditionMet(i.Condition) ? JumpNear(RelativeTarget(in i)) : Outcome.Next;
            case InstructionId.CallRelative: return CallNear(RelativeTarget(in i), i.OperandSize);
            case InstructionId.JmpIndirect: return TryReadRm(in i, i.OperandSize, out var jump) ? JumpNear(jump) : Outcome.Fault;
            case InstructionId.CallIndirect: return TryReadRm(in i, i.OperandSize, out var call) ? CallNear(call, i.OperandSize) : Outcome.Fault;
            case InstructionId.Ret: return ReturnNear(in i);
            case InstructionId.Loop or InstructionId.LoopEqual or InstructionId.LoopNotEqual: return LoopNear(in i);
            case InstructionId.JumpCxZero: return ReadGpr(GprIndex.Rcx, i.AddressSize) == 0 ? JumpNear(RelativeTarget(in i)) : Outcome.Next;
            case InstructionId.JmpFarImmediate: return FarJump(i.Immediate2, (ulong)i.Immediate & MaskOf(i.OperandSize));
            case InstructionId.CallFarImmediate: return FarCall(i.Immediate2, (ulong)i.Immediate & MaskOf(i.OperandSize), i.OperandSize);
            case InstructionId.JmpFarIndirect:
                return TryReadFarPointer(in i, out var selector, out var offset) ? FarJump(selector, offset) : Outcome.Fault;
            case InstructionId.CallFarIndirect:
                return TryReadFarPointer(in i, out var called, out var entry) ? FarCall(called, entry, i.OperandSize) : Outcome.Fault;
            case InstructionId.RetFar: return FarReturn(i.OperandSize, (ushort)(i.ImmediateSize == 0 ? 0 : i.Immediate));
            case InstructionId.Iret: return InterruptReturn(i.OperandSize);
            case InstructionId.Int: return SoftwareInterrupt((byte)i.Immediate, InterruptKind.Software);
            case InstructionId.Int3: return SoftwareInterrupt(Vector.Breakpoint, InterruptKind.SoftwareException);
            case InstructionId.Int1:
                {
                    var outcome = SoftwareInterrupt(Vector.Debug, InterruptKind.PrivilegedSoftware);
                    if (outcome == Outcome.Fault) return outcome;
                    Context->Dr7 &= ~Dr7Gd;
                    // Breakpoints that waited behind MOV SS are a part of this one debug exception.
                    if (_pendingDebug != 0) Context->Dr6 = (Context->Dr6 & ~0xfUL) | _pendingDebug;
                    _pendingDebug = 0;
                    return outcome;
                }
            case InstructionId.Into:
                return (Context->ArithmeticFlags & Rflags.OF) != 0 ? SoftwareInterrupt(Vector.Overflow, InterruptKind.SoftwareException) : Outcome.Next;
            case InstructionId.Syscall: return Syscall();
            case InstructionId.Sysret: return Sysret(i.W ? 8 : 4);
            case InstructionId.Sysenter: return Sysenter();
            case InstructionId.Sysexit: return Sysexit(i.W ? 8 : 4);
            default: return FaultOutcome(InvalidOpcode());
        }
    }

    /// <summary>Jcc's condition, by the low four opcode bits. SDM vol. 1, appendix B.</summary>
    private bool IsConditionMet(int condition)
    {
        var flags = Context->ArithmeticFlags;
        bool cf = (flags & Rflags.CF) != 0, zf = (flags & Rflags.ZF) != 0, less = (flags & Rflags.SF) != 0 != ((flags & Rflags.OF) != 0);
        var met = (condition >> 1) switch
        {
            0 => (flags & Rflags.OF) != 0,
            1 => cf,
            2 => zf,
            3 => cf || zf,
            4 => (flags & Rflags.SF) != 0,
            5 => (flags & Rflags.PF) != 0,
            6 => less,
            _ => zf || less,
        };
        return met != ((condition & 1) != 0);
    }

    private ulong RelativeTarget(in Instruction i) => (NextRip + (ulong)i.Immediate) & MaskOf(i.OperandSize);

    private bool CheckNearTarget(ulong target) => (Is64Bit ? IsCanonical(target) : target <= Context->Cs.Limit) || GeneralProtection();

    private Outcome JumpNear(ulong target)
    {
        if (!CheckNearTarget(target)) return Outcome.Fault;
        Context->Rip = target;
        return Outcome.Branched;
    }

    private Outcome CallNear(ulong target, int size)
    {
        var pointer = StackPointer;
        if (!CheckNearTarget(target) || !TryPushAt(ref pointer, size, NextRip)) return Outcome.Fault;
        SetStackPointer(pointer);
        Context->Rip = target;
        return Outcome.Branched;
    }

    private Outcome ReturnNear(in Instruction i)
    {
        var pointer = StackPointer;
        if (!TryPopAt(ref pointer, i.OperandSize, out var target) || !CheckNearTarget(target)) return Outcome.Fault;
        SetStackPointer(pointer + (ushort)(i.ImmediateSize == 0 ? 0 : i.Immediate));
        Context->Rip = target;
        return Outcome.Branched;
    }

    private Outcome LoopNear(in Instruction i)
    {
        var count = (ReadGpr(GprIndex.Rcx, i.AddressSize) - 1) & MaskOf(i.AddressSize);
        var zero = (Context->ArithmeticFlags & Rflags.ZF) != 0;
        var taken = count != 0 && (i.Id == InstructionId.Loop || zero == (i.Id == InstructionId.LoopEqual));
        var outcome = taken ? JumpNear(RelativeTarget(in i)) : Outcome.Next;
        if (outcome != Outcome.Fault) WriteGpr(GprIndex.Rcx, i.AddressSize, count);
        return outcome;
    }

    /// <summary>Reads m16:16, m16:32 or m16:64: the offset, then the selector.</summary>
    private bool TryReadFarPointer(in Instruction i, out ushort selector, out ulong offset)
    {
        selector = 0;
        offset = 0;
        var buffer = stackalloc byte[10];
        if (!TryReadMemory(i.Segment, EffectiveOffset(in i), new Span<byte>(buffer, i.OperandSize + 2))) return false;
        offset = *(ulong*)buffer & MaskOf(i.OperandSize);
        selector = *(ushort*)(buffer + i.OperandSize);
        return true;
    }
}
