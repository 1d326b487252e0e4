// The headers of a packet that the guest sent some time ago, as an ICMP error has to quote them.
using System.Buffers.Binary;
using Lamina.Backends.Net.Wire;
using Lamina.Core.Net;

namespace Lamina.Backends.Net.User.Transport;

/// <summary>Writes headers from what is known of a flow.</summary>
internal static class IpHeaders
{
    /// <summary>A packet with IP's header and the first eight bytes of the transport's.</summary>
    /// <param name="buffer">Holds the packet: an IPv6 header and eight bytes.</param>
    /// <param name="key">Who sent it to whom.</param>
    /// <param name="protocol">UDP or TCP.</param>
    /// <param name="sequence">TCP's sequence number.</param>
    internal static IpPacket Rebuild(Span<byte> buffer, in FlowKey key, byte protocol, uint sequence = 0)
    {
        var v4 = key.Guest.IsV4;
        var header = v4 ? Ip.Header4 : Ip.Header6;
        buffer = buffer[..(header + 8)];
        buffer.Clear();
        if (v4)
        {
            (buffer[0], buffer[8], buffer[9]) = (0x45, Ip.TimeToLive, protocol);
            BinaryPrimitives.WriteUInt16BigEndian(buffer[2..], (ushort)(header + Tcp.HeaderLength));
            key.Guest.Write(buffer[12..]);
            key.Peer.Write(buffer[16..]);
            BinaryPrimitives.WriteUInt16BigEndian(buffer[10..], InternetChecksum.Finish(InternetChecksum.Add(0, buffer[..header])));
        }
        else
        {
            (buffer[0], buffer[6], buffer[7]) = (0x60, protocol, Ip.TimeToLive);
            BinaryPrimitives.WriteUInt16BigEndian(buffer[4..], Tcp.HeaderLength);
            key.Guest.Write(buffer[8..]);
            key.Peer.Write(buffer[24..]);
        }
        BinaryPrimitives.WriteUInt16BigEndian(buffer[header..], key.GuestPort);
        BinaryPrimitives.WriteUInt16BigEndian(buffer[(header + 2)..], key.PeerPort);
        BinaryPrimitives.WriteUInt32BigEndian(buffer[(header + 4)..], sequence);
        return new IpPacket { Source = key.Guest, Destination = key.Peer, Protocol = protocol, HopLimit = Ip.TimeToLive, Original = buffer, Payload = buffer[header..] };
    }
}
