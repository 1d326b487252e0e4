// The real-time clock against the MC146818A data sheet. The wall clock starts at Saturday 2026-03-14 15:09:26.
using Lamina.Devices.Chipset;
using Xunit;

namespace Lamina.Tests.Devices.Chipset;

public sealed class CmosRtcTests
{
    private const long Second = 1_000_000_000, Millisecond = 1_000_000, Microsecond = 1000;

    private readonly ManualClock _clock = new();
    private readonly RecordingLine _line = new();
    private readonly CmosRtc _rtc;

    public CmosRtcTests() => _rtc = new CmosRtc(_clock, _line);

    private int this[int register]
    {
        get
        {
            _rtc.Out(0, register);
            return _rtc.In(1);
        }
        set
        {
            _rtc.Out(0, register);
            _rtc.Out(1, value);
        }
    }

    private int[] Time() => [this[0x32], this[9], this[8], this[7], this[4], this[2], this[0], this[6]];

    [Fact]
    public void Shows_the_wall_clock_in_bcd()
    {
        Assert.Equal([0x20, 0x26, 0x03, 0x14, 0x15, 0x09, 0x26, 7], Time());
        _clock.Advance(35 * Second);
        Assert.Equal([0x20, 0x26, 0x03, 0x14, 0x15, 0x10, 0x01, 7], Time());
    }

    [Fact]
    public void Shows_it_in_binary_when_asked()
    {
        this[0x0b] = 0x06;
        Assert.Equal([20, 26, 3, 14, 15, 9, 26, 7], Time());
    }

    [Theory]
    [InlineData(0, 0x12)]
    [InlineData(1, 0x01)]
    [InlineData(11, 0x11)]
    [InlineData(12, 0x92)]
    [InlineData(13, 0x81)]
    [InlineData(23, 0x91)]
    public void Twelve_hour_mode_marks_the_afternoon(int hour, int register)
    {
        _clock.WallClock = new DateTimeOffset(2026, 1, 1, hour, 0, 0, TimeSpan.Zero);
        this[0x0b] = 0x00;

        Assert.Equal(register, this[4]);

        this[4] = register;
        this[0x0b] = 0x02;
        Assert.Equal(hour / 10 << 4 | hour % 10, this[4]);
    }

    [Fact]
    public void A_local_wall_clock_shows_local_time()
    {
        _clock.WallClock = new DateTimeOffset(2026, 3, 14, 15, 9, 26, TimeSpan.FromHours(2));
        Assert.Equal(0x15, this[4]);
    }

    [Fact]
    public void Setting_as_a_kernel_does_holds_the_time_and_goes_on_from_it()
    {
        this[0x0b] = 0x82;
        var a = this[0x0a];
        this[0x0a] = a | 0x70;
        (this[9], this[8], this[7], this[4], this[2], this[0], this[0x32]) = (0x99, 0x12, 0x31, 0x23, 0x59, 0x58, 0x19);
        _clock.Advance(5 * Second);
        Assert.Equal(0x58, this[0]);
        this[0x0b] = 0x02;
        this[0x0a] = a;

        _clock.Advance(499 * Millisecond);
        Assert.Equal(0x58, this[0]);
        _clock.Advance(2 * Millisecond);
        Assert.Equal(0x59, this[0]);
        _clock.Advance(Second);
        Assert.Equal([0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00], Time()[..7]);
    }

    [Fact]
    public void Setting_a_running_register_keeps_the_others()
    {
        _clock.Advance(Second / 2);
        this[2] = 0x30;
        Assert.Equal([0x20, 0x26, 0x03, 0x14, 0x15, 0x30, 0x26, 7], Time());
        _clock.Advance(Second / 2);
        Assert.Equal(0x27, this[0]);
    }

    [Fact]
    public void The_day_of_the_week_is_the_guests_own()
    {
        this[6] = 2;
        Assert.Equal(2, this[6]);
        _clock.Advance(24 * 3600 * Second);
        Assert.Equal(3, this[6]);
    }

    [Fact]
    public void Impossible_dates_are_brought_into_range()
    {
        this[0x0b] = 0x86;
        (this[9], this[8], this[7], this[4], this[2], this[0], this[0x32], this[6]) = (255, 255, 255, 255, 255, 255, 255, 255);
        Assert.Equal(255, this[8]);
        this[0x0b] = 0x06;
        Assert.Equal([99, 99, 12, 31, 23, 59, 59, 7], Time());
        _clock.Advance(1000 * Second);
        Assert.Equal([99, 99, 12, 31, 23, 59, 59], Time()[..7]);

        (this[9], this[8], this[7], this[0x32]) = (0, 0, 0, 0);
        Assert.Equal([0, 1, 1, 1], Time()[..4]);
    }

    [Fact]
    public void Update_in_progress_covers_the_last_2228_microseconds_of_a_second()
    {
        _clock.Advance(Second - 2229 * Microsecond);
        Assert.Equal(0x26, this[0x0a]);
        _clock.Advance(2 * Microsecond);
        Assert.Equal(0xa6, this[0x0a]);
        _clock.Advance(2227 * Microsecond);
        Assert.Equal(0x26, this[0x0a]);
    }

    [Fact]
    public void No_update_is_in_progress_while_the_time_is_being_set()
    {
        _clock.Advance(Second - Millisecond);
        this[0x0b] = 0x82;
        Assert.Equal(0x26, this[0x0a]);
    }

    [Fact]
    public void Update_interrupt_once_a_second_until_it_is_read()
    {
        this[0x0b] = 0x12;
        _clock.Advance(Second - 1);
        Assert.False(_line.Level);
        _clock.Advance(1);
        Assert.True(_line.Level);
        Assert.Null(_clock.NextDeadline);
        _clock.Advance(3 * Second);
        Assert.Equal(1, _line.Edges);

        Assert.Equal(0x90, this[0x0c] & 0x90);
        Assert.False(_line.Level);
        Assert.Equal(0x00, this[0x0c]);
        _clock.Advance(Second);
        Assert.Equal(2, _line.Edges);
    }

    [Fact]
    public void A_timer_that_is_early_changes_nothing()
    {
        this[0x0b] = 0x12;
        _clock.ExpireEarly();
        Assert.False(_line.Level);
        _clock.Advance(Second);
        Assert.True(_line.Level);
    }

    [Fact]
    public void Setting_the_time_disables_the_update_interrupt()
    {
        this[0x0b] = 0x92;
        Assert.Equal(0x82, this[0x0b]);
    }

    [Theory]
    [InlineData(3, 8192)]
    [InlineData(6, 1024)]
    [InlineData(15, 2)]
    [InlineData(1, 256)]
    [InlineData(2, 128)]
    public void Periodic_interrupt_at_the_chosen_rate(int rate, int hertz)
    {
        this[0x0a] = 0x20 | rate;
        this[0x0b] = 0x42;
        for (var i = 1; i <= hertz; i++)
        {
            _clock.Advance(i * Second / hertz - (i - 1) * Second / hertz + (i == 1 ? 1 : 0));
            Assert.Equal(0xc0, this[0x0c] & 0xc0);
        }
        Assert.Equal(hertz, _line.Edges);
    }

    [Fact]
    public void Flags_are_raised_without_their_interrupts_too()
    {
        _clock.Advance(Second + Millisecond);
        Assert.Equal(0x50, this[0x0c]);
        Assert.Equal(0, _line.Edges);
        Assert.Equal(0, _clock.Expiries);
    }

    [Fact]
    public void Alarm_at_a_time_of_day()
    {
        (this[5], this[3], this[1]) = (0x15, 0x10, 0x00);
        this[0x0b] = 0x22;

        _clock.Advance(33 * Second);
        Assert.False(_line.Level);
        _clock.Advance(Second);

        Assert.True(_line.Level);
        Assert.Equal(0xa0, this[0x0c] & 0xa0);
        _clock.Advance(23 * 3600 * Second);
        Assert.False(_line.Level);
        _clock.Advance(3600 * Second);
        Assert.True(_line.Level);
    }

    [Theory]
    [InlineData(0xff, 0xff, 0xff, 1)]
    [InlineData(0xc0, 0xff, 0x30, 4)]
    [InlineData(0xff, 0x11, 0x00, 94)]
    [InlineData(0x02, 0x00, 0x00, 39_034)]
    public void Alarm_registers_may_match_everything(int hour, int minute, int second, int seconds)
    {
        (this[5], this[3], this[1]) = (hour, minute, second);
        this[0x0b] = 0x22;
        _clock.Advance(seconds * Second - 1);
        Assert.False(_line.Level);
        _clock.Advance(1);
        Assert.True(_line.Level);
    }

    [Fact]
    public void An_alarm_that_never_matches_costs_nothing()
    {
        (this[5], this[3], this[1]) = (0x7f, 0x7f, 0x7f);
        this[0x0b] = 0x22;
        Assert.Null(_clock.NextDeadline);
        _clock.Advance(100_000 * Second);
        Assert.Equal(0, this[0x0c] & 0x20);
    }

    [Fact]
    public void A_missed_alarm_is_found_later()
    {
        (this[5], this[3], this[1]) = (0x15, 0x10, 0x00);
        _clock.Advance(100_000 * Second);
        Assert.Equal(0x20, this[0x0c] & 0x20);
    }

    [Fact]
    public void Ram_keeps_what_is_written_and_reads_only_registers_do_not()
    {
        (this[0x0f], this[0x7f], this[0x0c], this[0x0d]) = (0x0a, 0x55, 0xff, 0x00);
        Assert.Equal((0x0a, 0x55, 0x00, 0x80), (this[0x0f], this[0x7f], this[0x0c], this[0x0d]));
    }

    [Fact]
    public void The_index_ignores_the_nmi_mask_bit()
    {
        this[0x8f] = 0x77;
        Assert.Equal(0x77, this[0x0f]);
        Assert.Equal(0xff, _rtc.In(0));
    }

    [Fact]
    public void Index_and_data_can_be_written_as_one_word()
    {
        _rtc.Write(0, [0x40, 0x99]);
        Assert.Equal(0x99, this[0x40]);
    }

    [Fact]
    public void Memory_sizes_lie_where_firmware_looks_and_are_summed()
    {
        _rtc.SetMemorySize(0xc000_0000, 0x1_4000_0000);

        Assert.Equal((0x80, 0x02), (this[0x15], this[0x16]));
        Assert.Equal((0xff, 0xff), (this[0x17], this[0x18]));
        Assert.Equal(0xbf00, this[0x34] | this[0x35] << 8);
        Assert.Equal(0x14000, this[0x5b] | this[0x5c] << 8 | this[0x5d] << 16);
        Assert.Equal(Enumerable.Range(0x10, 0x1e).Sum(i => this[i]), this[0x2e] << 8 | this[0x2f]);
    }

    [Fact]
    public void A_small_machine_has_small_sizes()
    {
        _rtc.SetMemorySize(8 << 20, 0);
        Assert.Equal(7 * 1024, this[0x17] | this[0x18] << 8);
        Assert.Equal(0, this[0x34] | this[0x35] << 8);
        Assert.Equal(0, this[0x5b]);
    }

    [Fact]
    public void Reset_stops_interrupts_and_keeps_time_and_ram()
    {
        this[0x0f] = 5;
        this[2] = 0x45;
        this[0x0b] = 0x72;
        _clock.Advance(Second);
        Assert.True(_line.Level);

        _rtc.Reset();

        Assert.False(_line.Level);
        Assert.Equal((0x02, 0x00, 5, 0x45), (this[0x0b], this[0x0c], this[0x0f], this[2]));
        Assert.Null(_clock.NextDeadline);
    }

    [Fact]
    public void A_wall_clock_that_jumps_back_is_followed()
    {
        this[0x0b] = 0x12;
        _clock.WallClock = _clock.WallClock.AddHours(-2);
        Assert.Equal(0x13, this[4]);
        _clock.Advance(2 * Second);
        Assert.True(_line.Level);
    }
}
