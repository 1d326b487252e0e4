// The I/O APIC against the 82093AA data sheet, with a bus that records.
using Lamina.Core.Bus;
using Lamina.Core.Interrupts;
using Lamina.Devices.Chipset;
using Xunit;

namespace Lamina.Tests.Devices.Chipset;

public sealed class IoApicTests
{
    private const uint Masked = 1 << 16, Level = 1 << 15, RemoteIrr = 1 << 14;

    private readonly RecordingBus _bus = new();
    private readonly IoApic _ioApic;

    public IoApicTests() => _ioApic = new IoApic(_bus);

    private uint this[uint register]
    {
        get
        {
            _ioApic.Out(0, (int)register);
            return _ioApic.In32(0x10);
        }
        set
        {
            _ioApic.Out32(0, register);
            _ioApic.Out32(0x10, value);
        }
    }

    private void SetEntry(int input, uint low, byte destination = 0)
    {
        this[(uint)(0x11 + 2 * input)] = (uint)destination << 24;
        this[(uint)(0x10 + 2 * input)] = low;
    }

    private uint Low(int input) => this[(uint)(0x10 + 2 * input)];

    [Fact]
    public void Names_itself_with_an_eoi_register_and_24_inputs()
    {
        Assert.Equal(0x0017_0020u, this[1]);
        this[0] = 0xff00_0000;
        Assert.Equal(0x0f00_0000u, this[0]);
        Assert.Equal(0x0f00_0000u, this[2]);
        Assert.Equal(0u, this[0x50]);
    }

    [Fact]
    public void All_inputs_are_masked_after_reset()
    {
        for (var input = 0; input < 24; input++) Assert.Equal(Masked, Low(input));
    }

    [Fact]
    public void Entries_keep_their_writable_bits()
    {
        this[0x10] = 0xffff_ffff;
        this[0x11] = 0xffff_ffff;
        Assert.Equal((0x0001_afffu, 0xff00_0000u), (this[0x10], this[0x11]));
    }

    [Fact]
    public void An_edge_is_a_message()
    {
        SetEntry(4, 0x34, destination: 3);

        _ioApic.SetLine(4, true);
        _ioApic.SetLine(4, true);
        _ioApic.SetLine(4, false);

        Assert.Equal([new InterruptMessage(3, false, InterruptDeliveryMode.Fixed, 0x34, false)], _bus.Messages);
    }

    [Fact]
    public void A_masked_edge_is_lost()
    {
        SetEntry(4, Masked | 0x34);
        _ioApic.SetLine(4, true);
        SetEntry(4, 0x34);
        Assert.Empty(_bus.Messages);
    }

    [Fact]
    public void A_level_interrupts_once_until_its_end()
    {
        SetEntry(9, Level | 0x49);
        _ioApic.SetLine(9, true);
        Assert.Equal(Level | RemoteIrr | 0x49, Low(9));
        _ioApic.SetLine(9, false);
        _ioApic.SetLine(9, true);
        Assert.Single(_bus.Messages);

        _ioApic.EndInterrupt(0x49);

        Assert.Equal(2, _bus.Messages.Count);
        Assert.True(_bus.Messages[1].Level);
        _ioApic.SetLine(9, false);
        _ioApic.EndInterrupt(0x49);
        Assert.Equal(2, _bus.Messages.Count);
        Assert.Equal(Level | 0x49, Low(9));
    }

    [Fact]
    public void A_masked_level_is_delivered_when_unmasked()
    {
        SetEntry(9, Level | Masked | 0x49);
        _ioApic.SetLine(9, true);
        Assert.Empty(_bus.Messages);
        SetEntry(9, Level | 0x49);
        Assert.Single(_bus.Messages);
    }

    [Fact]
    public void A_level_that_nobody_accepts_waits()
    {
        _bus.Accepts = false;
        SetEntry(9, Level | 0x49);
        _ioApic.SetLine(9, true);
        Assert.Equal(Level | 0x49, Low(9));

        _bus.Accepts = true;
        SetEntry(9, Level | 0x49);

        Assert.Equal(Level | RemoteIrr | 0x49, Low(9));
    }

    [Fact]
    public void The_end_of_another_vector_changes_nothing()
    {
        SetEntry(9, Level | 0x49);
        _ioApic.SetLine(9, true);
        _ioApic.EndInterrupt(0x48);
        Assert.Single(_bus.Messages);
    }

    [Fact]
    public void The_end_of_a_vector_ends_all_inputs_that_use_it()
    {
        SetEntry(9, Level | 0x49);
        SetEntry(10, Level | 0x49);
        _ioApic.SetLine(9, true);
        _ioApic.SetLine(10, true);
        _ioApic.EndInterrupt(0x49);
        Assert.Equal(4, _bus.Messages.Count);
    }

    [Fact]
    public void The_eoi_register_ends_too()
    {
        SetEntry(9, Level | 0x49);
        _ioApic.SetLine(9, true);
        _ioApic.SetLine(9, false);
        _ioApic.Out32(0x40, 0x49);
        Assert.Equal(Level | 0x49, Low(9));
    }

    [Fact]
    public void Switching_to_edge_and_back_clears_remote_irr()
    {
        SetEntry(9, Level | 0x49);
        _ioApic.SetLine(9, true);
        SetEntry(9, Masked | 0x49);
        SetEntry(9, Masked | Level | 0x49);
        Assert.Equal(Masked | Level | 0x49, Low(9));
    }

    [Fact]
    public void Remote_irr_survives_masking()
    {
        SetEntry(9, Level | 0x49);
        _ioApic.SetLine(9, true);
        SetEntry(9, Masked | Level | 0x49);
        SetEntry(9, Level | 0x49);
        Assert.Single(_bus.Messages);
    }

    [Theory]
    [InlineData(0x0034u, 0xff, InterruptDeliveryMode.Fixed, false, InterruptMessage.Broadcast)]
    [InlineData(0x0134u, 0x02, InterruptDeliveryMode.LowestPriority, false, 2u)]
    [InlineData(0x0934u, 0x81, InterruptDeliveryMode.LowestPriority, true, 0x81u)]
    [InlineData(0x0400u, 0x00, InterruptDeliveryMode.Nmi, false, 0u)]
    [InlineData(0x0500u, 0x00, InterruptDeliveryMode.Init, false, 0u)]
    [InlineData(0x0700u, 0x00, InterruptDeliveryMode.External, false, 0u)]
    public void Modes_and_destinations_are_passed_on(uint low, byte destination, InterruptDeliveryMode mode, bool logical, uint expected)
    {
        SetEntry(5, low, destination);
        _ioApic.SetLine(5, true);
        Assert.Equal([new InterruptMessage(expected, logical, mode, (byte)low, false)], _bus.Messages);
    }

    [Theory]
    [InlineData(0x0234u)]
    [InlineData(0x0334u)]
    [InlineData(0x0634u)]
    public void Modes_without_meaning_send_nothing(uint low)
    {
        SetEntry(5, low);
        _ioApic.SetLine(5, true);
        Assert.Empty(_bus.Messages);
    }

    [Fact]
    public void An_nmi_is_an_edge_whatever_its_entry_says()
    {
        SetEntry(5, Level | 0x0400);
        _ioApic.SetLine(5, true);
        Assert.Single(_bus.Messages);
        Assert.Equal(0u, Low(5) & RemoteIrr);
        SetEntry(5, Level | 0x0400);
        Assert.Single(_bus.Messages);
    }

    [Fact]
    public void Only_the_index_takes_narrow_writes()
    {
        Assert.Equal(AccessResult.InvalidSize, _ioApic.Write(0x10, [1]));
        Assert.Equal(AccessResult.Ok, _ioApic.Write(0x00, [1]));
        Assert.Equal(AccessResult.InvalidSize, _ioApic.Read(0x10, new byte[8]));
        Assert.Equal(AccessResult.Unclaimed, _ioApic.Read(0x14, new byte[4]));
        Assert.Equal(AccessResult.Unclaimed, _ioApic.Write(0x80, new byte[4]));
        Assert.Equal(0x20, _ioApic.In(0x10));
    }

    [Fact]
    public void Reset_masks_and_keeps_the_lines()
    {
        _ioApic.SetLine(9, true);
        _ioApic.Reset();
        SetEntry(9, Level | 0x49);
        Assert.Single(_bus.Messages);
    }

    private sealed class RecordingBus : IInterruptBus
    {
        public List<InterruptMessage> Messages { get; } = [];

        public bool Accepts { get; set; } = true;

        public bool Deliver(in InterruptMessage message)
        {
            Messages.Add(message);
            return Accepts;
        }
    }
}
