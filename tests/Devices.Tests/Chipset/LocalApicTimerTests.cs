// The local APIC's timer against SDM vol. 3, 11.5.4. It counts once a nanosecond with a divisor of 1; the clock's TSC
// runs at 2 GHz.
using Lamina.Devices.Chipset;
using Xunit;

namespace Lamina.Tests.Devices.Chipset;

public sealed class LocalApicTimerTests
{
    private const uint Masked = 1 << 16, Periodic = 1 << 17, TscDeadline = 2 << 17, TscDeadlineMsr = 0x6e0;
    private const ulong Lvt = 0x320, Initial = 0x380, Current = 0x390, Divide = 0x3e0;

    private readonly ApicTestMachine _machine = new ApicTestMachine().Enabled();

    private LocalApic Apic => _machine[0];

    private ManualClock Clock => _machine.Clock;

    [Fact]
    public void One_shot_counts_to_zero_and_fires_once()
    {
        Apic.Set(Divide, 0xb);
        Apic.Set(Lvt, 0x40);
        Apic.Set(Initial, 1_000_000);

        Clock.Advance(999_999);
        Assert.Equal(1u, Apic.Get(Current));
        Assert.False(Apic.HasInterrupt);
        Clock.Advance(1);

        Assert.Equal([0x40], Apic.Drain());
        Assert.Equal(0u, Apic.Get(Current));
        Clock.Advance(10_000_000);
        Assert.False(Apic.HasInterrupt);
    }

    [Theory]
    [InlineData(0x0, 2)]
    [InlineData(0x1, 4)]
    [InlineData(0x2, 8)]
    [InlineData(0x3, 16)]
    [InlineData(0x8, 32)]
    [InlineData(0x9, 64)]
    [InlineData(0xa, 128)]
    [InlineData(0xb, 1)]
    public void Divisors(uint configuration, int divisor)
    {
        Apic.Set(Divide, configuration);
        Apic.Set(Lvt, 0x40);
        Apic.Set(Initial, 100_000);

        Clock.Advance(100_000L * divisor - 1);
        Assert.False(Apic.HasInterrupt);
        Clock.Advance(1);

        Assert.True(Apic.HasInterrupt);
    }

    [Fact]
    public void A_new_divisor_goes_on_from_the_present_count()
    {
        Apic.Set(Divide, 0xb);
        Apic.Set(Lvt, 0x40);
        Apic.Set(Initial, 100_000);
        Clock.Advance(40_000);
        Apic.Set(Divide, 0x0);

        Assert.Equal(60_000u, Apic.Get(Current));
        Clock.Advance(119_999);
        Assert.False(Apic.HasInterrupt);
        Clock.Advance(1);
        Assert.True(Apic.HasInterrupt);
    }

    [Fact]
    public void Periodic_fires_each_period_without_drift()
    {
        Apic.Set(Divide, 0xb);
        Apic.Set(Lvt, Periodic | 0x40);
        Apic.Set(Initial, 333_333);
        var fired = 0;
        for (var i = 1; i <= 100; i++)
        {
            Clock.Advance(333_333);
            fired += Apic.Drain().Count;
            Assert.Equal(333_333u, Apic.Get(Current));
        }
        Assert.Equal(100, fired);
    }

    [Fact]
    public void Periods_too_short_for_the_host_are_thinned_out()
    {
        Apic.Set(Divide, 0xb);
        Apic.Set(Lvt, Periodic | 0x40);
        Apic.Set(Initial, 1);
        Clock.Advance(100_000_000);
        Assert.InRange(Clock.Expiries, 1000, 2001);
    }

    [Fact]
    public void A_masked_period_needs_no_timer_and_counts_on()
    {
        Apic.Set(Divide, 0xb);
        Apic.Set(Lvt, Masked | Periodic | 0x40);
        Apic.Set(Initial, 100_000);
        Assert.Null(Clock.NextDeadline);
        Clock.Advance(150_000);
        Assert.Equal(50_000u, Apic.Get(Current));

        Apic.Set(Lvt, Periodic | 0x40);
        Clock.Advance(50_000);

        Assert.True(Apic.HasInterrupt);
    }

    [Fact]
    public void A_one_shot_that_ran_out_while_masked_stays_silent()
    {
        Apic.Set(Divide, 0xb);
        Apic.Set(Lvt, Masked | 0x40);
        Apic.Set(Initial, 100_000);
        Clock.Advance(200_000);
        Apic.Set(Lvt, 0x40);
        Clock.Advance(200_000);
        Assert.False(Apic.HasInterrupt);
    }

    [Fact]
    public void An_initial_count_of_zero_stops()
    {
        Apic.Set(Lvt, Periodic | 0x40);
        Apic.Set(Initial, 1_000_000);
        Apic.Set(Initial, 0);
        Assert.Null(Clock.NextDeadline);
        Assert.Equal(0u, Apic.Get(Current));
    }

    [Fact]
    public void Changing_to_periodic_goes_on_with_the_count()
    {
        Apic.Set(Divide, 0xb);
        Apic.Set(Lvt, 0x40);
        Apic.Set(Initial, 100_000);
        Apic.Set(Lvt, Periodic | 0x41);
        Clock.Advance(100_000);
        Assert.Equal([0x41], Apic.Drain());
        Clock.Advance(100_000);
        Assert.Equal([0x41], Apic.Drain());
    }

    [Fact]
    public void What_the_guests_clock_has_passed_is_not_lost_when_the_host_is_late()
    {
        Apic.Set(Divide, 0xb);
        Apic.Set(Lvt, 0x40);
        Apic.Set(Initial, 100_000);
        Clock.AdvanceUnserved(100_000);
        Apic.Set(Initial, 100_000);
        Assert.Equal([0x40], Apic.Drain());
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(Periodic)]
    [InlineData(TscDeadline)]
    public void A_host_timer_that_is_early_changes_nothing(uint mode)
    {
        Apic.Set(Divide, 0xb);
        Apic.Set(Lvt, mode | 0x40);
        Apic.Set(Initial, 1_000_000);
        Apic.WriteMsr(TscDeadlineMsr, 2_000_000);

        Clock.ExpireEarly();

        Assert.False(Apic.HasInterrupt);
        Clock.Advance(999_999);
        Assert.False(Apic.HasInterrupt);
        Clock.Advance(1);
        Assert.True(Apic.HasInterrupt);
    }

    [Fact]
    public void The_tsc_deadline_fires_once_the_counter_is_reached()
    {
        Apic.Set(Lvt, TscDeadline | 0x40);
        Clock.Advance(12_345);
        Apic.WriteMsr(TscDeadlineMsr, Clock.ReadTsc() + 2_000_001);
        Assert.Equal(Clock.ReadTsc() + 2_000_001, Apic.ReadMsr(TscDeadlineMsr));

        Clock.Advance(1_000_000);
        Assert.False(Apic.HasInterrupt);
        Clock.Advance(1);

        Assert.Equal([0x40], Apic.Drain());
        Assert.Equal(0ul, Apic.ReadMsr(TscDeadlineMsr));
    }

    [Fact]
    public void A_past_deadline_fires_at_once_and_without_a_timer()
    {
        Clock.Advance(1000);
        Apic.Set(Lvt, TscDeadline | 0x40);
        Apic.WriteMsr(TscDeadlineMsr, 1);
        Assert.Equal([0x40], Apic.Drain());
        Assert.Null(Clock.NextDeadline);
    }

    [Fact]
    public void A_deadline_of_zero_disarms()
    {
        Apic.Set(Lvt, TscDeadline | 0x40);
        Apic.WriteMsr(TscDeadlineMsr, 1_000_000);
        Apic.WriteMsr(TscDeadlineMsr, 0);
        Clock.Advance(10_000_000);
        Assert.False(Apic.HasInterrupt);
    }

    [Fact]
    public void A_deadline_at_the_end_of_time_never_fires()
    {
        Apic.Set(Lvt, TscDeadline | 0x40);
        Apic.WriteMsr(TscDeadlineMsr, ulong.MaxValue);
        Clock.Advance(1_000_000_000_000);
        Assert.Equal(ulong.MaxValue, Apic.ReadMsr(TscDeadlineMsr));
        Assert.False(Apic.HasInterrupt);
    }

    [Fact]
    public void The_deadline_only_exists_in_its_mode()
    {
        Apic.WriteMsr(TscDeadlineMsr, 12345);
        Assert.Equal(0ul, Apic.ReadMsr(TscDeadlineMsr));

        Apic.Set(Lvt, TscDeadline | 0x40);
        Apic.Set(Initial, 1000);
        Assert.Equal((0u, 0u), (Apic.Get(Initial), Apic.Get(Current)));
        Apic.WriteMsr(TscDeadlineMsr, 1_000_000);
        Apic.Set(Lvt, 0x40);

        Clock.Advance(10_000_000);
        Assert.False(Apic.HasInterrupt);
        Assert.Equal(0ul, Apic.ReadMsr(TscDeadlineMsr));
    }

    [Fact]
    public void Entering_the_deadline_mode_stops_the_count()
    {
        Apic.Set(Lvt, Periodic | 0x40);
        Apic.Set(Initial, 1_000_000);
        Apic.Set(Lvt, TscDeadline | 0x40);
        Clock.Advance(100_000_000);
        Assert.False(Apic.HasInterrupt);
    }

    [Fact]
    public void A_masked_deadline_passes_in_silence()
    {
        Apic.Set(Lvt, Masked | TscDeadline | 0x40);
        Apic.WriteMsr(TscDeadlineMsr, 1000);
        Clock.Advance(1_000_000);
        Assert.False(Apic.HasInterrupt);
        Assert.Equal(0ul, Apic.ReadMsr(TscDeadlineMsr));
    }

    [Fact]
    public void Init_stops_the_timer()
    {
        Apic.Set(Lvt, TscDeadline | 0x40);
        Apic.WriteMsr(TscDeadlineMsr, 1_000_000);
        Apic.Init();
        Assert.Null(Clock.NextDeadline);
    }
}
