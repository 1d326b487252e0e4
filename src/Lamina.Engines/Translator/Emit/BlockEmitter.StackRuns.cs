// Runs of PUSH or POP of registers, as functions begin and end with (and RET behind a run of POP): the addresses are known
// distances apart, so that one look at the table serves all of them, provided that they lie in one page. Where they do
// not, or the entry is missing, the same instructions stand once more in the cold part, each with its own check. Only the
// first instruction's access can fault, before anything has changed.
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.Translator.Decode;
using static Lamina.Engines.Translator.Emit.GuestRegisters;

namespace Lamina.Engines.Translator.Emit;

internal sealed unsafe partial class BlockEmitter
{
    // Shorter ones do not make up for standing there twice.
    private const int ShortestRun = 3;

    /// <summary>A run, or a group, that stands in the straight part, for the way around it.</summary>
    private struct StackRun
    {
        public int First, Count, FirstCold, PastCold;
        public byte* Crosses, Missing, Resume;
        public FlagPlace Flags, FlagsAfter;
    }

    private readonly StackRun[] _runs = new StackRun[GuestBlock.MaxInstructions / 2 + 1];
    private int _runCount;

    /// <summary>How many instructions from here on are a run, 0 if they are none worth it.</summary>
    /// <param name="poll">The instruction that a test for exit requests comes before.</param>
    private int StackRunLength(int poll)
    {
        if (!_long || (_key & (ModeKey.SingleStep | ModeKey.AlignmentCheck)) != 0) return 0;
        var id = _block.Instructions[_index].Id;
        var end = _index;
        while (end < _block.Count && (end == _index || end != poll) && IsStackRegister(_block.Instructions[end], id)) end++;
        if (id == InstructionId.Pop && end < _block.Count && end != poll && EndsPopRun(_block.Instructions[end])) end++;
        return end - _index >= ShortestRun ? end - _index : 0;
    }

    // PUSH RSP and POP RSP are not what a run takes them for.
    private bool IsStackRegister(in Instruction instruction, InstructionId id) =>
        instruction.Id == id && id is InstructionId.Push or InstructionId.Pop && !instruction.HasMemory && NativeStack(instruction) && StackRegister(instruction) != 4;

    private bool EndsPopRun(in Instruction instruction) =>
        instruction.Id == InstructionId.Ret && NativeIndirect(instruction) && NativeStack(instruction);

    private static int StackRegister(in Instruction instruction) =>
        instruction.OpcodeRegClass != FieldClass.None ? instruction.OpcodeReg : instruction.Rm;

    /// <summary>Emits a run; the walk goes on behind it.</summary>
    private void EmitStackRun(int count)
    {
        ParkFlags(LiveBefore);
        ref var run = ref _runs[_runCount++];
        run = new StackRun { First = _index, Count = count, Flags = _flags };
        // Once more: by now the flags may be parked.
        NoteInstruction();
        if (_block.Instructions[_index].Id == InstructionId.Push) EmitPushRun(ref run);
        else EmitPopRun(ref run);
        run.FlagsAfter = _flags;
        run.Resume = _asm.Cursor;
        _index = run.First + count - 1;
    }

    private void EmitPushRun(ref StackRun run)
    {
        var bytes = run.Count * 8;
        _asm.Rm(Op.Lea, S0, StackPointer, -bytes);
        _asm.Rm(Op.Lea, S1, StackPointer, -1);
        BeginRun(ref run, S0, write: true);
        _asm.Rx(Op.Lea, S0, S0, S1, 0, 0);
        for (var n = 0; n < run.Count; n++)
            _asm.Rm(Op.MovStore, LoadGuest(StackRegister(_block.Instructions[run.First + n]), S1), S0, bytes - 8 * (n + 1));
        AdjustStack(-bytes);
    }

    private void EmitPopRun(ref StackRun run)
    {
        _asm.Rm(Op.Lea, S1, StackPointer, run.Count * 8 - 1);
        BeginRun(ref run, StackPointer, write: false);
        var released = 0;
        for (var n = 0; n < run.Count; n++)
        {
            ref readonly var instruction = ref _block.Instructions[run.First + n];
            var guest = StackRegister(instruction);
            var isReturn = instruction.Id == InstructionId.Ret;
            var direct = !isReturn && !IsDisplaced(guest);
            _asm.Rx(Op.MovLoad, direct ? HostOf(guest) : S0, StackPointer, S1, 0, n * 8);
            if (!direct && !isReturn) _asm.Frame(Op.MovStore, S0, Frame.Of(guest));
            released += isReturn ? 8 + (ushort)instruction.Immediate : 8;
        }
        AdjustStack(released);
        _index = run.First + run.Count - 1;
        if (_block.Instructions[_index].Id == InstructionId.Ret) EmitIndirectEnd();
    }

    // In S1, the last byte's address on entry: it differs from the first's in the offset within the page alone.
    private void BeginRun(ref StackRun run, int first, bool write)
    {
        _asm.Rr(Op.Xor, first, S1);
        _asm.RegImmediate(7, S1, 4095);
        run.Crosses = _asm.JccForward(Cond.A);
        _asm.LoadAddend(S1, first, write);
        _asm.Rr(Op.Test, S1, S1);
        run.Missing = _asm.JccForward(Cond.E);
    }

    /// <summary>The instructions of runs one by one, in the cold part.</summary>
    private void EmitRunsOneByOne()
    {
        for (var n = 0; n < _runCount; n++)
        {
            var run = _runs[n];
            _asm.Bind(run.Crosses);
            _asm.Bind(run.Missing);
            _flags = run.Flags;
            for (_index = run.First; _index < run.First + run.Count; _index++)
            {
                EnterFromGroup(ref run);
                NoteInstruction();
                EmitInstruction(_block.Instructions[_index]);
            }
            _index--;
            if (_block.Instructions[_index].Id == InstructionId.Ret) continue;
            PlaceFlags(run.FlagsAfter);
            _asm.JmpBack(run.Resume);
        }
    }

    // Live flags to where the straight part has them at this point.
    private void PlaceFlags(FlagPlace place)
    {
        if (LiveAfter == Flags.None || _flags == place || _flags == FlagPlace.Both) return;
        if (place != FlagPlace.Parked && _flags == FlagPlace.Parked) UnparkFlags();
        else if (_flags == FlagPlace.Host) CopyFlags(LiveAfter);
    }

    private void NoteInstruction() =>
        buffer.Instructions.Add((buffer.OffsetOf(_asm.Cursor), (ushort)_block.Offsets[_index], _flags == FlagPlace.Parked));
}
