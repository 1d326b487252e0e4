// Why a machine stands still although it was started. Reasons come and go by themselves, each by its own party: the machine goes on
// when none is left.
namespace Lamina.Control;

/// <summary>Reasons to stand still.</summary>
[Flags]
public enum Holds
{
    /// <summary>None: the guest runs.</summary>
    None = 0,

    /// <summary>The user paused it.</summary>
    User = 1,

    /// <summary>A debugger looks at it.</summary>
    Debugger = 2,

    /// <summary>A write waits for space on the host. What waits is tried again meanwhile, so the machine's devices go on.</summary>
    HostFull = 4,

    /// <summary>It is being written down.</summary>
    Saving = 8,
}
