// Memory operands: chooses the form of the address, then its registers' values so that it meets a wanted place.
using System.Buffers.Binary;
using Iced.Intel;

namespace Lamina.Tests.Engine.Conformance.Cases;

/// <summary>Builds memory operands.</summary>
internal sealed class MemoryOperandBuilder
{
    /// <summary>Adds a memory operand. False where this one cannot be made now.</summary>
    public bool TryBuild(BuildContext context, OpCodeInfo opcode, ref Instruction instruction, int operand, OpCodeOperandKind kind, ulong rip)
    {
        var random = context.Random;
        instruction.SetOpKind(operand, OpKind.Memory);
        var size = Math.Max(1, opcode.MemorySize.GetSize());
        if (context.Wraps) return SetWrapping(context, ref instruction, kind, size, rip);
        var target = context.Target(size);
        var segmentBase = ChooseSegment(context, ref instruction);
        var offset = target - segmentBase;
        var bits = context.Test.Bits;
        if (kind == OpCodeOperandKind.mem_offs) return SetOffsetOnly(context, ref instruction, offset);
        var vector = VectorIndex(kind);
        if (vector != Register.None) return SetVectorIndex(context, ref instruction, vector, kind, offset, bits);
        var addressBits = bits == 64 ? random.Chance(92) ? 64 : 32 : random.Chance(90) ? bits : 48 - bits;
        if (addressBits == 16) return SetSmall(context, ref instruction, offset);
        return SetModern(context, ref instruction, offset, addressBits, rip, kind == OpCodeOperandKind.sibmem || kind == OpCodeOperandKind.mem_mib);
    }

    // An address of fewer bits than a linear one has, in 64-bit code by FS or GS, whose bases say what lies there.
    private static bool SetWrapping(BuildContext context, ref Instruction instruction, OpCodeOperandKind kind, int size, ulong rip)
    {
        var bits = context.NarrowBits;
        var offset = context.LastOffset(bits, size);
        if (context.Test.Bits == 64 || context.Random.Chance(50)) instruction.SegmentPrefix = context.Random.Chance(50) ? Register.FS : Register.GS;
        if (kind == OpCodeOperandKind.mem_offs)
        {
            instruction.MemoryDisplSize = bits / 8;
            instruction.MemoryDisplacement64 = offset;
            return true;
        }
        var vector = VectorIndex(kind);
        if (vector != Register.None) return bits == 32 && SetVectorIndex(context, ref instruction, vector, kind, offset, bits);
        if (bits == 16) return SetSmall(context, ref instruction, offset);
        return SetModern(context, ref instruction, offset, bits, rip, kind == OpCodeOperandKind.sibmem || kind == OpCodeOperandKind.mem_mib);
    }

    // Returns the base of the segment that the operand will use if nothing else (a base of RSP or RBP) says otherwise.
    private static ulong ChooseSegment(BuildContext context, ref Instruction instruction)
    {
        var test = context.Test;
        var random = context.Random;
        if (!random.Chance(15)) return test.DataBase;
        switch (random.Below(6))
        {
            case 0: instruction.SegmentPrefix = Register.FS; return test.Mode == CodeMode.Long ? test.FsBase : Oracle.CaseLayout.Base;
            case 1: instruction.SegmentPrefix = Register.GS; return test.Mode == CodeMode.Long ? test.GsBase : test.Mode == CodeMode.Flat32 ? Oracle.CaseLayout.Base : 0;
            case 2: instruction.SegmentPrefix = Register.ES; return test.DataBase;
            case 3: instruction.SegmentPrefix = Register.CS; return test.DataBase;
            case 4: instruction.SegmentPrefix = Register.SS; return test.DataBase;
            default: instruction.SegmentPrefix = Register.DS; return test.DataBase;
        }
    }

    private static bool SetOffsetOnly(BuildContext context, ref Instruction instruction, ulong offset)
    {
        var bits = context.Test.Bits;
        instruction.MemoryDisplSize = bits == 64 ? context.Random.Chance(80) ? 8 : 4 : bits == 32 ? 4 : 2;
        instruction.MemoryDisplacement64 = instruction.MemoryDisplSize switch { 8 => offset, 4 => (uint)offset, _ => (ushort)offset };
        return true;
    }

    private static bool SetSmall(BuildContext context, ref Instruction instruction, ulong offset)
    {
        var random = context.Random;
        var (first, second) = random.Below(9) switch
        {
            0 => (Register.BX, Register.SI),
            1 => (Register.BX, Register.DI),
            2 => (Register.BP, Register.SI),
            3 => (Register.BP, Register.DI),
            4 => (Register.SI, Register.None),
            5 => (Register.DI, Register.None),
            6 => (Register.BP, Register.None),
            7 => (Register.BX, Register.None),
            _ => (Register.None, Register.None),
        };
        (instruction.MemoryBase, instruction.MemoryIndex) = (first, second);
        var displacement = first == Register.None ? offset : random.Chance(40) && first != Register.BP ? 0 : (ulong)(random.Below(400) - 200);
        instruction.MemoryDisplSize = first == Register.None ? 2 : displacement == 0 ? 0 : 2;
        var rest = offset - displacement;
        if (second != Register.None && context.IsKnown(second - Register.AX)) rest -= context.Test.Gpr[second - Register.AX];
        if (first != Register.None && context.IsFree(first - Register.AX)) context.Pin(first - Register.AX, (uint)(context.Random.Next() << 16) | (ushort)rest);
        instruction.MemoryDisplacement64 = (ushort)displacement;
        if (second != Register.None) context.Pinned |= 1 << (second - Register.AX);
        return true;
    }

    private static bool SetModern(BuildContext context, ref Instruction instruction, ulong offset, int bits, ulong rip, bool plain)
    {
        var random = context.Random;
        var wide = bits == 64;
        var registers = context.Test.Bits == 64 ? 16 : 8;
        var first = wide ? Register.RAX : Register.EAX;
        instruction.MemoryDisplSize = wide ? 8 : 4;
        var form = random.Below(plain ? 8 : 12);
        if (form == 11 && context.Test.Bits == 64)
        {
            // RIP-relative: the displacement is the encoder's business.
            instruction.MemoryBase = wide ? Register.RIP : Register.EIP;
            instruction.MemoryDisplacement64 = wide ? offset : (uint)offset;
            return Math.Abs((long)(offset - rip)) < int.MaxValue;
        }
        var number = ChooseBase(context, registers);
        if (form >= 9 || number < 0)
        {
            // Only a displacement, or an index without a base.
            instruction.MemoryDisplacement64 = wide ? (ulong)(int)offset : (uint)offset;
            if (form != 10) return true;
            var alone = ChooseIndex(context, registers);
            if (alone < 0) return true;
            instruction.MemoryIndex = first + alone;
            instruction.MemoryIndexScale = 1 << random.Below(4);
            SetRest(ref instruction, offset - context.Test.Gpr[alone] * (ulong)instruction.MemoryIndexScale, wide);
            return true;
        }
        instruction.MemoryBase = first + number;
        var indexed = form >= 5;
        var index = indexed ? ChooseIndex(context, registers) : -1;
        ulong fromIndex = 0;
        if (index >= 0)
        {
            instruction.MemoryIndex = first + index;
            instruction.MemoryIndexScale = 1 << random.Below(4);
            fromIndex = context.Test.Gpr[index] * (ulong)instruction.MemoryIndexScale;
        }
        if (index == number || !context.IsFree(number))
        {
            SetRest(ref instruction, offset - fromIndex - context.Test.Gpr[number], wide);
            return true;
        }
        var displacement = random.Below(4) switch { 0 => 0, 1 => random.Below(256) - 128, 2 => (random.Below(256) - 128) * 8, _ => (int)random.Value() };
        var value = offset - fromIndex - (ulong)displacement;
        if (!wide && context.Test.Bits == 64) value = (uint)value | random.Next() << 32;
        context.Pin(number, value);
        SetRest(ref instruction, (ulong)displacement, wide);
        return true;
    }

    private static void SetRest(ref Instruction instruction, ulong displacement, bool wide)
    {
        var small = (int)displacement;
        if (small == 0 && instruction.MemoryBase is not (Register.None or Register.RBP or Register.EBP or Register.R13 or Register.R13D)) instruction.MemoryDisplSize = 0;
        else if (small == (sbyte)small && instruction.MemoryBase != Register.None) instruction.MemoryDisplSize = 1;
        instruction.MemoryDisplacement64 = wide ? (ulong)small : (uint)small;
    }

    private static int ChooseBase(BuildContext context, int registers)
    {
        var random = context.Random;
        for (var i = 0; i < 12; i++)
        {
            var number = registers == 16 && random.Chance(25) ? random.Pick<byte>([4, 9, 10, 11]) : random.Below(registers);
            if (context.IsFree(number) || (number == 4 && context.IsKnown(4))) return number;
        }
        for (var number = 0; number < registers; number++)
            if (context.IsKnown(number)) return number;
        return -1;
    }

    // An index keeps its random value if that is small; else it gets one.
    private static int ChooseIndex(BuildContext context, int registers)
    {
        for (var i = 0; i < 8; i++)
        {
            var number = context.Random.Below(registers);
            if (number == 4 || !context.IsKnown(number)) continue;
            if (context.IsFree(number)) context.Pin(number, (ulong)(context.Random.Below(2000) - 1000));
            else if (context.Test.Gpr[number] > 0x4000_0000) continue;
            return number;
        }
        return -1;
    }

    private static Register VectorIndex(OpCodeOperandKind kind) => kind switch
    {
        OpCodeOperandKind.mem_vsib32x or OpCodeOperandKind.mem_vsib64x => Register.XMM0,
        OpCodeOperandKind.mem_vsib32y or OpCodeOperandKind.mem_vsib64y => Register.YMM0,
        OpCodeOperandKind.mem_vsib32z or OpCodeOperandKind.mem_vsib64z => Register.ZMM0,
        _ => Register.None,
    };

    // Gathers and scatters: the index register's elements are small, mostly.
    private static bool SetVectorIndex(BuildContext context, ref Instruction instruction, Register first, OpCodeOperandKind kind, ulong offset, int addressBits)
    {
        var random = context.Random;
        var bits = context.Test.Bits;
        var wide = addressBits == 64;
        var evex = instruction.Code.ToOpCode().Encoding == EncodingKind.EVEX;
        var register = random.Below(bits != 64 ? 8 : evex ? 32 : 16);
        var number = ChooseBase(context, bits == 64 ? 16 : 8);
        if (number < 0) return false;
        instruction.MemoryBase = (wide ? Register.RAX : Register.EAX) + number;
        instruction.MemoryIndex = first + register;
        instruction.MemoryIndexScale = 1 << random.Below(4);
        instruction.MemoryDisplSize = wide ? 8 : 4;
        if (context.IsFree(number))
        {
            context.Pin(number, offset);
            instruction.MemoryDisplacement64 = 0;
        }
        else
        {
            SetRest(ref instruction, offset - context.Test.Gpr[number], wide);
        }
        if (random.Chance(10)) return true;
        var elements = kind is OpCodeOperandKind.mem_vsib32x or OpCodeOperandKind.mem_vsib32y or OpCodeOperandKind.mem_vsib32z ? 4 : 2;
        Span<byte> part = stackalloc byte[16];
        for (var p = 0; p < 4; p++)
        {
            var at = VectorComponents.OffsetOf(register, p);
            if (at < 0) continue;
            for (var i = 0; i < elements; i++)
            {
                var value = random.Chance(96) ? random.Below(256) - 64 : random.Below(40000) - 20000;
                if (elements == 4) BinaryPrimitives.WriteInt32LittleEndian(part[(i * 4)..], value);
                else BinaryPrimitives.WriteInt64LittleEndian(part[(i * 8)..], value);
            }
            context.Test.PatchXsave(at, part);
        }
        return true;
    }
}
