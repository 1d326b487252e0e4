// Instructions that 64-bit mode does not have: decimal adjustment, SALC, ARPL. SDM vol. 2.
using Lamina.Core.Engine;
using Lamina.Engines.X86.Decode;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private Outcome LegacyInstruction(in Instruction i)
    {
        if (Is64Bit) return FaultOutcome(InvalidOpcode());
        switch (i.Id)
        {
            case InstructionId.Daa or InstructionId.Das:
                DecimalAdjust(subtract: i.Id == InstructionId.Das);
                return Outcome.Next;
            case InstructionId.Aaa or InstructionId.Aas:
                AsciiAdjust(subtract: i.Id == InstructionId.Aas);
                return Outcome.Next;
            case InstructionId.Aam:
                {
                    var radix = (byte)i.Immediate;
                    if (radix == 0) return FaultOutcome(Raise(Fault.Plain(Vector.DivideError)));
                    var al = (byte)Context->Gpr[GprIndex.Rax];
                    SetAx((byte)(al % radix), (byte)(al / radix));
                    Context->ArithmeticFlags = ResultFlags((ulong)(al % radix), 1);
                    return Outcome.Next;
                }
            case InstructionId.Aad:
                {
                    var ax = (ushort)Context->Gpr[GprIndex.Rax];
                    var al = (byte)(ax + (ax >> 8) * (byte)i.Immediate);
                    SetAx(al, 0);
                    Context->ArithmeticFlags = ResultFlags(al, 1);
                    return Outcome.Next;
                }
            case InstructionId.Salc:
                WriteGpr(GprIndex.Rax, 1, (Context->ArithmeticFlags & Rflags.CF) != 0 ? 0xff : 0u);
                return Outcome.Next;
            default:
                return AdjustRpl(in i);
        }
    }

    private void SetAx(byte al, byte ah) => WriteGpr(GprIndex.Rax, 2, al | (ulong)ah << 8);

    private void DecimalAdjust(bool subtract)
    {
        var al = (byte)Context->Gpr[GprIndex.Rax];
        var old = al;
        var flags = Context->ArithmeticFlags;
        ulong result = 0;
        var carry = (flags & Rflags.CF) != 0;
        if ((al & 15) > 9 || (flags & Rflags.AF) != 0)
        {
            result |= Rflags.AF;
            if (carry || (subtract ? al < 6 : al > 0xf9)) result |= Rflags.CF;
            al = (byte)(subtract ? al - 6 : al + 6);
        }
        if (old > 0x99 || carry)
        {
            al = (byte)(subtract ? al - 0x60 : al + 0x60);
            result |= Rflags.CF;
        }
        else if (!subtract) result &= ~Rflags.CF;
        WriteGpr(GprIndex.Rax, 1, al);
        Context->ArithmeticFlags = result | ResultFlags(al, 1);
    }

    private void AsciiAdjust(bool subtract)
    {
        var ax = (ushort)Context->Gpr[GprIndex.Rax];
        ulong flags = 0;
        if ((ax & 15) > 9 || (Context->ArithmeticFlags & Rflags.AF) != 0)
        {
            ax = (ushort)(subtract ? ax - 0x106 : ax + 0x106);
            flags = Rflags.AF | Rflags.CF;
        }
        ax &= 0xff0f;
        WriteGpr(GprIndex.Rax, 2, ax);
        Context->ArithmeticFlags = flags | ResultFlags((byte)ax, 1);
    }

    private Outcome AdjustRpl(in Instruction i)
    {
        if (IsFlatMode) return FaultOutcome(InvalidOpcode());
        if (!TryReadRm(in i, 2, out var destination)) return Outcome.Fault;
        var source = ReadGpr(i.Reg, 2);
        var raised = (destination & 3) < (source & 3);
        if (raised)
        {
            destination = (destination & ~3UL) | (source & 3);
            if (!TryWriteRm(in i, 2, destination)) return Outcome.Fault;
        }
        Context->ArithmeticFlags = (Context->ArithmeticFlags & ~Rflags.ZF) | (raised ? Rflags.ZF : 0);
        return Outcome.Next;
    }
}
