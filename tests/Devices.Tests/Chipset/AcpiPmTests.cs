// The ACPI fixed hardware against ACPI 6.5, 4.8.
using Lamina.Devices.Chipset;
using Xunit;

namespace Lamina.Tests.Devices.Chipset;

public sealed class AcpiPmTests
{
    private readonly ManualClock _clock = new();
    private readonly RecordingLine _sci = new();
    private readonly AcpiPm _pm;
    private int _powerOffs;
    private int _resets;

    public AcpiPmTests() => _pm = new AcpiPm(_clock, _sci, () => _powerOffs++, () => _resets++);

    private int In16(ulong offset) => _pm.In(offset) | _pm.In(offset + 1) << 8;

    private void Out16(ulong offset, int value) => _pm.Write(offset, [(byte)value, (byte)(value >> 8)]);

    [Fact]
    public void A_general_event_raises_the_SCI_where_it_is_enabled_until_its_status_is_written()
    {
        _pm.RaiseEvent(9);
        Assert.False(_sci.Level);
        Assert.Equal(1 << 9, In16(16));

        Out16(18, 1 << 9);
        Assert.True(_sci.Level);
        Out16(16, 1 << 8);
        Assert.True(_sci.Level);
        Out16(16, 1 << 9);

        Assert.False(_sci.Level);
        Assert.Equal((0, 1 << 9), (In16(16), In16(18)));
        _pm.RaiseEvent(9);
        Assert.True(_sci.Level);
        _pm.Reset();
        Assert.False(_sci.Level);
        Assert.Equal((0, 0), (In16(16), In16(18)));
        Assert.Throws<ArgumentOutOfRangeException>(() => _pm.RaiseEvent(16));
    }

    [Fact]
    public void Sleep_enable_with_the_type_of_s5_powers_off()
    {
        Out16(4, 5 << 10);
        Assert.Equal(0, _powerOffs);
        Out16(4, 5 << 10 | 1 << 13);
        Assert.Equal(1, _powerOffs);
        Assert.Equal(5 << 10 | 1, In16(4));
    }

    [Fact]
    public void A_byte_write_to_the_high_half_powers_off_too()
    {
        _pm.Out(5, 0x34);
        Assert.Equal(1, _powerOffs);
    }

    [Fact]
    public void The_sleep_control_register_powers_off()
    {
        _pm.Out(12, 0x20 | AcpiPmSpec.SleepTypeOff << 2);
        Assert.Equal(1, _powerOffs);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(7)]
    public void Other_sleep_types_do_nothing(int type)
    {
        Out16(4, type << 10 | 1 << 13);
        Assert.Equal((0, 0), (_powerOffs, _resets));
    }

    [Theory]
    [InlineData(AcpiPmSpec.ResetValue, 1)]
    [InlineData(0, 0)]
    [InlineData(0xff, 0)]
    public void The_reset_register_takes_its_value(int value, int resets)
    {
        _pm.Out(AcpiPmSpec.ResetOffset, value);
        Assert.Equal(resets, _resets);
    }

    [Fact]
    public void The_timer_counts_3579545_a_second_and_wraps()
    {
        _clock.Advance(1_000_000_000);
        Assert.Equal(3_579_545u, _pm.In32(8));
        _clock.Advance(1_199_000_000_000);
        const long afterWrap = 3_579_545L * 1200 - (1L << 32);
        Assert.Equal((uint)afterWrap, _pm.In32(8));
        Assert.Equal((int)(afterWrap >> 8 & 0xff), _pm.In(9));
    }

    [Fact]
    public void The_timer_status_follows_its_highest_bit()
    {
        Assert.Equal(0, In16(0));
        _clock.Advance(600_000_000_000);
        Assert.Equal(1, In16(0));
        Out16(0, 1);
        Assert.Equal(0, In16(0));
        _clock.Advance(600_000_000_000);
        Assert.Equal(1, In16(0));
    }

    [Fact]
    public void The_timer_interrupts_when_enabled()
    {
        Out16(2, 1);
        _clock.ExpireEarly();
        _clock.Advance(599_000_000_000);
        Assert.False(_sci.Level);
        _clock.Advance(1_000_000_000);
        Assert.True(_sci.Level);
        Out16(0, 1);
        Assert.False(_sci.Level);
        _clock.Advance(600_000_000_000);
        Assert.True(_sci.Level);
    }

    [Fact]
    public void The_power_button_interrupts_when_enabled_and_is_cleared_by_a_one()
    {
        _pm.PressPowerButton();
        Assert.False(_sci.Level);
        Assert.Equal(0x100, In16(0));

        Out16(2, 0x100);
        Assert.True(_sci.Level);
        Out16(0, 0x00ff);
        Assert.True(_sci.Level);
        Out16(0, 0x100);
        Assert.False(_sci.Level);
    }

    [Fact]
    public void Event_block_answers_as_one_dword()
    {
        _pm.Out32(0, 0xffff_0000);
        Assert.Equal(0x0521_0000u, _pm.In32(0));
    }

    [Fact]
    public void Acpi_mode_is_always_on()
    {
        Assert.Equal(1, In16(4));
        Out16(4, 0);
        Assert.Equal(1, In16(4));
    }

    [Fact]
    public void Reset_clears_all()
    {
        Out16(2, 0x101);
        _pm.PressPowerButton();
        _pm.Reset();
        Assert.False(_sci.Level);
        Assert.Equal(0u, _pm.In32(0));
        Assert.Null(_clock.NextDeadline);
    }
}
