// Decides where a connection or datagram of the guest's leads on the host, and whether it may go there. Every way out of
// a user-mode network goes through here.
using System.Net;
using Lamina.Backends.Net.Wire;

namespace Lamina.Backends.Net.User;

/// <summary>What became of a destination.</summary>
/// <param name="Host">Where it leads, or null where it leads nowhere.</param>
/// <param name="Reason">Why it leads nowhere.</param>
internal readonly record struct Route(IPEndPoint? Host, Unreachable Reason = Unreachable.Prohibited);

/// <summary>The rules of one network.</summary>
internal sealed class AccessPolicy(UserNetOptions options, Addresses addresses, NameServers nameServers)
{
    // Not for one host somewhere else: this host itself under other names, groups, and what is reserved.
    private static readonly IPNetwork[] Never =
    [
        IPNetwork.Parse("0.0.0.0/8"),          // RFC 6890, 2.2.2; a connect to 0.0.0.0 reaches the loopback
        IPNetwork.Parse("127.0.0.0/8"),
        IPNetwork.Parse("224.0.0.0/3"),        // groups, reserved, broadcast
        IPNetwork.Parse("::/96"),              // unspecified, loopback, IPv4-compatible
        IPNetwork.Parse("::ffff:0:0/96"),      // IPv4-mapped
        IPNetwork.Parse("ff00::/8"),
    ];

    private static readonly Route Refused = new(null);

    private bool ForwardsNames => options.Dns ?? options.Allowed is null;

    /// <summary>Where a destination leads.</summary>
    /// <param name="destination">The address that the guest sent to.</param>
    /// <param name="port">The port, or null for an echo request.</param>
    internal Route Find(IpAddr destination, int? port)
    {
        if (destination == addresses.Gateway4 || destination == addresses.Gateway6 || destination == addresses.Link6) return FindOnHost(destination.IsV4, port);
        if (destination == addresses.NameServer4 || destination == addresses.NameServer6)
            return port == Udp.Dns && ForwardsNames && nameServers.Current is { } server ? new Route(server) : Refused;
        if (addresses.IsOnLink(destination) && !destination.IsLinkLocal) return new Route(null, Unreachable.Host);
        var behind = TrustingNetworks.BehindIt(destination);
        if (Never.Any(destination.IsIn) || (!destination.IsV4 && destination.Bits >> 32 == 0xffff)) return Refused;
        if (behind is { } inner && Never.Any(inner.IsIn)) return Refused;
        var isListed = options.Allowed?.Any(rule => (rule.Port is null || rule.Port == port) && destination.IsIn(rule.Network)) ?? false;
        if (!isListed && (options.Allowed is not null || TrustingNetworks.Contain(destination) || (behind is { } address && TrustingNetworks.Contain(address)))) return Refused;
        return new Route(new IPEndPoint(destination.ToIPAddress(), port ?? 0));
    }

    private Route FindOnHost(bool v4, int? port) =>
        port is { } number && options.HostPorts is { } ports && (ports.Count == 0 || ports.Contains(number))
            ? new Route(new IPEndPoint(v4 ? IPAddress.Loopback : IPAddress.IPv6Loopback, number))
            : Refused;
}
