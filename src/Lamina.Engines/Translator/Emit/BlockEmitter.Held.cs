// Of the guest's registers that live in memory, one may stay in scratch 0 from one instruction to the next, changed there
// as often as the guest does, and stored once: by instructions between registers and by a group's members, which leave
// scratch 0 alone, cannot fault and cannot leave. Whatever else comes finds everything in its slot.
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86.Decode;
using static Lamina.Engines.Translator.Code.GuestRegisters;

namespace Lamina.Engines.Translator.Emit;

internal sealed unsafe partial class BlockEmitter
{
    private int _held = NotPresent;
    private bool _heldChanged;

    // For the instruction at hand: whether it may take scratch 0, and whether it names what is there.
    private bool _mayHold, _heldNamed;

    private void DropHeld()
    {
        if (_held == NotPresent) return;
        if (_heldChanged) _asm.Frame(Op.MovStore, S0, Frame.Of(_held));
        _held = NotPresent;
    }

    private void Hold(int guest, bool load, bool changed)
    {
        DropHeld();
        if (load) _asm.Frame(Op.MovLoad, S0, Frame.Of(guest));
        (_held, _heldChanged, _heldNamed) = (guest, changed, true);
    }

    /// <summary>Before each instruction: makes way for it, unless it leaves scratch 0 alone.</summary>
    private void BeginHeld(in Instruction instruction)
    {
        _mayHold = KeepsHeld(instruction);
        if (!_mayHold) DropHeld();
        _heldNamed = _held != NotPresent && TimesNamed(instruction, _held) > 0;
    }

    private bool IsInSlot(int guest) => IsDisplaced(guest) && guest != _held;

    /// <summary>Whether an instruction leaves scratch 0 to the guest's register that is there, or will be.</summary>
    private bool KeepsHeld(in Instruction instruction)
    {
        if (instruction.Id == InstructionId.Nop) return true;
        if (instruction.State != StateClass.Integer) return false;
        if (instruction.Id == InstructionId.Lea)
            return instruction is { OperandSize: >= 4, AddressSize: 8 } && (instruction.Base < 0 || !IsDisplaced(instruction.Base) || instruction.Base == _held);
        if (instruction.Id is not (InstructionId.Plain or InstructionId.Mov or InstructionId.ZeroRegister or InstructionId.ShiftByCl)) return false;
        if (!instruction.HasMemory) return true;
        return IsMember(instruction) && !NeedsHostFlags(instruction) && !HasHighByteRegister(instruction) && !NeedsRegister(instruction);
    }
}
