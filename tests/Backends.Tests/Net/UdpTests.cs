// UDP between a guest and the host's sockets: exchanges, names, published ports, fragments both ways, limits.
using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Lamina.Backends.Net.User;
using Lamina.Backends.Net.Wire;
using Lamina.Core.Net;
using Xunit;

namespace Lamina.Tests.Backends.Net;

public sealed class UdpTests : IDisposable
{
    private readonly UserLab _lab = new();
    private readonly Socket _host = Bound();

    public void Dispose()
    {
        _lab.Dispose();
        _host.Dispose();
    }

    private static Socket Bound()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = (int)Waiting.Limit.TotalMilliseconds };
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return socket;
    }

    private static ushort PortOf(Socket socket) => (ushort)((IPEndPoint)socket.LocalEndPoint!).Port;

    private static (byte[] Data, IPEndPoint From) Receive(Socket socket)
    {
        var buffer = new byte[65536];
        EndPoint from = new IPEndPoint(IPAddress.Any, 0);
        var count = socket.ReceiveFrom(buffer, ref from);
        return (buffer[..count], (IPEndPoint)from);
    }

    [Fact]
    public void A_datagram_goes_out_and_its_answer_comes_back()
    {
        _lab.SendUdp(UserLab.Guest, 5000, UserLab.Gateway, PortOf(_host), "question"u8);
        var (data, from) = Receive(_host);
        _host.SendTo("answer"u8, from);

        var frame = _lab.Take(frame => frame.IsUdp);
        UserLab.AssertSums(frame);
        Assert.Equal("question"u8, data);
        Assert.Equal((UserLab.Gateway, UserLab.Guest), (frame.Source, frame.Destination));
        Assert.Equal((PortOf(_host), (ushort)5000), (BinaryPrimitives.ReadUInt16BigEndian(frame.Payload), BinaryPrimitives.ReadUInt16BigEndian(frame.Payload.AsSpan(2))));
        Assert.Equal("answer"u8, frame.Payload[8..]);
    }

    [Fact]
    public void Only_who_was_asked_can_answer()
    {
        using var stranger = Bound();
        _lab.SendUdp(UserLab.Guest, 5000, UserLab.Gateway, PortOf(_host), "question"u8);
        var (_, from) = Receive(_host);

        stranger.SendTo("not asked"u8, from);
        _host.SendTo("asked"u8, from);

        Assert.Equal("asked"u8, _lab.Take(frame => frame.IsUdp).Payload[8..]);
        _lab.Settle();
        Assert.Empty(_lab.Card.Frames);
    }

    [Fact]
    public void A_port_where_nobody_listens_is_told_of()
    {
        var port = PortOf(_host);
        _host.Dispose();

        _lab.SendUdp(UserLab.Guest, 5000, UserLab.Gateway, port, "anybody?"u8);

        var error = _lab.Take(frame => frame.IsV4 && frame.Protocol == IpProtocol.Icmp4);
        UserLab.AssertSums(error);
        Assert.Equal((3, 3), (error.Payload[0], error.Payload[1]));
        // The guest finds its socket by the header that is sent back.
        Assert.Equal((ushort)5000, BinaryPrimitives.ReadUInt16BigEndian(error.Payload.AsSpan(28)));
        Assert.Equal(port, BinaryPrimitives.ReadUInt16BigEndian(error.Payload.AsSpan(30)));
    }

    [Fact]
    public void Names_are_asked_of_the_servers_given_and_of_the_next_where_one_is_silent()
    {
        using var silent = Bound();
        var dead = new IPEndPoint(IPAddress.Loopback, PortOf(silent));
        silent.Dispose();
        using var lab = new UserLab(new UserNetOptions { DnsServers = [dead, (IPEndPoint)_host.LocalEndPoint!] });

        lab.SendUdp(UserLab.Guest, 5001, UserLab.NameServer, 53, "name?"u8);
        lab.Take(frame => frame.IsV4 && frame.Protocol == IpProtocol.Icmp4);
        lab.SendUdp(UserLab.Guest, 5002, UserLab.NameServer, 53, "name?"u8);
        var (_, from) = Receive(_host);
        _host.SendTo("192.0.2.1"u8, from);

        var answer = lab.Take(frame => frame.IsUdp);
        Assert.Equal((UserLab.NameServer, "192.0.2.1"), (answer.Source, System.Text.Encoding.ASCII.GetString(answer.Payload[8..])));
    }

    [Fact]
    public void A_datagram_longer_than_the_link_takes_comes_in_fragments()
    {
        var data = HostPeers.Pattern(5000);
        _lab.SendUdp(UserLab.Guest, 5000, UserLab.Gateway, PortOf(_host), [1]);
        _host.SendTo(data, Receive(_host).From);
        _lab.Until(() => _lab.Card.Frames.Count == 4);

        var whole = new byte[5008];
        var last = -1;
        foreach (var frame in _lab.Card.Frames)
        {
            Assert.True(InternetChecksum.IsRight(0, frame.Packet.AsSpan(0, 20)));
            Assert.InRange(frame.Packet.Length, 21, 1500);
            var fragment = BinaryPrimitives.ReadUInt16BigEndian(frame.Packet.AsSpan(6));
            frame.Payload.CopyTo(whole, (fragment & 0x1fff) * 8);
            if ((fragment & 0x2000) == 0) last = (fragment & 0x1fff) * 8 + frame.Payload.Length;
        }
        Assert.Equal(5008, last);
        Assert.Equal(data, whole[8..]);
        Assert.True(InternetChecksum.IsRight(Checksum.Pseudo(UserLab.Gateway, UserLab.Guest, IpProtocol.Udp, whole.Length), whole));
        Assert.Single(_lab.Card.Frames.Select(frame => BinaryPrimitives.ReadUInt16BigEndian(frame.Packet.AsSpan(4))).Distinct());
    }

    [Theory]
    [InlineData(0, 1, 2)]
    [InlineData(2, 1, 0)]
    [InlineData(1, 2, 0)]
    public void Fragments_of_the_guests_are_put_together_in_any_order(int first, int second, int third)
    {
        var data = HostPeers.Pattern(4000);
        var datagram = UserLab.Datagram(5000, PortOf(_host), data);
        var sum = InternetChecksum.Finish(InternetChecksum.Add(Checksum.Pseudo(UserLab.Guest, UserLab.Gateway, IpProtocol.Udp, datagram.Length), datagram));
        BinaryPrimitives.WriteUInt16BigEndian(datagram.AsSpan(6), sum);
        (int Start, int End)[] pieces = [(0, 1480), (1480, 2960), (2960, datagram.Length)];

        foreach (var index in (int[])[first, second, third])
        {
            var (start, end) = pieces[index];
            _lab.SendIp(UserLab.Guest, UserLab.Gateway, IpProtocol.Udp, datagram.AsSpan(start, end - start), fragment: start / 8 | (index == 2 ? 0 : Ip.MoreFragments));
        }

        Assert.Equal(data, Receive(_host).Data);
    }

    [Fact]
    public void A_datagram_with_a_wrong_sum_goes_nowhere()
    {
        var datagram = UserLab.Datagram(5000, PortOf(_host), "broken"u8);
        datagram[6] = 0x5a;

        _lab.SendIp(UserLab.Guest, UserLab.Gateway, IpProtocol.Udp, datagram);
        _lab.SendUdp(UserLab.Guest, 5000, UserLab.Gateway, PortOf(_host), "whole"u8);

        Assert.Equal("whole"u8, Receive(_host).Data);
    }

    [Fact]
    public void A_published_port_serves_several_clients()
    {
        using var lab = new UserLab(new UserNetOptions { Published = [new PublishedPort(new IPEndPoint(IPAddress.Loopback, 0), 53, IsUdp: true)] });
        LinkTests.SendArp(lab, 2, UserLab.Guest, UserLab.Gateway);
        using var other = Bound();
        var port = lab.Stack.Published.Opened.Single().Host;

        _host.SendTo("one"u8, port);
        other.SendTo("two"u8, port);
        lab.Until(() => lab.Card.Frames.Count(frame => frame.IsUdp) == 2);
        foreach (var frame in lab.Card.Frames.Where(frame => frame.IsUdp).ToList())
            lab.SendUdp(UserLab.Guest, 53, frame.Source, BinaryPrimitives.ReadUInt16BigEndian(frame.Payload), [.. "to "u8, .. frame.Payload[8..]]);

        Assert.Equal("to one"u8, Receive(_host).Data);
        Assert.Equal("to two"u8, Receive(other).Data);
    }

    [Fact]
    public void Clients_of_a_published_port_are_so_many_and_the_one_idle_for_longest_is_forgotten()
    {
        const int most = 1024;
        Assert.SkipUnless(Lamina.Host.Io.HostLimits.RaiseDescriptors() >= most + 500, "this process may not open a socket for each client");
        using var lab = new UserLab(new UserNetOptions { Published = [new PublishedPort(new IPEndPoint(IPAddress.Loopback, 0), 53, IsUdp: true)] });
        LinkTests.SendArp(lab, 2, UserLab.Guest, UserLab.Gateway);
        var port = lab.Stack.Published.Opened.Single().Host;
        lab.Card.Frames.Clear();
        var clients = Enumerable.Range(0, most + 1).Select(_ => Bound()).ToList();
        // Each is known to the guest by a port of the gateway's.
        var ports = clients.Select(client =>
        {
            lab.Now++;
            client.SendTo([1], port);
            return BinaryPrimitives.ReadUInt16BigEndian(lab.Take(frame => frame.IsUdp).Payload);
        }).ToList();

        foreach (var known in ports) lab.SendUdp(UserLab.Guest, 53, UserLab.Gateway, known, "answer"u8);

        Assert.Equal(most + 1, ports.Distinct().Count());
        foreach (var client in clients.Skip(1)) Assert.Equal("answer"u8, Receive(client).Data);
        Assert.Equal(0, clients[0].Available);
        clients.ForEach(client => client.Dispose());
    }

    [Fact]
    public void Names_that_are_asked_for_are_exchanges_of_which_there_are_never_too_many()
    {
        using var lab = new UserLab(new UserNetOptions { DnsServers = [(IPEndPoint)_host.LocalEndPoint!], MostFlows = 10 });
        for (ushort i = 0; i < 50; i++)
        {
            lab.Now++;
            lab.SendUdp(UserLab.Guest, (ushort)(6000 + i), UserLab.NameServer, 53, [1]);
        }

        Assert.Equal(10, lab.Stack.Udp.Count);
    }

    [Fact]
    public void Idle_exchanges_are_forgotten_and_there_are_never_too_many()
    {
        using var lab = new UserLab(new UserNetOptions { HostPorts = [], MostFlows = 10 });
        for (ushort i = 0; i < 50; i++)
        {
            lab.Now++;
            lab.SendUdp(UserLab.Guest, (ushort)(6000 + i), UserLab.Gateway, PortOf(_host), [1]);
        }
        Assert.Equal(10, lab.Stack.Udp.Count);

        lab.Pass(130_000);
        lab.Pass(1000);

        Assert.Equal(0, lab.Stack.Udp.Count);
        Assert.Equal(long.MaxValue, lab.Stack.Udp.NextDeadline);
    }

    [Fact]
    public void The_hosts_servers_are_read_from_its_file()
    {
        using var folder = new TestFolder();
        File.WriteAllText(folder["resolv.conf"], "# nameserver 192.0.2.9\nsearch example.org\nnameserver 192.0.2.1\nnameserver\t2001:db8::1 \nnameserver nonsense\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n");

        Assert.Equal(["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.3:53"], NameServers.Read(folder["resolv.conf"]).Select(server => server.ToString()));
        Assert.Equal(["127.0.0.1:53"], NameServers.Read(folder["missing"]).Select(server => server.ToString()));
    }
}
