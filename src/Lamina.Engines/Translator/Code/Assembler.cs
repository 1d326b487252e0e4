// Writes host x86-64 instructions into the code buffer: the few forms that inserted sequences and stubs are made of,
// as bytes, without an object per instruction. Guest instructions are not written here but by BlockEmitter, from their
// own bytes. The caller makes sure that there is room (CodeBuffer.Reserve).
using System.Runtime.CompilerServices;

namespace Lamina.Engines.Translator.Code;

/// <summary>Host general registers by number.</summary>
internal static class HostRegister
{
    public const int Rax = 0, Rcx = 1, Rdx = 2, Rbx = 3, Rsp = 4, Rbp = 5, Rsi = 6, Rdi = 7,
        R8 = 8, R9 = 9, R10 = 10, R11 = 11, R12 = 12, R13 = 13, R14 = 14, R15 = 15;
}

/// <summary>Condition codes as encoded in Jcc, SETcc and CMOVcc.</summary>
internal static class Cond
{
    public const int O = 0, NO = 1, B = 2, AE = 3, E = 4, NE = 5, BE = 6, A = 7, S = 8, NS = 9, P = 10, NP = 11, L = 12, GE = 13, LE = 14, G = 15;
}

/// <summary>The opcodes of "op r/m, r" for the eight basic arithmetic instructions, and others of that shape.</summary>
internal static class Op
{
    public const int Add = 0x01, Or = 0x09, And = 0x21, Sub = 0x29, Xor = 0x31, Cmp = 0x39, Test = 0x85, MovStore = 0x89, MovLoad = 0x8b, Lea = 0x8d,
        AddLoad = 0x03, OrLoad = 0x0b, AndLoad = 0x23, SubLoad = 0x2b, XorLoad = 0x33, CmpLoad = 0x3b;
}

/// <summary>A cursor in the writable view of the code buffer, with the address at which the code will run.</summary>
/// <param name="cursor">Where the first byte goes.</param>
/// <param name="executeDelta">What to add to a writable address to get the address at which the byte executes.</param>
/// <param name="distances">Receives where the displacements of 32 bits to other code are, for who moves the code; null: nobody does.</param>
internal unsafe struct Assembler(byte* cursor, long executeDelta, CodeDistances? distances = null)
{
    /// <summary>Where the next byte goes, in the writable view.</summary>
    public byte* Cursor = cursor;

    /// <summary>What to add to a writable address to get the address at which the byte executes.</summary>
    public readonly long ExecuteDelta = executeDelta;

    /// <summary>The address at which the next byte will execute.</summary>
    public readonly ulong Here => (ulong)((long)Cursor + ExecuteDelta);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Byte(int value) => *Cursor++ = (byte)value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Int32(int value)
    {
        Unsafe.WriteUnaligned(Cursor, value);
        Cursor += 4;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Int64(long value)
    {
        Unsafe.WriteUnaligned(Cursor, value);
        Cursor += 8;
    }

    private void Rex(bool wide, int reg, int index, int rm, bool force = false)
    {
        var rex = 0x40 | (wide ? 8 : 0) | ((reg >> 3) << 2) | ((index >> 3) << 1) | (rm >> 3);
        if (rex != 0x40 || force) Byte(rex);
    }

    /// <summary>op with two registers.</summary>
    public void Rr(int opcode, int reg, int rm, bool wide = true)
    {
        Rex(wide, reg, 0, rm);
        Byte(opcode);
        Byte(0xc0 | ((reg & 7) << 3) | (rm & 7));
    }

    /// <summary>0F op with two registers.</summary>
    public void Rr0F(int opcode, int reg, int rm, bool wide, bool byteRegister = false)
    {
        Rex(wide, reg, 0, rm, byteRegister && rm >= 4);
        Byte(0x0f);
        Byte(opcode);
        Byte(0xc0 | ((reg & 7) << 3) | (rm & 7));
    }

    /// <summary>ModRM (SIB, displacement) for [base + disp].</summary>
    public void ModRmBase(int reg, int @base, int disp)
    {
        reg &= 7;
        var low = @base & 7;
        var mode = disp == 0 && low != 5 ? 0 : disp is >= -128 and <= 127 ? 1 : 2;
        Byte((mode << 6) | (reg << 3) | low);
        if (low == 4) Byte(0x24);
        if (mode == 1) Byte(disp);
        else if (mode == 2) Int32(disp);
    }

    /// <summary>ModRM, SIB and displacement for [base + index * scale + disp]; scaleBits is the logarithm.</summary>
    public void ModRmIndex(int reg, int @base, int index, int scaleBits, int disp)
    {
        reg &= 7;
        var low = @base & 7;
        var mode = disp == 0 && low != 5 ? 0 : disp is >= -128 and <= 127 ? 1 : 2;
        Byte((mode << 6) | (reg << 3) | 4);
        Byte((scaleBits << 6) | ((index & 7) << 3) | low);
        if (mode == 1) Byte(disp);
        else if (mode == 2) Int32(disp);
    }

    /// <summary>op reg, [base + disp].</summary>
    public void Rm(int opcode, int reg, int @base, int disp, bool wide = true)
    {
        Rex(wide, reg, 0, @base);
        Byte(opcode);
        ModRmBase(reg, @base, disp);
    }

    /// <summary>op reg, [base + index * scale + disp].</summary>
    public void Rx(int opcode, int reg, int @base, int index, int scaleBits, int disp, bool wide = true)
    {
        Rex(wide, reg, index, @base);
        Byte(opcode);
        ModRmIndex(reg, @base, index, scaleBits, disp);
    }

    /// <summary>op reg, [index * scale + disp32] (LEA without a base).</summary>
    public void RxNoBase(int opcode, int reg, int index, int scaleBits, int disp, bool wide = true)
    {
        Rex(wide, reg, index, 0);
        Byte(opcode);
        Byte(((reg & 7) << 3) | 4);
        Byte((scaleBits << 6) | ((index & 7) << 3) | 5);
        Int32(disp);
    }

    /// <summary>op reg, gs:[disp].</summary>
    public void Gs(int opcode, int reg, int disp, bool wide = true)
    {
        Byte(0x65);
        Rex(wide, reg, 0, 0);
        Byte(opcode);
        GsAddress(reg, disp);
    }

    /// <summary>ModRM, SIB and displacement of gs:[disp32] (the prefix and REX are the caller's).</summary>
    public void GsAddress(int reg, int disp)
    {
        Byte(((reg & 7) << 3) | 4);
        Byte(0x25);
        Int32(disp);
    }

    /// <summary>op reg, gs:[index * scale + disp].</summary>
    public void GsIndex(int opcode, int reg, int index, int scaleBits, int disp, bool wide = true)
    {
        Byte(0x65);
        RxNoBase(opcode, reg, index, scaleBits, disp, wide);
    }

    /// <summary>op dword or qword gs:[disp], imm32 (81 /n, C7 /0, F7 /0).</summary>
    public void GsImmediate(int opcode, int extension, int disp, int immediate, bool wide = false)
    {
        Byte(0x65);
        Rex(wide, 0, 0, 0);
        Byte(opcode);
        GsAddress(extension, disp);
        Int32(immediate);
    }

    /// <summary>op reg, [rsp + slot] (see <see cref="Frame"/>).</summary>
    public void Frame(int opcode, int reg, int slot, bool wide = true) => Rm(opcode, reg, HostRegister.Rsp, slot, wide);

    /// <summary>movzx reg, byte gs:[disp], or a word.</summary>
    public void GsLoadShort(int reg, int disp, int bytes)
    {
        Byte(0x65);
        Rex(false, reg, 0, 0);
        Byte(0x0f);
        Byte(bytes == 1 ? 0xb6 : 0xb7);
        GsAddress(reg, disp);
    }

    /// <summary>rdgsbase reg.</summary>
    public void ReadGsBase(int reg) => BaseOfGs(1, reg);

    /// <summary>wrgsbase reg.</summary>
    public void WriteGsBase(int reg) => BaseOfGs(3, reg);

    private void BaseOfGs(int operation, int reg)
    {
        Byte(0xf3);
        Rex(true, 0, 0, reg);
        Byte(0x0f);
        Byte(0xae);
        Byte(0xc0 | operation << 3 | (reg & 7));
    }

    /// <summary>dec byte gs:[disp].</summary>
    public void GsDecrementByte(int disp)
    {
        Byte(0x65);
        Byte(0xfe);
        GsAddress(1, disp);
    }

    /// <summary>cmp dword or qword gs:[disp], imm8.</summary>
    public void GsCompare8(int disp, int immediate, bool wide = false)
    {
        Byte(0x65);
        Rex(wide, 0, 0, 0);
        Byte(0x83);
        GsAddress(7, disp);
        Byte(immediate);
    }

    /// <summary>mov reg, reg.</summary>
    public void Mov(int to, int from, bool wide = true)
    {
        if (to != from || !wide) Rr(Op.MovStore, from, to, wide);
    }

    /// <summary>mov reg, constant, in the shortest form. Does not change flags.</summary>
    public void MovImmediate(int reg, ulong value)
    {
        if (value <= uint.MaxValue)
        {
            Rex(false, 0, 0, reg);
            Byte(0xb8 | (reg & 7));
            Int32((int)value);
        }
        else if ((long)value >= int.MinValue && (long)value < 0)
        {
            Rex(true, 0, 0, reg);
            Byte(0xc7);
            Byte(0xc0 | (reg & 7));
            Int32((int)value);
        }
        else
        {
            Rex(true, 0, 0, reg);
            Byte(0xb8 | (reg & 7));
            Int64((long)value);
        }
    }

    /// <summary>op reg, imm (81/83 /n): add 0, or 1, and 4, sub 5, xor 6, cmp 7.</summary>
    public void RegImmediate(int extension, int reg, int immediate, bool wide = true)
    {
        Rex(wide, 0, 0, reg);
        if (immediate is >= -128 and <= 127)
        {
            Byte(0x83);
            Byte(0xc0 | (extension << 3) | (reg & 7));
            Byte(immediate);
        }
        else
        {
            Byte(0x81);
            Byte(0xc0 | (extension << 3) | (reg & 7));
            Int32(immediate);
        }
    }

    /// <summary>Shift by a constant (C1 /n): shl 4, shr 5, sar 7.</summary>
    public void Shift(int extension, int reg, int count, bool wide = true)
    {
        Rex(wide, 0, 0, reg);
        Byte(0xc1);
        Byte(0xc0 | (extension << 3) | (reg & 7));
        Byte(count);
    }

    /// <summary>imul reg, from, immediate, 32 bits wide.</summary>
    public void MultiplyImmediate(int reg, int from, int immediate)
    {
        Rr(0x69, reg, from, wide: false);
        Int32(immediate);
    }

    /// <summary>bextr reg, from, control: as many bits as bits 15-8 of control say, from the one that bits 7-0 say.</summary>
    public void BitField(int reg, int from, int control)
    {
        Byte(0xc4);
        Byte((reg >> 3 ^ 1) << 7 | 0x40 | (from >> 3 ^ 1) << 5 | 2);
        Byte(0x80 | (~control & 0xf) << 3);
        Byte(0xf7);
        Byte(0xc0 | (reg & 7) << 3 | from & 7);
    }

    /// <summary>F7 /n on a register: not 2, neg 3.</summary>
    public void Unary(int extension, int reg, bool wide = true)
    {
        Rex(wide, 0, 0, reg);
        Byte(0xf7);
        Byte(0xc0 | (extension << 3) | (reg & 7));
    }

    /// <summary>test r8, imm8.</summary>
    public void TestByte(int reg, int immediate)
    {
        Rex(false, 0, 0, reg, reg >= 4);
        Byte(0xf6);
        Byte(0xc0 | (reg & 7));
        Byte(immediate);
    }

    /// <summary>test r32, imm32.</summary>
    public void TestInt32(int reg, int immediate)
    {
        Rex(false, 0, 0, reg);
        Byte(0xf7);
        Byte(0xc0 | (reg & 7));
        Int32(immediate);
    }

    /// <summary>jmp rel32 to an executable address.</summary>
    public void Jmp(ulong target)
    {
        Byte(0xe9);
        Distance((byte*)((long)target - ExecuteDelta));
    }

    /// <summary>call rel32 to an executable address.</summary>
    public void Call(ulong target)
    {
        Byte(0xe8);
        Distance((byte*)((long)target - ExecuteDelta));
    }

    /// <summary>jcc rel32 with the displacement left open; returns where it is for <see cref="Bind(byte*)"/>.</summary>
    public byte* JccForward(int condition)
    {
        Byte(0x0f);
        Byte(0x80 | condition);
        Int32(0);
        return Cursor - 4;
    }

    /// <summary>jcc rel32 to an executable address.</summary>
    public void Jcc(int condition, ulong target)
    {
        Byte(0x0f);
        Byte(0x80 | condition);
        Distance((byte*)((long)target - ExecuteDelta));
    }

    /// <summary>jmp rel32 with the displacement left open.</summary>
    public byte* JmpForward()
    {
        Byte(0xe9);
        Int32(0);
        return Cursor - 4;
    }

    /// <summary>lea reg, [rip + …] with the displacement left open.</summary>
    public byte* LeaForward(int reg)
    {
        Byte(0x48 | (reg >> 3) << 2);
        Byte(0x8d);
        Byte((reg & 7) << 3 | 5);
        Int32(0);
        return Cursor - 4;
    }

    /// <summary>Pads until the five bytes that follow lie in one aligned word, so that they can be changed while others run.</summary>
    public void AlignEntry()
    {
        if ((int)((long)Cursor & 7) is var at and > 3) Nop(8 - at);
    }

    /// <summary>Pads until the displacement of a jump with so many opcode bytes lies in one cache line, so that it can be changed while others run.</summary>
    public void AlignDisplacement(int opcodeBytes)
    {
        if (64 - (((long)Cursor + opcodeBytes) & 63) is var left and < 4) Nop((int)left);
    }

    /// <summary>jcc rel8 with the displacement left open, for targets known to be near.</summary>
    public byte* JccShort(int condition)
    {
        Byte(0x70 | condition);
        Byte(0);
        return Cursor - 1;
    }

    /// <summary>jmp rel8 with the displacement left open.</summary>
    public byte* JmpShort()
    {
        Byte(0xeb);
        Byte(0);
        return Cursor - 1;
    }

    /// <summary>jrcxz rel8 with the displacement left open.</summary>
    public byte* JumpIfRcxZero()
    {
        Byte(0xe3);
        Byte(0);
        return Cursor - 1;
    }

    /// <summary>rep movsb.</summary>
    public void RepeatMoveBytes()
    {
        Byte(0xf3);
        Byte(0xa4);
    }

    /// <summary>Makes an open rel32 jump to the cursor.</summary>
    public readonly void Bind(byte* field) => Bind(field, Cursor);

    /// <summary>Makes an open rel32 jump to a place in the writable view of this buffer.</summary>
    public readonly void Bind(byte* field, byte* target)
    {
        Unsafe.WriteUnaligned(field, (int)(target - (field + 4)));
        distances?.Add(field);
    }

    // The field of a displacement to a place in the writable view.
    private void Distance(byte* target)
    {
        Bind(Cursor, target);
        Cursor += 4;
    }

    /// <summary>One instruction of up to five bytes that does nothing (SDM vol. 2, NOP).</summary>
    public void Nop(int bytes)
    {
        ReadOnlySpan<byte> nop = bytes switch
        {
            1 => [0x90],
            2 => [0x66, 0x90],
            3 => [0x0f, 0x1f, 0x00],
            4 => [0x0f, 0x1f, 0x40, 0x00],
            5 => [0x0f, 0x1f, 0x44, 0x00, 0x00],
            _ => throw new ArgumentOutOfRangeException(nameof(bytes)),
        };
        foreach (var value in nop) Byte(value);
    }

    /// <summary>Makes an open rel8 jump to the cursor.</summary>
    public readonly void BindShort(byte* field)
    {
        var distance = Cursor - (field + 1);
        if (distance is < 0 or > 127) throw new InvalidOperationException("short jump out of range");
        *field = (byte)distance;
    }

    /// <summary>Bytes of a jump with a rel32.</summary>
    public const int JumpBytes = 5;

    /// <summary>Jumps back (rel32) to a place in the writable view of this buffer.</summary>
    public void JmpBack(byte* target)
    {
        Byte(0xe9);
        Distance(target);
    }

    /// <summary>jcc back (rel32) to a place in the writable view of this buffer.</summary>
    public void JccBack(int condition, byte* target)
    {
        Byte(0x0f);
        Byte(0x80 | condition);
        Distance(target);
    }

    public void Ret() => Byte(0xc3);

    /// <summary>push or pop of a host register.</summary>
    public void Push(int reg)
    {
        Rex(false, 0, 0, reg);
        Byte(0x50 | (reg & 7));
    }

    /// <summary>pop of a host register.</summary>
    public void Pop(int reg)
    {
        Rex(false, 0, 0, reg);
        Byte(0x58 | (reg & 7));
    }
}
