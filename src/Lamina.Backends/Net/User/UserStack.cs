// The guest's side of a user-mode network: takes its frames, reads link and IP headers, and gives what is inside to the
// part that knows it. Nothing that a frame says is believed before it fits the frame. Used with the network's lock held.
using System.Buffers.Binary;
using Lamina.Backends.Net.User.Transport;
using Lamina.Backends.Net.Wire;
using Lamina.Core.Inspection;
using Lamina.Core.Net;
using Lamina.Core.State;

namespace Lamina.Backends.Net.User;

/// <summary>A network of one guest's link and the host's sockets.</summary>
internal sealed class UserStack : IDisposable
{
    // RFC 8200, 4.1 has each kind at most once, destination options twice.
    private const int MostExtensionHeaders = 8;

    private readonly UserContext _context;
    private readonly Reassembly _reassembly;
    private readonly Dhcp _dhcp;
    private readonly NeighbourDiscovery? _neighbours;
    private readonly TcpTable _tcp;
    private readonly UdpTable _udp;
    private readonly EchoTable _echo;
    private readonly PublishedPorts _published;
    private long _advertiseAt;

    /// <summary>Opens the published ports.</summary>
    /// <exception cref="Host.HostException">One cannot be had.</exception>
    internal UserStack(UserNetOptions options, Func<long> now)
    {
        var addresses = new Addresses(options);
        var link = new GuestLink(addresses, options.Mtu);
        var servers = new NameServers(options.DnsServers, now);
        var policy = new AccessPolicy(options, addresses, servers);
        _context = new UserContext(options, addresses, link, new HostEvents(), policy, servers, new IcmpErrors(link, addresses, now), now);
        _reassembly = new Reassembly(now);
        var forwardsNames = options.Dns ?? options.Allowed is null;
        _dhcp = new Dhcp(link, addresses, forwardsNames, options.HostName, options.BootFile);
        if (options.Network6 is not null) _neighbours = new NeighbourDiscovery(link, addresses, forwardsNames);
        _advertiseAt = now() + NeighbourDiscovery.AdvertiseMilliseconds;
        _tcp = new TcpTable(_context);
        _udp = new UdpTable(_context);
        _echo = new EchoTable(_context);
        try
        {
            _published = new PublishedPorts(_tcp, _udp);
            _published.Set(options.Published);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    internal GuestLink Link => _context.Link;

    internal HostEvents Events => _context.Events;

    internal TcpTable Tcp => _tcp;

    internal UdpTable Udp => _udp;

    internal EchoTable Echo => _echo;

    /// <summary>When <see cref="RunTimers"/> has something to do, in monotonic milliseconds.</summary>
    internal long NextDeadline => Math.Min(Math.Min(_tcp.NextDeadline, Math.Min(_udp.NextDeadline, _echo.NextDeadline)), _neighbours is null ? long.MaxValue : _advertiseAt);

    /// <summary>The ports of the host's that lead to the guest.</summary>
    internal PublishedPorts Published => _published;

    /// <summary>Takes a frame of the guest's.</summary>
    internal void Input(ReadOnlySpan<byte> frame, in FrameOffload offload)
    {
        if (frame.Length < Ethernet.HeaderLength) return;
        var destination = ReadMac(frame);
        if (destination != Addresses.GatewayMac && !Ethernet.IsGroup(destination)) return;
        var packet = frame[Ethernet.HeaderLength..];
        switch (BinaryPrimitives.ReadUInt16BigEndian(frame[Ethernet.TypeAt..]))
        {
            case Ethernet.Arp:
                Arp.Receive(packet, _context.Link, _context.Addresses);
                break;
            case Ethernet.Ip4:
                Input4(packet, ReadMac(frame[Ethernet.MacLength..]), offload.NeedsChecksum);
                break;
            case Ethernet.Ip6 when _neighbours is not null:
                Input6(packet, ReadMac(frame[Ethernet.MacLength..]), offload.NeedsChecksum);
                break;
        }
    }

    /// <summary>Writes what the guest knows of the network, or reads it.</summary>
    internal void Exchange(SavedFields fields) => SavedNetwork.Exchange(fields, _context.Link, _tcp);

    /// <summary>Says which connections there are.</summary>
    internal void Inspect(InspectNode node)
    {
        node.Say("tcp connections", _tcp.Count);
        node.Say("bytes of tcp buffers", _tcp.Buffers.Taken);
        node.Say("udp exchanges", _udp.Count);
        node.Say("echo exchanges", _echo.Count);
        node.Each("tcp", [.. _tcp.Connections.Take(InspectNode.Most + 1)], static (of, connection) =>
        {
            of.Say("guest", $"{connection.Key.Guest}:{connection.Key.GuestPort}");
            of.Say("peer", $"{connection.Key.Peer}:{connection.Key.PeerPort}");
            of.Say("state", connection.State);
            var (toGuest, toHost) = connection.Buffered;
            of.Say("bytes to the guest", toGuest);
            of.Say("bytes to the host", toHost);
        });
    }

    /// <summary>The guest has sent what it wanted to for now.</summary>
    internal void Flush() => _tcp.Flush();

    /// <summary>The guest has room again.</summary>
    internal void Resume()
    {
        if (_context.Link.Resume()) _tcp.Resume();
    }

    /// <summary>Does what is due.</summary>
    internal void RunTimers()
    {
        var now = _context.Now();
        _tcp.RunTimers(now);
        _udp.RunTimers(now);
        _echo.RunTimers(now);
        if (_neighbours is null || now < _advertiseAt) return;
        _advertiseAt = now + NeighbourDiscovery.AdvertiseMilliseconds;
        _neighbours.Advertise();
    }

    public void Dispose()
    {
        _tcp.Dispose();
        _udp.Dispose();
        _echo.Dispose();
        _context.Events.Dispose();
    }

    /// <summary>Reads a link address: six bytes in the low bits, the first highest.</summary>
    internal static ulong ReadMac(ReadOnlySpan<byte> bytes) => (ulong)BinaryPrimitives.ReadUInt16BigEndian(bytes) << 32 | BinaryPrimitives.ReadUInt32BigEndian(bytes[2..]);

    // RFC 791, 3.1; options are passed over.
    private void Input4(ReadOnlySpan<byte> bytes, ulong mac, bool trusted)
    {
        if (bytes.Length < Ip.Header4 || bytes[0] >> 4 != 4) return;
        var header = (bytes[0] & 15) * 4;
        int total = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
        if (header < Ip.Header4 || total < header || total > bytes.Length || !InternetChecksum.IsRight(0, bytes[..header])) return;
        bytes = bytes[..total];
        var packet = new IpPacket
        {
            Source = IpAddr.Read(bytes.Slice(12, 4)),
            Destination = IpAddr.Read(bytes.Slice(16, 4)),
            Protocol = bytes[9],
            HopLimit = bytes[8],
            Payload = bytes[header..],
            Original = bytes,
            ChecksumIsTrusted = trusted,
        };
        // Nobody may speak for somebody else; only who asks for an address has none.
        var isAsking = packet.Source == IpAddr.Any4 && packet.Protocol == IpProtocol.Udp;
        if (!isAsking && !_context.Addresses.IsGuests(packet.Source)) return;
        if (!isAsking) _context.Link.Learn(packet.Source, mac);
        var fragment = BinaryPrimitives.ReadUInt16BigEndian(bytes[6..]);
        if ((fragment & (Ip.MoreFragments | Ip.OffsetMask)) == 0)
        {
            Dispatch(packet);
            return;
        }
        var key = new FragmentKey(packet.Source, packet.Destination, BinaryPrimitives.ReadUInt16BigEndian(bytes[4..]), packet.Protocol);
        DispatchFragment(packet, key, (fragment & Ip.OffsetMask) * 8, (fragment & Ip.MoreFragments) != 0);
    }

    private void Input6(ReadOnlySpan<byte> bytes, ulong mac, bool trusted)
    {
        if (bytes.Length < Ip.Header6 || bytes[0] >> 4 != 6) return;
        int length = BinaryPrimitives.ReadUInt16BigEndian(bytes[4..]);
        if (Ip.Header6 + length > bytes.Length) return;
        bytes = bytes[..(Ip.Header6 + length)];
        var packet = new IpPacket
        {
            Source = IpAddr.Read(bytes.Slice(8, 16)),
            Destination = IpAddr.Read(bytes.Slice(24, 16)),
            Protocol = bytes[6],
            HopLimit = bytes[7],
            Payload = bytes[Ip.Header6..],
            Original = bytes,
            ChecksumIsTrusted = trusted,
        };
        // An IPv4 address in disguise would be taken for the other family's.
        if (packet.Source.IsV4 || packet.Destination.IsV4) return;
        // The unspecified address is the source of who tests an address for itself (RFC 4862, 5.4.2).
        var isProbing = packet.Source == IpAddr.Any6;
        if (!isProbing && !_context.Addresses.IsGuests(packet.Source)) return;
        if (!isProbing) _context.Link.Learn(packet.Source, mac);
        if (!SkipExtensions(ref packet, out var fragment)) return;
        if (fragment.IsEmpty)
        {
            if (!isProbing || packet.Protocol == IpProtocol.Icmp6) Dispatch(packet);
            return;
        }
        var offset = BinaryPrimitives.ReadUInt16BigEndian(fragment[2..]);
        var key = new FragmentKey(packet.Source, packet.Destination, BinaryPrimitives.ReadUInt32BigEndian(fragment[4..]), packet.Protocol);
        if (!isProbing) DispatchFragment(packet, key, offset & ~7, (offset & 1) != 0);
    }

    // RFC 8200, 4. What is behind a fragment header is looked at when the packet is whole: there it may only be transport.
    private static bool SkipExtensions(ref IpPacket packet, out ReadOnlySpan<byte> fragment)
    {
        fragment = default;
        for (var i = 0; i < MostExtensionHeaders; i++)
        {
            var bytes = packet.Payload;
            switch (packet.Protocol)
            {
                case IpProtocol.HopByHop or IpProtocol.DestinationOptions or IpProtocol.Routing:
                    if (bytes.Length < 8 || bytes.Length < (bytes[1] + 1) * 8) return false;
                    // 4.4: with segments left it is to be sent on to somebody else.
                    if (packet.Protocol == IpProtocol.Routing && bytes[3] != 0) return false;
                    packet.Protocol = bytes[0];
                    packet.Payload = bytes[((bytes[1] + 1) * 8)..];
                    break;
                case IpProtocol.Fragment:
                    if (bytes.Length < Ip.FragmentHeader) return false;
                    fragment = bytes[..Ip.FragmentHeader];
                    packet.Protocol = bytes[0];
                    packet.Payload = bytes[Ip.FragmentHeader..];
                    return true;
                case IpProtocol.NoNext:
                    return false;
                default:
                    return true;
            }
        }
        return false;
    }

    private void DispatchFragment(IpPacket packet, in FragmentKey key, int offset, bool more)
    {
        if (_reassembly.Add(key, offset, packet.Payload, more) is not { } whole) return;
        packet.Payload = whole.Span;
        packet.ChecksumIsTrusted = false;
        Dispatch(packet);
    }

    private void Dispatch(in IpPacket packet)
    {
        var isForUs = _context.Addresses.IsOurs(packet.Destination) || packet.Destination.IsGroup;
        if (packet.HopLimit <= 1 && !isForUs)
        {
            _context.Errors.SendTimeExceeded(packet);
            return;
        }
        switch (packet.Protocol)
        {
            case IpProtocol.Tcp:
                if (packet.Payload.Length >= Wire.Tcp.HeaderLength && packet.HasRightChecksum) _tcp.Receive(packet);
                break;
            case IpProtocol.Udp:
                ReceiveUdp(packet);
                break;
            case IpProtocol.Icmp4 when packet.Source.IsV4:
                if (packet.Payload.Length >= Icmp.HeaderLength && InternetChecksum.IsRight(0, packet.Payload) && packet.Payload[0] == Icmp.Echo4) _echo.Receive(packet);
                break;
            case IpProtocol.Icmp6 when !packet.Source.IsV4:
                if (packet.Payload.Length < Icmp.HeaderLength || !packet.HasRightChecksum) break;
                if (packet.Payload[0] == Icmp.Echo6 && packet.Source != IpAddr.Any6) _echo.Receive(packet);
                else _neighbours?.Receive(packet);
                break;
            default:
                if (!packet.Destination.IsGroup) _context.Errors.Send(packet, Unreachable.Protocol);
                break;
        }
    }

    private void ReceiveUdp(in IpPacket packet)
    {
        var datagram = packet.Payload;
        if (datagram.Length < Wire.Udp.HeaderLength) return;
        int length = BinaryPrimitives.ReadUInt16BigEndian(datagram[4..]);
        if (length < Wire.Udp.HeaderLength || length > datagram.Length) return;
        var checkedPacket = packet;
        checkedPacket.Payload = datagram[..length];
        // RFC 768: an IPv4 datagram may come without a sum.
        var hasNoSum = packet.Source.IsV4 && BinaryPrimitives.ReadUInt16BigEndian(datagram[Wire.Udp.ChecksumAt..]) == 0;
        if (!hasNoSum && !checkedPacket.HasRightChecksum) return;
        if (packet.Source.IsV4 && BinaryPrimitives.ReadUInt16BigEndian(datagram[2..]) == Wire.Udp.DhcpServer
            && (packet.Destination.Bits4 == uint.MaxValue || packet.Destination == _context.Addresses.Gateway4))
            _dhcp.Receive(datagram[Wire.Udp.HeaderLength..length]);
        else if (packet.Source != IpAddr.Any4 && !packet.Destination.IsGroup && packet.Destination != _context.Addresses.Broadcast4)
            _udp.Receive(checkedPacket);
    }
}
