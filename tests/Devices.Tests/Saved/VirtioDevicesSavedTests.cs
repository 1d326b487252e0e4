// Each virtio device in a state worth keeping, once with split and once with packed rings; and what a load changes on purpose: what the
// host's side of a device is, the driver is told anew.
using System.Text;
using Lamina.Core.Bus;
using Lamina.Core.Entropy;
using Lamina.Core.Memory;
using Lamina.Core.Share;
using Lamina.Core.Sockets;
using Lamina.Core.State;
using Lamina.Devices.Virtio;
using Lamina.Devices.Virtio.Balloon;
using Lamina.Devices.Virtio.Block;
using Lamina.Devices.Virtio.Console;
using Lamina.Devices.Virtio.FileSystem;
using Lamina.Devices.Virtio.Net;
using Lamina.Devices.Virtio.Rng;
using Lamina.Devices.Virtio.Vsock;
using Lamina.Host;
using Lamina.Tests.Devices.Virtio;
using Xunit;

namespace Lamina.Tests.Devices.Saved;

public abstract class EntropySavedTests(bool packed) : VirtioSavedTests(packed, 1, 0)
{
    private sealed class Ones : IEntropySource
    {
        public void Fill(Span<byte> destination) => destination.Fill(1);
    }

    private protected override IVirtioDevice Make(GuestMemory memory, TestWorkers helpers, out object host) => new VirtioRng((Ones)(host = new Ones()));

    private protected override void Disturb(Bench bench)
    {
        // Round the ring once, so that wrap counters differ from those of a fresh one.
        for (var i = 0; i < 21; i++)
        {
            bench.Rings[0].Offer(new Part(Data + (ulong)i * 16, 16, true));
            bench.Guest.Notify(0);
            bench.Rings[0].TakeUsed();
        }
        bench.Rings[0].Offer(new Part(Data + 0x1000, 100, true), new Part(Data + 0x2000, 7, true));
        bench.Rings[0].Offer(new Part(Data + 0x3000, 9, true));
    }

    private protected override void GoOn(Bench bench) => bench.Guest.Transport.Resume();

    private protected override string Seen(Bench bench) => "";
}

public sealed class SplitEntropySavedTests() : EntropySavedTests(false);

public sealed class PackedEntropySavedTests() : EntropySavedTests(true);

public abstract class BlockSavedTests(bool packed) : VirtioSavedTests(packed, 1, 1 << 11 | 1 << 9)
{
    private sealed record Side(TestDisk Disk, VirtioBlock Block);

    private protected override IVirtioDevice Make(GuestMemory memory, TestWorkers helpers, out object host)
    {
        var disk = new TestDisk(16);
        disk.Content.AsSpan().Fill(7);
        var block = new VirtioBlock(disk, new VirtioBlockOptions { Parallel = 2, WaitsForSpace = _ => { } }, helpers);
        host = new Side(disk, block);
        return block;
    }

    private protected override void Inherit(object from, object to) => ((Side)from).Disk.Content.CopyTo(((Side)to).Disk.Content, 0);

    private protected override void Disturb(Bench bench)
    {
        for (ulong i = 0; i < 7; i++)
        {
            Request(bench, i, 0, i);
            bench.Guest.Notify(0);
            bench.Rings[0].TakeUsed();
        }
        Assert.Equal(AccessResult.Ok, bench.Guest.Transport.Write(0x100 + 32, [0]));
        // Two writes find the host full; behind them one ends well, and one was not told of yet.
        var disk = ((Side)bench.Host).Disk;
        disk.Failure = new HostException("full") { IsDiskFull = true };
        Request(bench, 7, 1, 3);
        Request(bench, 8, 1, 4);
        bench.Guest.Notify(0);
        bench.Run();
        disk.Failure = null;
        Request(bench, 9, 1, 5);
        bench.Guest.Notify(0);
        Request(bench, 10, 0, 6);
    }

    private protected override void GoOn(Bench bench) => bench.Guest.Transport.Resume();

    private protected override string Seen(Bench bench)
    {
        var (disk, block) = (Side)bench.Host;
        return $"{Convert.ToHexString(disk.Content)} {block.Requests} {block.Failures} {block.BytesRead} {block.BytesWritten}";
    }

    private static void Request(Bench bench, ulong slot, uint type, ulong sector)
    {
        var at = Data + slot * 0x400;
        bench.Guest.Store(at, (ulong)type);
        bench.Guest.Store(at + 8, sector);
        if (type == 1) Store(bench, at + 0x100, Enumerable.Repeat((byte)(slot + 1), 512).ToArray());
        bench.Rings[0].Offer(new Part(at, 16), new Part(at + 0x100, 512, type == 0), new Part(at + 0x300, 1, true));
    }

    [Fact]
    public void A_disk_of_another_size_is_named()
    {
        using var small = new TestGuest(new VirtioBlock(new TestDisk(16), new VirtioBlockOptions()));
        using var large = new TestGuest(new VirtioBlock(new TestDisk(17), new VirtioBlockOptions()));
        small.Transport.Pause();
        large.Transport.Pause();
        var saved = SavedFields.Write(1, small.Transport.Save);

        var refused = Assert.Throws<StateException>(() => SavedFields.Read(saved, 1, large.Transport.Load));

        Assert.Contains("was saved with a disk of 8192 bytes, and this one has 8704", refused.Message, StringComparison.Ordinal);
    }
}

public sealed class BlockSizeSavedTests
{
    [Theory]
    [InlineData(4096, null, "was saved with a disk of 4096-byte blocks, and this one has 512; give the disk block-size=4096")]
    [InlineData(null, 4096, "was saved with a disk of 512-byte blocks, and this one has 4096; give the disk block-size=512")]
    public void A_disk_of_other_blocks_is_named(int? before, int? after, string sentence)
    {
        var (from, to) = (new VirtioBlock(new TestDisk(16), new VirtioBlockOptions { BlockSize = before }), new VirtioBlock(new TestDisk(16), new VirtioBlockOptions { BlockSize = after }));

        var refused = Assert.Throws<StateException>(() => SavedFields.Read(SavedFields.Write(2, from.Save), 2, to.Load));

        Assert.Contains(sentence, refused.Message, StringComparison.Ordinal);
    }

    // Version 1 is the same without the field.
    [Fact]
    public void Before_there_was_a_choice_blocks_were_the_disk_s_own()
    {
        var old = SavedFields.Write(1, new VirtioBlock(new TestDisk(16), new VirtioBlockOptions()).Save);
        var (same, other) = (new VirtioBlock(new TestDisk(16), new VirtioBlockOptions { BlockSize = 512 }), new VirtioBlock(new TestDisk(16), new VirtioBlockOptions { BlockSize = 4096 }));
        using var guest = new TestGuest(same);

        SavedFields.Read(old, 1, same.Load);

        Assert.Throws<StateException>(() => SavedFields.Read(old, 1, other.Load));
    }
}

public sealed class SplitBlockSavedTests() : BlockSavedTests(false);

public sealed class PackedBlockSavedTests() : BlockSavedTests(true);

public abstract class ConsoleSavedTests(bool packed) : VirtioSavedTests(packed, 2, 1)
{
    private sealed record Side(TestBackend Backend, VirtioConsole Console);

    private protected override IVirtioDevice Make(GuestMemory memory, TestWorkers helpers, out object host)
    {
        var backend = new TestBackend();
        var console = new VirtioConsole([new ConsolePort(backend)]);
        console.Resize(0, 80, 24);
        host = new Side(backend, console);
        return console;
    }

    private protected override void Inherit(object from, object to) => ((Side)to).Console.Resize(0, 132, 50);

    private protected override void Disturb(Bench bench)
    {
        var (backend, console) = (Side)bench.Host;
        console.Resize(0, 132, 50);
        backend.Type("waits in the device"u8);
        Store(bench, Data, "output"u8);
        bench.Rings[1].Offer(new Part(Data, 4));
        bench.Guest.Notify(1);
        backend.Output.Clear();
        bench.Rings[1].Offer(new Part(Data + 4, 2));
    }

    private protected override void GoOn(Bench bench)
    {
        bench.Guest.Transport.Resume();
        bench.Rings[0].Offer(new Part(Input, 8, true));
        bench.Rings[0].Offer(new Part(Input + 8, 64, true));
        bench.Guest.Notify(0);
        ((Side)bench.Host).Backend.Type("x"u8);
    }

    private protected override string Seen(Bench bench) => Encoding.ASCII.GetString([.. ((Side)bench.Host).Backend.Output]);
}

public sealed class SplitConsoleSavedTests() : ConsoleSavedTests(false);

public sealed class PackedConsoleSavedTests() : ConsoleSavedTests(true);

public abstract class ConsolePortsSavedTests(bool packed) : VirtioSavedTests(packed, 6, 2)
{
    private sealed record Side(TestConnectedBackend Channel, VirtioConsole Console);

    private protected override IVirtioDevice Make(GuestMemory memory, TestWorkers helpers, out object host)
    {
        var channel = new TestConnectedBackend();
        var console = new VirtioConsole([new ConsolePort(new TestBackend()), new ConsolePort(channel, IsConsole: false, Name: "channel")]);
        host = new Side(channel, console);
        return console;
    }

    private protected override void Inherit(object from, object to) => ((Side)to).Channel.SetConnected(((Side)from).Channel.IsConnected);

    private protected override void Disturb(Bench bench)
    {
        var (channel, console) = (Side)bench.Host;
        // The device is ready, as are both ports, and both are open; then the host's end comes. Of the size nobody was told yet.
        foreach (var (id, kind) in ((uint, ushort)[])[(0, 0), (0, 3), (0, 6), (1, 3), (1, 6)])
        {
            bench.Guest.Store(Data, id);
            bench.Guest.Store(Data + 4, kind);
            bench.Guest.Store(Data + 6, (ushort)1);
            bench.Rings[3].Offer(new Part(Data, 8));
            bench.Guest.Notify(3);
            bench.Rings[2].Offer(new Part(Data + 0x100, 64, true));
            bench.Guest.Notify(2);
        }
        channel.SetConnected(true);
        bench.Rings[2].Offer(new Part(Data + 0x100, 64, true));
        bench.Guest.Notify(2);
        console.Resize(0, 100, 30);
        channel.Type("waits"u8);
    }

    private protected override void GoOn(Bench bench)
    {
        bench.Guest.Transport.Resume();
        for (ulong i = 0; i < 8; i++) bench.Rings[2].Offer(new Part(Data + 0x1000 + 64 * i, 64, true));
        bench.Rings[4].Offer(new Part(Input, 64, true));
        bench.Guest.Notify(2);
        bench.Guest.Notify(4);
    }

    private protected override string Seen(Bench bench) => $"{((Side)bench.Host).Channel.Waiting}";

    [Fact]
    public void A_driver_is_told_of_a_connection_and_a_size_that_are_not_what_they_were()
    {
        var bench = Loaded(host =>
        {
            ((Side)host).Channel.SetConnected(false);
            ((Side)host).Console.Resize(0, 77, 11);
        });

        GoOn(bench);
        bench.Run();

        // 5.3.6.2: the size of port 0, and of port 1 that it is closed.
        Assert.Equal((0u, 5 | 0ul << 16 | 77ul << 32), (bench.Guest.Load<uint>(Data + 0x1000), bench.Guest.Load<ulong>(Data + 0x1000 + 4) & 0xffff_ffff_ffff));
        Assert.Equal((1u, 6u), (bench.Guest.Load<uint>(Data + 0x1040), bench.Guest.Load<uint>(Data + 0x1044)));
        Assert.NotEqual(0, ((Side)bench.Host).Channel.ReadyCalls);
        Assert.Equal(3u, bench.Guest.Read(0x60));
    }
}

public sealed class SplitConsolePortsSavedTests() : ConsolePortsSavedTests(false);

public sealed class PackedConsolePortsSavedTests() : ConsolePortsSavedTests(true);

// Buffers that a frame may be spread over, the state of the link, and everything that the control queue sets.
public abstract class NetSavedTests(bool packed) : VirtioSavedTests(packed, 5, 1 << 1 | 1 << 2 | 1 << 7 | 1 << 15 | 1 << 16 | 1 << 17 | 1 << 18 | 1 << 19 | 1 << 22 | 1 << 23)
{
    private static readonly byte[] Mac = [2, 0, 0, 0, 0, 1], Other = [2, 0, 0, 0, 0, 9];

    private protected override IVirtioDevice Make(GuestMemory memory, TestWorkers helpers, out object host)
    {
        var net = new TestNet();
        host = net;
        return new VirtioNet(net, new VirtioNetOptions(Mac, Pairs: 2));
    }

    private protected override void Inherit(object from, object to) => ((TestNet)to).SetLink(((TestNet)from).IsLinkUp);

    private protected override void Disturb(Bench bench)
    {
        var net = (TestNet)bench.Host;
        // Promiscuous mode off; tables; an address; VLAN 5; two pairs; offloads without TSO.
        Command(bench, 0, 0, 0);
        Command(bench, 1, 0, [1, 0, 0, 0, .. Other, 0, 0, 0, 0]);
        Command(bench, 1, 1, [2, 0, 0, 0, 0, 8]);
        Command(bench, 2, 0, 5, 0);
        Command(bench, 4, 0, 2, 0);
        Command(bench, 5, 0, 2, 0, 0, 0, 0, 0, 0, 0);
        net.SetLink(false);
        // A frame too long for what is there leaves buffers with the card.
        foreach (var ring in (int[])[0, 2])
            for (ulong i = 0; i < 3; i++) bench.Rings[ring].Offer(new Part(Input + (ulong)ring * 0x1000 + i * 0x100, 40, true), new Part(Input + (ulong)ring * 0x1000 + 0x800 + i * 0x100, 40, true));
        for (byte port = 0; port < 8; port++) Assert.False(net.Receiver.Receive(Frame(Other, port, 600), default));
        Store(bench, Data + 0x4000, [.. new byte[12], .. Frame(Mac, 1, 60)]);
        bench.Rings[1].Offer(new Part(Data + 0x4000, 12 + 60));
        bench.Guest.Notify(1);
        net.Sent.Clear();
        bench.Rings[1].Offer(new Part(Data + 0x4000, 12 + 60));
    }

    private protected override void GoOn(Bench bench)
    {
        var net = (TestNet)bench.Host;
        bench.Guest.Transport.Resume();
        bench.Run();
        for (byte port = 0; port < 8; port++) net.Receiver.Receive(Frame(Other, port, 100), default);
        net.Receiver.Receive(Frame(Mac, 1, 100), default);
    }

    private protected override string Seen(Bench bench)
    {
        var net = (TestNet)bench.Host;
        return $"{string.Join(' ', net.Sent.Select(sent => Convert.ToHexString(sent.Frame)))} {net.Receiver.Offloads}";
    }

    [Fact]
    public void A_driver_is_told_of_a_link_that_is_not_what_it_was()
    {
        var bench = Loaded(host => ((TestNet)host).SetLink(true));

        bench.Guest.Acknowledge();
        bench.Guest.Transport.Resume();

        Assert.Equal(2u, bench.Guest.Read(0x60) & 2);
        Assert.Equal(1, bench.Guest.ReadConfig(6, 1)[0]);
        Assert.NotEqual(0, ((TestNet)bench.Host).OffloadChanges);
    }

    private static void Command(Bench bench, byte kind, byte command, params byte[] data)
    {
        Store(bench, Data, [kind, command, .. data]);
        bench.Rings[4].Offer(new Part(Data, (uint)data.Length + 2), new Part(Data + 0x200, 1, true));
        bench.Guest.Notify(4);
        Assert.Equal(0, bench.Guest.Load<byte>(Data + 0x200));
    }

    // UDP over IPv4 in VLAN 5 from a port, by which a queue is chosen; untagged, so that the choice is seen.
    private static byte[] Frame(byte[] to, byte port, int length)
    {
        var frame = new byte[length];
        to.CopyTo(frame, 0);
        frame[12] = 8;
        frame[14] = 0x45;
        frame[23] = 17;
        frame[35] = port;
        frame[^1] = port;
        return frame;
    }
}

public sealed class NetAnnouncementSavedTests
{
    private const ulong ControlQueue = 1 << 17, GuestAnnounce = 1 << 21;

    [Theory]
    [InlineData(2, 3)]
    [InlineData(1, 1)]
    public void A_driver_that_was_asked_to_announce_itself_is_so_still_in_states_that_have_it(int version, int status)
    {
        var from = Make(ControlQueue | GuestAnnounce);
        from.Card.Announce();
        var to = Make(ControlQueue | GuestAnnounce);

        SavedFields.Read(SavedFields.Write(version, from.Card.Save), version, to.Card.Load);

        Assert.Equal(status, to.Guest.ReadConfig(6, 1)[0]);
        // One that cannot was never asked.
        if (version == 2) Assert.Throws<StateException>(() => SavedFields.Read(SavedFields.Write(2, from.Card.Save), 2, Make(ControlQueue).Card.Load));
    }

    private static (TestGuest Guest, VirtioNet Card) Make(ulong features)
    {
        var card = new VirtioNet(new TestNet(), new VirtioNetOptions(new byte[] { 2, 0, 0, 0, 0, 1 }));
        var guest = new TestGuest(card);
        Assert.Equal(11u, guest.Negotiate(TestFeatures.Plain | features));
        for (var i = 0; i < 3; i++) new SplitDriver(guest, (uint)i, 16, TestGuest.Ram + (ulong)i * 0x1000).Place();
        guest.DriverOk();
        return (guest, card);
    }
}

public sealed class SplitNetSavedTests() : NetSavedTests(false);

public sealed class PackedNetSavedTests() : NetSavedTests(true);

public abstract class BalloonSavedTests(bool packed) : VirtioSavedTests(packed, 4, 1 << 1 | 1 << 5)
{
    private protected override IVirtioDevice Make(GuestMemory memory, TestWorkers helpers, out object host)
    {
        var balloon = new VirtioBalloon(memory);
        host = balloon;
        return balloon;
    }

    private protected override void Disturb(Bench bench)
    {
        var balloon = (VirtioBalloon)bench.Host;
        balloon.Target = 0x3000;
        Assert.Equal(AccessResult.Ok, bench.Guest.Transport.Write(0x104, [2, 0, 0, 0]));
        // A statistic, and the page behind the first; then one is asked for while nobody is at work, and a page is on its way.
        Store(bench, Data, [4, 0, 99, 0, 0, 0, 0, 0, 0, 0]);
        bench.Rings[2].Offer(new Part(Data, 10));
        bench.Guest.Notify(2);
        bench.Guest.Store(Data + 0x100, (uint)(Input >> 12));
        bench.Rings[0].Offer(new Part(Data + 0x100, 4));
        bench.Guest.Notify(0);
        bench.Rings[3].Offer(new Part(Input + 0x2000, 0x1000, true));
        bench.Guest.Notify(3);
        bench.Guest.Store(Data + 0x100, (uint)(Input >> 12) + 1);
        bench.Rings[0].Offer(new Part(Data + 0x100, 4));
        bench.Guest.Transport.Pause();
        balloon.RequestStatistics();
    }

    private protected override void GoOn(Bench bench) => bench.Guest.Transport.Resume();

    private protected override string Seen(Bench bench)
    {
        var balloon = (VirtioBalloon)bench.Host;
        return $"{balloon.Target} {balloon.Actual} {balloon.Returned} {string.Join(' ', balloon.Statistics)}";
    }
}

public sealed class SplitBalloonSavedTests() : BalloonSavedTests(false);

public sealed class PackedBalloonSavedTests() : BalloonSavedTests(true);

public abstract class FileSystemSavedTests(bool packed) : VirtioSavedTests(packed, 2, 0)
{
    /// <summary>Answers with how often it was asked, which is its state.</summary>
    private sealed class Counter : IFileShare
    {
        private int _requests;

        public int LongestMessage => 4096;

        public FileShareStatistics Statistics => default;

        public SavedKind Kind => new("counter", 1);

        public int Answer(ReadOnlySpan<byte> request, Span<byte> reply)
        {
            if (reply.IsEmpty) return 0;
            reply[0] = (byte)++_requests;
            return 1;
        }

        public void Save(SavedFields fields) => fields.Value(1, ref _requests);

        public void Load(SavedFields fields) => fields.Value(1, ref _requests);

        public void Reset() => _requests = 0;

        public void Dispose()
        {
        }
    }

    private protected override IVirtioDevice Make(GuestMemory memory, TestWorkers helpers, out object host)
    {
        host = new object();
        return new VirtioFileSystem(new Counter(), "folder");
    }

    private protected override void Disturb(Bench bench)
    {
        for (ulong i = 0; i < 9; i++)
        {
            bench.Rings[1].Offer(new Part(Data, 40), new Part(Data + 0x100 + i, 1, true));
            bench.Guest.Notify(1);
            bench.Rings[1].TakeUsed();
        }
        bench.Rings[1].Offer(new Part(Data, 40), new Part(Data + 0x200, 1, true));
        bench.Rings[0].Offer(new Part(Data, 40));
    }

    private protected override void GoOn(Bench bench) => bench.Guest.Transport.Resume();

    private protected override string Seen(Bench bench) => $"{bench.Guest.Load<byte>(Data + 0x200)}";
}

public sealed class SplitFileSystemSavedTests() : FileSystemSavedTests(false);

public sealed class PackedFileSystemSavedTests() : FileSystemSavedTests(true);
