// Which arithmetic flags may still be read after each instruction of a block. A memory access whose flags are dead can
// be checked with instructions that clobber them; elsewhere they are parked first. At the block's end the first
// instructions of the successors are looked at; where that is not possible all flags count as live.
using Lamina.Engines.X86.Decode;

namespace Lamina.Engines.Translator.Analyse;

/// <summary>Bytes behind the block's own that its translation relies on.</summary>
internal struct LookAhead
{
    /// <summary>Offset in the page, and length; 0 where nothing was looked at.</summary>
    public int Start, Length;
}

internal static unsafe class FlagLiveness
{
    private const int LookAheadInstructions = 8;

    /// <summary>Fills <see cref="GuestBlock.LiveBefore"/>, <see cref="GuestBlock.LiveAfter"/> and <see cref="GuestBlock.LiveIn"/>.</summary>
    /// <param name="block">The block, decoded.</param>
    /// <param name="source">The page that it is read from.</param>
    /// <param name="key">The mode that it runs in.</param>
    /// <param name="precise">Flags are kept exact at every instruction that may fault.</param>
    /// <param name="first">What was looked at behind the block; nothing where that is not possible.</param>
    /// <param name="second">What was looked at where it jumps to, likewise.</param>
    public static void Analyse(GuestBlock block, in CodeSource source, ModeKey key, bool precise, out LookAhead first, out LookAhead second)
    {
        first = second = default;
        var live = Flags.All;
        if (!precise && NeedsLookAhead(block)) live = LiveOut(block, source, key, ref first, ref second);
        for (var i = block.Count - 1; i >= 0; i--)
        {
            ref readonly var instruction = ref block.Instructions[i];
            block.LiveAfter[i] = live;
            live = precise ? Flags.All : Before(instruction, live);
            block.LiveBefore[i] = live;
        }
        block.LiveIn = live;
    }

    /// <summary>Flags live before an instruction, given those live after it.</summary>
    public static Flags Before(in Instruction instruction, Flags live)
    {
        if (IsOpaque(instruction.Id)) return Flags.All;
        if ((instruction.Traits & InstructionTraits.FlagsMayStay) == 0) live &= ~instruction.FlagsWritten;
        return live | instruction.FlagsRead;
    }

    /// <summary>Instructions that leave generated code for the C# executor: it may look at all flags.</summary>
    private static bool IsOpaque(InstructionId id) => id switch
    {
        InstructionId.Plain or InstructionId.Lea or InstructionId.Nop or InstructionId.Mov or InstructionId.MovMoffs or InstructionId.ZeroRegister
            or InstructionId.IncDecShort or InstructionId.Xchg or InstructionId.Divide or InstructionId.ShiftByCl
            or InstructionId.JmpRelative or InstructionId.JumpConditional or InstructionId.CallRelative or InstructionId.JmpIndirect
            or InstructionId.CallIndirect or InstructionId.Ret or InstructionId.Loop or InstructionId.JumpCxZero
            or InstructionId.Push or InstructionId.PushImmediate or InstructionId.Pop or InstructionId.Leave or InstructionId.Pause
            or InstructionId.CompareExchangeWide or InstructionId.BitTestMemory or InstructionId.Movs or InstructionId.Stos
            or InstructionId.Cli or InstructionId.Sti or InstructionId.Cld or InstructionId.Std or InstructionId.MovFromSegment or InstructionId.MovFromCr
            or InstructionId.Rdfsbase or InstructionId.Rdgsbase or InstructionId.Wrfsbase or InstructionId.Wrgsbase or InstructionId.Stac or InstructionId.Clac or InstructionId.Rdtsc or InstructionId.Rdtscp or InstructionId.Swapgs => false,
        _ => true,
    };

    // Only accesses (or polls) behind the last instruction that writes all flags care about what is live at the end.
    private static bool NeedsLookAhead(GuestBlock block)
    {
        for (var i = block.Count - 1; i >= 0; i--)
        {
            ref readonly var instruction = ref block.Instructions[i];
            if (instruction.Id is InstructionId.Ret or InstructionId.JmpIndirect or InstructionId.CallIndirect) return false;
            if (IsOpaque(instruction.Id)) return false;
            if (instruction.HasMemory || instruction.Id is InstructionId.Push or InstructionId.Pop or InstructionId.CallRelative or InstructionId.PushImmediate or InstructionId.Leave) return true;
            if ((instruction.FlagsWritten | Flags.AF) == Flags.All && (instruction.Traits & InstructionTraits.FlagsMayStay) == 0) return false;
        }
        return false;
    }

    private static Flags LiveOut(GuestBlock block, in CodeSource source, ModeKey key, ref LookAhead first, ref LookAhead second)
    {
        if (block.CrossesPage) return Flags.All;
        var end = source.Offset + block.Length;
        if (block.End == BlockEnd.FallThrough) return LiveAt(block, source.Page, end, key, ref first);
        ref readonly var last = ref block.Instructions[block.Count - 1];
        switch (last.Id)
        {
            case InstructionId.JmpRelative or InstructionId.CallRelative:
                return LiveAt(block, source.Page, end + last.Immediate, key, ref first);
            case InstructionId.JumpConditional or InstructionId.Loop or InstructionId.JumpCxZero:
                var live = LiveAt(block, source.Page, end, key, ref first);
                return live == Flags.All ? live : live | LiveAt(block, source.Page, end + last.Immediate, key, ref second);
            default:
                return Flags.All;
        }
    }

    private static Flags LiveAt(GuestBlock block, byte* page, long offset, ModeKey key, ref LookAhead look)
    {
        if (offset is < 0 or >= 4096) return Flags.All;
        var start = (int)offset;
        var at = start;
        Flags live = Flags.None, open = Flags.All;
        for (var i = 0; i < LookAheadInstructions && open != Flags.None; i++)
        {
            if (InstructionDecoder.Decode(new ReadOnlySpan<byte>(page + at, Math.Min(4096 - at, 16)), key.CodeSize(), block.InstructionSet, out var instruction) != DecodeResult.Ok
                || IsOpaque(instruction.Id))
                break;
            at += instruction.Length;
            live |= instruction.FlagsRead & open;
            if ((instruction.Traits & InstructionTraits.FlagsMayStay) == 0) open &= ~instruction.FlagsWritten;
            if (BlockEnds.EndsBlock(instruction)) break;
        }
        look = new LookAhead { Start = start, Length = at - start };
        return live | open;
    }
}
