// The rule by which a guest does without memory while the host runs short: when it gives, how much, when it gets, and that it never gives
// what its programs need.
using Lamina.Life;
using Xunit;

namespace Lamina.Tests.Machines.Life;

public sealed class BalloonPolicyTests
{
    private const ulong MiB = 1 << 20, GiB = 1 << 30;

    private static readonly BalloonFigures Easy = new(HostFree: 4 * GiB, HostTotal: 6 * GiB, Memory: 2 * GiB, Least: 256 * MiB, Actual: 0, GuestAvailable: 1536 * MiB);

    [Fact]
    public void While_the_host_has_enough_nothing_is_asked_for() => Assert.Equal(0ul, BalloonPolicy.Next(Easy, 0));

    [Fact]
    public void A_host_that_runs_short_gets_what_is_missing_a_quarter_of_the_memory_at_once()
    {
        Assert.Equal(100 * MiB, BalloonPolicy.Next(Easy with { HostFree = GiB - 100 * MiB }, 0));
        Assert.Equal(512 * MiB, BalloonPolicy.Next(Easy with { HostFree = 0 }, 0));
    }

    [Fact]
    public void What_is_under_way_is_not_asked_for_again()
    {
        var now = Easy with { HostFree = GiB - 100 * MiB };

        Assert.Equal(100 * MiB, BalloonPolicy.Next(now, 100 * MiB));
        Assert.Equal(150 * MiB, BalloonPolicy.Next(now with { Actual = 50 * MiB }, 100 * MiB));
    }

    [Fact]
    public void No_guest_is_left_with_less_than_its_least()
    {
        var target = 0ul;
        for (var i = 0; i < 100; i++) target = BalloonPolicy.Next(Easy with { HostFree = 0, Actual = target }, target);

        Assert.Equal(2 * GiB - 256 * MiB, target);
    }

    [Fact]
    public void A_guest_gives_no_more_than_its_programs_can_spare()
    {
        Assert.Equal(72 * MiB, BalloonPolicy.Next(Easy with { HostFree = 0, GuestAvailable = 200 * MiB }, 0));
        Assert.Equal(0ul, BalloonPolicy.Next(Easy with { HostFree = 0, GuestAvailable = 128 * MiB }, 0));
    }

    [Fact]
    public void A_guest_that_has_too_little_gets_it_back_though_the_host_is_short() =>
        Assert.Equal(428 * MiB, BalloonPolicy.Next(Easy with { HostFree = 0, Actual = 512 * MiB, GuestAvailable = 44 * MiB }, 512 * MiB));

    [Fact]
    public void One_that_says_nothing_gives_a_little_at_a_time() => Assert.Equal(128 * MiB, BalloonPolicy.Next(Easy with { HostFree = 0, GuestAvailable = null }, 0));

    [Fact]
    public void It_comes_back_in_parts_when_the_host_has_plenty_and_stays_in_between()
    {
        Assert.Equal(384 * MiB, BalloonPolicy.Next(Easy with { Actual = 512 * MiB }, 512 * MiB));
        Assert.Equal(512 * MiB, BalloonPolicy.Next(Easy with { Actual = 512 * MiB, HostFree = 3 * GiB / 2 }, 512 * MiB));
        Assert.Equal(0ul, BalloonPolicy.Next(Easy with { Actual = 100 * MiB }, 100 * MiB));
    }

    // Whatever a guest says and however the figures lie, the answer is between nothing and all but the least.
    [Fact]
    public void No_figures_lead_outside()
    {
        var random = new Random(16);
        for (var i = 0; i < 100_000; i++)
        {
            ulong Any() => (ulong)random.NextInt64() >> random.Next(64);
            var figures = new BalloonFigures(Any(), Any(), Any(), Any(), Any(), random.Next(3) == 0 ? null : Any());

            Assert.InRange(BalloonPolicy.Next(figures, Any()), 0ul, figures.Memory - Math.Min(figures.Memory, figures.Least));
        }
    }
}
