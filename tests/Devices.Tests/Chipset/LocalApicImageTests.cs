// What a local APIC's registers are worth on another one: counts go on where they were, what waits still waits.
using Lamina.Core.Interrupts;
using Lamina.Devices.Chipset;
using Xunit;

namespace Lamina.Tests.Devices.Chipset;

public sealed class LocalApicImageTests
{
    private const uint Periodic = 1 << 17, TscDeadline = 2 << 17, TscDeadlineMsr = 0x6e0;
    private const ulong Lvt = 0x320, Initial = 0x380, Current = 0x390, Divide = 0x3e0;

    private readonly ApicTestMachine _from = new ApicTestMachine(2).Enabled(), _to = new(2);

    private LocalApic Moved()
    {
        _to[1].Load(_from[1].Save());
        return _to[1];
    }

    [Fact]
    public void What_waits_and_what_is_in_service_waits_and_is_in_service_there()
    {
        _from[1].Set(0x80, 0x20);
        _from.Send(InterruptDeliveryMode.Fixed, 0x51, destination: 1);
        Assert.Equal(0x51, _from[1].Acknowledge());
        _from.Send(InterruptDeliveryMode.Fixed, 0x42, destination: 1);
        _from.Send(InterruptDeliveryMode.Fixed, 0x63, destination: 1, level: true);

        var apic = Moved();

        Assert.Equal(0x63, apic.Acknowledge());
        Assert.False(apic.HasInterrupt);
        apic.Set(0xb0, 0);
        apic.Set(0xb0, 0);
        Assert.Equal([0x42], apic.Drain());
        Assert.Equal((0x20u, 1u << 24), (apic.Get(0x80), apic.Get(0x20)));
    }

    [Fact]
    public void The_whole_register_page_and_the_mode_are_the_same_there()
    {
        _from[1].Set(0xd0, 0x0200_0000);
        _from[1].Set(0xe0, 0x0fff_ffff);
        _from[1].Set(0x350, 0x8765);
        _from[1].Set(0x370, 0x44);
        _from[1].Set(0x310, 0x0100_0000);
        _from[1].EnterX2Apic();

        var apic = Moved();

        Assert.Equal(_from[1].Save().Registers, apic.Save().Registers);
        Assert.Equal(_from[1].ReadMsr(0x1b), apic.ReadMsr(0x1b));
        Assert.Equal(1ul, apic.ReadMsr(0x802));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(Periodic)]
    public void A_count_goes_on_where_it_was(uint mode)
    {
        _from[1].Set(Divide, 0xb);
        _from[1].Set(Lvt, mode | 0x40);
        _from[1].Set(Initial, 1_000_000);
        _from.Clock.Advance(400_000);

        var apic = Moved();

        Assert.Equal(600_000u, apic.Get(Current));
        _to.Clock.Advance(599_999);
        Assert.False(apic.HasInterrupt);
        _to.Clock.Advance(1);
        Assert.Equal([0x40], apic.Drain());
        _to.Clock.Advance(1_000_000);
        Assert.Equal(mode == Periodic, apic.HasInterrupt);
    }

    [Fact]
    public void A_deadline_holds_there()
    {
        _from[1].Set(Lvt, TscDeadline | 0x40);
        _from[1].WriteMsr(TscDeadlineMsr, 2_000_000);

        var apic = Moved();

        _to.Clock.Advance(999_999);
        Assert.False(apic.HasInterrupt);
        _to.Clock.Advance(1);
        Assert.Equal([0x40], apic.Drain());
        Assert.Equal(0ul, apic.ReadMsr(TscDeadlineMsr));
    }

    [Fact]
    public void A_message_is_written_as_a_device_would_write_it()
    {
        foreach (var mode in (InterruptDeliveryMode[])[InterruptDeliveryMode.Fixed, InterruptDeliveryMode.LowestPriority, InterruptDeliveryMode.Nmi])
        {
            foreach (var (destination, logical, level) in ((uint, bool, bool)[])[(3, false, false), (InterruptMessage.Broadcast, true, true)])
            {
                var message = new InterruptMessage(destination, logical, mode, 0x77, level);
                var (address, data) = message.ToMsi();
                Assert.Equal(message, InterruptMessage.FromMsi(address, data));
            }
        }
    }
}
