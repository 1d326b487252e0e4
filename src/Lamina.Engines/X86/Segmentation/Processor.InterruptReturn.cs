// IRET in every mode: real, virtual-8086, protected (same and outer privilege, to virtual-8086, nested task) and IA-32e.
// SDM vol. 2, IRET; APM vol. 3, IRET.
using Lamina.Core.Engine;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private Outcome InterruptReturn(int operandSize)
    {
        if (IsProtected && IsVirtual8086 && IoPrivilege < 3) return FaultOutcome(GeneralProtection());
        if (IsFlatMode) return FlatInterruptReturn(operandSize);
        if ((Context->SystemFlags & Rflags.NT) != 0)
        {
            if (IsLongMode) return FaultOutcome(GeneralProtection());
            return TryReturnToOuterTask() ? Outcome.Branched : Outcome.Fault;
        }
        var pointer = StackPointer;
        if (!TryPopAt(ref pointer, operandSize, out var rip) || !TryPopAt(ref pointer, operandSize, out var cs)
            || !TryPopAt(ref pointer, operandSize, out var flags)) return Outcome.Fault;
        var selector = (ushort)cs;
        if ((flags & Rflags.VM) != 0 && Context->Cpl == 0 && operandSize == 4 && !IsLongMode) return ReturnToVirtual8086(pointer, rip, selector, flags);
        if (!TryCheckReturnTarget(selector, out var code)) return Outcome.Fault;
        var level = Rpl(selector);
        var outer = level != Context->Cpl;
        ulong newPointer = 0;
        SegmentRegister stack = default;
        if (outer || Is64Bit)
        {
            if (!TryPopAt(ref pointer, operandSize, out newPointer) || !TryPopAt(ref pointer, operandSize, out var newStack)) return Outcome.Fault;
            var toLong = IsLongMode && code.IsLong;
            if (!TryCheckStackSegment((ushort)newStack, level, Vector.GeneralProtection, 0, toLong, out stack)) return Outcome.Fault;
        }
        if (!CheckCodeOffset(in code, rip)) return Outcome.Fault;
        var popsStack = outer || Is64Bit;
        var mask = ReturnFlagsMask(operandSize);
        LoadCodeSegment(selector, in code, level);
        if (popsStack)
        {
            SetSegment(SegmentIndex.Ss, in stack);
            WriteGpr(GprIndex.Rsp, StackAddressSize, newPointer);
            if (outer) DropPrivilegedSegments(level);
        }
        else SetStackPointer(pointer);
        SetFlags((Flags & ~mask) | (flags & mask));
        Context->NmiBlocked = 0;
        Context->Rip = rip;
        return Outcome.Branched;
    }

    /// <summary>Which flags an IRET may change, by operand size and the privilege it starts from.</summary>
    private ulong ReturnFlagsMask(int operandSize)
    {
        var mask = Rflags.Arithmetic | Rflags.TF | Rflags.DF | Rflags.NT;
        if (operandSize > 2) mask |= Rflags.RF | Rflags.AC | Rflags.ID;
        if (Context->Cpl <= IoPrivilege) mask |= Rflags.IF;
        if (Context->Cpl == 0)
        {
            mask |= Rflags.IOPL;
            if (operandSize > 2) mask |= Rflags.VIF | Rflags.VIP;
        }
        return mask;
    }

    private Outcome FlatInterruptReturn(int operandSize)
    {
        var pointer = StackPointer;
        if (!TryPopAt(ref pointer, operandSize, out var rip) || !TryPopAt(ref pointer, operandSize, out var cs)
            || !TryPopAt(ref pointer, operandSize, out var flags)) return Outcome.Fault;
        if (rip > Context->Cs.Limit) return FaultOutcome(GeneralProtection());
        var mask = Rflags.Arithmetic | Rflags.TF | Rflags.IF | Rflags.DF | Rflags.NT;
        if (operandSize > 2) mask |= Rflags.RF | Rflags.AC | Rflags.ID;
        if (!IsVirtual8086)
        {
            mask |= Rflags.IOPL;
            if (operandSize > 2) mask |= Rflags.VIF | Rflags.VIP;
        }
        SetStackPointer(pointer);
        LoadFlatSegment(SegmentIndex.Cs, (ushort)cs);
        SetFlags((Flags & ~mask) | (flags & mask));
        Context->NmiBlocked = 0;
        Context->Rip = rip;
        return Outcome.Branched;
    }

    private Outcome ReturnToVirtual8086(ulong pointer, ulong rip, ushort codeSelector, ulong flags)
    {
        // ESP, SS, ES, DS, FS, GS follow. SDM vol. 3, 21.2.3.
        var values = stackalloc ulong[6];
        for (var n = 0; n < 6; n++)
            if (!TryPopAt(ref pointer, 4, out values[n])) return Outcome.Fault;
        if ((rip & uint.MaxValue) > 0xffff) return FaultOutcome(GeneralProtection());
        SetFlags(flags);
        LoadFlatSegment(SegmentIndex.Cs, codeSelector);
        LoadFlatSegment(SegmentIndex.Ss, (ushort)values[1]);
        LoadFlatSegment(SegmentIndex.Es, (ushort)values[2]);
        LoadFlatSegment(SegmentIndex.Ds, (ushort)values[3]);
        LoadFlatSegment(SegmentIndex.Fs, (ushort)values[4]);
        LoadFlatSegment(SegmentIndex.Gs, (ushort)values[5]);
        WriteGpr(GprIndex.Rsp, 4, values[0]);
        SetCpl(3);
        Context->NmiBlocked = 0;
        Context->Rip = (ushort)rip;
        return Outcome.Branched;
    }
}
