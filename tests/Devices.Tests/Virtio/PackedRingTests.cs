using Lamina.Devices.Virtio;
using Lamina.Devices.Virtio.Rings;
using Xunit;

namespace Lamina.Tests.Devices.Virtio;

public class PackedRingTests : IDisposable
{
    private const ulong RingAt = TestGuest.Ram;
    private const ulong Data = TestGuest.Ram + 0x1_0000;
    private const ulong Table = TestGuest.Ram + 0x2_0000;
    private const ulong End = TestGuest.Ram + TestGuest.RamLength;

    private readonly TestDevice _device = new(1);
    private readonly TestGuest _guest;

    public PackedRingTests()
    {
        _guest = new TestGuest(_device);
        _device.Work = queue =>
        {
            while (queue.TryTake(out var chain)) queue.Complete(chain, (uint)chain.Write(0, "answer"u8));
            return false;
        };
    }

    public void Dispose() => _guest.Dispose();

    private PackedDriver Start(ulong features = TestFeatures.Packed, uint size = 7)
    {
        Assert.Equal(11u, _guest.Negotiate(features));
        var ring = new PackedDriver(_guest, 0, size, RingAt).Place();
        _guest.DriverOk();
        _guest.Workers.Run();
        return ring;
    }

    [Fact]
    public void Packed_rings_are_offered_only_where_asked_for()
    {
        using var without = new TestGuest(new TestDevice(1), packedRings: false);

        Assert.NotEqual(0ul, _guest.OfferedFeatures() & VirtioFeatures.RingPacked);
        Assert.Equal(0ul, without.OfferedFeatures() & VirtioFeatures.RingPacked);
        Assert.Equal(3u, without.Negotiate(TestFeatures.Packed));
    }

    [Theory]
    [InlineData(1u), InlineData(2u), InlineData(7u), InlineData(16u)]
    public void Buffers_go_around_a_ring_of_any_size_many_times(uint size)
    {
        var ring = Start(size: size);
        for (var i = 0; i < 1000; i++)
        {
            var parts = Enumerable.Range(0, 1 + i % (int)Math.Min(size, 3)).Select(_ => new Part(Data, 8, true)).ToArray();
            var id = ring.Offer(parts);
            _guest.Notify(0);
            Assert.Equal((id, 6u), ring.TakeUsed());
            Assert.True(_guest.Line.Level);
            _guest.Acknowledge();
        }
        Assert.Null(ring.TakeUsed());
        Assert.False(_guest.NeedsReset);
    }

    [Fact]
    public void A_full_ring_is_worked_off_at_once_and_used_in_the_order_of_completion()
    {
        var taken = new List<DescriptorChain>();
        Virtqueue? queue = null;
        _device.Work = q =>
        {
            queue = q;
            while (q.TryTake(out var chain)) taken.Add(chain);
            return false;
        };
        var ring = Start();
        var ids = Enumerable.Range(0, 7).Select(_ => ring.Offer(new Part(Data, 8, true))).ToArray();
        _guest.Notify(0);
        Assert.Equal(7, taken.Count);

        foreach (var chain in taken.AsEnumerable().Reverse()) queue!.Complete(chain, 1);

        foreach (var id in ids.Reverse()) Assert.Equal((id, 1u), ring.TakeUsed());
    }

    [Fact]
    public void A_read_only_buffer_comes_back_without_the_write_flag()
    {
        var ring = Start();
        ring.Offer(new Part(Data, 8));

        _guest.Notify(0);

        Assert.Equal(0x8080, _guest.Load<ushort>(RingAt + 14));
        Assert.NotNull(ring.TakeUsed());
    }

    [Fact]
    public void A_zeroed_ring_and_a_ring_of_the_other_lap_offer_nothing()
    {
        var turns = 0;
        _device.Work = queue =>
        {
            turns++;
            Assert.False(queue.TryTake(out _));
            return false;
        };
        Start();
        _guest.Notify(0);
        _guest.Store(RingAt + 14, (ushort)0x8000); // available in the lap that has not begun
        _guest.Notify(0);
        _guest.Store(RingAt + 14, (ushort)0x8080); // used
        _guest.Notify(0);

        Assert.Equal(4, turns);
        Assert.False(_guest.NeedsReset);
    }

    [Fact]
    public void An_indirect_table_is_read_in_sequence_and_only_its_write_flags_count()
    {
        string? read = null;
        _device.Work = queue =>
        {
            while (queue.TryTake(out var chain))
            {
                var bytes = new byte[chain.ReadableLength];
                chain.Read(0, bytes);
                read = System.Text.Encoding.ASCII.GetString(bytes);
                queue.Complete(chain, (uint)chain.Write(0, "answer"u8));
            }
            return false;
        };
        var ring = Start(TestFeatures.Packed | VirtioFeatures.IndirectDescriptors);
        _guest.Memory.TryWrite(Data, "ab"u8);
        WriteTable(0, Data, 1, 0xfff9);
        WriteTable(1, Data + 1, 1, 1);
        WriteTable(2, Data + 0x100, 6, 2);
        var id = ring.OfferRaw((Table, 48, 4 | 2));

        _guest.Notify(0);

        Assert.Equal("ab", read);
        Assert.Equal((id, 6u), ring.TakeUsed());
    }

    private void WriteTable(uint number, ulong address, uint length, ushort flags)
    {
        _guest.Store(Table + 16 * number, address);
        _guest.Store(Table + 16 * number + 8, length);
        _guest.Store(Table + 16 * number + 12, (ushort)0xeeee);
        _guest.Store(Table + 16 * number + 14, flags);
    }

    public static TheoryData<string> Attacks =>
    [
        "loop", "address outside", "length huge", "readable after writable", "indirect not negotiated", "indirect in a chain",
        "indirect with next", "indirect empty", "indirect odd", "indirect outside", "indirect huge",
    ];

    [Theory]
    [MemberData(nameof(Attacks))]
    public void A_broken_rule_breaks_the_device_and_nothing_else(string attack)
    {
        var ring = Start(attack == "indirect not negotiated" ? TestFeatures.Packed : TestFeatures.Packed | VirtioFeatures.IndirectDescriptors);
        WriteTable(0, Data, 8, 0);
        switch (attack)
        {
            case "loop":
                for (var i = 0; i < 7; i++) ring.OfferRaw((Data, 8, 1));
                break;
            case "address outside": ring.OfferRaw((End - 4, 8, 0)); break;
            case "length huge": ring.OfferRaw((Data, uint.MaxValue, 2)); break;
            case "readable after writable": ring.OfferRaw((Data, 8, 2), (Data, 8, 0)); break;
            case "indirect not negotiated": ring.OfferRaw((Table, 16, 4)); break;
            case "indirect in a chain": ring.OfferRaw((Data, 8, 0), (Table, 16, 4)); break;
            case "indirect with next": ring.OfferRaw((Table, 16, 4), (Data, 8, 0)); break;
            case "indirect empty": ring.OfferRaw((Table, 0, 4)); break;
            case "indirect odd": ring.OfferRaw((Table, 17, 4)); break;
            case "indirect outside": ring.OfferRaw((End, 16, 4)); break;
            case "indirect huge": ring.OfferRaw((Table, 0xffff_fff0, 4)); break;
            default: Assert.Fail(attack); break;
        }

        _guest.Notify(0);

        Assert.True(_guest.NeedsReset);
        Assert.Equal(2u, _guest.Acknowledge());
        Assert.Null(ring.TakeUsed());
        _guest.Memory.TryWrite(RingAt, new byte[0x1000]);
        var fresh = Start();
        fresh.Offer(new Part(Data, 8));
        _guest.Notify(0);
        Assert.NotNull(fresh.TakeUsed());
    }

    [Theory]
    [InlineData(0u, RingAt, RingAt + 0x1000, RingAt + 0x1004)]
    [InlineData(17u, RingAt, RingAt + 0x1000, RingAt + 0x1004)]
    [InlineData(8u, RingAt + 4, RingAt + 0x1000, RingAt + 0x1004)]
    [InlineData(8u, RingAt, RingAt + 0x1002, RingAt + 0x1004)]
    [InlineData(8u, RingAt, RingAt + 0x1000, RingAt + 0x1006)]
    [InlineData(8u, End - 0x70, RingAt + 0x1000, RingAt + 0x1004)]
    [InlineData(8u, RingAt, End, RingAt + 0x1004)]
    [InlineData(8u, RingAt, RingAt + 0x1000, 0ul)]
    public void An_impossible_place_breaks_the_device(uint size, ulong descriptors, ulong driver, ulong device)
    {
        _guest.Negotiate(TestFeatures.Packed);
        _guest.PlaceQueue(0, size, descriptors, driver, device);
        _guest.DriverOk();

        Assert.True(_guest.NeedsReset);
    }

    [Fact]
    public void The_driver_can_disable_interrupts()
    {
        var ring = Start();
        _guest.Store(ring.DriverEvent + 2, (ushort)1);
        ring.Offer(new Part(Data, 8));
        _guest.Notify(0);
        Assert.NotNull(ring.TakeUsed());
        Assert.False(_guest.Line.Level);

        _guest.Store(ring.DriverEvent + 2, (ushort)0);
        ring.Offer(new Part(Data, 8));
        _guest.Notify(0);

        Assert.True(_guest.Line.Level);
    }

    [Fact]
    public void With_event_index_an_interrupt_comes_at_the_wanted_slot_of_the_wanted_lap()
    {
        var ring = Start(TestFeatures.Packed | VirtioFeatures.EventIndex);
        _guest.Store(ring.DriverEvent + 2, (ushort)2);
        for (var i = 0; i < 200; i++)
        {
            // The slot that the next buffer takes, in one of two laps; the other lap is a wish for later or the past.
            var wanted = i % 3 != 0;
            _guest.Store(ring.DriverEvent, (ushort)(ring.NextSlot | (ring.Wrap == wanted ? 0x8000u : 0)));
            ring.Offer(new Part(Data, 8));
            _guest.Notify(0);
            Assert.NotNull(ring.TakeUsed());
            Assert.Equal(wanted, _guest.Line.Level);
            _guest.Acknowledge();
        }
    }

    [Fact]
    public void With_event_index_a_batch_that_passes_the_wanted_slot_across_the_rings_end_interrupts()
    {
        var ring = Start(TestFeatures.Packed | VirtioFeatures.EventIndex);
        _guest.Store(ring.DriverEvent + 2, (ushort)2);
        _guest.Store(ring.DriverEvent, (ushort)0); // slot 0 of the second lap
        for (var i = 0; i < 5; i++) ring.Offer(new Part(Data, 8));
        _guest.Notify(0);
        Assert.False(_guest.Line.Level);

        for (var i = 0; i < 5; i++) ring.Offer(new Part(Data, 8));
        _guest.Notify(0);

        Assert.True(_guest.Line.Level);
    }

    [Fact]
    public void The_device_asks_to_be_told_of_the_next_slot()
    {
        var ring = Start(TestFeatures.Packed | VirtioFeatures.EventIndex);
        for (var i = 0; i < 8; i++)
        {
            ring.Offer(new Part(Data, 8));
            _guest.Notify(0);
        }

        Assert.Equal(2, _guest.Load<ushort>(ring.DeviceEvent + 2));
        Assert.Equal(1, _guest.Load<ushort>(ring.DeviceEvent)); // slot 1 of the second lap
    }

    [Fact]
    public void Without_event_index_notifications_are_disabled_while_the_queue_is_worked_on_only()
    {
        ushort during = 0;
        PackedDriver? ring = null;
        _device.Work = queue =>
        {
            while (queue.TryTake(out var chain))
            {
                during = _guest.Load<ushort>(ring!.DeviceEvent + 2);
                queue.Complete(chain, 0);
            }
            return false;
        };
        ring = Start();
        ring.Offer(new Part(Data, 8));

        _guest.Notify(0);

        Assert.Equal(1, during);
        Assert.Equal(0, _guest.Load<ushort>(ring.DeviceEvent + 2));
    }

    [Fact]
    public void Random_rings_never_throw_and_never_hang()
    {
        var random = new Random(42);
        for (var round = 0; round < 300; round++)
        {
            var ring = Start(TestFeatures.Packed | (random.Next(2) == 0 ? VirtioFeatures.IndirectDescriptors : 0) | (random.Next(2) == 0 ? VirtioFeatures.EventIndex : 0));
            var noise = new byte[16 * 7 + 8];
            random.NextBytes(noise);
            _guest.Memory.TryWrite(RingAt, noise);
            for (var i = 0; i < 4; i++) ring.OfferRaw((Data + (ulong)random.Next(0x1000), (uint)random.Next(64), (ushort)random.Next(8)));
            _guest.Notify(0);
            _guest.Acknowledge();
        }
        Assert.NotEmpty(_guest.Log);
    }
}
