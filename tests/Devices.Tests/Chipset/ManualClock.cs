// A machine clock that stands still until a test turns it. Timers expire on the test's thread, in the order of their
// deadlines, with the clock showing exactly the deadline.
using Lamina.Core.Time;

namespace Lamina.Tests.Devices.Chipset;

internal sealed class ManualClock : IMachineClock
{
    private readonly List<ManualTimer> _timers = [];

    public long NowNanoseconds { get; private set; }

    public DateTimeOffset WallClock { get; set; } = new(2026, 3, 14, 15, 9, 26, TimeSpan.Zero);

    public ulong TscHz { get; init; } = 2_000_000_000;

    /// <summary>How often a timer has expired.</summary>
    public int Expiries { get; private set; }

    /// <summary>The earliest armed deadline, or null.</summary>
    public long? NextDeadline => _timers.Where(t => t.Deadline is not null).Min(t => t.Deadline);

    public ulong ReadTsc() => (ulong)((UInt128)NowNanoseconds * TscHz / 1_000_000_000);

    public IDeviceTimer CreateTimer(Action expired)
    {
        var timer = new ManualTimer(expired);
        _timers.Add(timer);
        return timer;
    }

    /// <summary>Turns the clock, firing what falls due on the way.</summary>
    public void Advance(long nanoseconds)
    {
        var end = NowNanoseconds + nanoseconds;
        while (_timers.Where(t => t.Deadline <= end).MinBy(t => t.Deadline) is { } due)
        {
            MoveTo(Math.Max(NowNanoseconds, due.Deadline!.Value));
            due.Deadline = null;
            Expiries++;
            due.Expired();
        }
        MoveTo(end);
    }

    /// <summary>Turns the clock without serving timers: a host that is late.</summary>
    public void AdvanceUnserved(long nanoseconds) => MoveTo(NowNanoseconds + nanoseconds);

    /// <summary>Expires every armed timer at once, whatever its deadline: a host's timer that is early.</summary>
    public void ExpireEarly()
    {
        foreach (var timer in _timers.Where(t => t.Deadline is not null).ToArray())
        {
            timer.Deadline = null;
            timer.Expired();
        }
    }

    private void MoveTo(long time)
    {
        WallClock = WallClock.AddTicks((time / 100) - (NowNanoseconds / 100));
        NowNanoseconds = time;
    }

    private sealed class ManualTimer(Action expired) : IDeviceTimer
    {
        public long? Deadline { get; set; }

        public Action Expired { get; } = expired;

        public void Arm(long deadlineNanoseconds) => Deadline = deadlineNanoseconds;

        public void Cancel() => Deadline = null;

        public void Dispose() => Deadline = null;
    }
}
