// The wires from devices to the controllers.
using Lamina.Devices.Chipset;
using Xunit;

namespace Lamina.Tests.Devices.Chipset;

public sealed class InterruptRouterTests
{
    private readonly ApicTestMachine _machine = new();

    private InterruptRouter Router => _machine.Controllers.Router;

    private uint Lines => _machine.Controllers.IoApic!.State.Lines;

    private int PicLines => _machine.Controllers.Pic!.State.Master.Lines | _machine.Controllers.Pic!.State.Slave.Lines << 8;

    [Theory]
    [InlineData(0, 1u << 2, 1 << 0)]
    [InlineData(1, 1u << 1, 1 << 1)]
    [InlineData(4, 1u << 4, 1 << 4)]
    [InlineData(8, 1u << 8, 1 << 8)]
    [InlineData(15, 1u << 15, 1 << 15)]
    public void Isa_interrupts_reach_both_controllers(int irq, uint ioApic, int pic)
    {
        Router.CreateIsaLine(irq).SetLevel(true);
        Assert.Equal((ioApic, pic), (Lines, PicLines));
    }

    [Fact]
    public void Higher_gsis_only_reach_the_io_apic()
    {
        Router.CreateLine(16).SetLevel(true);
        Router.CreateLine(23).SetLevel(true);
        Assert.Equal((0x0081_0000u, 0), (Lines, PicLines));
    }

    [Fact]
    public void A_shared_line_is_asserted_while_any_source_asserts_it()
    {
        var (first, second) = (Router.CreateLine(9), Router.CreateLine(9));
        first.SetLevel(true);
        second.SetLevel(true);
        second.SetLevel(true);
        first.SetLevel(false);
        Assert.Equal(1u << 9, Lines);
        first.SetLevel(false);
        second.SetLevel(false);
        Assert.Equal(0u, Lines);
    }

    [Fact]
    public void A_line_that_is_given_back_asserts_nothing_and_leaves_what_others_assert()
    {
        var (first, second) = (Router.CreateLine(9), Router.CreateLine(9));
        first.SetLevel(true);
        second.SetLevel(true);

        first.Dispose();
        first.SetLevel(true);
        Assert.Equal(1u << 9, Lines);
        second.Dispose();
        second.Dispose();

        Assert.Equal(0u, Lines);
        Router.CreateLine(9).SetLevel(true);
        Assert.Equal(1u << 9, Lines);
    }

    [Theory]
    [InlineData(0xfee0_0000ul, 0x4041u, true)]
    [InlineData(0xfee0_1000ul, 0x41u, false)] // there is no such CPU
    [InlineData(0xfed0_0000ul, 0x41u, false)] // not the local APICs' window
    [InlineData(0xfee0_0000ul, 0x8041u, false)] // the release of a level
    public void A_devices_message_reaches_the_local_APIC_that_it_names(ulong address, uint data, bool accepted)
    {
        _machine.Enabled();

        Assert.Equal(accepted, _machine.Controllers.Messages.Send(address, data));

        Assert.Equal(accepted, _machine[0].HasInterrupt);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(0)]
    [InlineData(24)]
    public void Gsis_without_a_wire_are_refused(int gsi) => Assert.Throws<ArgumentOutOfRangeException>(() => Router.CreateLine(gsi));

    [Theory]
    [InlineData(-1)]
    [InlineData(2)]
    [InlineData(16)]
    public void Isa_interrupts_without_a_wire_are_refused(int irq) => Assert.Throws<ArgumentOutOfRangeException>(() => Router.CreateIsaLine(irq));

    [Fact]
    public async Task Concurrent_sources_leave_the_line_as_the_last_of_them_left_it()
    {
        var sources = Enumerable.Range(0, 4).Select(_ => Router.CreateLine(9)).ToArray();

        await Task.WhenAll(sources.Select(source => Task.Run(() =>
        {
            for (var i = 0; i < 10_000; i++)
            {
                source.SetLevel(true);
                source.SetLevel(false);
            }
        })));

        Assert.Equal((0u, 0), (Lines, PicLines));
    }
}
