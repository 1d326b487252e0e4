using Lamina.Devices.Virtio;
using Lamina.Devices.Virtio.Rings;
using Xunit;

namespace Lamina.Tests.Devices.Virtio;

public class SplitRingTests : IDisposable
{
    private const uint Size = 8;
    private const ulong RingAt = TestGuest.Ram;
    private const ulong Data = TestGuest.Ram + 0x1_0000;
    private const ulong Table = TestGuest.Ram + 0x2_0000;
    private const ulong End = TestGuest.Ram + TestGuest.RamLength;

    private readonly TestDevice _device = new(1);
    private readonly TestGuest _guest;
    private readonly List<DescriptorChain> _taken = [];
    private readonly List<string> _read = [];

    public SplitRingTests()
    {
        _guest = new TestGuest(_device);
        _device.Work = queue =>
        {
            while (queue.TryTake(out var chain))
            {
                var text = new byte[chain.ReadableLength];
                chain.Read(0, text);
                _read.Add(System.Text.Encoding.ASCII.GetString(text));
                queue.Complete(chain, (uint)chain.Write(0, "answer"u8));
            }
            return false;
        };
    }

    public void Dispose() => _guest.Dispose();

    private SplitDriver Start(ulong features = TestFeatures.Plain, uint size = Size)
    {
        _guest.Negotiate(features);
        var ring = new SplitDriver(_guest, 0, size, RingAt).Place();
        _guest.DriverOk();
        _guest.Workers.Run();
        return ring;
    }

    private void Text(ulong address, string text) => Assert.True(_guest.Memory.TryWrite(address, System.Text.Encoding.ASCII.GetBytes(text)));

    [Fact]
    public void A_chain_is_read_in_order_and_answered_with_its_head_and_length()
    {
        var ring = Start();
        Text(Data, "hel");
        Text(Data + 0x100, "lo");
        var head = ring.Offer(new(Data, 3), new(Data + 0x100, 2), new(Data + 0x200, 4, true), new(Data + 0x300, 100, true));

        _guest.Notify(0);

        Assert.Equal(["hello"], _read);
        Assert.Equal((head, 6u), ring.TakeUsed());
        Assert.Equal((uint)BitConverter.ToInt32("answ"u8), _guest.Load<uint>(Data + 0x200));
        Assert.Equal((ushort)BitConverter.ToInt16("er"u8), _guest.Load<ushort>(Data + 0x300));
    }

    [Fact]
    public void The_indices_wrap_around_many_times()
    {
        var ring = Start();
        for (var i = 0; i < 70_000; i++)
        {
            var head = ring.Offer(new Part(Data, 1), new Part(Data + 8, 8, true));
            _guest.Notify(0);
            Assert.Equal((head, 6u), ring.TakeUsed());
        }
        Assert.Equal(70_000 % 65536, ring.UsedIndex);
        Assert.False(_guest.NeedsReset);
    }

    [Fact]
    public void A_full_ring_is_worked_off_at_once()
    {
        var ring = Start();
        for (var i = 0; i < Size; i++) ring.Offer(new Part(Data, 1));

        _guest.Notify(0);

        for (var i = 0; i < Size; i++) Assert.Equal(((uint)i, 0u), ring.TakeUsed());
        Assert.Null(ring.TakeUsed());
        Assert.Equal(1, _guest.Line.Rises);
    }

    [Fact]
    public void What_the_device_writes_is_told_to_the_engine()
    {
        var ring = Start();
        _guest.Watcher.Writes.Clear();
        ring.Offer(new Part(Data, 8, true));
        var driverWrites = _guest.Watcher.Writes.Count;

        _guest.Notify(0);

        var writes = _guest.Watcher.Writes.Skip(driverWrites).ToList();
        Assert.Contains((Data, 6ul), writes);
        Assert.Contains((ring.Used + 4, 8ul), writes);
        Assert.Contains((ring.Used + 2, 2ul), writes);
    }

    [Fact]
    public void Zero_length_parts_are_allowed_and_skipped()
    {
        var ring = Start();
        Text(Data, "x");
        ring.Offer(new(0, 0), new(Data, 1), new(ulong.MaxValue, 0, true), new(Data + 8, 6, true));

        _guest.Notify(0);

        Assert.Equal(["x"], _read);
        Assert.Equal(6u, ring.TakeUsed()!.Value.Length);
    }

    [Fact]
    public void A_written_length_beyond_the_buffer_is_cut()
    {
        _device.Work = queue =>
        {
            while (queue.TryTake(out var chain)) queue.Complete(chain, uint.MaxValue);
            return false;
        };
        var ring = Start();
        ring.Offer(new Part(Data, 10, true));

        _guest.Notify(0);

        Assert.Equal(10u, ring.TakeUsed()!.Value.Length);
    }

    // What a hostile driver writes; each must end in DEVICE_NEEDS_RESET, with an interrupt, and no used buffer.
    public static TheoryData<string> Attacks =>
    [
        "loop of one", "loop of two", "loop behind data", "head outside", "next outside", "address outside", "address at the end",
        "address wraps", "length huge", "readable after writable", "index far ahead", "index behind",
        "indirect not negotiated",
    ];

    [Theory]
    [MemberData(nameof(Attacks))]
    public void A_broken_rule_breaks_the_device_and_nothing_else(string attack)
    {
        var ring = Start();
        var table = ring.Descriptors;
        ring.Describe(table, 0, Data, 8, 0);
        switch (attack)
        {
            case "loop of one": ring.Describe(table, 0, Data, 8, 1, 0); break;
            case "loop of two": ring.Describe(table, 0, Data, 8, 1, 1); ring.Describe(table, 1, Data, 8, 1, 0); break;
            case "loop behind data": ring.Describe(table, 0, Data, 8, 1, 1); ring.Describe(table, 1, Data, 8, 1, 2); ring.Describe(table, 2, Data, 0, 1, 1); break;
            case "head outside": ring.Publish((ushort)Size); goto done;
            case "next outside": ring.Describe(table, 0, Data, 8, 1, 0xffff); break;
            case "address outside": ring.Describe(table, 0, 0, 8, 0); break;
            case "address at the end": ring.Describe(table, 0, End - 4, 8, 0); break;
            case "address wraps": ring.Describe(table, 0, ulong.MaxValue - 3, 8, 0); break;
            case "length huge": ring.Describe(table, 0, Data, uint.MaxValue, 2); break;
            case "readable after writable": ring.Describe(table, 0, Data, 8, 3, 1); ring.Describe(table, 1, Data, 8, 0); break;
            case "index far ahead": ring.AvailableIndex = (ushort)(Size + 1); goto done;
            case "index behind": ring.AvailableIndex = 0xffff; goto done;
            case "indirect not negotiated": ring.Describe(table, 0, Table, 16, 4); break;
            default: Assert.Fail(attack); break;
        }
        ring.Publish(0);
    done:
        _guest.Notify(0);

        AssertBroken(ring);
    }

    private void AssertBroken(SplitDriver ring)
    {
        Assert.True(_guest.NeedsReset);
        Assert.Equal(2u, _guest.Acknowledge());
        Assert.Null(ring.TakeUsed());
        Assert.Single(_guest.Log);
        // It stays broken …
        ring.Offer(new Part(Data, 8));
        _guest.Notify(0);
        Assert.Null(ring.TakeUsed());
        Assert.Single(_guest.Log);
        // … until it is reset, and then works again.
        _guest.Memory.TryWrite(RingAt, new byte[0x1000]);
        var fresh = Start();
        Assert.False(_guest.NeedsReset);
        fresh.Offer(new Part(Data, 8));
        _guest.Notify(0);
        Assert.NotNull(fresh.TakeUsed());
    }

    public static TheoryData<string> IndirectAttacks =>
    [
        "empty", "odd length", "outside", "wraps", "huge", "nested", "with next", "loop", "next outside", "more than the limit",
    ];

    [Theory]
    [MemberData(nameof(IndirectAttacks))]
    public void A_broken_indirect_table_breaks_the_device_and_nothing_else(string attack)
    {
        var ring = Start(TestFeatures.Indirect);
        ring.Describe(Table, 0, Data, 8, 0);
        var (address, length, flags) = (Table, 16u, (ushort)4);
        switch (attack)
        {
            case "empty": length = 0; break;
            case "odd length": length = 24; break;
            case "outside": address = End - 8; break;
            case "wraps": address = ulong.MaxValue - 7; break;
            case "huge": length = 0xffff_fff0; break;
            case "nested": ring.Describe(Table, 0, Table, 16, 4); break;
            case "with next": flags = 5; break;
            case "loop": length = 32; ring.Describe(Table, 0, Data, 8, 1, 1); ring.Describe(Table, 1, Data, 8, 1, 0); break;
            case "next outside": ring.Describe(Table, 0, Data, 8, 1, 1); break;
            case "more than the limit":
                length = 2000 * 16;
                for (var i = 0u; i < 2000; i++) ring.Describe(Table, i, Data, 1, (ushort)(i < 1999 ? 1 : 0), (ushort)(i + 1));
                break;
            default: Assert.Fail(attack); break;
        }
        ring.Describe(ring.Descriptors, 0, address, length, flags);
        ring.Publish(0);

        _guest.Notify(0);

        AssertBroken(ring);
    }

    [Fact]
    public void An_indirect_table_is_walked_by_its_next_fields_whatever_the_outer_write_flag()
    {
        var ring = Start(TestFeatures.Indirect);
        Text(Data, "ab");
        ring.Describe(Table, 0, Data, 1, 1, 3);
        ring.Describe(Table, 3, Data + 1, 1, 1, 1);
        ring.Describe(Table, 1, Data + 0x100, 6, 2);
        ring.Describe(ring.Descriptors, 0, Table, 64, 4 | 2);
        ring.Publish(0);

        _guest.Notify(0);

        Assert.Equal(["ab"], _read);
        Assert.Equal((0u, 6u), ring.TakeUsed());
    }

    [Fact]
    public void Ordinary_descriptors_may_be_followed_by_one_indirect_one()
    {
        var ring = Start(TestFeatures.Indirect);
        Text(Data, "abc");
        ring.Describe(Table, 0, Data + 2, 1, 0);
        ring.Describe(ring.Descriptors, 0, Data, 2, 1, 1);
        ring.Describe(ring.Descriptors, 1, Table, 16, 4);
        ring.Publish(0);

        _guest.Notify(0);

        Assert.Equal(["abc"], _read);
    }

    [Fact]
    public void An_indirect_chain_may_be_longer_than_the_queue()
    {
        var ring = Start(TestFeatures.Indirect);
        for (var i = 0u; i < 1000; i++) ring.Describe(Table, i, Data + i, 1, (ushort)(i < 999 ? 1 : 0), (ushort)(i + 1));
        ring.Describe(ring.Descriptors, 0, Table, 16000, 4);
        ring.Publish(0);

        _guest.Notify(0);

        Assert.Equal(1000, Assert.Single(_read).Length);
    }

    // A queue of eight has chains of 1,024 at most, as one of 1,024 has.
    [Theory]
    [InlineData(1024u, true)]
    [InlineData(1025u, false)]
    public void A_chain_has_as_many_descriptors_as_the_limit_and_not_one_more(uint count, bool isTaken)
    {
        var ring = Start(TestFeatures.Indirect);
        for (var i = 0u; i < count; i++) ring.Describe(Table, i, Data + i, 1, (ushort)(i + 1 < count ? 1 : 0), (ushort)(i + 1));
        ring.Describe(ring.Descriptors, 0, Table, count * 16, 4);
        ring.Publish(0);

        _guest.Notify(0);

        if (isTaken) Assert.Equal((int)count, Assert.Single(_read).Length);
        else AssertBroken(ring);
    }

    [Fact]
    public void Descriptors_that_change_after_they_were_taken_change_nothing()
    {
        Virtqueue? queue = null;
        _device.Work = q =>
        {
            queue = q;
            while (q.TryTake(out var chain)) _taken.Add(chain);
            return false;
        };
        var ring = Start(TestFeatures.Indirect);
        ring.Describe(Table, 0, Data, 6, 2);
        ring.Describe(ring.Descriptors, 0, Table, 16, 4);
        ring.Publish(0);
        _guest.Notify(0);
        var chain = Assert.Single(_taken);

        ring.Describe(Table, 0, 0, uint.MaxValue, 7, 0);
        ring.Describe(ring.Descriptors, 0, 0, uint.MaxValue, 7, 0);
        Assert.Equal(6, chain.Write(0, "answers"u8));
        queue!.Complete(chain, 6);

        Assert.Equal((0u, 6u), ring.TakeUsed());
        Assert.Equal((uint)BitConverter.ToInt32("answ"u8), _guest.Load<uint>(Data));
        Assert.False(_guest.NeedsReset);
    }

    [Fact]
    public void A_buffer_offered_again_while_it_is_worked_on_ends_at_the_queues_size()
    {
        _device.Work = queue =>
        {
            while (queue.TryTake(out var chain)) _taken.Add(chain);
            return false;
        };
        var ring = Start();
        ring.Describe(ring.Descriptors, 0, Data, 8, 0);
        for (var i = 0; i < 3 * Size && !_guest.NeedsReset; i++)
        {
            ring.Publish(0);
            _guest.Notify(0);
        }

        Assert.True(_guest.NeedsReset);
        Assert.Equal((int)Size, _taken.Count);
    }

    [Fact]
    public void A_guest_cannot_fill_the_log()
    {
        for (var i = 0; i < 50; i++)
        {
            var ring = Start();
            ring.AvailableIndex = 100;
            _guest.Notify(0);
            Assert.True(_guest.NeedsReset);
        }

        Assert.Equal(10, _guest.Log.Count);
    }

    [Fact]
    public void A_chain_of_more_than_4_GiB_breaks_the_device()
    {
        const ulong large = 5ul << 30;
        var lengths = new List<uint>();
        var device = new TestDevice(1)
        {
            Work = queue =>
            {
                while (queue.TryTake(out var chain))
                {
                    lengths.Add(chain.WritableLength);
                    queue.Complete(chain, 0);
                }
                return false;
            },
        };
        using var guest = new TestGuest(device, ramLength: large);
        guest.Negotiate(TestFeatures.Plain);
        var ring = new SplitDriver(guest, 0, Size, RingAt).Place();
        guest.DriverOk();

        ring.Offer(new(Data, 0xffff_fffe, true), new(Data, 1, true));
        guest.Notify(0);
        Assert.Equal([uint.MaxValue], lengths);
        ring.Offer(new(Data, 0xffff_ffff, true), new(Data, 1, true));
        guest.Notify(0);

        Assert.True(guest.NeedsReset);
    }

    [Theory]
    [InlineData(0u), InlineData(3u), InlineData(32u), InlineData(65536u), InlineData(0xffff_ffffu)]
    public void An_impossible_queue_size_breaks_the_device(uint size)
    {
        _guest.Negotiate(TestFeatures.Plain);
        _guest.PlaceQueue(0, size, RingAt, RingAt + 0x1000, RingAt + 0x2000);
        _guest.DriverOk();

        Assert.True(_guest.NeedsReset);
    }

    [Theory]
    [InlineData(RingAt + 8, RingAt + 0x1000, RingAt + 0x2000)]
    [InlineData(RingAt, RingAt + 0x1001, RingAt + 0x2000)]
    [InlineData(RingAt, RingAt + 0x1000, RingAt + 0x2002)]
    [InlineData(0ul, RingAt + 0x1000, RingAt + 0x2000)]
    [InlineData(End - 0x70, RingAt + 0x1000, RingAt + 0x2000)]
    [InlineData(RingAt, End - 2, RingAt + 0x2000)]
    [InlineData(RingAt, RingAt + 0x1000, End - 64)]
    [InlineData(0xffff_ffff_ffff_fff0ul, RingAt + 0x1000, RingAt + 0x2000)]
    public void An_impossible_place_breaks_the_device(ulong descriptors, ulong driver, ulong device)
    {
        _guest.Negotiate(TestFeatures.Plain);
        _guest.PlaceQueue(0, Size, descriptors, driver, device);
        _guest.DriverOk();

        Assert.True(_guest.NeedsReset);
        Assert.Equal(2u, _guest.Acknowledge());
    }

    [Fact]
    public void A_ring_that_ends_with_RAM_works_to_its_last_byte()
    {
        _guest.Negotiate(TestFeatures.Events);
        var at = End - (16 * Size + 6 + 2 * Size + 6 + 8 * Size) & ~15ul;
        var ring = new SplitDriver(_guest, 0, Size, at).Place();
        _guest.DriverOk();
        ring.Offer(new Part(End - 6, 6, true));

        _guest.Notify(0);

        Assert.NotNull(ring.TakeUsed());
    }

    [Fact]
    public void Without_event_index_the_drivers_flag_suppresses_interrupts()
    {
        var ring = Start();
        ring.AvailableFlags = 1;
        ring.UsedEvent = 0; // to be ignored
        ring.Offer(new Part(Data, 8));
        _guest.Notify(0);
        Assert.NotNull(ring.TakeUsed());
        Assert.False(_guest.Line.Level);

        ring.AvailableFlags = 0;
        ring.Offer(new Part(Data, 8));
        _guest.Notify(0);

        Assert.True(_guest.Line.Level);
    }

    [Fact]
    public void Without_event_index_notifications_are_suppressed_while_the_queue_is_worked_on_only()
    {
        ushort during = 0;
        SplitDriver? ring = null;
        _device.Work = queue =>
        {
            while (queue.TryTake(out var chain))
            {
                during = ring!.UsedFlags;
                queue.Complete(chain, 0);
            }
            return false;
        };
        ring = Start();
        Assert.Equal(0, ring.UsedFlags);
        ring.Offer(new Part(Data, 8));

        _guest.Notify(0);

        Assert.Equal(1, during);
        Assert.Equal(0, ring.UsedFlags);
    }

    [Fact]
    public void With_event_index_an_interrupt_comes_when_the_wanted_entry_is_used()
    {
        var ring = Start(TestFeatures.Events);
        ring.AvailableFlags = 1; // to be ignored
        ring.UsedEvent = 2;
        for (var i = 0; i < 5; i++)
        {
            ring.Offer(new Part(Data, 8));
            _guest.Notify(0);
            Assert.Equal(i == 2, _guest.Line.Level);
            _guest.Acknowledge();
        }
    }

    [Fact]
    public void With_event_index_a_batch_that_passes_the_wanted_entry_interrupts_once()
    {
        var ring = Start(TestFeatures.Events);
        ring.UsedEvent = 3;
        for (var i = 0; i < 6; i++) ring.Offer(new Part(Data, 8));

        _guest.Notify(0);

        Assert.Equal(1, _guest.Line.Rises);
        Assert.Equal(0, ring.UsedFlags);
    }

    [Fact]
    public void With_event_index_the_device_asks_to_be_told_of_the_next_buffer()
    {
        var ring = Start(TestFeatures.Events);
        for (var i = 0; i < 3; i++)
        {
            ring.Offer(new Part(Data, 8));
            _guest.Notify(0);
        }

        Assert.Equal(3, ring.AvailableEvent);
    }

    [Fact]
    public void Event_index_survives_the_wrap_of_the_indices()
    {
        var ring = Start(TestFeatures.Events);
        for (var i = 0; i < 65_600; i++)
        {
            ring.UsedEvent = (ushort)i;
            ring.Offer(new Part(Data, 8));
            _guest.Notify(0);
            Assert.True(_guest.Line.Level, $"no interrupt for buffer {i}");
            _guest.Acknowledge();
        }
    }

    [Fact]
    public void A_device_that_asks_for_another_turn_gets_it()
    {
        var turns = 0;
        _device.Work = queue => ++turns < 5;
        Start();

        Assert.Equal(5, turns);
    }

    [Fact]
    public void Random_rings_never_throw_and_never_hang()
    {
        var random = new Random(815);
        for (var round = 0; round < 300; round++)
        {
            var features = TestFeatures.Plain | (random.Next(2) == 0 ? VirtioFeatures.IndirectDescriptors : 0) | (random.Next(2) == 0 ? VirtioFeatures.EventIndex : 0);
            var ring = Start(features);
            var noise = new byte[0x400];
            random.NextBytes(noise);
            _guest.Memory.TryWrite(RingAt, noise);
            // Most fields are made plausible, so that walks get far before they meet what is wrong.
            for (var i = 0u; i < Size; i++)
                if (random.Next(8) != 0) ring.Describe(ring.Descriptors, i, Data + (ulong)random.Next(0x1000), (uint)random.Next(64), (ushort)random.Next(8), (ushort)random.Next((int)Size));
            for (var i = 0u; i < 4; i++) ring.Describe(Data, i, Data + (ulong)random.Next(0x1000), (uint)random.Next(64), (ushort)random.Next(4), (ushort)random.Next(4));
            for (var i = 0u; i < Size; i++)
                if (random.Next(16) != 0) _guest.Store(ring.Available + 4 + 2 * i, (ushort)random.Next((int)Size));
            ring.AvailableIndex = (ushort)random.Next(0, (int)Size + 2);
            _guest.Notify(0);
            _guest.Acknowledge();
        }
        Assert.NotEmpty(_guest.Log);
        Assert.NotEmpty(_read);
    }
}
