// The clock of a machine on this host. Monotonic time is CLOCK_MONOTONIC, read by the host's counter where it may be (CounterTime), and the guest's time-stamp counter is the host's,
// each less what passed while the machine was paused: both begin at 0, or where a saved machine's stood, and stand still together, at one
// moment, so that pauses do not set them apart. Timers are served by one
// thread of the clock's own (TimerQueue).
using System.Globalization;
using Lamina.Core.Inspection;
using Lamina.Core.Time;
using Lamina.Host;
using Lamina.Host.Time;

namespace Lamina.Backends.Time;

/// <summary>A machine's clock and timers.</summary>
public sealed class MachineClock : IHostTscClock, IInspected, IDisposable
{
    // What a guest's own time service evens out, and what two measurements of one counter may differ by (as KVM's tsc_tolerance_ppm).
    private const double RateTolerance = 250e-6;

    private readonly TimeStampCounter _tsc;
    private readonly CounterTime<HostClocks> _time;
    private readonly TimerQueue _timers;
    private readonly Lock _gate = new();
    private readonly ulong? _savedHertz;
    private volatile Pace _pace;

    /// <summary>Makes a clock that runs, or stands at 0 until <see cref="Resume"/>.</summary>
    /// <param name="paused">Whether it begins paused.</param>
    /// <param name="failed">Told in a sentence of an expiry that threw; without it such an exception ends the process.</param>
    /// <param name="saved">What it goes on from; null for 0.</param>
    /// <param name="rate">Where the rate of the host's counter is kept; null for nowhere.</param>
    /// <param name="read">The text of a file of the host's kernel, or null: whether time may be read by the counter. Without it, it is not.</param>
    /// <exception cref="Host.HostException">
    /// The host forbids generated code, which reading the counter needs; or its counter ticks at another rate than the saved one, to which
    /// the guest's own cannot be brought, because the guest reads the host's.
    /// </exception>
    public MachineClock(bool paused = false, Action<string>? failed = null, SavedClock? saved = null, TscRateMemory? rate = null, Func<string, string?>? read = null)
    {
        _tsc = new TimeStampCounter(rate);
        _time = new CounterTime<HostClocks>(new HostClocks(_tsc), read is not null && CounterTrust.Holds(_tsc, read));
        _savedHertz = saved?.TscHz;
        _pace = new Pace(Running: false, saved?.Nanoseconds ?? 0, saved?.Tsc ?? 0);
        if (saved is not null) CheckRate(saved.TscHz, _tsc.Hertz);
        _timers = new TimerQueue(() => NowNanoseconds, failed);
        if (!paused) Resume();
    }

    /// <summary>Checks that a guest may go on by a counter of another rate than it was told.</summary>
    /// <exception cref="Host.HostException">It may not.</exception>
    internal static void CheckRate(ulong saved, ulong here)
    {
        if (Math.Abs((double)saved - here) <= here * RateTolerance) return;
        throw new HostException(string.Create(CultureInfo.InvariantCulture,
            $"the machine was saved on a host whose time-stamp counter ticks at {saved / 1e6:0.###} MHz and this one's ticks at {here / 1e6:0.###} MHz; go on with it on a host of the same rate"));
    }

    // Replaced as a whole, so that readers need no lock. While it runs the values are what the host's clocks showed at
    // the machine's 0; while it is paused they are what the machine's clocks show.
    private sealed record Pace(bool Running, long Nanoseconds, ulong Tsc);

    /// <inheritdoc/>
    public long NowNanoseconds
    {
        get
        {
            var pace = _pace;
            return pace.Running ? _time.Nanoseconds - pace.Nanoseconds : pace.Nanoseconds;
        }
    }

    /// <inheritdoc/>
    public DateTimeOffset WallClock => DateTimeOffset.UtcNow;

    /// <inheritdoc/>
    public ulong TscHz => _savedHertz ?? _tsc.Hertz;

    /// <inheritdoc/>
    public long TscOffset
    {
        get
        {
            var pace = _pace;
            return pace.Running ? -(long)pace.Tsc : (long)(pace.Tsc - _tsc.Read());
        }
    }

    /// <summary>Whether time passes.</summary>
    public bool IsRunning => _pace.Running;

    /// <inheritdoc/>
    public ulong ReadTsc()
    {
        var pace = _pace;
        return pace.Running ? _tsc.Read() - pace.Tsc : pace.Tsc;
    }

    /// <inheritdoc/>
    public IDeviceTimer CreateTimer(Action expired) => _timers.Create(expired);

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        node.Kind = "clock";
        node.Say("running", IsRunning);
        node.Say("nanoseconds", NowNanoseconds);
        node.Say("tsc", ReadTsc());
        node.Say("tsc hertz", TscHz);
        node.Say("read by the host's counter", !_time.IsByClock);
    }

    /// <summary>Stops time. When this returns no timer's expiry runs, unless it is the caller. Does nothing where it is paused.</summary>
    public void Pause()
    {
        lock (_gate)
        {
            if (!_pace.Running) return;
            var (tsc, nanoseconds) = _tsc.Sample(() => _time.Nanoseconds);
            _pace = new Pace(Running: false, nanoseconds - _pace.Nanoseconds, tsc - _pace.Tsc);
            _timers.Pause();
        }
    }

    /// <summary>Lets time go on from where it stopped. Does nothing where it runs.</summary>
    public void Resume()
    {
        lock (_gate)
        {
            if (_pace.Running) return;
            var (tsc, nanoseconds) = _tsc.Sample(() => _time.Nanoseconds);
            _pace = new Pace(Running: true, nanoseconds - _pace.Nanoseconds, tsc - _pace.Tsc);
            _timers.Resume(_pace.Nanoseconds);
        }
    }

    /// <summary>Where it stands, for a clock that is to go on from there. Only while it is paused.</summary>
    public SavedClock Save()
    {
        var pace = _pace;
        if (pace.Running) throw new InvalidOperationException("a clock is saved while it is paused");
        return new SavedClock(pace.Nanoseconds, pace.Tsc, TscHz, WallClock);
    }

    /// <summary>Has it go on from another moment of the same clock. Only while it is paused and nobody has asked it for anything.</summary>
    /// <exception cref="Host.HostException">That one's time-stamp counter ticked at another rate.</exception>
    public void MoveTo(SavedClock saved)
    {
        ArgumentNullException.ThrowIfNull(saved);
        lock (_gate)
        {
            if (_pace.Running) throw new InvalidOperationException("a clock is moved while it is paused");
            CheckRate(saved.TscHz, TscHz);
            _pace = new Pace(Running: false, saved.Nanoseconds, saved.Tsc);
        }
    }

    /// <summary>Has time have passed while it is paused: what is due is due when it goes on.</summary>
    public void Advance(TimeSpan time)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(time, TimeSpan.Zero);
        lock (_gate)
        {
            if (_pace.Running) throw new InvalidOperationException("a clock is moved while it is paused");
            var nanoseconds = time.Ticks * TimeSpan.NanosecondsPerTick;
            _pace = new Pace(Running: false, _pace.Nanoseconds + nanoseconds, _pace.Tsc + (ulong)((UInt128)nanoseconds * TscHz / 1_000_000_000));
        }
    }

    /// <summary>Stops the timers for good. Time goes on for those who still read it, but not its time-stamp counter.</summary>
    public void Dispose()
    {
        _timers.Dispose();
        lock (_gate) _pace = new Pace(Running: false, NowNanoseconds, ReadTsc());
    }
}
