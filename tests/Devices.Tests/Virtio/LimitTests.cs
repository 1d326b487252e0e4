// Limits between a device's queues and its backend, by a clock that the test turns: what passes, what waits where, and that a queue which
// waits is neither looked at nor stirred by anything but the end of its wait.
using Lamina.Core.Limits;
using Lamina.Devices.Virtio.Block;
using Lamina.Devices.Virtio.Net;
using Lamina.Devices.Virtio.Rings;
using Lamina.Tests.Devices.Chipset;
using Xunit;

namespace Lamina.Tests.Devices.Virtio;

public sealed class LimitTests : IDisposable
{
    private const long Second = 1_000_000_000;
    private const ulong RingsAt = TestGuest.Ram, RingStride = 0x4000, Header = TestGuest.Ram + 0x1_0000, Status = Header + 0x100, Data = TestGuest.Ram + 0x2_0000;
    private static readonly byte[] Mac = [0x02, 0x4c, 0x41, 0, 0, 1];

    private readonly ManualClock _clock = new();
    private readonly TestDisk _disk = new(128);
    private readonly TestNet _net = new();
    private TestGuest _guest = null!;
    private SplitDriver[] _rings = [];

    public void Dispose() => _guest?.Dispose();

    [Theory]
    [InlineData(4096ul, null)]
    [InlineData(null, 4ul)]
    public void A_disk_carries_out_as_many_requests_as_its_limit_lets(ulong? bytes, ulong? operations)
    {
        StartDisk(new FlowLimit(bytes, operations, 1));

        // Of 1024 bytes each: four a second either way, and one at once.
        for (var i = 0; i < 20; i++) OfferRead(1024);
        _guest.Notify(0);
        Assert.Single(_disk.Calls);
        Turn(Second - 10);
        Assert.Equal(4, _disk.Calls.Count);
        Turn(3 * Second);

        Assert.InRange(_disk.Calls.Count, 16, 17);
        Assert.Equal(_disk.Calls.Count, _rings[0].UsedIndex);
    }

    [Fact]
    public void A_queue_that_waits_yields_nothing_to_whoever_rings_its_bell()
    {
        StartDisk(new FlowLimit(null, 1, 1));
        OfferRead(512);
        OfferRead(512);

        for (var i = 0; i < 10; i++) _guest.Notify(0);

        Assert.Single(_disk.Calls);
        Assert.Equal(0, _clock.Expiries);
    }

    [Fact]
    public void A_queue_that_waits_is_stopped_and_started_again_and_has_no_more_than_its_limit()
    {
        StartDisk(new FlowLimit(null, 1, 1));
        OfferRead(512);
        OfferRead(512);
        _guest.Notify(0);

        Begin(1);
        OfferRead(512);
        _guest.Notify(0);
        Assert.Single(_disk.Calls);
        Turn(Second);

        Assert.Equal(2, _disk.Calls.Count);
    }

    [Fact]
    public void A_limit_that_goes_lets_go_of_what_waits()
    {
        var gate = StartDisk(new FlowLimit(null, 1, 1));
        for (var i = 0; i < 5; i++) OfferRead(512);
        _guest.Notify(0);

        gate.Limit = default;
        _guest.Workers.Run();

        Assert.Equal(5, _disk.Calls.Count);
        Assert.Equal(5, _rings[0].UsedIndex);
    }

    [Fact]
    public void Requests_that_are_malformed_cost_no_more_than_they_say()
    {
        StartDisk(new FlowLimit(1, null, 1));
        _rings[0].Offer(new Part(Header, 4), new Part(Status, 1, true));

        _guest.Notify(0);
        Turn(Second);

        Assert.True(_guest.NeedsReset);
    }

    [Fact]
    public void A_card_sends_as_many_frames_as_its_limit_lets()
    {
        StartCard(sending: new FlowLimit(1000, null, 1));
        for (var i = 0; i < 6; i++) _rings[1].Offer(new Part(Data, 12 + 500));

        _guest.Notify(1);
        Assert.Single(_net.Sent);
        Turn(2 * Second);

        Assert.InRange(_net.Sent.Count, 4, 5);
        Assert.All(_net.Sent, sent => Assert.Equal(500, sent.Frame.Length));
    }

    [Fact]
    public void A_frame_for_a_guest_waits_in_its_backend_which_is_told_once_when_it_may_come()
    {
        StartCard(receiving: new FlowLimit(null, 2, 1));
        for (var i = 0; i < 4; i++) _rings[0].Offer(new Part(Data + (ulong)(i * 0x1000), 2048, true));
        _guest.Notify(0);
        var (frame, ready) = (new byte[100], _net.ReadyCalls);

        Assert.True(_net.Receiver.Receive(frame, default));
        Assert.False(_net.Receiver.Receive(frame, default));
        Assert.False(_net.Receiver.Receive(frame, default));
        Turn(Second / 2);

        Assert.Equal(ready + 1, _net.ReadyCalls);
        Assert.True(_net.Receiver.Receive(frame, default));
        Assert.Equal(2, _rings[0].UsedIndex);
    }

    [Fact]
    public void A_frame_that_finds_no_buffer_counts_when_it_has_one()
    {
        StartCard(receiving: new FlowLimit(null, 1, 1));

        Assert.False(_net.Receiver.Receive(new byte[100], default));
        _rings[0].Offer(new Part(Data, 2048, true));
        _guest.Notify(0);

        Assert.True(_net.Receiver.Receive(new byte[100], default));
    }

    private FlowGate StartDisk(FlowLimit limit)
    {
        var gate = new FlowGate(_clock, limit);
        _guest = new TestGuest(new VirtioBlock(_disk, new VirtioBlockOptions { Gate = gate }));
        _clock.Advance(10 * Second);
        Begin(1);
        return gate;
    }

    private void StartCard(FlowLimit sending = default, FlowLimit receiving = default)
    {
        _guest = new TestGuest(new VirtioNet(_net, new VirtioNetOptions(Mac) { Sending = new FlowGate(_clock, sending), Receiving = new FlowGate(_clock, receiving) }));
        _clock.Advance(10 * Second);
        Begin(2);
    }

    private void Begin(int queues)
    {
        Assert.Equal(11u, _guest.Negotiate(TestFeatures.Plain));
        _rings = [.. Enumerable.Range(0, queues).Select(i => new SplitDriver(_guest, (uint)i, 64, RingsAt + (ulong)i * RingStride).Place())];
        // A driver that begins anew has fresh rings.
        foreach (var ring in _rings)
        {
            ring.AvailableIndex = 0;
            _guest.Store(ring.Used + 2, (ushort)0);
        }
        _guest.DriverOk();
        _guest.Workers.Run();
    }

    private void OfferRead(uint length)
    {
        _guest.Store(Header, 0u);
        _guest.Store(Header + 8, 0ul);
        _rings[0].Offer(new Part(Header, 16), new Part(Data, length, true), new Part(Status, 1, true));
    }

    // Workers run as soon as they are woken.
    private void Turn(long nanoseconds)
    {
        var end = _clock.NowNanoseconds + nanoseconds;
        while (_clock.NextDeadline is { } next && next <= end)
        {
            _clock.Advance(Math.Max(0, next - _clock.NowNanoseconds));
            _guest.Workers.Run();
        }
        _clock.Advance(end - _clock.NowNanoseconds);
        _guest.Workers.Run();
    }
}
