// Shifts and rotates by CL, and double shifts by CL, with the flags of SDM vol. 2 (SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR,
// SHLD, SHRD). Where a flag is undefined it is as the common processors leave it.
using Lamina.Core.Engine;
using Lamina.Engines.X86.Decode;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private Outcome ShiftByCl(in Instruction i)
    {
        var size = i.OperandSize;
        var count = (int)Context->Gpr[GprIndex.Rcx] & (size == 8 ? 63 : 31);
        ulong linear = 0, value;
        if (i.HasMemory)
        {
            if (!TryLinearizeForUpdate(in i, size, out linear) || !TryReadLinear(linear, size, out value)) return Outcome.Fault;
        }
        else value = ReadRegisterOperand(in i, i.Rm, size);

        var result = value;
        if (count != 0)
        {
            var carry = (Context->ArithmeticFlags & Rflags.CF) != 0;
            var old = Context->ArithmeticFlags;
            result = i.Map == 1
                ? DoubleShift(value, ReadGpr(i.Reg, size), count, size, left: i.Opcode == 0xa5, ref carry)
                : SingleShift((i.ModRm >> 3) & 7, value, count, size, ref carry);
            if (i.HasMemory && !TryWriteLinear(linear, size, result)) return Outcome.Fault;
            Context->ArithmeticFlags = ShiftFlags(in i, old, value, result, carry, size);
        }
        // A count of zero still zero-extends a 32-bit register.
        if (!i.HasMemory) WriteRegisterOperand(in i, i.Rm, size, result);
        return Outcome.Next;
    }

    private static ulong SingleShift(int operation, ulong value, int count, int size, ref bool carry)
    {
        var bits = size * 8;
        var mask = MaskOf(size);
        switch (operation)
        {
            case 0: // ROL
                {
                    var turn = count & (bits - 1);
                    var result = turn == 0 ? value : ((value << turn) | (value >> (bits - turn))) & mask;
                    carry = (result & 1) != 0;
                    return result;
                }
            case 1: // ROR
                {
                    var turn = count & (bits - 1);
                    var result = turn == 0 ? value : ((value >> turn) | (value << (bits - turn))) & mask;
                    carry = (result & SignBit(size)) != 0;
                    return result;
                }
            case 2: // RCL
                for (var n = count % (bits + 1); n > 0; n--)
                {
                    var top = (value & SignBit(size)) != 0;
                    value = ((value << 1) | (carry ? 1UL : 0)) & mask;
                    carry = top;
                }
                return value;
            case 3: // RCR
                for (var n = count % (bits + 1); n > 0; n--)
                {
                    var bottom = (value & 1) != 0;
                    value = (value >> 1) | (carry ? SignBit(size) : 0);
                    carry = bottom;
                }
                return value;
            case 5: // SHR
                carry = count <= bits && ((value >> (count - 1)) & 1) != 0;
                return count >= bits ? 0 : value >> count;
            case 7: // SAR
                {
                    var signed = SignExtend(value, size);
                    carry = ((signed >> Math.Min(count - 1, 63)) & 1) != 0;
                    return (ulong)(signed >> Math.Min(count, 63)) & mask;
                }
            default: // SHL, and /6 which is the same
                carry = count <= bits && ((value >> (bits - count)) & 1) != 0;
                return count >= bits ? 0 : (value << count) & mask;
        }
    }

    private static ulong DoubleShift(ulong value, ulong filler, int count, int size, bool left, ref bool carry)
    {
        var bits = size * 8;
        // 16-bit operands with counts above 16 are undefined; processors shift the filler in again.
        var wide = left ? (UInt128)value << bits | filler : (UInt128)filler << bits | value;
        if (count > bits) wide = left ? ((UInt128)value << bits | filler) << bits | value : wide | (UInt128)value << (2 * bits);
        if (left)
        {
            var width = count > bits ? 3 * bits : 2 * bits;
            carry = (wide >> (width - count) & 1) != 0;
            return (ulong)(wide >> (width - bits - count)) & MaskOf(size);
        }
        carry = (wide >> (count - 1) & 1) != 0;
        return (ulong)(wide >> count) & MaskOf(size);
    }

    private static ulong ShiftFlags(in Instruction i, ulong old, ulong value, ulong result, bool carry, int size)
    {
        var top = (result & SignBit(size)) != 0;
        var rotate = i.Map != 1 && ((i.ModRm >> 3) & 7) < 4;
        var flags = rotate ? old & ~(Rflags.CF | Rflags.OF) : ResultFlags(result, size);
        if (carry) flags |= Rflags.CF;
        // OF is defined for counts of one; for others processors use the same rule.
        var overflow = i.Map == 1 ? ((value ^ result) & SignBit(size)) != 0 : ((i.ModRm >> 3) & 7) switch
        {
            0 or 2 or 4 or 6 => top != carry,
            1 or 3 => top != ((result & (SignBit(size) >> 1)) != 0),
            5 => (value & SignBit(size)) != 0,
            _ => false,
        };
        if (overflow) flags |= Rflags.OF;
        return flags;
    }
}
