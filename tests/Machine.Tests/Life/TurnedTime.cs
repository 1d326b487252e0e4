// A clock that stands still until it is turned; timers fire on the thread that turns it.
namespace Lamina.Tests.Machines.Life;

internal sealed class TurnedTime : TimeProvider
{
    private readonly Lock _gate = new();
    private readonly List<(long Due, Action Fire)> _timers = [];
    private long _now;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => Volatile.Read(ref _now);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        lock (_gate) _timers.Add((_now + dueTime.Ticks, () => callback(state)));
        return new Timer();
    }

    /// <summary>Completes when somebody waits for a time that is not over yet.</summary>
    internal async Task ArmedAsync(CancellationToken cancellation)
    {
        while (true)
        {
            lock (_gate)
                if (_timers.Count > 0) return;
            cancellation.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    internal void Advance(TimeSpan by)
    {
        List<Action> due;
        lock (_gate)
        {
            Volatile.Write(ref _now, _now + by.Ticks);
            due = [.. _timers.Where(timer => timer.Due <= _now).Select(timer => timer.Fire)];
            _timers.RemoveAll(timer => timer.Due <= _now);
        }
        foreach (var fire in due) fire();
    }

    private sealed class Timer : ITimer
    {
        public bool Change(TimeSpan dueTime, TimeSpan period) => true;

        public void Dispose()
        {
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
