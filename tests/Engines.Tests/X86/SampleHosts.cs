// CPUID of processors that tests need without having them: what real ones report, cut to the leaves in question.
using Lamina.Engines.X86.Cpuid;

namespace Lamina.Tests.Engines.X86;

internal static class SampleHosts
{
    private static Dictionary<(uint, uint), CpuidResult> Base(uint ebx, uint ecx, uint edx, uint signature) => new()
    {
        [(0, 0)] = new(0x1f, ebx, ecx, edx),
        [(1, 0)] = new(signature, 0x0110_0800, uint.MaxValue, uint.MaxValue),
        [(7, 0)] = new(2, uint.MaxValue, uint.MaxValue, uint.MaxValue),
        [(7, 1)] = new(uint.MaxValue, uint.MaxValue, uint.MaxValue, uint.MaxValue),
        [(0xd, 0)] = new(0x602e7, 0x2b00, 0x2b00, 0),
        [(0xd, 1)] = new(0x1f, 0, 0x1900, 0),
        [(0xd, 2)] = new(0x100, 0x240, 0, 0),
        [(0xd, 5)] = new(0x40, 0x440, 0, 0),
        [(0xd, 6)] = new(0x200, 0x480, 0, 0),
        [(0xd, 7)] = new(0x400, 0x680, 0, 0),
        [(0xd, 9)] = new(8, 0xa80, 0, 0),
        [(0xd, 17)] = new(0x40, 0xac0, 2, 0),
        [(0xd, 18)] = new(0x2000, 0xb00, 6, 0),
        [(0x8000_0001, 0)] = new(signature, 0, uint.MaxValue, uint.MaxValue),
        [(0x8000_0002, 0)] = new(0x656d614c, 0x616e, 0, 0),
        [(0x8000_0006, 0)] = new(0, 0, 0x0400_8140, 0),
        [(0x8000_0007, 0)] = new(0, 0, 0, uint.MaxValue),
    };

    /// <summary>A processor of AMD's that has everything.</summary>
    public static HostCpuid Amd()
    {
        var table = Base(0x68747541, 0x444d4163, 0x69746e65, 0x00b0_0f21);
        table[(0x8000_0000, 0)] = new(0x8000_0028, 0x68747541, 0x444d4163, 0x69746e65);
        table[(0x8000_0008, 0)] = new(0x0030_3034, uint.MaxValue, 0x7001, 0);
        table[(0x8000_001d, 0)] = new(0x0000_4121, 0x02c0_003f, 0x3f, 0);
        table[(0x8000_001d, 1)] = new(0x0003_c163, 0x03c0_003f, 0x7fff, 1);
        table[(0x8000_0021, 0)] = new(uint.MaxValue, 0, 0, 0);
        return new HostCpuid(table);
    }

    /// <summary>A processor of Intel's that has everything.</summary>
    public static HostCpuid Intel()
    {
        var table = Base(0x756e6547, 0x6c65746e, 0x49656e69, 0x000c_06f2);
        table[(2, 0)] = new(0x00fe_ff01, 0xf0, 0, 0);
        table[(4, 0)] = new(0xfc00_4121, 0x02c0_003f, 0x3f, 0);
        table[(4, 1)] = new(0xfc1f_c163, 0x04c0_003f, 0xffff, 4);
        table[(0x8000_0000, 0)] = new(0x8000_0008, 0, 0, 0);
        table[(0x8000_0008, 0)] = new(0x3034, 0, 0, 0);
        return new HostCpuid(table);
    }

    /// <summary>AMD's, with these components of the XSAVE state only.</summary>
    public static HostCpuid WithComponents(uint components)
    {
        var everything = Amd();
        var table = new Dictionary<(uint, uint), CpuidResult>();
        foreach (var leaf in (ReadOnlySpan<uint>)[0, 1, 7, 0x8000_0000, 0x8000_0001, 0x8000_0008]) table[(leaf, 0)] = everything[leaf];
        for (var n = 0u; n < 8; n++) table[(0xd, n)] = everything[0xd, n];
        table[(0xd, 0)] = table[(0xd, 0)] with { Eax = components };
        return new HostCpuid(table);
    }

    /// <summary>An old processor of Intel's: no AVX, no XSAVE, no gigabyte pages.</summary>
    public static HostCpuid OldIntel()
    {
        var table = Base(0x756e6547, 0x6c65746e, 0x49656e69, 0x0002_0655);
        table[(1, 0)] = new(0x0002_0655, 0x800, 0x0298_e3ff, 0xbfeb_fbff);
        table[(7, 0)] = default;
        table[(7, 1)] = default;
        table[(0x8000_0000, 0)] = new(0x8000_0008, 0, 0, 0);
        table[(0x8000_0001, 0)] = new(0, 0, 1, 0x2810_0800);
        table[(0x8000_0008, 0)] = new(0x3024, 0, 0, 0);
        return new HostCpuid(table);
    }
}
