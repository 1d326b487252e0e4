// The network card from its driver's side: frames both ways, what is negotiated and what follows from it, and drivers that
// break every rule.
using System.Buffers.Binary;
using Lamina.Core.Net;
using Lamina.Devices.Virtio.Net;
using Lamina.Devices.Virtio.Rings;
using Xunit;

namespace Lamina.Tests.Devices.Virtio;

/// <summary>Keeps what the guest sends.</summary>
internal sealed class TestNet : INetBackend
{
    public List<(byte[] Frame, FrameOffload Offload)> Sent { get; } = [];

    public INetReceiver Receiver { get; private set; } = null!;

    public int Flushes { get; private set; }

    public int ReadyCalls { get; private set; }

    public int OffloadChanges { get; private set; }

    public int Mtu { get; init; } = 1500;

    public NetOffloads Offloads { get; init; } = NetOffloads.Checksum | NetOffloads.Tcp4Segmentation | NetOffloads.Tcp6Segmentation;

    public bool IsLinkUp { get; private set; } = true;

    public event Action? LinkChanged;

    public void SetLink(bool up)
    {
        IsLinkUp = up;
        LinkChanged?.Invoke();
    }

    public void Attach(INetReceiver receiver) => Receiver = receiver;

    public void Start()
    {
    }

    public void Send(ReadOnlySpan<byte> frame, in FrameOffload offload) => Sent.Add((frame.ToArray(), offload));

    public void Flush() => Flushes++;

    public void OffloadsChanged() => OffloadChanges++;

    public void ReadyToReceive() => ReadyCalls++;

    public void Dispose()
    {
    }
}

public sealed partial class VirtioNetTests : IDisposable
{
    private const ulong RingsAt = TestGuest.Ram, RingStride = 0x4000, Data = TestGuest.Ram + 0x10_0000;
    private const ulong Merge = 1ul << 15, Checksum = 1, GuestChecksum = 2, GuestTso4 = 1 << 7, HostTso4 = 1 << 11, ControlQueue = 1 << 17, ControlReceive = 1 << 18, ControlVlan = 1 << 19, GuestAnnounce = 1 << 21, MultiQueue = 1 << 22, ControlMac = 1 << 23, ControlOffloads = 4;
    private static readonly byte[] Mac = [0x02, 0x4c, 0x41, 0, 0, 1];

    private readonly TestNet _net = new();
    private TestGuest _guest = null!;
    private ITestRing[] _rings = [];

    public void Dispose() => _guest?.Dispose();

    private void Start(ulong features, int pairs = 1, bool packed = false)
    {
        _guest = new TestGuest(new VirtioNet(_net, new VirtioNetOptions(Mac, pairs)));
        Assert.Equal(11u, _guest.Negotiate(VirtioFeatures.Version1 | (packed ? VirtioFeatures.RingPacked : 0) | features));
        var queues = (features & ControlQueue) == 0 ? pairs * 2 : (features & MultiQueue) != 0 ? pairs * 2 + 1 : 3;
        _rings = [.. Enumerable.Range(0, queues).Select(ITestRing (i) => packed
            ? new PackedDriver(_guest, (uint)i, 64, RingsAt + (ulong)i * RingStride).Place()
            : new SplitDriver(_guest, (uint)i, 64, RingsAt + (ulong)i * RingStride).Place())];
        _guest.DriverOk();
        _guest.Workers.Run();
    }

    private static byte[] Frame(int length, byte seed = 1)
    {
        var frame = new byte[length];
        for (var i = 14; i < length; i++) frame[i] = (byte)(i * 7 + seed);
        Mac.AsSpan(0, Math.Min(6, length)).CopyTo(frame);
        return frame;
    }

    private void Write(ulong address, ReadOnlySpan<byte> bytes) => Assert.True(_guest.Memory.TryWrite(address, bytes));

    private byte[] Read(ulong address, int length)
    {
        var bytes = new byte[length];
        Assert.True(_guest.Memory.TryRead(address, bytes));
        return bytes;
    }

    private void Transmit(byte[] header, byte[] frame)
    {
        Write(Data, [.. header, .. frame]);
        _rings[1].Offer(new Part(Data, (uint)(header.Length + frame.Length)));
        _guest.Notify(1);
    }

    private static byte[] Header(byte flags = 0, byte segmentation = 0, ushort headerLength = 0, ushort size = 0, ushort start = 0, ushort offset = 0)
    {
        var header = new byte[12];
        (header[0], header[1]) = (flags, segmentation);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(2), headerLength);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(4), size);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(6), start);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(8), offset);
        return header;
    }

    private void OfferBuffers(int ring, int count, uint length)
    {
        for (var i = 0; i < count; i++) _rings[ring].Offer(new Part(Data + 0x8_0000 * (ulong)(ring / 2 + 1) + (ulong)i * 0x1000, length, true));
        _guest.Notify((uint)ring);
    }

    private byte Command(params byte[] command)
    {
        Write(Data + 0x4_0000, [.. command, 0xee]);
        _rings[^1].Offer(new Part(Data + 0x4_0000, (uint)command.Length), new Part(Data + 0x4_0000 + (ulong)command.Length, 1, true));
        _guest.Notify((uint)_rings.Length - 1);
        Assert.Equal(1u, _rings[^1].TakeUsed()!.Value.Length);
        return Read(Data + 0x4_0000 + (ulong)command.Length, 1)[0];
    }

    private bool Receive(byte[] frame, FrameOffload offload = default) => _net.Receiver.Receive(frame, offload);

    [Fact]
    public void It_tells_address_link_pairs_and_MTU()
    {
        _guest = new TestGuest(new VirtioNet(_net, new VirtioNetOptions(Mac, 4)));

        Assert.Equal(1u, _guest.Read(0x08));
        Assert.Equal([.. Mac, 1, 0, 4, 0, 0xdc, 5], _guest.ReadConfig(0, 12));
        Assert.Equal(new byte[4], _guest.ReadConfig(12, 4));
        _guest.Transport.Write(0x100, [9, 9, 9, 9]);
        Assert.Equal(Mac[..4], _guest.ReadConfig(0, 4));
    }

    [Fact]
    public void The_link_going_down_is_told()
    {
        Start(1ul << 16);
        var generation = _guest.Read(0xfc);

        _net.SetLink(false);

        Assert.Equal(2u, _guest.Acknowledge());
        Assert.Equal([0, 0], _guest.ReadConfig(6, 2));
        Assert.NotEqual(generation, _guest.Read(0xfc));
    }

    [Fact]
    public void While_the_cable_is_out_the_link_is_down_and_no_frame_passes()
    {
        Start(1ul << 16);
        OfferBuffers(0, 4, 2048);
        var card = (VirtioNet)_net.Receiver;

        card.IsPlugged = false;

        Assert.Equal(2u, _guest.Acknowledge());
        Assert.Equal([0, 0], _guest.ReadConfig(6, 2));
        Transmit(Header(), Frame(60));
        Assert.Empty(_net.Sent);
        Assert.True(Receive(Frame(60)));
        Assert.Null(_rings[0].TakeUsed());

        card.IsPlugged = true;

        Assert.Equal([1, 0], _guest.ReadConfig(6, 2));
        Transmit(Header(), Frame(60));
        Assert.Single(_net.Sent);
        Assert.True(Receive(Frame(60)));
        Assert.NotNull(_rings[0].TakeUsed());
    }

    [Theory]
    [InlineData(GuestAnnounce)]
    [InlineData(GuestTso4)]
    [InlineData(HostTso4)]
    [InlineData(ControlReceive)]
    [InlineData(MultiQueue)]
    public void Features_that_lack_what_they_need_are_refused(ulong features)
    {
        _guest = new TestGuest(new VirtioNet(_net, new VirtioNetOptions(Mac, 2)));

        Assert.Equal(3u, _guest.Negotiate(VirtioFeatures.Version1 | features));
    }

    [Fact]
    public void What_the_backend_cannot_take_is_not_offered()
    {
        _guest = new TestGuest(new VirtioNet(new TestNet { Offloads = NetOffloads.None }, new VirtioNetOptions(Mac)));

        Assert.Equal(0ul, _guest.OfferedFeatures() & (Checksum | HostTso4 | 1 << 12 | 1 << 13 | MultiQueue));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_frame_is_sent_whole_however_it_lies(bool packed)
    {
        Start(0, packed: packed);
        var frame = Frame(1000);
        Write(Data, [.. Header(), .. frame]);
        _rings[1].Offer(new Part(Data, 5), new Part(Data + 5, 100), new Part(Data + 105, 907));

        _guest.Notify(1);

        Assert.Equal(frame, Assert.Single(_net.Sent).Frame);
        Assert.Equal(0u, _rings[1].TakeUsed()!.Value.Length);
        Assert.True(_net.Flushes > 0);
        Assert.Equal(1u, _guest.Acknowledge());
    }

    [Fact]
    public void What_is_left_to_do_for_a_frame_is_passed_on()
    {
        Start(Checksum | HostTso4);

        Transmit(Header(1, 1, 54, 1448, 34, 16), Frame(9000));

        Assert.Equal(new FrameOffload { NeedsChecksum = true, ChecksumStart = 34, ChecksumOffset = 16, Segmentation = NetOffloads.Tcp4Segmentation, SegmentSize = 1448, HeaderLength = 54 }, Assert.Single(_net.Sent).Offload);
    }

    public static TheoryData<string, byte[], int> BadFrames => new()
    {
        { "too short", Header(), 13 },
        { "too long", Header(), 70_000 },
        { "a sum that starts in the link's header", Header(1, start: 4, offset: 2), 100 },
        { "a sum behind the end", Header(1, start: 90, offset: 9), 100 },
        { "a sum far behind the end", Header(1, start: 65535, offset: 65535), 100 },
        { "segments without a sum", Header(0, 1, 54, 1448), 3000 },
        { "segments of nothing", Header(1, 1, 54, 0, 34, 16), 3000 },
        { "segments of a kind that was not negotiated", Header(1, 4, 54, 1448, 34, 16), 3000 },
        { "segments of a kind that is none", Header(1, 77, 54, 1448, 34, 16), 3000 },
        { "segments with ECN that was not negotiated", Header(1, 0x81, 54, 1448, 34, 16), 3000 },
    };

    [Theory]
    [MemberData(nameof(BadFrames))]
    public void A_frame_that_makes_no_sense_is_dropped_and_the_next_is_sent(string why, byte[] header, int length)
    {
        Start(Checksum | HostTso4);

        Transmit(header, Frame(length));
        Transmit(Header(), Frame(60));

        Assert.True(_net.Sent.Count == 1 && _net.Sent[0].Frame.Length == 60, why);
        Assert.False(_guest.NeedsReset);
        Assert.NotNull(_rings[1].TakeUsed());
        Assert.NotNull(_rings[1].TakeUsed());
    }

    [Fact]
    public void A_sum_that_was_not_negotiated_is_dropped()
    {
        Start(0);

        Transmit(Header(1, start: 34, offset: 16), Frame(100));

        Assert.Empty(_net.Sent);
    }

    [Fact]
    public void A_writable_buffer_to_be_sent_breaks_the_device()
    {
        Start(0);
        _rings[1].Offer(new Part(Data, 100), new Part(Data + 100, 10, true));

        _guest.Notify(1);

        Assert.True(_guest.NeedsReset);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_received_frame_fills_one_buffer(bool packed)
    {
        Start(0, packed: packed);
        OfferBuffers(0, 2, 1526);

        Assert.True(Receive(Frame(700)));

        Assert.Equal(712u, _rings[0].TakeUsed()!.Value.Length);
        Assert.Equal([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, .. Frame(700)], Read(Data + 0x8_0000, 712));
        Assert.Equal(1u, _guest.Acknowledge());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_long_frame_fills_several_buffers_that_come_back_together(bool packed)
    {
        Start(Merge, packed: packed);
        OfferBuffers(0, 4, 1024);

        Assert.True(Receive(Frame(2500)));

        Assert.Equal([1024u, 1024, 464], Enumerable.Range(0, 3).Select(_ => _rings[0].TakeUsed()!.Value.Length));
        Assert.Null(_rings[0].TakeUsed());
        Assert.Equal(3, Read(Data + 0x8_0000 + 10, 1)[0]);
        Assert.Equal(Frame(2500), (byte[])[.. Read(Data + 0x8_000c, 1012), .. Read(Data + 0x8_1000, 1024), .. Read(Data + 0x8_2000, 464)]);
        // The next frame goes into the next buffer.
        Assert.True(Receive(Frame(60, 9)));
        Assert.Equal(72u, _rings[0].TakeUsed()!.Value.Length);
        Assert.Equal(Frame(60, 9), Read(Data + 0x8_300c, 60));
    }

    [Fact]
    public void The_driver_sees_all_buffers_of_a_frame_or_none()
    {
        Start(Merge);
        OfferBuffers(0, 3, 1024);
        _guest.Watcher.Writes.Clear();

        Receive(Frame(2500));

        // The used index is written once, behind everything else.
        var index = ((SplitDriver)_rings[0]).Used + 2;
        Assert.Equal(_guest.Watcher.Writes.Count - 1, _guest.Watcher.Writes.FindIndex(write => write.Address == index));
    }

    [Fact]
    public void A_frame_that_finds_no_buffers_waits_for_them()
    {
        Start(Merge);

        Assert.False(Receive(Frame(2500)));
        OfferBuffers(0, 2, 1024);
        Assert.Equal(1, _net.ReadyCalls - ReadyCallsAtStart);
        Assert.False(Receive(Frame(2500)));
        Assert.Null(_rings[0].TakeUsed());
        _rings[0].Offer(new Part(Data + 0x9_0000, 1024, true));
        _guest.Notify(0);

        Assert.True(Receive(Frame(2500)));
        Assert.Equal(1024u, _rings[0].TakeUsed()!.Value.Length);
    }

    // The queue is looked at once when it becomes live.
    private const int ReadyCallsAtStart = 1;

    [Fact]
    public void A_frame_too_long_for_a_buffer_is_dropped_where_buffers_are_not_merged()
    {
        Start(0);
        OfferBuffers(0, 1, 500);

        Assert.True(Receive(Frame(700)));
        Assert.Null(_rings[0].TakeUsed());
        Assert.True(Receive(Frame(400)));

        Assert.Equal(412u, _rings[0].TakeUsed()!.Value.Length);
    }

    [Fact]
    public void A_frame_too_long_for_all_buffers_of_a_ring_is_dropped()
    {
        Start(Merge);
        OfferBuffers(0, 64, 20);

        Assert.True(Receive(Frame(5000)));
        Assert.True(Receive(Frame(60)));

        Assert.Equal(20u, _rings[0].TakeUsed()!.Value.Length);
    }

    [Theory]
    [InlineData(4, false)]
    [InlineData(100, true)]
    public void Receive_buffers_that_cannot_be_break_the_device(uint length, bool readable)
    {
        Start(Merge);
        if (readable) _rings[0].Offer(new Part(Data, 10), new Part(Data + 10, length, true));
        else _rings[0].Offer(new Part(Data, length, true));

        Receive(Frame(60));

        Assert.True(_guest.NeedsReset);
        Assert.True(Receive(Frame(60)));
    }

    [Fact]
    public void Without_a_driver_frames_are_dropped_and_after_a_reset_nothing_is_written()
    {
        Start(Merge);
        OfferBuffers(0, 3, 1024);
        Assert.False(Receive(Frame(9000)));

        _guest.Write(0x70, 0);
        _guest.Watcher.Writes.Clear();

        Assert.True(Receive(Frame(60)));
        Assert.Empty(_guest.Watcher.Writes);
        // The buffers that waited are not used by the next driver's frames.
        Start(Merge);
        OfferBuffers(0, 1, 1024);
        Assert.True(Receive(Frame(60)));
        Assert.Equal(72u, _rings[0].TakeUsed()!.Value.Length);
    }

    [Fact]
    public void A_driver_that_did_not_ask_for_it_gets_no_unfinished_frames()
    {
        Start(0);
        OfferBuffers(0, 1, 1526);
        Assert.Equal(NetOffloads.None, _net.Receiver.Offloads);

        Assert.True(Receive(Frame(60), new FrameOffload { NeedsChecksum = true, ChecksumStart = 34, ChecksumOffset = 6 }));
        Assert.Null(_rings[0].TakeUsed());
        Receive(Frame(60), new FrameOffload { ChecksumIsValid = true });

        Assert.Equal(0, Read(Data + 0x8_0000, 1)[0]);
    }

    [Fact]
    public void A_driver_that_asked_for_it_gets_unfinished_frames_until_it_switches_that_off()
    {
        Start(Merge | GuestChecksum | GuestTso4 | ControlQueue | ControlOffloads);
        OfferBuffers(0, 4, 4000);
        Assert.Equal(NetOffloads.Checksum | NetOffloads.Tcp4Segmentation, _net.Receiver.Offloads);
        var large = new FrameOffload { NeedsChecksum = true, ChecksumStart = 34, ChecksumOffset = 16, Segmentation = NetOffloads.Tcp4Segmentation, SegmentSize = 1448, HeaderLength = 54 };

        Receive(Frame(3000), large);
        Assert.Equal([1, 1, 54, 0, 0xa8, 5, 34, 0, 16, 0, 1, 0], Read(Data + 0x8_0000, 12));
        Assert.Equal(0, Command(5, 0, 0, 0, 0, 0, 0, 0, 0, 0));

        Assert.Equal(NetOffloads.None, _net.Receiver.Offloads);
        Assert.Equal(2, _net.OffloadChanges);
        Assert.NotNull(_rings[0].TakeUsed());
        Receive(Frame(3000), large);
        Assert.Null(_rings[0].TakeUsed());
        // What was not negotiated cannot be switched on.
        Assert.Equal(1, Command(5, 0, 0, 1, 0, 0, 0, 0, 0, 0));
    }

    [Fact]
    public void Only_frames_that_are_wanted_come()
    {
        Start(Merge | ControlQueue | ControlReceive | ControlVlan | ControlMac);
        OfferBuffers(0, 32, 200);
        bool Comes(string to, int? vlan = null)
        {
            var frame = Frame(64);
            Convert.FromHexString(to).CopyTo(frame, 0);
            if (vlan is { } id) (frame[12], frame[13], frame[14], frame[15]) = (0x81, 0, (byte)(id >> 8), (byte)id);
            Assert.True(Receive(frame));
            return _rings[0].TakeUsed() is not null;
        }

        Assert.True(Comes("020000000099"));
        Assert.Equal(0, Command(0, 0, 0));
        Assert.False(Comes("020000000099"));
        Assert.True(Comes("024c41000001"));
        Assert.True(Comes("ffffffffffff"));
        Assert.False(Comes("333300000001"));
        Assert.Equal(0, Command(1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0x99, 1, 0, 0, 0, 0x33, 0x33, 0, 0, 0, 1));
        Assert.True(Comes("020000000099"));
        Assert.True(Comes("333300000001"));
        Assert.False(Comes("333300000002"));
        Assert.Equal(0, Command(0, 1, 1));
        Assert.True(Comes("333300000002"));
        Assert.Equal(0, Command(1, 1, 2, 0, 0, 0, 0, 0x77));
        Assert.True(Comes("020000000077"));
        Assert.False(Comes("024c41000001"));
        Assert.False(Comes("ffffffffffff", 5));
        Assert.Equal(0, Command(2, 0, 5, 0));
        Assert.True(Comes("ffffffffffff", 5));
        Assert.True(Comes("ffffffffffff", 0));
        Assert.Equal(0, Command(2, 1, 5, 0));
        Assert.False(Comes("ffffffffffff", 5));
    }

    [Theory]
    [InlineData()]
    [InlineData(0)]
    [InlineData(0, 0)]
    [InlineData(0, 0, 2)]
    [InlineData(0, 9, 1)]
    [InlineData(1, 0, 5, 0, 0, 0)]
    [InlineData(1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 1)]
    [InlineData(1, 1, 2, 0, 0)]
    [InlineData(2, 0, 0, 16)]
    [InlineData(2, 0, 1)]
    [InlineData(2, 5, 1, 0)]
    [InlineData(4, 0, 0, 0)]
    [InlineData(4, 0, 9, 0)]
    [InlineData(5, 0, 0)]
    [InlineData(5, 0, 0, 0, 0, 0, 0, 0, 0, 128)]
    [InlineData(77, 77, 77)]
    public void Commands_that_make_no_sense_are_refused(params int[] command)
    {
        Start(Merge | GuestChecksum | ControlQueue | ControlReceive | ControlVlan | ControlMac | ControlOffloads | MultiQueue, pairs: 2);

        Assert.Equal(1, Command([.. command.Select(b => (byte)b)]));
        Assert.False(_guest.NeedsReset);
    }

    [Fact]
    public void A_table_longer_than_is_kept_stands_for_everything()
    {
        Start(Merge | ControlQueue | ControlReceive);
        OfferBuffers(0, 4, 200);
        Command(0, 0, 0);

        Assert.Equal(0, Command([1, 0, 0xff, 0xff, 0xff, 0xff]));

        var frame = Frame(64);
        frame[5] = 0x99;
        Receive(frame);
        Assert.NotNull(_rings[0].TakeUsed());
    }

    [Fact]
    public void A_command_without_room_for_its_answer_breaks_the_device()
    {
        Start(ControlQueue);
        _rings[2].Offer(new Part(Data, 3));

        _guest.Notify(2);

        Assert.True(_guest.NeedsReset);
    }

    [Fact]
    public void Flows_keep_to_their_pair_and_all_pairs_are_used()
    {
        Start(Merge | ControlQueue | MultiQueue, pairs: 4);
        for (var pair = 0; pair < 4; pair++) OfferBuffers(pair * 2, 60, 200);
        byte[] Flow(byte port)
        {
            var frame = Frame(64);
            (frame[12], frame[13], frame[14], frame[23]) = (8, 0, 0x45, 6);
            frame.AsSpan(20, 2).Clear();
            frame[35] = port;
            return frame;
        }
        int Comes(byte[] frame)
        {
            Receive(frame);
            return Enumerable.Range(0, 4).Single(pair => _rings[pair * 2].TakeUsed() is not null);
        }

        // One pair until the driver asks for more.
        Assert.All(Enumerable.Range(0, 20), port => Assert.Equal(0, Comes(Flow((byte)port))));
        Assert.Equal(0, Command(4, 0, 4, 0));
        var chosen = Enumerable.Range(0, 30).Select(port => Comes(Flow((byte)port))).ToList();

        Assert.Equal(4, chosen.Distinct().Count());
        Assert.Equal(chosen[7], Comes(Flow(7)));
        Write(Data, [.. Header(), .. Frame(60)]);
        _rings[7].Offer(new Part(Data, 72));
        _guest.Notify(7);
        Assert.Single(_net.Sent);
    }

    [Fact]
    public void A_driver_without_multi_queue_finds_the_control_queue_behind_the_first_pair()
    {
        Start(ControlQueue | ControlReceive, pairs: 4);

        Assert.Equal(3, _rings.Length);
        Assert.Equal(0, Command(0, 0, 1));
    }

    [Fact]
    public void Random_headers_and_frames_do_no_harm()
    {
        Start(Checksum | HostTso4 | 1 << 12);
        var random = new Random(1);
        for (var i = 0; i < 3000; i++)
        {
            var header = new byte[12];
            random.NextBytes(header);
            header[0] &= 3;
            header[1] = (byte)random.Next(6);
            Transmit(header, Frame(random.Next(2000)));
            _rings[1].TakeUsed();
            Assert.All(_net.Sent, sent => Assert.True(!sent.Offload.NeedsChecksum || sent.Offload.ChecksumStart + sent.Offload.ChecksumOffset + 2 <= sent.Frame.Length));
            _net.Sent.Clear();
        }
        Assert.False(_guest.NeedsReset);
    }
}
