using Lamina.Host.Time;
using Xunit;

namespace Lamina.Tests.Backends.Host;

// Time by a counter and a clock that tests turn by hand.
public class CounterTimeTests
{
    private const long Millisecond = 1_000_000, Second = 1_000_000_000;

    // What a line may be off by: some millionths of it, and what is rounded.
    private const long Close = 200;

    // A host whose counter ticks at a rate of its own.
    private sealed class FakeHost
    {
        private readonly Lock _gate = new();
        private double _ticks = 1e12;
        private long _now = 5 * Second;

        // Ticks a nanosecond.
        public double Rate { get; set; } = 2.5;

        public int ClockReadings { get; private set; }

        // What passes with each reading of the clock.
        public long ReadingTakes { get; set; }

        public long Now
        {
            get { lock (_gate) return _now; }
        }

        public ulong Counter
        {
            get { lock (_gate) return (ulong)_ticks; }
        }

        public long ReadClock()
        {
            lock (_gate)
            {
                ClockReadings++;
                Pass(ReadingTakes);
                return _now;
            }
        }

        public void Pass(long nanoseconds)
        {
            lock (_gate)
            {
                _now += nanoseconds;
                _ticks += nanoseconds * Rate;
            }
        }

        // The counter goes on, the clock does not: as a suspended host's.
        public void Jump(long ticks)
        {
            lock (_gate) _ticks += ticks;
        }
    }

    private readonly struct FakeClocks(FakeHost host) : IHostClocks
    {
        public ulong Counter => host.Counter;

        public long Nanoseconds => host.ReadClock();
    }

    private readonly FakeHost _host = new();

    private CounterTime<FakeClocks> Time(bool trusted = true) => new(new FakeClocks(_host), trusted);

    // Long enough for the counter's rate to be known.
    private CounterTime<FakeClocks> Measured()
    {
        var time = Time();
        _host.Pass(100 * Millisecond);
        _ = time.Nanoseconds;
        return time;
    }

    private static void AssertClose(long expected, long actual, long by = Close) => Assert.InRange(actual, expected - by, expected + by);

    [Theory]
    [InlineData(0.0245)]
    [InlineData(1)]
    [InlineData(2.096029)]
    [InlineData(6.2)]
    public void It_is_the_clock_without_asking_it(double rate)
    {
        _host.Rate = rate;
        var time = Measured();
        var readings = _host.ClockReadings;

        for (var i = 0; i < 9; i++)
        {
            _host.Pass(Millisecond);
            AssertClose(_host.Now, time.Nanoseconds);
        }

        Assert.Equal(readings, _host.ClockReadings);
        Assert.False(time.IsByClock);
    }

    [Fact]
    public void It_does_not_drift_however_often_or_seldom_it_is_asked()
    {
        var time = Measured();
        foreach (var step in (long[])[777, 123_457, 3 * Millisecond, 10 * Millisecond, Second, 3600 * Second])
            for (var i = 0; i < 2000; i++)
            {
                _host.Pass(step);
                AssertClose(_host.Now, time.Nanoseconds);
            }
        Assert.False(time.IsByClock);
    }

    [Fact]
    public void Until_the_rate_is_known_it_is_the_clock()
    {
        _host.ReadingTakes = 40;
        var time = Time();
        for (var last = 0L; _host.Now < 5 * Second + 30 * Millisecond;)
        {
            _host.Pass(100_000);
            var before = _host.Now;
            var now = time.Nanoseconds;
            Assert.InRange(now, Math.Max(before - Close, last), _host.Now + Close);
            last = now;
        }
    }

    // adjtimex(2) changes the clock's rate by up to 500 millionths.
    [Theory]
    [InlineData(1 - 500e-6)]
    [InlineData(1 + 500e-6)]
    public void A_clock_whose_rate_is_adjusted_is_followed_and_never_goes_back(double by)
    {
        _host.ReadingTakes = 40;
        var time = Measured();
        for (var i = 0; i < 1000; i++)
        {
            _host.Pass(10 * Millisecond);
            _ = time.Nanoseconds;
        }
        _host.Rate *= by;
        var last = 0L;
        for (var i = 0; i < 1_500_000; i++)
        {
            // Often, so that the end of each line is read and the beginning of the next.
            _host.Pass(1000);
            var now = time.Nanoseconds;
            if (now < last) Assert.Fail($"from {last} to {now}");
            // Half of a thousandth of a line, or of the two in which an error made in the one is made good; in the end none.
            if (Math.Abs(_host.Now - now) > (i < 1_400_000 ? 12_000 : Close)) Assert.Fail($"{now} at {_host.Now}, {i}");
            last = now;
        }
        Assert.False(time.IsByClock);
    }

    [Theory]
    [InlineData(1 << 20)]
    [InlineData(1L << 33)]
    [InlineData(1L << 45)]
    [InlineData(-(1L << 27))]
    [InlineData(-900_000_000_000)]
    public void A_counter_that_jumps_is_given_up_and_time_goes_on_with_the_clock(long ticks)
    {
        var time = Measured();
        _host.Pass(2 * Millisecond);
        var last = time.Nanoseconds;

        _host.Jump(ticks);

        for (var i = 0; i < 100; i++)
        {
            var now = time.Nanoseconds;
            Assert.True(now >= last, $"from {last} to {now}");
            Assert.InRange(now, _host.Now - Close, _host.Now + 10 * Millisecond);
            last = now;
            _host.Pass(Millisecond);
        }
        Assert.True(time.IsByClock);
        Assert.Equal(_host.Now, time.Nanoseconds);
    }

    [Theory]
    [InlineData(0.5)]
    [InlineData(0.98)]
    [InlineData(1.02)]
    [InlineData(2)]
    public void A_counter_that_changes_its_rate_is_given_up(double by)
    {
        var time = Measured();
        _host.Rate *= by;
        var last = time.Nanoseconds;

        for (var i = 0; i < 1000; i++)
        {
            _host.Pass(100_000);
            var now = time.Nanoseconds;
            Assert.True(now >= last, $"from {last} to {now}");
            AssertClose(_host.Now, now, 10 * Millisecond);
            last = now;
        }
        Assert.True(time.IsByClock);
        Assert.Equal(_host.Now, time.Nanoseconds);
    }

    [Fact]
    public void A_counter_that_stands_still_is_given_up()
    {
        var time = Time();
        _host.Rate = 0;
        _host.Pass(100 * Millisecond);

        Assert.Equal(_host.Now, time.Nanoseconds);
        Assert.True(time.IsByClock);
    }

    [Fact]
    public void Another_processor_whose_counter_is_a_little_behind_reads_the_beginning_of_the_line()
    {
        var time = Measured();
        _host.Pass(20 * Millisecond);
        var first = time.Nanoseconds;

        _host.Jump(-100);

        Assert.Equal(first, time.Nanoseconds);
        _host.Jump(100);
        Assert.Equal(first, time.Nanoseconds);
        Assert.False(time.IsByClock);
    }

    [Fact]
    public void Where_the_counter_is_not_trusted_it_is_the_clock()
    {
        var time = Time(trusted: false);
        for (var i = 0; i < 100; i++)
        {
            _host.Pass(Millisecond);
            var readings = _host.ClockReadings;
            Assert.Equal(_host.Now, time.Nanoseconds);
            Assert.Equal(readings + 1, _host.ClockReadings);
        }
        Assert.True(time.IsByClock);
    }

    [Fact]
    public void An_interruption_while_the_clocks_are_looked_at_does_not_make_time_wrong()
    {
        var time = Measured();
        for (var i = 0; i < 500; i++)
        {
            // Every look takes as long as a time slice.
            _host.ReadingTakes = i % 3 == 0 ? 3 * Millisecond : 30;
            _host.Pass(10 * Millisecond);
            _ = time.Nanoseconds;
            _host.ReadingTakes = 30;
        }
        Assert.False(time.IsByClock);
        for (var i = 0; i < 500; i++)
        {
            _host.Pass(10 * Millisecond);
            _ = time.Nanoseconds;
        }
        AssertClose(_host.Now, time.Nanoseconds);
    }

    // What one thread has read, none reads less of later: told by a lock, which orders them. The host's time passes in jumps from a few
    // nanoseconds to several lines, its counter's rate swings by as much as a clock may be adjusted.
    [Fact]
    public void No_thread_reads_less_than_another_one_has_read()
    {
        _host.ReadingTakes = 20;
        var time = Time();
        var most = 0L;
        string? wrong = null;
        var threads = Enumerable.Range(0, 4).Select(seed => new Thread(() =>
        {
            var random = new Random(seed);
            for (var i = 0; i < 50_000; i++)
            {
                var before = Interlocked.Read(ref most);
                var now = time.Nanoseconds;
                if (now < before) Interlocked.CompareExchange(ref wrong, $"{now} after {before}", null);
                for (var known = before; known < now;)
                    known = Interlocked.CompareExchange(ref most, now, known) is var seen && seen == known ? now : seen;
                _host.Pass(1L << random.Next(25));
                if (i % 1000 == 0) _host.Rate = 2.5 * (1 + (random.NextDouble() - 0.5) * 8e-4);
            }
        })).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());

        Assert.Null(wrong);
        Assert.False(time.IsByClock);
    }

    [Theory]
    [InlineData(true, "tsc\n", 25, 1000, true)]
    [InlineData(true, "tsc\n", 1000, 1000, true)]
    [InlineData(true, "kvm-clock\n", 25, 1000, true)]
    [InlineData(true, "kvm-clock\n", 1000, 1000, false)]
    [InlineData(true, "kvm-clock\n", 1100, 1000, false)]
    [InlineData(true, "hyperv_clocksource_tsc_page\n", 25, 200, true)]
    [InlineData(true, "hyperv_clocksource_msr\n", 25, 200, false)]
    [InlineData(true, "hpet\n", 25, 1000, false)]
    [InlineData(true, "acpi_pm\n", 25, 1000, false)]
    [InlineData(true, "", 25, 1000, false)]
    [InlineData(true, null, 25, 1000, false)]
    [InlineData(false, "tsc\n", 25, 1000, false)]
    public void A_counter_is_trusted_where_the_kernel_trusts_it(bool invariant, string? source, ulong library, ulong kernel, bool trusted) =>
        Assert.Equal(trusted, CounterTrust.Holds(invariant, source, () => (library, kernel)));

    [Fact]
    public void This_hosts_time_by_its_counter_is_CLOCK_MONOTONIC()
    {
        var time = new CounterTime<HostClocks>(new HostClocks(new TimeStampCounter()), TimeStampCounter.IsInvariant);
        var last = 0L;
        for (var end = HostTime.MonotonicNanoseconds + 200 * Millisecond; HostTime.MonotonicNanoseconds < end;)
        {
            var before = HostTime.MonotonicNanoseconds;
            var now = time.Nanoseconds;
            var after = HostTime.MonotonicNanoseconds;
            // Given up, it may wait for the clock, which a host that jumps under this test makes it do.
            Assert.InRange(now, before - 50_000, after + 10 * Millisecond);
            Assert.True(now >= last);
            last = now;
        }
    }
}
