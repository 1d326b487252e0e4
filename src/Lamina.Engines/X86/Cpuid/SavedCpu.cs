// Gives a guest that was saved the processor that it was saved with: all of CPUID as it was, on whatever host this is, or a sentence that
// names what this host cannot give. What a table says that is not true here would break a guest (a feature) or its host (the size of
// an XSAVE area), and the table comes from a file: each leaf is held against what a fresh guest of this host would get.
using System.Numerics;
using Lamina.Core.Engine;
using Lamina.Host;

namespace Lamina.Engines.X86.Cpuid;

/// <summary>Makes the model of a saved guest.</summary>
internal sealed class SavedCpu
{
    // 36 is what any processor with PAE has; beyond 46 no guest of ours was told.
    private const int LeastPhysicalBits = 36, MostPhysicalBits = 46, LinearBits = 48;
    private const uint SizesLeaf = 0x8000_0008, XsaveLeaf = 0xd;
    private const int LastComponent = 62;

    // So many features are named that a host lacks: it may be of another generation, and the sentence is to be read.
    private const int MostNamed = 48;

    // What is told of x87 exceptions (FDP_EXCPTN_ONLY, no FCS and FDS), and of data breakpoints, LFENCE and null selectors: older kernels' KVM
    // tells of none, on the same processor. SDM vol. 2, CPUID; APM vol. 3, Fn8000_0021.
    private const uint X87Facts = 1 << 6 | 1 << 13, Extended21Facts = CpuFeatures.Extended21EaxNative | CpuFeatures.NullSelectorClearsBase;

    // Leaves whose registers are features, a bit each, with the bits that are mere facts of the processor, of branch speculation above all:
    // those give no instruction and no register that a guest could use.
    private static readonly (uint Leaf, uint Subleaf, CpuidRegister Register, uint Facts)[] s_features =
    [
        (1, 0, CpuidRegister.Ecx, 0), (1, 0, CpuidRegister.Edx, 0), (6, 0, CpuidRegister.Eax, 0), (6, 0, CpuidRegister.Ebx, 0), (6, 0, CpuidRegister.Ecx, 0), (6, 0, CpuidRegister.Edx, 0),
        (7, 0, CpuidRegister.Ebx, X87Facts), (7, 0, CpuidRegister.Ecx, 0), (7, 0, CpuidRegister.Edx, SpeculationFeatures.Leaf7EdxNative),
        (7, 1, CpuidRegister.Eax, 0), (7, 1, CpuidRegister.Ebx, 0), (7, 1, CpuidRegister.Ecx, 0), (7, 1, CpuidRegister.Edx, 0),
        (XsaveLeaf, 0, CpuidRegister.Edx, 0), (XsaveLeaf, 1, CpuidRegister.Eax, 0), (XsaveLeaf, 1, CpuidRegister.Ecx, 0), (XsaveLeaf, 1, CpuidRegister.Edx, 0),
        (0x4000_0001, 0, CpuidRegister.Eax, 0), (0x4000_0001, 0, CpuidRegister.Edx, 0),
        (0x8000_0001, 0, CpuidRegister.Ecx, 0), (0x8000_0001, 0, CpuidRegister.Edx, 0), (0x8000_0007, 0, CpuidRegister.Ebx, 0), (0x8000_0007, 0, CpuidRegister.Edx, 0),
        (SizesLeaf, 0, CpuidRegister.Ebx, SpeculationFeatures.Extended8EbxNative | SpeculationFeatures.SsbNo),
        (0x8000_0021, 0, CpuidRegister.Eax, SpeculationFeatures.Extended21EaxNative | Extended21Facts), (0x8000_0021, 0, CpuidRegister.Ebx, 0), (0x8000_0021, 0, CpuidRegister.Ecx, SpeculationFeatures.TsaNo), (0x8000_0021, 0, CpuidRegister.Edx, 0),
    ];

    // What a guest of ours has been told at one time or another: identity, caches, topology, timing, the paravirtual clock, and the above.
    private static readonly HashSet<uint> s_leaves =
    [
        0, 1, 2, 4, 6, 7, 0xb, 0xd, 0x15, 0x16, 0x1f, 0x4000_0000, 0x4000_0001, 0x4000_0010, 0x8000_0000, 0x8000_0001, 0x8000_0002, 0x8000_0003, 0x8000_0004,
        0x8000_0005, 0x8000_0006, 0x8000_0007, 0x8000_0008, 0x8000_001a, 0x8000_001d, 0x8000_001e, 0x8000_0021,
    ];

    private readonly CpuModel _fresh;
    private readonly Dictionary<(uint Leaf, uint Subleaf), CpuidResult> _table;
    private readonly List<string> _missing = [], _withheld = [];

    private SavedCpu(CpuModel fresh, CpuIdentity saved)
    {
        _fresh = fresh;
        _table = saved.Leaves.DistinctBy(leaf => (leaf.Leaf, leaf.Subleaf)).ToDictionary(leaf => (leaf.Leaf, leaf.Subleaf), leaf => new CpuidResult(leaf.Eax, leaf.Ebx, leaf.Ecx, leaf.Edx));
    }

    /// <summary>Makes the model that a guest was saved with.</summary>
    /// <param name="fresh">All that this host gives a guest.</param>
    /// <param name="saved">What it was saved with.</param>
    /// <exception cref="HostException">This host cannot give it; the sentence names what.</exception>
    internal static CpuModel Make(CpuModel fresh, CpuIdentity saved) => new SavedCpu(fresh, saved).Make(saved.ArchCapabilities);

    private CpuModel Make(ulong capabilities)
    {
        var unknown = _table.Keys.Where(key => !s_leaves.Contains(key.Leaf)).Select(key => key.Leaf).FirstOrDefault();
        if (unknown != 0 || !_table.ContainsKey((0, 0)) || !_table.ContainsKey((0x8000_0000, 0))) throw Cannot($"it has {(unknown == 0 ? "no vendor" : $"the CPUID leaf 0x{unknown:x}, which is unknown to this program")}");
        if (CpuModel.VendorOf(Get(0)) is var vendor && vendor != _fresh.Vendor) throw Cannot($"it follows the manual of {Name(vendor)}, and this host's processor that of {Name(_fresh.Vendor)}");
        foreach (var (leaf, subleaf, register, facts) in s_features) CheckFeatures(leaf, subleaf, register, facts);
        if (_missing.Count != 0) throw Cannot($"this host lacks of it: {string.Join(", ", _missing.Take(MostNamed))}{(_missing.Count > MostNamed ? $", and {_missing.Count - MostNamed} more" : "")}");
        CheckXsave();
        CheckSizes();
        var lacking = capabilities & ~_fresh.ArchCapabilities;
        for (var bits = lacking; bits != 0; bits &= bits - 1) _withheld.Add($"bit {BitOperations.TrailingZeroCount(bits)} of IA32_ARCH_CAPABILITIES");
        return new CpuModel(_fresh.Options, vendor, _table, capabilities & ~lacking) { Withheld = _withheld };
    }

    private CpuidResult Get(uint leaf, uint subleaf = 0) => _table.GetValueOrDefault((leaf, subleaf));

    private CpuidResult Fresh(uint leaf, uint subleaf = 0) => _fresh.Table.GetValueOrDefault((leaf, subleaf));

    private void CheckFeatures(uint leaf, uint subleaf, CpuidRegister register, uint facts)
    {
        var (saved, here) = (CpuFeature.Of(Get(leaf, subleaf), register), CpuFeature.Of(Fresh(leaf, subleaf), register));
        for (var bits = saved & ~here; bits != 0; bits &= bits - 1)
        {
            var bit = BitOperations.TrailingZeroCount(bits);
            var isFact = (facts >> bit & 1) != 0;
            (isFact ? _withheld : _missing).Add(FeatureTable.NameOf(leaf, subleaf, register, bit));
        }
        // A fact is of no use where it is not true.
        if ((saved & ~here & facts) is > 0 and var untrue) _table[(leaf, subleaf)] = CpuFeature.Without(Get(leaf, subleaf), register, untrue);
    }

    private bool Has(uint leaf, CpuidRegister register, uint bit) => (CpuFeature.Of(Get(leaf), register) & bit) != 0;

    // The areas are the host's own: a component lies where the processor puts it. SDM vol. 1, 13.4.2.
    private void CheckXsave()
    {
        const uint legacy = 3, avx = 4, avx512 = 0xe0;
        var mask = Get(XsaveLeaf).Eax;
        var needs = (Has(1, CpuidRegister.Ecx, CpuFeatures.Xsave) ? legacy : 0) | (Has(1, CpuidRegister.Ecx, CpuFeatures.Avx) ? legacy | avx : 0) | (Has(7, CpuidRegister.Ebx, CpuFeatures.Avx512F) ? legacy | avx | avx512 : 0);
        if (mask != needs) throw Cannot($"it enables the XSAVE components 0x{mask:x}, and its features take 0x{needs:x}");
        var size = mask == 0 ? 0 : 576u;
        for (var n = 2u; n <= LastComponent; n++)
        {
            var (saved, here) = (Get(XsaveLeaf, n), Fresh(XsaveLeaf, n));
            if (n >= 32 || (mask >> (int)n & 1) == 0)
            {
                if (_table.ContainsKey((XsaveLeaf, n))) throw Cannot($"it has the XSAVE component {n} and does not enable it");
                continue;
            }
            if (saved != here) throw Cannot($"its XSAVE component {n} has {saved.Eax} bytes at {saved.Ebx}, and this host's {here.Eax} at {here.Ebx}");
            size = Math.Max(size, saved.Ebx + saved.Eax);
        }
        if (Get(XsaveLeaf).Ecx != size) throw Cannot($"its XSAVE area has {Get(XsaveLeaf).Ecx} bytes, and this host's {size}");
    }

    private void CheckSizes()
    {
        var (physical, linear) = ((int)(Get(SizesLeaf).Eax & 0xff), (int)(Get(SizesLeaf).Eax >> 8 & 0xff));
        // The translator walks a guest's page tables by itself, whatever the host's processor has.
        var most = _fresh.Options.RunsNatively ? _fresh.PhysicalAddressBits : MostPhysicalBits;
        if (physical is < LeastPhysicalBits || physical > most) throw Cannot($"it has {physical} bits of physical address, and this host has {most}");
        if (linear != LinearBits) throw Cannot($"it has {linear} bits of linear address, and this host has {LinearBits}");
    }

    private static string Name(CpuVendor vendor) => vendor == CpuVendor.Intel ? "Intel" : "AMD";

    private static HostException Cannot(string why) => new($"this host cannot give the CPU that the machine was saved with: {why}");
}
