using Lamina.Core.Bus;
using Lamina.Devices.Virtio.Mmio;
using Lamina.Devices.Virtio.Rings;
using Xunit;

namespace Lamina.Tests.Devices.Virtio;

public class VirtioMmioTests
{
    private const ulong QueueAt = TestGuest.Ram;

    private static readonly ulong[] WriteOnly = [0x14, 0x20, 0x24, 0x30, 0x38, 0x50, 0x64, 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4, 0xac];
    private static readonly ulong[] Readable = [0x00, 0x04, 0x08, 0x0c, 0x10, 0x34, 0x44, 0x60, 0x70, 0xb0, 0xb4, 0xb8, 0xbc, 0xc0, 0xfc];

    [Fact]
    public void Identity_registers_tell_magic_version_device_and_vendor()
    {
        using var guest = new TestGuest(new TestDevice(1));

        Assert.Equal(0x74726976u, guest.Read(0x00));
        Assert.Equal(2u, guest.Read(0x04));
        Assert.Equal(2u, guest.Read(0x08));
        Assert.NotEqual(0u, guest.Read(0x0c));
    }

    [Theory]
    [InlineData(1), InlineData(2), InlineData(4), InlineData(8)]
    public void Every_control_offset_takes_aligned_words_only_and_never_throws(int size)
    {
        using var guest = new TestGuest(new TestDevice(2));
        for (ulong offset = 0; offset < 0x100; offset++)
        {
            var data = new byte[size];
            var read = guest.Transport.Read(offset, data);
            var write = guest.Transport.Write(offset, data);

            var known = WriteOnly.Contains(offset) || Readable.Contains(offset);
            var expected = size != 4 || offset % 4 != 0 ? AccessResult.InvalidSize : known ? AccessResult.Ok : AccessResult.Unclaimed;
            Assert.Equal(expected, read);
            if (expected == AccessResult.InvalidSize) Assert.Equal(AccessResult.InvalidSize, write);
        }
    }

    [Fact]
    public void Write_only_registers_read_as_zero_and_read_only_ones_are_not_changed_by_writes()
    {
        using var guest = new TestGuest(new TestDevice(1));
        Assert.All(WriteOnly, offset => Assert.Equal(0u, guest.Read(offset)));

        var data = new byte[4];
        foreach (var offset in new ulong[] { 0x00, 0x04, 0x08, 0x0c, 0x10, 0x34, 0x60, 0xb0, 0xb4, 0xb8, 0xbc, 0xfc })
        {
            var before = guest.Read(offset);
            Assert.Equal(AccessResult.Unclaimed, guest.Transport.Write(offset, data));
            Assert.Equal(before, guest.Read(offset));
        }
    }

    [Fact]
    public void Offsets_behind_the_window_answer_nothing()
    {
        using var guest = new TestGuest(new TestDevice(1));
        var data = new byte[4];

        Assert.Equal(AccessResult.Unclaimed, guest.Transport.Read(VirtioMmio.WindowLength, data));
        Assert.Equal(AccessResult.Unclaimed, guest.Transport.Write(VirtioMmio.WindowLength, data));
        Assert.Equal(AccessResult.Unclaimed, guest.Transport.Read(ulong.MaxValue, data));
    }

    [Fact]
    public void Every_status_bit_by_bit_is_taken_in_order()
    {
        var device = new TestDevice(1);
        using var guest = new TestGuest(device);

        Assert.Equal(0u, guest.Status);
        Assert.Equal(11u, guest.Negotiate(TestFeatures.Plain));
        guest.DriverOk();
        Assert.Equal(15u, guest.Status);
        Assert.Equal(1, device.Activations);
        Assert.Equal(TestFeatures.Plain, device.ActivatedFeatures);
    }

    [Theory]
    [InlineData(0ul)] // the legacy interface
    [InlineData(VirtioFeatures.Version1 | 1ul << 60)] // not offered
    [InlineData(VirtioFeatures.Version1 | 1ul << 1)] // not offered by the device
    public void Features_that_cannot_be_are_refused_by_leaving_FEATURES_OK_clear(ulong features)
    {
        using var guest = new TestGuest(new TestDevice(1));

        Assert.Equal(3u, guest.Negotiate(features));
    }

    [Fact]
    public void Features_that_the_device_cannot_combine_are_refused()
    {
        using var guest = new TestGuest(new TestDevice(1) { Refused = 1 });

        Assert.Equal(3u, guest.Negotiate(TestFeatures.Plain | 1));
        Assert.Equal(11u, guest.Negotiate(TestFeatures.Plain));
    }

    [Fact]
    public void Features_behind_the_first_64_are_offered_as_zeros_and_refused()
    {
        using var guest = new TestGuest(new TestDevice(1));
        guest.Write(0x14, 2);
        Assert.Equal(0u, guest.Read(0x10));
        guest.Write(0x14, 0x8000_0000);
        Assert.Equal(0u, guest.Read(0x10));

        guest.Write(0x70, 3);
        guest.Write(0x24, 1);
        guest.Write(0x20, 1);
        guest.Write(0x24, 2);
        guest.Write(0x20, 1);
        guest.Write(0x70, 11);

        Assert.Equal(3u, guest.Status);
    }

    [Fact]
    public void Features_do_not_change_once_FEATURES_OK_stands()
    {
        var device = new TestDevice(1);
        using var guest = new TestGuest(device);
        guest.Negotiate(TestFeatures.Plain);

        guest.Write(0x24, 0);
        guest.Write(0x20, 1);
        guest.DriverOk();

        Assert.Equal(TestFeatures.Plain, device.ActivatedFeatures);
    }

    [Theory]
    [InlineData(4u)] // nothing acknowledged
    [InlineData(7u)] // no features agreed
    [InlineData(8u)] // no driver
    [InlineData(12u)]
    public void Steps_out_of_order_are_not_taken(uint status)
    {
        var device = new TestDevice(1);
        using var guest = new TestGuest(device);
        guest.Write(0x24, 1);
        guest.Write(0x20, (uint)(TestFeatures.Plain >> 32));

        guest.Write(0x70, status);

        Assert.Equal(status & 3, guest.Status);
        Assert.Equal(0, device.Activations);
    }

    [Fact]
    public void The_driver_can_neither_clear_status_bits_nor_set_the_devices_own()
    {
        using var guest = new TestGuest(new TestDevice(1));
        guest.Negotiate(TestFeatures.Plain);

        guest.Write(0x70, 1);
        Assert.Equal(11u, guest.Status);
        guest.Write(0x70, 0x40 | 0x30);
        Assert.Equal(11u, guest.Status);
    }

    [Fact]
    public void A_driver_that_gives_up_silences_the_device()
    {
        var device = new TestDevice(1);
        using var guest = new TestGuest(device);
        guest.Negotiate(TestFeatures.Plain);
        var ring = new SplitDriver(guest, 0, 8, QueueAt).Place();
        guest.DriverOk();
        ring.Offer(new Part(QueueAt + 0x1000, 8));

        guest.Write(0x70, 128);
        guest.Notify(0);

        Assert.Equal(128u | 15, guest.Status);
        Assert.Null(ring.TakeUsed());
    }

    [Fact]
    public void Queues_that_do_not_exist_have_size_zero_and_take_nothing()
    {
        using var guest = new TestGuest(new TestDevice(1));
        foreach (var index in new uint[] { 1, 0xffff, 0xffff_ffff })
        {
            guest.PlaceQueue(index, 8, QueueAt, QueueAt + 0x100, QueueAt + 0x200);
            Assert.Equal(0u, guest.Read(0x34));
            Assert.Equal(0u, guest.Read(0x44));
            guest.Write(0xc0, 1);
            guest.Notify(index);
        }
        guest.Negotiate(TestFeatures.Plain);
        guest.DriverOk();
        guest.Notify(0xffff_ffff);
        Assert.False(guest.NeedsReset);
    }

    [Fact]
    public void A_ready_queue_stays_where_it_is_until_it_is_stopped()
    {
        using var guest = new TestGuest(new TestDevice(1));
        guest.Negotiate(TestFeatures.Plain);
        var ring = new SplitDriver(guest, 0, 8, QueueAt).Place();
        guest.DriverOk();

        guest.Write(0x38, 0xffff_ffff);
        foreach (var register in new ulong[] { 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4 }) guest.Write(register, 0xdead_beef);
        ring.Offer(new Part(QueueAt + 0x1000, 8));
        guest.Notify(0);

        Assert.Equal(1u, guest.Read(0x44));
        Assert.NotNull(ring.TakeUsed());
    }

    [Fact]
    public void A_stopped_queue_is_not_touched_and_starts_afresh()
    {
        var device = new TestDevice(1);
        using var guest = new TestGuest(device);
        guest.Negotiate(TestFeatures.Plain);
        var ring = new SplitDriver(guest, 0, 8, QueueAt).Place();
        guest.DriverOk();
        guest.Write(0x44, 0);
        Assert.Equal(0u, guest.Read(0x44));
        ring.Offer(new Part(QueueAt + 0x1000, 8));
        guest.Notify(0);
        Assert.Null(ring.TakeUsed());
        Assert.Equal([0], device.StoppedQueues);

        ring.Place();
        guest.Workers.Run();

        Assert.NotNull(ring.TakeUsed());
    }

    [Fact]
    public void Queue_reset_forgets_the_queue_and_nothing_else()
    {
        var device = new TestDevice(2);
        using var guest = new TestGuest(device);
        guest.Negotiate(TestFeatures.Plain | VirtioFeatures.RingReset);
        var first = new SplitDriver(guest, 0, 8, QueueAt).Place();
        var second = new SplitDriver(guest, 1, 8, QueueAt + 0x800).Place();
        guest.DriverOk();

        guest.Write(0x30, 0);
        guest.Write(0xc0, 1);
        Assert.Equal(0u, guest.Read(0xc0));
        Assert.Equal(0u, guest.Read(0x44));
        first.Offer(new Part(QueueAt + 0x1000, 8));
        second.Offer(new Part(QueueAt + 0x1000, 8));
        guest.Notify(0);
        guest.Notify(1);

        Assert.Null(first.TakeUsed());
        Assert.NotNull(second.TakeUsed());
        Assert.Equal([0], device.StoppedQueues);
    }

    [Fact]
    public void Queue_reset_does_nothing_where_it_was_not_negotiated()
    {
        using var guest = new TestGuest(new TestDevice(1));
        guest.Negotiate(TestFeatures.Plain);
        new SplitDriver(guest, 0, 8, QueueAt).Place();
        guest.DriverOk();

        guest.Write(0xc0, 1);

        Assert.Equal(1u, guest.Read(0x44));
    }

    [Fact]
    public void A_used_buffer_asserts_the_line_until_it_is_acknowledged()
    {
        using var guest = new TestGuest(new TestDevice(1));
        guest.Negotiate(TestFeatures.Plain);
        var ring = new SplitDriver(guest, 0, 8, QueueAt).Place();
        guest.DriverOk();
        ring.Offer(new Part(QueueAt + 0x1000, 8));

        guest.Notify(0);
        Assert.True(guest.Line.Level);
        Assert.Equal(1u, guest.Read(0x60));
        guest.Write(0x64, 2);
        Assert.True(guest.Line.Level);
        guest.Write(0x64, 0xffff_ffff);

        Assert.False(guest.Line.Level);
        Assert.Equal(0u, guest.Read(0x60));
    }

    [Fact]
    public void A_changed_configuration_interrupts_a_live_driver_only()
    {
        var device = new TestDevice(1) { ConfigGeneration = 7 };
        using var guest = new TestGuest(device);
        device.Host.ConfigurationChanged();
        Assert.False(guest.Line.Level);
        guest.Negotiate(TestFeatures.Plain);
        guest.DriverOk();

        device.ConfigGeneration++;
        device.Host.ConfigurationChanged();

        Assert.True(guest.Line.Level);
        Assert.Equal(2u, guest.Acknowledge());
        Assert.Equal(8u, guest.Read(0xfc));
    }

    [Fact]
    public void Configuration_space_takes_accesses_of_any_size_and_ends_in_zeros()
    {
        var device = new TestDevice(1);
        using var guest = new TestGuest(device);

        Assert.Equal([1], guest.ReadConfig(0, 1));
        Assert.Equal([2, 3], guest.ReadConfig(1, 2));
        Assert.Equal([4, 5, 6, 7], guest.ReadConfig(3, 4));
        Assert.Equal([7, 8, 0, 0], guest.ReadConfig(6, 4));
        Assert.Equal(new byte[8], guest.ReadConfig(0xf8, 8));
        Assert.Equal(new byte[8], guest.ReadConfig(0xff, 8));
        Assert.Equal(AccessResult.Ok, guest.Transport.Write(0x102, [0xaa, 0xbb]));
        Assert.Equal([1, 2, 0xaa, 0xbb, 5, 6, 7, 8], device.Config);
    }

    [Fact]
    public void Shared_memory_regions_do_not_exist()
    {
        using var guest = new TestGuest(new TestDevice(1));
        foreach (var region in new uint[] { 0, 1, 255 })
        {
            guest.Write(0xac, region);
            foreach (var register in new ulong[] { 0xb0, 0xb4, 0xb8, 0xbc }) Assert.Equal(uint.MaxValue, guest.Read(register));
        }
    }

    [Fact]
    public void Reset_clears_everything_at_any_step()
    {
        var device = new TestDevice(1);
        using var guest = new TestGuest(device);
        guest.Negotiate(TestFeatures.Plain);
        var ring = new SplitDriver(guest, 0, 8, QueueAt).Place();
        guest.DriverOk();
        ring.Offer(new Part(QueueAt + 0x1000, 8));
        guest.Notify(0);

        guest.Write(0x70, 0);

        Assert.Equal(0u, guest.Status);
        Assert.Equal(0u, guest.Read(0x60));
        Assert.False(guest.Line.Level);
        Assert.Equal(0u, guest.Read(0x44));
        Assert.True(device.Resets > 0);
        guest.Write(0x70, 11);
        Assert.Equal(3u, guest.Status); // the features are forgotten too
    }

    [Fact]
    public void A_reset_device_stays_silent_although_the_worker_was_woken()
    {
        using var guest = new TestGuest(new TestDevice(1));
        guest.Negotiate(TestFeatures.Plain);
        var ring = new SplitDriver(guest, 0, 8, QueueAt).Place();
        guest.DriverOk();
        guest.Workers.Run();
        ring.Offer(new Part(QueueAt + 0x1000, 8));
        guest.Write(0x50, 0);

        guest.Write(0x70, 0);
        guest.Workers.Run();

        Assert.Null(ring.TakeUsed());
        Assert.False(guest.Line.Level);
    }

    [Fact]
    public void A_completion_that_comes_after_a_reset_goes_nowhere()
    {
        var device = new TestDevice(1);
        using var guest = new TestGuest(device);
        DescriptorChain? kept = null;
        device.Work = queue => queue.TryTake(out kept!) && false;
        guest.Negotiate(TestFeatures.Plain);
        var ring = new SplitDriver(guest, 0, 8, QueueAt).Place();
        guest.DriverOk();
        ring.Offer(new Part(QueueAt + 0x1000, 8, true));
        guest.Notify(0);
        Assert.NotNull(kept);

        guest.Write(0x70, 0);
        device.Host.Queues[0].Complete(kept, 8);
        device.Host.Queues[0].Signal();
        Assert.Equal(0, ring.UsedIndex);

        guest.Negotiate(TestFeatures.Plain);
        ring.Place();
        guest.DriverOk();
        device.Host.Queues[0].Complete(kept, 8);
        device.Host.Queues[0].Signal();
        Assert.Equal(0, ring.UsedIndex);
        Assert.False(guest.Line.Level);
    }

    [Fact]
    public void Notifications_before_the_device_is_live_do_nothing_and_the_buffers_are_found_later()
    {
        using var guest = new TestGuest(new TestDevice(1));
        guest.Notify(0);
        guest.Negotiate(TestFeatures.Plain);
        var ring = new SplitDriver(guest, 0, 8, QueueAt).Place();
        ring.Offer(new Part(QueueAt + 0x1000, 8));
        guest.Notify(0);
        Assert.Null(ring.TakeUsed());

        guest.DriverOk();
        guest.Workers.Run();

        Assert.NotNull(ring.TakeUsed());
    }

    [Fact]
    public void Workers_are_made_when_a_driver_comes_and_stopped_with_the_device()
    {
        var guest = new TestGuest(new TestDevice(2));
        Assert.Equal(0, guest.Workers.Created);
        guest.Negotiate(TestFeatures.Plain);
        guest.DriverOk();
        guest.Negotiate(TestFeatures.Plain);
        guest.DriverOk();
        Assert.Equal(2, guest.Workers.Created);

        guest.Dispose();

        Assert.True(guest.Workers.AllDisposed);
    }

    [Fact]
    public void Random_register_traffic_never_throws()
    {
        var random = new Random(4711);
        var device = new TestDevice(3);
        using var guest = new TestGuest(device);
        var data = new byte[8];
        for (var i = 0; i < 200_000; i++)
        {
            var offset = (ulong)random.Next(0, 0x208);
            if (random.Next(4) != 0) offset &= ~3ul;
            var size = random.Next(8) == 0 ? 1 << random.Next(4) : 4;
            random.NextBytes(data);
            if (random.Next(2) == 0) BitConverter.TryWriteBytes(data, (uint)random.Next(0, 16));
            if (random.Next(8) == 0) BitConverter.TryWriteBytes(data, (uint)(TestGuest.Ram + (ulong)random.Next(0, 0x1000) * 16));
            if (random.Next(3) == 0) guest.Transport.Read(offset, data.AsSpan(0, size));
            else guest.Transport.Write(offset, data.AsSpan(0, size));
            if (random.Next(64) == 0) guest.Negotiate(TestFeatures.Plain);
            if (random.Next(16) == 0) guest.Workers.Run(rounds: 10);
        }
        Assert.InRange(guest.Status, 0u, 255u);
        guest.Write(0x70, 0);
        Assert.Equal(0u, guest.Status);
    }
}
