// What CPUID says on the host, read once: on a virtualized host each CPUID costs microseconds, so no guest's CPUID is
// ever answered by executing one. Tests give tables of other processors.
using System.Runtime.Intrinsics.X86;

namespace Lamina.Engines.X86.Cpuid;

/// <summary>The four registers that CPUID returns.</summary>
internal readonly record struct CpuidResult(uint Eax, uint Ebx, uint Ecx, uint Edx);

/// <summary>A snapshot of a processor's CPUID.</summary>
internal sealed class HostCpuid
{
    /// <summary>Leaves whose result depends on ECX, with the number of subleaves kept.</summary>
    private static readonly (uint Leaf, uint Count)[] s_subleaves = [(4, 8), (7, 3), (0xb, 2), (0xd, 64), (0x8000_001d, 8)];

    private const uint StateLeaf = 0xd;

    private readonly Dictionary<(uint Leaf, uint Subleaf), CpuidResult> _results;

    /// <summary>Makes a table of given results.</summary>
    public HostCpuid(Dictionary<(uint Leaf, uint Subleaf), CpuidResult> results) => _results = results;

    /// <summary>Reads the host's.</summary>
    public static HostCpuid Read()
    {
        var results = new Dictionary<(uint, uint), CpuidResult>();
        foreach (var start in (ReadOnlySpan<uint>)[0, 0x8000_0000])
        {
            var last = Execute(start, 0).Eax;
            for (var leaf = start; leaf <= last && leaf < start + 0x40; leaf++)
            {
                var count = 1u;
                foreach (var (indexed, subleaves) in s_subleaves)
                    if (indexed == leaf) count = subleaves;
                for (var subleaf = 0u; subleaf < count; subleaf++)
                    if (leaf != StateLeaf || subleaf < 2 || HasState(results, (int)subleaf)) results[(leaf, subleaf)] = Execute(leaf, subleaf);
            }
        }
        return new HostCpuid(results);
    }

    /// <summary>One result; zeros where the processor has no such leaf.</summary>
    public CpuidResult this[uint leaf, uint subleaf = 0] => _results.GetValueOrDefault((leaf, subleaf));

    /// <summary>The same processor without some features.</summary>
    public HostCpuid Without(IEnumerable<CpuFeature> features)
    {
        var results = new Dictionary<(uint, uint), CpuidResult>(_results);
        foreach (var feature in features)
            if (results.TryGetValue((feature.Leaf, feature.Subleaf), out var result)) results[(feature.Leaf, feature.Subleaf)] = feature.Without(result);
        return new HostCpuid(results);
    }

    // A subleaf for each component of the processor's extended state that it has (SDM vol. 1, 13.2); the others are zero, and most do not exist.
    private static bool HasState(Dictionary<(uint, uint), CpuidResult> results, int component)
    {
        var (user, supervisor) = (results[(StateLeaf, 0)], results[(StateLeaf, 1)]);
        return ((((ulong)user.Edx << 32 | user.Eax) | ((ulong)supervisor.Edx << 32 | supervisor.Ecx)) >> component & 1) != 0;
    }

    private static CpuidResult Execute(uint leaf, uint subleaf)
    {
        var (eax, ebx, ecx, edx) = X86Base.CpuId((int)leaf, (int)subleaf);
        return new CpuidResult((uint)eax, (uint)ebx, (uint)ecx, (uint)edx);
    }
}
