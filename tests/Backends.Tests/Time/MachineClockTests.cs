using System.Collections.Concurrent;
using Lamina.Backends.Time;
using Lamina.Core.Inspection;
using Lamina.Core.Time;
using Lamina.Host;
using Xunit;

namespace Lamina.Tests.Backends.Time;

public class MachineClockTests
{
    private const long Never = long.MaxValue;
    private const long Hour = 3_600_000_000_000;

    // A host that lets its time be read by its counter, or does not.
    private static MachineClock Clock(bool byCounter, bool paused = false) => new(paused, read: byCounter ? _ => "tsc" : null);

    [Theory]
    [InlineData(false), InlineData(true)]
    public void It_goes_by_the_counter_where_the_host_does(bool byCounter)
    {
        using var clock = Clock(byCounter);
        var root = new InspectNode("");

        clock.Inspect(root);

        Assert.Equal(byCounter && Lamina.Host.Time.TimeStampCounter.IsInvariant, root["read by the host's counter"]);
    }

    [Fact]
    public void A_clock_may_be_read_while_it_is_disposed_and_afterwards()
    {
        var clock = Clock(byCounter: true);
        using var begun = new ManualResetEventSlim();
        var (stop, last) = (false, 0L);
        var reader = Waiting.Run(() =>
        {
            while (!Volatile.Read(ref stop))
            {
                last = Math.Max(last, clock.NowNanoseconds);
                _ = clock.ReadTsc();
                begun.Set();
            }
        });
        Waiting.Wait(begun);

        clock.Dispose();

        Volatile.Write(ref stop, true);
        Assert.True(reader.Join(Waiting.Limit));
        Assert.Equal(clock.NowNanoseconds, clock.NowNanoseconds);
    }

    [Fact]
    public void A_paused_clock_stands_at_zero_until_it_is_resumed()
    {
        using var clock = new MachineClock(paused: true);
        Assert.Equal(0, clock.NowNanoseconds);
        Assert.Equal(0ul, clock.ReadTsc());
        Assert.False(clock.IsRunning);

        clock.Resume();

        Waiting.Until(() => clock.NowNanoseconds > 0 && clock.ReadTsc() > 0);
    }

    [Theory]
    [InlineData(false), InlineData(true)]
    public void Time_and_time_stamps_never_go_backwards_across_pauses_and_stand_still_in_them(bool byCounter)
    {
        using var clock = Clock(byCounter);
        long time = 0;
        ulong tsc = 0;
        for (var i = 0; i < 100; i++)
        {
            clock.Pause();
            var (pausedTime, pausedTsc) = (clock.NowNanoseconds, clock.ReadTsc());
            Assert.True(pausedTime >= time && pausedTsc >= tsc);
            Thread.Yield();
            Assert.Equal(pausedTime, clock.NowNanoseconds);
            Assert.Equal(pausedTsc, clock.ReadTsc());
            clock.Pause();
            clock.Resume();
            clock.Resume();
            (time, tsc) = (clock.NowNanoseconds, clock.ReadTsc());
            Assert.True(time >= pausedTime && tsc >= pausedTsc);
        }
    }

    [Fact]
    public void A_clock_that_was_saved_goes_on_on_another_one()
    {
        SavedClock saved;
        using (var clock = new MachineClock())
        {
            Waiting.Until(() => clock.NowNanoseconds > 1_000_000);
            Assert.Throws<InvalidOperationException>(() => clock.Save());
            clock.Pause();
            saved = clock.Save();
            Assert.Equal((clock.NowNanoseconds, clock.ReadTsc(), clock.TscHz), (saved.Nanoseconds, saved.Tsc, saved.TscHz));
        }
        saved = saved with { Nanoseconds = saved.Nanoseconds + 100 * Hour, Tsc = saved.Tsc + 360_000 * saved.TscHz };

        using var next = new MachineClock(paused: true, saved: saved);

        Assert.Equal(saved with { WallClock = default }, next.Save() with { WallClock = default });
        next.Resume();
        Waiting.Until(() => next.NowNanoseconds > saved.Nanoseconds && next.ReadTsc() > saved.Tsc);
        Assert.InRange(next.NowNanoseconds, saved.Nanoseconds, saved.Nanoseconds + Hour);
        next.Pause();
        // Both have come on by the same time, whatever happened between.
        var (nanoseconds, ticks) = (next.NowNanoseconds - saved.Nanoseconds, next.ReadTsc() - saved.Tsc);
        Assert.InRange((double)ticks / saved.TscHz * 1e9, nanoseconds * 0.99 - 50_000, nanoseconds * 1.01 + 50_000);
    }

    [Theory]
    [InlineData(2_000_000_000, 2_000_400_000, true)]
    [InlineData(2_000_000_000, 2_000_600_000, false)]
    [InlineData(3_000_000_000, 2_000_000_000, false)]
    public void A_guest_does_not_go_on_by_a_counter_of_another_rate(ulong saved, ulong here, bool goesOn)
    {
        if (goesOn) MachineClock.CheckRate(saved, here);
        else Assert.Contains("go on with it on a host of the same rate", Assert.Throws<HostException>(() => MachineClock.CheckRate(saved, here)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_was_told_of_the_counters_rate_stays()
    {
        using var first = new MachineClock(paused: true);
        var saved = first.Save() with { TscHz = first.TscHz + 1000 };

        using var second = new MachineClock(paused: true, saved: saved);

        Assert.Equal(saved.TscHz, second.TscHz);
    }

    [Fact]
    public void An_expiry_that_throws_is_told_of_in_a_sentence_and_others_come()
    {
        using var said = new BlockingCollection<string>();
        using var clock = new MachineClock(failed: said.Add);
        using var broken = clock.CreateTimer(() => throw new InvalidOperationException("it broke"));

        for (var i = 0; i < 2; i++)
        {
            broken.Arm(0);
            Assert.True(said.TryTake(out var sentence, Waiting.Limit));
            Assert.Equal("a device's timer stopped: it broke", sentence);
        }
    }

    [Fact]
    public void The_guests_time_stamp_is_the_hosts_plus_the_offset()
    {
        using var clock = new MachineClock();
        var host = new Lamina.Host.Time.TimeStampCounter();
        clock.Pause();
        clock.Resume();

        var before = host.Read() + (ulong)clock.TscOffset;
        var guest = clock.ReadTsc();
        var after = host.Read() + (ulong)clock.TscOffset;

        // Counters of different cores may differ by a little.
        Assert.InRange(guest, before - 10_000, after + 10_000);
    }

    [Theory]
    [InlineData(false), InlineData(true)]
    public void Time_and_time_stamps_agree_by_the_frequency(bool byCounter)
    {
        using var clock = Clock(byCounter);
        Waiting.Until(() => clock.NowNanoseconds > 50_000_000);

        var first = clock.ReadTsc();
        var now = clock.NowNanoseconds;
        var second = clock.ReadTsc();

        var ticks = now * (clock.TscHz / 1e9);
        Assert.InRange(ticks, first * 0.999, second * 1.001);
    }

    [Fact]
    public void The_wall_clock_is_the_hosts()
    {
        using var clock = new MachineClock();
        var before = DateTimeOffset.UtcNow;

        var wall = clock.WallClock;

        Assert.InRange(wall, before, DateTimeOffset.UtcNow);
    }

    [Fact]
    public void Timers_expire_in_the_order_of_their_deadlines()
    {
        using var clock = new MachineClock(paused: true);
        var order = new ConcurrentQueue<int>();
        using var done = new ManualResetEventSlim();
        var deadlines = new[] { 5, 1, 4, 0, 9, 2, 8, 3, 7, 6 };
        foreach (var deadline in deadlines)
            clock.CreateTimer(() =>
            {
                order.Enqueue(deadline);
                if (order.Count == deadlines.Length) done.Set();
            }).Arm(deadline * 10_000L);

        clock.Resume();
        Waiting.Wait(done);

        Assert.Equal(Enumerable.Range(0, 10), order);
    }

    [Theory]
    [InlineData(false), InlineData(true)]
    public void A_timer_expires_not_before_its_deadline_and_once(bool byCounter)
    {
        using var clock = Clock(byCounter);
        // Until the counter's rate is known.
        Waiting.Until(() => clock.NowNanoseconds > 50_000_000);
        using var done = new ManualResetEventSlim();
        var deadline = clock.NowNanoseconds + 3_000_000;
        var (expiries, at) = (0, 0L);
        var timer = clock.CreateTimer(() =>
        {
            Volatile.Write(ref at, clock.NowNanoseconds);
            Interlocked.Increment(ref expiries);
            done.Set();
        });

        timer.Arm(deadline);
        Waiting.Wait(done);
        using var later = new ManualResetEventSlim();
        clock.CreateTimer(later.Set).Arm(clock.NowNanoseconds + 3_000_000);
        Waiting.Wait(later);

        Assert.True(at >= deadline);
        Assert.Equal(1, expiries);
    }

    [Theory]
    [InlineData(0L), InlineData(-1L), InlineData(long.MinValue)]
    public void A_deadline_in_the_past_expires_at_once(long deadline)
    {
        using var clock = new MachineClock();
        using var done = new ManualResetEventSlim();

        clock.CreateTimer(done.Set).Arm(deadline);

        Waiting.Wait(done);
    }

    [Fact]
    public void A_timer_armed_again_earlier_expires_by_the_new_deadline()
    {
        using var clock = new MachineClock();
        using var done = new ManualResetEventSlim();
        var timer = clock.CreateTimer(done.Set);

        timer.Arm(Hour);
        timer.Arm(clock.NowNanoseconds + 1_000_000);

        Waiting.Wait(done);
    }

    [Theory]
    [InlineData(false), InlineData(true)]
    public void A_timer_that_is_cancelled_or_disposed_does_not_expire(bool dispose)
    {
        using var clock = new MachineClock(paused: true);
        var expired = 0;
        var timer = clock.CreateTimer(() => expired++);
        timer.Arm(1);
        if (dispose) timer.Dispose();
        else timer.Cancel();
        if (dispose) timer.Arm(1);
        using var later = new ManualResetEventSlim();
        clock.CreateTimer(later.Set).Arm(2);

        clock.Resume();
        Waiting.Wait(later);

        Assert.Equal(0, expired);
    }

    [Fact]
    public void Nothing_expires_while_the_clock_is_paused_and_what_was_due_expires_afterwards()
    {
        using var clock = new MachineClock();
        using var done = new ManualResetEventSlim();
        clock.Pause();

        clock.CreateTimer(done.Set).Arm(clock.NowNanoseconds);
        Assert.False(done.IsSet);
        clock.Resume();

        Waiting.Wait(done);
    }

    [Fact]
    public void Pause_waits_for_an_expiry_that_runs()
    {
        using var clock = new MachineClock();
        using var begun = new ManualResetEventSlim();
        using var go = new ManualResetEventSlim();
        var ended = false;
        clock.CreateTimer(() =>
        {
            begun.Set();
            go.Wait();
            Volatile.Write(ref ended, true);
        }).Arm(0);
        Waiting.Wait(begun);
        var pause = Waiting.Run(clock.Pause);

        go.Set();
        Assert.True(pause.Join(Waiting.Limit));

        Assert.True(Volatile.Read(ref ended));
    }

    [Fact]
    public void An_expiry_may_pause_the_clock_and_arm_its_own_timer()
    {
        using var clock = new MachineClock();
        using var paused = new ManualResetEventSlim();
        var ticks = 0;
        IDeviceTimer? timer = null;
        timer = clock.CreateTimer(() =>
        {
            if (++ticks < 100) timer!.Arm(clock.NowNanoseconds + 1000);
            else
            {
                clock.Pause();
                paused.Set();
            }
        });

        timer.Arm(0);
        Waiting.Wait(paused);

        Assert.Equal(100, ticks);
        Assert.False(clock.IsRunning);
    }

    [Fact]
    public void A_deadline_that_never_comes_is_no_trouble()
    {
        using var clock = new MachineClock();
        using var done = new ManualResetEventSlim();
        clock.CreateTimer(() => Assert.Fail("never came")).Arm(Never);
        clock.CreateTimer(() => Assert.Fail("never came")).Arm(Never - 1);

        clock.CreateTimer(done.Set).Arm(clock.NowNanoseconds + 1_000_000);

        Waiting.Wait(done);
    }

    [Fact]
    public void Arming_further_away_wakes_nobody()
    {
        using var queue = new TimerQueue(() => 0);
        queue.Resume(0);
        var timer = queue.Create(() => { });
        timer.Arm(Hour);
        var wakes = queue.Wakes;

        for (var i = 0; i < 1000; i++) timer.Arm(Hour * 2 + i);

        // The thread may look at the heap once more between; it is not woken for any of them.
        Assert.InRange(queue.Wakes, wakes, wakes + 1);
    }

    [Fact]
    public void Timers_armed_and_cancelled_from_many_threads_at_once_all_come_to_their_end()
    {
        using var clock = new MachineClock();
        using var done = new CountdownEvent(4 * 200);
        var threads = Enumerable.Range(0, 4).Select(seed => new Thread(() =>
        {
            var random = new Random(seed);
            for (var i = 0; i < 200; i++)
            {
                var once = 0;
                var timer = clock.CreateTimer(() =>
                {
                    if (Interlocked.Exchange(ref once, 1) == 0) done.Signal();
                });
                for (var j = 0; j < 10; j++)
                {
                    timer.Arm(clock.NowNanoseconds + random.Next(1_000_000));
                    if (random.Next(3) == 0) timer.Cancel();
                }
                timer.Arm(clock.NowNanoseconds + random.Next(100_000));
            }
        })).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());

        Assert.True(done.Wait(Waiting.Limit, TestContext.Current.CancellationToken));
    }

    [Fact]
    public void A_disposed_clock_expires_nothing_and_may_be_disposed_by_an_expiry()
    {
        var clock = new MachineClock();
        using var done = new ManualResetEventSlim();
        clock.CreateTimer(() =>
        {
            clock.Dispose();
            done.Set();
        }).Arm(0);

        Waiting.Wait(done);

        Assert.False(clock.IsRunning);
    }
}
