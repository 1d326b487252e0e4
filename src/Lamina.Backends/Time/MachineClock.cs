// The clock of a machine on this host. Monotonic time is CLOCK_MONOTONIC and the guest's time-stamp counter is the host's,
// each less what passed while the machine was paused: both begin at 0 and stand still together. Timers are served by one
// thread of the clock's own (TimerQueue).
using Lamina.Core.Time;
using Lamina.Host.Time;

namespace Lamina.Backends.Time;

/// <summary>A machine's clock and timers.</summary>
public sealed class MachineClock : IHostTscClock, IDisposable
{
    private readonly TimeStampCounter _tsc = new();
    private readonly TimerQueue _timers;
    private readonly Lock _gate = new();
    private volatile Pace _pace;

    /// <summary>Makes a clock that runs, or stands at 0 until <see cref="Resume"/>.</summary>
    /// <param name="paused">Whether it begins paused.</param>
    /// <param name="failed">Told in a sentence of an expiry that threw; without it such an exception ends the process.</param>
    /// <exception cref="Host.HostException">The host forbids generated code, which reading the counter needs.</exception>
    public MachineClock(bool paused = false, Action<string>? failed = null)
    {
        _pace = new Pace(Running: false, 0, 0);
        _timers = new TimerQueue(() => NowNanoseconds, failed);
        if (!paused) Resume();
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
            return pace.Running ? HostTime.MonotonicNanoseconds - pace.Nanoseconds : pace.Nanoseconds;
        }
    }

    /// <inheritdoc/>
    public DateTimeOffset WallClock => DateTimeOffset.UtcNow;

    /// <inheritdoc/>
    public ulong TscHz => _tsc.Hertz;

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

    /// <summary>Stops time. When this returns no timer's expiry runs, unless it is the caller. Does nothing where it is paused.</summary>
    public void Pause()
    {
        lock (_gate)
        {
            if (!_pace.Running) return;
            _pace = new Pace(Running: false, NowNanoseconds, ReadTsc());
            _timers.Pause();
        }
    }

    /// <summary>Lets time go on from where it stopped. Does nothing where it runs.</summary>
    public void Resume()
    {
        lock (_gate)
        {
            if (_pace.Running) return;
            _pace = new Pace(Running: true, HostTime.MonotonicNanoseconds - _pace.Nanoseconds, _tsc.Read() - _pace.Tsc);
            _timers.Resume(_pace.Nanoseconds);
        }
    }

    /// <summary>Stops the timers for good. Time goes on for those who still read it, but not its time-stamp counter.</summary>
    public void Dispose()
    {
        _timers.Dispose();
        lock (_gate) _pace = new Pace(Running: false, NowNanoseconds, ReadTsc());
        _tsc.Dispose();
    }
}
