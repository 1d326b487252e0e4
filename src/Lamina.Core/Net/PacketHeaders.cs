// Where the headers of a frame lie. What a frame says of itself is believed only as far as the frame goes: every offset that is given
// out lies within it.
using System.Buffers.Binary;

namespace Lamina.Core.Net;

/// <summary>The headers of a frame.</summary>
public readonly record struct PacketHeaders
{
    /// <summary>The length of an Ethernet header, and of the tag of a VLAN in it. IEEE 802.3, 3.1; IEEE 802.1Q, 9.6.</summary>
    public const int EthernetLength = 14, TagLength = 4;

    /// <summary>Where the type stands in an Ethernet header.</summary>
    public const int TypeAt = 12;

    /// <summary>Types of frames.</summary>
    public const ushort TypeIpv4 = 0x0800, TypeIpv6 = 0x86dd, TypeTag = 0x8100;

    /// <summary>Protocols over IP.</summary>
    public const byte Tcp = 6, Udp = 17;

    private const int Ipv4Length = 20, Ipv6Length = 40, TcpLength = 20, UdpLength = 8, MostExtensions = 8;

    /// <summary>Where the IP header begins; 0 where there is none.</summary>
    public int Network { get; private init; }

    /// <summary>Whether it is one of IPv4, else of IPv6.</summary>
    public bool IsIpv4 { get; private init; }

    /// <summary>Where the header behind IP's begins; 0 where there is none, or where it is in another fragment.</summary>
    public int Transport { get; private init; }

    /// <summary>What it is of, where there is one.</summary>
    public byte Protocol { get; private init; }

    /// <summary>Where the IP packet ends; padding may follow it.</summary>
    public int End { get; private init; }

    /// <summary>Whether it is a part of a packet.</summary>
    public bool IsFragment { get; private init; }

    /// <summary>Whether there is a whole header of TCP or UDP.</summary>
    public bool HasPorts => Transport != 0 && (Protocol == Tcp || Protocol == Udp);

    /// <summary>Where a check sum of TCP or UDP stands.</summary>
    public int ChecksumAt => Transport + (Protocol == Tcp ? 16 : 6);

    /// <summary>Reads the headers of a frame.</summary>
    public static PacketHeaders Of(ReadOnlySpan<byte> frame)
    {
        if (frame.Length < EthernetLength) return default;
        var type = BinaryPrimitives.ReadUInt16BigEndian(frame[TypeAt..]);
        var at = EthernetLength;
        if (type == TypeTag && frame.Length >= EthernetLength + TagLength)
        {
            type = BinaryPrimitives.ReadUInt16BigEndian(frame[(TypeAt + TagLength)..]);
            at += TagLength;
        }
        return type switch { TypeIpv4 => OfIpv4(frame, at), TypeIpv6 => OfIpv6(frame, at), _ => default };
    }

    /// <summary>Reads the headers of a frame whose IP header begins at a place that is known.</summary>
    public static PacketHeaders At(ReadOnlySpan<byte> frame, int network) => network >= EthernetLength && network < frame.Length && frame[network] >> 4 == 4 ? OfIpv4(frame, network)
        : network >= EthernetLength ? OfIpv6(frame, network) : default;

    /// <summary>The length of all headers up to the payload of TCP or UDP, or of IP; 0 where there is no IP.</summary>
    public int LengthIn(ReadOnlySpan<byte> frame)
    {
        if (Network == 0) return 0;
        if (!HasPorts) return Transport != 0 ? Transport : IsIpv4 ? Network + ((frame[Network] & 15) * 4) : Network + Ipv6Length;
        return Protocol == Udp ? Transport + UdpLength : Math.Min(End, Transport + Math.Max(TcpLength, (frame[Transport + 12] >> 4) * 4));
    }

    /// <summary>The sum of the pseudo header of a TCP or UDP packet of this length. RFC 9293, 3.1; RFC 8200, 8.1.</summary>
    public ulong PseudoSum(ReadOnlySpan<byte> frame, int length) =>
        InternetChecksum.Add((ulong)length + Protocol, IsIpv4 ? frame.Slice(Network + 12, 8) : frame.Slice(Network + 8, 32));

    /// <summary>Whether the check sum of the IPv4 header is right.</summary>
    public bool NetworkSumIsRight(ReadOnlySpan<byte> frame) => InternetChecksum.IsRight(0, frame.Slice(Network, (frame[Network] & 15) * 4));

    /// <summary>Whether the check sum of TCP or UDP is right; one of UDP that is 0 is none, and right.</summary>
    public bool TransportSumIsRight(ReadOnlySpan<byte> frame) =>
        (Protocol == Udp && BinaryPrimitives.ReadUInt16BigEndian(frame[ChecksumAt..]) == 0) || InternetChecksum.IsRight(PseudoSum(frame, End - Transport), frame[Transport..End]);

    // RFC 791, 3.1.
    private static PacketHeaders OfIpv4(ReadOnlySpan<byte> frame, int at)
    {
        if (frame.Length < at + Ipv4Length || frame[at] >> 4 != 4) return default;
        var (header, length) = ((frame[at] & 15) * 4, BinaryPrimitives.ReadUInt16BigEndian(frame[(at + 2)..]));
        if (header < Ipv4Length || length < header || at + length > frame.Length) return default;
        var isFragment = (BinaryPrimitives.ReadUInt16BigEndian(frame[(at + 6)..]) & 0x3fff) != 0;
        return new PacketHeaders { Network = at, IsIpv4 = true, IsFragment = isFragment, Protocol = frame[at + 9], End = at + length, Transport = isFragment ? 0 : TransportAt(frame[at + 9], at + header, at + length) };
    }

    // RFC 8200, 3 and 4.
    private static PacketHeaders OfIpv6(ReadOnlySpan<byte> frame, int at)
    {
        const byte hopByHop = 0, routing = 43, fragment = 44, options = 60;
        if (frame.Length < at + Ipv6Length || frame[at] >> 4 != 6) return default;
        var end = at + Ipv6Length + BinaryPrimitives.ReadUInt16BigEndian(frame[(at + 4)..]);
        if (end > frame.Length) return default;
        var (next, transport) = (frame[at + 6], at + Ipv6Length);
        for (var i = 0; i < MostExtensions && next is hopByHop or routing or options && transport + 8 <= end; i++) (next, transport) = (frame[transport], transport + ((frame[transport + 1] + 1) * 8));
        var headers = new PacketHeaders { Network = at, End = end, Protocol = next, IsFragment = next == fragment };
        return headers.IsFragment ? headers : headers with { Transport = TransportAt(next, transport, end) };
    }

    private static int TransportAt(byte protocol, int at, int end) => at + (protocol switch { Tcp => TcpLength, Udp => UdpLength, _ => 0 }) <= end ? at : 0;
}
