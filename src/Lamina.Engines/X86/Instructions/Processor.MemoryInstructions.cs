// Instructions with memory operands that one size does not describe: bit strings, wide compare-and-exchange, tables,
// bounds, far pointers, masked moves. Vector gathers, scatters and state images are in files of their own.
using System.Threading;
using Lamina.Core.Engine;
using Lamina.Engines.X86.Decode;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private Outcome MemoryInstruction(in Instruction i) => i.Id switch
    {
        InstructionId.BitTestMemory => BitTestMemory(in i),
        InstructionId.CompareExchangeWide => i.W ? CompareExchange16(in i) : CompareExchange8(in i),
        InstructionId.Xlat => TranslateByte(in i),
        InstructionId.Bound => CheckBound(in i),
        InstructionId.LoadFarPointer => LoadFarPointer(in i),
        InstructionId.Gather => Gather(in i),
        InstructionId.Scatter => Scatter(in i),
        InstructionId.MaskMoveBytes => MaskMoveBytes(in i),
        InstructionId.MaskMoveElements => MaskMoveElements(in i),
        InstructionId.X87Environment => X87Environment(in i),
        InstructionId.MoveDirect64 => FaultOutcome(InvalidOpcode()),
        _ => StateInstruction(in i),
    };

    private Outcome BitTestMemory(in Instruction i)
    {
        var size = i.OperandSize;
        var index = SignExtend(ReadGpr(i.Reg, size), size);
        var shift = size == 8 ? 6 : size == 4 ? 5 : 4;
        var bit = 1UL << (int)(index & (size * 8 - 1));
        var offset = (EffectiveOffset(in i) + (ulong)((index >> shift) * size)) & MaskOf(i.AddressSize);
        // Opcodes 0F A3, AB, B3, BB: BT, BTS, BTR, BTC.
        var operation = (i.Opcode >> 3) & 3;
        ulong old;
        if (operation == 0)
        {
            if (!TryReadMemory(i.Segment, offset, size, out old)) return Outcome.Fault;
        }
        else
        {
            if (!TryLinearize(i.Segment, offset, size, write: true, out var linear) || !CheckAlignment(linear, size)
                || !TryPinForUpdate(linear, size, out var host)) return Outcome.Fault;
            if (host != null)
            {
                old = AtomicBitUpdate(host, size, bit, operation);
                Updated(linear, host, size);
            }
            else if (!TryReadLinear(linear, size, out old) || !TryWriteLinear(linear, size, ChangeBit(old, bit, operation))) return Outcome.Fault;
        }
        Context->ArithmeticFlags = (Context->ArithmeticFlags & ~Rflags.CF) | ((old & bit) != 0 ? Rflags.CF : 0);
        return Outcome.Next;
    }

    private static ulong ChangeBit(ulong value, ulong bit, int operation) => operation switch
    {
        1 => value | bit,
        2 => value & ~bit,
        _ => value ^ bit,
    };

    /// <summary>Atomic whether or not the guest said LOCK: the weaker promise is kept by the stronger.</summary>
    private static ulong AtomicBitUpdate(byte* host, int size, ulong bit, int operation)
    {
        while (true)
        {
            switch (size)
            {
                case 8:
                    {
                        var old = Volatile.Read(ref *(ulong*)host);
                        if (Interlocked.CompareExchange(ref *(ulong*)host, ChangeBit(old, bit, operation), old) == old) return old;
                        break;
                    }
                case 4:
                    {
                        var old = Volatile.Read(ref *(uint*)host);
                        if (Interlocked.CompareExchange(ref *(uint*)host, (uint)ChangeBit(old, bit, operation), old) == old) return old;
                        break;
                    }
                default:
                    {
                        var old = Volatile.Read(ref *(ushort*)host);
                        if (Interlocked.CompareExchange(ref *(ushort*)host, (ushort)ChangeBit(old, bit, operation), old) == old) return old;
                        break;
                    }
            }
        }
    }

    private Outcome CompareExchange8(in Instruction i)
    {
        if (!i.HasMemory) return FaultOutcome(InvalidOpcode());
        if (!TryLinearizeForUpdate(in i, 8, out var linear) || !TryPinForUpdate(linear, 8, out var host)) return Outcome.Fault;
        var expected = (uint)Context->Gpr[GprIndex.Rax] | Context->Gpr[GprIndex.Rdx] << 32;
        var wanted = (uint)Context->Gpr[GprIndex.Rbx] | Context->Gpr[GprIndex.Rcx] << 32;
        ulong found;
        if (host != null)
        {
            found = Interlocked.CompareExchange(ref *(ulong*)host, wanted, expected);
            Updated(linear, host, 8);
        }
        else if (!TryReadLinear(linear, 8, out found) || !TryWriteLinear(linear, 8, found == expected ? wanted : found)) return Outcome.Fault;
        if (found != expected)
        {
            WriteGpr(GprIndex.Rax, 4, found);
            WriteGpr(GprIndex.Rdx, 4, found >> 32);
        }
        SetZero(found == expected);
        return Outcome.Next;
    }

    private Outcome CompareExchange16(in Instruction i)
    {
        if (!i.HasMemory || !Is64Bit) return FaultOutcome(InvalidOpcode());
        if (!TryLinearize(i.Segment, EffectiveOffset(in i), 16, write: true, out var linear)) return Outcome.Fault;
        if ((linear & 15) != 0) return FaultOutcome(GeneralProtection());
        if (!TryPinForUpdate(linear, 16, out var host)) return Outcome.Fault;
        var low = Context->Gpr[GprIndex.Rax];
        var high = Context->Gpr[GprIndex.Rdx];
        var expected = new UInt128(high, low);
        var wanted = new UInt128(Context->Gpr[GprIndex.Rcx], Context->Gpr[GprIndex.Rbx]);
        var found = expected;
        if (host != null)
        {
            _host.CompareExchange(host, ref found, wanted);
            Updated(linear, host, 16);
        }
        else
        {
            if (!TryReadLinear(linear, 8, out var foundLow) || !TryReadLinear(linear + 8, 8, out var foundHigh)) return Outcome.Fault;
            found = new UInt128(foundHigh, foundLow);
            var written = found == expected ? wanted : found;
            if (!TryWriteLinear(linear, 8, (ulong)written) || !TryWriteLinear(linear + 8, 8, (ulong)(written >> 64))) return Outcome.Fault;
        }
        if (found != expected) (Context->Gpr[GprIndex.Rax], Context->Gpr[GprIndex.Rdx]) = ((ulong)found, (ulong)(found >> 64));
        SetZero(found == expected);
        return Outcome.Next;
    }

    private void SetZero(bool value) => Context->ArithmeticFlags = (Context->ArithmeticFlags & ~Rflags.ZF) | (value ? Rflags.ZF : 0);

    private Outcome TranslateByte(in Instruction i)
    {
        var offset = (Context->Gpr[GprIndex.Rbx] + (byte)Context->Gpr[GprIndex.Rax]) & MaskOf(i.AddressSize);
        if (!TryReadMemory(i.Segment, offset, 1, out var value)) return Outcome.Fault;
        WriteGpr(GprIndex.Rax, 1, value);
        return Outcome.Next;
    }

    private Outcome CheckBound(in Instruction i)
    {
        if (Is64Bit || !i.HasMemory) return FaultOutcome(InvalidOpcode());
        var size = i.OperandSize;
        var offset = EffectiveOffset(in i);
        if (!TryReadMemory(i.Segment, offset, size, out var low) || !TryReadMemory(i.Segment, (offset + (ulong)size) & MaskOf(i.AddressSize), size, out var high)) return Outcome.Fault;
        var index = SignExtend(ReadGpr(i.Reg, size), size);
        var inside = index >= SignExtend(low, size) && index <= SignExtend(high, size);
        return FaultOutcome(inside || Raise(Fault.Plain(Vector.BoundRange)));
    }

    private Outcome LoadFarPointer(in Instruction i)
    {
        if (!i.HasMemory) return FaultOutcome(InvalidOpcode());
        if (!TryReadFarPointer(in i, out var selector, out var offset) || !TryLoadSegment(i.Immediate2, selector)) return Outcome.Fault;
        WriteGpr(i.Reg, i.OperandSize, offset);
        return Outcome.Next;
    }
}
