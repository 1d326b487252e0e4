// Runs of PUSH or POP of registers, as functions begin and end with (and RET behind a run of POP): the addresses are known
// distances apart, so that one look at the table serves all of them (see Stretches). Only the first instruction's access
// can fault, before anything has changed.
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86.Decode;
using static Lamina.Engines.Translator.Code.GuestRegisters;

namespace Lamina.Engines.Translator.Emit;

internal sealed unsafe partial class BlockEmitter
{
    // Shorter ones do not make up for standing there twice.
    private const int ShortestRun = 3;

    /// <summary>How many instructions from here on are a run, 0 if they are none worth it.</summary>
    /// <param name="poll">The instruction that a test for exit requests comes before.</param>
    private int StackRunLength(int poll)
    {
        if (!SharesLookUps) return 0;
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
        ref var run = ref BeginStretch(count);
        if (_block.Instructions[_index].Id == InstructionId.Push) EmitPushRun(ref run);
        else EmitPopRun(ref run);
        EndStretch(ref run);
    }

    private void EmitPushRun(ref Stretch run)
    {
        var bytes = run.Count * 8;
        _asm.Rm(Op.Lea, S0, StackPointer, -bytes);
        _asm.Rm(Op.Lea, S1, StackPointer, -1);
        LookUpOnce(ref run, S0, write: true);
        _asm.Rx(Op.Lea, S0, S0, S1, 0, 0);
        for (var n = 0; n < run.Count; n++)
            _asm.Rm(Op.MovStore, LoadGuest(StackRegister(_block.Instructions[run.First + n]), S1), S0, bytes - 8 * (n + 1));
        AdjustStack(-bytes);
    }

    private void EmitPopRun(ref Stretch run)
    {
        _asm.Rm(Op.Lea, S1, StackPointer, run.Count * 8 - 1);
        LookUpOnce(ref run, StackPointer, write: false);
        var released = 0;
        for (var n = 0; n < run.Count; n++)
        {
            ref readonly var instruction = ref _block.Instructions[run.First + n];
            var guest = StackRegister(instruction);
            var isReturn = instruction.Id == InstructionId.Ret;
            var direct = !isReturn && !IsDisplaced(guest);
            _asm.Rx(Op.MovLoad, direct ? HostOf(guest) : S0, StackPointer, S1, 0, n * 8);
            if (!direct && !isReturn) _asm.Frame(Op.MovStore, S0, Frame.Of(guest));
            released += isReturn ? ReleasedBy(instruction) : 8;
        }
        AdjustStack(released);
        _index = run.First + run.Count - 1;
        if (_block.Instructions[_index].Id == InstructionId.Ret) EmitReturnEnd(_block.Instructions[_index]);
    }
}
