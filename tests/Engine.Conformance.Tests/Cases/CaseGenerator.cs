// Makes a case from a seed: one instruction or a few, registers that make its memory operands meet data, page ends and
// what is not mapped, and the code placed in a page, at its end or across it.
using System.Buffers.Binary;
using Iced.Intel;
using Lamina.Tests.Engine.Conformance.Oracle;

namespace Lamina.Tests.Engine.Conformance.Cases;

/// <summary>The generator of random cases.</summary>
internal sealed class CaseGenerator(InstructionTable table)
{
    private const int MaxCode = 160, MaxInstructions = 8;

    private readonly InstructionBuilder _builder = new();
    private readonly byte[] _code = new byte[MaxCode];
    private readonly List<int> _ends = [];
    private readonly List<ulong> _starts = [], _targets = [];
    private readonly List<(int Index, int Size)> _branches = [];

    /// <summary>Fills a case.</summary>
    /// <param name="test">Its object.</param>
    /// <param name="seed">Says everything about it.</param>
    /// <param name="mode">Kind of code.</param>
    /// <param name="only">The instruction to test, or null for random ones.</param>
    /// <param name="mutate">Whether a bit of the code is flipped for certain.</param>
    /// <param name="unmapped">Whether memory operands lie where no case has memory.</param>
    /// <param name="wraps">Whether memory operands lie at the last address of an address size.</param>
    public void Generate(TestCase test, ulong seed, CodeMode mode, Code? only = null, bool mutate = false, bool wraps = false, bool unmapped = false)
    {
        var random = new CaseRandom(seed);
        test.Reset(mode, random.Next());
        var context = new BuildContext(test, random) { Wraps = wraps, Unmapped = unmapped };
        context.ChooseRegisters();
        if (wraps) context.ChooseBases();
        var count = only != null || random.Chance(55) ? 1 : 2 + random.Below(MaxInstructions - 1);
        var start = ChooseStart(random);
        var length = 0;
        _ends.Clear();
        _branches.Clear();
        if (!unmapped && (mode is CodeMode.Based16 or CodeMode.Based32) && random.Chance(50))
        {
            length = FillStackPointer(test, random);
            _ends.Add(length);
        }
        for (var i = 0; i < count; i++)
        {
            var at = CaseLayout.LinearOf(start) + (uint)length - (uint)test.CodeBase;
            var code = only ?? table.Draw(random, test.Bits);
            var bytes = _builder.Build(context, code, at);
            if (bytes.IsEmpty)
            {
                if (only != null) break;
                i--;
                continue;
            }
            if (length + bytes.Length > MaxCode) break;
            bytes.CopyTo(_code.AsSpan(length));
            length += bytes.Length;
            _ends.Add(length);
            if (_builder.BranchSize != 0) _branches.Add((_ends.Count - 1, _builder.BranchSize));
        }
        LinkBranches(test, random, length);
        if ((mutate || (only == null && random.Chance(2))) && length > 0) Mutate(test, random, length);
        context.Finish();
        var room = CaseLayout.ImageSize - start;
        test.SetCode(start, _code.AsSpan(0, Math.Min(length, room)));
    }

    // On a 16-bit stack the upper half of ESP means nothing, and is mostly something. An instruction puts it there: IRET to such a
    // stack leaves it as it was in the host's kernel.
    private int FillStackPointer(TestCase test, CaseRandom random)
    {
        var prefix = test.Bits == 16 ? 1 : 0;
        _code[0] = 0x66;
        _code[prefix] = 0xbc; // MOV ESP, imm32
        BinaryPrimitives.WriteUInt32LittleEndian(_code.AsSpan(prefix + 1), (uint)random.Next() << 16 | (ushort)test.Gpr[4]);
        return prefix + 5;
    }

    // Branches lead to a later instruction, or behind the last; a few go anywhere, and then nothing is known of flags.
    private void LinkBranches(TestCase test, CaseRandom random, int length)
    {
        foreach (var (index, size) in _branches)
        {
            var wild = size == 1 ? _ends[index] + (sbyte)_code[_ends[index] - 1] : -1;
            if (random.Chance(10) && wild >= _ends[index] && wild < length && test.EverUndefinedFlags == 0 && IsAllowed(test.Bits, wild, length))
            {
                test.UndefinedFlags = test.EverUndefinedFlags = TestCase.Arithmetic;
                continue;
            }
            var displacement = _ends[index + random.Below(_ends.Count - index)] - _ends[index];
            var at = _code.AsSpan(_ends[index] - size, size);
            if (size == 1) at[0] = (byte)displacement;
            else if (size == 2) BinaryPrimitives.WriteInt16LittleEndian(at, (short)displacement);
            else BinaryPrimitives.WriteInt32LittleEndian(at, displacement);
        }
    }

    // Mostly somewhere in the first page; else so that the code crosses into the second, or runs into nothing.
    private static int ChooseStart(CaseRandom random) => CaseLayout.CodeInImage + random.Below(12) switch
    {
        0 => CaseLayout.PageSize - 1 - random.Below(24),
        1 => CaseLayout.CodeSize - 1 - random.Below(40),
        2 => 0,
        _ => 64 + random.Below(3800),
    };

    // A flipped bit makes another instruction, or none: both sides must say the same. What must not run is left alone.
    private void Mutate(TestCase test, CaseRandom random, int length)
    {
        var at = random.Below(length);
        var bit = (byte)(1 << random.Below(8));
        _code[at] ^= bit;
        // Nor what may make a result of flags that are undefined.
        if (test.EverUndefinedFlags != 0 || !IsAllowed(test.Bits, 0, length)) _code[at] ^= bit;
        else test.UndefinedFlags = test.EverUndefinedFlags = TestCase.Arithmetic;
    }

    private bool IsAllowed(int bits, int start, int length)
    {
        var decoder = Decoder.Create(bits, new ByteArrayCodeReader(_code, start, length - start));
        var undefined = RflagsBits.None;
        _starts.Clear();
        _targets.Clear();
        while (decoder.IP < (ulong)(length - start))
        {
            _starts.Add(decoder.IP);
            var instruction = decoder.Decode();
            if (instruction.IsInvalid) return table.IsHosts && decoder.LastError == DecoderError.InvalidInstruction && _targets.Count == 0;
            if ((instruction.RflagsRead & undefined) != 0) return false;
            undefined |= instruction.RflagsUndefined;
            if (table.IsExcluded(instruction.Code, bits) || (bits == 64 && instruction.FlowControl != FlowControl.Next && _code.AsSpan(0, length).Contains((byte)0x66))) return false;
            if (instruction.NearBranchTarget is var target and not 0 && target < (ulong)(length - start))
            {
                if (target < decoder.IP) return false;
                _targets.Add(target);
            }
        }
        // Jumps back, or into the middle of an instruction, may find anything.
        return _targets.TrueForAll(_starts.Contains);
    }
}

/// <summary>What a case's instructions share while it is made: which registers still hold what they held at the start.</summary>
internal sealed class BuildContext(TestCase test, CaseRandom random)
{
    public TestCase Test => test;

    public CaseRandom Random => random;

    /// <summary>Registers whose starting value was chosen for an address, a bit each.</summary>
    public int Pinned { get; set; }

    /// <summary>Registers that an instruction before may have written, a bit each.</summary>
    public int Written { get; set; }

    /// <summary>Control may have left the straight line: what is defined is not known any more.</summary>
    public bool Branched { get; set; }

    public void ChooseRegisters()
    {
        var mask = test.Bits == 64 ? ulong.MaxValue : uint.MaxValue;
        for (var i = 0; i < 16; i++) test.Gpr[i] = random.Value() & mask;
        // The stack is in the data, mostly aligned, sometimes at a page's end.
        var stack = CaseLayout.Data + (random.Chance(80) ? (ulong)(0x200 + random.Below(0x2a00) & ~7) : (ulong)(random.Below(4) * 4096 - 12 + random.Below(24)));
        test.Gpr[4] = stack - test.DataBase;
        Pinned = 1 << 4;
        if (random.Chance(15)) test.Rflags |= TestCase.Direction;
        if (random.Chance(3)) test.Rflags |= 1 << 18;
        test.FsBase = random.Chance(80) ? CaseLayout.Data : random.Value();
        test.GsBase = random.Chance(80) ? CaseLayout.Data + 0x800 : random.Value();
        if (test.Mode == CodeMode.Long && !IsCanonical(test.FsBase)) test.FsBase = CaseLayout.Data;
        if (test.Mode == CodeMode.Long && !IsCanonical(test.GsBase)) test.GsBase = CaseLayout.Data;
    }

    /// <summary>A frame pointer. On a 16-bit stack its upper half means nothing, and is mostly something.</summary>
    public ulong OnStack(ulong offset) => test.Mode is CodeMode.Based16 or CodeMode.Based32 ? Narrow(offset, 16) : offset;

    /// <summary>A register's value where only some of its lower bits are an address: the others are noise, mostly.</summary>
    public ulong Narrow(ulong offset, int bits) => bits >= test.Bits && bits != 16 || random.Chance(20) ? offset : random.Next() << bits | offset & ((1ul << bits) - 1);

    /// <summary>Memory operands lie at the last address of an address size.</summary>
    public bool Wraps { get; init; }

    /// <summary>Memory operands lie where nothing is mapped, or at no canonical address.</summary>
    public bool Unmapped { get; init; }

    /// <summary>The most bits that an address may have which has fewer than a linear one.</summary>
    public int NarrowBits => test.Bits == 64 ? 32 : 16;

    /// <summary>Bases of FS and GS that put data at one side of what 32 bits can address, or at the other.</summary>
    public void ChooseBases()
    {
        test.FsBase = Base();
        test.GsBase = Base();

        ulong Base() => CaseLayout.Data + (ulong)random.Below(CaseLayout.DataSize + 64) - (random.Chance(50) ? 1ul << 32 : 0);
    }

    /// <summary>An offset from which an operand reaches, mostly, over the last address.</summary>
    public ulong LastOffset(int addressBits, int size) => (1ul << addressBits) - 1 - (ulong)random.Below(size + 2);

    /// <summary>Whether a register still has a value that may be chosen.</summary>
    public bool IsFree(int register) => ((Pinned | Written) >> register & 1) == 0;

    /// <summary>Whether a register still has its starting value.</summary>
    public bool IsKnown(int register) => (Written >> register & 1) == 0;

    public void Pin(int register, ulong value)
    {
        test.Gpr[register] = test.Bits == 64 ? value : (uint)value;
        Pinned |= 1 << register;
    }

    /// <summary>An address for an operand: usually good, else at an edge of what is mapped.</summary>
    public ulong Target(int size)
    {
        var data = (ulong)CaseLayout.Data;
        if (Unmapped) return test.Bits == 64 && random.Chance(50) ? data | 0x0010_0000_0000_0000 : data + CaseLayout.DataSize + 64;
        var granule = size <= 1 ? 1 : size >= 64 ? 64 : 1 << (31 - System.Numerics.BitOperations.LeadingZeroCount((uint)size));
        switch (random.Below(20))
        {
            case < 10: return data + (ulong)(random.Below(CaseLayout.WritableData - 128) & -granule);
            case < 13: return data + (ulong)random.Below(CaseLayout.WritableData - 128);
            case < 15: return data + 4096 * (ulong)(1 + random.Below(2)) - (ulong)random.Below(Math.Max(size, 2));
            case 15: return data + CaseLayout.WritableData - (ulong)random.Below(Math.Max(size, 2));
            case 16: return data + CaseLayout.WritableData + (ulong)(random.Below(4096) & -granule);
            case 17: return data + CaseLayout.DataSize - (ulong)random.Below(size + 2);
            case 18: return data - (ulong)random.Below(size + 2);
            default: return random.Below(4) == 0 ? random.Value() : random.Below(2) == 0 ? 0x8000_0000_0000 - (ulong)random.Below(size + 2) : data + 0x0010_0000_0000_0000;
        }
    }

    public void Finish()
    {
        if (Branched) test.UndefinedFlags |= test.EverUndefinedFlags;
    }

    /// <summary>Follows which flags are undefined, and which registers are written.</summary>
    public void Note(in Instruction instruction, ReadOnlySpan<Register> written)
    {
        var undefined = Flags(instruction.RflagsUndefined);
        test.EverUndefinedFlags |= undefined;
        var defined = Flags(instruction.RflagsModified) & ~undefined;
        if (instruction.Mnemonic is Mnemonic.Shl or Mnemonic.Shr or Mnemonic.Sar or Mnemonic.Sal or Mnemonic.Rol or Mnemonic.Ror or Mnemonic.Rcl or Mnemonic.Rcr
            or Mnemonic.Shld or Mnemonic.Shrd || instruction.HasRepPrefix || instruction.HasRepnePrefix) defined = 0;
        test.UndefinedFlags = test.UndefinedFlags & ~defined | undefined;
        MaybeUndefined = Branched ? MaybeUndefined | undefined : test.UndefinedFlags;
        foreach (var register in written)
        {
            var full = register.GetFullRegister();
            if (full is >= Register.RAX and <= Register.R15) Written |= 1 << (full - Register.RAX);
        }
        if (instruction.FlowControl != FlowControl.Next) Branched = true;
    }

    /// <summary>Whether an instruction's result hangs on flags that are undefined.</summary>
    public bool ReadsUndefined(in Instruction instruction) => (Flags(instruction.RflagsRead) & MaybeUndefined) != 0;

    /// <summary>Flags that are undefined on some way through the code so far.</summary>
    private ulong MaybeUndefined { get; set; }

    private static ulong Flags(RflagsBits bits)
    {
        ulong flags = 0;
        if ((bits & RflagsBits.CF) != 0) flags |= 1;
        if ((bits & RflagsBits.PF) != 0) flags |= 4;
        if ((bits & RflagsBits.AF) != 0) flags |= 0x10;
        if ((bits & RflagsBits.ZF) != 0) flags |= 0x40;
        if ((bits & RflagsBits.SF) != 0) flags |= 0x80;
        if ((bits & RflagsBits.OF) != 0) flags |= 0x800;
        return flags;
    }

    private static bool IsCanonical(ulong address) => (ulong)((long)(address << 16) >> 16) == address;
}
