// Addresses outside the guest's network where somebody answers because it trusts the host: the link that the host is on, and clouds'
// instance data, which hold the keys of whoever runs the host. A user-mode network leads there only where the user lists the
// address (allow=). The one list of them.
using System.Net;
using Lamina.Backends.Net.Wire;

namespace Lamina.Backends.Net.User;

/// <summary>Networks that trust the host.</summary>
internal static class TrustingNetworks
{
    private static readonly IPNetwork[] All =
    [
        IPNetwork.Parse("169.254.0.0/16"),       // the link, RFC 3927; instance data of most clouds
        IPNetwork.Parse("fe80::/10"),            // the link, RFC 4291
        IPNetwork.Parse("168.63.129.16/32"),     // Azure, WireServer
        IPNetwork.Parse("100.100.100.200/32"),   // Alibaba Cloud
        IPNetwork.Parse("192.0.0.192/32"),       // Oracle Cloud, of old
        IPNetwork.Parse("fd00:ec2::/32"),        // Amazon EC2: instance data at ::254, and its other services
        IPNetwork.Parse("fd20:ce::254/128"),     // Google Cloud
        IPNetwork.Parse("64:ff9b:1::/48"),       // a translator of the host's own network, RFC 8215: leads anywhere in it
    ];

    // RFC 6052, 2.1: IPv4 addresses as a translator's network has them, in the last 32 bits. RFC 3056, 2: 6to4, behind the first 16.
    private static readonly IPNetwork Translated = IPNetwork.Parse("64:ff9b::/96"), SixToFour = IPNetwork.Parse("2002::/16");

    /// <summary>Whether an address lies in one.</summary>
    internal static bool Contain(IpAddr address) => All.Any(address.IsIn);

    /// <summary>The IPv4 address that an IPv6 address leads to by way of a translator or tunnel; null where it is no such address.</summary>
    internal static IpAddr? BehindIt(IpAddr address) =>
        address.IsV4 ? null
        : address.IsIn(Translated) ? IpAddr.V4((uint)address.Bits)
        : address.IsIn(SixToFour) ? IpAddr.V4((uint)(address.Bits >> 80))
        : null;
}
