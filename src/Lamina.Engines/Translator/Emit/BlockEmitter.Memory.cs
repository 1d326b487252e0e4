// Addresses and checked accesses. An access in place is
//     lea  S0, [address]              (left out where a register holds the address already)
//     bextr S1, S0, field             page number, truncated to 36 bits: the index can never leave the table
//     mov  S1, gs:[S1*8 + table]      addend: host address - linear address; 0: not known
//     test S0, size - 1; jnz cold     may cross the page
//     test S1, S1; jz cold
//     op   [S0 + S1]
// A non-canonical address indexes the entry of its low 48 bits, and differs from that page's address by a multiple of
// 2^48; so does the sum from a host address below 2^47: the host faults, and the fault is the guest's #GP.
using System.Numerics;
using Lamina.Core.Engine;
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86.Decode;
using static Lamina.Engines.Translator.Code.GuestRegisters;

namespace Lamina.Engines.Translator.Emit;

internal sealed unsafe partial class BlockEmitter
{
    /// <summary>A memory operand as the host sees it: [Base + S1 + Displacement] or, folded, [S0].</summary>
    private struct HostOperand
    {
        public int Base, Displacement;
        public bool Folded;
        public int Cold;
    }

    private int LoadGuest(int guest, int scratch)
    {
        if (!IsDisplaced(guest)) return HostOf(guest);
        if (guest == _held) return S0;
        if (scratch == S1) _group.AddendAtHand = false;
        _asm.Frame(Op.MovLoad, scratch, Frame.Of(guest));
        return scratch;
    }

    /// <summary>Computes the offset (effective address) of a memory operand. Changes no flags.</summary>
    /// <returns>The host register that holds it: S0, or a guest register's own where the operand is just [register].</returns>
    private int EmitEffectiveAddress(in Instruction instruction, long extra = 0)
    {
        if (instruction is { AddressSize: 8, Index: Instruction.NoRegister } && instruction.Base is not (Instruction.NoRegister or Instruction.RipBase) && instruction.Displacement + extra == 0)
            return LoadGuest(instruction.Base, S0);
        EmitAddress(instruction, extra, S0, instruction.AddressSize == 8);
        if (instruction.AddressSize == 2) _asm.Rr0F(0xb7, S0, S0, false);   // movzx S0d, S0w
        return S0;
    }

    /// <summary>Computes an effective address of 32 or 64 bits into a host register. May use S0 and S1, changes no flags.</summary>
    private void EmitAddress(in Instruction instruction, long extra, int target, bool wide)
    {
        var displacement = instruction.Displacement + extra;
        var hasBase = instruction.Base != Instruction.NoRegister;
        var hasIndex = instruction.Index != Instruction.NoRegister;
        if (instruction.Base == Instruction.RipBase)
        {
            EmitCodeAddress(target, NextOffset + displacement);
            if (!wide) _asm.Mov(target, target, wide: false);
        }
        else if (hasIndex)
        {
            var index = LoadGuest(instruction.Index, S1);
            var scale = instruction.Scale switch { 1 => 0, 2 => 1, 4 => 2, _ => 3 };
            if (hasBase) _asm.Rx(Op.Lea, target, LoadGuest(instruction.Base, S0), index, scale, (int)displacement, wide);
            else _asm.RxNoBase(Op.Lea, target, index, scale, (int)displacement, wide);
        }
        else if (hasBase)
        {
            _asm.Rm(Op.Lea, target, LoadGuest(instruction.Base, S0), (int)displacement, wide);
        }
        else
        {
            _asm.MovImmediate(target, instruction.AddressSize switch { 8 when wide => (ulong)displacement, 2 => (ushort)displacement, _ => (uint)displacement });
        }
    }

    /// <summary>Loads the linear address of a byte of the current page or beyond: <paramref name="offset"/> counts from the block's start.</summary>
    private void EmitCodeAddress(int register, long offset)
    {
        if (PositionIndependent)
        {
            _asm.Frame(Op.MovLoad, register, Frame.CodePage);
            var distance = _pageOffset + offset;
            if (_long && distance > int.MaxValue)
            {
                // A displacement of almost 2 GiB, from the page's start.
                _asm.Rm(Op.Lea, register, register, int.MaxValue, _long);
                distance -= int.MaxValue;
            }
            _asm.Rm(Op.Lea, register, register, (int)distance, _long);
        }
        else
        {
            var address = _linear + (ulong)offset;
            _asm.MovImmediate(register, _long ? address : (uint)address);
        }
    }

    /// <summary>Offset to linear address: adds the segment's base, checks the limit of segments that are not flat. May park flags.</summary>
    private int EmitLinearAddress(in Instruction instruction, int offset, int size, OperandAccess access)
    {
        var segment = instruction.Segment;
        if (_long)
        {
            if (segment < 4) return offset;
            _asm.Gs(Op.MovLoad, S1, Slot.SegmentBase(segment));
            _asm.Rx(Op.Lea, S0, S1, offset, 0, 0);
            return S0;
        }
        // Code is never written to in protected mode, flat or not.
        var write = (access & OperandAccess.Write) != 0;
        if (_key.IsFlat(segment) && !(write && segment == SegmentIndex.Cs)) return offset;
        return EmitSegmented(segment, offset, size, write);
    }

    private int EmitSegmented(int segment, int offset, int size, bool write)
    {
        var live = LiveBefore;
        ParkFlags(live);
        _asm.Mov(S0, offset, wide: false);
        _asm.Rm(Op.Lea, S1, S0, size);
        _asm.Gs(Op.CmpLoad, S1, write ? Slot.WriteLimit(segment) : Slot.ReadLimit(segment));
        var jump = _asm.JccForward(Cond.A);
        _asm.Gs(Op.MovLoad, S1, Slot.SegmentBase(segment));
        _asm.Rx(Op.Lea, S0, S0, S1, 0, 0, wide: false);
        _cold[_coldCount++] = new Cold
        {
            Kind = ColdKind.Segment,
            Jump0 = jump,
            Resume = _asm.Cursor,
            GuestOffset = GuestOffset,
            Size = size,
            Segment = segment,
            Writes = write,
            Parked = live != Flags.None,
        };
        return S0;
    }

    /// <summary>The whole path of an instruction's memory operand up to the point where the host operand can be used.</summary>
    private HostOperand BeginOperand(in Instruction instruction, long extra = 0)
    {
        var offset = EmitEffectiveAddress(instruction, extra);
        var linear = EmitLinearAddress(instruction, offset, instruction.MemorySize, instruction.RmAccess);
        var narrow = !_long || (instruction.AddressSize == 4 && instruction.Segment < 4);
        return BeginAccess(linear, instruction.MemorySize, instruction.RmAccess, instruction.MemoryAlignment, narrow);
    }

    /// <summary>Emits the checks of an access at the linear address in a register.</summary>
    /// <param name="address">S0 or a register that the instruction does not change before its access.</param>
    /// <param name="size">Bytes.</param>
    /// <param name="access">Read, write or both.</param>
    /// <param name="alignment">Required alignment, or 0.</param>
    /// <param name="narrow">The address has 32 bits.</param>
    private HostOperand BeginAccess(int address, int size, OperandAccess access, int alignment, bool narrow)
    {
        var live = LiveBefore;
        ParkFlags(live);
        var writes = (access & OperandAccess.Write) != 0;
        var powerOfTwo = (size & (size - 1)) == 0;
        var exact = !powerOfTwo || (size >= 16 && alignment == 0);
        ref var cold = ref _cold[_coldCount];
        cold = new Cold
        {
            Kind = ColdKind.Access,
            GuestOffset = GuestOffset,
            Size = size,
            Alignment = alignment,
            AddressRegister = address,
            Parked = live != Flags.None,
            Reads = (access & OperandAccess.Read) != 0,
            Writes = writes,
            InGroup = _group.Active,
            Index = _index,
        };
        var checkAlignment = (_key & ModeKey.AlignmentCheck) != 0 && size > 1;
        if (exact && !checkAlignment)
        {
            _asm.Mov(S1, address, wide: false);
            _asm.RegImmediate(4, S1, 0xfff, wide: false);
            _asm.RegImmediate(7, S1, 4096 - size, wide: false);
            cold.Jump0 = _asm.JccForward(Cond.A);
        }
        EmitTableLoad(address, writes, narrow);
        if (checkAlignment || (!exact && size > 1))
        {
            var mask = (powerOfTwo ? size : 16) - 1;
            _asm.TestByte(address, mask);
            cold.Jump0 = _asm.JccForward(Cond.NE);
        }
        _asm.Rr(Op.Test, S1, S1);
        cold.Jump1 = _asm.JccForward(Cond.E);
        cold.Resume = _asm.Cursor;
        return new HostOperand { Base = address, Cold = _coldCount++ };
    }

    private void EmitTableLoad(int address, bool write, bool narrow)
    {
        _group.AddendAtHand = false;
        if (!narrow)
        {
            _asm.LoadAddend(S1, address, write);
            return;
        }
        _asm.Mov(S1, address, wide: false);
        _asm.Shift(5, S1, 12, wide: false);
        if (write) _asm.Unary(2, S1);
        _asm.GsIndex(Op.MovLoad, S1, S1, 3, write ? Slot.WriteTable : 0);
    }

    /// <summary>Makes the operand [S0], which frees S1.</summary>
    private void Fold(ref HostOperand operand)
    {
        if (operand.Folded) return;
        _asm.Rx(Op.Lea, S0, operand.Base, S1, 0, operand.Displacement);
        operand.Base = S0;
        operand.Displacement = 0;
        operand.Folded = true;
    }

    /// <summary>Ends what belongs to an access: everything since <see cref="BeginAccess"/> is repeated out of line for bounced stores.</summary>
    private void EndAccess(in HostOperand operand)
    {
        if (operand.Cold != NotPresent) _cold[operand.Cold].ResumeEnd = _asm.Cursor;
    }

    /// <summary>op reg, [operand] for an instruction of ours (not the guest's).</summary>
    private void OperandOp(int opcode, int register, in HostOperand operand, bool wide)
    {
        if (operand.Folded) _asm.Rm(opcode, register, S0, 0, wide);
        else _asm.Rx(opcode, register, operand.Base, S1, 0, 0, wide);
    }

    // ---- out of line ----

    private void EmitCold()
    {
        for (var i = 0; i < _coldCount; i++)
        {
            ref var cold = ref _cold[i];
            if (cold.InGroup) continue;
            if (cold.Jump0 != null) _asm.Bind(cold.Jump0);
            switch (cold.Kind)
            {
                case ColdKind.Access: EmitColdAccess(ref cold); break;
                case ColdKind.Segment: EmitColdSegment(cold); break;
                case ColdKind.Poll:
                    LeaveInline(SiteKind.Poll, stubs.Poll, cold.GuestOffset, cold.Parked);
                    _asm.JmpBack(cold.Resume);
                    break;
                case ColdKind.Link:
                    LeaveInline(SiteKind.Link, stubs.Link, cold.GuestOffset, cold.Parked, target: cold.Target, resume: buffer.OffsetOf(cold.Jump0));
                    // Nothing returns there; whoever left finds the block at once.
                    _asm.Int32(buffer.BlockCount);
                    break;
                case ColdKind.FarLink:
                    EmitColdFarLink(cold);
                    break;
                case ColdKind.System:
                    LeaveInline(SiteKind.System, stubs.System, cold.GuestOffset, cold.Parked, cold.Target);
                    break;
                case ColdKind.Vectors:
                    _asm.Call(stubs.LoadVectors);
                    _asm.JmpBack(cold.Resume);
                    break;
                case ColdKind.Return:
                    EmitColdReturn(cold);
                    break;
                case ColdKind.FarEdge:
                    _flags = FlagPlace.Host;
                    EmitFarJump(cold.Target, cold.GuestOffset, cold.FlagsLive ? Flags.All : Flags.None);
                    break;
            }
        }
    }

    private void EmitColdAccess(ref Cold cold)
    {
        var address = cold.AddressRegister;
        // The stubs take scratch 1 = 0 for "not in the table": then a page walk may help. Anything else is for C#.
        var mustBeAligned = (_key & ModeKey.AlignmentCheck) != 0 || cold.Alignment != 0;
        if (mustBeAligned && cold.Jump0 != null) _asm.MovImmediate(S1, 1);
        // Misaligned, missing, or crossing a page: most of it goes on without C#.
        var sized = cold.Size is > 1 and <= 64 && BitOperations.IsPow2(cold.Size) && !mustBeAligned;
        _asm.Bind(cold.Jump1);
        _asm.Mov(S0, address);
        if (sized) _asm.Call(SizedStubs(cold)[BitOperations.Log2((uint)cold.Size)]);
        else _asm.Call(cold.Writes ? stubs.Write : stubs.Read);
        var site = buffer.Sites.Count;
        buffer.Sites.Add(new Site
        {
            Return = buffer.OffsetOf(_asm.Cursor),
            Kind = cold.Writes ? SiteKind.Write : SiteKind.Read,
            Resume = buffer.OffsetOf(cold.Resume),
            GuestOffset = (ushort)cold.GuestOffset,
            Size = (ushort)cold.Size,
            Alignment = (byte)cold.Alignment,
            AddressRegister = (byte)address,
            Reads = cold.Reads,
            Parked = cold.Parked,
        });
        _asm.JmpBack(cold.Resume);
        if (!cold.Writes) return;
        var copy = buffer.OffsetOf(_asm.Cursor);
        var length = (int)(cold.ResumeEnd - cold.Resume);
        new ReadOnlySpan<byte>(cold.Resume, length).CopyTo(new Span<byte>(_asm.Cursor, length));
        _asm.Cursor += length;
        _asm.Call(stubs.Commit);
        buffer.Sites.Add(new Site
        {
            Return = buffer.OffsetOf(_asm.Cursor),
            Kind = SiteKind.Commit,
            GuestOffset = (ushort)cold.GuestOffset,
            Size = (ushort)cold.Size,
        });
        _asm.JmpBack(cold.ResumeEnd);
        buffer.Sites[site].Copy = copy;
    }

    private ulong[] SizedStubs(in Cold cold) =>
        !cold.Writes ? stubs.ReadSized
        : cold.Reads || _block.Instructions[cold.Index].MayStoreLess ? stubs.WriteSized
        : stubs.StoreSized;

    private void EmitColdSegment(in Cold cold)
    {
        _asm.Call(stubs.Segment);
        buffer.Sites.Add(new Site
        {
            Return = buffer.OffsetOf(_asm.Cursor),
            Kind = SiteKind.Segment,
            Resume = buffer.OffsetOf(cold.Resume),
            GuestOffset = (ushort)cold.GuestOffset,
            Size = (ushort)cold.Size,
            Target = cold.Segment,
            Reads = !cold.Writes,
            Parked = cold.Parked,
        });
    }
}
