// What a debugger watches in a guest's memory, in the terms of x86's debug registers; GDB's own kinds and lengths are not known here.
namespace Lamina.Core.Engine;

/// <summary>Which accesses a watchpoint stops at. SDM vol. 3, 18.2.4 (R/W fields of DR7).</summary>
public enum WatchKind
{
    /// <summary>Writes.</summary>
    Write,

    /// <summary>Reads and writes.</summary>
    Access,
}

/// <summary>Memory that a debugger watches, as one debug register can. SDM vol. 3, 18.2.5.</summary>
/// <param name="Address">The linear address, aligned to the length.</param>
/// <param name="Length">1, 2, 4 or 8 bytes.</param>
/// <param name="Kind">The accesses.</param>
public readonly record struct Watchpoint(ulong Address, int Length, WatchKind Kind)
{
    /// <summary>How many a vCPU has room for: as many as there are debug registers with addresses.</summary>
    public const int Maximum = 4;
}
