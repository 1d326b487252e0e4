// Where the host's CPUID puts the components of the standard XSAVE image; the guest's is the same.
using System.Runtime.Intrinsics.X86;

namespace Lamina.Tests.Engine.Conformance.Cases;

/// <summary>Places of components in the XSAVE image.</summary>
internal static class VectorComponents
{
    public const int YmmHigh = 2, Opmask = 5, ZmmHigh = 6, ZmmUpper = 7;

    private static readonly (int Length, int Offset)[] Places = [.. Enumerable.Range(0, 8).Select(Read)];

    /// <summary>Length and offset; a length of zero where the host has no such component.</summary>
    public static (int Length, int Offset) Place(int component) => Places[component];

    /// <summary>Whether a component begins at a multiple of 64 bytes in the compacted format.</summary>
    public static bool IsAligned(int component) => (X86Base.CpuId(0xd, component).Ecx & 2) != 0;

    /// <summary>Offset of 16 bytes of a vector register; -1 where the host has none.</summary>
    /// <param name="register">0 to 31.</param>
    /// <param name="part">0 to 3.</param>
    public static int OffsetOf(int register, int part)
    {
        var (component, within) = (register, part) switch
        {
            ( < 16, 0) => (1, register * 16),
            ( < 16, 1) => (YmmHigh, register * 16),
            ( < 16, _) => (ZmmHigh, register * 32 + (part - 2) * 16),
            _ => (ZmmUpper, (register - 16) * 64 + part * 16),
        };
        var (length, offset) = Places[component];
        return length == 0 ? -1 : offset + within;
    }

    private static (int, int) Read(int component)
    {
        if (component == 0) return (160, 0);
        if (component == 1) return (256, 160);
        var (length, offset, _, _) = X86Base.CpuId(0xd, component);
        return (length, offset);
    }
}
