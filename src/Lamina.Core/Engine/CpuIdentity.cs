// The CPU as its guest sees it, as data: what CPUID answers, leaf by leaf, and IA32_ARCH_CAPABILITIES, which says what CPUID has no room for.
// It goes with a saved machine, so that the guest finds the same processor on another host. What CPUID tells of the vCPU that
// asks (its APIC ID, OSXSAVE, the size of what XCR0 enables) is not here.
using Lamina.Core.State;

namespace Lamina.Core.Engine;

/// <summary>What CPUID answers to a leaf. SDM vol. 2, CPUID; APM vol. 3, appendix E.</summary>
/// <param name="Leaf">EAX.</param>
/// <param name="Subleaf">ECX; 0 where the leaf has none.</param>
/// <param name="Eax">EAX of the answer.</param>
/// <param name="Ebx">EBX.</param>
/// <param name="Ecx">ECX.</param>
/// <param name="Edx">EDX.</param>
public readonly record struct CpuLeaf(uint Leaf, uint Subleaf, uint Eax, uint Ebx, uint Ecx, uint Edx);

/// <summary>A CPU as its guest sees it.</summary>
/// <param name="Leaves">All leaves that are not zero.</param>
/// <param name="ArchCapabilities">IA32_ARCH_CAPABILITIES; 0 where there is none. SDM vol. 4.</param>
public sealed record CpuIdentity(IReadOnlyList<CpuLeaf> Leaves, ulong ArchCapabilities)
{
    // A processor has some dozens.
    private const int MostLeaves = 512;

    /// <summary>Writes an identity, or reads one.</summary>
    public static void Exchange(SavedFields fields, ref CpuIdentity identity)
    {
        var (leaves, capabilities) = (identity.Leaves, identity.ArchCapabilities);
        fields.List(1, ref leaves, MostLeaves, ExchangeLeaf);
        fields.Value(2, ref capabilities);
        identity = new CpuIdentity(leaves, capabilities);
    }

    private static void ExchangeLeaf(SavedFields fields, ref CpuLeaf leaf)
    {
        var (number, subleaf, eax, ebx, ecx, edx) = leaf;
        fields.Value(1, ref number);
        fields.Value(2, ref subleaf);
        fields.Value(3, ref eax);
        fields.Value(4, ref ebx);
        fields.Value(5, ref ecx);
        fields.Value(6, ref edx);
        leaf = new CpuLeaf(number, subleaf, eax, ebx, ecx, edx);
    }
}
