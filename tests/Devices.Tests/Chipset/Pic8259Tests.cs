// The 8259 pair against the 8259A data sheet.
using Lamina.Devices.Chipset;
using Xunit;

namespace Lamina.Tests.Devices.Chipset;

public sealed class Pic8259Tests
{
    private readonly RecordingLine _output = new();
    private readonly Pic8259Pair _pic;

    public Pic8259Tests() => _pic = new Pic8259Pair(_output);

    private void Initialise(int icw4 = 0x01)
    {
        _pic.Master.Out(0, 0x11);
        _pic.Master.Out(1, 0x20);
        _pic.Master.Out(1, 0x04);
        _pic.Master.Out(1, icw4);
        _pic.Slave.Out(0, 0x11);
        _pic.Slave.Out(1, 0x28);
        _pic.Slave.Out(1, 0x02);
        _pic.Slave.Out(1, icw4);
    }

    private void Pulse(int input)
    {
        _pic.SetLine(input, true);
        _pic.SetLine(input, false);
    }

    [Fact]
    public void Before_initialisation_nothing_is_requested()
    {
        Pulse(3);
        Assert.False(_output.Level);
    }

    [Fact]
    public void Nothing_is_requested_in_the_middle_of_the_initialisation()
    {
        _pic.Master.Out(0, 0x11);
        _pic.Master.Out(1, 0x20);
        Pulse(3);
        Assert.False(_output.Level);
        _pic.Master.Out(1, 0x04);
        _pic.Master.Out(1, 0x01);
        Assert.True(_output.Level);
    }

    [Fact]
    public void The_fourth_word_is_only_expected_when_announced()
    {
        _pic.Master.Out(0, 0x10);
        _pic.Master.Out(1, 0x40);
        _pic.Master.Out(1, 0x04);
        _pic.Master.Out(1, 0xfe);
        Assert.Equal(0xfe, _pic.Master.In(1));
        Pulse(0);
        Assert.Equal(0x40, _pic.Acknowledge());
    }

    [Fact]
    public void An_edge_is_acknowledged_once_with_its_vector()
    {
        Initialise();
        Pulse(4);

        Assert.True(_output.Level);
        Assert.Equal(0x24, _pic.Acknowledge());
        Assert.False(_output.Level);
        Assert.Equal(0x10, _pic.State.Master.InService);
    }

    [Fact]
    public void The_slaves_vectors_come_through_the_cascade()
    {
        Initialise();
        Pulse(8);

        Assert.True(_output.Level);
        Assert.Equal(0x28, _pic.Acknowledge());
        Assert.Equal((0x04, 0x01), (_pic.State.Master.InService, _pic.State.Slave.InService));
    }

    [Fact]
    public void A_second_request_of_the_slave_follows_when_both_were_ended()
    {
        Initialise();
        Pulse(8);
        Pulse(12);
        Assert.Equal(0x28, _pic.Acknowledge());
        Assert.False(_output.Level);

        _pic.Slave.Out(0, 0x20);
        Assert.False(_output.Level);
        _pic.Master.Out(0, 0x20);

        Assert.True(_output.Level);
        Assert.Equal(0x2c, _pic.Acknowledge());
    }

    [Fact]
    public void Lower_numbers_come_first_and_block_higher_ones()
    {
        Initialise();
        Pulse(5);
        Pulse(1);
        Assert.Equal(0x21, _pic.Acknowledge());
        Assert.False(_output.Level);
        Pulse(0);
        Assert.Equal(0x20, _pic.Acknowledge());
        _pic.Master.Out(0, 0x20);
        Assert.False(_output.Level);
        _pic.Master.Out(0, 0x20);
        Assert.Equal(0x25, _pic.Acknowledge());
    }

    [Fact]
    public void Masked_inputs_wait()
    {
        Initialise();
        _pic.Master.Out(1, 0x10);
        Pulse(4);
        Assert.False(_output.Level);
        _pic.Master.Out(0, 0x0a);
        Assert.Equal(0x10, _pic.Master.In(0));

        _pic.Master.Out(1, 0x00);

        Assert.True(_output.Level);
    }

    [Fact]
    public void Masking_a_request_takes_it_back_and_the_acknowledge_is_spurious()
    {
        Initialise();
        Pulse(12);
        _pic.Slave.Out(1, 0xff);

        Assert.False(_output.Level);
        Assert.Equal(0x27, _pic.Acknowledge());
        Assert.Equal((0, 0), (_pic.State.Master.InService, _pic.State.Slave.InService));
    }

    [Fact]
    public void A_level_that_goes_away_is_spurious()
    {
        Initialise();
        _pic.EdgeLevel.Out(0, 0x20);
        _pic.SetLine(5, true);
        Assert.True(_output.Level);
        _pic.SetLine(5, false);

        Assert.False(_output.Level);
        Assert.Equal(0x27, _pic.Acknowledge());
    }

    [Fact]
    public void A_level_that_stays_interrupts_again_after_its_end()
    {
        Initialise();
        _pic.EdgeLevel.Out(1, 0x02);
        _pic.SetLine(9, true);
        Assert.Equal(0x29, _pic.Acknowledge());

        _pic.Slave.Out(0, 0x20);
        _pic.Master.Out(0, 0x20);

        Assert.Equal(0x29, _pic.Acknowledge());
    }

    [Fact]
    public void An_edge_that_stays_does_not_interrupt_again()
    {
        Initialise();
        _pic.SetLine(3, true);
        _pic.Acknowledge();
        _pic.Master.Out(0, 0x20);
        Assert.False(_output.Level);
    }

    [Fact]
    public void Edge_level_registers_keep_only_their_writable_bits()
    {
        _pic.EdgeLevel.Out(0, 0xff);
        _pic.EdgeLevel.Out(1, 0xff);
        Assert.Equal((0xf8, 0xde), (_pic.EdgeLevel.In(0), _pic.EdgeLevel.In(1)));
    }

    [Fact]
    public void Specific_end_of_interrupt_ends_the_named_level()
    {
        Initialise();
        Pulse(5);
        _pic.Acknowledge();
        Pulse(1);
        _pic.Acknowledge();

        _pic.Master.Out(0, 0x65);

        Assert.Equal(0x02, _pic.State.Master.InService);
    }

    [Fact]
    public void Rotation_on_end_makes_the_served_level_the_last()
    {
        Initialise();
        Pulse(1);
        _pic.Acknowledge();
        _pic.Master.Out(0, 0xa0);
        Pulse(1);
        Pulse(5);

        Assert.Equal(0x25, _pic.Acknowledge());
    }

    [Fact]
    public void Set_priority_names_the_lowest_level()
    {
        Initialise();
        _pic.Master.Out(0, 0xc4);
        Pulse(0);
        Pulse(5);
        Assert.Equal(0x25, _pic.Acknowledge());
    }

    [Fact]
    public void Rotation_on_specific_end_names_both()
    {
        Initialise();
        Pulse(3);
        _pic.Acknowledge();
        _pic.Master.Out(0, 0xe3);
        Pulse(3);
        Pulse(7);
        Assert.Equal(0x27, _pic.Acknowledge());
    }

    [Fact]
    public void Automatic_end_leaves_nothing_in_service()
    {
        Initialise(icw4: 0x03);
        Pulse(1);
        Pulse(9);
        Assert.Equal(0x21, _pic.Acknowledge());
        Assert.Equal(0x29, _pic.Acknowledge());
        Assert.Equal((0, 0), (_pic.State.Master.InService, _pic.State.Slave.InService));
        Assert.False(_output.Level);
    }

    [Fact]
    public void Automatic_end_can_rotate()
    {
        Initialise(icw4: 0x03);
        _pic.Master.Out(0, 0x80);
        Pulse(1);
        _pic.Acknowledge();
        Pulse(1);
        Pulse(6);
        Assert.Equal(0x26, _pic.Acknowledge());

        _pic.Master.Out(0, 0x00);
        _pic.Acknowledge();
        Assert.Equal(7, _pic.State.Master.HighestPriority);
    }

    [Fact]
    public void Special_mask_mode_lets_lower_levels_in()
    {
        Initialise();
        Pulse(1);
        _pic.Acknowledge();
        Pulse(6);
        Assert.False(_output.Level);

        _pic.Master.Out(1, 0x02);
        _pic.Master.Out(0, 0x68);

        Assert.Equal(0x26, _pic.Acknowledge());
        _pic.Master.Out(0, 0x20);
        Assert.Equal(0x02, _pic.State.Master.InService);
        _pic.Master.Out(0, 0x48);
        _pic.Master.Out(0, 0x20);
        Assert.Equal(0x00, _pic.State.Master.InService);
    }

    [Fact]
    public void Special_fully_nested_mode_lets_the_slave_interrupt_itself()
    {
        Initialise(icw4: 0x11);
        Pulse(12);
        _pic.Acknowledge();

        Pulse(9);

        Assert.True(_output.Level);
        Assert.Equal(0x29, _pic.Acknowledge());
    }

    [Fact]
    public void A_poll_acknowledges()
    {
        Initialise();
        Pulse(6);
        _pic.Master.Out(0, 0x0c);

        Assert.Equal(0x86, _pic.Master.In(0));
        Assert.Equal(0x40, _pic.State.Master.InService);
        _pic.Master.Out(0, 0x0c);
        Assert.Equal(0x00, _pic.Master.In(0));
    }

    [Fact]
    public void The_first_port_shows_requests_or_service()
    {
        Initialise();
        Pulse(1);
        _pic.Acknowledge();
        Pulse(6);

        _pic.Master.Out(0, 0x0b);
        Assert.Equal(0x02, _pic.Master.In(0));
        _pic.Master.Out(0, 0x0a);
        Assert.Equal(0x40, _pic.Master.In(0));
    }

    [Fact]
    public void Initialisation_forgets_edges_masks_and_service()
    {
        Initialise();
        _pic.Master.Out(1, 0xf0);
        Pulse(1);
        _pic.Acknowledge();
        Pulse(3);

        Initialise();

        Assert.Equal(0x00, _pic.Master.In(1));
        Assert.Equal((0, 0), (_pic.State.Master.InService, _pic.State.Master.Requests));
        Assert.False(_output.Level);
    }

    [Fact]
    public void The_cascade_takes_no_line()
    {
        Initialise();
        _pic.SetLine(2, true);
        Assert.False(_output.Level);
    }

    [Fact]
    public void Reset_keeps_only_the_lines()
    {
        Initialise();
        _pic.EdgeLevel.Out(0, 0x20);
        _pic.SetLine(5, true);

        _pic.Reset();
        Assert.False(_output.Level);
        Initialise();
        Assert.False(_output.Level);
        _pic.EdgeLevel.Out(0, 0x20);

        Assert.True(_output.Level);
    }
}
