// The addresses of one user-mode network as the guest sees them.
using Lamina.Backends.Net.Wire;

namespace Lamina.Backends.Net.User;

/// <summary>Who is who on the guest's link.</summary>
internal sealed class Addresses
{
    // 02: locally administered; the rest spells the name.
    internal const ulong GatewayMac = 0x024c_414d_4902;

    private const uint GatewayHost = 2, NameServerHost = 3, GuestHost = 15;
    private readonly int _prefix4;

    internal Addresses(UserNetOptions options)
    {
        Network4 = IpAddr.Of(options.Network4.BaseAddress);
        _prefix4 = options.Network4.PrefixLength;
        (Gateway4, NameServer4, Guest4) = (In4(GatewayHost), In4(NameServerHost), In4(GuestHost));
        if (options.Network6 is not { } network6) return;
        Prefix6 = IpAddr.Of(network6.BaseAddress);
        (Gateway6, NameServer6) = (new IpAddr(Prefix6.Value.Bits | GatewayHost), new IpAddr(Prefix6.Value.Bits | NameServerHost));
    }

    internal IpAddr Network4 { get; }

    internal IpAddr Gateway4 { get; }

    internal IpAddr NameServer4 { get; }

    /// <summary>The address that DHCP gives, and that ports are published to.</summary>
    internal IpAddr Guest4 { get; }

    internal uint Mask4 => uint.MaxValue << (32 - _prefix4);

    internal IpAddr Broadcast4 => IpAddr.V4(Network4.Bits4 | ~Mask4);

    /// <summary>The IPv6 prefix, or null where there is no IPv6.</summary>
    internal IpAddr? Prefix6 { get; }

    internal IpAddr Gateway6 { get; }

    internal IpAddr NameServer6 { get; }

    /// <summary>The gateway's address on the link: routers are known by these (RFC 4861, 4.2), fe80::/64 and an EUI-64 (RFC 4291, A).</summary>
    internal IpAddr Link6 { get; } = new((UInt128)0xfe80 << 112 | ((GatewayMac >> 24 ^ 0x02_0000) << 40 | 0xff_fe00_0000 | GatewayMac & 0xff_ffff));

    /// <summary>Whether an address is one that this side answers for.</summary>
    internal bool IsOurs(IpAddr address) =>
        address == Gateway4 || address == NameServer4 || (Prefix6 is not null && (address == Gateway6 || address == NameServer6 || address == Link6));

    /// <summary>Whether an address is on the guest's link.</summary>
    internal bool IsOnLink(IpAddr address) => address.IsV4
        ? (address.Bits4 & Mask4) == Network4.Bits4
        : Prefix6 is { } prefix && (address.SharesPrefix(prefix, 64) || address.IsLinkLocal);

    /// <summary>Whether a packet from the guest may have this source: on the link, one host's, and not ours.</summary>
    internal bool IsGuests(IpAddr address) =>
        IsOnLink(address) && !IsOurs(address) && !address.IsGroup && (!address.IsV4 || (address != Network4 && address != Broadcast4));

    /// <summary>An address of the IPv4 network by its number in it.</summary>
    internal IpAddr In4(uint host) => IpAddr.V4(Network4.Bits4 | (host & ~Mask4));
}
