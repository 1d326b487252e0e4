// The 16550A against the PC16550D data sheet: registers, FIFOs, interrupt priorities, loopback, flow control.
using System.Text;
using Lamina.Devices.Chipset;
using Xunit;

namespace Lamina.Tests.Devices.Chipset;

public sealed class Serial16550ATests
{
    private const int Rbr = 0, Ier = 1, Iir = 2, Fcr = 2, Lcr = 3, Mcr = 4, Lsr = 5, Msr = 6, Scr = 7;
    private const long CharacterTime9600 = 10 * 16 * 12 * 1_000_000_000L / 1_843_200;

    private readonly ManualClock _clock = new();
    private readonly RecordingLine _line = new();
    private readonly ScriptedBackend _backend = new();
    private readonly Serial16550A _uart;

    public Serial16550ATests()
    {
        _uart = new Serial16550A(_clock, _line, _backend);
        // A guest that polls for input.
        for (var i = 0; i < 32; i++) _uart.In(Lsr);
    }

    [Fact]
    public void Output_is_with_the_backend_when_the_write_returns()
    {
        foreach (var value in "hello"u8) _uart.Out(Rbr, value);

        Assert.Equal("hello", Encoding.ASCII.GetString([.. _backend.Written]));
        Assert.Equal(0x60, _uart.In(Lsr));
    }

    [Fact]
    public void The_divisor_hides_behind_its_latch_bit()
    {
        _uart.Out(Lcr, 0x83);
        _uart.Out(0, 0x34);
        _uart.Out(1, 0x12);

        Assert.Equal((0x34, 0x12), (_uart.In(0), _uart.In(1)));
        _uart.Out(Lcr, 0x03);
        Assert.Equal((0, 0), (_uart.In(0), _uart.In(1)));
        Assert.Equal(0x1234, _uart.State.Divisor);
        Assert.Empty(_backend.Written);
    }

    [Fact]
    public void Scratch_and_control_registers_keep_their_writable_bits()
    {
        _uart.Out(Scr, 0xa5);
        _uart.Out(Ier, 0xff);
        _uart.Out(Mcr, 0xff);

        Assert.Equal((0xa5, 0x0f, 0x1f), (_uart.In(Scr), _uart.In(Ier), _uart.In(Mcr)));
    }

    [Fact]
    public void Fifo_bits_show_in_the_identification_register()
    {
        Assert.Equal(0x01, _uart.In(Iir));
        _uart.Out(Fcr, 0x01);
        Assert.Equal(0xc1, _uart.In(Iir));
        _uart.Out(Fcr, 0x00);
        Assert.Equal(0x01, _uart.In(Iir));
    }

    [Theory]
    [InlineData(0x01, 1)]
    [InlineData(0x41, 4)]
    [InlineData(0x81, 8)]
    [InlineData(0xc1, 14)]
    public void Received_data_interrupt_at_the_trigger_level(int fcr, int level)
    {
        _uart.Out(Mcr, 0x08);
        _uart.Out(Fcr, fcr);
        _uart.Out(Ier, 0x01);

        for (var i = 1; i < level; i++) _backend.Type((byte)i);
        Assert.False(_line.Level);
        _backend.Type(0xee);

        Assert.True(_line.Level);
        Assert.Equal(0xc4, _uart.In(Iir));
        _uart.In(Rbr);
        Assert.False(_line.Level);
    }

    [Fact]
    public void Four_silent_character_times_raise_the_time_out()
    {
        _uart.Out(Mcr, 0x08);
        _uart.Out(Lcr, 0x03);
        _uart.Out(Fcr, 0xc1);
        _uart.Out(Ier, 0x01);
        _backend.Type(1, 2);

        _clock.ExpireEarly();
        _clock.Advance(3 * CharacterTime9600);
        _uart.In(Rbr);
        _clock.Advance(3 * CharacterTime9600);
        Assert.False(_line.Level);
        _clock.Advance(CharacterTime9600 + 10);

        Assert.True(_line.Level);
        Assert.Equal(0xcc, _uart.In(Iir));
        Assert.Equal(2, _uart.In(Rbr));
        Assert.False(_line.Level);
        Assert.Equal(0xc1, _uart.In(Iir));
    }

    [Fact]
    public void An_emptied_fifo_raises_no_time_out()
    {
        _uart.Out(Fcr, 0xc1);
        _uart.Out(Ier, 0x01);
        _backend.Type(1);
        _uart.In(Rbr);

        _clock.Advance(1_000_000_000);

        Assert.Equal(0xc1, _uart.In(Iir));
        Assert.Null(_clock.NextDeadline);
    }

    [Fact]
    public void Without_fifos_one_character_is_held_and_interrupts()
    {
        _uart.Out(Mcr, 0x08);
        _uart.Out(Ier, 0x01);

        _backend.Type(0x41, 0x42);

        Assert.Equal(1, _backend.Waiting);
        Assert.Equal(0x04, _uart.In(Iir));
        Assert.Equal(0x61, _uart.In(Lsr));
        Assert.Equal(0x41, _uart.In(Rbr));
        Assert.Equal(1, _backend.ReadyCalls);
    }

    [Fact]
    public void Pasted_text_larger_than_the_fifo_arrives_whole_and_in_order()
    {
        _uart.Out(Fcr, 0x01);
        var text = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(0, 500).Select(i => $"line {i}\n")));
        _backend.Type(text);
        var seen = new List<byte>();

        while (seen.Count < text.Length)
        {
            var ready = _backend.ReadyCalls;
            while ((_uart.In(Lsr) & 1) != 0) seen.Add(_uart.In(Rbr));
            if (_backend.ReadyCalls == ready) break;
            _backend.Offer();
        }

        Assert.Equal(text, seen);
        Assert.Equal(0, _uart.In(Lsr) & 0x02);
    }

    [Fact]
    public void The_backend_is_only_called_back_when_it_waits()
    {
        _uart.Out(Fcr, 0x01);
        _backend.Type(1, 2, 3);

        for (var i = 0; i < 3; i++) _uart.In(Rbr);

        Assert.Equal(0, _backend.ReadyCalls);
    }

    [Fact]
    public void Resetting_the_receiver_empties_it_of_all_but_what_the_line_would_have_held()
    {
        _uart.Out(Fcr, 0x01);
        _backend.Type(7);
        _uart.Out(Mcr, 0x10);
        _uart.Out(Rbr, 8);
        _uart.Out(Mcr, 0x00);

        _uart.Out(Fcr, 0x03);

        Assert.Equal((0x61, 7, 0x60), (_uart.In(Lsr), _uart.In(Rbr), _uart.In(Lsr)));
    }

    [Fact]
    public void Transmitter_interrupt_comes_with_its_enable_and_goes_with_identification()
    {
        _uart.Out(Mcr, 0x08);

        _uart.Out(Ier, 0x02);

        Assert.True(_line.Level);
        Assert.Equal(0x02, _uart.In(Iir));
        Assert.False(_line.Level);
        Assert.Equal(0x01, _uart.In(Iir));
    }

    [Fact]
    public void Each_transmitted_character_is_a_new_edge()
    {
        _uart.Out(Mcr, 0x08);
        _uart.Out(Ier, 0x02);
        var before = _line.Edges;

        _uart.Out(Rbr, 'a');
        _uart.Out(Rbr, 'b');

        Assert.Equal(before + 2, _line.Edges);
        Assert.True(_line.Level);
    }

    [Fact]
    public void Identification_that_reports_something_else_leaves_the_transmitter_pending()
    {
        _uart.Out(Ier, 0x03);
        _backend.Type(1);

        Assert.Equal(0x04, _uart.In(Iir));
        _uart.In(Rbr);
        Assert.Equal(0x02, _uart.In(Iir));
    }

    [Fact]
    public void Causes_are_reported_by_priority()
    {
        _uart.Out(Mcr, 0x10);
        _uart.Out(Ier, 0x0f);
        _uart.Out(Mcr, 0x11);
        _uart.Out(Rbr, 1);
        _uart.Out(Rbr, 2);

        Assert.Equal(0x06, _uart.In(Iir));
        Assert.Equal(0x02, _uart.In(Lsr) & 0x02);
        Assert.Equal(0x04, _uart.In(Iir));
        _uart.In(Rbr);
        Assert.Equal(0x02, _uart.In(Iir));
        Assert.Equal(0x00, _uart.In(Iir));
        _uart.In(Msr);
        Assert.Equal(0x01, _uart.In(Iir));
    }

    [Fact]
    public void Only_out2_lets_interrupts_through()
    {
        _uart.Out(Ier, 0x02);
        Assert.False(_line.Level);

        _uart.Out(Mcr, 0x08);
        Assert.True(_line.Level);

        _uart.Out(Mcr, 0x18);
        Assert.False(_line.Level);
    }

    [Fact]
    public void Loopback_returns_what_is_sent_and_keeps_it_from_the_backend()
    {
        _uart.Out(Fcr, 0x01);
        _uart.Out(Mcr, 0x10);

        _uart.Out(Rbr, 0x5a);

        Assert.Empty(_backend.Written);
        Assert.Equal(0x5a, _uart.In(Rbr));
    }

    [Fact]
    public void Loopback_holds_the_backend_and_leaving_it_lets_go()
    {
        _uart.Out(Mcr, 0x10);
        _backend.Type(7);
        Assert.Equal(1, _backend.Waiting);

        _uart.Out(Mcr, 0x00);
        _backend.Offer();

        Assert.Equal(1, _backend.ReadyCalls);
        Assert.Equal(7, _uart.In(Rbr));
    }

    [Theory]
    [InlineData(0x10, 0x00)]
    [InlineData(0x11, 0x20)]
    [InlineData(0x12, 0x10)]
    [InlineData(0x14, 0x40)]
    [InlineData(0x18, 0x80)]
    [InlineData(0x1f, 0xf0)]
    [InlineData(0x00, 0xb0)]
    public void Modem_inputs_follow_the_outputs_in_loopback(int mcr, int inputs)
    {
        _uart.Out(Mcr, mcr);
        Assert.Equal(inputs, _uart.In(Msr) & 0xf0);
    }

    [Fact]
    public void Modem_changes_are_remembered_until_read()
    {
        _uart.Out(Mcr, 0x14);
        _uart.In(Msr);

        _uart.Out(Mcr, 0x13);

        Assert.Equal(0x37, _uart.In(Msr));
        Assert.Equal(0x30, _uart.In(Msr));
    }

    [Fact]
    public void Overrun_keeps_the_fifo_and_is_cleared_by_reading_the_status()
    {
        _uart.Out(Fcr, 0x01);
        _uart.Out(Mcr, 0x10);
        for (var i = 0; i < 17; i++) _uart.Out(Rbr, i);

        Assert.Equal(0x63, _uart.In(Lsr));
        Assert.Equal(0x61, _uart.In(Lsr));
        for (var i = 0; i < 16; i++) Assert.Equal(i, _uart.In(Rbr));
        Assert.Equal(0x60, _uart.In(Lsr));
    }

    [Fact]
    public void Overrun_without_fifos_replaces_the_character()
    {
        _uart.Out(Mcr, 0x10);
        _uart.Out(Rbr, 1);
        _uart.Out(Rbr, 2);

        Assert.Equal(0x63, _uart.In(Lsr));
        Assert.Equal(2, _uart.In(Rbr));
    }

    [Fact]
    public void A_looped_break_arrives_as_a_flagged_zero()
    {
        _uart.Out(Fcr, 0x01);
        _uart.Out(Mcr, 0x10);
        _uart.Out(Rbr, 9);
        _uart.Out(Lcr, 0x43);
        _uart.Out(Rbr, 10);

        Assert.Equal(0xe1, _uart.In(Lsr));
        Assert.Equal(9, _uart.In(Rbr));
        Assert.Equal(0xf1, _uart.In(Lsr));
        Assert.Equal(0x61, _uart.In(Lsr));
        Assert.Equal(0, _uart.In(Rbr));
        Assert.Equal(0x60, _uart.In(Lsr));
    }

    [Fact]
    public void Wide_accesses_are_byte_cycles()
    {
        _uart.Write(Mcr, [0x0b, 0x00]);
        Assert.Equal(0x0b, _uart.In(Mcr));
        var data = new byte[4];
        _uart.Read(Mcr, data);
        Assert.Equal([0x0b, 0x60, 0xb0, 0x00], data);
    }

    [Fact]
    public void Reset_forgets_all_and_frees_the_line()
    {
        _uart.Out(Mcr, 0x08);
        _uart.Out(Fcr, 0x01);
        _uart.Out(Ier, 0x03);
        _backend.Type(new byte[17]);

        _uart.Reset();

        Assert.False(_line.Level);
        Assert.Equal((0x00, 0x01, 0x60), (_uart.In(Ier), _uart.In(Iir), _uart.In(Lsr)));
        Assert.Equal(1, _backend.ReadyCalls);
    }

    [Fact]
    public void A_line_that_takes_nothing_leaves_the_transmitter_full_and_later_all_arrives()
    {
        _uart.Out(Mcr, 0x08);
        _uart.Out(Fcr, 0x01);
        _backend.Room = 2;
        foreach (var value in "abcd"u8) _uart.Out(Rbr, value);
        _uart.Out(Ier, 0x02);

        Assert.Equal((0x00, 0xc1, false), (_uart.In(Lsr), _uart.In(Iir), _line.Level));

        _backend.MakeRoom(1);
        Assert.Equal((0x00, false), (_uart.In(Lsr), _line.Level));
        _backend.MakeRoom();

        Assert.Equal((0x60, true, 0xc2), (_uart.In(Lsr), _line.Level, _uart.In(Iir)));
        Assert.Equal("abcd", Encoding.ASCII.GetString([.. _backend.Written]));
        Assert.Equal(0, _uart.Lost);
    }

    [Theory]
    [InlineData(0x00, 1)]
    [InlineData(0x01, 16)]
    public void A_guest_that_does_not_look_at_the_transmitter_loses_what_has_no_place_and_that_is_counted(int fifos, int place)
    {
        _uart.Out(Fcr, fifos);
        _backend.Room = 0;
        for (var i = 0; i < 20; i++) _uart.Out(Rbr, i);

        _backend.MakeRoom();

        Assert.Equal(Enumerable.Range(0, place).Select(i => (byte)i), _backend.Written);
        Assert.Equal(20 - place, _uart.Lost);
    }

    [Fact]
    public void What_the_line_holds_back_outlives_resets_of_the_FIFO_and_of_the_machine()
    {
        _uart.Out(Fcr, 0x01);
        _backend.Room = 0;
        foreach (var value in "last words"u8) _uart.Out(Rbr, value);

        _uart.Out(Fcr, 0x07);
        _uart.Reset();
        Assert.Equal(0x00, _uart.In(Lsr));
        _backend.MakeRoom();

        Assert.Equal("last words", Encoding.ASCII.GetString([.. _backend.Written]));
        Assert.Equal(0x60, _uart.In(Lsr));
    }

    [Fact]
    public void A_paused_machine_sends_what_was_held_back_when_it_goes_on()
    {
        _uart.Out(Mcr, 0x08);
        _uart.Out(Ier, 0x02);
        _backend.Room = 0;
        _uart.Out(Rbr, 'a');

        _uart.Pause();
        _backend.MakeRoom();
        Assert.Empty(_backend.Written);
        Assert.False(_line.Level);
        _uart.Resume();

        Assert.Equal([(byte)'a'], _backend.Written);
        Assert.True(_line.Level);
    }

    [Fact]
    public void Input_waits_until_the_guest_s_driver_has_opened_the_port()
    {
        _uart.Reset();
        _backend.Type("one"u8);
        // Linux's start of a port: FIFOs cleared and off, what is pending read away, the pin on, interrupts on, and only then FIFOs on.
        foreach (var value in (int[])[0x01, 0x07, 0x00]) _uart.Out(Fcr, value);
        foreach (var register in (ulong[])[Lsr, Rbr, Iir, Msr]) _uart.In(register);
        _backend.Offer();
        Assert.Equal(3, _backend.Waiting);
        _uart.Out(Mcr, 0x0b);
        _backend.Offer();
        Assert.Equal(3, _backend.Waiting);
        var ready = _backend.ReadyCalls;
        _uart.Out(Ier, 0x05);
        Assert.Equal(ready + 1, _backend.ReadyCalls);
        _backend.Offer();
        _uart.Out(Fcr, 0x01);
        _uart.Out(Fcr, 0x81);

        var seen = "";
        while ((_uart.In(Lsr) & 1) != 0)
        {
            seen += (char)_uart.In(Rbr);
            if (_backend.Waiting != 0) _backend.Offer();
        }

        Assert.Equal("one", seen);
    }

    [Fact]
    public void A_guest_that_prints_does_not_poll_for_input_and_one_that_closes_its_port_listens_no_longer()
    {
        _uart.Reset();
        for (var i = 0; i < 100; i++)
        {
            // As often as a kernel looks that boots.
            for (var look = 0; look < 5; look++) _uart.In(Lsr);
            _uart.Out(Rbr, 'x');
            _uart.In(Lsr);
        }
        _backend.Type(1);
        Assert.Equal(1, _backend.Waiting);

        // A probe enables all interrupts for a moment, and none of them gets out.
        _uart.Out(Ier, 0x0f);
        _backend.Offer();
        Assert.Equal(1, _backend.Waiting);
        _uart.Out(Ier, 0x00);
        _uart.Out(Ier, 0x01);
        _uart.Out(Mcr, 0x08);
        _backend.Offer();
        Assert.Equal(0, _backend.Waiting);
        _uart.In(Rbr);
        _uart.Out(Ier, 0x00);
        _backend.Type(2);

        Assert.Equal(1, _backend.Waiting);
    }

    [Fact]
    public void Who_asks_again_and_again_when_the_line_takes_more_is_answered_at_leisure()
    {
        _backend.Room = 0;
        _uart.Out(Rbr, 'a');
        for (var i = 0; i < 64; i++) _uart.In(Lsr);
        Assert.Equal(0, _backend.Lingers);

        for (var i = 0; i < 10; i++) _uart.In(Lsr);
        Assert.Equal(10, _backend.Lingers);
        _backend.MakeRoom();
        for (var i = 0; i < 100; i++) _uart.In(Lsr);

        Assert.Equal(10, _backend.Lingers);
    }
}
