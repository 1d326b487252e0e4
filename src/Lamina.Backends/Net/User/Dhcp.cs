// The DHCP server of the guest's link (RFC 2131, options of RFC 2132): gives each link address its own from the network,
// the first one the address that ports are published to. It forgets nothing, so a lease can always be renewed.
using System.Buffers.Binary;
using System.Text;
using Lamina.Backends.Net.Wire;

namespace Lamina.Backends.Net.User;

/// <summary>DHCP.</summary>
internal sealed class Dhcp(GuestLink link, Addresses addresses, bool forwardsNames, string? hostName, string? bootFile)
{
    private const int FileAt = 108, Fixed = 236, Options = 240, LongestAnswer = 576;
    private const uint Cookie = 0x6382_5363, LeaseSeconds = 86400;
    private const byte BootRequest = 1, BootReply = 2;
    private const byte Discover = 1, Offer = 2, Request = 3, Acknowledge = 5, Refuse = 6, Inform = 8;
    private const byte SubnetMask = 1, Router = 3, NameServer = 6, HostName = 12, InterfaceMtu = 26, RequestedAddress = 50, LeaseTime = 51;
    private const byte MessageType = 53, ServerIdentifier = 54, OptionOverload = 52, BootFile = 67, End = 255, Pad = 0;
    private const int FirstHost = 15, MostLeases = 32;

    private readonly Dictionary<ulong, IpAddr> _leases = [];

    /// <summary>Takes a message of the guest's (a UDP payload).</summary>
    internal void Receive(ReadOnlySpan<byte> message)
    {
        if (message.Length < Options || message[0] != BootRequest || message[1] != 1 || message[2] != Ethernet.MacLength
            || BinaryPrimitives.ReadUInt32BigEndian(message[Fixed..]) != Cookie) return;
        var options = message[Options..];
        if (Find(options, MessageType) is not [var type, ..]) return;
        var mac = UserStack.ReadMac(message[28..]);
        if (LeaseOf(mac) is not { } lease) return;
        switch (type)
        {
            case Discover:
                Answer(message, Offer, mac, lease);
                break;
            case Request:
                // 4.3.2: one that chose another server is not meant; a wish for another address is refused.
                if (Find(options, ServerIdentifier) is { Length: 4 } server && IpAddr.Read(server) != addresses.Gateway4) return;
                var wanted = Find(options, RequestedAddress) is { Length: 4 } requested ? IpAddr.Read(requested) : IpAddr.Read(message.Slice(12, 4));
                Answer(message, wanted == lease ? Acknowledge : Refuse, mac, lease);
                break;
            case Inform:
                Answer(message, Acknowledge, mac, null);
                break;
        }
    }

    private IpAddr? LeaseOf(ulong mac)
    {
        if (_leases.TryGetValue(mac, out var lease)) return lease;
        if (_leases.Count == MostLeases || FirstHost + _leases.Count >= (int)~addresses.Mask4 || Ethernet.IsGroup(mac)) return null;
        return _leases[mac] = addresses.In4(FirstHost + (uint)_leases.Count);
    }

    private void Answer(ReadOnlySpan<byte> question, byte type, ulong mac, IpAddr? lease)
    {
        const int udp = Udp.HeaderLength;
        var packet = link.Payload(v4: true, udp + LongestAnswer);
        packet.Clear();
        var message = packet[udp..];
        question[..8].CopyTo(message);
        message[0] = BootReply;
        // Flags, ciaddr, giaddr, chaddr are the client's.
        question.Slice(10, 2).CopyTo(message[10..]);
        if (type != Refuse) question.Slice(12, 4).CopyTo(message[12..]);
        if (type != Refuse && lease is { } given) given.Write(message[16..]);
        addresses.Gateway4.Write(message[20..]);
        question.Slice(28, 16).CopyTo(message[28..]);
        BinaryPrimitives.WriteUInt32BigEndian(message[Fixed..], Cookie);
        var length = Options;
        Put(message, ref length, MessageType, [type]);
        Put(message, ref length, ServerIdentifier, addresses.Gateway4);
        if (type != Refuse) PutConfiguration(message, ref length, lease is not null);
        message[length++] = End;
        // RFC 1542, 2.1: some clients take no message shorter than BOOTP's.
        length = Math.Max(length, 300);

        // 4.1: to the address it has, else to all if it asked for that, or if there is no other way to reach it.
        var client = IpAddr.Read(question.Slice(12, 4));
        var isKnown = type != Refuse && addresses.IsGuests(client);
        var to = isKnown ? client : IpAddr.V4(uint.MaxValue);
        if (isKnown) link.Learn(client, mac);
        BinaryPrimitives.WriteUInt16BigEndian(packet, Udp.DhcpServer);
        BinaryPrimitives.WriteUInt16BigEndian(packet[2..], Udp.DhcpClient);
        BinaryPrimitives.WriteUInt16BigEndian(packet[4..], (ushort)(udp + length));
        _ = link.Send(addresses.Gateway4, to, IpProtocol.Udp, udp + length, new SendOptions(Udp.ChecksumAt));
    }

    private void PutConfiguration(Span<byte> message, ref int length, bool withLease)
    {
        Span<byte> number = stackalloc byte[4];
        if (withLease)
        {
            BinaryPrimitives.WriteUInt32BigEndian(number, LeaseSeconds);
            Put(message, ref length, LeaseTime, number);
        }
        Put(message, ref length, SubnetMask, IpAddr.V4(addresses.Mask4));
        Put(message, ref length, Router, addresses.Gateway4);
        if (forwardsNames) Put(message, ref length, NameServer, addresses.NameServer4);
        BinaryPrimitives.WriteUInt16BigEndian(number, (ushort)link.Mtu);
        Put(message, ref length, InterfaceMtu, number[..2]);
        if (hostName is not null) Put(message, ref length, HostName, Encoding.ASCII.GetBytes(hostName));
        if (bootFile is null) return;
        // In the header's field, with a zero behind it, as well: older firmware looks only there.
        var name = Encoding.ASCII.GetBytes(bootFile);
        name.CopyTo(message[FileAt..]);
        Put(message, ref length, BootFile, name);
    }

    private static void Put(Span<byte> message, ref int length, byte option, IpAddr address)
    {
        Span<byte> bytes = stackalloc byte[4];
        address.Write(bytes);
        Put(message, ref length, option, bytes);
    }

    private static void Put(Span<byte> message, ref int length, byte option, ReadOnlySpan<byte> value)
    {
        (message[length], message[length + 1]) = (option, (byte)value.Length);
        value.CopyTo(message[(length + 2)..]);
        length += 2 + value.Length;
    }

    // RFC 2132, 2. An option that says that others stand in the header's fields (52) is not followed: no client needs it.
    private static ReadOnlySpan<byte> Find(ReadOnlySpan<byte> options, byte wanted)
    {
        while (options.Length >= 2 && options[0] != End)
        {
            if (options[0] is Pad)
            {
                options = options[1..];
                continue;
            }
            if (options.Length < 2 + options[1]) return default;
            if (options[0] == wanted && wanted != OptionOverload) return options.Slice(2, options[1]);
            options = options[(2 + options[1])..];
        }
        return default;
    }
}
