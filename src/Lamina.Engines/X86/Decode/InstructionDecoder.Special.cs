// What the rows of the tables cannot say: prefixes that are not part of the opcode, and the handful of instructions
// whose description depends on their register numbers, their count or their opcode byte.
using Lamina.Engines.X86.Decode.Tables;

namespace Lamina.Engines.X86.Decode;

internal static partial class InstructionDecoder
{
    private const ushort Accumulator = 1 << 0, CountRegister = 1 << 1;

    private static DecodeResult DescribeRest(ref DecodeState state, ref Instruction instruction, ulong match, ulong meaning)
    {
        if (state.LockPrefix)
        {
            if ((meaning & Row.LockOk) == 0 || !instruction.HasMemory)
            {
                return DecodeResult.Invalid;
            }
            instruction.Traits |= InstructionTraits.Lock;
        }
        if (state.RepeatPrefix != 0 && instruction.MandatoryPrefix != state.RepeatPrefix)
        {
            instruction.Traits |= state.RepeatPrefix == 0xF3 ? InstructionTraits.Rep : InstructionTraits.Repne;
        }
        if ((meaning & (Row.MayStay | Row.Conditional | Row.ByCount)) != 0)
        {
            DescribeConditions(ref instruction, meaning);
        }
        if (state.Encoding != EncodingKind.Legacy && !DescribeVectorRest(ref state, ref instruction, match))
        {
            return DecodeResult.Invalid;
        }
        return instruction.Id == InstructionId.Plain || DescribeSpecial(ref state, ref instruction)
            ? DecodeResult.Ok : DecodeResult.Invalid;
    }

    private static void DescribeConditions(ref Instruction instruction, ulong meaning)
    {
        if ((meaning & Row.MayStay) != 0)
        {
            instruction.Traits |= InstructionTraits.FlagsMayStay;
        }
        if ((meaning & Row.Conditional) != 0)
        {
            instruction.Traits |= InstructionTraits.ConditionalWrite;
        }
        if ((meaning & Row.ByCount) != 0)
        {
            DescribeCount(ref instruction, (int)instruction.Immediate & (instruction.OperandSize == 8 ? 0x3F : 0x1F));
        }
    }

    /// <summary>Shift and rotate by an immediate: no flag by 0, OF defined by 1 only (SDM vol. 2, SAL/SAR/SHL/SHR).</summary>
    private static void DescribeCount(ref Instruction instruction, int count)
    {
        if (count == 0)
        {
            instruction.FlagsRead = instruction.FlagsWritten = instruction.FlagsUndefined = Flags.None;
        }
        else if (count == 1)
        {
            instruction.FlagsUndefined &= ~Flags.OF;
        }
    }

    private static bool DescribeVectorRest(ref DecodeState state, ref Instruction instruction, ulong match)
    {
        // Merging keeps a part of a destination register.
        if (state.Mask != 0 && !state.Zeroing && (match & (Row.Zeroing | Row.MaskSelects)) == Row.Zeroing)
        {
            if (instruction.RegAccess == OperandAccess.Write)
            {
                instruction.RegAccess = OperandAccess.ReadWrite;
            }
            else if (instruction.VvvvAccess == OperandAccess.Write)
            {
                instruction.VvvvAccess = OperandAccess.ReadWrite;
            }
            else if (instruction.RmAccess == OperandAccess.Write && !instruction.HasMemory)
            {
                instruction.RmAccess = OperandAccess.ReadWrite;
            }
        }
        if ((match & (Row.Distinct | Row.Vsib)) != Row.Distinct)
        {
            return true;
        }
        return instruction.Reg != instruction.Vvvv && (instruction.HasMemory || instruction.Reg != instruction.Rm);
    }

    /// <summary>Instructions with an identity; false for #UD.</summary>
    private static bool DescribeSpecial(ref DecodeState state, ref Instruction instruction)
    {
        switch (instruction.Id)
        {
            case InstructionId.ZeroRegister:
                DescribeZeroing(ref instruction);
                break;
            case InstructionId.JumpConditional:
                instruction.Condition = (byte)(instruction.Opcode & 15);
                break;
            case InstructionId.Syscall or InstructionId.Sysret when !state.Is64:
                instruction.ImplicitRead &= 0xFF; // no R11 to keep RFLAGS in
                instruction.ImplicitWritten &= 0xFF;
                break;
            case InstructionId.Xchg:
                DescribeExchange(ref instruction);
                break;
            case InstructionId.MovToSegment:
                return instruction.Reg is not 1 and < 6;
            case InstructionId.MovFromSegment:
                return instruction.Reg < 6;
            case InstructionId.PushSegment or InstructionId.PopSegment:
                instruction.Reg = (byte)(instruction.Map == 0 ? instruction.Opcode >> 3 & 3 : 4 + (instruction.Opcode >> 3 & 1));
                break;
            case InstructionId.LoadFarPointer:
                instruction.Immediate2 = (ushort)(instruction.Opcode switch { 0xC4 => 0, 0xC5 => 3, _ => instruction.Opcode & 7 });
                break;
            case InstructionId.MovToCr or InstructionId.MovFromCr:
                return instruction.Reg is 0 or 2 or 3 or 4 or 8;
            case InstructionId.MovToDr or InstructionId.MovFromDr:
                return instruction.Reg < 8;
            case >= InstructionId.Movs and <= InstructionId.Outs:
                DescribeRepetition(ref instruction);
                break;
        }
        return true;
    }

    /// <summary>XOR or SUB of a register with itself depends on nothing; of two registers it is as any other.</summary>
    private static void DescribeZeroing(ref Instruction instruction)
    {
        if (instruction.Reg != instruction.Rm)
        {
            instruction.Id = InstructionId.Plain;
            return;
        }
        bool toReg = (instruction.RegAccess & OperandAccess.Write) != 0;
        instruction.RegAccess = toReg ? OperandAccess.Write : OperandAccess.None;
        instruction.RmAccess = toReg ? OperandAccess.None : OperandAccess.Write;
    }

    /// <summary>XCHG: locked with memory; 90 without REX.B is NOP (SDM vol. 2, NOP).</summary>
    private static void DescribeExchange(ref Instruction instruction)
    {
        if (instruction.HasMemory)
        {
            instruction.Traits |= InstructionTraits.ImplicitLock;
        }
        else if (instruction.OpcodeRegClass != FieldClass.None && instruction.OpcodeReg == 0)
        {
            instruction.Id = InstructionId.Nop;
            instruction.OpcodeRegClass = FieldClass.None;
            instruction.OpcodeRegAccess = OperandAccess.None;
            instruction.ImplicitRead = instruction.ImplicitWritten = 0;
        }
    }

    private static void DescribeRepetition(ref Instruction instruction)
    {
        if ((instruction.Traits & (InstructionTraits.Rep | InstructionTraits.Repne)) == 0)
        {
            return;
        }
        instruction.ImplicitRead |= CountRegister;
        instruction.ImplicitWritten |= CountRegister;
        if (instruction.Id == InstructionId.Lods)
        {
            instruction.ImplicitRead |= Accumulator; // stays if the count is 0
        }
        if (instruction.FlagsWritten != Flags.None)
        {
            instruction.Traits |= InstructionTraits.FlagsMayStay;
        }
    }
}
