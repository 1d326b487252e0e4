// How a disk is served: values only.
using Lamina.Core.Logging;
using Lamina.Host.Net;

namespace Lamina.Backends.Nbd.Server;

/// <summary>How a disk is served.</summary>
public sealed record NbdServerOptions
{
    /// <summary>The most clients at once where nothing is said, and the most that may be said.</summary>
    public const int UsualClients = 16, MostClients = 256;

    /// <summary>The export's name; "" for the usual one. A client that asks for no name gets it, too.</summary>
    public string Export { get; init; } = "";

    /// <summary>What clients are told that it is; "" for nothing.</summary>
    public string Description { get; init; } = "";

    /// <summary>The most clients at once; one more is hung up on.</summary>
    public int Clients { get; init; } = UsualClients;

    /// <summary>Whether serving ends when the last client has left.</summary>
    public bool EndsWhenLeft { get; init; }

    /// <summary>Who this server is: clients must speak TLS then; null for none.</summary>
    public TlsIdentity? Identity { get; init; }

    /// <summary>How long a handshake may take.</summary>
    public TimeSpan Handshake { get; init; } = TimeSpan.FromMilliseconds(NbdSpec.HandshakeMilliseconds);

    /// <summary>Told of clients that are refused, and of what the host refuses them; or null.</summary>
    public ILog? Log { get; init; }
}
