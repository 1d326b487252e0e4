// What a processor may lack of the instruction set, beyond what every x86-64 processor has (x87, MMX, SSE2, CMOV, CX8, FXSR), and
// the rules that instructions are decoded by: what the CPU model offers, and whose rules for fields without a use hold.
namespace Lamina.Engines.X86.Decode;

/// <summary>Extensions of the instruction set, named as CPUID's feature bits (SDM vol. 2, CPUID; APM vol. 3, appendix D).</summary>
[Flags]
internal enum Extensions : ulong
{
    None = 0,
    Sse3 = 1UL << 0,
    Ssse3 = 1UL << 1,
    Sse41 = 1UL << 2,
    Sse42 = 1UL << 3,
    Sse4a = 1UL << 4,
    Aes = 1UL << 5,
    Pclmulqdq = 1UL << 6,
    Sha = 1UL << 7,
    Gfni = 1UL << 8,
    Popcnt = 1UL << 9,
    Lzcnt = 1UL << 10,
    Bmi1 = 1UL << 11,
    Bmi2 = 1UL << 12,
    Adx = 1UL << 13,
    Movbe = 1UL << 14,
    Cmpxchg16b = 1UL << 15,
    Rdrand = 1UL << 16,
    Rdseed = 1UL << 17,
    Rdpid = 1UL << 18,
    Rdtscp = 1UL << 19,
    FsGsBase = 1UL << 20,
    Smap = 1UL << 21,
    Invpcid = 1UL << 22,
    Xsave = 1UL << 23,
    Xsaveopt = 1UL << 24,
    Xsavec = 1UL << 25,
    Clflushopt = 1UL << 26,
    Clwb = 1UL << 27,
    Clzero = 1UL << 28,

    /// <summary>LAHF and SAHF in 64-bit mode.</summary>
    LahfLong = 1UL << 29,
    Avx = 1UL << 30,
    Avx2 = 1UL << 31,
    Fma = 1UL << 32,
    F16c = 1UL << 33,
    Vaes = 1UL << 34,
    Vpclmulqdq = 1UL << 35,
    AvxVnni = 1UL << 36,
    AvxIfma = 1UL << 37,
    Avx512F = 1UL << 38,
    Avx512BW = 1UL << 39,
    Avx512DQ = 1UL << 40,
    Avx512CD = 1UL << 41,
    Avx512VL = 1UL << 42,
    Avx512Ifma = 1UL << 43,
    Avx512Vbmi = 1UL << 44,
    Avx512Vbmi2 = 1UL << 45,
    Avx512Vnni = 1UL << 46,
    Avx512Bitalg = 1UL << 47,
    Avx512Vpopcntdq = 1UL << 48,
    Avx512Bf16 = 1UL << 49,
    Avx512Fp16 = 1UL << 50,
    Avx512Vp2intersect = 1UL << 51,

    /// <summary>What the decoder can describe and no CPU model offers.</summary>
    NoModel = 1UL << 63,

    /// <summary>All of them, and that: for who only wants a description.</summary>
    All = ulong.MaxValue,
}

/// <summary>What decides, besides the bytes and the size of code, what an instruction is.</summary>
/// <param name="Offered">What the processor offers; anything else is #UD, or what the bytes mean without it (TZCNT is BSF).</param>
/// <param name="IgnoresUnused">Whether fields of VEX and EVEX that an instruction has no use for are ignored (AMD) or #UD (Intel: SDM vol. 2, 2.7.11).</param>
internal readonly record struct InstructionSet(Extensions Offered, bool IgnoresUnused);
