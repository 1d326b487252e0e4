// The cap on processor time as it is metered: threads that take all that they are let take the cap, however late the looks come; and what
// nice value a weight is.
using Lamina.Life;
using Xunit;

namespace Lamina.Tests.Machines.Life;

public sealed class CpuBudgetTests
{
    private const long Millisecond = 1_000_000, Second = 1_000 * Millisecond;

    [Theory]
    [InlineData(1, 1, 0)]
    [InlineData(25, 1, 0)]
    [InlineData(25, 1, 3)]
    [InlineData(25, 4, 3)]
    [InlineData(99, 1, 1)]
    [InlineData(150, 2, 0)]
    [InlineData(150, 4, 20)]
    public void Threads_that_take_all_they_are_let_take_the_cap(int percent, int threads, int lateMilliseconds)
    {
        var (used, time) = Run(new CpuBudget(percent), threads, lateMilliseconds, 20 * Second);

        Assert.InRange(100.0 * used / time, percent * 0.99 - 0.1, percent * 1.01 + 0.5);
    }

    [Theory]
    [InlineData(100, 1)]
    [InlineData(400, 4)]
    [InlineData(300, 2)]
    public void A_cap_that_cannot_be_reached_stops_nobody(int percent, int threads)
    {
        var budget = new CpuBudget(percent);

        for (var i = 0; i < 100; i++) Assert.InRange(budget.Look(CpuBudget.Period, threads * CpuBudget.Period, threads), Millisecond, CpuBudget.Period);

        Assert.True(budget.MayRun);
    }

    [Fact]
    public void A_rest_saves_up_no_more_than_a_period()
    {
        var budget = new CpuBudget(50);
        budget.Look(1000 * Second, 0, 1);

        budget.Look(1, CpuBudget.Period / 2 + 1, 1);

        Assert.False(budget.MayRun);
    }

    [Fact]
    public void What_was_taken_too_much_is_made_up_for()
    {
        var budget = new CpuBudget(10);
        budget.Look(Second, Second, 1);
        Assert.False(budget.MayRun);

        // 900 ms of debt at 10 %, less what was left.
        budget.Look(8 * Second, 0, 1);
        Assert.False(budget.MayRun);
        budget.Look(2 * Second, 0, 1);

        Assert.True(budget.MayRun);
    }

    [Theory]
    [InlineData(100, 0)]
    [InlineData(80, 1)]
    [InlineData(125, -1)]
    [InlineData(1, 19)]
    [InlineData(10_000, -20)]
    [InlineData(300, -5)]
    public void A_weight_is_the_nice_value_that_the_kernel_weighs_nearest_to_it(int weight, int nice) => Assert.Equal(nice, CpuShare.NiceOf(weight));

    // Looks come as late as it is said, and threads stop at looks only.
    private static (long Used, long Time) Run(CpuBudget budget, int threads, int lateMilliseconds, long until)
    {
        var (used, time, pause) = (0L, 0L, budget.Look(0, 0, threads));
        while (time < until)
        {
            var elapsed = pause + lateMilliseconds * Millisecond;
            var took = budget.MayRun ? elapsed * threads : 0;
            (used, time) = (used + took, time + elapsed);
            pause = budget.Look(elapsed, took, threads);
        }
        return (used, time);
    }
}
