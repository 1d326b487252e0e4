using Lamina.Host.Threads;
using Lamina.Host.Time;
using Xunit;

namespace Lamina.Tests.Backends.Host;

public class ThreadParkerTests
{
    [Fact]
    public void A_wake_up_that_came_before_is_not_lost_and_counts_once()
    {
        var parker = new ThreadParker();
        parker.Unpark();
        parker.Unpark();

        parker.Park();

        Assert.False(parker.ParkUntil(0));
    }

    [Fact]
    public void A_moment_that_has_passed_ends_the_sleep_at_once()
    {
        var parker = new ThreadParker();

        Assert.False(parker.ParkUntil(HostTime.MonotonicNanoseconds - 1));
        Assert.False(parker.ParkUntil(long.MinValue));
    }

    [Fact]
    public void A_sleep_ends_not_before_its_moment()
    {
        var parker = new ThreadParker();
        var deadline = HostTime.MonotonicNanoseconds + 2_000_000;

        Assert.False(parker.ParkUntil(deadline));

        Assert.True(HostTime.MonotonicNanoseconds >= deadline);
    }

    [Fact]
    public void Two_threads_can_hand_a_ball_back_and_forth()
    {
        const int rounds = 20_000;
        var (here, there) = (new ThreadParker(), new ThreadParker());
        var ball = 0;
        var other = new Thread(() =>
        {
            for (var i = 0; i < rounds; i++)
            {
                while (Volatile.Read(ref ball) != i * 2 + 1) there.Park();
                Volatile.Write(ref ball, i * 2 + 2);
                here.Unpark();
            }
        });
        other.Start();

        for (var i = 0; i < rounds; i++)
        {
            Volatile.Write(ref ball, i * 2 + 1);
            there.Unpark();
            while (Volatile.Read(ref ball) != i * 2 + 2) here.Park();
        }

        Assert.True(other.Join(Waiting.Limit));
    }
}
