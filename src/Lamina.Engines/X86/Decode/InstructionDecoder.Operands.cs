// The second half of the decoder: an opcode's row becomes the description of the instruction. Sizes, registers, memory
// operand and immediates are read here in the order of the bytes; what a row cannot say stands in
// InstructionDecoder.Special.cs.
using Lamina.Engines.X86.Decode.Tables;

namespace Lamina.Engines.X86.Decode;

internal static partial class InstructionDecoder
{
    private static DecodeResult Describe(ref DecodeState state, ref Instruction instruction, ulong match, ulong meaning)
    {
        instruction.Id = (InstructionId)(byte)meaning;
        instruction.State = (StateClass)(meaning >> Row.StateShift & 7);
        instruction.OperandSize = OperandSizeOf(ref state, (int)(meaning >> Row.SizeShift) & 15);
        instruction.AddressSize = (byte)state.AddressSize;
        instruction.W = state.W && (state.Is64 || (match & Row.KeyW0) != 0);
        instruction.Base = instruction.Index = Instruction.NoRegister;
        instruction.Scale = 1;
        instruction.Segment = state.Segment >= 0 ? (byte)state.Segment : DataSegment;
        DescribeFlags(ref instruction, meaning);

        if (state.Encoding != EncodingKind.Legacy && !VectorFieldsAreValid(ref state, ref instruction, match, meaning))
        {
            return DecodeResult.Invalid;
        }
        if (instruction.HasModRm)
        {
            if (!DescribeRegisters(ref state, ref instruction, meaning))
            {
                return DecodeResult.Invalid;
            }
            if (instruction.ModRm < 0xC0 && (match & Row.KeyMemory) == 0 && !IgnoresMod(instruction.Id))
            {
                instruction.HasMemory = true;
                if (!DescribeMemory(ref state, ref instruction, match, meaning))
                {
                    return DecodeResult.Invalid;
                }
            }
        }
        else if ((meaning & Row.OpcodeRegister) != 0)
        {
            int operand = (int)(meaning >> Row.RegShift) & 31;
            instruction.OpcodeReg = (byte)((instruction.Opcode & 7) | state.B);
            instruction.OpcodeRegClass = (FieldClass)(operand & 7);
            instruction.OpcodeRegAccess = (OperandAccess)(operand >> 3);
        }

        int immediate = (int)(meaning >> Row.ImmediateShift) & 15;
        if (immediate != 0)
        {
            ReadImmediate(ref state, ref instruction, immediate, meaning);
        }
        return DescribeRest(ref state, ref instruction, match, meaning);
    }

    private const byte DataSegment = 3, StackSegment = 2;

    private static byte OperandSizeOf(ref DecodeState state, int kind)
    {
        int size = state.OperandSize;
        return ((ulong)kind << Row.SizeShift) switch
        {
            0 => 4,
            Row.Ov => (byte)size,
            Row.O1 => 1,
            Row.Od64 => (byte)(state.Is64 && size == 4 ? 8 : size),
            Row.Of64 => (byte)(state.Is64 ? 8 : size),
            Row.Oy => (byte)(state.W && state.Is64 ? 8 : 4),
            Row.Oz => (byte)(size == 2 ? 2 : 4),
            Row.Om => (byte)(state.Is64 ? 8 : 4),
            _ => (byte)state.AddressSize,
        };
    }

    private static void DescribeFlags(ref Instruction instruction, ulong meaning)
    {
        ulong flags = Patterns.Flags[(int)(meaning >> Row.FlagsShift) & 63];
        instruction.FlagsRead = (Flags)(ushort)flags;
        instruction.FlagsWritten = (Flags)(ushort)(flags >> 16);
        instruction.FlagsUndefined = (Flags)(ushort)(flags >> 32);
        uint registers = Patterns.Implicit[(int)(meaning >> Row.ImplicitShift) & 63];
        instruction.ImplicitRead = (ushort)registers;
        instruction.ImplicitWritten = (ushort)(registers >> 16);
    }

    /// <summary>Rules for the fields of VEX and EVEX that a row's match does not cover (SDM vol. 2, 2.3 and 2.7.11).</summary>
    private static bool VectorFieldsAreValid(ref DecodeState state, ref Instruction instruction, ulong match, ulong meaning)
    {
        int vvvv = (int)(meaning >> Row.VvvvShift) & 31;
        if (vvvv != 0)
        {
            if (!state.Is64)
            {
                state.Vvvv &= 7;
            }
            int number = state.Vvvv | ((match & Row.Vsib) == 0 ? state.V2 : 0);
            instruction.VvvvClass = ClassOf(vvvv & 7);
            instruction.VvvvAccess = (OperandAccess)(vvvv >> 3);
            instruction.Vvvv = (byte)number;
            if (number > ((vvvv & 7) == Row.ClassMask ? MaskLimit(ref state) : (vvvv & 7) == Row.ClassGpr ? 15 : 31))
            {
                return false;
            }
        }
        else if (state.Vvvv != 0 || (state.V2 != 0 && (match & Row.Vsib) == 0))
        {
            return false;
        }
        return state.Encoding != EncodingKind.Evex || EvexFieldsAreValid(ref state, ref instruction, match);
    }

    private static bool EvexFieldsAreValid(ref DecodeState state, ref Instruction instruction, ulong match)
    {
        if (state.Mask != 0 ? (match & Row.Km) == 0 : (match & Row.MaskRequired) != 0)
        {
            return false;
        }
        if (state.Zeroing && (state.Mask == 0 ? (match & Row.Km) != 0 : (match & Row.Zeroing) == 0))
        {
            return false;
        }
        if (!instruction.W)
        {
            instruction.EvexPayload &= ~0x8000u;
        }
        bool register = instruction.ModRm >= 0xC0;
        return !state.EvexB || (match & (register ? Row.Er | Row.Sae : Row.Broadcast)) != 0 || (register && state.IgnoresUnused);
    }

    // Extension bits of an opmask's number are #UD, or not looked at.
    private static int MaskLimit(ref DecodeState state) => state.IgnoresUnused && state.Encoding == EncodingKind.Vex ? 15 : 7;

    private static FieldClass ClassOf(int rowClass) => rowClass > Row.ClassGpr ? FieldClass.Other : (FieldClass)rowClass;

    /// <summary>ModRM.reg and ModRM.rm as registers; false if there is no such register.</summary>
    private static bool DescribeRegisters(ref DecodeState state, ref Instruction instruction, ulong meaning)
    {
        int modRm = instruction.ModRm;
        int operand = (int)(meaning >> Row.RegShift) & 31;
        int registerClass = operand & 7;
        int register = (modRm >> 3 & 7) | state.R | (registerClass <= Row.ClassGpr ? 0 : state.R2);
        if (registerClass == Row.ClassEight)
        {
            register &= 7;
        }
        else if ((registerClass == Row.ClassMask && register > MaskLimit(ref state)) || (registerClass == Row.ClassGpr && state.R2 != 0))
        {
            return false;
        }
        instruction.Reg = (byte)register;
        instruction.RegClass = ClassOf(registerClass);
        instruction.RegAccess = (OperandAccess)(operand >> 3);

        operand = (int)(meaning >> Row.RmOperandShift) & 31;
        registerClass = operand & 7;
        instruction.RmClass = ClassOf(registerClass);
        instruction.RmAccess = (OperandAccess)(operand >> 3);
        if (modRm >= 0xC0 || IgnoresMod(instruction.Id))
        {
            register = modRm & 7;
            if (registerClass < Row.ClassEight)
            {
                register |= state.B;
            }
            if (registerClass == Row.ClassVector && state.Encoding == EncodingKind.Evex)
            {
                register |= state.X << 1;
            }
            instruction.Rm = (byte)register;
        }
        return true;
    }

    /// <summary>MOV to and from CR and DR take ModRM.mod for 3 (SDM vol. 2, MOV—Move to/from Control Registers).</summary>
    private static bool IgnoresMod(InstructionId id) => id is >= InstructionId.MovFromCr and <= InstructionId.MovToDr;

    private static bool DescribeMemory(ref DecodeState state, ref Instruction instruction, ulong match, ulong meaning)
    {
        int size = MemorySizeOf(ref state, ref instruction, (int)(meaning >> Row.MemoryShift) & 63);
        int displacementUnit = 1;
        if (state.Encoding == EncodingKind.Evex)
        {
            int element = 1 << ((int)(match >> Row.ElementShift) & 3);
            if (state.EvexB)
            {
                size = element;
            }
            displacementUnit = (match & Row.DisplacementByElement) != 0 ? element : size;
            if (state.Mask != 0)
            {
                instruction.Traits |= InstructionTraits.MaskedMemory;
            }
            if (state.Zeroing && (instruction.RmAccess & OperandAccess.Write) != 0)
            {
                return false; // zeroing is for registers (SDM vol. 2, 2.7.4)
            }
        }
        instruction.MemorySize = (ushort)size;
        if ((meaning & Row.Aligned) != 0)
        {
            instruction.MemoryAlignment = (byte)(size == 512 ? 16 : Math.Min(size, 64));
        }
        if ((match & Row.Masked) != 0)
        {
            instruction.Traits |= InstructionTraits.MaskedMemory;
            if (instruction.AddressSize < (state.Is64 ? 8 : 4))
            {
                instruction.Id = InstructionId.MaskMoveElements;
            }
        }
        if (instruction.AddressSize == 2)
        {
            ReadAddress16(ref state, ref instruction, displacementUnit);
            return (match & Row.Vsib) == 0;
        }
        ReadAddress(ref state, ref instruction, displacementUnit);
        return (match & Row.Vsib) == 0 || DescribeVectorIndex(ref state, ref instruction, match);
    }

    private static int MemorySizeOf(ref DecodeState state, ref Instruction instruction, int kind)
    {
        if (kind <= Row.LastFixedMemory)
        {
            return Patterns.MemorySizes[kind];
        }
        int attribute = state.OperandSize;
        return ((ulong)kind << Row.MemoryShift) switch
        {
            Row.Mv => attribute,
            Row.Mo => instruction.OperandSize,
            Row.Mz => attribute == 2 ? 2 : 4,
            Row.Mp => attribute + 2,
            Row.Mbound => attribute * 2,
            Row.Mdt => state.Is64 ? 10 : 6,
            Row.Menv => attribute == 2 ? 14 : 28,
            Row.Mstate => attribute == 2 ? 94 : 108,
            Row.Mw => instruction.W ? 8 : 4,
            Row.ML => 16 << state.Length,
            Row.ML2 => 8 << state.Length,
            Row.ML4 => 4 << state.Length,
            Row.ML8 => 2 << state.Length,
            _ => state.Length == 0 ? 8 : 16 << state.Length,
        };
    }

    /// <summary>16-bit addressing, SDM vol. 2, table 2-1.</summary>
    private static void ReadAddress16(ref DecodeState state, ref Instruction instruction, int displacementUnit)
    {
        const int Bx = 3, Bp = 5, Si = 6, Di = 7, None = Instruction.NoRegister;
        ReadOnlySpan<sbyte> bases = [Bx, Bx, Bp, Bp, Si, Di, Bp, Bx];
        ReadOnlySpan<sbyte> indices = [Si, Di, Si, Di, None, None, None, None];
        int mod = instruction.ModRm >> 6;
        int rm = instruction.ModRm & 7;
        if (mod == 0 && rm == 6)
        {
            instruction.Displacement = (short)state.ReadUInt16();
            return;
        }
        instruction.Base = bases[rm];
        instruction.Index = indices[rm];
        if (mod == 1)
        {
            instruction.Displacement = (sbyte)state.ReadByte() * displacementUnit;
        }
        else if (mod == 2)
        {
            instruction.Displacement = (short)state.ReadUInt16();
        }
        if (instruction.Base == Bp && state.Segment < 0)
        {
            instruction.Segment = StackSegment;
        }
    }

    /// <summary>32- and 64-bit addressing, SDM vol. 2, tables 2-2 and 2-3.</summary>
    private static void ReadAddress(ref DecodeState state, ref Instruction instruction, int displacementUnit)
    {
        const int Sp = 4, Bp = 5;
        int mod = instruction.ModRm >> 6;
        int low = instruction.ModRm & 7;
        if (low == Sp)
        {
            int sib = state.ReadByte();
            int index = (sib >> 3 & 7) | state.X;
            instruction.Index = index == Sp ? Instruction.NoRegister : (sbyte)index;
            instruction.Scale = (byte)(1 << (sib >> 6));
            low = sib & 7;
            instruction.Base = low == Bp && mod == 0 ? Instruction.NoRegister : (sbyte)(low | state.B);
        }
        else if (low == Bp && mod == 0)
        {
            instruction.Base = state.Is64 ? Instruction.RipBase : Instruction.NoRegister;
        }
        else
        {
            instruction.Base = (sbyte)(low | state.B);
        }

        if (mod == 1)
        {
            instruction.Displacement = (sbyte)state.ReadByte() * displacementUnit;
        }
        else if (mod == 2 || (mod == 0 && low == Bp))
        {
            instruction.Displacement = (int)state.ReadUInt32();
        }
        if (instruction.Base is Sp or Bp && state.Segment < 0)
        {
            instruction.Segment = StackSegment;
        }
    }

    /// <summary>VSIB (SDM vol. 2, 2.3.12): a SIB byte must be there, its index is a vector, and registers must differ.</summary>
    private static bool DescribeVectorIndex(ref DecodeState state, ref Instruction instruction, ulong match)
    {
        if ((instruction.ModRm & 7) != 4)
        {
            return false;
        }
        if (instruction.Index == Instruction.NoRegister)
        {
            instruction.Index = 4;
        }
        instruction.Index |= (sbyte)state.V2;
        instruction.Traits |= InstructionTraits.VectorIndex;
        if ((match & Row.Distinct) == 0)
        {
            return true;
        }
        bool sameAsMask = state.Encoding == EncodingKind.Vex
            && (instruction.Vvvv == instruction.Reg || instruction.Vvvv == instruction.Index);
        return instruction.Reg != instruction.Index && !sameAsMask;
    }

    private static void ReadImmediate(ref DecodeState state, ref Instruction instruction, int kind, ulong meaning)
    {
        int start = state.Position;
        bool wide = instruction.OperandSize != 2;
        switch ((ulong)kind << Row.ImmediateShift)
        {
            case Row.Ib:
                instruction.Immediate = (sbyte)state.ReadByte();
                break;
            case Row.Ub:
                instruction.Immediate = state.ReadByte();
                break;
            case Row.Iw:
                instruction.Immediate = state.ReadUInt16();
                break;
            case Row.Iz:
                instruction.Immediate = wide ? (int)state.ReadUInt32() : (short)state.ReadUInt16();
                break;
            case Row.Iv:
                instruction.Immediate = instruction.OperandSize == 8 ? (long)state.ReadUInt64()
                    : wide ? (int)state.ReadUInt32() : (short)state.ReadUInt16();
                break;
            case Row.IwIb:
                instruction.Immediate = state.ReadUInt16();
                instruction.Immediate2 = state.ReadByte();
                break;
            case Row.IbIb:
                instruction.Immediate = state.ReadByte();
                instruction.Immediate2 = state.ReadByte();
                break;
            case Row.Ap:
                instruction.Immediate = wide ? state.ReadUInt32() : state.ReadUInt16();
                instruction.Immediate2 = state.ReadUInt16();
                break;
            default:
                ReadMoffs(ref state, ref instruction, meaning);
                return;
        }
        instruction.ImmediateOffset = (byte)start;
        instruction.ImmediateSize = (byte)(state.Position - start);
    }

    private static void ReadMoffs(ref DecodeState state, ref Instruction instruction, ulong meaning)
    {
        instruction.HasMemory = true;
        instruction.RmAccess = (OperandAccess)(meaning >> (Row.RmOperandShift + 3) & 3);
        instruction.MemorySize = instruction.OperandSize;
        instruction.Displacement = instruction.AddressSize switch
        {
            8 => (long)state.ReadUInt64(),
            4 => state.ReadUInt32(),
            _ => state.ReadUInt16(),
        };
    }
}
