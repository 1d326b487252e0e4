// Branches. Within a page direct jumps are linked: JMP rel32 from block to block. Everything else goes through the jump
// cache: the linear target in S0, flags parked if live, and an indirect jump by a hash of the target. The entry is a
// landing pad, which knows its own address, compares it with S0, and brings flags back if the block wants them. Direct
// jumps to other pages get a far link: it makes sure that the cache still has the pad, and jumps to the block itself.
// Calls and returns are in BlockEmitter.Calls.cs.
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.Translator.Runtime;
using Lamina.Engines.X86.Decode;
using static Lamina.Engines.Translator.Code.GuestRegisters;

namespace Lamina.Engines.Translator.Emit;

internal sealed unsafe partial class BlockEmitter
{
    private bool NativeBranch(in Instruction instruction) =>
        (_key & ModeKey.SingleStep) == 0
        && (_long ? instruction.OperandSize == 8 && _pageOffset + NextOffset + instruction.Immediate <= int.MaxValue && !LeadsNowhere(instruction) : instruction.OperandSize == 4 && _codeBase == 0 || InPage(NextOffset + instruction.Immediate) && !TruncatesTarget(instruction));

    // A 16-bit operand size cuts the target's offset to 16 bits; the address in the page then says nothing about it.
    private bool TruncatesTarget(in Instruction instruction) =>
        instruction.OperandSize == 2 && (PositionIndependent || _linear + (ulong)(NextOffset + instruction.Immediate) - _codeBase > 0xffff);

    // To no canonical address: such a branch faults.
    private bool LeadsNowhere(in Instruction instruction)
    {
        var target = _linear + (ulong)(NextOffset + instruction.Immediate);
        return !PositionIndependent && (ulong)((long)target << 16 >> 16) != target;
    }

    private bool NativeIndirect(in Instruction instruction) =>
        (_key & ModeKey.SingleStep) == 0 && (_long ? instruction.OperandSize == 8 : instruction.OperandSize == 4 && _codeBase == 0);

    private bool InPage(long guestOffset) => !_block.CrossesPage && _pageOffset + guestOffset is >= 0 and < 4096;

    /// <summary>Jumps to an offset from the block's start, linked or through the jump cache.</summary>
    private void EmitJump(long target, Flags live, bool mayFall = true)
    {
        if (InPage(target))
        {
            if (live != Flags.None) UnparkFlags();
            if (!mayFall || target != _follower) AddLink(PatchableJump(), target);
        }
        else
        {
            EmitFarJump((int)target, GuestOffset, live);
        }
    }

    private byte* PatchableJump()
    {
        _asm.AlignDisplacement(1);
        return _asm.JmpForward();
    }

    // What is there already is jumped to at once.
    private void AddLink(byte* field, long target)
    {
        if (neighbour(_identity, _linear, (int)target) is { } block) _asm.Bind(field, buffer.At(block.HostStart));
        else _cold[_coldCount++] = new Cold { Kind = ColdKind.Link, Jump0 = field, Target = (int)target, GuestOffset = GuestOffset };
    }

    /// <summary>Jumps to another page at a known distance.</summary>
    private void EmitFarJump(int target, int guestOffset, Flags live)
    {
        CopyFlags(live);
        _cold[_coldCount++] = new Cold { Kind = ColdKind.FarLink, Jump0 = PatchableJump(), Target = target, GuestOffset = guestOffset, Parked = live != Flags.None };
    }

    // Goes through the jump cache, and now and then leaves for a link: most of such jumps are too rare to be worth one.
    private void EmitColdFarLink(in Cold cold)
    {
        _asm.GsDecrementByte(Slot.FarJumps + (buffer.Sites.Count & (Slot.FarJumpCounts - 1)));
        var rare = _asm.JccShort(Cond.NE);
        LeaveInline(SiteKind.FarLink, stubs.FarLink, cold.GuestOffset, cold.Parked, cold.Target, buffer.OffsetOf(cold.Jump0));
        _asm.BindShort(rare);
        EmitCodeAddress(S0, cold.Target);
        if (PositionIndependent)
        {
            _asm.JumpThroughCache();
            return;
        }
        var address = _linear + (ulong)(long)cold.Target;
        _asm.Byte(0x65);
        _asm.Byte(0xff);
        _asm.GsAddress(4, Slot.JumpCache + Slot.JumpCacheHash(address) * 2);
    }

    private void EmitJumpRelative(in Instruction instruction) => EmitJump(NextOffset + instruction.Immediate, LiveAfter);

    private void EmitConditional(in Instruction instruction)
    {
        UnparkFlags();
        _asm.AlignDisplacement(2);
        EmitEdge(_asm.JccForward(instruction.Condition), NextOffset + instruction.Immediate);
        EmitJump(NextOffset, LiveAfter);
    }

    /// <summary>The taken side of a branch whose displacement is open.</summary>
    private void EmitEdge(byte* field, long target)
    {
        if (InPage(target)) AddLink(field, target);
        else _cold[_coldCount++] = new Cold { Kind = ColdKind.FarEdge, Jump0 = field, Target = (int)target, FlagsLive = LiveAfter != Flags.None };
    }

    private void EmitCounted(in Instruction instruction)
    {
        if (LiveAfter != Flags.None) UnparkFlags();
        if (instruction.AddressSize == 4) _asm.Byte(0x67);
        _asm.Byte(instruction.Opcode);
        _asm.Byte(2);
        var fall = _asm.JmpShort();
        EmitEdge(PatchableJump(), NextOffset + instruction.Immediate);
        _asm.BindShort(fall);
        EmitJump(NextOffset, LiveAfter);
    }

    private void EmitJumpIndirect(in Instruction instruction)
    {
        if (instruction.HasMemory)
        {
            var operand = BeginOperand(instruction);
            OperandOp(Op.MovLoad, S0, operand, _long);
            EndAccess(operand);
        }
        else
        {
            _asm.Mov(S0, LoadGuest(instruction.Rm, S0), _long);
        }
        EmitIndirectEnd();
    }

    /// <summary>Goes to the address in S0.</summary>
    /// <param name="pushed">What was pushed: a branch that faults leaves the stack pointer as it was.</param>
    private void EmitIndirectEnd(int pushed = 0)
    {
        CopyFlags(LiveAfter);
        if (!_long)
        {
            _asm.JumpThroughCache();
            return;
        }
        AddFaultSite(SiteKind.BadTarget, buffer.OffsetOf(_asm.JumpThroughCacheIfCanonical()), -pushed);
    }
}
