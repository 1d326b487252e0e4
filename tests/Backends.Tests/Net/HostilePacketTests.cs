// Whatever a guest sends, the network neither fails nor keeps more than it should: saved frames that go to odd places, and
// frames that random changes make of good ones. A frame that once did harm is added to Corpus/ as a line of hexadecimal.
using Lamina.Backends.Net.User;
using Lamina.Backends.Net.Wire;
using Lamina.Core.Net;
using Xunit;

namespace Lamina.Tests.Backends.Net;

public sealed class HostilePacketTests
{
    private static string CorpusFolder => Path.Combine(AppContext.BaseDirectory, "Net", "Corpus");

    public static TheoryData<string> Corpus => [.. Directory.EnumerateFiles(CorpusFolder, "*.hex").Select(file => Path.GetFileNameWithoutExtension(file)).Order()];

    private static List<byte[]> Frames(string name) =>
        [.. File.ReadAllLines(Path.Combine(CorpusFolder, name + ".hex")).Where(line => line.Length != 0 && line[0] != '#').Select(line => Convert.FromHexString(line.Replace(" ", "", StringComparison.Ordinal)))];

    private static List<byte[]> AllFrames => [.. Corpus.SelectMany(row => Frames(row.Data))];

    // Nothing leaves the test: no destination is allowed but ports of the loopback where nobody listens.
    private static UserLab Lab() => new(new UserNetOptions { Allowed = [], HostPorts = [1], Dns = false, MostFlows = 64 }, NetOffloads.Checksum | NetOffloads.Tcp4Segmentation | NetOffloads.Tcp6Segmentation);

    [Theory]
    [MemberData(nameof(Corpus))]
    public void Saved_frames_do_no_harm(string name)
    {
        using var lab = Lab();
        foreach (var frame in Frames(name)) Feed(lab, frame, default);

        AssertAlive(lab);
    }

    [Fact]
    public void Every_frame_cut_at_every_place_does_no_harm()
    {
        using var lab = Lab();
        foreach (var frame in AllFrames)
            for (var length = 0; length < frame.Length; length++) Feed(lab, frame[..length], new FrameOffload { NeedsChecksum = true });

        AssertAlive(lab);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Changed_frames_do_no_harm(int seed)
    {
        var random = new Random(seed + FuzzLength.Seed);
        var frames = AllFrames;
        using var lab = Lab();
        for (var i = 0; i < FuzzLength.CasesOr(20_000); i++)
        {
            var frame = frames[random.Next(frames.Count)].ToArray();
            for (var changes = random.Next(1, 6); changes > 0; changes--)
            {
                // Headers more often than data.
                var at = random.Next(random.Next(3) == 0 ? frame.Length : Math.Min(frame.Length, 80));
                frame[at] = random.Next(3) switch { 0 => (byte)random.Next(256), 1 => (byte)(frame[at] ^ 1 << random.Next(8)), _ => (byte)(random.Next(2) * 255) };
            }
            Repair(frame, random);
            if (random.Next(8) == 0) lab.Card.Room = random.Next(3);
            Feed(lab, frame, new FrameOffload { NeedsChecksum = random.Next(2) == 0 });
            if (random.Next(50) == 0)
            {
                lab.Card.Room = int.MaxValue;
                lab.Stack.Resume();
                lab.Pass(random.Next(20_000));
                lab.Card.Frames.Clear();
            }
        }

        lab.Card.Room = int.MaxValue;
        lab.Stack.Resume();
        AssertAlive(lab);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Senseless_segments_of_a_live_connection_do_no_harm(int seed)
    {
        var random = new Random(seed);
        using var lab = new UserLab();
        using var server = new HostServer();
        var hosts = new List<System.Net.Sockets.Socket>();
        for (ushort connection = 0; connection < 40; connection++)
        {
            var guest = TcpGuest.Connect(lab, UserLab.Gateway, server.Port, (ushort)(43000 + connection));
            var host = server.Accept();
            hosts.Add(host);
            host.Send(HostPeers.Pattern(random.Next(1, 20_000)));
            if (random.Next(3) == 0) host.Shutdown(System.Net.Sockets.SocketShutdown.Send);
            var (next, expected) = (guest.Next, guest.Expected);
            for (var i = 0; i < 100; i++)
            {
                guest.Next = random.Next(4) == 0 ? (uint)random.Next() : next + (uint)random.Next(-10, 3000);
                guest.Expected = random.Next(4) == 0 ? (uint)random.Next() : expected + (uint)random.Next(-10, 20_000);
                guest.Window = (ushort)(random.Next(3) == 0 ? random.Next(65536) : random.Next(3));
                // A reset is rare, or there would be nothing left to confuse.
                var flags = (byte)(random.Next(5) == 0 ? random.Next(256) & (random.Next(20) == 0 ? 0xff : 0xfb) : Tcp.Ack);
                guest.Send(flags, new byte[random.Next(3) == 0 ? random.Next(1460) : 0]);
                if (random.Next(10) == 0) lab.Settle();
                if (random.Next(10) == 0) lab.Pass(random.Next(3000));
            }
            lab.Card.Frames.Clear();
        }
        hosts.ForEach(host => host.Dispose());
        lab.Settle();

        AssertAlive(lab);
    }

    // Most frames should come further than to the first sum.
    private static void Repair(byte[] frame, Random random)
    {
        if (frame.Length < 34 || frame[12] != 8 || frame[13] != 0 || random.Next(10) == 0) return;
        frame[14] = (byte)(0x40 | (frame[14] & 15));
        var header = (frame[14] & 15) * 4;
        if (header < 20 || 14 + header > frame.Length) return;
        frame[24] = frame[25] = 0;
        var sum = InternetChecksum.Finish(InternetChecksum.Add(0, frame.AsSpan(14, header)));
        (frame[24], frame[25]) = ((byte)(sum >> 8), (byte)sum);
    }

    private static void Feed(UserLab lab, byte[] frame, in FrameOffload offload)
    {
        lab.Stack.Input(frame, offload);
        lab.Stack.Flush();
    }

    private static void AssertAlive(UserLab lab)
    {
        Assert.InRange(lab.Stack.Tcp.Count, 0, 64);
        Assert.InRange(lab.Stack.Udp.Count, 0, 64);
        Assert.All(lab.Stack.Tcp.Connections, connection => Assert.InRange(connection.Buffered.ToHost + connection.Buffered.ToGuest, 0, 4 << 20));
        lab.Card.Frames.Clear();
        LinkTests.SendArp(lab, 1, UserLab.Guest, UserLab.Gateway);
        Assert.Equal(Ethernet.Arp, lab.Card.Frames.Single(frame => frame.Type == Ethernet.Arp && frame.Packet[7] == 2).Type);
        Assert.All(lab.Card.Frames, frame => Assert.InRange(frame.Bytes.Length, 42, Ethernet.LongestFrame));
    }
}
