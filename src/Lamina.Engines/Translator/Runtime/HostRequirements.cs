// What the translator asks of the host's CPU and kernel, checked once with a sentence.
using System.Runtime.Intrinsics.X86;
using Lamina.Host;

namespace Lamina.Engines.Translator.Runtime;

internal static class HostRequirements
{
    private const uint CpuidXsave = 1 << 26, CpuidOsxsave = 1 << 27, CpuidLahf = 1;

    /// <exception cref="HostException">Something is missing.</exception>
    public static void Check()
    {
        if (!X86Base.X64.IsSupported) throw new HostException("the translator needs an x86-64 host");
        var (_, _, ecx, _) = X86Base.CpuId(1, 0);
        if (((uint)ecx & (CpuidXsave | CpuidOsxsave)) != (CpuidXsave | CpuidOsxsave)) throw new HostException("the translator needs a host CPU with XSAVE (any since 2011)");
        var (_, _, extended, _) = X86Base.CpuId(unchecked((int)0x80000001), 0);
        if (((uint)extended & CpuidLahf) == 0) throw new HostException("the translator needs a host CPU with LAHF in 64-bit mode");
    }
}
