// Calls and returns. A call notes, by the address of the stack slot that it fills, where its return will lead: the address,
// and a landing right behind the call. A return that finds its address noted for its slot goes there; any other goes through
// the jump cache. What the notes say is true as long as what the jump cache says is, and they are emptied together. They are
// not used up, so a landing looks whether anybody wants the vCPU out, as a pad does: a guest may loop over returns alone.
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86.Decode;
using static Lamina.Engines.Translator.Code.GuestRegisters;

namespace Lamina.Engines.Translator.Emit;

internal sealed unsafe partial class BlockEmitter
{
    private void EmitPushReturnAddress()
    {
        var operand = BeginPush();
        if (PositionIndependent)
        {
            Fold(ref operand);
            EmitCodeAddress(S1, NextOffset);
            OperandOp(Op.MovStore, S1, operand, _long);
        }
        else
        {
            var address = _linear + (ulong)NextOffset - _codeBase;
            if (!_long || (long)address == (int)address)
            {
                OperandOp(0xc7, 0, operand, _long);
                _asm.Int32((int)address);
            }
            else
            {
                Fold(ref operand);
                _asm.MovImmediate(S1, address);
                OperandOp(Op.MovStore, S1, operand, _long);
            }
        }
        AdjustStack(-StackWidth);
        EndAccess(operand);
    }

    /// <summary>
    /// Notes where the return of the call leads whose return address was just pushed. Returns the field of the landing's
    /// address, for <see cref="EmitLanding"/>, or null where the landing would be in another page. Clobbers both scratch registers.
    /// </summary>
    private byte* NoteReturn()
    {
        if (!InPage(NextOffset) || _codeBase != 0) return null;
        // What was pushed is still there, also when the store was made elsewhere.
        if (!PositionIndependent) _asm.MovImmediate(S1, _linear + (ulong)NextOffset);
        _asm.Mov(S0, StackPointer, wide: false);
        _asm.RegImmediate(4, S0, Slot.ReturnMask, wide: false);
        _asm.GsIndex(Op.MovStore, S1, S0, 1, Slot.Returns);
        var landing = _asm.LeaForward(S1);
        _asm.GsIndex(Op.MovStore, S1, S0, 1, Slot.Returns + 8);
        return landing;
    }

    // Where returns to the block that is emitted next are to go, see NoteReturn; null: nowhere.
    private byte* _landing;

    /// <summary>Emits what a return goes to: its address is in S0, flags are parked.</summary>
    private void EmitLanding(byte* landing)
    {
        _landing = landing;
        if (landing == null || _follower != null) return;
        var next = neighbour(_identity, _linear, NextOffset);
        BeginLanding(next?.LiveIn ?? Flags.None);
        var field = PatchableJump();
        if (next != null) _asm.Bind(field, buffer.At(next.HostStart));
        else _cold[_coldCount++] = new Cold { Kind = ColdKind.Link, Jump0 = field, Target = NextOffset, GuestOffset = GuestOffset, Parked = true };
    }

    /// <summary>Emits a landing, if there is one to be emitted, in front of a block, or of a jump to one, that wants these flags.</summary>
    private void BeginLanding(Flags live)
    {
        if (_landing == null) return;
        _asm.Bind(_landing);
        _landing = null;
        _asm.GsCompare8(Slot.ExitRequest, 0);
        _asm.Jcc(Cond.NE, stubs.JumpMiss);
        if (PositionIndependent)
        {
            _asm.RegImmediate(4, S0, -4096);
            _asm.Frame(Op.MovStore, S0, Frame.CodePage);
        }
        if (live != Flags.None) _asm.UnparkFlags();
    }

    private void EmitCallRelative(in Instruction instruction)
    {
        EmitPushReturnAddress();
        var landing = NoteReturn();
        EmitJump(NextOffset + instruction.Immediate, LiveAfter, mayFall: false);
        EmitLanding(landing);
    }

    private void EmitCallIndirect(in Instruction instruction)
    {
        // A register of the host's that the push leaves alone has the target to the end.
        var stays = !instruction.HasMemory && !IsDisplaced(instruction.Rm) && HostOf(instruction.Rm) != StackPointer;
        var target = S0;
        if (instruction.HasMemory) EmitLoadTemporary(instruction);
        else target = LoadGuest(instruction.Rm, S0);
        if (!instruction.HasMemory && !stays) _asm.Frame(Op.MovStore, target, Frame.Temporary0, _long);
        EmitPushReturnAddress();
        var landing = NoteReturn();
        if (stays) _asm.Mov(S0, target, _long);
        else _asm.Frame(Op.MovLoad, S0, Frame.Temporary0, _long);
        EmitIndirectEnd(StackWidth);
        EmitLanding(landing);
    }

    // Where a return goes whose note says something else. What is not canonical is refused with the stack as it was.
    private void EmitColdReturn(in Cold cold)
    {
        _asm.TestCanonical(S0, S1);
        _asm.Jcc(Cond.BE, stubs.Jump);
        LeaveInline(SiteKind.BadTarget, stubs.BadTarget, cold.GuestOffset, cold.Parked, target: cold.Target);
    }

    private void EmitReturn(in Instruction instruction)
    {
        var operand = BeginPop();
        OperandOp(Op.MovLoad, S0, operand, _long);
        AdjustStack(ReleasedBy(instruction));
        EndAccess(operand);
        EmitReturnEnd(instruction);
    }

    /// <summary>What RET takes from the stack, its operand's bytes with it.</summary>
    private int ReleasedBy(in Instruction instruction) => StackWidth + (ushort)instruction.Immediate;

    /// <summary>Goes to the return address in S0, which was popped.</summary>
    private void EmitReturnEnd(in Instruction instruction)
    {
        CopyFlags(LiveAfter);
        _asm.Rm(Op.Lea, S1, StackPointer, -ReleasedBy(instruction), wide: false);
        _asm.RegImmediate(4, S1, Slot.ReturnMask, wide: false);
        _asm.GsIndex(Op.CmpLoad, S0, S1, 1, Slot.Returns);
        if (_long) _cold[_coldCount++] = new Cold { Kind = ColdKind.Return, Jump0 = _asm.JccForward(Cond.NE), GuestOffset = GuestOffset, Target = ReleasedBy(instruction), Parked = _flags != FlagPlace.Host };
        else _asm.Jcc(Cond.NE, stubs.Jump);
        _asm.GsIndex(0xff, 4, S1, 1, Slot.Returns + 8, wide: false);
    }
}
