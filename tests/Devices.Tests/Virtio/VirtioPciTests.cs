// Virtio over PCI (virtio 1.2, 4.1): how a function is found, its registers, messages and pin, and the legacy interface.
using Lamina.Devices.Virtio;
using Lamina.Devices.Virtio.Rings;
using Xunit;

namespace Lamina.Tests.Devices.Virtio;

public sealed class VirtioPciTests : IDisposable
{
    private const ulong Data = TestGuest.Ram + 0x1_0000;
    private const ulong Features = VirtioFeatures.Version1 | 1;
    private const uint Ready = 15;

    private readonly TestDevice _device = new(2);
    private readonly PciGuest _guest;

    public VirtioPciTests() => _guest = new PciGuest(_device);

    public void Dispose() => _guest.Dispose();

    private SplitDriver Start(bool messages = false)
    {
        Assert.Equal(11u, _guest.Negotiate(Features));
        if (messages) _guest.UseMessages(2);
        var ring = new SplitDriver(null!, 0, 0, 0);
        for (uint queue = 2; queue-- > 0;) ring = Place(queue);
        _guest.DriverOk();
        _guest.Workers.Run();
        return ring;
    }

    private SplitDriver Place(uint queue) => new SplitDriver(_guest, queue, 16, TestGuest.Ram + (0x1000 * queue)).Place();

    private uint TakeInterruptStatus() => _guest.Read(0x1000, 1);

    [Fact]
    public void A_driver_finds_its_device_and_the_structures()
    {
        Assert.Equal(0x1001_1af4u, _guest.Machine.Read(PciGuest.Device, 0));
        Assert.Equal(0x0100_0000u, _guest.Machine.Read(PciGuest.Device, 8));
        Assert.Equal(0x0002_1af4u, _guest.Machine.Read(PciGuest.Device, 0x2c));
        var found = new Dictionary<uint, (uint Bar, uint Offset, uint Length)>();
        for (var at = (int)_guest.Machine.Read(PciGuest.Device, 0x34, 1); at != 0; at = (int)_guest.Machine.Read(PciGuest.Device, at + 1, 1))
            if (_guest.Machine.Read(PciGuest.Device, at, 1) == 9) found.Add(_guest.Machine.Read(PciGuest.Device, at + 3, 1), (_guest.Machine.Read(PciGuest.Device, at + 4, 1), _guest.Machine.Read(PciGuest.Device, at + 8), _guest.Machine.Read(PciGuest.Device, at + 12)));
        Assert.Equal([1u, 2u, 3u, 4u, 5u], found.Keys.Order());
        Assert.Equal((4u, 0u, 0x3cu), found[1]);
        Assert.Equal((4u, 0x3000u, 0x1000u), found[2]);
        Assert.Equal((4u, 0x1000u, 1u), found[3]);
        Assert.Equal((4u, 0x2000u, 0x1000u), found[4]);
    }

    [Fact]
    public void A_type_without_a_transitional_number_has_the_modern_registers_only()
    {
        using var guest = new PciGuest(new Modern());

        Assert.Equal(0x1053_1af4u, guest.Machine.Read(PciGuest.Device, 0));
        Assert.Equal(1u, guest.Machine.Read(PciGuest.Device, 8, 1));
        Assert.Equal(0u, guest.Machine.Read(PciGuest.Device, 0x10));
        Assert.Equal(0xffu, guest.ReadLegacy(0x12, 1));
        Assert.Equal(11u, guest.Negotiate(VirtioFeatures.Version1));
    }

    [Fact]
    public void The_common_registers_say_what_there_is()
    {
        Assert.Equal((2u, 0xffffu), (_guest.Read(0x12, 2), _guest.Read(0x10, 2)));
        _guest.Write(0, 1);
        Assert.Equal(1u, _guest.Read(4) & 1);
        _guest.Write(0, 2);
        Assert.Equal(0u, _guest.Read(4));
        _guest.Write(0x16, 1, 2);
        Assert.Equal((16u, 0u, 1u, 0xffffu), (_guest.Read(0x18, 2), _guest.Read(0x1c, 2), _guest.Read(0x1e, 2), _guest.Read(0x1a, 2)));
        _guest.Write(0x16, 2, 2);
        Assert.Equal((0u, 0u), (_guest.Read(0x18, 2), _guest.Read(0x1c, 2)));
        Assert.Equal(0x04030201u, _guest.Read(0x2000));
        _guest.Write(0x2001, 0x99, 1);
        Assert.Equal(0x0403_9901u, _guest.Read(0x2000));
        _device.ConfigGeneration = 0x1_0007;
        Assert.Equal(7u, _guest.Read(0x15, 1));
    }

    [Fact]
    public void A_register_is_written_as_a_whole()
    {
        _guest.Write(0x14, 3, 2);
        _guest.Write(0x14, 3, 4);
        _guest.Write(0x17, 0, 1);
        _guest.Write(0x15, 1, 2);
        Assert.Equal(0u, _guest.Status);
        // Read-only registers, and behind the last one.
        foreach (var (offset, length) in new (ulong, int)[] { (4, 4), (0x12, 2), (0x15, 1), (0x1e, 2), (0x38, 2), (0x3c, 2), (0x40, 4), (0xff8, 4) }) _guest.Write(offset, uint.MaxValue, length);
        Assert.Equal((2u, 0u), (_guest.Read(0x12, 2), _guest.Read(0x3c)));
    }

    [Fact]
    public void Buffers_go_through_a_queue_and_the_pin_tells_of_them()
    {
        var ring = Start();
        ring.Offer(new Part(Data, 16));
        _guest.Notify(0);

        Assert.NotNull(ring.TakeUsed());
        Assert.True(_guest.Machine.Line.Level);
        Assert.Equal(1u, TakeInterruptStatus());
        Assert.False(_guest.Machine.Line.Level);
        Assert.Equal(0u, TakeInterruptStatus());
        _device.Host.ConfigurationChanged();
        Assert.Equal((true, 2u), (_guest.Machine.Line.Level, TakeInterruptStatus()));
    }

    [Fact]
    public void A_queue_has_all_descriptors_where_the_driver_does_not_say()
    {
        _guest.Negotiate(Features);
        _guest.Write(0x20, (uint)TestGuest.Ram);
        _guest.Write(0x28, (uint)TestGuest.Ram + 0x400);
        _guest.Write(0x30, (uint)TestGuest.Ram + 0x800);
        _guest.Write(0x1c, 1, 2);
        _guest.DriverOk();

        Assert.Equal(16, _device.Host.Queues[0].Size);
        // It does not change while it is there, and nobody disables it so.
        _guest.Write(0x18, 8, 2);
        _guest.Write(0x1c, 0, 2);
        Assert.Equal((16u, 1u), (_guest.Read(0x18, 2), _guest.Read(0x1c, 2)));
    }

    [Fact]
    public void Each_queue_and_the_configuration_have_their_message()
    {
        var first = Start(messages: true);
        var second = new SplitDriver(_guest, 1, 16, TestGuest.Ram + 0x1000);
        second.Offer(new Part(Data, 16));
        _guest.Notify(1);
        first.Offer(new Part(Data, 16));
        _guest.Notify(0);
        _device.Host.ConfigurationChanged();

        Assert.Equal([0x42u, 0x41u, 0x40u], _guest.Machine.Messages.Sent.Select(sent => sent.Data));
        Assert.False(_guest.Machine.Line.Level);
        // 4.1.5.1.4: the bit is there for the configuration alone.
        Assert.Equal(2u, TakeInterruptStatus());
    }

    [Fact]
    public void A_queue_without_a_message_sends_none_and_a_message_that_is_not_there_is_none()
    {
        var ring = Start(messages: true);
        _guest.Write(0x16, 0, 2);
        _guest.Write(0x1a, 3, 2);
        Assert.Equal(0xffffu, _guest.Read(0x1a, 2));
        _guest.Write(0x10, 9, 2);
        Assert.Equal(0xffffu, _guest.Read(0x10, 2));
        ring.Offer(new Part(Data, 16));
        _guest.Notify(0);
        _device.Host.ConfigurationChanged();

        Assert.NotNull(ring.TakeUsed());
        Assert.Empty(_guest.Machine.Messages.Sent);
    }

    [Fact]
    public void A_masked_message_comes_when_it_may()
    {
        var ring = Start(messages: true);
        _guest.Machine.WriteMemory((uint)PciGuest.Table + 28, 1);
        ring.Offer(new Part(Data, 16));
        _guest.Notify(0);
        Assert.Empty(_guest.Machine.Messages.Sent);

        _guest.Machine.WriteMemory((uint)PciGuest.Table + 28, 0);

        Assert.Equal([0x41u], _guest.Machine.Messages.Sent.Select(sent => sent.Data));
    }

    [Fact]
    public void A_reset_by_status_silences_all()
    {
        var ring = Start();
        ring.Offer(new Part(Data, 16));
        _guest.Notify(0);
        Assert.True(_guest.Machine.Line.Level);

        _guest.Write(0x14, 0, 1);

        Assert.False(_guest.Machine.Line.Level);
        Assert.Equal((0u, 0u, 0u), (_guest.Status, _guest.Read(0x1c, 2), TakeInterruptStatus()));
        Assert.False(_device.Host.Queues[0].IsLive);
        // The function is where it was.
        Assert.Equal(11u, _guest.Negotiate(Features));
    }

    [Fact]
    public void One_queue_is_reset_alone()
    {
        Assert.Equal(11u, _guest.Negotiate(Features | VirtioFeatures.RingReset));
        Place(1);
        Place(0);
        _guest.DriverOk();
        _guest.Write(0x16, 0, 2);

        _guest.Write(0x3a, 1, 2);

        Assert.Equal((0u, 0u, 16u), (_guest.Read(0x3a, 2), _guest.Read(0x1c, 2), _guest.Read(0x18, 2)));
        Assert.Equal((false, true), (_device.Host.Queues[0].IsLive, _device.Host.Queues[1].IsLive));
    }

    [Fact]
    public void The_machines_reset_takes_it_off_the_bus()
    {
        Start();

        _guest.Function.Reset();

        Assert.Equal(0xffu, _guest.Read(0x14, 1));
        Assert.False(_device.Host.Queues[0].IsLive);
        _guest.Answer();
        Assert.Equal((0u, 0xffffu), (_guest.Status, _guest.Read(0x10, 2)));
    }

    [Fact]
    public void Registers_are_reached_through_configuration_space_too()
    {
        var access = 0;
        for (var at = (int)_guest.Machine.Read(PciGuest.Device, 0x34, 1); at != 0; at = (int)_guest.Machine.Read(PciGuest.Device, at + 1, 1))
            if (_guest.Machine.Read(PciGuest.Device, at + 3, 1) == 5 && _guest.Machine.Read(PciGuest.Device, at, 1) == 9) access = at;
        void Aim(uint bar, uint offset, uint length)
        {
            _guest.Machine.Write(PciGuest.Device, access + 4, bar, 1);
            _guest.Machine.Write(PciGuest.Device, access + 8, offset);
            _guest.Machine.Write(PciGuest.Device, access + 12, length);
        }

        // Without its registers answering anywhere.
        _guest.Machine.Write(PciGuest.Device, 4, 0, 2);
        Aim(4, 0x14, 1);
        _guest.Machine.Write(PciGuest.Device, access + 16, 3, 1);
        Assert.Equal(3u, _guest.Machine.Read(PciGuest.Device, access + 16, 1));
        Aim(4, 0x12, 2);
        Assert.Equal(2u, _guest.Machine.Read(PciGuest.Device, access + 16, 2));
        Aim(0, 0x12, 1);
        Assert.Equal(3u, _guest.Machine.Read(PciGuest.Device, access + 16, 1));
        // What is nowhere does nothing.
        foreach (var (bar, offset, length) in new (uint, uint, uint)[] { (4, 0x4000, 4), (4, 0xffff_fffc, 4), (4, 0x13, 2), (4, 0x10, 3), (1, 0, 4), (7, 0, 4), (0, 0x80, 1), (4, 0, 0) })
        {
            Aim(bar, offset, length);
            _guest.Machine.Write(PciGuest.Device, access + 16, 0);
            _ = _guest.Machine.Read(PciGuest.Device, access + 16);
        }
        _guest.Machine.Write(PciGuest.Device, 4, 7, 2);
        Assert.Equal(3u, _guest.Status);
    }

    [Fact]
    public void A_legacy_driver_places_a_queue_by_its_page_and_is_ready_without_settling_features()
    {
        _guest.WriteLegacy(0x12, 0, 1);
        _guest.WriteLegacy(0x12, 3, 1);
        Assert.Equal(1u | 1 << 27 | 1 << 28 | 1 << 29, _guest.ReadLegacy(0, 4));
        _guest.WriteLegacy(4, 1, 4);
        _guest.WriteLegacy(0x0e, 0, 2);
        Assert.Equal((16u, 0u), (_guest.ReadLegacy(0x0c, 2), _guest.ReadLegacy(8, 4)));
        _guest.WriteLegacy(8, (uint)(TestGuest.Ram >> 12), 4);
        Assert.Equal((uint)(TestGuest.Ram >> 12), _guest.ReadLegacy(8, 4));
        _guest.WriteLegacy(0x12, 7, 1);
        Assert.Equal(7u, _guest.ReadLegacy(0x12, 1));
        Assert.Equal(1ul, _device.ActivatedFeatures);

        OfferLegacy();
        _guest.WriteLegacy(0x10, 0, 2);
        _guest.Workers.Run();

        Assert.Equal(1, _guest.Load<ushort>(TestGuest.Ram + 0x1002));
        Assert.True(_guest.Machine.Line.Level);
        Assert.Equal(1u, _guest.ReadLegacy(0x13, 1));
        Assert.False(_guest.Machine.Line.Level);
        // The configuration lies behind the vectors, where these are.
        Assert.Equal((0x04030201u, 0x04030201u), (_guest.ReadLegacy(0x14, 4), ReadBehindVectors()));
        _guest.WriteLegacy(8, 0, 4);
        Assert.False(_device.Host.Queues[0].IsLive);
        _guest.WriteLegacy(0x12, 0, 1);
        Assert.Equal(0u, _guest.ReadLegacy(0x12, 1));
    }

    private uint ReadBehindVectors()
    {
        _guest.SetTable(0x8000);
        _guest.WriteLegacy(0x14, 0, 2);
        _guest.WriteLegacy(0x16, 2, 2);
        Assert.Equal((0u, 2u), (_guest.ReadLegacy(0x14, 2), _guest.ReadLegacy(0x16, 2)));
        return _guest.ReadLegacy(0x18, 4);
    }

    private void OfferLegacy()
    {
        // Descriptors, 16 of 16 bytes; the available ring; a page further the used one.
        _guest.Store(TestGuest.Ram, Data);
        _guest.Store(TestGuest.Ram + 8, 16u);
        _guest.Store(TestGuest.Ram + 0x102, (ushort)1);
    }

    [Fact]
    public void A_legacy_driver_that_notifies_before_it_is_ready_is_served()
    {
        _guest.WriteLegacy(0x12, 3, 1);
        _guest.WriteLegacy(8, (uint)(TestGuest.Ram >> 12), 4);
        OfferLegacy();

        _guest.WriteLegacy(0x10, 0, 2);
        _guest.Workers.Run();

        Assert.Equal(1, _guest.Load<ushort>(TestGuest.Ram + 0x1002));
        // It has not said so, and does not find that it has.
        Assert.Equal(3u, _guest.ReadLegacy(0x12, 1));
        _guest.WriteLegacy(0x12, 7, 1);
        Assert.Equal((7u, Ready), (_guest.ReadLegacy(0x12, 1), _guest.Status));
        Assert.Equal(1, _device.Activations);
    }

    [Fact]
    public void A_legacy_driver_gets_no_features_that_it_cannot_have()
    {
        _device.Refused = 1;
        _guest.WriteLegacy(0x12, 3, 1);
        _guest.WriteLegacy(4, 1, 4);
        _guest.WriteLegacy(0x12, 7, 1);

        Assert.Equal(64u | 3, _guest.ReadLegacy(0x12, 1));
        Assert.Equal(0, _device.Activations);
    }

    [Fact]
    public void A_modern_driver_cannot_do_without_version_1() => Assert.Equal(3u, _guest.Negotiate(1));

    [Fact]
    public void Notifications_of_queues_that_are_not_there_are_nothing()
    {
        Start();
        _guest.Notify(2);
        _guest.Notify(1023);
        _guest.WriteLegacy(0x10, 0xffff, 2);
        Assert.Equal(Ready, _guest.Status);
    }

    private sealed class Modern : IVirtioDevice
    {
        public VirtioDeviceType Type => VirtioDeviceType.Vsock;

        public ulong Features => 0;

        public IReadOnlyList<VirtioQueueSpec> Queues { get; } = [new(16)];

        public uint ConfigGeneration => 0;

        public void Attach(IVirtioHost host)
        {
        }

        public bool Accepts(ulong features) => true;

        public void ReadConfig(int offset, Span<byte> data) => data.Clear();

        public void WriteConfig(int offset, ReadOnlySpan<byte> data)
        {
        }

        public void Activate(ulong features)
        {
        }

        public bool ProcessQueue(int index) => false;

        public void StopQueue(int index)
        {
        }

        public void Reset()
        {
        }
    }
}
