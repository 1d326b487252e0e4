// Time that passes only when the guest does something that can be seen from outside: a step for each access to a port, an
// MSR of the local APIC or the time-stamp counter, and up to the next timer's deadline while it waits in HLT. Two machines whose
// guests do the same have the same time at every such place, whatever the host does.
using Lamina.Core.Time;

namespace Lamina.Tests.Boot.Lockstep;

/// <summary>A machine's clock that is a function of what its guest has done.</summary>
internal sealed class VirtualClock : IMachineClock
{
    private const long StepNanoseconds = 2000;

    private readonly List<Timer> _armed = [];

    /// <summary>Called when the guest reads the counter, before the reading is made.</summary>
    public Action? TscRead { get; set; }

    /// <inheritdoc/>
    public long NowNanoseconds { get; private set; }

    /// <inheritdoc/>
    public DateTimeOffset WallClock => new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero).AddTicks(NowNanoseconds / 100);

    /// <inheritdoc/>
    public ulong TscHz => 2_000_000_000;

    /// <inheritdoc/>
    public ulong ReadTsc()
    {
        TscRead?.Invoke();
        return (ulong)NowNanoseconds * 2;
    }

    /// <inheritdoc/>
    public IDeviceTimer CreateTimer(Action expired) => new Timer(this, expired);

    /// <summary>A step. Timers wait for <see cref="Expire"/>.</summary>
    public void Step() => NowNanoseconds += StepNanoseconds;

    /// <summary>Goes on to the first deadline. False where there is none.</summary>
    public bool TryWait()
    {
        if (_armed.Count == 0) return false;
        NowNanoseconds = Math.Max(NowNanoseconds, _armed[0].Deadline);
        return true;
    }

    /// <summary>Lets every timer expire whose time has come.</summary>
    public void Expire()
    {
        while (_armed.Count != 0 && _armed[0].Deadline <= NowNanoseconds)
        {
            var due = _armed[0];
            _armed.RemoveAt(0);
            due.Expired();
        }
    }

    // In the order of deadlines; the one armed first comes first among equals.
    private void Insert(Timer timer)
    {
        var at = _armed.Count;
        while (at > 0 && _armed[at - 1].Deadline > timer.Deadline) at--;
        _armed.Insert(at, timer);
    }

    private sealed class Timer(VirtualClock clock, Action expired) : IDeviceTimer
    {
        public long Deadline { get; private set; }

        public Action Expired => expired;

        public void Arm(long deadlineNanoseconds)
        {
            Cancel();
            Deadline = deadlineNanoseconds;
            clock.Insert(this);
        }

        public void Cancel() => clock._armed.Remove(this);

        public void Dispose() => Cancel();
    }
}
