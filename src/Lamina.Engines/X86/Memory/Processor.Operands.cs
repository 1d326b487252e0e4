// From an instruction's operand to a value: effective addresses, segment checks, general registers.
// SDM vol. 1, 3.7 (operand addressing); vol. 3, 5.3 (limit checks), 4.8.2 of APM vol. 2 (canonical form).
using Lamina.Core.Engine;
using Lamina.Engines.X86.Decode;
using Lamina.Engines.X86.Paging;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private ulong ReadGpr(int register, int size) => size switch
    {
        8 => Context->Gpr[register],
        4 => (uint)Context->Gpr[register],
        2 => (ushort)Context->Gpr[register],
        _ => (byte)Context->Gpr[register],
    };

    /// <summary>Writes 1 (low byte), 2, 4 (zero-extended to 64) or 8 bytes of a general register.</summary>
    private void WriteGpr(int register, int size, ulong value)
    {
        ref var target = ref Context->Gpr[register];
        target = size switch
        {
            8 => value,
            4 => (uint)value,
            2 => (target & ~0xffffUL) | (ushort)value,
            _ => (target & ~0xffUL) | (byte)value,
        };
    }

    /// <summary>Reads a register as an operand names it: without REX, byte registers 4 to 7 are AH, CH, DH, BH.</summary>
    private ulong ReadRegisterOperand(in Instruction i, int register, int size) =>
        size == 1 && !i.HasRex && register is >= 4 and < 8 ? (byte)(Context->Gpr[register - 4] >> 8) : ReadGpr(register, size);

    private void WriteRegisterOperand(in Instruction i, int register, int size, ulong value)
    {
        if (size == 1 && !i.HasRex && register is >= 4 and < 8)
            Context->Gpr[register - 4] = (Context->Gpr[register - 4] & ~0xff00UL) | ((ulong)(byte)value << 8);
        else WriteGpr(register, size, value);
    }

    private static ulong MaskOf(int size) => size == 8 ? ulong.MaxValue : (1UL << (size * 8)) - 1;

    private static ulong SignBit(int size) => 1UL << (size * 8 - 1);

    private static long SignExtend(ulong value, int size) => size switch
    {
        8 => (long)value,
        4 => (int)value,
        2 => (short)value,
        _ => (sbyte)value,
    };

    /// <summary>The offset that base, index and displacement make, cut to the address size.</summary>
    private ulong EffectiveOffset(in Instruction i)
    {
        var offset = (ulong)i.Displacement;
        if (i.Base == Instruction.RipBase) offset += Context->Rip + i.Length;
        else if (i.Base >= 0) offset += Context->Gpr[i.Base];
        if (i.Index >= 0 && (i.Traits & InstructionTraits.VectorIndex) == 0) offset += Context->Gpr[i.Index] * i.Scale;
        return offset & MaskOf(i.AddressSize);
    }

    /// <summary>Segment checks; gives the linear address. False: #GP(0) or #SS(0).</summary>
    /// <param name="segment">ES 0 to GS 5.</param>
    /// <param name="offset">Offset, already cut to the address size.</param>
    /// <param name="size">Bytes accessed.</param>
    /// <param name="write">A store, or a load and a store.</param>
    /// <param name="linear">The linear address.</param>
    public bool TryLinearize(int segment, ulong offset, int size, bool write, out ulong linear)
    {
        var register = Segment(segment);
        if (Is64Bit)
        {
            linear = segment >= SegmentIndex.Fs ? offset + register->Base : offset;
            return (IsCanonical(linear) && IsCanonical(linear + (ulong)(size - 1))) || SegmentFault(segment);
        }
        linear = (register->Base + offset) & uint.MaxValue;
        return CheckSegment(in *register, (uint)offset, size, write) || SegmentFault(segment);
    }

    private bool SegmentFault(int segment) => segment == SegmentIndex.Ss ? StackFault() : GeneralProtection();

    /// <summary>Type and limit checks of an access outside 64-bit mode. SDM vol. 3, 5.3 and 5.5.</summary>
    private bool CheckSegment(in SegmentRegister register, uint offset, int size, bool write)
    {
        var attributes = register.Attributes;
        if (IsProtected && !IsVirtual8086)
        {
            if ((attributes & SegmentAttributes.Unusable) != 0) return false;
            if ((attributes & SegmentAttributes.Code) != 0 ? write || (attributes & SegmentAttributes.Readable) == 0
                : write && (attributes & SegmentAttributes.Writable) == 0) return false;
        }
        return WithinLimit(in register, offset, size);
    }

    private static bool WithinLimit(in SegmentRegister register, uint offset, int size)
    {
        var last = offset + (ulong)(uint)(size - 1);
        if ((register.Attributes & (SegmentAttributes.Code | SegmentAttributes.ExpandDown)) == SegmentAttributes.ExpandDown)
            return offset > register.Limit && last <= ((register.Attributes & SegmentAttributes.DB) != 0 ? uint.MaxValue : 0xffffu);
        return last <= register.Limit;
    }

    /// <summary>Whether misaligned data accesses raise #AC. SDM vol. 3, 6.15 (interrupt 17).</summary>
    private bool ChecksAlignment => Context->Cpl == 3 && (Context->SystemFlags & Rflags.AC) != 0 && (Context->Cr0 & Cr0.AM) != 0;

    private bool CheckAlignment(ulong linear, int size) =>
        (linear & (ulong)(size - 1)) == 0 || !ChecksAlignment || Raise(Fault.WithCode(Vector.AlignmentCheck, 0));

    private bool TryReadMemory(int segment, ulong offset, int size, out ulong value)
    {
        value = 0;
        return TryLinearize(segment, offset, size, write: false, out var linear) && CheckAlignment(linear, size) && TryReadLinear(linear, size, out value);
    }

    private bool TryWriteMemory(int segment, ulong offset, int size, ulong value) =>
        TryLinearize(segment, offset, size, write: true, out var linear) && CheckAlignment(linear, size) && TryWriteLinear(linear, size, value);

    /// <summary>Reads a run of bytes through a segment; the offset wraps at nothing (real instructions' structures do not).</summary>
    private bool TryReadMemory(int segment, ulong offset, Span<byte> data) =>
        TryLinearize(segment, offset, data.Length, write: false, out var linear) && TryReadLinear(linear, data, AccessMode.Current);

    private bool TryWriteMemory(int segment, ulong offset, ReadOnlySpan<byte> data) =>
        TryLinearize(segment, offset, data.Length, write: true, out var linear) && TryWriteLinear(linear, data, AccessMode.Current);

    /// <summary>Reads the r/m operand, register or memory.</summary>
    private bool TryReadRm(in Instruction i, int size, out ulong value)
    {
        if (i.HasMemory) return TryReadMemory(i.Segment, EffectiveOffset(in i), size, out value);
        value = ReadRegisterOperand(in i, i.Rm, size);
        return true;
    }

    /// <summary>Writes the r/m operand, register or memory.</summary>
    private bool TryWriteRm(in Instruction i, int size, ulong value)
    {
        if (i.HasMemory) return TryWriteMemory(i.Segment, EffectiveOffset(in i), size, value);
        WriteRegisterOperand(in i, i.Rm, size, value);
        return true;
    }

    /// <summary>The linear address of a memory operand that will be read and written; write permission is checked first, as the CPU does.</summary>
    private bool TryLinearizeForUpdate(in Instruction i, int size, out ulong linear) =>
        TryLinearize(i.Segment, EffectiveOffset(in i), size, write: true, out linear) && CheckAlignment(linear, size)
        && TryProbe(linear, size, AccessKind.Write);

    // The stack

    /// <summary>Bytes of RSP that count: 8 in 64-bit mode, else 4 or 2 by SS.B.</summary>
    private int StackAddressSize => Is64Bit ? 8 : (Context->Ss.Attributes & SegmentAttributes.DB) != 0 ? 4 : 2;

    private ulong StackMask => MaskOf(StackAddressSize);

    private ulong StackPointer => Context->Gpr[GprIndex.Rsp] & StackMask;

    private void SetStackPointer(ulong value) => WriteGpr(GprIndex.Rsp, StackAddressSize, value & StackMask);

    /// <summary>Writes below a stack pointer, which moves, and leaves the register alone.</summary>
    private bool TryPushAt(ref ulong stackPointer, int size, ulong value)
    {
        var next = (stackPointer - (ulong)size) & StackMask;
        if (!TryWriteMemory(SegmentIndex.Ss, next, size, value)) return false;
        stackPointer = next;
        return true;
    }

    private bool TryPopAt(ref ulong stackPointer, int size, out ulong value)
    {
        if (!TryReadMemory(SegmentIndex.Ss, stackPointer, size, out value)) return false;
        stackPointer = (stackPointer + (ulong)size) & StackMask;
        return true;
    }
}
