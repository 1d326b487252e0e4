using Lamina.Host.Time;
using Xunit;

namespace Lamina.Tests.Backends.Host;

public class TimeStampCounterTests
{
    [Fact]
    public void It_counts_up_at_a_rate_that_stays_the_same()
    {
        var counter = new TimeStampCounter();

        var first = counter.Read();
        var hertz = counter.Hertz;
        var second = counter.Read();

        Assert.True(second > first);
        Assert.InRange(hertz, 100_000_000ul, 10_000_000_000ul);
        Assert.Equal(hertz, counter.Hertz);
    }

    [Fact]
    public void Two_counters_agree_on_the_rate_within_a_hundred_ppm()
    {
        var first = new TimeStampCounter();
        var second = new TimeStampCounter();

        Assert.InRange((double)first.Hertz / second.Hertz, 1 - 1e-4, 1 + 1e-4);
    }

    [Fact]
    public void What_was_measured_is_kept_and_believed_where_a_look_agrees()
    {
        ulong? kept = null;
        var first = new TimeStampCounter(new TscRateMemory(() => null, hertz => kept = hertz));
        var measured = first.Hertz;
        var second = new TimeStampCounter(new TscRateMemory(() => measured + 1, _ => Assert.Fail("measured again")));

        // A processor that tells its rate needs no memory.
        if (kept is null) return;
        Assert.Equal(measured, kept);
        Assert.Equal(measured + 1, second.Hertz);
    }

    [Theory]
    [InlineData(0.99)]
    [InlineData(1.01)]
    [InlineData(0)]
    [InlineData(1e9)]
    public void What_is_kept_and_not_true_is_measured_again(double factor)
    {
        var reference = new TimeStampCounter();
        var right = reference.Hertz;
        ulong? kept = null;
        var counter = new TimeStampCounter(new TscRateMemory(() => (ulong)Math.Min(right * factor, ulong.MaxValue), hertz => kept = hertz));

        Assert.InRange((double)counter.Hertz / right, 1 - 1e-4, 1 + 1e-4);
        if (kept is not null) Assert.Equal(counter.Hertz, kept);
    }
}
