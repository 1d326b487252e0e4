// Where the decoder means to differ from Iced, each with its reason. Everything else must be equal.
using Iced.Intel;
using Lamina.Engines.X86.Decode;
using CodeSize = Lamina.Engines.X86.Decode.CodeSize;
using EncodingKind = Iced.Intel.EncodingKind;
using Theirs = Iced.Intel.Instruction;

namespace Lamina.Tests.Engines.Decode;

internal static class IntendedDifferences
{
    /// <summary>Extensions that guests are not offered: #UD whatever the host has.</summary>
    private static readonly HashSet<CpuidFeature> s_notOffered =
    [
        // AMD's and others' own, gone from the processors that matter.
        CpuidFeature.D3NOW, CpuidFeature.D3NOWEXT, CpuidFeature.CYRIX_D3NOW, CpuidFeature.XOP, CpuidFeature.FMA4, CpuidFeature.TBM, CpuidFeature.LWP,
        CpuidFeature.CENTAUR_AIS, CpuidFeature.PADLOCK_ACE, CpuidFeature.PADLOCK_PHE, CpuidFeature.PADLOCK_PMM, CpuidFeature.PADLOCK_RNG,
        CpuidFeature.PADLOCK_GMI, CpuidFeature.PADLOCK_UNDOC, CpuidFeature.OSS, CpuidFeature.SKINIT, CpuidFeature.SKINIT_or_SVM,
        // Instructions of processors before the Pentium.
        CpuidFeature.INTEL8086_ONLY, CpuidFeature.INTEL286_ONLY, CpuidFeature.INTEL386_ONLY, CpuidFeature.INTEL386_A0_ONLY,
        CpuidFeature.FPU287XL_ONLY, CpuidFeature.FPU387SL_ONLY, CpuidFeature.CYRIX_FPU,
        // Virtualization, enclaves, trusted domains (hypercalls apart).
        CpuidFeature.VMX, CpuidFeature.SVM, CpuidFeature.SEV_ES, CpuidFeature.SEV_SNP, CpuidFeature.RMPQUERY, CpuidFeature.SMX, CpuidFeature.TDX,
        CpuidFeature.SGX1, CpuidFeature.PCONFIG, CpuidFeature.TSE, CpuidFeature.INVEPT, CpuidFeature.INVVPID,
        // Needs state or privilege that the machine does not model.
        CpuidFeature.MPX, CpuidFeature.CET_SS, CpuidFeature.PKU, CpuidFeature.UINTR, CpuidFeature.KL, CpuidFeature.AESKLE, CpuidFeature.WIDE_KL,
        CpuidFeature.AMX_TILE, CpuidFeature.AMX_BF16, CpuidFeature.AMX_INT8, CpuidFeature.AMX_FP16, CpuidFeature.AMX_COMPLEX,
        CpuidFeature.FRED, CpuidFeature.LKGS, CpuidFeature.MSRLIST, CpuidFeature.HRESET, CpuidFeature.PTWRITE, CpuidFeature.TSXLDTRK,
        CpuidFeature.INVLPGB, CpuidFeature.MCOMMIT, CpuidFeature.RDPRU, CpuidFeature.PCOMMIT, CpuidFeature.UDBG,
        // Not needed by guests yet: CPUID does not show them.
        CpuidFeature.SERIALIZE, CpuidFeature.CMPCCXADD, CpuidFeature.RAO_INT, CpuidFeature.AVX_VNNI_INT8, CpuidFeature.AVX_VNNI_INT16,
        CpuidFeature.SHA512, CpuidFeature.SM3, CpuidFeature.SM4, CpuidFeature.AVX512ER, CpuidFeature.AVX512PF, CpuidFeature.AVX512_4FMAPS,
        CpuidFeature.AVX512_4VNNIW,
    ];

    public static bool IsOffered(Code code) =>
        code is Code.Vmcall or Code.Vmmcall || !code.CpuidFeatures().Any(s_notOffered.Contains);

    /// <summary>Whether there is such an instruction on Intel's processors in this code size.</summary>
    public static bool IsInstructionOf(OpCodeInfo opCode, EncodingKind encoding, CodeSize size)
    {
        bool inMode = size switch
        {
            CodeSize.Code16 => opCode.IntelDecoder16,
            CodeSize.Code32 => opCode.IntelDecoder32,
            _ => opCode.IntelDecoder64,
        };

        // What the hint space holds besides NOP is decoded as NOP; FINIT and the like are WAIT and another instruction.
        bool isHint = opCode.Table == OpCodeTableKind.T0F && opCode.OpCode is 0x0D or >= 0x18 and <= 0x1F or 0x1EFA or 0x1EFB
            && !opCode.IsReservedNop;
        return opCode.IsInstruction && opCode.Encoding == encoding && inMode && !isHint && !opCode.Fwait
            && (opCode.DecoderOption == DecoderOptions.None || opCode.IsReservedNop) && IsOffered(opCode.Code);
    }

    /// <summary>True where ours may be something else than Iced's result.</summary>
    public static bool ValidityDiffers(DecodeResult expected, DecodeResult actual, int length)
    {
        // Iced has no word of its own for instructions of more than 15 bytes.
        if (actual == DecodeResult.TooLong && expected == DecodeResult.Invalid && length == 15)
        {
            return true;
        }

        // Bytes that run out: Iced reads on after some things that make the instruction invalid. Known to be invalid
        // early is what a fetch at a page's end wants.
        return actual == DecodeResult.Invalid && expected is DecodeResult.Truncated or DecodeResult.TooLong;
    }

    /// <summary>
    /// Zeroing idioms on vectors (PXOR x, x and the like): Iced says they read nothing; the decoder says so of general
    /// registers only, since vector registers are never renamed.
    /// </summary>
    public static bool IsVectorZeroing(Theirs theirs, InstructionInfo info)
    {
        int last = theirs.OpCount - 1;
        return last >= 1 && theirs.GetOpKind(last) == OpKind.Register && !theirs.GetOpRegister(last).IsGPR()
            && info.GetOpAccess(last) == OpAccess.None && theirs.GetOpRegister(last) == theirs.GetOpRegister(last - 1);
    }

    /// <summary>
    /// RCL and RCR of 8 or 16 bits by more than once round: Iced takes the count modulo 9 or 17 before it says that 0
    /// touches no flag and 1 defines OF; the specification means the count as it stands (SDM vol. 2, RCL/RCR).
    /// </summary>
    public static bool FlagsDiffer(Theirs theirs) => theirs.Code switch
    {
        Code.Rcl_rm8_imm8 or Code.Rcr_rm8_imm8 => (theirs.Immediate8 & 0x1F) >= 9,
        Code.Rcl_rm16_imm8 or Code.Rcr_rm16_imm8 => (theirs.Immediate8 & 0x1F) >= 17,
        _ => false,
    };
}
