// How much memory this host has in all, or the control groups that this process is in, for whoever gives out parts of it.
namespace Lamina.Doctor;

/// <summary>The host's figures.</summary>
public static class HostTotals
{
    /// <summary>Memory in bytes; null where the kernel does not tell.</summary>
    public static ulong? Memory => HostMemory.Total(HostFacts.ReadFile);
}
