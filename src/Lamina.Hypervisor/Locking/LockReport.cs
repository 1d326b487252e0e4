// What a machine's process is locked by: said by whoever starts it and by itself, told to those who ask.
using Lamina.Host.Locks;

namespace Lamina.Hypervisor.Locking;

/// <summary>What is in force, by name.</summary>
internal sealed record LockReport(IReadOnlyList<string> InForce)
{
    private const string Files = "files", Ports = "ports", Calls = "calls";

    // From this version on Landlock knows TCP ports.
    private const int KnowsPorts = 4;

    /// <summary>What the host's Landlock holds a process by.</summary>
    internal static LockReport OfLandlock(int version) => new(version == 0 ? [] : version < KnowsPorts ? [Files] : [Files, Ports]);

    /// <summary>What one process tells the next, as a word.</summary>
    internal static LockReport Parse(string word) => new(word.Split(',', StringSplitOptions.RemoveEmptyEntries));

    /// <inheritdoc/>
    public override string ToString() => string.Join(',', InForce);

    /// <summary>With the filter of system calls, which this puts in force.</summary>
    /// <param name="groups">What calls are needed for.</param>
    /// <param name="report">Where the call that ends the process is written.</param>
    /// <exception cref="Lamina.Host.HostException">The kernel refuses.</exception>
    internal LockReport WithCalls(CallGroup groups, string report)
    {
        CallFilter.Enter(groups, report);
        return new LockReport([.. InForce, Calls]);
    }

    /// <summary>What is missing of the whole lock, as a part of a sentence; null where nothing is.</summary>
    internal string? Missing => ((string[])[Files, Ports, Calls]).Except(InForce).ToArray() is { Length: > 0 } missing ? string.Join(", ", missing) : null;
}
