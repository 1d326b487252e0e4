// One counter of an 8254 as a function of time: nothing ticks, everything is computed from the clock when it is asked
// for. It has no lock and owns no timer; the device does both. The one tick that a real counter takes to load is not
// modelled: a count holds from the moment it is written.
using static Lamina.Devices.Chipset.Pit8254Spec;

namespace Lamina.Devices.Chipset;

/// <summary>One counter (8254 data sheet, "Mode definitions").</summary>
internal sealed class PitCounter
{
    internal PitCounterState State = new();

    private int Modulus => State.Bcd ? 10_000 : 0x10000;

    /// <summary>Whether the mode goes on by itself.</summary>
    internal bool Periodic => State.Mode is PitMode.RateGenerator or PitMode.SquareWave;

    private bool StartedByGate => State.Mode is PitMode.OneShot or PitMode.HardwareStrobe;

    /// <summary>A control word that is not a latch command: the counter stops until a count is written.</summary>
    internal void WriteControl(byte control)
    {
        var mode = control >> 1 & 7;
        State = new PitCounterState
        {
            Mode = (PitMode)(mode > 5 ? mode - 4 : mode),
            Bcd = (control & 1) != 0,
            Access = (byte)(control >> 4 & 3),
            Gate = State.Gate,
            Count = State.Count,
        };
    }

    internal void WriteData(byte value, long now)
    {
        switch (State.Access)
        {
            case AccessLow:
                WriteCount(value, now);
                break;
            case AccessHigh:
                WriteCount(value << 8, now);
                break;
            default:
                if (State.WriteHighNext)
                {
                    State.WriteHighNext = false;
                    WriteCount(State.WrittenLow | value << 8, now);
                    break;
                }
                (State.WriteHighNext, State.WrittenLow) = (true, value);
                // In mode 0 the first byte stops the count and takes the output low at once.
                if (State.Mode == PitMode.TerminalCount) (State.Loaded, State.Counting) = (false, false);
                break;
        }
    }

    internal byte ReadData(long now)
    {
        if (State.StatusLatched)
        {
            State.StatusLatched = false;
            return State.LatchedStatus;
        }
        var count = State.CountLatched ? State.LatchedCount : CurrentCount(now);
        var high = State.Access == AccessHigh || (State.Access == AccessBoth && State.ReadHighNext);
        if (State.Access == AccessBoth) State.ReadHighNext = !State.ReadHighNext;
        // A latched count stays until all of its bytes were read.
        if (State.Access != AccessBoth || high) State.CountLatched = false;
        return (byte)(high ? count >> 8 : count);
    }

    internal void LatchCount(long now)
    {
        if (State.CountLatched) return;
        (State.CountLatched, State.LatchedCount) = (true, CurrentCount(now));
    }

    internal void LatchStatus(long now)
    {
        if (State.StatusLatched) return;
        Synchronise(now);
        var pending = !State.Loaded || State.NextCount != 0;
        State.LatchedStatus = (byte)((Output(now) ? StatusOutput : 0) | (pending ? StatusNullCount : 0)
            | State.Access << 4 | (int)State.Mode << 1 | (State.Bcd ? 1 : 0));
        State.StatusLatched = true;
    }

    internal void SetGate(bool level, long now)
    {
        if (level == State.Gate) return;
        Synchronise(now);
        State.Gate = level;
        if (StartedByGate)
        {
            // Each rising edge starts it anew with the latest count.
            if (level && (State.Loaded || State.NextCount != 0)) Load(State.NextCount != 0 ? State.NextCount : State.Count, now);
            return;
        }
        if (!State.Loaded) return;
        if (level && Periodic) Load(State.NextCount != 0 ? State.NextCount : State.Count, now);
        else if (level) (State.Anchor, State.Counting) = (now, true);
        else (State.Elapsed, State.Anchor, State.Counting) = (ElapsedAt(now), now, false);
    }

    /// <summary>The output pin.</summary>
    internal bool Output(long now)
    {
        Synchronise(now);
        if (!State.Loaded) return State.Mode != PitMode.TerminalCount;
        var elapsed = ElapsedAt(now);
        return State.Mode switch
        {
            PitMode.TerminalCount => elapsed >= State.Count,
            PitMode.OneShot => elapsed >= State.Count,
            PitMode.RateGenerator => !State.Counting || elapsed % State.Count != State.Count - 1,
            PitMode.SquareWave => !State.Counting || elapsed % State.Count < HighTicks(State.Count),
            _ => elapsed != State.Count,
        };
    }

    /// <summary>The machine time of the output's first rising edge after a time, which is now or later; null where none comes by itself.</summary>
    internal long? NextRise(long now, long after)
    {
        Synchronise(now);
        if (!State.Loaded || !State.Counting) return null;
        var elapsed = ElapsedAt(after);
        long target;
        switch (State.Mode)
        {
            case PitMode.TerminalCount or PitMode.OneShot:
                target = State.Count;
                break;
            case PitMode.SoftwareStrobe or PitMode.HardwareStrobe:
                target = State.Count + 1;
                break;
            default:
                // A count of 1 is illegal here: the output never changes.
                if (State.Count == 1) return null;
                target = ((elapsed / State.Count) + 1) * State.Count;
                // A new count that takes over in the middle of a square wave makes the low half its own.
                if (State.NextCount != 0 && State.SwitchAt < target)
                    target = Math.Max(elapsed + 1, State.SwitchAt + State.NextCount - HighTicks(State.NextCount));
                break;
        }
        return target <= elapsed ? null : TickMath.After(State.Anchor, TickMath.Nanoseconds((ulong)(target - State.Elapsed), Hz));
    }

    private static int HighTicks(int count) => (count + 1) / 2;

    private void WriteCount(int raw, long now)
    {
        var count = State.Bcd ? (raw >> 12 & 15) * 1000 + (raw >> 8 & 15) * 100 + (raw >> 4 & 15) * 10 + (raw & 15) : raw;
        if (count == 0) count = Modulus;
        Synchronise(now);
        if (StartedByGate) State.NextCount = count;
        else if (Periodic && State.Loaded)
        {
            var elapsed = ElapsedAt(now);
            var cycle = elapsed - (elapsed % State.Count);
            State.SwitchAt = State.Mode == PitMode.SquareWave && elapsed - cycle < HighTicks(State.Count)
                ? cycle + HighTicks(State.Count)
                : cycle + State.Count;
            State.NextCount = count;
        }
        else Load(count, now);
    }

    private void Load(int count, long now)
    {
        (State.Count, State.NextCount, State.Loaded) = (count, 0, true);
        (State.Elapsed, State.Anchor) = (0, now);
        State.Counting = StartedByGate || State.Gate;
    }

    private long ElapsedAt(long now) => State.Elapsed + (State.Counting ? TickMath.Ticks(now - State.Anchor, Hz) : 0);

    /// <summary>Takes over the count of a periodic mode that was written during the last cycle, once that has ended.</summary>
    private void Synchronise(long now)
    {
        if (!Periodic || State.NextCount == 0 || ElapsedAt(now) < State.SwitchAt) return;
        var middle = State.SwitchAt % State.Count != 0;
        State.Elapsed += (middle ? HighTicks(State.NextCount) : 0) - State.SwitchAt;
        (State.Count, State.NextCount) = (State.NextCount, 0);
    }

    /// <summary>What the counting element holds, as it is read: in BCD as four digits.</summary>
    private ushort CurrentCount(long now)
    {
        Synchronise(now);
        var value = ElementAt(ElapsedAt(now));
        if (State.Bcd) value = value / 1000 % 10 << 12 | value / 100 % 10 << 8 | value / 10 % 10 << 4 | value % 10;
        return (ushort)value;
    }

    private int ElementAt(long elapsed)
    {
        var count = State.Count;
        switch (State.Mode)
        {
            case PitMode.RateGenerator:
                return count - (int)(elapsed % count);
            case PitMode.SquareWave:
                // Counts down by two in each half, from the even number below or at the count.
                var at = (int)(elapsed % count);
                var half = HighTicks(count);
                return (count & ~1) - 2 * (at < half ? at : at - half);
            default:
                // The others run on through zero.
                var left = (int)((count - elapsed) % Modulus);
                return left < 0 ? left + Modulus : left;
        }
    }
}
