// Stretches: instructions that one look at the table serves, in the straight part. Where that fails, or the accesses do not
// lie in one page, the same instructions stand once more in the cold part, each with its own check. What makes a stretch:
// StackRuns, Groups.
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86.Decode;
using static Lamina.Engines.Translator.Code.GuestRegisters;

namespace Lamina.Engines.Translator.Emit;

internal sealed unsafe partial class BlockEmitter
{
    /// <summary>A stretch in the straight part, for the way around it.</summary>
    private struct Stretch
    {
        public int First, Count, FirstCold, PastCold;
        public byte* Crosses, Missing, Resume;
        public FlagPlace Flags, FlagsAfter;
    }

    // None has less than two instructions.
    private readonly Stretch[] _stretches = new Stretch[GuestBlock.MaxInstructions / 2];
    private int _stretchCount;

    private bool SharesLookUps => _long && (_key & (ModeKey.SingleStep | ModeKey.AlignmentCheck)) == 0;

    private ref Stretch BeginStretch(int count)
    {
        DropHeld();
        ParkFlags(LiveBefore);
        ref var stretch = ref _stretches[_stretchCount++];
        stretch = new Stretch { First = _index, Count = count, Flags = _flags, FirstCold = _coldCount };
        // Once more: by now the flags may be parked.
        NoteInstruction();
        return ref stretch;
    }

    private void EndStretch(ref Stretch stretch)
    {
        DropHeld();
        stretch.FlagsAfter = _flags;
        stretch.PastCold = _coldCount;
        stretch.Resume = _asm.Cursor;
        _index = stretch.First + stretch.Count - 1;
    }

    // In S1, the last byte's address on entry: it differs from the first's in the offset within the page alone.
    private void LookUpOnce(ref Stretch stretch, int first, bool write)
    {
        _asm.Rr(Op.Xor, first, S1);
        _asm.RegImmediate(7, S1, 4095);
        stretch.Crosses = _asm.JccForward(Cond.A);
        _asm.LoadAddend(S1, first, write);
        _asm.Rr(Op.Test, S1, S1);
        stretch.Missing = _asm.JccForward(Cond.E);
    }

    /// <summary>The instructions of stretches one by one, in the cold part.</summary>
    private void EmitStretchesOneByOne()
    {
        for (var n = 0; n < _stretchCount; n++)
        {
            var stretch = _stretches[n];
            _asm.Bind(stretch.Crosses);
            _asm.Bind(stretch.Missing);
            _flags = stretch.Flags;
            for (_index = stretch.First; _index < stretch.First + stretch.Count; _index++)
            {
                EnterFromGroup(ref stretch);
                NoteInstruction();
                EmitInstruction(_block.Instructions[_index]);
            }
            _index--;
            if (_block.Instructions[_index].Id == InstructionId.Ret) continue;
            PlaceFlags(stretch.FlagsAfter);
            _asm.JmpBack(stretch.Resume);
        }
    }

    // Before an instruction: is it where an access goes on that lies between a group's members and is not in the table?
    private void EnterFromGroup(ref Stretch stretch)
    {
        if (stretch.FirstCold == stretch.PastCold) return;
        ref readonly var cold = ref _cold[stretch.FirstCold];
        if (!cold.InGroup || cold.Index != _index) return;
        stretch.FirstCold++;
        DropHeld();
        ParkFlags(LiveBefore);
        if (cold.Jump0 != null) _asm.Bind(cold.Jump0);
        _asm.Bind(cold.Jump1);
    }

    // Live flags to where the straight part has them at this point.
    private void PlaceFlags(FlagPlace place)
    {
        if (LiveAfter == Flags.None || _flags == place || _flags == FlagPlace.Both) return;
        if (place != FlagPlace.Parked && _flags == FlagPlace.Parked) UnparkFlags();
        else if (_flags == FlagPlace.Host) CopyFlags(LiveAfter);
    }
}
