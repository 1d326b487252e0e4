// The gate in front of a device, by a clock that the test turns: how much passes, who waits how long, and what a change does.
using Lamina.Core.Limits;
using Lamina.Core.Time;
using Xunit;

namespace Lamina.Tests.Core;

public sealed class FlowGateTests
{
    private const long Second = 1_000_000_000;

    private sealed class Clock : IMachineClock
    {
        private readonly List<Timer> _timers = [];

        public long NowNanoseconds { get; private set; }

        public DateTimeOffset WallClock => DateTimeOffset.UnixEpoch;

        public ulong TscHz => 1_000_000_000;

        public ulong ReadTsc() => (ulong)NowNanoseconds;

        public IDeviceTimer CreateTimer(Action expired)
        {
            var timer = new Timer(expired);
            _timers.Add(timer);
            return timer;
        }

        public void ExpireEarly()
        {
            foreach (var timer in _timers) timer.Expire();
        }

        // Turns the clock, and the timers with it.
        public void Advance(long by)
        {
            var end = NowNanoseconds + by;
            while (_timers.Where(timer => timer.Deadline <= end).MinBy(timer => timer.Deadline) is { } due)
            {
                NowNanoseconds = Math.Max(NowNanoseconds, due.Deadline!.Value);
                due.Expire();
            }
            NowNanoseconds = end;
        }

        private sealed class Timer(Action expired) : IDeviceTimer
        {
            public long? Deadline { get; private set; }

            public void Arm(long deadlineNanoseconds) => Deadline = deadlineNanoseconds;

            public void Cancel() => Deadline = null;

            public void Dispose() => Deadline = null;

            public void Expire()
            {
                if (Deadline is null) return;
                Deadline = null;
                expired();
            }
        }
    }

    // Asks as often as it is let, each time for so many bytes.
    private sealed class Flow(FlowGate gate, ulong bytes) : IHeldBack
    {
        public long Passed { get; private set; }

        public bool IsHeld { get; private set; }

        public int Most { get; init; } = int.MaxValue;

        public void HoldBack() => IsHeld = true;

        public void GoOn()
        {
            IsHeld = false;
            while (Passed < Most && gate.TryPass(this))
            {
                gate.Charge(bytes);
                Passed++;
            }
        }
    }

    private readonly Clock _clock = new();

    [Theory]
    [InlineData(1_000_000ul, null, 512ul, 1953)]
    [InlineData(1_000_000ul, null, 1_000_000ul, 1)]
    [InlineData(null, 1000ul, 4096ul, 1000)]
    [InlineData(1_000_000ul, 10ul, 512ul, 10)]
    [InlineData(3ul, null, 1ul, 3)]
    [InlineData(10_000_000_000ul, null, 1_048_576ul, 9536)]
    public void As_much_passes_in_a_second_as_the_limit_says(ulong? bytes, ulong? operations, ulong length, int expected)
    {
        using var gate = new FlowGate(_clock, new FlowLimit(bytes, operations, Second / 10));
        _clock.Advance(Second);
        var flow = new Flow(gate, length);
        flow.GoOn();
        _clock.Advance(Second);
        var first = flow.Passed;

        _clock.Advance(10 * Second);

        // One request may be half-way at either end.
        Assert.InRange(flow.Passed - first, (10 * expected) - 1, (10 * (expected + 1)) + 1);
        Assert.True(gate.Waits > 0);
    }

    [Theory]
    [InlineData(100, 110)]
    [InlineData(1000, 200)]
    public void A_rest_is_made_up_for_by_a_burst_and_no_more(int burstMilliseconds, int expected)
    {
        using var gate = new FlowGate(_clock, new FlowLimit(null, 100, burstMilliseconds * (Second / 1000)));
        _clock.Advance(100 * Second);
        var flow = new Flow(gate, 1);

        flow.GoOn();
        _clock.Advance(Second);

        Assert.InRange(flow.Passed, expected, expected + 1);
    }

    [Fact]
    public void A_request_larger_than_the_burst_passes_and_the_next_waits_for_all_of_it()
    {
        using var gate = new FlowGate(_clock, new FlowLimit(1000, null, Second / 10));
        var flow = new Flow(gate, 5000);

        flow.GoOn();
        _clock.Advance((49 * Second / 10) - 1);
        Assert.Equal(1, flow.Passed);
        Assert.True(flow.IsHeld);
        _clock.Advance(1);

        Assert.Equal(2, flow.Passed);
    }

    [Fact]
    public void All_who_wait_are_told_and_share_what_there_is()
    {
        using var gate = new FlowGate(_clock, new FlowLimit(null, 10, 1));
        var (first, second) = (new Flow(gate, 0), new Flow(gate, 0));
        first.GoOn();
        second.GoOn();

        _clock.Advance(10 * Second);

        Assert.InRange(first.Passed + second.Passed, 100, 102);
    }

    [Fact]
    public void A_timer_that_is_early_lets_nothing_through_and_is_set_again()
    {
        using var gate = new FlowGate(_clock, new FlowLimit(null, 1, 1));
        var flow = new Flow(gate, 0);
        flow.GoOn();

        _clock.ExpireEarly();
        Assert.Equal(1, flow.Passed);
        _clock.Advance(Second);

        Assert.Equal(2, flow.Passed);
    }

    [Fact]
    public void A_change_holds_at_once_whatever_was_borrowed()
    {
        using var gate = new FlowGate(_clock, new FlowLimit(1, null, Second));
        var flow = new Flow(gate, ulong.MaxValue);
        flow.GoOn();
        _clock.Advance(1000 * Second);
        Assert.True(flow.IsHeld);

        gate.Limit = new FlowLimit(ulong.MaxValue, null, Second);
        Assert.Equal(2, flow.Passed);
        var other = new Flow(gate, 0) { Most = 5 };
        gate.Limit = default;
        other.GoOn();

        Assert.Equal(5, other.Passed);
        Assert.False(other.IsHeld);
    }
}
