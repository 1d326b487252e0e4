// What a process can be kept from, part by part: a host may refuse one and grant another.
namespace Lamina.Host.Locks;

/// <summary>Parts of a process's confinement.</summary>
[Flags]
public enum ConfinementParts
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>A user namespace: what rights it has hold for its own namespaces only.</summary>
    User = 1,

    /// <summary>A root folder of its own, in which there is nothing but the paths that it reaches.</summary>
    Root = 2,

    /// <summary>A PID namespace: it sees no other process and reaches none.</summary>
    Processes = 4,

    /// <summary>An IPC namespace: no memory, semaphores and queues of System V and POSIX that others have.</summary>
    Messages = 8,

    /// <summary>A UTS namespace: the host's name is not its to change.</summary>
    HostName = 16,

    /// <summary>A network namespace with nothing in it.</summary>
    Network = 32,

    /// <summary>Landlock's rules for files.</summary>
    Files = 64,

    /// <summary>Landlock's rules for TCP ports.</summary>
    Ports = 128,

    /// <summary>All namespaces.</summary>
    Namespaces = User | Root | Processes | Messages | HostName | Network,
}
