// The user-mode network with its own thread, as a machine uses it.
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Lamina.Backends.Net.User;
using Lamina.Backends.Net.Wire;
using Lamina.Core.Net;
using Xunit;

namespace Lamina.Tests.Backends.Net;

public sealed class UserNetBackendTests
{
    private sealed class Card : INetReceiver
    {
        private int _room = int.MaxValue;

        public BlockingCollection<Frame> Frames { get; } = [];

        public NetOffloads Offloads => NetOffloads.Checksum;

        public void SetRoom(int frames) => Interlocked.Exchange(ref _room, frames);

        public bool Receive(ReadOnlySpan<byte> frame, in FrameOffload offload)
        {
            if (Interlocked.Decrement(ref _room) < 0)
            {
                Interlocked.Increment(ref _room);
                return false;
            }
            Frames.Add(new Frame(frame.ToArray(), offload));
            return true;
        }

        public Frame Take() => Frames.TryTake(out var frame, Waiting.Limit) ? frame : throw new TimeoutException("no frame came");
    }

    private static byte[] Datagram(ushort from, int to, string text)
    {
        var datagram = UserLab.Datagram(from, (ushort)to, System.Text.Encoding.ASCII.GetBytes(text));
        byte[] packet = UserLab.Packet(UserLab.Guest, UserLab.Gateway, IpProtocol.Udp, datagram);
        var frame = new byte[14 + packet.Length];
        GuestLink.WriteMac(frame, Addresses.GatewayMac);
        GuestLink.WriteMac(frame.AsSpan(6), UserLab.GuestMac);
        (frame[12], frame[13]) = (8, 0);
        packet.CopyTo(frame, 14);
        return frame;
    }

    private static Socket Bound()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = (int)Waiting.Limit.TotalMilliseconds };
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return socket;
    }

    private static int PortOf(Socket socket) => ((IPEndPoint)socket.LocalEndPoint!).Port;

    [Fact]
    public void Ports_come_and_go_while_the_network_works_and_connections_go_on()
    {
        using var taken = Bound();
        var (first, second) = (new PublishedPort(new IPEndPoint(IPAddress.Loopback, 0), 80), new PublishedPort(new IPEndPoint(IPAddress.Loopback, 0), 81));
        var impossible = new PublishedPort((IPEndPoint)taken.LocalEndPoint!, 53, IsUdp: true);
        var card = new Card();
        using var network = new UserNetBackend(new UserNetOptions { HostPorts = [], Published = [first] });
        network.Attach(card);
        network.OffloadsChanged();
        network.Start();
        var before = Assert.Single(network.Published);
        using var client = new TcpClient();
        client.Connect(before.Host);

        network.Publish([first, second, second]);

        Assert.Equal([before, .. network.Published.Skip(1)], network.Published);
        Assert.Equal([80, 81, 81], network.Published.Select(port => port.GuestPort));
        foreach (var port in network.Published)
        {
            using var another = new TcpClient();
            another.Connect(port.Host);
        }
        var all = network.Published;
        Assert.Throws<Lamina.Host.HostException>(() => network.Publish([second, impossible]));
        Assert.Equal(all.Order(Comparer<PublishedPort>.Create((a, b) => a.Host.Port - b.Host.Port)), network.Published.Order(Comparer<PublishedPort>.Create((a, b) => a.Host.Port - b.Host.Port)));

        // Nobody answers for the guest, and a connection that nobody answers is given up after some seconds.
        Assert.SkipWhen(ErrorOf(client.Client) == SocketError.ConnectionReset, "this host is so busy that the network gave the connection up before its port went");
        network.Publish([]);

        Assert.Empty(network.Published);
        using var late = new TcpClient();
        Assert.Throws<SocketException>(() => late.Connect(before.Host));
        Assert.True(client.Connected);
        Assert.Equal(SocketError.WouldBlock, ErrorOf(client.Client));

        // Nothing was said to it, neither data nor an end.
        static SocketError ErrorOf(Socket socket)
        {
            socket.Blocking = false;
            _ = socket.Receive(new byte[1], 0, 1, SocketFlags.None, out var error);
            return error;
        }
    }

    [Fact]
    public void Several_threads_may_send_while_answers_come()
    {
        using var host = Bound();
        var card = new Card();
        using var network = new UserNetBackend(new UserNetOptions { HostPorts = [] });
        network.Attach(card);
        network.OffloadsChanged();
        network.Start();
        var echo = Waiting.Run(() =>
        {
            var buffer = new byte[100];
            for (var i = 0; i < 200; i++)
            {
                EndPoint from = new IPEndPoint(IPAddress.Any, 0);
                var count = host.ReceiveFrom(buffer, ref from);
                host.SendTo(buffer.AsSpan(0, count), from);
            }
        });

        Parallel.For(0, 4, thread =>
        {
            for (var i = 0; i < 50; i++)
            {
                network.Send(Datagram((ushort)(5000 + thread), PortOf(host), $"{thread} {i}"), default);
                network.Flush();
                Thread.Yield();
            }
        });

        Assert.True(echo.Join(Waiting.Limit));
        var answers = Enumerable.Range(0, 200).Select(_ => System.Text.Encoding.ASCII.GetString(card.Take().Payload[8..])).ToHashSet();
        Assert.Equal(200, answers.Count);
    }

    [Fact]
    public void A_card_that_has_room_again_gets_what_waited()
    {
        using var host = Bound();
        var card = new Card();
        using var network = new UserNetBackend(new UserNetOptions { HostPorts = [] });
        network.Attach(card);
        network.Start();
        card.SetRoom(0);
        network.Send(Datagram(5000, PortOf(host), "question"), default);
        EndPoint from = new IPEndPoint(IPAddress.Any, 0);
        host.ReceiveFrom(new byte[100], ref from);
        host.SendTo("answer"u8, from);
        host.SendTo("another"u8, from);

        card.SetRoom(int.MaxValue);
        Waiting.Until(() =>
        {
            network.ReadyToReceive();
            return card.Frames.Count == 2;
        });

        Assert.Equal("answer"u8, card.Take().Payload[8..]);
        Assert.Equal("another"u8, card.Take().Payload[8..]);
    }

    [Fact]
    public void A_network_that_never_started_or_was_given_back_twice_is_no_trouble()
    {
        var network = new UserNetBackend(new UserNetOptions { Published = [new PublishedPort(new IPEndPoint(IPAddress.Loopback, 0), 80)] });
        var address = Assert.Single(network.Published).Host;

        network.Dispose();
        network.Dispose();
        network.Send(new byte[60], default);
        network.Flush();

        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        Assert.Equal(SocketError.ConnectionRefused, Assert.Throws<SocketException>(() => client.Connect(address)).SocketErrorCode);
    }

    [Fact]
    public void When_it_ends_clients_of_published_ports_are_let_go()
    {
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = (int)Waiting.Limit.TotalMilliseconds };
        using (var network = new UserNetBackend(new UserNetOptions { Published = [new PublishedPort(new IPEndPoint(IPAddress.Loopback, 0), 80)] }))
        {
            network.Attach(new Card());
            network.Start();
            client.Connect(network.Published[0].Host);
            Waiting.Until(() => network.Connections == 1);
        }

        Assert.Throws<SocketException>(() => client.Receive(new byte[1]));
    }

    [Fact]
    public void While_the_machine_is_paused_nothing_reaches_the_card_and_afterwards_everything_does()
    {
        using var host = Bound();
        var card = new Card();
        using var network = new UserNetBackend(new UserNetOptions { HostPorts = [], Published = [new PublishedPort(new IPEndPoint(IPAddress.Loopback, 0), 80)] });
        network.Attach(card);
        network.Start();
        network.Send(Datagram(5000, PortOf(host), "question"), default);
        EndPoint from = new IPEndPoint(IPAddress.Any, 0);
        host.ReceiveFrom(new byte[100], ref from);

        // The network's thread may see what arrives before it finds that the machine is paused, or after that; or be paused twice.
        var clients = new List<Socket>();
        for (var round = 0; round < 30; round++)
        {
            network.Pause();
            network.Pause();
            clients.Add(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
            clients[^1].Connect(network.Published[0].Host);
            host.SendTo("answer"u8, from);
            for (var i = 0; i < 20; i++) Thread.Yield();
            Assert.Equal((0, round), (card.Frames.Count(frame => frame.IsUdp), network.Connections));
            network.Resume();
            network.Resume();

            Waiting.Until(() => network.Connections == round + 1);
            while (!card.Take().IsUdp)
            {
            }
        }
        clients.ForEach(client => client.Dispose());
    }

    [Fact]
    public void A_network_ends_while_its_machine_is_paused()
    {
        using var network = new UserNetBackend(new UserNetOptions { HostPorts = [], Published = [new PublishedPort(new IPEndPoint(IPAddress.Loopback, 0), 80)] });
        network.Attach(new Card());
        network.Start();
        network.Pause();
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        client.Connect(network.Published[0].Host);

        network.Dispose();

        Assert.Throws<SocketException>(() => client.Receive(new byte[1]));
    }
}
