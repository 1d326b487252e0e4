// The guest's link: who answers for which address, and how a guest learns its own.
using System.Buffers.Binary;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Lamina.Backends.Net.User;
using Lamina.Backends.Net.Wire;
using Xunit;

namespace Lamina.Tests.Backends.Net;

public sealed class LinkTests : IDisposable
{
    private readonly UserLab _lab = new();

    public void Dispose() => _lab.Dispose();

    internal static void SendArp(UserLab lab, ushort operation, IpAddr sender, IpAddr target)
    {
        var packet = new byte[28];
        BinaryPrimitives.WriteUInt16BigEndian(packet, 1);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), 0x0800);
        (packet[4], packet[5]) = (6, 4);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(6), operation);
        GuestLink.WriteMac(packet.AsSpan(8), UserLab.GuestMac);
        sender.Write(packet.AsSpan(14));
        target.Write(packet.AsSpan(24));
        lab.Send(Ethernet.Broadcast, Ethernet.Arp, packet);
    }

    [Theory]
    [InlineData("10.0.2.2", true)]
    [InlineData("10.0.2.3", true)]
    [InlineData("10.0.2.4", false)]
    [InlineData("10.0.2.15", false)]
    [InlineData("192.0.2.1", false)]
    public void ARP_is_answered_for_the_gateway_and_the_name_server(string target, bool answered)
    {
        SendArp(_lab, 1, UserLab.Guest, UserLab.Ip(target));

        Assert.Equal(answered ? 1 : 0, _lab.Card.Frames.Count);
        if (!answered) return;
        var answer = _lab.Card.Frames[0].Packet;
        Assert.Equal((2, Addresses.GatewayMac, UserLab.Ip(target)), (answer[7], UserStack.ReadMac(answer.AsSpan(8)), IpAddr.Read(answer.AsSpan(14, 4))));
        Assert.Equal((UserLab.GuestMac, UserLab.Guest), (UserStack.ReadMac(answer.AsSpan(18)), IpAddr.Read(answer.AsSpan(24, 4))));
    }

    [Fact]
    public void Nobody_speaks_for_the_gateway()
    {
        SendArp(_lab, 2, UserLab.Gateway, UserLab.Guest);

        Assert.Null(_lab.Stack.Link.Find(UserLab.Gateway));
        // Nor for somebody who is not on the link.
        _lab.SendUdp(UserLab.Ip("192.0.2.7"), 1, UserLab.NameServer, 53, [1]);
        Assert.Null(_lab.Stack.Link.Find(UserLab.Ip("192.0.2.7")));
        Assert.Empty(_lab.Card.Frames);
    }

    [Fact]
    public void DHCP_gives_an_address_and_everything_that_belongs_to_it()
    {
        using var lab = new UserLab(new UserNetOptions { HostName = "guest", Mtu = 9000 });

        var offer = Ask(lab, 1, []);
        Assert.Equal((2, "10.0.2.15"), (offer.Options[53][0], new IPAddress(offer.Yours).ToString()));
        var acknowledged = Ask(lab, 3, [50, 4, 10, 0, 2, 15, 54, 4, 10, 0, 2, 2]);

        Assert.Equal([5], acknowledged.Options[53]);
        Assert.Equal([255, 255, 255, 0], acknowledged.Options[1]);
        Assert.Equal([10, 0, 2, 2], acknowledged.Options[3]);
        Assert.Equal([10, 0, 2, 3], acknowledged.Options[6]);
        Assert.Equal("guest"u8, acknowledged.Options[12]);
        Assert.Equal(9000, BinaryPrimitives.ReadUInt16BigEndian(acknowledged.Options[26]));
        Assert.Equal(86400u, BinaryPrimitives.ReadUInt32BigEndian(acknowledged.Options[51]));
        Assert.Equal([10, 0, 2, 2], acknowledged.Options[54]);
    }

    [Fact]
    public void DHCP_names_what_to_boot()
    {
        const string url = "http://10.0.2.2:8080/start.ipxe";
        using var lab = new UserLab(new UserNetOptions { BootFile = url, HostName = new string('h', 63) });
        using var without = new UserLab(new UserNetOptions());

        foreach (var answer in (DhcpAnswer[])[Ask(lab, 1, []), Ask(lab, 3, [50, 4, 10, 0, 2, 15])])
            Assert.Equal((url, url), (System.Text.Encoding.ASCII.GetString(answer.Options[67]), System.Text.Encoding.ASCII.GetString(answer.File).TrimEnd('\0')));
        Assert.False(Ask(without, 1, []).Options.ContainsKey(67));
        using var longest = new UserLab(new UserNetOptions { BootFile = new string('b', 127), HostName = new string('h', 63) });
        Assert.Equal(127, Ask(longest, 1, []).Options[67].Length);
    }

    [Fact]
    public void DHCP_refuses_an_address_that_is_not_the_clients()
    {
        var answer = Ask(_lab, 3, [50, 4, 10, 0, 2, 99]);

        Assert.Equal([6], answer.Options[53]);
        Assert.Equal([0, 0, 0, 0], answer.Yours);
    }

    [Fact]
    public void DHCP_gives_every_client_its_own_address_until_there_are_none()
    {
        var given = Enumerable.Range(0, 40).Select(i => TryAsk(_lab, 1, [], UserLab.GuestMac + (ulong)i)).ToList();

        Assert.Equal(32, given.Count(answer => answer is not null));
        Assert.Equal(32, given.OfType<DhcpAnswer>().Select(answer => new IPAddress(answer.Yours)).Distinct().Count());
        Assert.Equal(given[3]!.Yours, Ask(_lab, 1, [], UserLab.GuestMac + 3).Yours);
    }

    [Fact]
    public void DHCP_in_a_small_network_gives_none_of_its_own_addresses_and_none_twice()
    {
        using var lab = new UserLab(new UserNetOptions { Network4 = new IPNetwork(IPAddress.Parse("10.0.2.32"), 27) });

        var given = Enumerable.Range(0, 40).Select(i => TryAsk(lab, 1, [], UserLab.GuestMac + (ulong)i)).OfType<DhcpAnswer>().Select(answer => answer.Yours[3]);

        Assert.Equal(Enumerable.Range(47, 16), given.Select(last => (int)last));
    }

    [Fact]
    public void DHCP_leaves_out_a_name_server_that_is_not_there()
    {
        using var lab = new UserLab(new UserNetOptions { Allowed = [] });

        Assert.False(Ask(lab, 1, []).Options.ContainsKey(6));
    }

    [Fact]
    public void The_router_is_advertised_when_a_guest_asks_and_now_and_then()
    {
        SendIcmp6(UserLab.Guest6, UserLab.Ip("ff02::2"), [133, 0, 0, 0, 0, 0, 0, 0]);

        var advertisement = _lab.Take(frame => frame.Type == Ethernet.Ip6);
        UserLab.AssertSums(advertisement);
        var message = advertisement.Payload;
        Assert.Equal((134, 255, UserLab.Ip("ff02::1")), (message[0], advertisement.Packet[7], advertisement.Destination));
        Assert.True(advertisement.Source.IsLinkLocal);
        Assert.Equal(1800, BinaryPrimitives.ReadUInt16BigEndian(message.AsSpan(6)));
        var options = Options6(message.AsSpan(16));
        Assert.Equal(Addresses.GatewayMac, UserStack.ReadMac(options[1].AsSpan(2)));
        Assert.Equal(1500u, BinaryPrimitives.ReadUInt32BigEndian(options[5].AsSpan(4)));
        Assert.Equal((64, 0xc0, UserLab.Ip("fd6c:616d:696e:6100::")), (options[3][2], options[3][3], IpAddr.Read(options[3].AsSpan(16, 16))));
        Assert.Equal(UserLab.Ip("fd6c:616d:696e:6100::3"), IpAddr.Read(options[25].AsSpan(8, 16)));

        _lab.Pass(700_000);
        Assert.Equal(134, _lab.Take(frame => frame.Type == Ethernet.Ip6).Payload[0]);
    }

    [Fact]
    public void Neighbour_solicitations_are_answered_also_those_that_test_an_address()
    {
        SendSolicitation(UserLab.Guest6, UserLab.Gateway6);
        var answer = _lab.Take(frame => frame.Type == Ethernet.Ip6);
        UserLab.AssertSums(answer);
        Assert.Equal((136, 0xe0, UserLab.Guest6), (answer.Payload[0], answer.Payload[4], answer.Destination));
        Assert.Equal(UserLab.GuestMac, _lab.Stack.Link.Find(UserLab.Guest6));

        SendSolicitation(IpAddr.Any6, UserLab.Gateway6);
        Assert.Equal((0xa0, UserLab.Ip("ff02::1")), (_lab.Card.Frames[^1].Payload[4], _lab.Card.Frames[^1].Destination));

        _lab.Card.Frames.Clear();
        SendSolicitation(UserLab.Guest6, UserLab.Guest6);
        Assert.Empty(_lab.Card.Frames);
    }

    [Fact]
    public void Neighbour_discovery_from_behind_a_router_is_not_believed()
    {
        byte[] message = [135, 0, 0, 0, 0, 0, 0, 0, .. UserLab.Gateway6.ToIPAddress().GetAddressBytes()];

        _lab.SendIp(UserLab.Guest6, UserLab.Gateway6, IpProtocol.Icmp6, message, 2, hopLimit: 64);

        Assert.Empty(_lab.Card.Frames);
    }

    [Fact]
    public void Without_IPv6_nothing_of_it_is_answered()
    {
        using var lab = new UserLab(new UserNetOptions { Network6 = null });
        byte[] message = [135, 0, 0, 0, 0, 0, 0, 0, .. UserLab.Gateway6.ToIPAddress().GetAddressBytes()];

        lab.SendIp(UserLab.Guest6, UserLab.Gateway6, IpProtocol.Icmp6, message, 2, hopLimit: 255);
        lab.Pass(700_000);

        Assert.Empty(lab.Card.Frames);
    }

    [Theory]
    [InlineData("10.0.2.2")]
    [InlineData("10.0.2.3")]
    public void The_gateway_answers_echo_requests(string target)
    {
        byte[] request = [8, 0, 0, 0, 0x12, 0x34, 0, 1, .. "ping"u8];

        _lab.SendIp(UserLab.Guest, UserLab.Ip(target), IpProtocol.Icmp4, request, 2);

        var answer = Assert.Single(_lab.Card.Frames);
        UserLab.AssertSums(answer);
        Assert.Equal(UserLab.Ip(target), answer.Source);
        Assert.Equal([0, 0], answer.Payload[..2]);
        Assert.Equal(request[4..], answer.Payload[4..]);
    }

    [Fact]
    public void Echo_exchanges_are_so_many_and_the_one_idle_for_longest_is_forgotten()
    {
        const int most = 256;
        // The host answers itself.
        var own = NetworkInterface.GetAllNetworkInterfaces().SelectMany(card => card.GetIPProperties().UnicastAddresses).Select(address => address.Address)
            .FirstOrDefault(address => address.AddressFamily == AddressFamily.InterNetwork && !IPAddress.IsLoopback(address));
        Assert.SkipWhen(own is null, "this host has no address besides its loopback's");
        using var lab = new UserLab(new UserNetOptions { Allowed = [new AllowedDestination(new IPNetwork(own!, 32))] });
        void Ask(int identifier) => lab.SendIp(UserLab.Guest, IpAddr.Of(own!), IpProtocol.Icmp4, [8, 0, 0, 0, (byte)(identifier >> 8), (byte)identifier, 0, 1, .. "ping"u8], 2);
        Ask(0);
        Assert.SkipWhen(lab.Stack.Echo.Count == 0, "this process may not send echo requests");

        for (var identifier = 1; identifier < 2 * most; identifier++)
        {
            lab.Now++;
            Ask(identifier);
            Assert.InRange(lab.Stack.Echo.Count, 1, most);
        }

        Assert.Equal(most, lab.Stack.Echo.Count);
        // The latest is answered.
        lab.Take(frame => frame.Protocol == IpProtocol.Icmp4 && frame.Payload[0] == 0 && (frame.Payload[4] << 8 | frame.Payload[5]) == 2 * most - 1);
    }

    [Fact]
    public void The_gateway_answers_echo_requests_over_IPv6()
    {
        SendIcmp6(UserLab.Guest6, UserLab.Gateway6, [128, 0, 0, 0, 0, 7, 0, 1, 9, 9]);

        var answer = Assert.Single(_lab.Card.Frames);
        UserLab.AssertSums(answer);
        Assert.Equal((129, UserLab.Guest6), (answer.Payload[0], answer.Destination));
    }

    [Fact]
    public void A_packet_that_went_too_far_is_told_of()
    {
        _lab.SendIp(UserLab.Guest, UserLab.Ip("192.0.2.1"), IpProtocol.Udp, UserLab.Datagram(1, 2, [3]), Udp.ChecksumAt, hopLimit: 1);

        var error = Assert.Single(_lab.Card.Frames);
        UserLab.AssertSums(error);
        Assert.Equal((11, 0, UserLab.Gateway), (error.Payload[0], error.Payload[1], error.Source));
        Assert.Equal(0x45, error.Payload[8]);
    }

    [Fact]
    public void A_protocol_that_nobody_speaks_is_told_of()
    {
        _lab.SendIp(UserLab.Guest, UserLab.Gateway, 132, [1, 2, 3, 4]);

        Assert.Equal((3, 2), (_lab.Card.Frames[0].Payload[0], _lab.Card.Frames[0].Payload[1]));
    }

    [Fact]
    public void Errors_are_limited()
    {
        for (var i = 0; i < 1000; i++) _lab.SendIp(UserLab.Guest, UserLab.Gateway, 132, [1, 2, 3, 4]);

        Assert.InRange(_lab.Card.Frames.Count, 1, 200);
    }

    [Fact]
    public void Neighbours_are_never_more_than_are_remembered()
    {
        for (var i = 0ul; i < 1000; i++) _lab.Stack.Link.Learn(UserLab.Ip($"10.0.{i >> 8}.{i & 255}"), UserLab.GuestMac + i);

        Assert.InRange(_lab.Stack.Link.Neighbours.Count, 1, 256);
    }

    [Fact]
    public void Of_frames_that_a_guest_without_room_causes_a_few_wait()
    {
        SendArp(_lab, 1, UserLab.Guest, UserLab.Gateway);
        _lab.Card.Frames.Clear();
        _lab.Card.Room = 0;
        for (var i = 0; i < 1000; i++) SendArp(_lab, 1, UserLab.Guest, UserLab.Gateway);

        _lab.Card.Room = int.MaxValue;
        _lab.Stack.Resume();

        Assert.InRange(_lab.Card.Frames.Count, 0, 256);
        Assert.True(_lab.Stack.Link.Dropped + _lab.Card.Frames.Count >= 999);
    }

    [Fact]
    public void Frames_for_others_are_left_alone()
    {
        var packet = UserLab.Packet(UserLab.Guest, UserLab.Gateway, 132, [1]);

        _lab.Send(0x0200_0000_0099, Ethernet.Ip4, packet);

        Assert.Empty(_lab.Card.Frames);
    }

    private sealed record DhcpAnswer(byte[] Yours, byte[] File, Dictionary<byte, byte[]> Options);

    private static DhcpAnswer Ask(UserLab lab, byte type, byte[] options, ulong mac = UserLab.GuestMac) => TryAsk(lab, type, options, mac) ?? throw new InvalidOperationException("there was no answer");

    private static DhcpAnswer? TryAsk(UserLab lab, byte type, byte[] options, ulong mac = UserLab.GuestMac)
    {
        var message = new byte[240];
        (message[0], message[1], message[2]) = (1, 1, 6);
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(4), 0x1234_5678);
        GuestLink.WriteMac(message.AsSpan(28), mac);
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(236), 0x6382_5363);
        lab.Card.Frames.Clear();
        lab.SendUdp(IpAddr.Any4, 68, UserLab.Ip("255.255.255.255"), 67, [.. message, 53, 1, type, .. options, 255]);
        if (lab.Card.Frames.Count == 0) return null;
        var frame = Assert.Single(lab.Card.Frames);
        UserLab.AssertSums(frame);
        var answer = frame.Payload[8..];
        Assert.Equal(0x1234_5678u, BinaryPrimitives.ReadUInt32BigEndian(answer.AsSpan(4)));
        var found = new Dictionary<byte, byte[]>();
        for (var at = 240; answer[at] != 255; at += 2 + answer[at + 1]) found[answer[at]] = answer[(at + 2)..(at + 2 + answer[at + 1])];
        return new DhcpAnswer(answer[16..20], answer[108..236], found);
    }

    private void SendIcmp6(IpAddr from, IpAddr to, byte[] message) => _lab.SendIp(from, to, IpProtocol.Icmp6, message, 2, hopLimit: 255);

    private void SendSolicitation(IpAddr from, IpAddr target)
    {
        byte[] option = [1, 1, 0, 0, 0, 0, 0, 0];
        GuestLink.WriteMac(option.AsSpan(2), UserLab.GuestMac);
        SendIcmp6(from, target, [135, 0, 0, 0, 0, 0, 0, 0, .. target.ToIPAddress().GetAddressBytes(), .. from == IpAddr.Any6 ? [] : option]);
    }

    private static Dictionary<byte, byte[]> Options6(ReadOnlySpan<byte> options)
    {
        var found = new Dictionary<byte, byte[]>();
        for (; !options.IsEmpty; options = options[(options[1] * 8)..]) found[options[0]] = options[..(options[1] * 8)].ToArray();
        return found;
    }
}
