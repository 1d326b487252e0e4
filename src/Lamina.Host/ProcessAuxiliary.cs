// What the kernel told this process about the CPU at its start (the auxiliary vector).
using Lamina.Host.Interop;

namespace Lamina.Host;

/// <summary>The auxiliary vector.</summary>
public static class ProcessAuxiliary
{
    private const ulong AT_HWCAP2 = 26;

    /// <summary>AT_HWCAP2.</summary>
    public static ulong Hwcap2 => Libc.getauxval(AT_HWCAP2);
}
