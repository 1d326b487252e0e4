// Moves, exchanges, division and shifts: instructions that usually run on the host, done here when they are stepped or
// have operands that are not RAM. SDM vol. 2.
using System.Threading;
using Lamina.Core.Engine;
using Lamina.Engines.X86.Decode;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private Outcome Lea(in Instruction i)
    {
        WriteGpr(i.Reg, i.OperandSize, EffectiveOffset(in i));
        return Outcome.Next;
    }

    private Outcome Mov(in Instruction i)
    {
        var size = i.OperandSize;
        if (i.Opcode is >= 0xb0 and <= 0xbf)
        {
            WriteRegisterOperand(in i, i.OpcodeReg, size, (ulong)i.Immediate);
            return Outcome.Next;
        }
        if (i.Opcode is 0xc6 or 0xc7) return FaultOutcome(TryWriteRm(in i, size, (ulong)i.Immediate));
        if ((i.Opcode & 2) == 0) return FaultOutcome(TryWriteRm(in i, size, ReadRegisterOperand(in i, i.Reg, size)));
        if (!TryReadRm(in i, size, out var value)) return Outcome.Fault;
        WriteRegisterOperand(in i, i.Reg, size, value);
        return Outcome.Next;
    }

    private Outcome MovMoffs(in Instruction i)
    {
        var offset = (ulong)i.Displacement & MaskOf(i.AddressSize);
        if ((i.Opcode & 2) != 0) return FaultOutcome(TryWriteMemory(i.Segment, offset, i.OperandSize, ReadGpr(GprIndex.Rax, i.OperandSize)));
        if (!TryReadMemory(i.Segment, offset, i.OperandSize, out var value)) return Outcome.Fault;
        WriteGpr(GprIndex.Rax, i.OperandSize, value);
        return Outcome.Next;
    }

    private Outcome ZeroRegister(in Instruction i)
    {
        WriteRegisterOperand(in i, i.Reg, i.OperandSize, 0);
        Context->ArithmeticFlags = Rflags.ZF | Rflags.PF;
        return Outcome.Next;
    }

    private Outcome IncDecShort(in Instruction i)
    {
        var size = i.OperandSize;
        var old = ReadGpr(i.OpcodeReg, size);
        var decrement = (i.Opcode & 8) != 0;
        var value = (decrement ? old - 1 : old + 1) & MaskOf(size);
        WriteGpr(i.OpcodeReg, size, value);
        var flags = (Context->ArithmeticFlags & Rflags.CF) | ResultFlags(value, size);
        if (((old ^ value) & 0x10) != 0) flags |= Rflags.AF;
        if (value == (decrement ? SignBit(size) - 1 : SignBit(size))) flags |= Rflags.OF;
        Context->ArithmeticFlags = flags;
        return Outcome.Next;
    }

    /// <summary>SF, ZF and PF of a result.</summary>
    private static ulong ResultFlags(ulong value, int size)
    {
        var flags = (value & MaskOf(size)) == 0 ? Rflags.ZF : 0;
        if ((value & SignBit(size)) != 0) flags |= Rflags.SF;
        if ((System.Numerics.BitOperations.PopCount(value & 0xff) & 1) == 0) flags |= Rflags.PF;
        return flags;
    }

    private Outcome Exchange(in Instruction i)
    {
        var size = i.OperandSize;
        if (i.Opcode is >= 0x90 and <= 0x97)
        {
            var other = ReadGpr(i.OpcodeReg, size);
            WriteGpr(i.OpcodeReg, size, ReadGpr(GprIndex.Rax, size));
            WriteGpr(GprIndex.Rax, size, other);
            return Outcome.Next;
        }
        var register = ReadRegisterOperand(in i, i.Reg, size);
        ulong memory;
        if (!i.HasMemory)
        {
            memory = ReadRegisterOperand(in i, i.Rm, size);
            WriteRegisterOperand(in i, i.Rm, size, register);
        }
        else
        {
            if (!TryLinearizeForUpdate(in i, size, out var linear) || !TryPinForUpdate(linear, size, out var host)) return Outcome.Fault;
            if (host != null)
            {
                memory = AtomicExchange(host, size, register);
                Updated(linear, host, size);
            }
            else if (!TryReadLinear(linear, size, out memory) || !TryWriteLinear(linear, size, register)) return Outcome.Fault;
        }
        WriteRegisterOperand(in i, i.Reg, size, memory);
        return Outcome.Next;
    }

    private static ulong AtomicExchange(byte* host, int size, ulong value) => size switch
    {
        8 => Interlocked.Exchange(ref *(ulong*)host, value),
        4 => Interlocked.Exchange(ref *(uint*)host, (uint)value),
        2 => Interlocked.Exchange(ref *(ushort*)host, (ushort)value),
        _ => Interlocked.Exchange(ref *host, (byte)value),
    };

    private Outcome Divide(in Instruction i)
    {
        var size = i.OperandSize;
        if (!TryReadRm(in i, size, out var divisor)) return Outcome.Fault;
        var high = size == 1 ? (Context->Gpr[GprIndex.Rax] >> 8) & 0xff : ReadGpr(GprIndex.Rdx, size);
        var low = ReadGpr(GprIndex.Rax, size);
        ulong quotient, remainder;
        if (((i.ModRm >> 3) & 1) == 0)
        {
            // The quotient fits exactly where the high half is below the divisor; that also catches zero.
            if (high >= divisor) return FaultOutcome(Raise(Fault.Plain(Vector.DivideError)));
            var dividend = ((UInt128)high << (size * 8)) | low;
            (quotient, remainder) = ((ulong)(dividend / divisor), (ulong)(dividend % divisor));
        }
        else if (!TryDivideSigned(((Int128)SignExtend(high, size) << (size * 8)) | low, SignExtend(divisor, size), size, out quotient, out remainder))
            return FaultOutcome(Raise(Fault.Plain(Vector.DivideError)));

        if (size == 1) WriteGpr(GprIndex.Rax, 2, (byte)quotient | (ulong)(byte)remainder << 8);
        else
        {
            WriteGpr(GprIndex.Rax, size, quotient);
            WriteGpr(GprIndex.Rdx, size, remainder);
        }
        return Outcome.Next;
    }

    private static bool TryDivideSigned(Int128 dividend, long divisor, int size, out ulong quotient, out ulong remainder)
    {
        quotient = remainder = 0;
        // Int128's one quotient that does not fit itself is -2^127 / -1: far outside any operand.
        if (divisor == 0 || (divisor == -1 && dividend == Int128.MinValue)) return false;
        var exact = dividend / divisor;
        var limit = (Int128)1 << (size * 8 - 1);
        if (exact >= limit || exact < -limit) return false;
        quotient = (ulong)(UInt128)exact;
        remainder = (ulong)(UInt128)(dividend - exact * divisor);
        return true;
    }

    private Outcome MovFromSegment(in Instruction i)
    {
        var selector = Segment(i.Reg)->Selector;
        // Memory takes 16 bits; a register the operand size, zero-extended. SDM vol. 2, MOV.
        return FaultOutcome(TryWriteRm(in i, i.HasMemory ? 2 : i.OperandSize, selector));
    }

    private Outcome MovToSegment(in Instruction i)
    {
        if (i.Reg is SegmentIndex.Cs or > SegmentIndex.Gs) return FaultOutcome(InvalidOpcode());
        if (!TryReadRm(in i, 2, out var selector) || !TryLoadSegment(i.Reg, (ushort)selector)) return Outcome.Fault;
        if (i.Reg == SegmentIndex.Ss) Context->InterruptShadow = ShadowMovSs;
        return Outcome.Next;
    }
}
