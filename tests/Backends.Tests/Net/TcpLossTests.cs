// TCP over a link that loses, repeats and swaps frames: everything arrives, once and in order; and a guest that has gone
// silent is given up at last.
using System.Net.Sockets;
using Lamina.Backends.Net.Wire;
using Xunit;

namespace Lamina.Tests.Backends.Net;

public sealed class TcpLossTests : IDisposable
{
    private readonly UserLab _lab = new();
    private readonly HostServer _server = new();
    private Socket? _host;

    public void Dispose()
    {
        _host?.Dispose();
        _lab.Dispose();
        _server.Dispose();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task What_the_host_sends_arrives_over_a_bad_link(int seed)
    {
        var random = new Random(seed);
        var (guest, host) = Connect();
        var data = HostPeers.Pattern(300_000, seed);
        var sending = Task.Run(
            () =>
            {
                host.Send(data);
                host.Shutdown(SocketShutdown.Send);
            }, TestContext.Current.CancellationToken);

        var received = new List<byte>();
        var early = new SortedDictionary<uint, byte[]>();
        var finished = false;
        var first = guest.Expected;
        for (var rounds = 0; !finished; rounds++)
        {
            Assert.True(rounds < 20000, $"only {received.Count} bytes came");
            _lab.Settle();
            var segments = guest.TakeAll();
            if (segments.Count == 0) _lab.Pass(500);
            foreach (var segment in segments.OrderBy(_ => random.Next(4)))
            {
                if (random.Next(10) == 0) continue;
                Assert.False(segment.Has(Tcp.Rst), "the connection was reset");
                if (segment.Data.Length != 0) early[segment.Sequence - first] = segment.Data;
                while (early.Where(piece => piece.Key <= received.Count && piece.Key + piece.Value.Length > received.Count).Select(piece => ((uint, byte[])?)(piece.Key, piece.Value)).FirstOrDefault() is var (at, bytes))
                    received.AddRange(bytes[(received.Count - (int)at)..]);
                guest.Expected = first + (uint)received.Count;
                if (segment.Has(Tcp.Fin) && segment.Sequence + (uint)segment.Data.Length == guest.Expected) (finished, guest.Expected) = (true, guest.Expected + 1);
                if (random.Next(10) != 0) guest.Send(Tcp.Ack);
            }
        }

        Assert.Equal(data, received);
        await sending;
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task What_the_guest_sends_arrives_over_a_bad_link(int seed)
    {
        var random = new Random(seed);
        var (guest, host) = Connect();
        var data = HostPeers.Pattern(100_000, seed);
        var receiving = Task.Run(() => host.ReceiveExactly(data.Length), TestContext.Current.CancellationToken);
        var first = guest.Next;
        uint acknowledged = 0;

        for (var rounds = 0; acknowledged < data.Length; rounds++)
        {
            Assert.True(rounds < 10000, $"only {acknowledged} bytes were acknowledged");
            // A window's worth from the first gap, in a wild order, some lost and some twice, cut at any place.
            var starts = Enumerable.Range(0, 12).Select(i => acknowledged + (uint)(i * 700) + (uint)random.Next(3)).Where(at => at < data.Length).OrderBy(_ => random.Next());
            foreach (var at in starts.Append(acknowledged))
            {
                if (random.Next(8) == 0) continue;
                var length = Math.Min(random.Next(1, 1460), data.Length - (int)at);
                guest.Send(Tcp.Ack, data.AsSpan((int)at, length), first + at);
            }
            _lab.Settle();
            foreach (var segment in guest.TakeAll()) acknowledged = Math.Max(acknowledged, segment.Acknowledgement - first);
        }

        Assert.Equal(data, await receiving);
    }

    [Fact]
    public void Three_duplicates_bring_the_missing_segment_without_waiting()
    {
        var (guest, host) = Connect();
        host.Send(HostPeers.Pattern(14600));
        _lab.Settle();
        Assert.True(guest.TakeAll().Count >= 10);

        for (var i = 0; i < 3; i++)
        {
            Assert.Empty(guest.TakeAll());
            guest.Send(Tcp.Ack);
        }

        var again = guest.TakeAll()[0];
        Assert.Equal((guest.Expected, 1460), (again.Sequence, again.Data.Length));
    }

    [Fact]
    public void What_is_sent_again_is_no_more_than_was_sent_before()
    {
        var (guest, host) = Connect();
        guest.Window = 100;
        guest.Send(Tcp.Ack);
        host.Send(HostPeers.Pattern(3000));
        _lab.Settle();
        Assert.Equal(100, Assert.Single(guest.TakeAll()).Data.Length);

        for (var i = 0; i < 3; i++) guest.Send(Tcp.Ack);

        var again = Assert.Single(guest.TakeAll());
        Assert.Equal((guest.Expected, 100), (again.Sequence, again.Data.Length));
    }

    [Fact]
    public void Sending_again_waits_longer_each_time_and_ends()
    {
        var (guest, host) = Connect();
        host.Send("lost"u8);
        _lab.Settle();
        guest.TakeAll();
        var waits = new List<long>();
        long waited = 0;

        while (_lab.Stack.Tcp.Count != 0)
        {
            _lab.Pass(100);
            waited += 100;
            Assert.True(waited < 3_600_000, "a silent guest was never given up");
            if (!guest.TakeAll().Any(segment => segment.Data.Length != 0)) continue;
            waits.Add(waited);
            waited = 0;
        }

        Assert.InRange(waits.Count, 6, 15);
        Assert.All(waits.Zip(waits.Skip(1)), pair => Assert.True(pair.Second >= pair.First, $"{pair.Second} ms after {pair.First} ms"));
        Assert.True(waits[^1] > 10_000);
        Assert.Throws<SocketException>(() => host.Receive(new byte[1]));
    }

    [Fact]
    public void An_answer_to_a_SYN_that_was_lost_is_sent_again()
    {
        var guest = new TcpGuest(_lab, UserLab.Gateway, (ushort)_server.Port);
        guest.SendSyn();
        var first = guest.Take();

        guest.SendSyn();
        var second = guest.Take();
        _lab.Pass(1500);
        var third = guest.Take();

        Assert.Equal(first.Sequence, second.Sequence);
        Assert.Equal(first.Sequence, third.Sequence);
    }

    private (TcpGuest Guest, Socket Host) Connect()
    {
        var guest = TcpGuest.Connect(_lab, UserLab.Gateway, _server.Port);
        return (guest, _host = _server.Accept());
    }
}
