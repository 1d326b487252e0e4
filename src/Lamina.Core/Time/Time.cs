// Time as devices see it. A device takes a clock and makes timers; it never sleeps and owns no thread.
namespace Lamina.Core.Time;

/// <summary>The machine's clocks. All monotonic values are nanoseconds since the machine's start and stand still while it is paused.</summary>
public interface IMachineClock
{
    /// <summary>Monotonic nanoseconds.</summary>
    long NowNanoseconds { get; }

    /// <summary>Wall-clock time, for the RTC.</summary>
    DateTimeOffset WallClock { get; }

    /// <summary>The guest's time-stamp counter frequency in hertz.</summary>
    ulong TscHz { get; }

    /// <summary>The guest's time-stamp counter now, as RDTSC on vCPU 0 would read it with a zero TSC adjustment.</summary>
    ulong ReadTsc();

    /// <summary>Creates a disarmed timer.</summary>
    /// <param name="expired">Called on the timer thread without any lock held; must be short and must not block.</param>
    IDeviceTimer CreateTimer(Action expired);
}

/// <summary>A one-shot timer.</summary>
public interface IDeviceTimer : IDisposable
{
    /// <summary>Arms (or re-arms) it to expire once at a monotonic time; a time in the past expires at once.</summary>
    void Arm(long deadlineNanoseconds);

    /// <summary>Disarms it. An expiry that has begun may still be running.</summary>
    void Cancel();
}
