// Neighbour discovery for IPv6 on the guest's link (RFC 4861): advertises the router, its prefix (RFC 4862) and its name
// server (RFC 8106); answers for the addresses of this side, and learns.
using System.Buffers.Binary;
using Lamina.Backends.Net.Wire;

namespace Lamina.Backends.Net.User;

/// <summary>Neighbour discovery.</summary>
internal sealed class NeighbourDiscovery(GuestLink link, Addresses addresses, bool forwardsNames)
{
    private const byte SourceLinkAddress = 1, TargetLinkAddress = 2, PrefixInformation = 3, MtuOption = 5, RecursiveDns = 25;
    private const int Advertisement = 16, Neighbour = 24;

    // RFC 4861, 6.2.1: MaxRtrAdvInterval of 600 s, and a lifetime of three times that.
    private const ushort RouterLifetimeSeconds = 1800;
    private const uint PrefixLifetimeSeconds = 86400;

    private static readonly IpAddr AllNodes = new((UInt128)0xff02 << 112 | 1);

    /// <summary>How often the router is advertised unasked.</summary>
    internal const long AdvertiseMilliseconds = 600_000;

    /// <summary>Takes a message of the guest's; its check sum is right.</summary>
    internal void Receive(in IpPacket packet)
    {
        var message = packet.Payload;
        // 6.1, 7.1: what passed a router is not believed.
        if (packet.HopLimit != Ip.OnLinkHopLimit || message[1] != 0) return;
        switch (message[0])
        {
            case Icmp.RouterSolicitation:
                if (message.Length < 8 || !TryFindLinkAddress(message[8..], SourceLinkAddress, out var router)) return;
                if (router is { } known && addresses.IsGuests(packet.Source)) link.Learn(packet.Source, known);
                Advertise();
                break;
            case Icmp.NeighbourSolicitation:
                ReceiveSolicitation(packet);
                break;
            case Icmp.NeighbourAdvertisement:
                if (message.Length < Neighbour || !TryFindLinkAddress(message[Neighbour..], TargetLinkAddress, out var mac)) return;
                var target = IpAddr.Read(message.Slice(8, 16));
                if (mac is { } address && addresses.IsGuests(target)) link.Learn(target, address);
                break;
        }
    }

    /// <summary>Advertises the router to all. 4.2.</summary>
    internal void Advertise()
    {
        var length = Advertisement + 8 + 8 + 32 + (forwardsNames ? 24 : 0);
        var message = link.Payload(v4: false, length);
        message.Clear();
        (message[0], message[4]) = (Icmp.RouterAdvertisement, Ip.TimeToLive);
        BinaryPrimitives.WriteUInt16BigEndian(message[6..], RouterLifetimeSeconds);
        var option = message[Advertisement..];
        (option[0], option[1]) = (SourceLinkAddress, 1);
        GuestLink.WriteMac(option[2..], Addresses.GatewayMac);
        option = option[8..];
        (option[0], option[1]) = (MtuOption, 1);
        BinaryPrimitives.WriteUInt32BigEndian(option[4..], (uint)link.Mtu);
        option = option[8..];
        // 4.6.2: on link, and hosts make their addresses from it.
        (option[0], option[1], option[2], option[3]) = (PrefixInformation, 4, 64, 0xc0);
        BinaryPrimitives.WriteUInt32BigEndian(option[4..], PrefixLifetimeSeconds);
        BinaryPrimitives.WriteUInt32BigEndian(option[8..], PrefixLifetimeSeconds);
        addresses.Prefix6!.Value.Write(option[16..]);
        if (forwardsNames)
        {
            // RFC 8106, 5.1.
            option = option[32..];
            (option[0], option[1]) = (RecursiveDns, 3);
            BinaryPrimitives.WriteUInt32BigEndian(option[4..], RouterLifetimeSeconds);
            addresses.NameServer6.Write(option[8..]);
        }
        Send(link, addresses.Link6, AllNodes, length);
    }

    /// <summary>Asks for a neighbour's link address. 4.3.</summary>
    internal static void WriteSolicitation(GuestLink link, IpAddr from, IpAddr target)
    {
        var message = link.Payload(v4: false, Neighbour + 8);
        message.Clear();
        message[0] = Icmp.NeighbourSolicitation;
        target.Write(message[8..]);
        (message[Neighbour], message[Neighbour + 1]) = (SourceLinkAddress, 1);
        GuestLink.WriteMac(message[(Neighbour + 2)..], Addresses.GatewayMac);
        // RFC 4291, 2.7.1: the solicited-node address.
        Send(link, from, new IpAddr((UInt128)0xff02 << 112 | (UInt128)0x1_ff00_0000 | (uint)target.Bits & 0xff_ffff), Neighbour + 8);
    }

    private void ReceiveSolicitation(in IpPacket packet)
    {
        var message = packet.Payload;
        if (message.Length < Neighbour || !TryFindLinkAddress(message[Neighbour..], SourceLinkAddress, out var mac)) return;
        if (mac is { } known && addresses.IsGuests(packet.Source)) link.Learn(packet.Source, known);
        var target = IpAddr.Read(message.Slice(8, 16));
        if (!addresses.IsOurs(target) || target.IsV4) return;
        var isProbe = packet.Source == IpAddr.Any6;
        if (!isProbe && !addresses.IsGuests(packet.Source)) return;
        var answer = link.Payload(v4: false, Neighbour + 8);
        answer.Clear();
        answer[0] = Icmp.NeighbourAdvertisement;
        // 4.4: router, solicited (unless it answers a probe), override.
        answer[4] = (byte)(isProbe ? 0xa0 : 0xe0);
        target.Write(answer[8..]);
        (answer[Neighbour], answer[Neighbour + 1]) = (TargetLinkAddress, 1);
        GuestLink.WriteMac(answer[(Neighbour + 2)..], Addresses.GatewayMac);
        Send(link, target, isProbe ? AllNodes : packet.Source, Neighbour + 8);
    }

    private static void Send(GuestLink link, IpAddr from, IpAddr to, int length) =>
        _ = link.Send(from, to, IpProtocol.Icmp6, length, new SendOptions(ChecksumAt: 2, HopLimit: Ip.OnLinkHopLimit));

    // 4.6: type, length in units of eight bytes. False where an option is malformed, and the message is dropped whole.
    private static bool TryFindLinkAddress(ReadOnlySpan<byte> options, byte type, out ulong? mac)
    {
        mac = null;
        while (!options.IsEmpty)
        {
            if (options.Length < 2 || options[1] == 0 || options.Length < options[1] * 8) return false;
            if (options[0] == type) mac = UserStack.ReadMac(options[2..]);
            options = options[(options[1] * 8)..];
        }
        return true;
    }
}
