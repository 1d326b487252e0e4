// The 8254 against its data sheet, with time turned by hand.
using Lamina.Devices.Chipset;
using Xunit;

namespace Lamina.Tests.Devices.Chipset;

public sealed class Pit8254Tests
{
    private const int Hz = 1_193_182;

    private readonly ManualClock _clock = new();
    private readonly RecordingLine _line = new();
    private readonly Pit8254 _pit;

    public Pit8254Tests() => _pit = new Pit8254(_clock, _line);

    /// <summary>The first nanosecond at which that many ticks are over.</summary>
    private static long Ticks(long ticks) => (ticks * 1_000_000_000 + Hz - 1) / Hz;

    private void Program(int channel, int mode, int count, bool bcd = false)
    {
        _pit.Counters.Out(3, channel << 6 | 0x30 | mode << 1 | (bcd ? 1 : 0));
        _pit.Counters.Out((ulong)channel, count & 0xff);
        _pit.Counters.Out((ulong)channel, count >> 8);
    }

    private int ReadCount(int channel)
    {
        _pit.Counters.Out(3, channel << 6);
        return _pit.Counters.In((ulong)channel) | _pit.Counters.In((ulong)channel) << 8;
    }

    private int ReadStatus(int channel)
    {
        _pit.Counters.Out(3, 0xe0 | 2 << channel);
        return _pit.Counters.In((ulong)channel);
    }

    private bool SpeakerOutput => (_pit.SystemControl.In(0) & 0x20) != 0;

    [Fact]
    public void Mode_0_rises_once_at_the_terminal_count()
    {
        Program(0, 0, 1000);

        _clock.Advance(Ticks(1000) - 1);
        Assert.False(_line.Level);
        _clock.Advance(1);

        Assert.True(_line.Level);
        _clock.Advance(1_000_000_000);
        Assert.Equal(1, _line.Edges);
        Assert.Null(_clock.NextDeadline);
    }

    [Fact]
    public void Mode_0_goes_on_counting_through_zero()
    {
        Program(2, 0, 10);
        _pit.SystemControl.Out(0, 1);
        _clock.Advance(Ticks(15));
        Assert.Equal(0x10000 - 5, ReadCount(2));
    }

    [Fact]
    public void Mode_0_first_byte_of_a_new_count_stops_it()
    {
        Program(0, 0, 100);
        _clock.Advance(Ticks(200));
        Assert.True(_line.Level);

        _pit.Counters.Out(0, 50);
        Assert.False(_line.Level);
        _clock.Advance(Ticks(1000));
        Assert.False(_line.Level);
        _pit.Counters.Out(0, 0);
        _clock.Advance(Ticks(50));

        Assert.True(_line.Level);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(6)]
    [InlineData(7)]
    public void Periodic_modes_rise_once_a_period(int mode)
    {
        Program(0, mode, 11_932);
        var first = _line.Edges;

        _clock.Advance(1_000_000_000 + 100_000);

        Assert.Equal(100, _line.Edges - first);
    }

    [Fact]
    public void Periods_do_not_drift()
    {
        Program(0, 2, 11_932);
        var first = _line.Edges;

        _clock.Advance(Ticks(11_932L * 100_000));

        Assert.Equal(100_000, _line.Edges - first);
    }

    [Fact]
    public void A_count_of_zero_is_the_largest()
    {
        Program(0, 2, 0);
        var first = _line.Edges;
        _clock.Advance(Ticks(65_536) - 1);
        Assert.Equal(first, _line.Edges);
        _clock.Advance(1);
        Assert.Equal(first + 1, _line.Edges);
    }

    [Theory]
    [InlineData(2, 2)]
    [InlineData(3, 2)]
    [InlineData(2, 3)]
    [InlineData(2, 40)]
    public void Periods_too_short_for_the_host_are_thinned_out(int mode, int count)
    {
        Program(0, mode, count);

        _clock.Advance(100_000_000);

        Assert.InRange(_clock.Expiries, 900, 2001);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void The_illegal_count_of_one_never_fires(int mode)
    {
        Program(0, mode, 1);
        _clock.Advance(1_000_000_000);
        Assert.Equal(0, _clock.Expiries);
    }

    [Fact]
    public void Missed_periods_are_one_interrupt()
    {
        Program(0, 2, 1193);
        var first = _line.Edges;
        _clock.AdvanceUnserved(10_500_000);

        _clock.Advance(0);

        Assert.Equal(first + 1, _line.Edges);
        Assert.InRange(_clock.NextDeadline!.Value, _clock.NowNanoseconds, _clock.NowNanoseconds + 1_000_000);
    }

    [Fact]
    public void An_edge_that_the_host_is_late_for_is_not_lost_by_reprogramming()
    {
        Program(0, 0, 1000);
        _clock.AdvanceUnserved(Ticks(1000));

        Program(0, 0, 1000);

        Assert.Equal(1, _line.Edges);
        Assert.False(_line.Level);
    }

    [Fact]
    public void Mode_2_is_low_for_the_last_tick_and_counts_down_to_one()
    {
        _pit.SystemControl.Out(0, 1);
        Program(2, 2, 10);
        for (var tick = 0; tick < 25; tick++)
        {
            Assert.Equal(10 - tick % 10, ReadCount(2));
            Assert.Equal(tick % 10 != 9, SpeakerOutput);
            _clock.Advance(Ticks(tick + 1) - Ticks(tick));
        }
    }

    [Theory]
    [InlineData(10, 5)]
    [InlineData(7, 4)]
    public void Mode_3_is_high_for_the_larger_half(int count, int high)
    {
        _pit.SystemControl.Out(0, 1);
        Program(2, 3, count);
        for (var tick = 0; tick < 3 * count; tick++)
        {
            Assert.Equal(tick % count < high, SpeakerOutput);
            Assert.Equal(0, ReadCount(2) & 1);
            _clock.Advance(Ticks(tick + 1) - Ticks(tick));
        }
    }

    [Fact]
    public void A_new_count_waits_for_the_end_of_the_period()
    {
        Program(0, 2, 1000);
        var first = _line.Edges;
        _clock.Advance(Ticks(500));
        _pit.Counters.Out(0, 200);
        _pit.Counters.Out(0, 0);

        _clock.Advance(Ticks(999) - Ticks(500));
        Assert.Equal(first, _line.Edges);
        _clock.Advance(Ticks(1000) - Ticks(999));
        Assert.Equal(first + 1, _line.Edges);
        _clock.Advance(Ticks(1200) - Ticks(1000));
        Assert.Equal(first + 2, _line.Edges);
    }

    [Fact]
    public void A_new_square_wave_waits_for_the_end_of_the_half()
    {
        _pit.SystemControl.Out(0, 1);
        Program(2, 3, 1000);
        _clock.Advance(Ticks(100));
        _pit.Counters.Out(2, 200);
        _pit.Counters.Out(2, 0);

        _clock.Advance(Ticks(499) - Ticks(100));
        Assert.True(SpeakerOutput);
        _clock.Advance(Ticks(500) - Ticks(499));
        Assert.False(SpeakerOutput);
        _clock.Advance(Ticks(599) - Ticks(500));
        Assert.False(SpeakerOutput);
        _clock.Advance(Ticks(600) - Ticks(599));
        Assert.True(SpeakerOutput);
    }

    [Fact]
    public void Mode_1_pulses_after_each_gate_trigger()
    {
        Program(2, 1, 100);
        Assert.True(SpeakerOutput);

        _pit.SystemControl.Out(0, 1);
        Assert.False(SpeakerOutput);
        _clock.Advance(Ticks(60));
        _pit.SystemControl.Out(0, 0);
        _pit.SystemControl.Out(0, 1);
        _clock.Advance(Ticks(60));
        Assert.False(SpeakerOutput);
        _clock.Advance(Ticks(41));

        Assert.True(SpeakerOutput);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(5)]
    public void Strobes_are_low_for_one_tick(int mode)
    {
        if (mode == 4) _pit.SystemControl.Out(0, 1);
        Program(2, mode, 50);
        if (mode == 5) _pit.SystemControl.Out(0, 1);

        _clock.Advance(Ticks(49));
        Assert.True(SpeakerOutput);
        _clock.Advance(Ticks(50) - Ticks(49));
        Assert.False(SpeakerOutput);
        _clock.Advance(Ticks(51) - Ticks(50));
        Assert.True(SpeakerOutput);
    }

    [Fact]
    public void The_interrupt_of_a_strobe_comes_with_its_end()
    {
        Program(0, 4, 50);
        var first = _line.Edges;
        _clock.Advance(Ticks(51) - 1);
        Assert.Equal(first, _line.Edges);
        _clock.Advance(1);
        Assert.Equal(first + 1, _line.Edges);
    }

    [Fact]
    public void A_timer_that_is_early_changes_nothing()
    {
        Program(0, 0, 1000);
        _clock.ExpireEarly();
        Assert.False(_line.Level);
        _clock.Advance(Ticks(1000));
        Assert.True(_line.Level);
    }

    [Fact]
    public void The_gate_holds_the_count()
    {
        _pit.SystemControl.Out(0, 1);
        Program(2, 0, 1000);
        _clock.Advance(Ticks(400));
        _pit.SystemControl.Out(0, 0);
        _clock.Advance(Ticks(5000));
        Assert.Equal(600, ReadCount(2));
        Assert.False(SpeakerOutput);

        _pit.SystemControl.Out(0, 1);
        _clock.Advance(Ticks(600));

        Assert.True(SpeakerOutput);
    }

    [Fact]
    public void The_gate_restarts_a_rate_generator()
    {
        _pit.SystemControl.Out(0, 1);
        Program(2, 2, 1000);
        _clock.Advance(Ticks(999));
        Assert.False(SpeakerOutput);

        _pit.SystemControl.Out(0, 0);
        Assert.True(SpeakerOutput);
        _pit.SystemControl.Out(0, 1);

        Assert.Equal(1000, ReadCount(2));
    }

    [Fact]
    public void A_kernels_calibration_sees_its_ten_milliseconds()
    {
        _pit.SystemControl.Out(0, (_pit.SystemControl.In(0) & ~0x02) | 0x01);
        Program(2, 0, Hz / 100);
        var steps = 0;
        while (!SpeakerOutput && steps < 2000)
        {
            _clock.Advance(10_000);
            steps++;
        }
        Assert.InRange(steps, 999, 1001);
    }

    [Fact]
    public void Latched_counts_stay_until_read()
    {
        _pit.SystemControl.Out(0, 1);
        Program(2, 2, 5000);
        _clock.Advance(Ticks(100));
        _pit.Counters.Out(3, 0x80);
        _clock.Advance(Ticks(100));
        _pit.Counters.Out(3, 0x80);

        Assert.Equal(4900, _pit.Counters.In(2) | _pit.Counters.In(2) << 8);
        Assert.Equal(4800, ReadCount(2));
    }

    [Fact]
    public void Read_back_latches_status_before_count()
    {
        Program(0, 2, 0x1234);
        _pit.Counters.Out(3, 0xc2);

        Assert.Equal(0xb4, _pit.Counters.In(0));
        Assert.Equal(0x34, _pit.Counters.In(0));
        Assert.Equal(0x12, _pit.Counters.In(0));
    }

    [Fact]
    public void Null_count_shows_until_a_count_is_loaded()
    {
        _pit.Counters.Out(3, 0x36);
        Assert.Equal(0xf6, ReadStatus(0));
        Program(0, 3, 100);
        Assert.Equal(0xb6, ReadStatus(0));
        _pit.Counters.Out(0, 50);
        _pit.Counters.Out(0, 0);
        Assert.Equal(0xf6, ReadStatus(0));
        _clock.Advance(Ticks(100));
        Assert.Equal(0x36, ReadStatus(0) & 0x7f);
    }

    [Theory]
    [InlineData(0x90, 0x64, 0x64)]
    [InlineData(0xa0, 0x02, 0x200)]
    public void One_byte_counts(int control, int written, int count)
    {
        _pit.SystemControl.Out(0, 1);
        _pit.Counters.Out(3, control);
        _pit.Counters.Out(2, written);
        _clock.Advance(Ticks(count));
        Assert.True(SpeakerOutput);
        _pit.Counters.Out(3, control);
        _pit.Counters.Out(2, written);
        _clock.Advance(Ticks(count) - 1000);
        Assert.False(SpeakerOutput);
        Assert.Equal(written == 0x64 ? 2 : 0, _pit.Counters.In(2));
    }

    [Fact]
    public void Bcd_counts_in_decimal()
    {
        _pit.SystemControl.Out(0, 1);
        Program(2, 2, 0x1000, bcd: true);
        _clock.Advance(Ticks(1));
        Assert.Equal(0x0999, ReadCount(2));
        Program(2, 0, 0x0000, bcd: true);
        _clock.Advance(Ticks(9999));
        Assert.False(SpeakerOutput);
        _clock.Advance(Ticks(1));
        Assert.True(SpeakerOutput);
    }

    [Fact]
    public void System_control_keeps_its_bits_and_the_refresh_toggles()
    {
        _pit.SystemControl.Out(0, 0xff);
        Assert.Equal(0x0f, _pit.SystemControl.In(0) & 0xcf);
        var seen = new HashSet<int>();
        for (var i = 0; i < 10; i++)
        {
            seen.Add(_pit.SystemControl.In(0) & 0x10);
            _clock.Advance(10_000);
        }
        Assert.Equal(2, seen.Count);
    }

    [Fact]
    public void Reset_stops_everything()
    {
        Program(0, 2, 1000);
        _pit.Reset();
        _clock.Advance(1_000_000_000);
        Assert.False(_line.Level);
        Assert.Equal(0, _clock.Expiries);
    }
}
