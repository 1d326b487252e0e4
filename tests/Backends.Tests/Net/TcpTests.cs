// TCP between a guest and the host's sockets, one rule at a time.
using System.Net;
using System.Net.Sockets;
using Lamina.Backends.Net.User;
using Lamina.Backends.Net.User.Transport;
using Lamina.Backends.Net.Wire;
using Lamina.Core.Net;
using Xunit;

namespace Lamina.Tests.Backends.Net;

public sealed class TcpTests : IDisposable
{
    private readonly UserLab _lab = new();
    private readonly HostServer _server = new();

    public void Dispose()
    {
        _lab.Dispose();
        _server.Dispose();
    }

    [Fact]
    public void A_guest_connects_and_bytes_go_both_ways()
    {
        var guest = TcpGuest.Connect(_lab, UserLab.Gateway, _server.Port);
        using var host = _server.Accept();

        guest.SendData("hello"u8);
        Assert.Equal("hello"u8, host.ReceiveExactly(5));
        Assert.Equal(guest.Next, guest.Take().Acknowledgement);
        host.Send("good day"u8);

        Assert.Equal("good day"u8, guest.ReceiveAll(8));
    }

    [Fact]
    public void Over_IPv6_too()
    {
        Assert.SkipUnless(Socket.OSSupportsIPv6, "this host has no IPv6");
        using var server = new HostServer(IPAddress.IPv6Loopback);
        var guest = TcpGuest.Connect(_lab, UserLab.Gateway6, server.Port);
        using var host = server.Accept();

        guest.SendData("six"u8);
        Assert.Equal("six"u8, host.ReceiveExactly(3));
        host.Send("sixty"u8);

        Assert.Equal("sixty"u8, guest.ReceiveAll(5));
    }

    [Fact]
    public void A_port_where_nobody_listens_refuses()
    {
        var guest = new TcpGuest(_lab, UserLab.Gateway, (ushort)HostServer.FreePort());

        guest.SendSyn();

        var answer = guest.Take();
        Assert.Equal((Tcp.Rst | Tcp.Ack, TcpGuest.FirstSequence + 1), (answer.Flags, answer.Acknowledgement));
        Assert.Equal(0, _lab.Stack.Tcp.Count);
    }

    [Fact]
    public void A_segment_of_no_connection_is_reset()
    {
        var guest = new TcpGuest(_lab, UserLab.Gateway, 9) { Expected = 77 };

        guest.Send(Tcp.Ack, "x"u8);

        var answer = guest.Take();
        Assert.Equal((Tcp.Rst, 77u), (answer.Flags, answer.Sequence));
        guest.Send(Tcp.Rst);
        Assert.Empty(guest.TakeAll());
    }

    [Fact]
    public void The_guest_ends_first()
    {
        var guest = TcpGuest.Connect(_lab, UserLab.Gateway, _server.Port);
        using var host = _server.Accept();

        guest.SendData("bye"u8);
        guest.Send(Tcp.Fin | Tcp.Ack);
        guest.Next++;

        Assert.Equal("bye"u8, host.ReceiveExactly(3));
        Assert.Equal(0, host.Receive(new byte[1]));
        // The other direction is still open.
        host.Send("not yet"u8);
        Assert.Equal("not yet"u8, guest.ReceiveAll(7));
        host.Shutdown(SocketShutdown.Send);
        Assert.Empty(guest.ReceiveAll());
        Assert.Equal(0, _lab.Stack.Tcp.Count);
    }

    [Fact]
    public void The_host_ends_first()
    {
        var guest = TcpGuest.Connect(_lab, UserLab.Gateway, _server.Port);
        using var host = _server.Accept();

        host.Send("all"u8);
        host.Shutdown(SocketShutdown.Send);
        Assert.Equal("all"u8, guest.ReceiveAll());
        guest.SendData("still here"u8);
        Assert.Equal("still here"u8, host.ReceiveExactly(10));
        guest.Send(Tcp.Fin | Tcp.Ack);
        guest.Next++;

        Assert.Equal(0, host.Receive(new byte[1]));
        Assert.Contains(guest.TakeAll(), segment => segment.Acknowledgement == guest.Next);
        // A FIN that comes again is acknowledged again for a while, then there is nothing left.
        guest.Send(Tcp.Fin | Tcp.Ack, sequence: guest.Next - 1);
        Assert.Equal(guest.Next, guest.Take().Acknowledgement);
        _lab.Pass(5000);
        Assert.Equal(0, _lab.Stack.Tcp.Count);
    }

    [Fact]
    public void A_new_connection_may_follow_one_that_is_over_at_once()
    {
        The_host_ends_first_and_is_over(out var guest);
        var next = new TcpGuest(_lab, UserLab.Gateway, (ushort)_server.Port);

        next.SendRaw(Tcp.Syn, guest.Next + 1000, 0, [], []);

        Assert.Equal(guest.Next + 1001, next.Take(segment => segment.Has(Tcp.Syn)).Acknowledgement);
    }

    private void The_host_ends_first_and_is_over(out TcpGuest guest)
    {
        guest = TcpGuest.Connect(_lab, UserLab.Gateway, _server.Port);
        using var host = _server.Accept();
        host.Shutdown(SocketShutdown.Send);
        guest.ReceiveAll();
        guest.Send(Tcp.Fin | Tcp.Ack);
        guest.Next++;
        _lab.Settle();
        Assert.Equal(TcpState.TimeWait, Assert.Single(_lab.Stack.Tcp.Connections).State);
    }

    [Fact]
    public void A_reset_of_the_guests_reaches_the_host()
    {
        var guest = TcpGuest.Connect(_lab, UserLab.Gateway, _server.Port);
        using var host = _server.Accept();

        guest.Send(Tcp.Rst);

        Assert.Equal(SocketError.ConnectionReset, Assert.Throws<SocketException>(() => host.Receive(new byte[1])).SocketErrorCode);
        Assert.Equal(0, _lab.Stack.Tcp.Count);
    }

    [Fact]
    public void A_reset_that_only_falls_into_the_window_is_questioned()
    {
        var guest = TcpGuest.Connect(_lab, UserLab.Gateway, _server.Port);
        using var host = _server.Accept();

        guest.Send(Tcp.Rst, sequence: guest.Next + 100);

        Assert.Equal(guest.Next, guest.Take().Acknowledgement);
        Assert.Equal(1, _lab.Stack.Tcp.Count);
        guest.Send(Tcp.Rst, sequence: guest.Next - 1);
        guest.Send(Tcp.Syn, sequence: guest.Next + 5);
        Assert.Equal(1, _lab.Stack.Tcp.Count);
    }

    [Fact]
    public void A_reset_of_the_hosts_reaches_the_guest()
    {
        var guest = TcpGuest.Connect(_lab, UserLab.Gateway, _server.Port);
        using (var host = _server.Accept()) host.LingerState = new LingerOption(true, 0);

        Assert.True(guest.Take(segment => segment.Has(Tcp.Rst)).Sequence == guest.Expected);
        Assert.Equal(0, _lab.Stack.Tcp.Count);
    }

    [Fact]
    public void Data_that_comes_early_waits_for_the_rest()
    {
        var guest = TcpGuest.Connect(_lab, UserLab.Gateway, _server.Port);
        using var host = _server.Accept();
        guest.TakeAll();

        guest.Send(Tcp.Ack, "ghi"u8, guest.Next + 6);
        guest.Send(Tcp.Ack, "def"u8, guest.Next + 3);
        // Each is answered at once with what is still missing.
        Assert.All(guest.TakeAll(), segment => Assert.Equal(guest.Next, segment.Acknowledgement));
        guest.Send(Tcp.Fin | Tcp.Ack, sequence: guest.Next + 9);
        guest.Send(Tcp.Ack, "abcd"u8);

        Assert.Equal("abcdefghi"u8, host.ReceiveExactly(9));
        Assert.Equal(0, host.Receive(new byte[1]));
        Assert.Equal(guest.Next + 10, guest.TakeAll()[^1].Acknowledgement);
    }

    [Fact]
    public void What_was_received_before_is_acknowledged_and_not_given_twice()
    {
        var guest = TcpGuest.Connect(_lab, UserLab.Gateway, _server.Port);
        using var host = _server.Accept();
        guest.SendData("abc"u8);
        guest.TakeAll();

        guest.Send(Tcp.Ack, "abc"u8, guest.Next - 3);
        Assert.Equal(guest.Next, guest.Take().Acknowledgement);
        guest.Send(Tcp.Ack, "bcde"u8, guest.Next - 2);

        Assert.Equal("abcde"u8, host.ReceiveExactly(5));
    }

    [Fact]
    public void A_host_that_does_not_read_shuts_the_window_and_loses_nothing()
    {
        var guest = TcpGuest.Connect(_lab, UserLab.Gateway, _server.Port);
        using var host = _server.Accept();
        var sent = new List<byte>();
        uint window = 60000;
        var seed = 0;
        while (window >= 1460)
        {
            var data = HostPeers.Pattern(1460, seed++);
            guest.SendData(data);
            sent.AddRange(data);
            if (guest.TakeAll() is [.., var answer]) window = answer.Acknowledgement + answer.Window - guest.Next;
            Assert.True(sent.Count < 64 << 20, "the window never shut");
        }

        // Beyond the window nothing is taken.
        guest.Send(Tcp.Ack, new byte[1460], guest.Next + window);
        Assert.Equal(sent, _lab.ReceiveAt(host, sent.Count));
        // When the host has read, the guest is told without asking.
        Assert.True(guest.Take(segment => segment.Window > 1460 * 2).Window > 0);
        guest.SendData("end"u8);
        Assert.Equal("end"u8, host.ReceiveExactly(3));
    }

    [Fact]
    public void A_guest_with_a_window_of_zero_gets_nothing_and_is_asked()
    {
        var guest = new TcpGuest(_lab, UserLab.Gateway, (ushort)_server.Port) { Window = 0 };
        guest.Connect();
        using var host = _server.Accept();
        guest.TakeAll();

        host.Send("waiting"u8);
        _lab.Settle();
        Assert.Empty(guest.TakeAll());
        for (var i = 0; i < 30; i++)
        {
            // However long it takes, as long as it answers.
            _lab.Pass(61_000);
            var probe = Assert.Single(guest.TakeAll());
            Assert.Equal("w"u8, probe.Data);
            Assert.Equal(guest.Expected, probe.Sequence);
            guest.Send(Tcp.Ack);
        }

        guest.Window = 60000;
        guest.Send(Tcp.Ack);
        Assert.Equal("waiting"u8, guest.ReceiveAll(7));
    }

    [Fact]
    public void A_small_window_is_kept_to()
    {
        var guest = new TcpGuest(_lab, UserLab.Gateway, (ushort)_server.Port) { Window = 100 };
        guest.Connect();
        using var host = _server.Accept();
        var data = HostPeers.Pattern(1000);

        host.Send(data);
        _lab.Settle();

        Assert.Equal(100, guest.TakeAll().Sum(segment => segment.Data.Length));
        guest.Expected += 100;
        guest.Window = 60000;
        guest.Send(Tcp.Ack);
        Assert.Equal(data[100..], guest.ReceiveAll(900));
    }

    [Fact]
    public void No_segment_is_longer_than_the_guest_said_or_the_link_takes()
    {
        foreach (var (mss, most) in ((int, int)[])[(500, 500), (9000, 1460), (1, 64)])
        {
            var guest = new TcpGuest(_lab, UserLab.Gateway, (ushort)_server.Port, (ushort)(41000 + mss)) { Mss = mss };
            guest.Connect();
            using var host = _server.Accept();

            host.Send(HostPeers.Pattern(5000));

            var segment = guest.Take(segment => segment.Data.Length != 0);
            Assert.Equal(most, segment.Data.Length);
        }
    }

    [Fact]
    public async Task A_guest_that_cuts_segments_itself_gets_large_ones()
    {
        using var lab = new UserLab(offloads: NetOffloads.Checksum | NetOffloads.Tcp4Segmentation);
        var guest = new TcpGuest(lab, UserLab.Gateway, (ushort)_server.Port) { Scale = 7 };
        guest.Connect();
        using var host = _server.Accept();
        var data = HostPeers.Pattern(1 << 20);
        var sending = Task.Run(() => host.Send(data), TestContext.Current.CancellationToken);
        var longest = 0;

        var received = new List<byte>();
        while (received.Count < data.Length)
        {
            var frame = lab.Take(frame => frame.IsTcp);
            var segment = TcpGuest.Read(frame);
            longest = Math.Max(longest, segment.Data.Length);
            if (segment.Data.Length > 1460) Assert.Equal((NetOffloads.Tcp4Segmentation, 1460, 54), (frame.Offload.Segmentation, frame.Offload.SegmentSize, frame.Offload.HeaderLength));
            if (segment.Sequence != guest.Expected) continue;
            received.AddRange(segment.Data);
            guest.Expected += (uint)segment.Data.Length;
            guest.Send(Tcp.Ack);
        }

        Assert.Equal(data, received);
        Assert.True(longest > 30000, $"the longest segment had {longest} bytes");
        Assert.Equal(data.Length, await sending);
    }

    [Fact]
    public void A_guest_without_room_gets_the_rest_when_it_has()
    {
        var guest = TcpGuest.Connect(_lab, UserLab.Gateway, _server.Port);
        using var host = _server.Accept();
        _lab.Settle();
        guest.TakeAll();
        _lab.Card.Room = 3;
        var data = HostPeers.Pattern(20000);

        host.Send(data);
        _lab.Settle();
        Assert.Equal(3, _lab.Card.Frames.Count);
        // Time passes, and nobody gives up.
        for (var i = 0; i < 50; i++) _lab.Pass(60_000);
        Assert.Equal(1, _lab.Stack.Tcp.Count);
        _lab.Card.Room = int.MaxValue;
        _lab.Stack.Resume();

        Assert.Equal(data, guest.ReceiveAll(data.Length));
    }

    [Fact]
    public void A_published_port_leads_to_the_guest()
    {
        using var lab = new UserLab(new UserNetOptions { Published = [new PublishedPort(new IPEndPoint(IPAddress.Loopback, 0), 80)] });
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 30000 };
        client.Connect(lab.Stack.Published.Opened.Single().Host);
        client.Send("GET"u8);

        // Nobody knows the guest yet: it is asked for.
        var question = lab.Take(frame => frame.Type == Ethernet.Arp);
        Assert.Equal(UserLab.Guest, IpAddr.Read(question.Packet.AsSpan(24, 4)));
        LinkTests.SendArp(lab, 2, UserLab.Guest, UserLab.Gateway);
        var guest = TcpGuest.Accept(lab, 80);

        Assert.Equal("GET"u8, guest.ReceiveAll(3));
        guest.SendData("200"u8);
        Assert.Equal("200"u8, client.ReceiveExactly(3));
    }

    [Fact]
    public void A_guest_that_refuses_a_published_port_ends_the_clients_connection()
    {
        using var lab = new UserLab(new UserNetOptions { Published = [new PublishedPort(new IPEndPoint(IPAddress.Loopback, 0), 80)] });
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 30000 };
        LinkTests.SendArp(lab, 2, UserLab.Guest, UserLab.Gateway);
        client.Connect(lab.Stack.Published.Opened.Single().Host);
        var syn = lab.Take(frame => frame.IsTcp);
        var segment = TcpGuest.Read(syn);

        new TcpGuest(lab, syn.Source, (ushort)(syn.Payload[0] << 8 | syn.Payload[1]), 80).SendRaw(Tcp.Rst | Tcp.Ack, 0, segment.Sequence + 1, [], []);

        Assert.Throws<SocketException>(() => client.Receive(new byte[1]));
        Assert.Equal(0, lab.Stack.Tcp.Count);
    }

    [Fact]
    public void A_port_that_is_in_use_is_told_in_a_sentence()
    {
        var taken = new PublishedPort(new IPEndPoint(IPAddress.Loopback, _server.Port), 80);

        var refused = Assert.Throws<Lamina.Host.HostException>(() => new UserLab(new UserNetOptions { Published = [taken] }));

        Assert.Equal($"TCP port {_server.Port} of 127.0.0.1 is in use by another program; choose another port", refused.Message);
    }

    [Fact]
    public void Five_hundred_connections_at_once_are_no_matter()
    {
        var pairs = Enumerable.Range(0, 500).Select(i =>
        {
            var guest = TcpGuest.Connect(_lab, UserLab.Gateway, _server.Port, (ushort)(20000 + i));
            return (Guest: guest, Host: _server.Accept(), Data: HostPeers.Pattern(200 + i, i));
        }).ToList();
        Assert.Equal(500, _lab.Stack.Tcp.Count);
        Assert.Equal(BufferBudget.Most, _lab.Stack.Tcp.Buffers.Limit);

        foreach (var (guest, host, data) in pairs)
        {
            host.Send(data);
            guest.SendData(data);
        }

        Assert.All(pairs, pair => Assert.Equal(pair.Data, pair.Guest.ReceiveAll(pair.Data.Length)));
        Assert.All(pairs, pair => Assert.Equal(pair.Data, _lab.ReceiveAt(pair.Host, pair.Data.Length)));
        pairs.ForEach(pair => pair.Host.Dispose());
    }

    [Fact]
    public void There_are_never_more_connections_than_allowed()
    {
        using var lab = new UserLab(new UserNetOptions { HostPorts = [], MostFlows = 8 });
        for (var i = 0; i < 20; i++) new TcpGuest(lab, UserLab.Gateway, (ushort)_server.Port, (ushort)(42000 + i)).SendSyn();

        Assert.Equal(8, lab.Stack.Tcp.Count);
        lab.Take(frame => frame.IsTcp && TcpGuest.Read(frame).Has(Tcp.Rst));
    }
}
