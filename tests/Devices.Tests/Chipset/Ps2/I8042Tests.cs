// The keyboard controller without devices, driven as a kernel's probe and reset paths drive it.
using Lamina.Devices.Chipset.Ps2;
using Xunit;

namespace Lamina.Tests.Devices.Chipset.Ps2;

public sealed class I8042Tests
{
    private readonly RecordingLine _line = new();
    private readonly I8042 _controller;
    private int _resets;

    public I8042Tests() => _controller = new I8042(_line, () => _resets++);

    private int Status => _controller.Command.In(0);

    private void Command(int value) => _controller.Command.Out(0, value);

    private int Answer()
    {
        Assert.Equal(1, Status & 1);
        return _controller.Data.In(0);
    }

    [Fact]
    public void Rests_with_empty_buffers()
    {
        Assert.Equal(0x14, Status);
    }

    [Theory]
    [InlineData(0xaa, 0x55)]
    [InlineData(0xab, 0x00)]
    [InlineData(0xa9, 0x01)]
    [InlineData(0xc0, 0x80)]
    [InlineData(0xd0, 0x03)]
    [InlineData(0xe0, 0x00)]
    [InlineData(0x20, 0x34)]
    public void Answers_commands_at_once(int command, int answer)
    {
        Command(command);
        Assert.Equal(0x1d, Status);
        Assert.Equal(answer, Answer());
        Assert.Equal(0x1c, Status);
    }

    [Theory]
    [InlineData(0xfe, 1)]
    [InlineData(0xf0, 1)]
    [InlineData(0xfc, 1)]
    [InlineData(0xff, 0)]
    [InlineData(0xf1, 0)]
    public void Pulsing_line_0_resets(int command, int resets)
    {
        Command(command);
        Assert.Equal(resets, _resets);
    }

    [Theory]
    [InlineData(0x02, 1)]
    [InlineData(0x03, 0)]
    [InlineData(0xdf, 0)]
    public void The_output_port_resets_by_bit_0(int value, int resets)
    {
        Command(0xd1);
        _controller.Data.Out(0, value);
        Assert.Equal(resets, _resets);
    }

    [Fact]
    public void The_output_port_reads_back_a20()
    {
        Command(0xd1);
        _controller.Data.Out(0, 0x01);
        Command(0xd0);
        Assert.Equal(0x01, Answer());
    }

    [Fact]
    public void The_configuration_keeps_what_is_written_and_the_port_switches_show_in_it()
    {
        Command(0x60);
        _controller.Data.Out(0, 0x74);
        Command(0xae);
        Command(0xa8);
        Command(0x20);
        Assert.Equal(0x44, Answer());
        Command(0xad);
        Command(0xa7);
        Command(0x20);
        Assert.Equal(0x74, Answer());
    }

    [Fact]
    public void All_of_the_ram_can_be_used()
    {
        Command(0x7f);
        _controller.Data.Out(0, 0x99);
        Command(0x3f);
        Assert.Equal(0x99, Answer());
    }

    [Fact]
    public void The_auxiliary_loop_comes_back_as_the_keyboards_so_that_a_probe_ends()
    {
        Command(0xd3);
        _controller.Data.Out(0, 0x5a);
        Assert.Equal(0, Status & 0x20);
        Assert.Equal(0x5a, Answer());
    }

    [Fact]
    public void Absent_devices_answer_by_time_out()
    {
        _controller.Data.Out(0, 0xf2);
        Assert.Equal(0x41, Status & 0x61);
        Assert.Equal(0xfe, Answer());

        Command(0xd4);
        _controller.Data.Out(0, 0xf2);
        Assert.Equal(0x61, Status & 0x61);
        Assert.Equal(0xfe, Answer());
    }

    [Fact]
    public void The_keyboards_interrupt_follows_the_buffer_when_enabled()
    {
        _controller.Data.Out(0, 0xf2);
        Assert.False(_line.Level);
        _controller.Data.In(0);

        Command(0x60);
        _controller.Data.Out(0, 0x05);
        _controller.Data.Out(0, 0xf2);
        Assert.True(_line.Level);
        _controller.Data.In(0);
        Assert.False(_line.Level);

        Command(0xd4);
        _controller.Data.Out(0, 0xf2);
        Assert.False(_line.Level);
    }

    [Fact]
    public void A_new_command_forgets_the_one_that_waits_for_its_parameter()
    {
        Command(0xd1);
        Command(0xaa);
        _controller.Data.In(0);
        _controller.Data.Out(0, 0x00);
        Assert.Equal(0, _resets);
    }

    [Fact]
    public void Unknown_commands_do_nothing()
    {
        for (var command = 0x80; command < 0xa7; command++) Command(command);
        Assert.Equal(0x1c, Status);
    }

    [Fact]
    public void Reset_empties_it()
    {
        Command(0x60);
        _controller.Data.Out(0, 0x05);
        _controller.Data.Out(0, 0xf2);
        _controller.Reset();
        Assert.False(_line.Level);
        Assert.Equal(0x14, Status);
    }
}
