// PUSH, POP, LEAVE and the stack side of CALL and RET, for the stacks that all current code has: 64-bit, or flat 32-bit
// with operands of the stack's width. The rest goes to the executor.
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86.Decode;
using static Lamina.Engines.Translator.Code.GuestRegisters;

namespace Lamina.Engines.Translator.Emit;

internal sealed unsafe partial class BlockEmitter
{
    private int StackWidth => _long ? 8 : 4;

    private bool NativeStack(in Instruction instruction)
    {
        if ((_key & (ModeKey.SingleStep | ModeKey.AlignmentCheck)) != 0 && instruction.Id is not (InstructionId.Push or InstructionId.Pop or InstructionId.PushImmediate or InstructionId.Leave)) return false;
        if ((_key & ModeKey.AlignmentCheck) != 0) return false;
        return _long
            ? instruction.OperandSize == 8
            : instruction.OperandSize == 4 && (_key & ModeKey.Stack32) != 0 && _key.IsFlat(2);
    }

    private void EmitStackInstruction(in Instruction instruction)
    {
        switch (instruction.Id)
        {
            case InstructionId.Push when instruction.HasMemory: EmitPushMemory(instruction); break;
            case InstructionId.Push: EmitPushRegister(StackRegister(instruction)); break;
            case InstructionId.PushImmediate: EmitPushImmediate((int)instruction.Immediate); break;
            case InstructionId.Pop when instruction.HasMemory: EmitPopMemory(instruction); break;
            case InstructionId.Pop: EmitPopRegister(StackRegister(instruction)); break;
            default: EmitLeave(); break;
        }
    }

    /// <summary>Checks the write of one stack slot below the stack pointer; S0 holds its address.</summary>
    private HostOperand BeginPush()
    {
        _asm.Rm(Op.Lea, S0, StackPointer, -StackWidth, _long);
        return BeginAccess(S0, StackWidth, OperandAccess.Write, 0, !_long);
    }

    private void AdjustStack(int by) => _asm.Rm(Op.Lea, StackPointer, StackPointer, by, _long);

    private void EmitPushRegister(int guest)
    {
        var operand = BeginPush();
        int value;
        if (IsDisplaced(guest))
        {
            Fold(ref operand);
            _asm.Frame(Op.MovLoad, S1, Frame.Of(guest));
            value = S1;
        }
        else
        {
            value = HostOf(guest);
        }
        OperandOp(Op.MovStore, value, operand, _long);
        AdjustStack(-StackWidth);
        EndAccess(operand);
    }

    private void EmitPushImmediate(int value)
    {
        var operand = BeginPush();
        OperandOp(0xc7, 0, operand, _long);
        _asm.Int32(value);
        AdjustStack(-StackWidth);
        EndAccess(operand);
    }

    /// <summary>Pushes what <see cref="Frame.Temporary0"/> holds.</summary>
    private void EmitPushTemporary()
    {
        var operand = BeginPush();
        Fold(ref operand);
        _asm.Frame(Op.MovLoad, S1, Frame.Temporary0, _long);
        OperandOp(Op.MovStore, S1, operand, _long);
        AdjustStack(-StackWidth);
        EndAccess(operand);
    }

    private void EmitPushMemory(in Instruction instruction)
    {
        EmitLoadTemporary(instruction);
        EmitPushTemporary();
    }

    /// <summary>Reads the memory operand into <see cref="Frame.Temporary0"/>.</summary>
    private void EmitLoadTemporary(in Instruction instruction)
    {
        var operand = BeginOperand(instruction);
        OperandOp(Op.MovLoad, S0, operand, _long);
        EndAccess(operand);
        _asm.Frame(Op.MovStore, S0, Frame.Temporary0, _long);
    }

    private HostOperand BeginPop()
    {
        if (_long) return BeginAccess(StackPointer, 8, OperandAccess.Read, 0, narrow: false);
        _asm.Mov(S0, StackPointer, wide: false);
        return BeginAccess(S0, 4, OperandAccess.Read, 0, narrow: true);
    }

    private void EmitPopRegister(int guest)
    {
        var operand = BeginPop();
        if (IsDisplaced(guest))
        {
            OperandOp(Op.MovLoad, S0, operand, _long);
            _asm.Frame(Op.MovStore, S0, Frame.Of(guest));
            AdjustStack(StackWidth);
        }
        else if (guest == 4)
        {
            OperandOp(Op.MovLoad, StackPointer, operand, _long);
        }
        else
        {
            OperandOp(Op.MovLoad, HostOf(guest), operand, _long);
            AdjustStack(StackWidth);
        }
        EndAccess(operand);
    }

    // The address is computed with the stack pointer as it is after the pop (SDM vol. 2, POP); the pointer itself moves
    // only when neither access can fault any more.
    private void EmitPopMemory(in Instruction instruction)
    {
        var source = BeginPop();
        OperandOp(Op.MovLoad, S0, source, _long);
        EndAccess(source);
        _asm.Frame(Op.MovStore, S0, Frame.Temporary0, _long);
        var operand = BeginOperand(instruction, instruction.Base == 4 ? StackWidth : 0);
        Fold(ref operand);
        _asm.Frame(Op.MovLoad, S1, Frame.Temporary0, _long);
        OperandOp(Op.MovStore, S1, operand, _long);
        AdjustStack(StackWidth);
        EndAccess(operand);
    }

    private void EmitLeave()
    {
        int address = HostRegister.Rbp;
        if (!_long)
        {
            _asm.Mov(S0, HostRegister.Rbp, wide: false);
            address = S0;
        }
        var operand = BeginAccess(address, StackWidth, OperandAccess.Read, 0, !_long);
        Fold(ref operand);
        OperandOp(Op.MovLoad, S1, operand, _long);
        _asm.Rm(Op.Lea, StackPointer, HostRegister.Rbp, StackWidth, _long);
        _asm.Mov(HostRegister.Rbp, S1, _long);
        EndAccess(operand);
    }
}
