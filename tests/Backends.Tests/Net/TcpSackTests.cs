// Selective acknowledgements (RFC 2018): told to the guest, understood from it, and what they are worth on a link that loses.
using System.Net.Sockets;
using Lamina.Backends.Net.Wire;
using Xunit;

namespace Lamina.Tests.Backends.Net;

public sealed class TcpSackTests : IDisposable
{
    private const int Mss = 1460, RoundTrip = 20;

    private readonly HostServer _server = new();
    private UserLab _lab = new();
    private Socket? _host;

    public void Dispose()
    {
        _host?.Dispose();
        _lab.Dispose();
        _server.Dispose();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void They_are_permitted_to_a_guest_that_permits_them(bool permits)
    {
        var guest = new TcpGuest(_lab, UserLab.Gateway, (ushort)_server.Port) { Sack = permits };

        guest.SendSyn();

        Assert.Equal(permits, guest.Take().SackPermitted);
    }

    [Fact]
    public void What_came_behind_a_gap_is_told_the_newest_first()
    {
        var (guest, _) = Connect();
        var at = guest.Next;

        guest.Send(Tcp.Ack, "bb"u8, at + 10);
        Assert.Equal([(at + 10, at + 12)], guest.Take().Ranges);
        guest.Send(Tcp.Ack, "dd"u8, at + 30);
        Assert.Equal([(at + 30, at + 32), (at + 10, at + 12)], guest.Take().Ranges);
        guest.Send(Tcp.Ack, "cc"u8, at + 12);
        Assert.Equal([(at + 10, at + 14), (at + 30, at + 32)], guest.Take().Ranges);
        for (var i = 0u; i < 5; i++) guest.Send(Tcp.Ack, "x"u8, at + 40 + 2 * i);
        Assert.Equal(4, guest.TakeAll()[^1].Ranges.Length);
        guest.Send(Tcp.Ack, "0123456789"u8, at);
        _lab.Settle();

        var last = guest.TakeAll()[^1];
        Assert.Equal(at + 14, last.Acknowledgement);
    }

    [Fact]
    public void Only_what_is_missing_is_sent_again_all_of_it_in_one_round_trip()
    {
        var (guest, host) = Connect();
        host.Send(HostPeers.Pattern(10 * Mss));
        _lab.Settle();
        Assert.Equal(10, guest.TakeAll().Count);
        var at = guest.Expected;

        // The first, the third and the sixth are lost.
        guest.Acknowledge((at + Mss, at + 2 * Mss));
        guest.Acknowledge((at + 3 * Mss, at + 5 * Mss), (at + Mss, at + 2 * Mss));
        guest.Acknowledge((at + 6 * Mss, at + 10 * Mss), (at + 3 * Mss, at + 5 * Mss), (at + Mss, at + 2 * Mss));

        Assert.Equal([at, at + 2 * Mss, at + 5 * Mss], guest.TakeAll().Where(segment => segment.Data.Length != 0).Select(segment => segment.Sequence).Order());
        guest.Expected = at + 10 * Mss;
        guest.Acknowledge();
        Assert.Equal((0, 0), Assert.Single(_lab.Stack.Tcp.Connections).Buffered);
    }

    [Fact]
    public void A_guest_that_tells_of_what_was_never_sent_gains_nothing()
    {
        var (guest, host) = Connect();
        var random = new Random(3);
        host.Send(HostPeers.Pattern(10 * Mss));
        _lab.Settle();
        var sent = guest.TakeAll().Sum(segment => segment.Data.Length);

        for (var i = 0; i < 2000; i++)
        {
            var start = random.Next(2) == 0 ? (uint)random.NextInt64(1L << 32) : guest.Expected + (uint)random.Next(-Mss, 12 * Mss);
            guest.Acknowledge((start, start + (uint)random.Next(-100, 3 * Mss)));
            sent += guest.TakeAll().Sum(segment => segment.Data.Length);
        }

        // Each byte once, and lost ones once more.
        Assert.InRange(sent, 10 * Mss, 20 * Mss);
        guest.Expected += 10 * Mss;
        guest.Acknowledge();
        Assert.Equal((0, 0), Assert.Single(_lab.Stack.Tcp.Connections).Buffered);
    }

    [Fact]
    public void On_a_link_that_loses_everything_arrives_in_less_time_than_without()
    {
        var (plain, selective) = (0L, 0L);
        for (var seed = 1; seed <= 6; seed++)
        {
            plain += Transfer(seed, sack: false);
            selective += Transfer(seed, sack: true);
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"6 x 400,000 bytes, one frame in 10 lost in bursts, {RoundTrip} ms a round trip: {plain} ms without, {selective} ms with selective acknowledgements");
        Assert.True(selective * 3 < plain * 2, $"{selective} ms with and {plain} ms without");
    }

    // How long it takes, in the lab's time, to send to a guest that acknowledges every segment.
    private long Transfer(int seed, bool sack)
    {
        _host?.Dispose();
        _lab.Dispose();
        _lab = new UserLab();
        var random = new Random(seed);
        var (guest, host) = Connect(sack);
        var data = HostPeers.Pattern(400_000, seed);
        var sending = Task.Run(() => host.Send(data), TestContext.Current.CancellationToken);
        var received = new bool[data.Length + 1];
        var (first, have, frames, begun) = (guest.Expected, 0, 0, _lab.Now);
        while (have < data.Length)
        {
            Assert.True(_lab.Now - begun < 600_000, $"only {have} bytes came");
            _lab.Settle();
            foreach (var segment in guest.TakeAll())
            {
                // A queue that overflows now and then: several of one window are lost.
                if (segment.Data.Length == 0 || (frames++ % 100 >= 80 && random.Next(2) == 0)) continue;
                var at = (int)(segment.Sequence - first);
                received.AsSpan(at, segment.Data.Length).Fill(true);
                Assert.True(data.AsSpan(at, segment.Data.Length).SequenceEqual(segment.Data), $"what came at {at} was not sent");
                have = Array.IndexOf(received, false, have);
                guest.Expected = first + (uint)have;
                guest.Acknowledge(sack ? Ranges(received, have, at, first) : []);
            }
            _lab.Pass(RoundTrip);
        }
        Assert.True(sending.Wait(Waiting.Limit, TestContext.Current.CancellationToken));
        return _lab.Now - begun;
    }

    // The range with the newest segment, and the two behind the first gap.
    private static (uint, uint)[] Ranges(bool[] received, int have, int newest, uint first)
    {
        var ranges = new List<(uint, uint)>();
        var at = have;
        while (Array.IndexOf(received, true, at) is >= 0 and var start)
        {
            at = Array.IndexOf(received, false, start);
            var range = (first + (uint)start, first + (uint)at);
            if (newest >= start && newest < at) ranges.Insert(0, range);
            else if (ranges.Count < 3) ranges.Add(range);
        }
        return [.. ranges.Take(3)];
    }

    private (TcpGuest Guest, Socket Host) Connect(bool sack = true)
    {
        var guest = new TcpGuest(_lab, UserLab.Gateway, (ushort)_server.Port) { Sack = sack };
        guest.Connect();
        return (guest, _host = _server.Accept());
    }
}
