// Address resolution for IPv4 on the guest's link (RFC 826): answers for the addresses of this side, and learns.
using System.Buffers.Binary;
using Lamina.Backends.Net.Wire;

namespace Lamina.Backends.Net.User;

/// <summary>ARP.</summary>
internal static class Arp
{
    private const int Length = 28;
    private const ushort Request = 1, Reply = 2;

    /// <summary>Takes a packet of the guest's.</summary>
    internal static void Receive(ReadOnlySpan<byte> packet, GuestLink link, Addresses addresses)
    {
        if (packet.Length < Length || BinaryPrimitives.ReadUInt16BigEndian(packet) != 1 || BinaryPrimitives.ReadUInt16BigEndian(packet[2..]) != Ethernet.Ip4
            || packet[4] != Ethernet.MacLength || packet[5] != 4) return;
        var mac = UserStack.ReadMac(packet[8..]);
        var sender = IpAddr.Read(packet.Slice(14, 4));
        var target = IpAddr.Read(packet.Slice(24, 4));
        if (addresses.IsGuests(sender)) link.Learn(sender, mac);
        // A probe for a free address (RFC 5227) comes from 0.0.0.0 and is answered, too.
        if (BinaryPrimitives.ReadUInt16BigEndian(packet[6..]) == Request && addresses.IsOurs(target)) Write(link, Reply, target, mac, sender, mac);
    }

    /// <summary>Asks for a neighbour's link address.</summary>
    internal static void WriteRequest(GuestLink link, IpAddr from, IpAddr target) => Write(link, Request, from, 0, target, Ethernet.Broadcast);

    private static void Write(GuestLink link, ushort operation, IpAddr from, ulong targetMac, IpAddr target, ulong to)
    {
        var packet = link.FramePayload(Length);
        BinaryPrimitives.WriteUInt16BigEndian(packet, 1);
        BinaryPrimitives.WriteUInt16BigEndian(packet[2..], Ethernet.Ip4);
        (packet[4], packet[5]) = (Ethernet.MacLength, 4);
        BinaryPrimitives.WriteUInt16BigEndian(packet[6..], operation);
        GuestLink.WriteMac(packet[8..], Addresses.GatewayMac);
        from.Write(packet[14..]);
        GuestLink.WriteMac(packet[18..], targetMac);
        target.Write(packet[24..]);
        link.SendFrame(to, Ethernet.Arp, Length);
    }
}
