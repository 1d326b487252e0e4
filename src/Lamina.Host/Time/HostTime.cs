// The host's clock for everything that measures or waits.
using Lamina.Host.Interop;

namespace Lamina.Host.Time;

/// <summary>The host's monotonic clock.</summary>
public static unsafe class HostTime
{
    /// <summary>CLOCK_MONOTONIC in nanoseconds.</summary>
    public static long MonotonicNanoseconds
    {
        get
        {
            Libc.Timespec now;
            _ = Libc.clock_gettime(Libc.CLOCK_MONOTONIC, &now);
            return now.tv_sec * 1_000_000_000 + now.tv_nsec;
        }
    }

    /// <summary>Has the calling thread's sleeps end as exactly as the host can, rather than up to 50 µs late. prctl(2), PR_SET_TIMERSLACK.</summary>
    public static void SleepExactly() => _ = Libc.prctl(Libc.PR_SET_TIMERSLACK, 1, 0, 0, 0);
}

/// <summary>This host's counter and CLOCK_MONOTONIC.</summary>
/// <param name="counter">The counter.</param>
public readonly struct HostClocks(TimeStampCounter counter) : IHostClocks
{
    /// <inheritdoc/>
    public ulong Counter => counter.ReadInOrder();

    /// <inheritdoc/>
    public long Nanoseconds => HostTime.MonotonicNanoseconds;
}
