// What the parts of one user-mode network share.
using Lamina.Backends.Net.Wire;

namespace Lamina.Backends.Net.User;

/// <summary>The common ground of one network.</summary>
/// <param name="Options">What it is to be.</param>
/// <param name="Addresses">Who is who.</param>
/// <param name="Link">The way to the guest.</param>
/// <param name="Events">The host's sockets.</param>
/// <param name="Policy">Where the guest may go.</param>
/// <param name="NameServers">Who is asked for names.</param>
/// <param name="Errors">Tells the guest what cannot be reached.</param>
/// <param name="Now">Monotonic milliseconds.</param>
internal sealed record UserContext(
    UserNetOptions Options, Addresses Addresses, GuestLink Link, HostEvents Events, AccessPolicy Policy, NameServers NameServers, IcmpErrors Errors, Func<long> Now);

/// <summary>One exchange between the guest and a peer, as the guest sees it.</summary>
/// <param name="Guest">The guest's address.</param>
/// <param name="GuestPort">The guest's port, or the identifier of echo requests.</param>
/// <param name="Peer">The other's address.</param>
/// <param name="PeerPort">The other's port.</param>
internal readonly record struct FlowKey(IpAddr Guest, ushort GuestPort, IpAddr Peer, ushort PeerPort);
