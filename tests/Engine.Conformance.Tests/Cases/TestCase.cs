// One case: the state that code starts in, its memory, and the code. Most of it is noise that follows from a seed; what
// was chosen on purpose is noted as patches, so that a case can be written down in a line (see Corpus).
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Lamina.Tests.Engine.Conformance.Oracle;

namespace Lamina.Tests.Engine.Conformance.Cases;

/// <summary>What kind of code segment a case runs in. All are user mode.</summary>
internal enum CodeMode
{
    /// <summary>64-bit.</summary>
    Long,

    /// <summary>32-bit, all segments flat.</summary>
    Flat32,

    /// <summary>32-bit, code, stack and data with a base and a limit.</summary>
    Based32,

    /// <summary>16-bit, all segments with a base.</summary>
    Based16,
}

/// <summary>A case. The object is used again for many.</summary>
internal sealed class TestCase(int xsaveSize, ulong xsaveMask)
{
    public const ulong FlagsBase = 0x202, Arithmetic = 0x8d5, Direction = 0x400;

    public CodeMode Mode { get; private set; }

    public ulong FillSeed { get; private set; }

    public ulong[] Gpr { get; } = new ulong[16];

    /// <summary>Offset in the code segment of the first instruction.</summary>
    public ulong Rip { get; set; }

    public ulong Rflags { get; set; }

    public ulong FsBase { get; set; }

    public ulong GsBase { get; set; }

    public byte[] Xsave { get; } = new byte[xsaveSize];

    public byte[] Memory { get; } = new byte[CaseLayout.ImageSize];

    /// <summary>Bytes put at places of the memory image, in order.</summary>
    public List<(int At, byte[] Bytes)> MemoryPatches { get; } = [];

    /// <summary>Bytes put at places of the XSAVE image, in order.</summary>
    public List<(int At, byte[] Bytes)> XsavePatches { get; } = [];

    /// <summary>Where in the image the code starts, and its length.</summary>
    public int CodeAt { get; set; }

    public int CodeLength { get; set; }

    /// <summary>Where in its memory the case saves its state, or null.</summary>
    public StateImage? Image { get; set; }

    /// <summary>RFLAGS bits that are undefined at the end.</summary>
    public ulong UndefinedFlags { get; set; }

    /// <summary>RFLAGS bits that are undefined at some place.</summary>
    public ulong EverUndefinedFlags { get; set; }

    public ulong CodeBase => Mode is CodeMode.Long or CodeMode.Flat32 ? 0 : CaseLayout.Base;

    public ulong DataBase => CodeBase;

    public int Bits => Mode switch { CodeMode.Long => 64, CodeMode.Based16 => 16, _ => 32 };

    public ushort CodeSelector => Mode switch
    {
        CodeMode.Long => Selectors.Code64,
        CodeMode.Flat32 => Selectors.Code32,
        CodeMode.Based32 => Selectors.Code32Based,
        _ => Selectors.Code16,
    };

    public ushort StackSelector => Mode switch { CodeMode.Based16 or CodeMode.Based32 => Selectors.Data16, _ => Selectors.Data };

    /// <summary>DS, ES, FS, GS.</summary>
    public (ushort Ds, ushort Es, ushort Fs, ushort Gs) DataSelectors => Mode switch
    {
        CodeMode.Long => ((ushort)0, (ushort)0, (ushort)0, (ushort)0),
        CodeMode.Flat32 => (Selectors.Data, Selectors.Data, Selectors.DataShort, Selectors.Data16),
        CodeMode.Based32 => (Selectors.Data16, Selectors.DataShort, Selectors.Data16, Selectors.Data),
        _ => (Selectors.Data16, Selectors.Data16, Selectors.DataShort, Selectors.Data),
    };

    /// <summary>Starts a new case: all noise from a seed.</summary>
    public void Reset(CodeMode mode, ulong fillSeed)
    {
        (Mode, FillSeed) = (mode, fillSeed);
        MemoryPatches.Clear();
        XsavePatches.Clear();
        (UndefinedFlags, EverUndefinedFlags, FsBase, GsBase) = (0, 0, 0, 0);
        Image = null;
        var random = new CaseRandom(fillSeed);
        FillMemory(random);
        FillVectors(random);
        Rflags = FlagsBase | random.Next() & Arithmetic;
    }

    public void Patch(int at, ReadOnlySpan<byte> bytes)
    {
        MemoryPatches.Add((at, bytes.ToArray()));
        bytes.CopyTo(Memory.AsSpan(at));
    }

    /// <summary>Puts bytes into the vector state; nothing where they belong to a component that the case does not carry.</summary>
    public void PatchXsave(int at, ReadOnlySpan<byte> bytes)
    {
        if (at + bytes.Length > Xsave.Length) return;
        XsavePatches.Add((at, bytes.ToArray()));
        bytes.CopyTo(Xsave.AsSpan(at));
    }

    /// <summary>Puts the code in place.</summary>
    public void SetCode(int imageOffset, ReadOnlySpan<byte> code)
    {
        (CodeAt, CodeLength) = (imageOffset, code.Length);
        Rip = CaseLayout.LinearOf(imageOffset) - CodeBase;
        Patch(imageOffset, code);
    }

    private void FillMemory(CaseRandom random)
    {
        var words = MemoryMarshal.Cast<byte, ulong>(Memory.AsSpan(0, CaseLayout.DataSize));
        for (var i = 0; i < words.Length; i++) words[i] = (i & 3) == 0 ? random.VectorValue() : random.Next();
        Memory.AsSpan(CaseLayout.CodeInImage).Fill(0xcc);
    }

    private void FillVectors(CaseRandom random)
    {
        var words = MemoryMarshal.Cast<byte, ulong>(Xsave.AsSpan());
        for (var i = 4; i < words.Length; i++) words[i] = random.VectorValue();
        Xsave.AsSpan(416, 96 + 64).Clear();
        // x87: extended values with plausible exponents, and some that are none.
        for (var i = 0; i < 8; i++)
        {
            var exponent = (uint)(random.Below(6) switch { 0 => 0, 1 => 0x7fff, 2 => random.Below(0x8000), _ => 0x3fff + random.Below(130) - 65 });
            var mantissa = random.Next() | (random.Chance(90) ? 1ul << 63 : 0);
            if (random.Chance(30)) mantissa &= 0xffff_0000_0000_0000;
            BinaryPrimitives.WriteUInt64LittleEndian(Xsave.AsSpan(32 + 16 * i), mantissa);
            BinaryPrimitives.WriteUInt64LittleEndian(Xsave.AsSpan(40 + 16 * i), exponent | (random.Chance(50) ? 0x8000u : 0));
        }
        Xsave.AsSpan(0, 32).Clear();
        var masked = random.Chance(90);
        var control = (uint)(masked ? 0x7f : 0x40 + random.Below(64));
        if (random.Chance(60)) control |= 0x300;
        else control |= (uint)random.Below(4) << 8;
        control |= (uint)random.Below(4) << 10;
        var status = (uint)random.Next() & 0x7f7f;
        if (!masked && random.Chance(80)) status &= 0x7f00;
        if ((status & ~control & 0x3f) != 0) status |= 0x8080;
        BinaryPrimitives.WriteUInt16LittleEndian(Xsave, (ushort)control);
        BinaryPrimitives.WriteUInt16LittleEndian(Xsave.AsSpan(2), (ushort)status);
        Xsave[4] = random.Below(3) switch { 0 => 0xff, 1 => 0, _ => (byte)random.Next() };
        var mxcsr = (uint)(random.Next() & 0xe07f) | 0x1f80;
        if (random.Chance(70)) mxcsr &= 0xffff_7fbf;
        if (random.Chance(10)) mxcsr &= ~(uint)(random.Next() & 0x1f80) & 0xffff_ffc0;
        BinaryPrimitives.WriteUInt32LittleEndian(Xsave.AsSpan(24), mxcsr);
        var components = random.Chance(85) ? xsaveMask : xsaveMask & random.Next();
        BinaryPrimitives.WriteUInt64LittleEndian(Xsave.AsSpan(512), components);
    }
}
