// Numbers of the protocols on the wire, each beside its source.
namespace Lamina.Backends.Net.Wire;

/// <summary>Ethernet II. IEEE 802.3, 3.2; IEEE 802.1Q, 9.6.</summary>
internal static class Ethernet
{
    internal const int HeaderLength = 14, MacLength = 6, TypeAt = 12, VlanTagLength = 4;
    internal const ushort Ip4 = 0x0800, Arp = 0x0806, Vlan = 0x8100, Ip6 = 0x86dd;
    internal const ulong Broadcast = 0xffff_ffff_ffff;

    /// <summary>The longest frame that is carried: a packet of 65535 bytes behind IPv6's header, with a VLAN tag.</summary>
    internal const int LongestFrame = 65535 + 40 + HeaderLength + VlanTagLength;

    /// <summary>Whether an address is a group's. IEEE 802.3, 3.2.3.</summary>
    internal static bool IsGroup(ulong mac) => (mac >> 40 & 1) != 0;
}

/// <summary>Protocols inside IP. IANA's registry of protocol numbers.</summary>
internal static class IpProtocol
{
    internal const byte HopByHop = 0, Icmp4 = 1, Tcp = 6, Udp = 17, Routing = 43, Fragment = 44, Icmp6 = 58, NoNext = 59, DestinationOptions = 60;
}

/// <summary>IPv4 (RFC 791) and IPv6 (RFC 8200).</summary>
internal static class Ip
{
    internal const int Header4 = 20, Header6 = 40, FragmentHeader = 8;
    internal const ushort DontFragment = 0x4000, MoreFragments = 0x2000, OffsetMask = 0x1fff;
    internal const int MostPayload = 65535;
    internal const byte TimeToLive = 64;

    /// <summary>RFC 4861: neighbour discovery is believed only when it cannot have passed a router.</summary>
    internal const byte OnLinkHopLimit = 255;
}

/// <summary>ICMP (RFC 792) and ICMPv6 (RFC 4443, RFC 4861).</summary>
internal static class Icmp
{
    internal const int HeaderLength = 8;
    internal const byte EchoReply4 = 0, Unreachable4 = 3, Echo4 = 8, TimeExceeded4 = 11;
    internal const byte Unreachable6 = 1, PacketTooBig6 = 2, TimeExceeded6 = 3, Echo6 = 128, EchoReply6 = 129;
    internal const byte RouterSolicitation = 133, RouterAdvertisement = 134, NeighbourSolicitation = 135, NeighbourAdvertisement = 136;
}

/// <summary>Why something cannot be reached, as both ICMPs say it.</summary>
internal enum Unreachable
{
    /// <summary>No route to the network.</summary>
    Network,

    /// <summary>The host does not answer.</summary>
    Host,

    /// <summary>The protocol is not spoken.</summary>
    Protocol,

    /// <summary>Nobody listens.</summary>
    Port,

    /// <summary>It is not allowed.</summary>
    Prohibited,
}

/// <summary>TCP. RFC 9293, 3.1.</summary>
internal static class Tcp
{
    internal const int HeaderLength = 20, ChecksumAt = 16;
    internal const byte Fin = 1, Syn = 2, Rst = 4, Psh = 8, Ack = 16;
    internal const byte OptionEnd = 0, OptionNop = 1, OptionMss = 2, OptionWindowScale = 3, OptionSackPermitted = 4, OptionSack = 5;
    internal const int MostOptions = 40;

    /// <summary>RFC 2018, 3: as many as there is room for.</summary>
    internal const int SackBlockLength = 8, MostSackBlocks = 4;

    /// <summary>RFC 7323, 2.3.</summary>
    internal const int MostWindowScale = 14;

    /// <summary>Assumed where a peer does not say. RFC 9293, 3.7.1.</summary>
    internal const int DefaultMss4 = 536, DefaultMss6 = 1220;
}

/// <summary>UDP. RFC 768.</summary>
internal static class Udp
{
    internal const int HeaderLength = 8, ChecksumAt = 6;
    internal const ushort DhcpServer = 67, DhcpClient = 68, Dns = 53;
}
