// What Iced says that an instruction needs, in the decoder's words. By it the annotations of the opcode tables are proved
// (Engines.Tests), and cases are made of what a CPU model offers (Engine.Conformance.Tests); both compile this file.
using Iced.Intel;
using Lamina.Engines.X86.Decode;

namespace Lamina.Tests.Engines.Decode;

/// <summary>Needs by instruction.</summary>
internal static class NeededExtensions
{
    private static readonly Dictionary<CpuidFeature, Extensions> s_extensions = new()
    {
        [CpuidFeature.SSE3] = Extensions.Sse3,
        [CpuidFeature.SSSE3] = Extensions.Ssse3,
        [CpuidFeature.SSE4_1] = Extensions.Sse41,
        [CpuidFeature.SSE4_2] = Extensions.Sse42,
        [CpuidFeature.SSE4A] = Extensions.Sse4a,
        [CpuidFeature.AES] = Extensions.Aes,
        [CpuidFeature.PCLMULQDQ] = Extensions.Pclmulqdq,
        [CpuidFeature.SHA] = Extensions.Sha,
        [CpuidFeature.GFNI] = Extensions.Gfni,
        [CpuidFeature.POPCNT] = Extensions.Popcnt,
        [CpuidFeature.LZCNT] = Extensions.Lzcnt,
        [CpuidFeature.BMI1] = Extensions.Bmi1,
        [CpuidFeature.BMI2] = Extensions.Bmi2,
        [CpuidFeature.ADX] = Extensions.Adx,
        [CpuidFeature.MOVBE] = Extensions.Movbe,
        [CpuidFeature.CMPXCHG16B] = Extensions.Cmpxchg16b,
        [CpuidFeature.RDRAND] = Extensions.Rdrand,
        [CpuidFeature.RDSEED] = Extensions.Rdseed,
        [CpuidFeature.RDPID] = Extensions.Rdpid,
        [CpuidFeature.RDTSCP] = Extensions.Rdtscp,
        [CpuidFeature.FSGSBASE] = Extensions.FsGsBase,
        [CpuidFeature.SMAP] = Extensions.Smap,
        [CpuidFeature.INVPCID] = Extensions.Invpcid,
        [CpuidFeature.XSAVE] = Extensions.Xsave,
        [CpuidFeature.XSAVEOPT] = Extensions.Xsaveopt,
        [CpuidFeature.XSAVEC] = Extensions.Xsavec,
        [CpuidFeature.CLFLUSHOPT] = Extensions.Clflushopt,
        [CpuidFeature.CLWB] = Extensions.Clwb,
        [CpuidFeature.CLZERO] = Extensions.Clzero,
        [CpuidFeature.AVX] = Extensions.Avx,
        [CpuidFeature.AVX2] = Extensions.Avx | Extensions.Avx2,
        [CpuidFeature.FMA] = Extensions.Avx | Extensions.Fma,
        [CpuidFeature.F16C] = Extensions.Avx | Extensions.F16c,
        [CpuidFeature.AVX_VNNI] = Extensions.Avx | Extensions.AvxVnni,
        [CpuidFeature.AVX_IFMA] = Extensions.Avx | Extensions.AvxIfma,
        [CpuidFeature.AVX_NE_CONVERT] = Extensions.Avx | Extensions.NoModel,
        [CpuidFeature.MOVDIRI] = Extensions.NoModel,
        [CpuidFeature.AVX512F] = Extensions.Avx512F,
        [CpuidFeature.AVX512VL] = Extensions.Avx512VL,
        [CpuidFeature.AVX512BW] = Extensions.Avx512F | Extensions.Avx512BW,
        [CpuidFeature.AVX512DQ] = Extensions.Avx512F | Extensions.Avx512DQ,
        [CpuidFeature.AVX512CD] = Extensions.Avx512F | Extensions.Avx512CD,
        [CpuidFeature.AVX512_IFMA] = Extensions.Avx512F | Extensions.Avx512Ifma,
        [CpuidFeature.AVX512_VBMI] = Extensions.Avx512F | Extensions.Avx512Vbmi,
        [CpuidFeature.AVX512_VBMI2] = Extensions.Avx512F | Extensions.Avx512Vbmi2,
        [CpuidFeature.AVX512_VNNI] = Extensions.Avx512F | Extensions.Avx512Vnni,
        [CpuidFeature.AVX512_BITALG] = Extensions.Avx512F | Extensions.Avx512Bitalg,
        [CpuidFeature.AVX512_VPOPCNTDQ] = Extensions.Avx512F | Extensions.Avx512Vpopcntdq,
        [CpuidFeature.AVX512_BF16] = Extensions.Avx512F | Extensions.Avx512Bf16,
        [CpuidFeature.AVX512_FP16] = Extensions.Avx512F | Extensions.Avx512Fp16,
        [CpuidFeature.AVX512_VP2INTERSECT] = Extensions.Avx512F | Extensions.Avx512Vp2intersect,
    };

    /// <summary>What an instruction needs; nothing where no model is without it, or the decoder leaves it to the executor (XSAVES).</summary>
    public static Extensions Of(Code code, int bits)
    {
        if (bits == 64 && code is (Code.Lahf or Code.Sahf)) return Extensions.LahfLong;
        // Without it these bytes are WBINVD.
        if (code == Code.Wbnoinvd) return Extensions.None;
        var needed = Extensions.None;
        foreach (var feature in code.CpuidFeatures())
        {
            if (s_extensions.TryGetValue(feature, out var extension)) needed |= extension;
            if (feature == CpuidFeature.VAES) needed |= IsEvex(code) ? Extensions.Vaes | Extensions.Avx512F : Extensions.Vaes | Extensions.Avx;
            if (feature == CpuidFeature.VPCLMULQDQ) needed |= IsEvex(code) ? Extensions.Vpclmulqdq | Extensions.Avx512F : Extensions.Vpclmulqdq | Extensions.Avx;
        }
        return IsEvex(code) ? needed | Extensions.Avx512F : needed;
    }

    private static bool IsEvex(Code code) => code.ToOpCode().Encoding == Iced.Intel.EncodingKind.EVEX;
}
