// The timer of a local APIC: one-shot and periodic counts, and the TSC deadline. Counts follow from the clock; one timer
// of the machine stands for the next expiry. Every write first fires what the guest's clock has already passed, so that a
// late host timer loses nothing.
using static Lamina.Devices.Chipset.LocalApicSpec;

namespace Lamina.Devices.Chipset;

public sealed partial class LocalApic
{
    private const long NanosecondsPerCount = TickMath.NanosecondsPerSecond / (long)TimerHz;

    private uint TimerMode => _state.Lvt[LvtTimer] >> LvtTimerModeShift & 3;

    /// <summary>How long the whole count takes in nanoseconds, at most 2^39.</summary>
    private long CountLength => _state.InitialCount * CountUnit;

    private long CountUnit => Divisor(_state.DivideConfiguration) * NanosecondsPerCount;

    private ulong ReadTscDeadline()
    {
        FireIfDue(_clock.NowNanoseconds);
        return TimerMode == TimerTscDeadline ? _state.TscDeadline : 0;
    }

    /// <summary>IA32_TSC_DEADLINE: ignored in the other modes (11.5.4.1).</summary>
    private void WriteTscDeadline(ulong value)
    {
        var now = _clock.NowNanoseconds;
        FireIfDue(now);
        if (TimerMode != TimerTscDeadline || !GloballyEnabled) return;
        _state.TscDeadline = value;
        if (value != 0 && _clock.ReadTsc() >= value)
        {
            _state.TscDeadline = 0;
            DeliverLocal(LvtTimer);
        }
        Rearm(now);
    }

    private uint ReadCurrentCount()
    {
        if (!_state.Counting) return 0;
        var counted = (_clock.NowNanoseconds - _state.CountStart) / CountUnit;
        if (TimerMode == TimerPeriodic) return _state.InitialCount - (uint)(counted % _state.InitialCount);
        return counted >= _state.InitialCount ? 0 : _state.InitialCount - (uint)counted;
    }

    private void WriteInitialCount(uint value)
    {
        if (TimerMode == TimerTscDeadline) return;
        var now = _clock.NowNanoseconds;
        FireIfDue(now);
        (_state.InitialCount, _state.CountStart, _state.Counting) = (value, now, value != 0 && Counts(TimerMode));
        Rearm(now);
    }

    /// <summary>A new divisor goes on from the present count.</summary>
    private void WriteDivideConfiguration(uint value)
    {
        var now = _clock.NowNanoseconds;
        FireIfDue(now);
        long counted = _state.InitialCount - ReadCurrentCount();
        _state.DivideConfiguration = value;
        _state.CountStart = now - counted * CountUnit;
        Rearm(now);
    }

    /// <summary>
    /// The timer's table entry. Going into or out of TSC-deadline mode, or the mode that is reserved, disarms. A change between one-shot and
    /// periodic says what comes at the end of the count that runs; a count that has ended stays at 0 until the next one is written (11.5.4).
    /// </summary>
    private void WriteTimerEntry(uint value)
    {
        var now = _clock.NowNanoseconds;
        FireIfDue(now);
        var before = TimerMode;
        _state.Lvt[LvtTimer] = value;
        if (before != TimerMode && !(Counts(before) && Counts(TimerMode))) (_state.InitialCount, _state.TscDeadline, _state.Counting) = (0, 0, false);
        else if (before == TimerPeriodic && TimerMode == TimerOneShot && _state.Counting) _state.CountStart += (now - _state.CountStart) / CountLength * CountLength;
        Rearm(now);
    }

    private void TimerExpired()
    {
        bool tell;
        lock (_gate)
        {
            _holdsBack = true;
            FireIfDue(_clock.NowNanoseconds);
            // An expiry that came early, or that was on its way when the timer was moved, changes nothing but is used up.
            if (_state.TimerDue != long.MaxValue) _timer.Arm(_state.TimerDue);
            tell = EndHolding();
        }
        if (tell) _signal?.InterruptPending();
    }

    private void FireIfDue(long now)
    {
        if (now < _state.TimerDue) return;
        if (TimerMode == TimerTscDeadline)
        {
            if (_clock.ReadTsc() < _state.TscDeadline)
            {
                Rearm(now);
                return;
            }
            _state.TscDeadline = 0;
        }
        if (TimerMode == TimerOneShot) _state.Counting = false;
        DeliverLocal(LvtTimer);
        Rearm(now);
    }

    private static bool Counts(uint mode) => mode is TimerOneShot or TimerPeriodic;

    private void Rearm(long now)
    {
        var due = NextExpiry(now);
        if (due == _state.TimerDue) return;
        _state.TimerDue = due;
        if (due == long.MaxValue) _timer.Cancel();
        else _timer.Arm(due);
    }

    private long NextExpiry(long now)
    {
        switch (TimerMode)
        {
            case TimerOneShot when _state.Counting:
                return _state.CountStart + CountLength;
            // Nobody hears a masked period; the count goes on without a timer.
            case TimerPeriodic when _state.Counting && (_state.Lvt[LvtTimer] & LvtMasked) == 0:
                // Periods shorter than the host can serve are thinned out.
                var earliest = Math.Max(now + 1, now + TickMath.ShortestPeriod - CountLength);
                return _state.CountStart + (((earliest - 1 - _state.CountStart) / CountLength) + 1) * CountLength;
            case TimerTscDeadline when _state.TscDeadline != 0:
                var tsc = _clock.ReadTsc();
                return tsc >= _state.TscDeadline ? now : TickMath.After(now, Math.Max(1, TickMath.Nanoseconds(_state.TscDeadline - tsc, _clock.TscHz)));
            default:
                return long.MaxValue;
        }
    }
}
