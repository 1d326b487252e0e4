// Devices of a machine that is paused: whatever arrives on the host's side, and whatever doorbell rings late, memory and the
// interrupt line stay as they are; afterwards all of it arrives. One body for every device.
using System.Text;
using Lamina.Core.Entropy;
using Lamina.Core.Net;
using Lamina.Core.Share;
using Lamina.Core.State;
using Lamina.Core.Sockets;
using Lamina.Devices.Virtio.Balloon;
using Lamina.Devices.Virtio.Block;
using Lamina.Devices.Virtio.Console;
using Lamina.Devices.Virtio.FileSystem;
using Lamina.Devices.Virtio.Net;
using Lamina.Devices.Virtio.Rng;
using Lamina.Devices.Virtio.Vsock;
using Xunit;

namespace Lamina.Tests.Devices.Virtio;

public sealed class StillnessTests
{
    private const ulong RingsAt = TestGuest.Ram, RingStride = 0x4000, Data = TestGuest.Ram + 0x10_0000, Input = TestGuest.Ram + 0x20_0000;
    private const uint UsedBuffer = 1, ConfigurationChange = 2;

    // A device whose driver is ready and has offered buffers that no doorbell told of yet.
    private sealed class Bench(TestGuest guest, ITestRing[] rings) : IDisposable
    {
        public TestGuest Guest => guest;

        public ITestRing[] Rings => rings;

        /// <summary>Which doorbells ring while the machine is paused.</summary>
        public uint[] Late { get; init; } = [];

        /// <summary>What happens on the host's side while the machine is paused.</summary>
        public Action Arrive { get; init; } = () => { };

        /// <summary>Looks whether the host's side was left alone.</summary>
        public Action AssertHeld { get; init; } = () => { };

        /// <summary>What a backend does when it is told that there is room.</summary>
        public Action Deliver { get; init; } = () => { };

        /// <summary>Looks whether all has arrived.</summary>
        public required Action AssertArrived { get; init; }

        /// <summary>Why the driver is interrupted then.</summary>
        public uint Causes { get; init; } = UsedBuffer;

        public void Dispose() => guest.Dispose();
    }

    private static readonly Dictionary<string, Func<bool, Bench>> Benches = new()
    {
        ["entropy"] = Entropy,
        ["console"] = Console,
        ["console with ports"] = ConsolePorts,
        ["block"] = Block,
        ["file system"] = FileSystem,
        ["network"] = Network,
        ["balloon"] = Balloon,
        ["vsock"] = Vsock,
    };

    public static MatrixTheoryData<string, bool> All => new(Benches.Keys, [false, true]);

    public static TheoryData<string> Devices => [.. Benches.Keys];

    [Theory]
    [MemberData(nameof(All))]
    public void Memory_and_line_stay_as_they_are_whatever_arrives_and_then_it_arrives(string device, bool packed)
    {
        using var bench = Benches[device](packed);
        var guest = bench.Guest;
        guest.Acknowledge();

        guest.Transport.Pause();
        var before = Picture(guest);
        Disturb(bench);
        Assert.Equal(before, Picture(guest));
        bench.AssertHeld();
        // Twice is the same as once.
        guest.Transport.Pause();
        Disturb(bench);
        Assert.Equal(before, Picture(guest));
        bench.AssertHeld();

        guest.Transport.Resume();
        bench.Deliver();
        guest.Workers.Run();
        bench.AssertArrived();
        Assert.Equal((bench.Causes, true), (guest.Read(0x60), guest.Line.Level));
        guest.Transport.Resume();
        guest.Workers.Run();
        bench.AssertArrived();
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void A_device_that_is_reset_while_it_is_paused_keeps_still_and_works_afterwards(string device)
    {
        using var bench = Benches[device](false);
        var guest = bench.Guest;
        guest.Transport.Pause();

        guest.Transport.Reset();
        var before = Picture(guest);
        Disturb(bench);

        Assert.Equal(before, Picture(guest));
        Assert.Equal((0u, false), (guest.Status, guest.Line.Level));
        guest.Transport.Resume();
        guest.Workers.Run();
        Assert.Equal(before, Picture(guest));
        Assert.Equal(11u, guest.Negotiate(TestFeatures.Plain));
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void A_device_ends_while_it_is_paused(string device)
    {
        var bench = Benches[device](false);
        bench.Guest.Transport.Pause();
        Disturb(bench);

        bench.Dispose();

        Assert.True(bench.Guest.Workers.AllDisposed);
    }

    [Fact]
    public void A_driver_that_never_started_is_no_trouble()
    {
        var backend = new TestBackend();
        var console = new VirtioConsole([new ConsolePort(backend)]);
        using var guest = new TestGuest(console);
        guest.Transport.Pause();
        backend.Type("early"u8);
        console.Resize(0, 132, 50);
        Assert.Equal((5, 0u, false), (backend.Waiting, guest.Read(0x60), guest.Line.Level));

        guest.Transport.Resume();
        Assert.Equal((0u, false), (guest.Read(0x60), guest.Line.Level));
        guest.Negotiate(TestFeatures.Plain);
        var rings = Place(guest, 2, packed: false);
        rings[0].Offer(new Part(Input, 64, true));
        guest.DriverOk();
        backend.Type();
        guest.Workers.Run();

        Assert.Equal("early", ReadInput(guest, rings[0]));
    }

    // Everything that may happen while no vCPU runs.
    private static void Disturb(Bench bench)
    {
        bench.Arrive();
        foreach (var queue in bench.Late) bench.Guest.Notify(queue);
        bench.Guest.Workers.Run();
    }

    // What must not change: all of memory, and the line with its causes.
    private static string Picture(TestGuest guest)
    {
        var bytes = new byte[TestGuest.RamLength];
        Assert.True(guest.Memory.TryRead(TestGuest.Ram, bytes));
        return $"{Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(bytes))} {guest.Watcher.Writes.Count} {guest.Line.Level} {guest.Line.Rises} {guest.Read(0x60)}";
    }

    private static Bench Entropy(bool packed)
    {
        var guest = new TestGuest(new VirtioRng(new Ones()));
        var rings = Start(guest, 1, packed);
        rings[0].Offer(new Part(Data, 8, true));
        return new Bench(guest, rings) { Late = [0], AssertArrived = () => Assert.Equal(0x0101_0101_0101_0101ul, guest.Load<ulong>(Data)) };
    }

    private static Bench Console(bool packed)
    {
        var backend = new TestBackend();
        var console = new VirtioConsole([new ConsolePort(backend)]);
        var guest = new TestGuest(console);
        var rings = Start(guest, 2, packed, features: 1);
        rings[0].Offer(new Part(Input, 64, true));
        Write(guest, Data, "output"u8);
        rings[1].Offer(new Part(Data, 6));
        string? arrived = null;
        var calls = backend.ReadyCalls;
        return new Bench(guest, rings)
        {
            Late = [0, 1],
            Arrive = () =>
            {
                backend.Type(backend.Waiting == 0 ? "input"u8 : default);
                console.Resize(0, 132, 50);
            },
            AssertHeld = () => Assert.Equal((5, 0), (backend.Waiting, backend.Output.Count)),
            Deliver = () => Deliver(backend, calls),
            AssertArrived = () => Assert.Equal(("input", "output"), (arrived ??= ReadInput(guest, rings[0]), Encoding.ASCII.GetString([.. backend.Output]))),
            Causes = UsedBuffer | ConfigurationChange,
        };
    }

    private static Bench ConsolePorts(bool packed)
    {
        var channel = new TestConnectedBackend();
        var guest = new TestGuest(new VirtioConsole([new ConsolePort(new TestBackend()), new ConsolePort(channel, IsConsole: false, Name: "channel")]));
        var rings = Start(guest, 6, packed, features: 2);
        // Device ready, port 1 ready, port 1 open; and room for what the device answers.
        foreach (var (id, kind) in ((uint, ushort)[])[(0, 0), (1, 3), (1, 6)])
        {
            guest.Store(Data, id);
            guest.Store(Data + 4, kind);
            guest.Store(Data + 6, (ushort)1);
            rings[3].Offer(new Part(Data, 8));
            guest.Notify(3);
            rings[2].Offer(new Part(Data + 0x100, 64, true));
            rings[2].Offer(new Part(Data + 0x100, 64, true));
            guest.Notify(2);
        }
        while (rings[2].TakeUsed() is not null)
        {
        }
        rings[2].Offer(new Part(Data + 0x200, 64, true));
        rings[4].Offer(new Part(Input, 64, true));
        string? arrived = null;
        var calls = channel.ReadyCalls;
        return new Bench(guest, rings)
        {
            Late = [2, 4],
            Arrive = () =>
            {
                channel.SetConnected(true);
                channel.Type(channel.Waiting == 0 ? "input"u8 : default);
            },
            AssertHeld = () => Assert.Equal(5, channel.Waiting),
            Deliver = () => Deliver(channel, calls),
            AssertArrived = () => Assert.Equal("input", arrived ??= ReadInput(guest, rings[4])),
        };
    }

    private static Bench Block(bool packed)
    {
        const ulong Status = Data + 0x100;
        var disk = new TestDisk(16);
        disk.Content.AsSpan().Fill(7);
        var guest = new TestGuest(new VirtioBlock(disk, new VirtioBlockOptions()));
        var rings = Start(guest, 1, packed);
        guest.Store(Data, 0ul);
        guest.Store(Data + 8, 0ul);
        rings[0].Offer(new Part(Data, 16), new Part(Input, 512, true), new Part(Status, 1, true));
        return new Bench(guest, rings)
        {
            Late = [0],
            AssertHeld = () => Assert.Empty(disk.Calls),
            AssertArrived = () => Assert.Equal((7, "read 0+1"), (guest.Load<byte>(Input + 511), Assert.Single(disk.Calls))),
        };
    }

    private static Bench FileSystem(bool packed)
    {
        var share = new Folder();
        var guest = new TestGuest(new VirtioFileSystem(share, "folder"));
        var rings = Start(guest, 2, packed);
        Write(guest, Data, "request"u8);
        rings[1].Offer(new Part(Data, 7), new Part(Input, 64, true));
        return new Bench(guest, rings)
        {
            Late = [1],
            AssertHeld = () => Assert.Equal(0, share.Requests),
            AssertArrived = () => Assert.Equal((1, (byte)'r'), (share.Requests, guest.Load<byte>(Input))),
        };
    }

    private static Bench Network(bool packed)
    {
        byte[] mac = [2, 0, 0, 0, 0, 1];
        var net = new TestNet();
        var guest = new TestGuest(new VirtioNet(net, new VirtioNetOptions(mac)));
        // Buffers that a frame may be spread over (VIRTIO_NET_F_MRG_RXBUF), of which a frame too long for what is there leaves one
        // with the device; and the state of the link.
        var rings = Start(guest, 2, packed, features: 1 << 15 | 1 << 16);
        byte[] frame = [.. mac, .. mac, 8, 0, .. new byte[46]];
        frame[^1] = 77;
        rings[0].Offer(new Part(Input, 100, true));
        Assert.False(net.Receiver.Receive([.. frame, .. frame, .. frame], default));
        Write(guest, Data, [.. new byte[12], .. frame]);
        rings[1].Offer(new Part(Data, 12 + 60));
        var calls = net.ReadyCalls;
        var (isTaken, isThere) = (false, false);
        return new Bench(guest, rings)
        {
            Late = [0, 1],
            Arrive = () =>
            {
                isTaken = net.Receiver.Receive(frame, default);
                net.SetLink(false);
            },
            AssertHeld = () => Assert.Equal((false, 0), (isTaken, net.Sent.Count)),
            Deliver = () =>
            {
                guest.Workers.Run();
                Assert.True(net.ReadyCalls > calls, "the network was not told that the card takes frames again");
                isThere = net.Receiver.Receive(frame, default);
            },
            AssertArrived = () => Assert.Equal((true, 77, 77), (isThere, guest.Load<byte>(Input + 12 + 59), Assert.Single(net.Sent).Frame[^1])),
            Causes = UsedBuffer | ConfigurationChange,
        };
    }

    private static Bench Balloon(bool packed)
    {
        VirtioBalloon balloon = null!;
        var guest = new TestGuest(memory => balloon = new VirtioBalloon(memory));
        var rings = Start(guest, 3, packed, features: 1 << 1);
        rings[2].Offer(new Part(Data + 0x100, 10));
        guest.Notify(2);
        guest.Store(Input, 7u);
        guest.Store(Data, (uint)(Input >> 12));
        rings[0].Offer(new Part(Data, 4));
        uint? given = null;
        return new Bench(guest, rings)
        {
            Late = [0],
            Arrive = () =>
            {
                balloon.Target = 4096;
                balloon.RequestStatistics();
            },
            AssertHeld = () => Assert.Equal((0, 7u), (balloon.Returned, guest.Load<uint>(Input))),
            AssertArrived = () => Assert.Equal((4096, 0u, 0u), (balloon.Returned, guest.Load<uint>(Input), given ??= rings[2].TakeUsed()!.Value.Length)),
            Causes = UsedBuffer | ConfigurationChange,
        };
    }

    private static Bench Vsock(bool packed)
    {
        const uint Cid = 5;
        var sockets = new Sockets();
        var guest = new TestGuest(new VirtioVsock(Cid, sockets));
        var rings = Start(guest, 2, packed);
        rings[0].Offer(new Part(Input, 2048, true));
        var request = new byte[VsockSpec.HeaderLength];
        new VsockHeader(Cid, VsockSpec.HostCid, 1000, 80, 0, VsockSpec.TypeStream, VsockOperation.Request, 0, 65536, 0).Write(request);
        Write(guest, Data, request);
        rings[1].Offer(new Part(Data, (uint)request.Length));
        var isKept = false;
        return new Bench(guest, rings)
        {
            Late = [0, 1],
            Arrive = () =>
            {
                isKept = sockets.Guest.Connect(22, new SilentStream());
                sockets.Guest.Ready();
            },
            AssertHeld = () => Assert.Equal((true, 0), (isKept, sockets.Requests)),
            AssertArrived = () =>
            {
                var header = new byte[VsockSpec.HeaderLength];
                Assert.True(guest.Memory.TryRead(Input, header));
                var first = VsockHeader.Read(header);
                Assert.Equal((VsockOperation.Request, 22u, 1), (first.Operation, first.DestinationPort, sockets.Requests));
            },
        };
    }

    private static ITestRing[] Start(TestGuest guest, int queues, bool packed, ulong features = 0)
    {
        Assert.Equal(11u, guest.Negotiate((packed ? TestFeatures.Packed : TestFeatures.Plain) | features));
        var rings = Place(guest, queues, packed);
        guest.DriverOk();
        guest.Workers.Run();
        return rings;
    }

    private static ITestRing[] Place(TestGuest guest, int queues, bool packed) => [.. Enumerable.Range(0, queues).Select(ITestRing (i) => packed
        ? new PackedDriver(guest, (uint)i, 16, RingsAt + (ulong)i * RingStride).Place()
        : new SplitDriver(guest, (uint)i, 16, RingsAt + (ulong)i * RingStride).Place())];

    private static void Deliver(TestBackend backend, int calls)
    {
        Assert.True(backend.ReadyCalls > calls, "the backend was not told that there is room");
        backend.Type();
    }

    private static void Write(TestGuest guest, ulong address, ReadOnlySpan<byte> bytes) => Assert.True(guest.Memory.TryWrite(address, bytes));

    private static string ReadInput(TestGuest guest, ITestRing ring)
    {
        var bytes = new byte[ring.TakeUsed()!.Value.Length];
        Assert.True(guest.Memory.TryRead(Input, bytes));
        return Encoding.ASCII.GetString(bytes);
    }

    private sealed class Ones : IEntropySource
    {
        public void Fill(Span<byte> destination) => destination.Fill(1);
    }

    private sealed class Folder : IFileShare
    {
        public int LongestMessage => 4096;

        public FileShareStatistics Statistics => default;

        public int Requests { get; private set; }

        public int Answer(ReadOnlySpan<byte> request, Span<byte> reply)
        {
            Requests++;
            request.CopyTo(reply);
            return request.Length;
        }

        public SavedKind Kind => new("folder of a test", 1);

        public void Save(SavedFields fields)
        {
        }

        public void Load(SavedFields fields)
        {
        }

        public void Reset()
        {
        }

        public void Dispose()
        {
        }
    }

    private sealed class Sockets : ISocketHost
    {
        public ISocketGuest Guest { get; private set; } = null!;

        public int Requests { get; private set; }

        public void Attach(ISocketGuest guest) => Guest = guest;

        public IHostStream? Connect(uint port)
        {
            Requests++;
            return new SilentStream();
        }
    }
}
