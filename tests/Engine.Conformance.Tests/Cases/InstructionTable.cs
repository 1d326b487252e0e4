// The instructions that cases are made of, in groups that are drawn from with given weights: Iced's table without what the
// guest's CPU model does not offer, what must not run on the host, what differs by design, and what reads things that the two
// sides cannot have in common.
using System.Collections.Concurrent;
using Iced.Intel;
using Lamina.Engines.X86.Cpuid;
using Lamina.Engines.X86.Decode;
using Lamina.Tests.Engines.Decode;
using EncodingKind = Iced.Intel.EncodingKind;

namespace Lamina.Tests.Engine.Conformance.Cases;

/// <summary>Iced's codes by group, for one CPU model.</summary>
internal sealed class InstructionTable
{
    /// <summary>Weights of the groups, in the order of <see cref="GroupOf"/>.</summary>
    private static ReadOnlySpan<byte> Weights => [34, 8, 6, 8, 14, 12, 14, 2, 2];

    private const int Groups = 9;

    private static readonly ConcurrentDictionary<Extensions, InstructionTable> Tables = [];

    private static readonly Extensions Host = CpuModel.ForHost(new CpuModelOptions { TscHz = 1_000_000_000 }).InstructionSet.Offered;

    private readonly Extensions _offered;
    private readonly Code[][] _long, _middle, _small;

    private InstructionTable(Extensions offered)
    {
        _offered = offered;
        (_long, _middle, _small) = (Build(64), Build(32), Build(16));
    }

    /// <summary>Whether the model hides nothing of the host's: what is no instruction here is none there.</summary>
    public bool IsHosts => _offered == Host;

    /// <summary>The table for what a CPU model offers.</summary>
    public static InstructionTable For(in InstructionSet set) => Tables.GetOrAdd(set.Offered, offered => new InstructionTable(offered));

    /// <summary>What the decoder knows and the model does not offer, each once: #UD, whatever the operands are.</summary>
    public IEnumerable<Code> NotOffered(int bits) => Enum.GetValues<Code>().Where(code =>
        code.ToOpCode() is { IsInstruction: true } opcode && (bits switch { 64 => opcode.Mode64, 32 => opcode.Mode32, _ => opcode.Mode16 })
        && (NeededExtensions.Of(code, bits) & ~_offered) != 0
        // BSF and BSR, then.
        && code.Mnemonic() is not (Mnemonic.Tzcnt or Mnemonic.Lzcnt));

    /// <summary>Draws an instruction for a code size.</summary>
    public Code Draw(CaseRandom random, int bits)
    {
        var table = bits switch { 64 => _long, 32 => _middle, _ => _small };
        while (true)
        {
            var at = random.Below(100);
            var group = 0;
            while (at >= Weights[group]) at -= Weights[group++];
            if (table[group].Length != 0) return random.Pick<Code>(table[group]);
        }
    }

    /// <summary>All instructions for a code size, each once.</summary>
    public IEnumerable<Code> All(int bits) => (bits switch { 64 => _long, 32 => _middle, _ => _small }).SelectMany(group => group);

    /// <summary>Whether an instruction has a memory operand that is the same on all processors where it reaches over the last address.</summary>
    public static bool Wraps(Code code)
    {
        var opcode = code.ToOpCode();
        var memory = -1;
        for (var i = 0; i < opcode.OpCount; i++)
            if (opcode.GetOpKind(i).ToString() is var kind && (kind.Contains("mem", StringComparison.Ordinal) || kind is "seg_rSI" or "seg_rDI" or "es_rDI")) memory = memory < 0 ? i : memory;
        // Some processors store 512 bits in two parts, and ten bytes too, of which each wraps.
        return memory >= 0 && opcode.MemorySize.GetSize() is var size && size != 10 && (size < 64 || memory != 0);
    }

    private Code[][] Build(int bits)
    {
        var groups = new List<Code>[Groups];
        for (var i = 0; i < Groups; i++) groups[i] = [];
        foreach (var code in Enum.GetValues<Code>())
        {
            var opcode = code.ToOpCode();
            if (!opcode.IsInstruction || IsExcluded(code, bits) || (NeededExtensions.Of(code, bits) & ~_offered) != 0) continue;
            if (bits == 64 && IsNarrowBranch(opcode)) continue;
            if (!(bits switch { 64 => opcode.Mode64, 32 => opcode.Mode32, _ => opcode.Mode16 })) continue;
            groups[GroupOf(code, opcode)].Add(code);
        }
        return [.. groups.Select(group => group.ToArray())];
    }

    private static int GroupOf(Code code, OpCodeInfo opcode)
    {
        if (opcode.Encoding == EncodingKind.VEX) return 5;
        if (opcode.Encoding == EncodingKind.EVEX) return 6;
        var feature = code.CpuidFeatures()[0];
        var mnemonic = code.Mnemonic();
        if (IsString(mnemonic)) return 2;
        if (IsPrivileged(mnemonic)) return 8;
        if (feature.ToString().StartsWith("FPU", StringComparison.Ordinal)) return 3;
        if (feature is CpuidFeature.MMX or CpuidFeature.SSE or CpuidFeature.SSE2 or CpuidFeature.SSE3 or CpuidFeature.SSSE3 or CpuidFeature.SSE4_1
            or CpuidFeature.SSE4_2 or CpuidFeature.AES or CpuidFeature.SHA or CpuidFeature.PCLMULQDQ or CpuidFeature.GFNI or CpuidFeature.SSE4A) return 4;
        if (IsControl(mnemonic)) return 1;
        return feature.ToString().StartsWith("INTEL", StringComparison.Ordinal) || feature is CpuidFeature.X64 or CpuidFeature.CMOV or CpuidFeature.BMI1 or CpuidFeature.BMI2
            or CpuidFeature.ADX or CpuidFeature.MOVBE or CpuidFeature.POPCNT or CpuidFeature.LZCNT or CpuidFeature.CX8 or CpuidFeature.CMPXCHG16B ? 0 : 7;
    }

    private static bool IsString(Mnemonic mnemonic) => mnemonic is >= Mnemonic.Movsb and <= Mnemonic.Movsw or Mnemonic.Stosb or Mnemonic.Stosw or Mnemonic.Stosd or Mnemonic.Stosq
        or Mnemonic.Lodsb or Mnemonic.Lodsw or Mnemonic.Lodsd or Mnemonic.Lodsq or Mnemonic.Scasb or Mnemonic.Scasw or Mnemonic.Scasd or Mnemonic.Scasq
        or Mnemonic.Cmpsb or Mnemonic.Cmpsw or Mnemonic.Cmpsq;

    private static bool IsControl(Mnemonic mnemonic) => mnemonic is Mnemonic.Push or Mnemonic.Pop or Mnemonic.Call or Mnemonic.Ret or Mnemonic.Jmp or Mnemonic.Enter or Mnemonic.Leave
        or Mnemonic.Loop or Mnemonic.Loope or Mnemonic.Loopne or Mnemonic.Pushf or Mnemonic.Pushfd or Mnemonic.Pushfq or Mnemonic.Popf or Mnemonic.Popfd or Mnemonic.Popfq;

    // All raise an exception for users, which is what is compared.
    private static bool IsPrivileged(Mnemonic mnemonic) => mnemonic is Mnemonic.In or Mnemonic.Out or Mnemonic.Insb or Mnemonic.Insw or Mnemonic.Insd
        or Mnemonic.Outsb or Mnemonic.Outsw or Mnemonic.Outsd or Mnemonic.Cli or Mnemonic.Sti or Mnemonic.Hlt or Mnemonic.Clts or Mnemonic.Lmsw or Mnemonic.Invlpg
        or Mnemonic.Lgdt or Mnemonic.Lidt or Mnemonic.Lldt or Mnemonic.Ltr or Mnemonic.Rdmsr or Mnemonic.Wrmsr or Mnemonic.Swapgs or Mnemonic.Invd or Mnemonic.Wbinvd
        or Mnemonic.Ud0 or Mnemonic.Ud1 or Mnemonic.Ud2;

    /// <summary>What no case may contain. What neither side has may be in one: both say #UD, before they look at operands.</summary>
    public bool IsExcluded(Code code, int bits)
    {
        if ((NeededExtensions.Of(code, bits) & Host & ~_offered) != 0) return true;
        foreach (var feature in code.CpuidFeatures())
            if (IsExcluded(feature)) return true;
        // AMD's processors read 32 bits for it, Intel's 16.
        if (code == Code.Movsxd_r16_rm16) return true;
        return IsExcluded(code.Mnemonic()) || HasExcludedOperand(code.ToOpCode());
    }

    private static bool IsExcluded(CpuidFeature feature)
    {
        var name = feature.ToString();
        return name.StartsWith("PADLOCK", StringComparison.Ordinal) || name.StartsWith("CYRIX", StringComparison.Ordinal) || name.StartsWith("KNC", StringComparison.Ordinal)
            || name.StartsWith("AMX", StringComparison.Ordinal) || name.StartsWith("CET", StringComparison.Ordinal) || name.StartsWith("D3NOW", StringComparison.Ordinal)
            || feature is CpuidFeature.VMX or CpuidFeature.SVM or CpuidFeature.SMX or CpuidFeature.SGX1 or CpuidFeature.SEV_ES or CpuidFeature.SEV_SNP or CpuidFeature.SKINIT
            or CpuidFeature.SKINIT_or_SVM or CpuidFeature.TDX or CpuidFeature.RTM or CpuidFeature.HLE_or_RTM or CpuidFeature.MPX or CpuidFeature.XOP or CpuidFeature.FMA4
            or CpuidFeature.TBM or CpuidFeature.LWP or CpuidFeature.PKU or CpuidFeature.WAITPKG or CpuidFeature.MONITOR or CpuidFeature.MONITORX
            or CpuidFeature.RDRAND or CpuidFeature.RDSEED or CpuidFeature.RDPID or CpuidFeature.RDTSCP or CpuidFeature.TSC or CpuidFeature.CPUID or CpuidFeature.RDPMC
            or CpuidFeature.XSAVE or CpuidFeature.XSAVEC or CpuidFeature.XSAVEOPT or CpuidFeature.XSAVES or CpuidFeature.FXSR or CpuidFeature.ENQCMD or CpuidFeature.PTWRITE
            or CpuidFeature.CLZERO or CpuidFeature.INVLPGB or CpuidFeature.UINTR or CpuidFeature.RDPRU or CpuidFeature.MCOMMIT or CpuidFeature.KL or CpuidFeature.AESKLE
            or CpuidFeature.HRESET or CpuidFeature.PCONFIG or CpuidFeature.SERIALIZE or CpuidFeature.INVPCID or CpuidFeature.FRED or CpuidFeature.LKGS
            or CpuidFeature.FSGSBASE or CpuidFeature.SMAP or CpuidFeature.MSRLIST or CpuidFeature.WRMSRNS or CpuidFeature.RMPQUERY or CpuidFeature.CLDEMOTE or CpuidFeature.CMPCCXADD
            or CpuidFeature.RAO_INT or CpuidFeature.MOVDIR64B or CpuidFeature.MOVDIRI or CpuidFeature.AVX_NE_CONVERT or CpuidFeature.AVX_VNNI_INT8 or CpuidFeature.AVX_VNNI_INT16
            or CpuidFeature.SHA512 or CpuidFeature.SM3 or CpuidFeature.SM4 or CpuidFeature.AVX512ER or CpuidFeature.AVX512PF or CpuidFeature.AVX512_4VNNIW or CpuidFeature.AVX512_4FMAPS or CpuidFeature.TSXLDTRK or CpuidFeature.UDBG;
    }

    private static bool IsExcluded(Mnemonic mnemonic) => mnemonic is Mnemonic.Syscall or Mnemonic.Sysenter or Mnemonic.Sysret or Mnemonic.Sysretq or Mnemonic.Sysexit or Mnemonic.Sysexitq
        or Mnemonic.Int or Mnemonic.Int1 or Mnemonic.Int3 or Mnemonic.Iret or Mnemonic.Iretd or Mnemonic.Iretq or Mnemonic.Retf or Mnemonic.Rsm
        or Mnemonic.Lar or Mnemonic.Lsl or Mnemonic.Verr or Mnemonic.Verw or Mnemonic.Sldt or Mnemonic.Str or Mnemonic.Sgdt or Mnemonic.Sidt or Mnemonic.Smsw
        or Mnemonic.Lds or Mnemonic.Les or Mnemonic.Lfs or Mnemonic.Lgs or Mnemonic.Lss
        or Mnemonic.Loadall or Mnemonic.Umov or Mnemonic.Xbts or Mnemonic.Ibts or Mnemonic.Storeall or Mnemonic.Jmpe
        or Mnemonic.Fnstenv or Mnemonic.Fstenv or Mnemonic.Fnsave or Mnemonic.Fsave or Mnemonic.Fldenv or Mnemonic.Frstor or Mnemonic.Fstdw or Mnemonic.Fstsg or Mnemonic.Fstsw
        or Mnemonic.Frstpm or Mnemonic.Fsetpm or Mnemonic.Fnsetpm or Mnemonic.Fdisi or Mnemonic.Fndisi or Mnemonic.Feni or Mnemonic.Fneni
        or Mnemonic.Reservednop;

    // Control, debug and test registers; segment registers as a destination; far pointers.
    private static bool HasExcludedOperand(OpCodeInfo opcode)
    {
        for (var i = 0; i < opcode.OpCount; i++)
        {
            var kind = opcode.GetOpKind(i);
            if (kind is OpCodeOperandKind.cr_reg or OpCodeOperandKind.dr_reg or OpCodeOperandKind.tr_reg or OpCodeOperandKind.farbr2_2 or OpCodeOperandKind.farbr4_2
                or OpCodeOperandKind.xbegin_2 or OpCodeOperandKind.xbegin_4 or OpCodeOperandKind.brdisp_2 or OpCodeOperandKind.brdisp_4 or OpCodeOperandKind.seg_reg
                or OpCodeOperandKind.es or OpCodeOperandKind.cs or OpCodeOperandKind.ss or OpCodeOperandKind.ds or OpCodeOperandKind.fs or OpCodeOperandKind.gs) return true;
        }
        return opcode.Code.ToString().Contains("_m16", StringComparison.Ordinal) && opcode.Mnemonic is Mnemonic.Jmp or Mnemonic.Call && IsFar(opcode.Code);
    }

    /// <summary>Near branches with prefix 66 in 64-bit mode: AMD's processors truncate RIP, Intel's ignore the prefix, and so does the engine.</summary>
    public static bool IsNarrowBranch(OpCodeInfo opcode) =>
        (IsControl(opcode.Mnemonic) && opcode.Mnemonic is Mnemonic.Call or Mnemonic.Ret or Mnemonic.Jmp or Mnemonic.Loop or Mnemonic.Loope or Mnemonic.Loopne && opcode.OperandSize == 16)
        || HasOperand(opcode, OpCodeOperandKind.br16_1) || HasOperand(opcode, OpCodeOperandKind.br16_2);

    private static bool HasOperand(OpCodeInfo opcode, OpCodeOperandKind kind)
    {
        for (var i = 0; i < opcode.OpCount; i++)
            if (opcode.GetOpKind(i) == kind) return true;
        return false;
    }

    private static bool IsFar(Code code) => code is Code.Jmp_m1616 or Code.Jmp_m1632 or Code.Jmp_m1664 or Code.Call_m1616 or Code.Call_m1632 or Code.Call_m1664;
}
