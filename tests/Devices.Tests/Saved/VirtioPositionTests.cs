// What a queue and its device are to one another when a machine is loaded: buffers in hand come again, first and in order; what a pause
// held back is given; and what a state says that cannot be is refused in a sentence.
using Lamina.Core.State;
using Lamina.Devices.Virtio;
using Lamina.Devices.Virtio.Rings;
using Lamina.Tests.Devices.Virtio;
using Xunit;

namespace Lamina.Tests.Devices.Saved;

public sealed class VirtioPositionTests : IDisposable
{
    private const ulong RingAt = TestGuest.Ram + 0x4000, Data = TestGuest.Ram + 0x8000;

    private readonly List<TestGuest> _guests = [];

    /// <summary>Keeps what it takes, as many as it wants.</summary>
    private sealed class HoldingDevice : TestDevice, ISavedUnit
    {
        public HoldingDevice(int wants, ulong features = 1) : base(1, features: features) => Work = queue =>
        {
            while (Held.Count < wants && queue.TryTake(out var chain)) Held.Add(chain);
            return false;
        };

        public List<DescriptorChain> Held { get; } = [];

        public SavedKind Kind => new("holding device", 1);

        public void Save(SavedFields fields)
        {
        }

        public void Load(SavedFields fields)
        {
        }
    }

    public void Dispose()
    {
        foreach (var guest in _guests) guest.Dispose();
    }

    public static MatrixTheoryData<bool, bool> Layouts => new([false, true], [false, true]);

    public static TheoryData<bool> Packed => [false, true];

    [Theory]
    [MemberData(nameof(Layouts))]
    public void Buffers_in_hand_come_again_first_and_in_the_order_in_which_they_were_taken(bool packed, bool twice)
    {
        var before = new HoldingDevice(wants: 4);
        var (guest, ring) = Start(before, packed);
        for (uint i = 0; i < 6; i++) ring.Offer(new Part(Data + i * 0x100, i + 1, true), new Part(Data + 0x80 + i * 0x100, 1, true));
        guest.Notify(0);
        // In a packed ring this overwrites the first descriptor of a buffer that is in hand.
        before.Host.Queues[0].Complete(before.Held[1], 2);
        Assert.NotNull(ring.TakeUsed());

        var after = new HoldingDevice(wants: 10);
        var loaded = Load(guest, ring, after);
        if (twice) loaded = Load(loaded, ring, after = new HoldingDevice(wants: 10));
        loaded.Workers.Run();
        Assert.Empty(after.Held);
        loaded.Transport.Resume();
        loaded.Workers.Run();

        Assert.Equal([2u, 4u, 5u, 6u, 7u], after.Held.Select(chain => chain.WritableLength));
        foreach (var chain in after.Held) after.Host.Queues[0].Complete(chain, chain.WritableLength);
        Assert.Equal([2u, 4u, 5u, 6u, 7u], Enumerable.Range(0, 5).Select(_ => ring.TakeUsed()!.Value.Length));
        Assert.Null(ring.TakeUsed());
        Assert.Empty(loaded.Log);
    }

    [Theory]
    [MemberData(nameof(Layouts))]
    public void An_interrupt_that_a_pause_held_back_is_given_after_a_load(bool packed, bool events)
    {
        var before = new HoldingDevice(wants: 2);
        var (guest, ring) = Start(before, packed, events ? VirtioFeatures.EventIndex : 0);
        ring.Offer(new Part(Data, 4, true));
        guest.Notify(0);
        guest.Transport.Pause();
        // As a disk's helper does that was at work.
        before.Host.Queues[0].Complete(before.Held[0], 4);
        before.Host.Queues[0].Signal();
        Assert.False(guest.Line.Level);

        var loaded = Load(guest, ring, new HoldingDevice(wants: 0));
        Assert.False(loaded.Line.Level);
        loaded.Transport.Resume();

        Assert.Equal((true, 1u), (loaded.Line.Level, loaded.Read(0x60)));
    }

    [Theory]
    [MemberData(nameof(Packed))]
    public void A_change_of_the_configuration_that_a_pause_held_back_is_told_after_a_load(bool packed)
    {
        var before = new HoldingDevice(wants: 0);
        var (guest, ring) = Start(before, packed);
        guest.Transport.Pause();
        before.Host.ConfigurationChanged();

        var loaded = Load(guest, ring, new HoldingDevice(wants: 0));
        Assert.Equal(0u, loaded.Read(0x60));
        loaded.Transport.Resume();

        Assert.Equal((true, 2u), (loaded.Line.Level, loaded.Read(0x60)));
    }

    [Theory]
    [MemberData(nameof(Packed))]
    public void A_driver_that_was_asked_to_hold_notifications_back_is_asked_for_them_after_a_load(bool packed)
    {
        var (guest, ring) = Start(new HoldingDevice(wants: 1), packed);
        ring.Offer(new Part(Data, 4, true));
        guest.Notify(0);
        Assert.Equal(1, Suppression(guest, packed));

        var loaded = Load(guest, ring, new HoldingDevice(wants: 2));
        loaded.Transport.Resume();
        loaded.Workers.Run();

        Assert.Equal(0, Suppression(loaded, packed));
    }

    [Theory]
    [MemberData(nameof(Packed))]
    public void A_worker_that_looks_by_itself_sees_a_buffer_in_hand_where_the_ring_has_none(bool packed)
    {
        var (guest, ring) = Start(new HoldingDevice(wants: 1), packed);
        ring.Offer(new Part(Data, 4, true));
        guest.Notify(0);

        var after = new HoldingDevice(wants: 1);
        var loaded = Load(guest, ring, after);
        Assert.False(after.Host.Queues[0].HasBuffers);
        loaded.Transport.Resume();

        Assert.True(after.Host.Queues[0].HasBuffers);
        Assert.False(after.Host.Queues[0].Rest());
        loaded.Workers.Run();
        Assert.False(after.Host.Queues[0].HasBuffers);
        Assert.True(after.Host.Queues[0].Rest());
        Assert.Single(after.Held);
    }

    [Fact]
    public void A_device_without_a_form_is_named()
    {
        var (guest, _) = Start(new TestDevice(1), false);
        guest.Transport.Pause();

        var refused = Assert.Throws<StateException>(() => SavedFields.Write(1, guest.Transport.Save));

        Assert.Contains("a virtio device of a type (Block) for whose state there is no form", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Features_that_are_not_on_offer_are_named()
    {
        var (guest, ring) = Start(new HoldingDevice(0, features: 3), false, features: 2);

        var refused = Assert.Throws<StateException>(() => Load(guest, ring, new HoldingDevice(0, features: 1)));

        Assert.Contains("works with the features 0x100000002, and this device offers", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0x10_0000ul, "a buffer in hand that cannot be")]
    [InlineData(0x1000ul, "a part of the queue is not in RAM")]
    public void Rings_and_buffers_in_memory_that_is_not_there_are_refused(ulong ramLength, string why)
    {
        var (guest, ring) = Start(new HoldingDevice(wants: 1), false);
        ring.Offer(new Part(TestGuest.Ram + TestGuest.RamLength - 4, 4, true));
        guest.Notify(0);

        var refused = Assert.Throws<StateException>(() => Load(guest, ring, new HoldingDevice(0), ramLength));

        Assert.Contains(why, refused.Message, StringComparison.Ordinal);
    }

    private static ushort Suppression(TestGuest guest, bool packed) => guest.Load<ushort>(packed ? RingAt + 16 * 16 + 4 + 2 : (RingAt + 16 * 16 + 6 + 2 * 16 + 3) & ~3ul);

    private (TestGuest Guest, ITestRing Ring) Start(IVirtioDevice device, bool packed, ulong features = 0)
    {
        var guest = new TestGuest(device);
        _guests.Add(guest);
        Assert.Equal(11u, guest.Negotiate((packed ? TestFeatures.Packed : TestFeatures.Plain) | features));
        ITestRing ring = packed ? new PackedDriver(guest, 0, 16, RingAt).Place() : new SplitDriver(guest, 0, 16, RingAt).Place();
        guest.DriverOk();
        guest.Workers.Run();
        return (guest, ring);
    }

    // Saves, and loads into another machine with as much memory, or less.
    private TestGuest Load(TestGuest guest, ITestRing ring, IVirtioDevice device, ulong ramLength = TestGuest.RamLength)
    {
        guest.Transport.Pause();
        var saved = SavedFields.Write(1, guest.Transport.Save);
        var loaded = new TestGuest(device, ramLength: ramLength);
        _guests.Add(loaded);
        var bytes = new byte[ramLength];
        Assert.True(guest.Memory.TryRead(TestGuest.Ram, bytes) && loaded.Memory.TryWrite(TestGuest.Ram, bytes));
        loaded.Transport.Pause();
        SavedFields.Read(saved, 1, loaded.Transport.Load);
        ring.MoveTo(loaded);
        return loaded;
    }
}
