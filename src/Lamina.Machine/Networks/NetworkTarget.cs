// What a machine's network cards are plugged into: values only. Reading them from words is NetworkWords' work, opening
// them is NetworkBackends'.
using Lamina.Backends.Net.Switch;
using Lamina.Backends.Net.User;
using Lamina.Core.Net;

namespace Lamina.Networks;

/// <summary>What a network card is plugged into.</summary>
public abstract record NetworkTarget
{
    private NetworkTarget()
    {
    }

    /// <summary>A network of its own that reaches the outside through this process, without privilege.</summary>
    public sealed record User(UserNetOptions Options) : NetworkTarget
    {
        /// <summary>The usual one.</summary>
        public User() : this(new UserNetOptions())
        {
        }
    }

    /// <summary>A tap interface of the host's.</summary>
    /// <param name="Name">Its name; where there is none of that name it is made and goes with the machine. Null: the host chooses.</param>
    /// <param name="Bridge">A bridge of the host's to add it to, or null.</param>
    public sealed record Tap(string? Name = null, string? Bridge = null) : NetworkTarget;

    /// <summary>A switch that machines of this host share; whoever comes first runs it for all.</summary>
    /// <param name="Path">The Unix socket by which they find it.</param>
    /// <param name="Vlan">Which of its networks.</param>
    /// <param name="Mtu">The longest packet in bytes.</param>
    public sealed record Switch(string Path, VlanMembership Vlan, int Mtu = 1500) : NetworkTarget;

    /// <summary>Another program that takes frames at a Unix socket, each behind its length in four bytes: passt, QEMU.</summary>
    /// <param name="Path">The socket, on which the program listens.</param>
    /// <param name="Mtu">The longest packet in bytes.</param>
    public sealed record Socket(string Path, int Mtu = 1500) : NetworkTarget;

    /// <summary>A backend of the caller's own. The machine attaches to it, starts it and disposes it.</summary>
    public sealed record Backend(INetBackend Channel) : NetworkTarget;
}

/// <summary>One network card.</summary>
/// <param name="Target">What it is plugged into.</param>
public sealed record NetworkSpec(NetworkTarget Target)
{
    /// <summary>Its address as 02:00:00:00:00:01; null for one that is made up.</summary>
    public string? Mac { get; init; }

    /// <summary>How many pairs of queues it has, 1 to 8.</summary>
    public int Queues { get; init; } = 1;
}
