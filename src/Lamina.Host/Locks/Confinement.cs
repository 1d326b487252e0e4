// How a process is to be confined, and what came of it.
namespace Lamina.Host.Locks;

/// <summary>What a process is to be confined to, from before its first instruction.</summary>
public sealed record Confinement
{
    /// <summary>The parts that are wanted. A user namespace is made where the others need one, which they do not for root.</summary>
    public ConfinementParts Wanted { get; init; }

    /// <summary>What it reaches; its program must be in it.</summary>
    public IReadOnlyList<PathRule> Paths { get; init; } = [];

    /// <summary>What of that it reaches when it has entered the root within its root (<see cref="ConfinedProcess.Empty"/>).</summary>
    public IReadOnlyList<PathRule> Later { get; init; } = [];

    /// <summary>An empty folder that its root is mounted upon, in its own view.</summary>
    public string Place { get; init; } = "";

    /// <summary>Whether it may use TCP ports.</summary>
    public bool UsesTcp { get; init; }

    /// <summary>The host's capabilities that root keeps, beside those that this needs.</summary>
    public HostCapabilities Keeps { get; init; }
}

/// <summary>What a process is confined by.</summary>
/// <param name="InForce">The parts.</param>
/// <param name="Refused">Which the host refused, and why.</param>
public sealed record Confined(ConfinementParts InForce, IReadOnlyDictionary<ConfinementParts, string> Refused);

/// <summary>Rights of root's: capabilities(7), by their numbers.</summary>
[Flags]
public enum HostCapabilities : ulong
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>Files of others: CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID.</summary>
    Files = 0b1_1111,

    /// <summary>To become another user: CAP_SETGID, CAP_SETUID.</summary>
    Users = 0b1100_0000,

    /// <summary>Ports below 1024: CAP_NET_BIND_SERVICE.</summary>
    LowPorts = 1 << 10,

    /// <summary>Network interfaces: CAP_NET_ADMIN.</summary>
    Interfaces = 1 << 12,

    /// <summary>Memory that is not swapped: CAP_IPC_LOCK.</summary>
    LockedMemory = 1 << 14,

    /// <summary>chroot(2): CAP_SYS_CHROOT.</summary>
    ChangeRoot = 1 << 18,

    /// <summary>Its place among processes: CAP_SYS_NICE, CAP_SYS_RESOURCE.</summary>
    Scheduling = (1 << 23) | (1 << 24),

    /// <summary>Devices' nodes and files' capabilities: CAP_MKNOD, CAP_SETFCAP.</summary>
    Nodes = (1L << 27) | (1L << 31),
}
