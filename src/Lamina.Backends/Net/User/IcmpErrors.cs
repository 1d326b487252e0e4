// Errors that the guest is told of: what cannot be reached, and packets that went too far. RFC 792, RFC 4443, RFC 1812.
using System.Buffers.Binary;
using Lamina.Backends.Net.Wire;
using Lamina.Core.Net;

namespace Lamina.Backends.Net.User;

/// <summary>Sends ICMP errors.</summary>
internal sealed class IcmpErrors(GuestLink link, Addresses addresses, Func<long> now)
{
    // RFC 4443, 2.4 (f) asks for a limit.
    private const int MostASecond = 200;

    // RFC 1812, 4.3.2.3 has as much of the packet sent back as fits 576 bytes.
    private const int LongestOriginal = 576 - Ip.Header6 - Icmp.HeaderLength;

    private long _second;
    private int _sent;

    /// <summary>Tells the guest that a packet of its could not be delivered.</summary>
    internal void Send(in IpPacket packet, Unreachable why)
    {
        var (type, code) = (packet.Source.IsV4, why) switch
        {
            (true, Unreachable.Network) => (Icmp.Unreachable4, 0),
            (true, Unreachable.Host) => (Icmp.Unreachable4, 1),
            (true, Unreachable.Protocol) => (Icmp.Unreachable4, 2),
            (true, Unreachable.Port) => (Icmp.Unreachable4, 3),
            (true, _) => (Icmp.Unreachable4, 13),
            (false, Unreachable.Network) => (Icmp.Unreachable6, 0),
            (false, Unreachable.Host) => (Icmp.Unreachable6, 3),
            (false, Unreachable.Port) => (Icmp.Unreachable6, 4),
            // RFC 4443, 3.4 has a type of its own for protocols (4, code 1).
            (false, Unreachable.Protocol) => ((byte)4, 1),
            (false, _) => (Icmp.Unreachable6, 1),
        };
        Send(packet, type, (byte)code);
    }

    /// <summary>Tells the guest that a packet's hop limit is used up.</summary>
    internal void SendTimeExceeded(in IpPacket packet) => Send(packet, packet.Source.IsV4 ? Icmp.TimeExceeded4 : Icmp.TimeExceeded6, 0);

    private void Send(in IpPacket packet, byte type, byte code)
    {
        // RFC 1122, 3.2.2: never about what was not for one host.
        if (packet.Destination.IsGroup || packet.Original.IsEmpty || !addresses.IsGuests(packet.Source) || !Allowed()) return;
        var v4 = packet.Source.IsV4;
        var original = packet.Original[..Math.Min(packet.Original.Length, LongestOriginal)];
        var message = link.Payload(v4, Icmp.HeaderLength + original.Length);
        message[..Icmp.HeaderLength].Clear();
        (message[0], message[1]) = (type, code);
        original.CopyTo(message[Icmp.HeaderLength..]);
        // An error speaks for the destination itself where it is one of ours or reports a port; routers speak for the rest.
        var from = addresses.IsOurs(packet.Destination) ? packet.Destination : v4 ? addresses.Gateway4 : addresses.Gateway6;
        Send4Or6(link, from, packet.Source, message.Length);
    }

    /// <summary>Sends an ICMP message that was put in place, with the sum that its family asks for.</summary>
    internal static void Send4Or6(GuestLink link, IpAddr from, IpAddr to, int length)
    {
        if (!to.IsV4)
        {
            _ = link.Send(from, to, IpProtocol.Icmp6, length, new SendOptions(ChecksumAt: 2));
            return;
        }
        // ICMP for IPv4 has no pseudo header.
        var message = link.Payload(v4: true, length);
        BinaryPrimitives.WriteUInt16BigEndian(message[2..], 0);
        BinaryPrimitives.WriteUInt16BigEndian(message[2..], InternetChecksum.Finish(InternetChecksum.Add(0, message)));
        _ = link.Send(from, to, IpProtocol.Icmp4, length, new SendOptions(ChecksumAt: -1));
    }

    private bool Allowed()
    {
        var second = now() / 1000;
        if (second != _second) (_second, _sent) = (second, 0);
        return _sent++ < MostASecond;
    }
}
