// Which feature bits a guest may see. A bit in a Native mask is offered where the host has it: its instructions run on
// the host, or are executed by this room and are worth offering only there. A bit in an Emulated mask is offered
// always: nothing of the host is needed. What is in neither is never offered.
// SDM vol. 2, CPUID; APM vol. 3, appendix E.
namespace Lamina.Engines.X86.Cpuid;

internal static class CpuFeatures
{
    // Leaf 1, ECX
    public const uint Sse3 = 1 << 0, Pclmulqdq = 1 << 1, Ssse3 = 1 << 9, Fma = 1 << 12, Cx16 = 1 << 13, Pcid = 1 << 17;
    public const uint Sse41 = 1 << 19, Sse42 = 1 << 20, X2Apic = 1 << 21, Movbe = 1 << 22, Popcnt = 1 << 23, TscDeadline = 1 << 24;
    public const uint Aes = 1 << 25, Xsave = 1 << 26, Osxsave = 1 << 27, Avx = 1 << 28, F16c = 1 << 29, Rdrand = 1 << 30, Hypervisor = 1u << 31;
    public const uint Leaf1EcxNative = Sse3 | Pclmulqdq | Ssse3 | Fma | Cx16 | Pcid | Sse41 | Sse42 | Movbe | Popcnt | Aes | Xsave | Avx | F16c | Rdrand;
    public const uint Leaf1EcxEmulated = X2Apic | TscDeadline | Hypervisor;

    // Leaf 1, EDX: FPU, DE, PSE, TSC, MSR, PAE, MCE, CX8, APIC, SEP, MTRR, PGE, MCA, CMOV, PAT, PSE36, CLFSH, MMX, FXSR, SSE, SSE2, SS.
    // VME (1) is not offered: CR4.VME and PVI are reserved here.
    public const uint Apic = 1 << 9, Sep = 1 << 11, Htt = 1 << 28;
    public const uint Leaf1EdxNative = 0x0f8b_fbfd;

    // Leaf 7.0, EBX: FSGSBASE, TSC_ADJUST, BMI1, AVX2, FDP_EXCPTN_ONLY, SMEP, BMI2, ERMS, INVPCID, no FCS/FDS, AVX512F, AVX512DQ, RDSEED,
    // ADX, SMAP, AVX512_IFMA, CLFLUSHOPT, CLWB, AVX512CD, SHA, AVX512BW, AVX512VL.
    public const uint FsGsBase = 1 << 0, TscAdjust = 1 << 1, Avx2 = 1 << 5, Smep = 1 << 7, Invpcid = 1 << 10, Avx512F = 1 << 16, Smap = 1 << 20;
    public const uint Leaf7EbxNative = 0xf1bf_27eb;

    // Leaf 7.0, ECX: AVX512_VBMI, UMIP, VBMI2, GFNI, VAES, VPCLMULQDQ, VNNI, BITALG, VPOPCNTDQ, RDPID.
    public const uint Umip = 1 << 2, Rdpid = 1 << 22;
    public const uint Leaf7EcxNative = 0x0040_5f46;

    // Leaf 7.0, EDX: FSRM, VP2INTERSECT, AVX512_FP16; the rest concerns speculation (see SpeculationFeatures).
    public const uint Fsrm = 1 << 4, Avx512Fp16 = 1 << 23;
    public const uint Leaf7EdxNative = Fsrm | 1 << 8 | Avx512Fp16;

    // Leaf 7.1, EAX: AVX_VNNI, AVX512_BF16, FZRM, FSRS, FSRC, AVX_IFMA.
    public const uint Leaf71EaxNative = 1 << 4 | 1 << 5 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 23;

    /// <summary>Bits that need AVX, AVX2 or AVX-512 state and go when it is not offered.</summary>
    public const uint Leaf1EcxAvx = Fma | Avx | F16c;
    public const uint Leaf7EbxAvx = Avx2, Leaf7EcxAvx = 1 << 9 | 1 << 10, Leaf71EaxAvx = 1 << 4 | 1 << 23;
    public const uint Leaf7EbxAvx512 = 0xd023_0000, Leaf7EcxAvx512 = 0x5842, Leaf7EdxAvx512 = 1 << 8 | Avx512Fp16, Leaf71EaxAvx512 = 1 << 5;

    // Leaf 0x80000001. ECX: LAHF, ABM, SSE4A, MISALIGNSSE, PREFETCHW, TOPOEXT.
    public const uint CmpLegacy = 1 << 1;
    public const uint ExtendedEcxNative = 1 << 0 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 22;

    // EDX: the bits that AMD repeats from leaf 1, SYSCALL, NX, MMXEXT, 1 GiB pages, RDTSCP, long mode.
    public const uint Syscall = 1 << 11, Nx = 1 << 20, GigabytePages = 1 << 26, Rdtscp = 1 << 27, LongMode = 1 << 29;
    public const uint ExtendedEdxNative = 0x0183_f3fd | Syscall | Nx | 1 << 22 | GigabytePages | Rdtscp | LongMode;

    // Leaf 0x80000007, EDX; leaf 0x80000008, EBX: CLZERO, XSAVEERPTR, WBNOINVD.
    public const uint InvariantTsc = 1 << 8, Clzero = 1 << 0;
    public const uint Extended8EbxNative = Clzero | 1 << 2 | 1 << 9;

    // Leaf 0x80000021, EAX: no nested data breakpoints, LFENCE always serializing; emulated: a null selector clears the base.
    public const uint NullSelectorClearsBase = 1 << 6;
    public const uint Extended21EaxNative = 1 << 0 | 1 << 2;

    // Leaf 0xD.1, EAX.
    public const uint Xsaveopt = 1 << 0, Xsavec = 1 << 1, Xgetbv1 = 1 << 2;

    // Leaf 6, EAX: the local APIC's timer never stops.
    public const uint Arat = 1 << 2;
}
