// The host's monotonic time by its time-stamp counter, which takes a fifth less than the kernel's clock (20 and 25 ns on Zen 5, most of it
// the counter's own); guests without a better clock ask for the time millions of times a second.
// Time is a function of the counter: lines, each over ten milliseconds of it, drawn by the kernel's clock when somebody asks beyond the end
// of the last. So all threads that read one counter read one time, whatever line they have hold of, and none begins below where another
// ended: where the counter was ahead, time waits for the kernel's. A line ends as far from the kernel's clock as that changes its rate
// meanwhile, nanoseconds, so timers, which sleep by that clock, agree with it.
// A counter that is once found to be off, because the host was suspended, has been moved to another one, or tells an untruth about its
// counter, is not used again: from then on it is the kernel's clock, and until the counter's rate is known.
namespace Lamina.Host.Time;

/// <summary>A time-stamp counter and a monotonic clock beside it.</summary>
public interface IHostClocks
{
    /// <summary>The counter, not before what was read before.</summary>
    ulong Counter { get; }

    /// <summary>The clock, in nanoseconds.</summary>
    long Nanoseconds { get; }
}

/// <summary>Monotonic time by a counter. Any thread.</summary>
/// <typeparam name="TClocks">What it goes by: a structure, so that asking it is no call through a table.</typeparam>
public sealed class CounterTime<TClocks> where TClocks : struct, IHostClocks
{
    // The nanoseconds of a line: what passes until an error is seen, and the most by which time is wrong meanwhile.
    private const long Span = 10_000_000;

    // A rate is measured over no less than the one, and no more than twice the other while somebody asks.
    private const long ShortestBase = 20_000_000, LongestBase = 500_000_000;

    // What the counter and the clock may differ by from one look to the next, beside what the clock's own rate may change (adjtimex(2): 500
    // millionths), before the counter is given up.
    private const long Tolerance = 100_000;
    private const double RateTolerance = 1e-3;

    // How often both are looked at until there was no interruption; what is taken for none, and what says nothing any more.
    private const int Looks = 8;
    private const long Narrow = 500, Wide = 20_000;

    // Counters of two processors may differ by less than it takes a store to get from one to the other; this is a few of that.
    private const long Skew = 1000;

    // The fraction of a line's slope has so many bits: times the ticks of a line of any counter that makes 56.
    private const int FractionBits = 32;

    private readonly TClocks _clocks;
    private readonly Lock _gate = new();
    private volatile Line? _line;
    private volatile bool _byClock;
    private long _floor = long.MinValue;
    private Moment _last, _base, _nextBase;
    private bool _begun;
    private double _rate;

    /// <summary>Begins to measure the counter's rate.</summary>
    /// <param name="clocks">What it goes by.</param>
    /// <param name="trusted">Whether the counter may be used; else it is the clock all the time.</param>
    public CounterTime(TClocks clocks, bool trusted)
    {
        (_clocks, _byClock) = (clocks, !trusted);
        if (trusted && Look() is { IsExact: true } now) _ = Measure(now);
    }

    private readonly record struct Moment(ulong Counter, long Before, long After)
    {
        internal long Nanoseconds => Before + (After - Before) / 2;

        internal bool IsExact => After - Before <= Wide;
    }

    // Nanoseconds at Start, and what each tick adds, for so many ticks.
    private sealed record Line(ulong Start, ulong Ticks, long Nanoseconds, ulong Slope)
    {
        internal long After(ulong ticks) => Nanoseconds + (long)(ticks * Slope >> FractionBits);
    }

    /// <summary>Whether it goes by the clock for good.</summary>
    public bool IsByClock => _byClock;

    /// <summary>Now. No thread reads less than another one has read before.</summary>
    public long Nanoseconds
    {
        get
        {
            if (_line is { } line && _clocks.Counter - line.Start is var ticks && ticks < line.Ticks) return line.After(ticks);
            return _byClock ? ByClock : Draw();
        }
    }

    private long ByClock => Math.Max(_clocks.Nanoseconds, Volatile.Read(ref _floor));

    // Beyond the end of the last line, or before the first.
    private long Draw()
    {
        lock (_gate)
        {
            if (_byClock) return ByClock;
            var now = Look();
            if (_line is { } line)
            {
                // Another thread has drawn it meanwhile.
                var ticks = now.Counter - line.Start;
                if (ticks < line.Ticks) return line.After(ticks);
                if ((long)ticks is < 0 and > -Skew) return line.Nanoseconds;
                // Nobody has read more of it than this.
                _floor = Math.Max(_floor, line.After(line.Ticks));
            }
            if (!now.IsExact) return _floor = Math.Max(_floor, now.After);
            if (!Measure(now))
            {
                _byClock = true;
                _line = null;
                return ByClock;
            }
            var start = Math.Max(now.Nanoseconds, _floor);
            if (_rate == 0) return _floor = start;
            var lead = Math.Clamp(start - now.Nanoseconds, 0, Span);
            _line = new Line(now.Counter, (ulong)(Span * _rate), start, (ulong)((Span - lead) / (Span * _rate) * (1L << FractionBits)));
            return start;
        }
    }

    // Keeps the rate. False where counter and clock do not go together as they did.
    private bool Measure(Moment now)
    {
        if (!_begun)
        {
            (_begun, _last, _base, _nextBase) = (true, now, now, now);
            return true;
        }
        var ticks = (long)(now.Counter - _last.Counter);
        var passed = now.Nanoseconds - _last.Nanoseconds;
        if (ticks < 0 || (_rate != 0 && Math.Abs(ticks / _rate - passed) > Tolerance + passed * RateTolerance)) return false;
        _last = now;
        if (now.Nanoseconds - _base.Nanoseconds < ShortestBase) return true;
        _rate = (now.Counter - _base.Counter) / (double)(now.Nanoseconds - _base.Nanoseconds);
        if (now.Nanoseconds - _nextBase.Nanoseconds >= LongestBase) (_base, _nextBase) = (_nextBase, now);
        // Slower than any processor's counter, or faster than a line's arithmetic is made for.
        return _rate is > 0.01 and < 100;
    }

    private Moment Look()
    {
        Moment best = default;
        for (var i = 0; i < Looks; i++)
        {
            var before = _clocks.Nanoseconds;
            var counter = _clocks.Counter;
            var after = _clocks.Nanoseconds;
            if (i == 0 || after - before < best.After - best.Before) best = new Moment(counter, before, after);
            if (best.After - best.Before <= Narrow) break;
        }
        return best;
    }
}
