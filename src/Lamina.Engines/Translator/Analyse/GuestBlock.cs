// Reads one block of guest code: from an address to the first instruction that ends it, or to the page's end. A block
// never reaches into the next page, but for the case that its first instruction does; then it is that instruction alone.
using Lamina.Engines.X86.Decode;

namespace Lamina.Engines.Translator.Analyse;

/// <summary>Where the bytes of code come from: one page, and the following one if the first instruction crosses.</summary>
internal unsafe ref struct CodeSource
{
    /// <summary>Host address of the page that the block starts in.</summary>
    public byte* Page;

    /// <summary>Host address of the page behind it, or null where it cannot be fetched.</summary>
    public byte* NextPage;

    /// <summary>Offset of the block in its page.</summary>
    public int Offset;
}

/// <summary>Why a block ends where it does.</summary>
internal enum BlockEnd : byte
{
    /// <summary>Its last instruction transfers control or may change the mode.</summary>
    Terminator,

    /// <summary>The next instruction is in (or reaches into) the next page, or the block is long enough.</summary>
    FallThrough,

    /// <summary>The last entry is not an instruction: <see cref="DecodeResult.Invalid"/> or too long. Only as a block of its own.</summary>
    Undecodable,

    /// <summary>The first instruction needs bytes of the next page, which was not given.</summary>
    NeedsNextPage,
}

/// <summary>A decoded block; the object is used again for every block.</summary>
internal sealed unsafe class GuestBlock(InstructionSet set)
{
    /// <summary>The most instructions a block has.</summary>
    public const int MaxInstructions = 64;

    private const int PageSize = 4096;

    /// <summary>What its instructions are decoded by.</summary>
    public InstructionSet InstructionSet => set;

    public readonly Instruction[] Instructions = new Instruction[MaxInstructions];

    /// <summary>Offset of each instruction from the block's start; one more entry for the end.</summary>
    public readonly int[] Offsets = new int[MaxInstructions + 1];

    /// <summary>Flags whose values may be read by each instruction or after it.</summary>
    public readonly Flags[] LiveBefore = new Flags[MaxInstructions];

    /// <summary>Flags whose values may be read after each instruction.</summary>
    public readonly Flags[] LiveAfter = new Flags[MaxInstructions];

    /// <summary>The bytes of a first instruction that crosses the page.</summary>
    private readonly byte[] _crossing = new byte[32];

    public int Count;
    public int Length;
    public BlockEnd End;
    public bool CrossesPage;
    public DecodeResult Undecodable;

    /// <summary>Flags that may be read before they are written, from the block's start.</summary>
    public Flags LiveIn;

    /// <summary>Bytes of the block itself (for immediates), valid while the source is.</summary>
    public byte* Bytes;

    /// <summary>Reads a block. It has at most <paramref name="limit"/> instructions.</summary>
    public void Read(in CodeSource source, ModeKey key, int limit)
    {
        var size = key.CodeSize();
        Count = 0;
        CrossesPage = false;
        Bytes = source.Page + source.Offset;
        var offset = source.Offset;
        while (true)
        {
            ref var instruction = ref Instructions[Count];
            var available = PageSize - offset;
            var result = InstructionDecoder.Decode(new ReadOnlySpan<byte>(source.Page + offset, Math.Min(available, 16)), size, set, out instruction);
            if (result == DecodeResult.Truncated)
            {
                if (Count == 0) ReadCrossing(source, size);
                else Finish(offset - source.Offset, BlockEnd.FallThrough);
                return;
            }
            if (result != DecodeResult.Ok)
            {
                if (Count == 0) SetUndecodable(result);
                else Finish(offset - source.Offset, BlockEnd.FallThrough);
                return;
            }
            Offsets[Count++] = offset - source.Offset;
            offset += instruction.Length;
            if (BlockEnds.EndsBlock(instruction)) { Finish(offset - source.Offset, BlockEnd.Terminator); return; }
            if (Count == limit || offset == PageSize) { Finish(offset - source.Offset, BlockEnd.FallThrough); return; }
        }
    }

    private void ReadCrossing(in CodeSource source, CodeSize size)
    {
        var here = PageSize - source.Offset;
        if (source.NextPage == null)
        {
            End = BlockEnd.NeedsNextPage;
            return;
        }
        new ReadOnlySpan<byte>(source.Page + source.Offset, here).CopyTo(_crossing);
        new ReadOnlySpan<byte>(source.NextPage, 16).CopyTo(_crossing.AsSpan(here));
        var result = InstructionDecoder.Decode(_crossing.AsSpan(0, 16), size, set, out Instructions[0]);
        if (result != DecodeResult.Ok)
        {
            SetUndecodable(result);
            return;
        }
        CrossesPage = true;
        Offsets[0] = 0;
        Count = 1;
        Finish(Instructions[0].Length, BlockEnds.EndsBlock(Instructions[0]) ? BlockEnd.Terminator : BlockEnd.FallThrough);
    }

    /// <summary>A byte of the block's code.</summary>
    public byte ByteAt(int offset) => CrossesPage ? _crossing[offset] : Bytes[offset];

    /// <summary>Whether what follows is reached from here unless a jump is taken.</summary>
    public bool MayContinue => End == BlockEnd.FallThrough || End == BlockEnd.Terminator && Instructions[Count - 1].Id is InstructionId.JumpConditional or InstructionId.Loop or InstructionId.JumpCxZero;

    /// <summary>Whether what follows is where a call returns to.</summary>
    public bool Calls => End == BlockEnd.Terminator && Instructions[Count - 1].Id is InstructionId.CallRelative or InstructionId.CallIndirect;

    /// <summary>Whether all that can follow is the target of a jump.</summary>
    private bool Jumps => End == BlockEnd.Terminator && Instructions[Count - 1].Id == InstructionId.JmpRelative;

    /// <summary>The distance from the block's start to the code that is likely to run next, or to be returned to; null where that is unknown.</summary>
    public long? LikelyNext => MayContinue || Calls ? Length : Jumps ? Length + Instructions[Count - 1].Immediate : null;

    /// <summary>Makes the block end before an instruction.</summary>
    public void Truncate(int count)
    {
        Count = count;
        Finish(Offsets[count], BlockEnd.FallThrough);
    }

    private void SetUndecodable(DecodeResult result)
    {
        Undecodable = result;
        End = BlockEnd.Undecodable;
        Length = 1;
    }

    private void Finish(int length, BlockEnd end)
    {
        Offsets[Count] = length;
        Length = length;
        End = end;
    }
}

/// <summary>Which instructions end a block.</summary>
internal static class BlockEnds
{
    /// <summary>Control goes elsewhere, or what follows must be translated under modes that this instruction may change.</summary>
    public static bool EndsBlock(in Instruction instruction)
    {
        switch (instruction.Id)
        {
            case >= InstructionId.JmpRelative and <= InstructionId.Ud:
            case InstructionId.MovToSegment or InstructionId.PopSegment or InstructionId.LoadFarPointer:
            case InstructionId.Popf or InstructionId.Hlt or InstructionId.Mwait:
            case InstructionId.MovToCr or InstructionId.MovToDr or InstructionId.Clts or InstructionId.Lmsw or InstructionId.Xsetbv:
            case InstructionId.Wrmsr or InstructionId.Invlpg or InstructionId.Invpcid:
            case InstructionId.Rsm or InstructionId.UserWait or InstructionId.NotOffered or InstructionId.Transaction:
            case InstructionId.Lods or InstructionId.Scas or InstructionId.Cmps when (instruction.Traits & (InstructionTraits.Rep | InstructionTraits.Repne)) != 0:
            case InstructionId.Ins or InstructionId.Outs:
                return true;
            default:
                return false;
        }
    }
}
