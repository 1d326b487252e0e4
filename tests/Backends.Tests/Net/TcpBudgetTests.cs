// What all TCP connections of a network keep together: a budget in bytes, however many there are and whatever guests and peers do.
// Where it is at its end nothing is lost, and nobody gives up.
using System.Buffers.Binary;
using System.Net.Sockets;
using Lamina.Backends.Net.User;
using Lamina.Backends.Net.User.Transport;
using Lamina.Backends.Net.Wire;
using Lamina.Host.Io;
using Xunit;

namespace Lamina.Tests.Backends.Net;

public sealed class TcpBudgetTests : IDisposable
{
    private const ushort FirstPort = 10000;

    private readonly HostServer _server = new();

    public void Dispose() => _server.Dispose();

    [Fact]
    public void As_many_connections_as_there_can_be_keep_no_more_than_the_budget_and_lose_nothing()
    {
        const int length = 32 << 10;
        using var lab = new UserLab();
        var connections = new UserNetOptions().MostFlows;
        Assert.SkipUnless(HostLimits.RaiseDescriptors() >= 2 * connections + 1000, "this process may not open two sockets for each connection");
        var guests = new TcpGuest[connections];
        var hosts = new Socket[connections];
        for (var i = 0; i < connections; i++) (guests[i], hosts[i]) = (Connect(lab, i), _server.Accept());
        var buffers = lab.Stack.Tcp.Buffers;
        Assert.Equal(0, buffers.Taken);

        // The guest takes nothing, and sends with gaps.
        lab.Card.Frames.Clear();
        lab.Card.Room = 0;
        var data = HostPeers.Pattern(length);
        foreach (var host in hosts) host.Send(data);
        lab.Settle();
        foreach (var guest in guests)
            for (uint early = 1; early < 8000; early += 1001) guest.Send(Tcp.Ack, data.AsSpan(0, 1000), guest.Next + early);

        // Less than the connections would like, and than the host has for them.
        var kept = lab.Stack.Tcp.Connections.Sum(connection => (long)connection.Buffered.ToGuest + connection.Buffered.ToHost);
        Assert.InRange(kept, BufferBudget.Shared / 4, BufferBudget.Shared + 2L * BufferBudget.Least * connections);
        Assert.InRange(buffers.Taken, BufferBudget.Shared / 2, BufferBudget.Shared);
        Assert.True((long)length * connections > BufferBudget.Shared + 2L * BufferBudget.Least * connections, "the host sends too little for the bound to matter");

        lab.Card.Room = int.MaxValue;
        lab.Stack.Resume();
        ReceiveEverywhere(lab, guests, data);
        foreach (var host in hosts) host.Dispose();
        lab.Stack.Tcp.Dispose();
        Assert.Equal(0, buffers.Taken);
    }

    [Fact]
    public void Where_all_is_taken_a_window_shuts_although_it_was_told_and_opens_again_and_nothing_is_lost()
    {
        using var lab = new UserLab(new UserNetOptions { HostPorts = [], SharedBuffers = 64 << 10 });
        var guest = Connect(lab, 0);
        using var host = _server.Accept();
        var connection = lab.Stack.Tcp.Connections.Single();
        var sent = new List<byte>();
        Segment answer;
        var seed = 0;
        // The host does not read, until some of it waits here and the guest may send more than the least.
        do
        {
            var data = HostPeers.Pattern(1000, seed++);
            guest.SendData(data);
            sent.AddRange(data);
            answer = guest.TakeAll()[^1];
            Assert.True(sent.Count < 64 << 20, "the host took everything");
            if (connection.Buffered.ToHost != 0) lab.Settle();
        }
        while (connection.Buffered.ToHost == 0);
        var told = (answer.Window << guest.PeerScale) + connection.Buffered.ToHost;
        Assert.InRange(told, BufferBudget.Least + 1000, 8 << 10);

        // Others take what there is, and the guest sends what it was told that it may.
        using var others = new Others(lab, _server, 24);
        var more = HostPeers.Pattern(answer.Window << guest.PeerScale, 99);
        foreach (var piece in more.Chunk(1000)) guest.SendData(piece);

        answer = guest.TakeAll()[^1];
        var missing = guest.Next - answer.Acknowledgement;
        Assert.Equal(0, answer.Window);
        Assert.InRange(missing, 1u, (uint)more.Length);
        sent.AddRange(more.AsSpan(0, more.Length - (int)missing));
        // However long it takes, and whatever it asks.
        guest.Next = answer.Acknowledgement;
        for (var i = 0; i < 20; i++)
        {
            guest.Send(Tcp.Ack, "x"u8);
            lab.Pass(60_000);
            Assert.Equal((guest.Next, (ushort)0), guest.TakeAll().Select(segment => (segment.Acknowledgement, segment.Window)).Last());
        }

        Assert.Equal(sent, lab.ReceiveAt(host, sent.Count));
        Assert.InRange(guest.Take(segment => segment.Window != 0).Window << guest.PeerScale, 1000, 8 << 10);
        guest.SendData("end"u8);
        Assert.Equal("end"u8, lab.ReceiveAt(host, 3));
    }

    [Fact]
    public void Connections_that_wait_for_nothing_take_nothing_from_others()
    {
        using var lab = new UserLab(new UserNetOptions { HostPorts = [], SharedBuffers = 256 << 10 });
        var guests = Enumerable.Range(0, 20).Select(i => (Guest: Connect(lab, i), Host: _server.Accept())).ToList();
        foreach (var (guest, host) in guests)
        {
            // 20 KiB came and went.
            host.Send(HostPeers.Pattern(20 << 10));
            guest.ReceiveAll(20 << 10);
        }

        Assert.InRange(lab.Stack.Tcp.Buffers.Taken, 0, (256 << 10) / 2);
        guests.ForEach(pair => pair.Host.Dispose());
    }

    private TcpGuest Connect(UserLab lab, int number)
    {
        var guest = new TcpGuest(lab, UserLab.Gateway, (ushort)_server.Port, (ushort)(FirstPort + number)) { Scale = 7 };
        guest.Connect();
        return guest;
    }

    // Takes what comes for every guest, in any order, and acknowledges it.
    private static void ReceiveEverywhere(UserLab lab, TcpGuest[] guests, byte[] data)
    {
        var received = new int[guests.Length];
        lab.Until(() =>
        {
            Frame[] frames = [.. lab.Card.Frames];
            lab.Card.Frames.Clear();
            foreach (var frame in frames.Where(frame => frame.IsTcp))
            {
                var i = BinaryPrimitives.ReadUInt16BigEndian(frame.Payload.AsSpan(2)) - FirstPort;
                var segment = TcpGuest.Read(frame);
                Assert.False(segment.Has(Tcp.Rst), "a connection was reset");
                if (segment.Data.Length == 0 || segment.Sequence != guests[i].Expected) continue;
                Assert.True(data.AsSpan(received[i], segment.Data.Length).SequenceEqual(segment.Data), "other data came than was sent");
                received[i] += segment.Data.Length;
                guests[i].Expected += (uint)segment.Data.Length;
                guests[i].Send(Tcp.Ack);
            }
            return received.All(count => count == data.Length);
        });
    }

    // Connections with data behind a gap, until there is no budget left.
    private sealed class Others : IDisposable
    {
        private readonly List<Socket> _hosts = [];

        internal Others(UserLab lab, HostServer server, int count)
        {
            for (var i = 0; i < count; i++)
            {
                var guest = TcpGuest.Connect(lab, UserLab.Gateway, server.Port, (ushort)(20000 + i));
                _hosts.Add(server.Accept());
                for (uint early = 1; early < 4000; early += 101) guest.Send(Tcp.Ack, new byte[100], guest.Next + early);
            }
            Assert.InRange(lab.Stack.Tcp.Buffers.Taken, (64 << 10) - 1024, 64 << 10);
        }

        public void Dispose() => _hosts.ForEach(host => host.Dispose());
    }
}
