// PUSH, POP and their kin, flags on the stack, ENTER and LEAVE. SDM vol. 2.
using Lamina.Core.Engine;
using Lamina.Engines.X86.Decode;
using Lamina.Engines.X86.Paging;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private Outcome StackInstruction(in Instruction i)
    {
        switch (i.Id)
        {
            case InstructionId.Push:
                {
                    ulong value;
                    if (i.OpcodeRegClass != FieldClass.None) value = ReadGpr(i.OpcodeReg, i.OperandSize);
                    else if (!TryReadRm(in i, i.OperandSize, out value)) return Outcome.Fault;
                    return PushValue(i.OperandSize, value);
                }
            case InstructionId.PushImmediate: return PushValue(i.OperandSize, (ulong)i.Immediate & MaskOf(i.OperandSize));
            case InstructionId.PushSegment: return PushSegment(in i);
            case InstructionId.Pop: return Pop(in i);
            case InstructionId.PopSegment: return PopSegment(in i);
            case InstructionId.Pusha: return PushAll(i.OperandSize);
            case InstructionId.Popa: return PopAll(i.OperandSize);
            case InstructionId.Pushf: return PushFlags(i.OperandSize);
            case InstructionId.Popf: return PopFlags(i.OperandSize);
            case InstructionId.Enter: return Enter(in i);
            default: return Leave(i.OperandSize);
        }
    }

    private Outcome PushValue(int size, ulong value)
    {
        var pointer = StackPointer;
        if (!TryPushAt(ref pointer, size, value)) return Outcome.Fault;
        SetStackPointer(pointer);
        return Outcome.Next;
    }

    private Outcome PushSegment(in Instruction i)
    {
        // Intel's processors of today write 16 bits of a 32-bit slot and leave the rest; AMD's write zeros there. SDM vol. 2, PUSH; APM vol. 3, PUSH.
        var selector = Segment(i.Reg)->Selector;
        if (i.OperandSize != 4 || _model.Vendor == Cpuid.CpuVendor.Amd) return PushValue(i.OperandSize, selector);
        var pointer = (StackPointer - 4) & StackMask;
        if (!TryWriteMemory(SegmentIndex.Ss, pointer, 2, selector)) return Outcome.Fault;
        SetStackPointer(pointer);
        return Outcome.Next;
    }

    private Outcome Pop(in Instruction i)
    {
        var pointer = StackPointer;
        if (!TryPopAt(ref pointer, i.OperandSize, out var value)) return Outcome.Fault;
        if (i.OpcodeRegClass != FieldClass.None || !i.HasMemory)
        {
            SetStackPointer(pointer);
            WriteGpr(i.OpcodeRegClass != FieldClass.None ? i.OpcodeReg : i.Rm, i.OperandSize, value);
            return Outcome.Next;
        }
        // An address that uses RSP is computed after the increment. SDM vol. 2, POP.
        var old = Context->Gpr[GprIndex.Rsp];
        SetStackPointer(pointer);
        if (TryWriteRm(in i, i.OperandSize, value)) return Outcome.Next;
        Context->Gpr[GprIndex.Rsp] = old;
        return Outcome.Fault;
    }

    private Outcome PopSegment(in Instruction i)
    {
        var pointer = StackPointer;
        // As for PUSH: only the selector is read where the operand is 32 bits.
        if (!TryReadMemory(SegmentIndex.Ss, pointer, i.OperandSize == 4 ? 2 : i.OperandSize, out var selector)) return Outcome.Fault;
        var mask = StackMask;
        if (!TryLoadSegment(i.Reg, (ushort)selector)) return Outcome.Fault;
        WriteGpr(GprIndex.Rsp, mask == ulong.MaxValue ? 8 : mask == uint.MaxValue ? 4 : 2, (pointer + i.OperandSize) & mask);
        if (i.Reg == SegmentIndex.Ss) Context->InterruptShadow = ShadowMovSs;
        return Outcome.Next;
    }

    private Outcome PushAll(int size)
    {
        var pointer = StackPointer;
        for (var n = 0; n < 8; n++)
            if (!TryPushAt(ref pointer, size, ReadGpr(n, size))) return Outcome.Fault;
        SetStackPointer(pointer);
        return Outcome.Next;
    }

    // Where a later word faults, the registers before it keep what was popped, as on the processors seen; the stack pointer
    // has not moved, so that it all happens again.
    private Outcome PopAll(int size)
    {
        var pointer = StackPointer;
        for (var n = 7; n >= 0; n--)
        {
            if (!TryPopAt(ref pointer, size, out var value)) return Outcome.Fault;
            if (n != GprIndex.Rsp) WriteGpr(n, size, value);
        }
        SetStackPointer(pointer);
        return Outcome.Next;
    }

    private Outcome PushFlags(int size) =>
        IsVirtual8086 && IoPrivilege < 3 ? FaultOutcome(GeneralProtection()) : PushValue(size, Flags & ~(Rflags.VM | Rflags.RF) & MaskOf(size));

    private Outcome PopFlags(int size)
    {
        if (IsVirtual8086 && IoPrivilege < 3) return FaultOutcome(GeneralProtection());
        var pointer = StackPointer;
        if (!TryPopAt(ref pointer, size, out var value)) return Outcome.Fault;
        // VIF, VIP and VM stay; RF becomes zero. SDM vol. 2, POPF.
        var mask = Rflags.Arithmetic | Rflags.TF | Rflags.DF | Rflags.NT;
        if (size > 2) mask |= Rflags.AC | Rflags.ID;
        if (Context->Cpl <= IoPrivilege) mask |= Rflags.IF;
        if (Context->Cpl == 0) mask |= Rflags.IOPL;
        SetStackPointer(pointer);
        SetFlags((Flags & ~mask & ~Rflags.RF) | (value & mask));
        return Outcome.Next;
    }

    private Outcome Enter(in Instruction i)
    {
        var size = i.OperandSize;
        var level = i.Immediate2 & 31;
        var pointer = StackPointer;
        var frame = Context->Gpr[GprIndex.Rbp];
        if (!TryPushAt(ref pointer, size, frame & MaskOf(size))) return Outcome.Fault;
        // All of ESP, also where only SP counts. SDM vol. 2, ENTER (FrameTemp).
        var newFrame = (Context->Gpr[GprIndex.Rsp] & ~StackMask) | pointer;
        for (var n = 1; n < level; n++)
        {
            frame -= (ulong)size;
            if (!TryReadMemory(SegmentIndex.Ss, frame & StackMask, size, out var display) || !TryPushAt(ref pointer, size, display)) return Outcome.Fault;
        }
        if (level > 0 && !TryPushAt(ref pointer, size, newFrame & MaskOf(size))) return Outcome.Fault;
        pointer = (pointer - (ushort)i.Immediate) & StackMask;
        // The processor makes sure that the next push would succeed. SDM vol. 2, ENTER.
        if (!TryLinearize(SegmentIndex.Ss, pointer, size, write: true, out var linear) || !TryProbe(linear, size, AccessKind.Write)) return Outcome.Fault;
        WriteGpr(GprIndex.Rbp, size, newFrame);
        SetStackPointer(pointer);
        return Outcome.Next;
    }

    private Outcome Leave(int size)
    {
        var pointer = Context->Gpr[GprIndex.Rbp] & StackMask;
        if (!TryPopAt(ref pointer, size, out var frame)) return Outcome.Fault;
        SetStackPointer(pointer);
        WriteGpr(GprIndex.Rbp, size, frame);
        return Outcome.Next;
    }
}
