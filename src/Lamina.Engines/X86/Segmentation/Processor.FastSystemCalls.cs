// SYSCALL, SYSRET, SYSENTER, SYSEXIT: the flat segments they load, and where Intel and AMD differ.
// SDM vol. 2 and vol. 3, 5.8.7 and 5.8.8; APM vol. 3.
using Lamina.Core.Engine;
using Lamina.Engines.X86.Cpuid;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private static SegmentRegister FlatCode(ushort selector, uint level, bool isLong) => new()
    {
        Selector = selector,
        Limit = uint.MaxValue,
        Attributes = 0xb | SegmentAttributes.S | SegmentAttributes.P | SegmentAttributes.G | level << (int)SegmentAttributes.DplShift
            | (isLong ? SegmentAttributes.L : SegmentAttributes.DB),
    };

    private static SegmentRegister FlatStack(ushort selector, uint level) => new()
    {
        Selector = selector,
        Limit = uint.MaxValue,
        Attributes = 0x3 | SegmentAttributes.S | SegmentAttributes.P | SegmentAttributes.G | SegmentAttributes.DB | level << (int)SegmentAttributes.DplShift,
    };

    /// <summary>What SYSCALL and SYSRET to 64-bit code load into CS and SS now. False: STAR names selectors of the LDT.</summary>
    public bool LoadFlatPairs(SegmentRegister* kernelCode, SegmentRegister* kernelStack, SegmentRegister* userCode, SegmentRegister* userStack)
    {
        const ulong TableIndicators = 4UL << 48 | 4UL << 32;
        var (kernel, user) = ((ushort)(Context->Star >> 32 & 0xfffc), (ushort)(Context->Star >> 48));
        *kernelCode = FlatCode(kernel, 0, isLong: true);
        *kernelStack = FlatStack((ushort)(kernel + 8), 0);
        *userCode = FlatCode((ushort)((user + 16) | 3), 3, isLong: true);
        *userStack = FlatStack((ushort)((user + 8) | 3), 3);
        return (Context->Star & TableIndicators) == 0;
    }

    private void LoadFlatPair(ushort code, ushort stack, uint level, bool isLong)
    {
        SetSegment(SegmentIndex.Cs, FlatCode(code, level, isLong));
        SetSegment(SegmentIndex.Ss, FlatStack(stack, level));
        SetCpl(level);
    }

    private Outcome Syscall()
    {
        var is64 = Is64Bit;
        if ((Context->Efer & Efer.SCE) == 0 || !IsProtected || IsVirtual8086 || (!is64 && _model.Vendor == CpuVendor.Intel)) return FaultOutcome(InvalidOpcode());
        var selector = (ushort)(Context->Star >> 32 & 0xfffc);
        var next = NextRip;
        var flags = Flags;
        if (IsLongMode)
        {
            Context->Gpr[GprIndex.Rcx] = next;
            Context->Gpr[11] = Flags & ~Rflags.RF;
            LoadFlatPair(selector, (ushort)(selector + 8), 0, isLong: true);
            SetFlags(Flags & ~Context->Sfmask & ~Rflags.RF);
            Context->Rip = is64 ? Context->Lstar : Context->Cstar;
        }
        else
        {
            Context->Gpr[GprIndex.Rcx] = (uint)next;
            LoadFlatPair(selector, (ushort)(selector + 8), 0, isLong: false);
            SetFlags(Flags & ~(Rflags.VM | Rflags.IF | Rflags.RF));
            Context->Rip = (uint)Context->Star;
        }
        ConsumeStep(flags);
        return Outcome.Branched;
    }

    private Outcome Sysret(int operandSize)
    {
        var amd = _model.Vendor == CpuVendor.Amd;
        if ((Context->Efer & Efer.SCE) == 0 || !IsProtected || IsVirtual8086 || (!Is64Bit && !amd)) return FaultOutcome(InvalidOpcode());
        if (Context->Cpl != 0) return FaultOutcome(GeneralProtection());
        var to64 = operandSize == 8 && Is64Bit;
        var rcx = Context->Gpr[GprIndex.Rcx];
        // AMD returns to a non-canonical RIP and faults there at level 3; Intel faults here at level 0.
        if (to64 && !amd && !IsCanonical(rcx)) return FaultOutcome(GeneralProtection());
        var star = (ushort)(Context->Star >> 48);
        var code = (ushort)((to64 ? star + 16 : star) | 3);
        var longMode = IsLongMode;
        var flags = Context->Gpr[11];
        LoadFlatPair(code, (ushort)((star + 8) | 3), 3, to64);
        if (longMode) SetFlags((flags & 0x3c_7fd7) | Rflags.Fixed);
        else SetFlags(Flags | Rflags.IF);
        Context->Rip = to64 ? rcx : (uint)rcx;
        // A TF that SYSRET restores traps at once, before the first instruction behind it; IRET's does not.
        if (longMode && (flags & Rflags.TF) != 0) _pendingDebug |= Dr6Bs;
        return Outcome.Branched;
    }

    private Outcome Sysenter()
    {
        if (!IsProtected) return FaultOutcome(GeneralProtection());
        if (IsLongMode && _model.Vendor == CpuVendor.Amd) return FaultOutcome(InvalidOpcode());
        var selector = (ushort)(Context->SysenterCs & 0xfffc);
        if (selector == 0) return FaultOutcome(GeneralProtection());
        var longMode = IsLongMode;
        var flags = Flags;
        SetFlags(Flags & ~(Rflags.VM | Rflags.IF | Rflags.RF));
        LoadFlatPair(selector, (ushort)(selector + 8), 0, longMode);
        Context->Gpr[GprIndex.Rsp] = longMode ? Context->SysenterEsp : (uint)Context->SysenterEsp;
        Context->Rip = longMode ? Context->SysenterEip : (uint)Context->SysenterEip;
        ConsumeStep(flags);
        return Outcome.Branched;
    }

    private Outcome Sysexit(int operandSize)
    {
        if (IsLongMode && _model.Vendor == CpuVendor.Amd) return FaultOutcome(InvalidOpcode());
        var selector = (ushort)(Context->SysenterCs & 0xfffc);
        if (selector == 0 || !IsProtected || Context->Cpl != 0) return FaultOutcome(GeneralProtection());
        var to64 = operandSize == 8;
        var rip = Context->Gpr[GprIndex.Rdx];
        var rsp = Context->Gpr[GprIndex.Rcx];
        if (to64 && !(IsCanonical(rip) && IsCanonical(rsp))) return FaultOutcome(GeneralProtection());
        LoadFlatPair((ushort)((selector + (to64 ? 32 : 16)) | 3), (ushort)((selector + (to64 ? 40 : 24)) | 3), 3, to64);
        Context->Gpr[GprIndex.Rsp] = to64 ? rsp : (uint)rsp;
        Context->Rip = to64 ? rip : (uint)rip;
        return Outcome.Branched;
    }
}
