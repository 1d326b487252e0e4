// Instructions between registers that name one of the guest's registers that live in memory: where the instruction has a
// form with a memory operand in that register's place, it works on the slot itself. (Elsewhere the register is loaded,
// used and stored: Plain.)
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86.Decode;
using static Lamina.Engines.Translator.Code.GuestRegisters;

namespace Lamina.Engines.Translator.Emit;

internal sealed unsafe partial class BlockEmitter
{
    /// <summary>Emits an instruction without a memory operand on the slot of a displaced register, if it has such a form.</summary>
    private bool EmitOnSlot(in Instruction instruction)
    {
        if (instruction is not { Encoding: EncodingKind.Legacy, HasModRm: true, MandatoryPrefix: 0, OperandSize: 4 or 8 }) return false;
        if (instruction.Id is not (InstructionId.Plain or InstructionId.Mov or InstructionId.ShiftByCl)) return false;
        var names = instruction.RegClass == FieldClass.Gpr;
        if (names && instruction.RmClass == FieldClass.Gpr && instruction.Reg == instruction.Rm) return false;
        if (IsGpr(instruction.RmClass) && IsInSlot(instruction.Rm) && TakesSlotAsRm(instruction))
        {
            var reg = names ? MapField(instruction, instruction.Reg, instruction.RegClass, instruction.RegAccess) : instruction.ModRm >> 3 & 7;
            EncodeOnSlot(instruction, instruction.Opcode, reg, instruction.Rm);
            return true;
        }
        if (names && IsInSlot(instruction.Reg) && HasReverse(instruction))
        {
            var reg = MapField(instruction, instruction.Rm, instruction.RmClass, instruction.RmAccess);
            EncodeOnSlot(instruction, instruction.Opcode == 0x85 ? 0x85 : instruction.Opcode | 2, reg, instruction.Reg);
            return true;
        }
        return false;
    }

    // A store of 32 bits to a slot would leave its upper half; all of these do the same with memory as with a register.
    private static bool TakesSlotAsRm(in Instruction instruction)
    {
        if (instruction.RmAccess != OperandAccess.Read && instruction.OperandSize != 8) return false;
        return instruction.Map switch
        {
            0 => instruction.Opcode is < 0x40 and var alu && (alu & 5) == 1
                || instruction.Opcode is 0x63 or 0x69 or 0x6b or 0x81 or 0x83 or 0x85 or 0x89 or 0x8b or 0xc1 or 0xc7 or 0xd1 or 0xd3 or 0xf7 or 0xff,
            1 => instruction.Opcode is (>= 0x40 and <= 0x4f) or 0xaf or 0xb6 or 0xb7 or 0xbe or 0xbf,
            _ => false,
        };
    }

    // op r/m, r that exists as op r, r/m, too: ADD to CMP, MOV; TEST does not care.
    private static bool HasReverse(in Instruction instruction) =>
        instruction is { Map: 0, RmClass: FieldClass.Gpr, RegAccess: OperandAccess.Read }
        && (instruction.Opcode is < 0x40 and var alu && (alu & 7) == 1 || instruction.Opcode is 0x85 or 0x89);

    private void EncodeOnSlot(in Instruction instruction, int opcode, int reg, int guest)
    {
        var rex = 0x40 | (instruction.W ? 8 : 0) | reg >> 3 << 2;
        if (rex != 0x40) _asm.Byte(rex);
        if (instruction.Map == 1) _asm.Byte(0x0f);
        _asm.Byte(opcode);
        _asm.ModRmBase(reg, HostRegister.Rsp, Frame.Of(guest));
        EncodeImmediate(instruction);
    }
}
