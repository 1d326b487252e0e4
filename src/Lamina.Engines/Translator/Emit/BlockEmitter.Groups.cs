// Groups: instructions, not far from each other, that access memory at constant distances from one register that none of
// them changes, as functions do with what they keep on the stack, and with the fields of a structure. One look at the
// table serves all of them, provided that everything lies in one page, and alignment does not matter then. The addend
// waits in the frame, since scratch registers are needed in between. It cannot grow stale, because nothing in a group
// leaves generated code: where the group's look-up fails, or that of an access between its members, the instructions go
// on in the cold part (see Stretches).
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86.Decode;
using static Lamina.Engines.Translator.Code.GuestRegisters;

namespace Lamina.Engines.Translator.Emit;

internal sealed unsafe partial class BlockEmitter
{
    // The wider a group, the more often it crosses a page.
    private const int WidestGroup = 256;

    /// <summary>What the accesses of a group have in common.</summary>
    private struct Group
    {
        public int Base, Least, Most;
        public bool Writes, Active;

        /// <summary>Scratch 1 holds the addend: not for longer than until something else is written there.</summary>
        public bool AddendAtHand;
    }

    private Group _group;

    /// <summary>How many instructions from here on are a group, 0 if they are none.</summary>
    /// <param name="poll">The instruction that a test for exit requests comes before.</param>
    private int GroupLength(int poll)
    {
        if (!SharesLookUps) return 0;
        ref readonly var first = ref _block.Instructions[_index];
        if (!IsGroupable(first)) return 0;
        _group = new Group { Base = first.Base, Least = int.MaxValue, Most = int.MinValue };
        int end = _index, members = 0;
        for (var i = _index; i < _block.Count && (i == _index || i != poll); i++)
        {
            ref readonly var instruction = ref _block.Instructions[i];
            if (IsGroupable(instruction) && instruction.Base == first.Base)
            {
                var displacement = (int)instruction.Displacement;
                var least = Math.Min(_group.Least, displacement);
                var most = Math.Max(_group.Most, displacement + instruction.MemorySize);
                if (most - least > WidestGroup) break;
                (_group.Least, _group.Most) = (least, most);
                _group.Writes |= (instruction.RmAccess & OperandAccess.Write) != 0;
                members++;
                end = i + 1;
            }
            else if (!IsBetween(instruction) && !IsAside(instruction))
            {
                break;
            }
            if (Writes(instruction, first.Base)) break;
        }
        return members >= 2 ? end - _index : 0;
    }

    // An access at [register + displacement] in a flat segment that is emitted as it is. EVEX scales displacements.
    private bool IsGroupable(in Instruction instruction) =>
        instruction is
        {
            MemorySize: <= 32, MemoryAlignment: 0, Encoding: not EncodingKind.Evex, AddressSize: 8, Index: Instruction.NoRegister, Segment: < 4,
            Base: not (Instruction.NoRegister or Instruction.RipBase), Displacement: > -(1 << 30) and < 1 << 30,
        }
        && !IsDisplaced(instruction.Base) && IsAside(instruction);

    // Another access that may stand between those of a group.
    private bool IsAside(in Instruction instruction) =>
        instruction is { Id: InstructionId.Plain or InstructionId.Mov or InstructionId.ShiftByCl, HasMemory: true, MemorySize: > 0 }
        && (instruction.Traits & (InstructionTraits.Lock | InstructionTraits.ImplicitLock | InstructionTraits.MaskedMemory | InstructionTraits.VectorIndex)) == 0
        && StateEnabled(instruction.State);

    private bool IsBetween(in Instruction instruction) =>
        (!instruction.HasMemory || instruction.MemorySize == 0)
        && instruction.Id is InstructionId.Plain or InstructionId.Mov or InstructionId.ZeroRegister or InstructionId.ShiftByCl or InstructionId.Lea or InstructionId.Nop
        && StateEnabled(instruction.State);

    private static bool Writes(in Instruction instruction, int guest) =>
        (instruction.ImplicitWritten >> guest & 1) != 0
        || Field(instruction.RegClass, instruction.Reg, instruction.RegAccess, guest)
        || Field(instruction.VvvvClass, instruction.Vvvv, instruction.VvvvAccess, guest)
        || Field(instruction.OpcodeRegClass, instruction.OpcodeReg, instruction.OpcodeRegAccess, guest)
        || (!instruction.HasMemory && Field(instruction.RmClass, instruction.Rm, instruction.RmAccess, guest));

    // AH to BH are parts of 0 to 3.
    private static bool Field(FieldClass field, int register, OperandAccess access, int guest) =>
        IsGpr(field) && (access & OperandAccess.Write) != 0 && (register == guest || (field == FieldClass.Gpr8 && register - 4 == guest));

    /// <summary>Emits the group that <see cref="GroupLength"/> found; the walk goes on behind it.</summary>
    private void EmitGroup(int count)
    {
        ref var group = ref BeginStretch(count);
        var register = HostOf(_group.Base);
        _asm.Rm(Op.Lea, S0, register, _group.Least);
        _asm.Rm(Op.Lea, S1, register, _group.Most - 1);
        LookUpOnce(ref group, S0, _group.Writes);
        _asm.Frame(Op.MovStore, S1, Frame.Addend);
        _group.Active = _group.AddendAtHand = true;
        for (; _index < group.First + count; _index++)
        {
            if (_index != group.First) NoteInstruction();
            EmitInstruction(_block.Instructions[_index]);
        }
        _group.Active = false;
        EndStretch(ref group);
    }

    private bool IsMember(in Instruction instruction) => _group.Active && instruction.Base == _group.Base && IsGroupable(instruction);

    // The operand of a group's member: nothing is left to check.
    private HostOperand BeginMember(in Instruction instruction)
    {
        if (!_group.AddendAtHand) _asm.Frame(Op.MovLoad, S1, Frame.Addend);
        _group.AddendAtHand = true;
        return new HostOperand { Base = HostOf(_group.Base), Displacement = (int)instruction.Displacement, Cold = NotPresent };
    }
}
