using Lamina.Host.Time;
using Xunit;

namespace Lamina.Tests.Backends.Host;

public class TimeStampCounterTests
{
    [Fact]
    public void It_counts_up_at_a_rate_that_stays_the_same()
    {
        using var counter = new TimeStampCounter();

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
        using var first = new TimeStampCounter();
        using var second = new TimeStampCounter();

        Assert.InRange((double)first.Hertz / second.Hertz, 1 - 1e-4, 1 + 1e-4);
    }
}
