// What a processor must offer for an instruction: a row's class of state and number of extension, and the vector length,
// become a set of extensions. SDM vol. 2, the column "CPUID Feature Flag" of each instruction. The decoder asks for every row
// that fits; an array rather than a span, as in Patterns.
namespace Lamina.Engines.X86.Decode.Tables;

/// <summary>Extensions by row.</summary>
internal static class Requirements
{
    /// <summary>Bits of a row's second word of which one at least is set where it needs anything: an extension's number, or a vector class of state.</summary>
    internal const ulong Any = 31UL << Row.ExtensionShift | Row.Avx & Row.Avx512;

    // By class of state, number of extension, and whether the vector length is 256 bits.
    private static readonly Extensions[] s_needed = Build();

    /// <summary>What a row needs.</summary>
    /// <param name="match">Its first word.</param>
    /// <param name="meaning">Its second word.</param>
    /// <param name="length">Vector length as VEX.L and EVEX.L'L count; 2 with embedded rounding; 0 without either prefix.</param>
    internal static Extensions Of(ulong match, ulong meaning, int length)
    {
        Extensions needed = s_needed[(int)(meaning >> Row.StateShift & 7) << 6 | (int)(meaning >> Row.ExtensionShift) << 1 | length & 1];
        // What has a form of 512 bits and is not a scalar needs AVX512VL for the shorter ones.
        bool hasWholeForm = (match >> (Row.LengthShift + 2) & 3) == 2;
        return hasWholeForm && length < 2 ? needed | Extensions.Avx512VL : needed;
    }

    private static Extensions[] Build()
    {
        var needed = new Extensions[8 << 6];
        for (int extension = 0; extension < 32; extension++)
        {
            Add((ulong)extension << Row.ExtensionShift | Row.Avx, Extensions.Avx);
            Add((ulong)extension << Row.ExtensionShift | Row.Avx512, Extensions.Avx512F);
        }
        Add(Row.Popcnt, Extensions.Popcnt);
        Add(Row.Lzcnt, Extensions.Lzcnt);
        Add(Row.Bmi1, Extensions.Bmi1);
        Add(Row.Bmi2, Extensions.Bmi2);
        Add(Row.Adx, Extensions.Adx);
        Add(Row.Movbe, Extensions.Movbe);
        Add(Row.Crc32, Extensions.Sse42);
        Add(Row.Cmpxchg16b, Extensions.Cmpxchg16b);
        Add(Row.Rdrand, Extensions.Rdrand);
        Add(Row.Rdseed, Extensions.Rdseed);
        Add(Row.Rdpid, Extensions.Rdpid);
        Add(Row.Rdtscp, Extensions.Rdtscp);
        Add(Row.FsGsBase, Extensions.FsGsBase);
        Add(Row.Smap, Extensions.Smap);
        Add(Row.Invpcid, Extensions.Invpcid);
        Add(Row.Xsave, Extensions.Xsave);
        Add(Row.Xsaveopt, Extensions.Xsaveopt);
        Add(Row.Xsavec, Extensions.Xsavec);
        Add(Row.Clflushopt, Extensions.Clflushopt);
        Add(Row.Clwb, Extensions.Clwb);
        Add(Row.Clzero, Extensions.Clzero);
        Add(Row.LahfLong, Extensions.LahfLong);
        Add(Row.NoModel, Extensions.NoModel);
        Add(Row.Fisttp, Extensions.Sse3);
        Add(Row.Ssse3Mmx, Extensions.Ssse3);
        Add(Row.Sse3, Extensions.Sse3);
        Add(Row.Ssse3, Extensions.Ssse3);
        Add(Row.Sse41, Extensions.Sse41);
        Add(Row.Sse42, Extensions.Sse42);
        Add(Row.Sse4a, Extensions.Sse4a);
        Add(Row.Aes, Extensions.Aes);
        Add(Row.Clmul, Extensions.Pclmulqdq);
        Add(Row.Sha, Extensions.Sha);
        Add(Row.Gfni, Extensions.Gfni);
        Add(Row.AvxInteger, Extensions.None, Extensions.Avx2);
        Add(Row.Avx2, Extensions.Avx2);
        Add(Row.Fma, Extensions.Fma);
        Add(Row.F16c, Extensions.F16c);
        Add(Row.AvxVnni, Extensions.AvxVnni);
        Add(Row.AvxIfma, Extensions.AvxIfma);
        Add(Row.GfniVex, Extensions.Gfni);
        Add(Row.Vaes, Extensions.Aes, Extensions.Vaes);
        Add(Row.Vpclmul, Extensions.Pclmulqdq, Extensions.Vpclmulqdq);
        Add(Row.AvxNoModel, Extensions.NoModel);
        Add(Row.Avx512BW, Extensions.Avx512BW);
        Add(Row.Avx512DQ, Extensions.Avx512DQ);
        Add(Row.Avx512CD, Extensions.Avx512CD);
        Add(Row.Ifma, Extensions.Avx512Ifma);
        Add(Row.Vbmi, Extensions.Avx512Vbmi);
        Add(Row.Vbmi2, Extensions.Avx512Vbmi2);
        Add(Row.Vnni, Extensions.Avx512Vnni);
        Add(Row.Bitalg, Extensions.Avx512Bitalg);
        Add(Row.Vpopcntdq, Extensions.Avx512Vpopcntdq);
        Add(Row.Bf16, Extensions.Avx512Bf16);
        Add(Row.Fp16, Extensions.Avx512Fp16);
        Add(Row.Vp2intersect, Extensions.Avx512Vp2intersect);
        Add(Row.GfniEvex, Extensions.Gfni);
        Add(Row.VaesEvex, Extensions.Vaes);
        Add(Row.VpclmulEvex, Extensions.Vpclmulqdq);
        return needed;

        void Add(ulong token, Extensions with128, Extensions? with256 = null)
        {
            int index = (int)(token >> Row.StateShift & 7) << 6 | (int)(token >> Row.ExtensionShift) << 1;
            needed[index] |= with128;
            needed[index | 1] |= with256 ?? with128;
        }
    }
}
