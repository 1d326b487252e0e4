// What a machine's network cards are plugged into: values only. Reading them from words is NetworkWords' work, opening
// them is NetworkBackends'.
using Lamina.Backends.Net.User;
using Lamina.Core.Net;

namespace Lamina;

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
