// Destinations, arbitration and the ways between the controllers of a whole machine.
using Lamina.Core.Interrupts;
using Lamina.Devices.Chipset;
using Xunit;

namespace Lamina.Tests.Devices.Chipset;

public sealed class ApicBusTests
{
    private static IEnumerable<int> Hit(ApicTestMachine machine) =>
        Enumerable.Range(0, machine.Controllers.LocalApics.Count).Where(i => machine[i].HasInterrupt);

    [Fact]
    public void Physical_destinations_are_ids()
    {
        var machine = new ApicTestMachine(4).Enabled();
        Assert.True(machine.Send(InterruptDeliveryMode.Fixed, 0x41, destination: 2));
        Assert.False(machine.Send(InterruptDeliveryMode.Fixed, 0x41, destination: 4));
        Assert.Equal([2], Hit(machine));
    }

    [Fact]
    public void A_bus_holds_255_local_apics()
    {
        var machine = new ApicTestMachine(255).Enabled();
        machine[254].Set(0x310, 0xff00_0000);
        machine[254].Set(0x300, 0x41);
        Assert.Equal(255, Hit(machine).Count());
    }

    [Fact]
    public void Flat_logical_destinations_are_masks()
    {
        var machine = new ApicTestMachine(4).Enabled();
        for (var i = 0; i < 4; i++) machine[i].Set(0xd0, 1u << (24 + i));

        machine.Send(InterruptDeliveryMode.Fixed, 0x41, destination: 0x0a, logical: true);

        Assert.Equal([1, 3], Hit(machine));
    }

    [Fact]
    public void Cluster_logical_destinations_are_a_cluster_and_a_mask()
    {
        var machine = new ApicTestMachine(4).Enabled();
        foreach (var (vcpu, logical) in new[] { (0, 0x11u), (1, 0x12u), (2, 0x21u), (3, 0x22u) })
        {
            machine[vcpu].Set(0xe0, 0x0fff_ffff);
            machine[vcpu].Set(0xd0, logical << 24);
        }

        machine.Send(InterruptDeliveryMode.Fixed, 0x41, destination: 0x23, logical: true);

        Assert.Equal([2, 3], Hit(machine));
    }

    [Theory]
    [InlineData(0x000c4041u, new[] { 1, 2 })]
    [InlineData(0x00084041u, new[] { 0, 1, 2 })]
    [InlineData(0x00044041u, new[] { 0 })]
    public void Shorthands(uint command, int[] expected)
    {
        var machine = new ApicTestMachine(3).Enabled();
        machine[0].Set(0x300, command);
        Assert.Equal(expected, Hit(machine));
    }

    [Fact]
    public void Lowest_priority_goes_to_the_least_urgent()
    {
        var machine = new ApicTestMachine(3).Enabled();
        (machine[0].TaskPriority, machine[1].TaskPriority, machine[2].TaskPriority) = (3, 1, 2);
        machine.Send(InterruptDeliveryMode.LowestPriority, 0x41, InterruptMessage.Broadcast, logical: true);
        Assert.Equal([1], Hit(machine));
    }

    [Fact]
    public void Equal_priorities_take_turns()
    {
        var machine = new ApicTestMachine(3).Enabled();
        for (byte vector = 0x41; vector < 0x44; vector++)
            machine.Send(InterruptDeliveryMode.LowestPriority, vector, InterruptMessage.Broadcast, logical: true);
        Assert.Equal([0, 1, 2], Hit(machine));
    }

    [Fact]
    public void Lowest_priority_passes_over_those_that_take_nothing()
    {
        var machine = new ApicTestMachine(2);
        machine[1].Set(0xf0, 0x1ff);
        for (byte vector = 0x41; vector < 0x45; vector++)
            Assert.True(machine.Send(InterruptDeliveryMode.LowestPriority, vector, InterruptMessage.Broadcast));
        Assert.Equal([1], Hit(machine));
        machine[1].Set(0xf0, 0xff);
        Assert.False(machine.Send(InterruptDeliveryMode.LowestPriority, 0x42, InterruptMessage.Broadcast));
    }

    [Fact]
    public void A_kernels_start_of_a_second_cpu()
    {
        var machine = new ApicTestMachine(2).Enabled();
        machine[0].Set(0x310, 0x0100_0000);
        machine[0].Set(0x300, 0xc500);
        machine[0].Set(0x300, 0x8500);
        machine[0].Set(0x300, 0x0699);

        Assert.Equal(1, machine.Signals[1].Inits);
        Assert.Equal([(byte)0x99], machine.Signals[1].StartUps);
        Assert.Equal(0, machine.Signals[0].Inits);
    }

    [Fact]
    public void An_nmi_to_all_others()
    {
        var machine = new ApicTestMachine(3).Enabled();
        machine[1].Set(0x300, 0xc4400);
        Assert.Equal([1, 0, 1], machine.Signals.Select(signal => signal.NonMaskable));
    }

    [Fact]
    public void A_level_interrupt_goes_through_the_io_apic_and_back()
    {
        var machine = new ApicTestMachine().Enabled();
        var (ioApic, line) = (machine.Controllers.IoApic!, machine.Controllers.Router.CreateLine(20));
        ioApic.Out32(0, 0x10 + 2 * 20);
        ioApic.Out32(0x10, 0x8051);

        line.SetLevel(true);
        Assert.Equal(0x51, machine[0].Acknowledge());
        machine[0].Set(0xb0, 0);
        Assert.Equal(0x51, machine[0].Acknowledge());
        line.SetLevel(false);
        machine[0].Set(0xb0, 0);

        Assert.False(machine[0].HasInterrupt);
        Assert.Equal(0x8051u, ioApic.In32(0x10));
    }

    [Fact]
    public void The_broadcast_of_an_end_can_be_suppressed()
    {
        var machine = new ApicTestMachine().Enabled();
        machine[0].Set(0xf0, 0x11ff);
        var (ioApic, line) = (machine.Controllers.IoApic!, machine.Controllers.Router.CreateLine(20));
        ioApic.Out32(0, 0x10 + 2 * 20);
        ioApic.Out32(0x10, 0x8051);
        line.SetLevel(true);
        machine[0].Acknowledge();

        machine[0].Set(0xb0, 0);
        Assert.False(machine[0].HasInterrupt);
        ioApic.Out32(0x40, 0x51);

        Assert.True(machine[0].HasInterrupt);
    }

    [Fact]
    public void Virtual_wire_from_the_8259_pair_before_the_apic_is_enabled()
    {
        var machine = new ApicTestMachine();
        machine.InitialisePic();
        var line = machine.Controllers.Router.CreateIsaLine(4);

        line.SetLevel(true);

        Assert.True(machine[0].HasInterrupt);
        Assert.Equal(1, machine.Signals[0].Pending);
        Assert.Equal(0x24, machine[0].Acknowledge());
        Assert.False(machine[0].HasInterrupt);
    }

    [Fact]
    public void The_8259_pair_interrupts_past_the_task_priority_and_a_disabled_apic()
    {
        var machine = new ApicTestMachine();
        machine.InitialisePic();
        machine[0].TaskPriority = 15;
        machine.Controllers.Router.CreateIsaLine(4).SetLevel(true);
        Assert.True(machine[0].HasInterrupt);
        machine[0].WriteMsr(0x1b, 0xfee0_0100);
        Assert.True(machine[0].HasInterrupt);
        Assert.Equal(0x24, machine[0].Acknowledge());
    }

    [Fact]
    public void Masking_lint0_shuts_the_8259_pair_out()
    {
        var machine = new ApicTestMachine().Enabled();
        machine.InitialisePic();
        machine[0].Set(0x350, 0x10700);
        machine.Controllers.Router.CreateIsaLine(4).SetLevel(true);
        Assert.False(machine[0].HasInterrupt);
        machine[0].Set(0x350, 0x700);
        Assert.True(machine[0].HasInterrupt);
    }

    [Fact]
    public void Virtual_wire_through_the_io_apics_first_input()
    {
        var machine = new ApicTestMachine().Enabled();
        machine.InitialisePic();
        machine[0].Set(0x350, 0x10700);
        machine.Controllers.IoApic!.Out32(0, 0x10);
        machine.Controllers.IoApic!.Out32(0x10, 0x700);

        machine.Controllers.Router.CreateIsaLine(0).Pulse();

        Assert.True(machine[0].HasInterrupt);
        Assert.Equal(0x20, machine[0].Acknowledge());
        Assert.False(machine[0].HasInterrupt);
    }

    [Fact]
    public void Messages_of_devices_are_decoded()
    {
        Assert.Equal(new InterruptMessage(3, false, InterruptDeliveryMode.Fixed, 0x41, false), InterruptMessage.FromMsi(0xfee0_3000, 0x41));
        Assert.Equal(new InterruptMessage(0x81, true, InterruptDeliveryMode.LowestPriority, 0x41, false), InterruptMessage.FromMsi(0xfee8_100c, 0x41));
        Assert.Equal(new InterruptMessage(InterruptMessage.Broadcast, true, InterruptDeliveryMode.LowestPriority, 0x41, true), InterruptMessage.FromMsi(0xfeef_f004, 0xc141));
        Assert.Null(InterruptMessage.FromMsi(0xfee0_0000, 0x8041));
        Assert.Null(InterruptMessage.FromMsi(0xfed0_0000, 0x41));
        Assert.Null(InterruptMessage.FromMsi(0x1_fee0_0000, 0x41));
    }

    [Fact]
    public void Reset_of_all_controllers_keeps_the_lines()
    {
        var machine = new ApicTestMachine().Enabled();
        machine.InitialisePic();
        machine.Controllers.Router.CreateLine(20).SetLevel(true);
        machine.Send(InterruptDeliveryMode.Fixed, 0x41);

        machine.Controllers.Reset();

        Assert.False(machine[0].HasInterrupt);
        Assert.Equal(1u << 20, machine.Controllers.IoApic!.State.Lines);
    }
}
