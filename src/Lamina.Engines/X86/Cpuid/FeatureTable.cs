// The features that a CPU model may have or not: their names (those of Linux' /proc/cpuinfo, where it has one), their bits in CPUID, what
// the decoder knows them as, and what they need. What every x86-64 processor has is not here, nor what the engines give on
// any host. SDM vol. 2, CPUID; APM vol. 3, appendix E; x86-64 psABI 1.0, 3.1.1 (levels).
using Lamina.Engines.X86.Decode;

namespace Lamina.Engines.X86.Cpuid;

/// <summary>A register that CPUID returns.</summary>
internal enum CpuidRegister
{
    Eax,
    Ebx,
    Ecx,
    Edx,
}

/// <summary>A feature that can be switched.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Leaf">EAX of CPUID.</param>
/// <param name="Subleaf">ECX of CPUID.</param>
/// <param name="Register">Where its bit is.</param>
/// <param name="Bit">Which.</param>
internal sealed record CpuFeature(string Name, uint Leaf, uint Subleaf, CpuidRegister Register, int Bit)
{
    /// <summary>What the decoder knows it as, if it has instructions.</summary>
    public Extensions Extension { get; init; }

    /// <summary>Names of what it makes no sense without.</summary>
    public IReadOnlyList<string> Needs { get; init; } = [];

    /// <summary>Whether a table of CPUID results has it.</summary>
    public bool IsIn(in CpuidResult result) => (Of(result, Register) >> Bit & 1) != 0;

    /// <summary>The result without it.</summary>
    public CpuidResult Without(in CpuidResult result) => Without(result, Register, 1u << Bit);

    /// <summary>A result without some bits of a register.</summary>
    public static CpuidResult Without(in CpuidResult result, CpuidRegister register, uint bits) => register switch
    {
        CpuidRegister.Eax => result with { Eax = result.Eax & ~bits },
        CpuidRegister.Ebx => result with { Ebx = result.Ebx & ~bits },
        CpuidRegister.Ecx => result with { Ecx = result.Ecx & ~bits },
        _ => result with { Edx = result.Edx & ~bits },
    };

    /// <summary>A register of a result.</summary>
    public static uint Of(in CpuidResult result, CpuidRegister register) => register switch
    {
        CpuidRegister.Eax => result.Eax,
        CpuidRegister.Ebx => result.Ebx,
        CpuidRegister.Ecx => result.Ecx,
        _ => result.Edx,
    };
}

/// <summary>All features, and the levels that are sets of them.</summary>
internal static class FeatureTable
{
    private const uint Extended = 0x8000_0001, Extended8 = 0x8000_0008;

    /// <summary>The features; what one needs stands before it.</summary>
    public static IReadOnlyList<CpuFeature> All { get; } =
    [
        Make("sse3", 1, CpuidRegister.Ecx, 0, Extensions.Sse3),
        Make("ssse3", 1, CpuidRegister.Ecx, 9, Extensions.Ssse3, "sse3"),
        Make("sse4_1", 1, CpuidRegister.Ecx, 19, Extensions.Sse41, "ssse3"),
        Make("sse4_2", 1, CpuidRegister.Ecx, 20, Extensions.Sse42, "sse4_1"),
        Make("sse4a", Extended, CpuidRegister.Ecx, 6, Extensions.Sse4a, "sse3"),
        Make("misalignsse", Extended, CpuidRegister.Ecx, 7),
        Make("popcnt", 1, CpuidRegister.Ecx, 23, Extensions.Popcnt),
        Make("cx16", 1, CpuidRegister.Ecx, 13, Extensions.Cmpxchg16b),
        Make("lahf_lm", Extended, CpuidRegister.Ecx, 0, Extensions.LahfLong),
        Make("aes", 1, CpuidRegister.Ecx, 25, Extensions.Aes),
        Make("pclmulqdq", 1, CpuidRegister.Ecx, 1, Extensions.Pclmulqdq),
        Make("sha_ni", 7, CpuidRegister.Ebx, 29, Extensions.Sha, "ssse3"),
        Make("gfni", 7, CpuidRegister.Ecx, 8, Extensions.Gfni),
        Make("movbe", 1, CpuidRegister.Ecx, 22, Extensions.Movbe),
        Make("abm", Extended, CpuidRegister.Ecx, 5, Extensions.Lzcnt),
        Make("bmi1", 7, CpuidRegister.Ebx, 3, Extensions.Bmi1),
        Make("bmi2", 7, CpuidRegister.Ebx, 8, Extensions.Bmi2),
        Make("adx", 7, CpuidRegister.Ebx, 19, Extensions.Adx),
        Make("rdrand", 1, CpuidRegister.Ecx, 30, Extensions.Rdrand),
        Make("rdseed", 7, CpuidRegister.Ebx, 18, Extensions.Rdseed),
        Make("rdtscp", Extended, CpuidRegister.Edx, 27, Extensions.Rdtscp),
        Make("rdpid", 7, CpuidRegister.Ecx, 22, Extensions.Rdpid),
        Make("fsgsbase", 7, CpuidRegister.Ebx, 0, Extensions.FsGsBase),
        Make("clflushopt", 7, CpuidRegister.Ebx, 23, Extensions.Clflushopt),
        Make("clwb", 7, CpuidRegister.Ebx, 24, Extensions.Clwb),
        Make("clzero", Extended8, CpuidRegister.Ebx, 0, Extensions.Clzero),
        Make("wbnoinvd", Extended8, CpuidRegister.Ebx, 9),
        Make("erms", 7, CpuidRegister.Ebx, 9),
        Make("fsrm", 7, CpuidRegister.Edx, 4),
        new("fzrm", 7, 1, CpuidRegister.Eax, 10),
        new("fsrs", 7, 1, CpuidRegister.Eax, 11),
        new("fsrc", 7, 1, CpuidRegister.Eax, 12),
        Make("3dnowprefetch", Extended, CpuidRegister.Ecx, 8),
        Make("pcid", 1, CpuidRegister.Ecx, 17),
        Make("invpcid", 7, CpuidRegister.Ebx, 10, Extensions.Invpcid),
        Make("smep", 7, CpuidRegister.Ebx, 7),
        Make("smap", 7, CpuidRegister.Ebx, 20, Extensions.Smap),
        Make("umip", 7, CpuidRegister.Ecx, 2),
        Make("pdpe1gb", Extended, CpuidRegister.Edx, 26),
        Make("xsave", 1, CpuidRegister.Ecx, 26, Extensions.Xsave),
        new("xsaveopt", 0xd, 1, CpuidRegister.Eax, 0) { Extension = Extensions.Xsaveopt, Needs = ["xsave"] },
        new("xsavec", 0xd, 1, CpuidRegister.Eax, 1) { Extension = Extensions.Xsavec, Needs = ["xsave"] },
        new("xgetbv1", 0xd, 1, CpuidRegister.Eax, 2) { Needs = ["xsave"] },
        Make("xsaveerptr", Extended8, CpuidRegister.Ebx, 2, Extensions.None, "xsave"),
        Make("avx", 1, CpuidRegister.Ecx, 28, Extensions.Avx, "xsave", "sse4_2"),
        Make("f16c", 1, CpuidRegister.Ecx, 29, Extensions.F16c, "avx"),
        Make("fma", 1, CpuidRegister.Ecx, 12, Extensions.Fma, "avx"),
        Make("avx2", 7, CpuidRegister.Ebx, 5, Extensions.Avx2, "avx"),
        Make("vaes", 7, CpuidRegister.Ecx, 9, Extensions.Vaes, "avx", "aes"),
        Make("vpclmulqdq", 7, CpuidRegister.Ecx, 10, Extensions.Vpclmulqdq, "avx", "pclmulqdq"),
        new("avx_vnni", 7, 1, CpuidRegister.Eax, 4) { Extension = Extensions.AvxVnni, Needs = ["avx2"] },
        new("avx_ifma", 7, 1, CpuidRegister.Eax, 23) { Extension = Extensions.AvxIfma, Needs = ["avx2"] },
        Make("avx512f", 7, CpuidRegister.Ebx, 16, Extensions.Avx512F, "avx2", "fma", "f16c"),
        Make("avx512dq", 7, CpuidRegister.Ebx, 17, Extensions.Avx512DQ, "avx512f"),
        Make("avx512ifma", 7, CpuidRegister.Ebx, 21, Extensions.Avx512Ifma, "avx512f"),
        Make("avx512cd", 7, CpuidRegister.Ebx, 28, Extensions.Avx512CD, "avx512f"),
        Make("avx512bw", 7, CpuidRegister.Ebx, 30, Extensions.Avx512BW, "avx512f"),
        Make("avx512vl", 7, CpuidRegister.Ebx, 31, Extensions.Avx512VL, "avx512f"),
        Make("avx512vbmi", 7, CpuidRegister.Ecx, 1, Extensions.Avx512Vbmi, "avx512bw"),
        Make("avx512_vbmi2", 7, CpuidRegister.Ecx, 6, Extensions.Avx512Vbmi2, "avx512bw"),
        Make("avx512_vnni", 7, CpuidRegister.Ecx, 11, Extensions.Avx512Vnni, "avx512f"),
        Make("avx512_bitalg", 7, CpuidRegister.Ecx, 12, Extensions.Avx512Bitalg, "avx512bw"),
        Make("avx512_vpopcntdq", 7, CpuidRegister.Ecx, 14, Extensions.Avx512Vpopcntdq, "avx512f"),
        Make("avx512_vp2intersect", 7, CpuidRegister.Edx, 8, Extensions.Avx512Vp2intersect, "avx512f"),
        Make("avx512_fp16", 7, CpuidRegister.Edx, 23, Extensions.Avx512Fp16, "avx512bw"),
        new("avx512_bf16", 7, 1, CpuidRegister.Eax, 5) { Extension = Extensions.Avx512Bf16, Needs = ["avx512bw"] },
    ];

    // Names of what cannot be switched and may be missing all the same, as /proc/cpuinfo has them.
    private static readonly (string Name, uint Leaf, CpuidRegister Register, int Bit)[] s_fixed =
    [
        ("x2apic", 1, CpuidRegister.Ecx, 21), ("tsc_deadline_timer", 1, CpuidRegister.Ecx, 24), ("tsc_adjust", 7, CpuidRegister.Ebx, 1),
        ("topoext", Extended, CpuidRegister.Ecx, 22), ("syscall", Extended, CpuidRegister.Edx, 11), ("nx", Extended, CpuidRegister.Edx, 20), ("lm", Extended, CpuidRegister.Edx, 29),
        ("nonstop_tsc", 0x8000_0007, CpuidRegister.Edx, 8),
    ];

    /// <summary>The levels of the x86-64 psABI from the lowest up, each with the features that it has.</summary>
    public static IReadOnlyList<(string Name, IReadOnlyList<string> Features)> Levels { get; } = MakeLevels();

    /// <summary>A feature by its name, however its parts are joined (sse4.1, sse4-1), or null.</summary>
    public static CpuFeature? Find(string name)
    {
        var plain = name.Replace('.', '_').Replace('-', '_');
        plain = plain switch { "lzcnt" => "abm", "pni" => "sse3", "sha" => "sha_ni", _ => plain };
        return All.FirstOrDefault(feature => feature.Name == plain);
    }

    /// <summary>What a bit of CPUID is called: a feature's name, or where it is.</summary>
    public static string NameOf(uint leaf, uint subleaf, CpuidRegister register, int bit) =>
        All.FirstOrDefault(feature => (feature.Leaf, feature.Subleaf, feature.Register, feature.Bit) == (leaf, subleaf, register, bit))?.Name
        ?? s_fixed.FirstOrDefault(one => (one.Leaf, one.Register, one.Bit) == (leaf, register, bit) && subleaf == 0).Name
        ?? $"bit {bit} of {register.ToString().ToUpperInvariant()} of the CPUID leaf 0x{leaf:x}{(subleaf == 0 ? "" : $".{subleaf}")}";

    /// <summary>The features that a table of CPUID results has, without those whose needs it lacks.</summary>
    public static HashSet<CpuFeature> In(Func<uint, uint, CpuidResult> table)
    {
        var found = new HashSet<CpuFeature>();
        foreach (var feature in All)
            if (feature.IsIn(table(feature.Leaf, feature.Subleaf)) && feature.Needs.All(need => found.Any(there => there.Name == need))) found.Add(feature);
        return found;
    }

    private static CpuFeature Make(string name, uint leaf, CpuidRegister register, int bit, Extensions extension = Extensions.None, params string[] needs) =>
        new(name, leaf, 0, register, bit) { Extension = extension, Needs = needs };

    private static (string, IReadOnlyList<string>)[] MakeLevels()
    {
        string[] second = ["cx16", "lahf_lm", "popcnt", "sse3", "sse4_1", "sse4_2", "ssse3"];
        string[] third = [.. second, "abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"];
        string[] fourth = [.. third, "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"];
        return [("x86-64-v1", []), ("x86-64-v2", second), ("x86-64-v3", third), ("x86-64-v4", fourth)];
    }
}
