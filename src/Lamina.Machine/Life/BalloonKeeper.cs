// Has a guest do without memory while the host runs short, and gives it back afterwards, by itself: now and then it looks at what the host
// has left, more often the less that is, asks the guest what it could spare, and sets the balloon's target by BalloonPolicy. What the
// user asks the guest to do without is never given back by it.
using Lamina.Core.Inspection;
using Lamina.Core.Memory;
using Lamina.Core.Units;
using Lamina.Doctor;

namespace Lamina.Life;

/// <summary>Keeps a balloon.</summary>
internal sealed class BalloonKeeper : IPausable, IInspected, ICounted, IDisposable
{
    private static readonly TimeSpan Easy = TimeSpan.FromSeconds(1), Tight = TimeSpan.FromMilliseconds(100);

    private readonly IMemoryBalloon _balloon;
    private readonly ulong _memory, _least;
    private readonly Func<string, string?> _read;
    private readonly ulong _total;
    private readonly ITimer _timer;
    private readonly Lock _gate = new();
    private ulong _own, _asked;
    private bool _looked, _paused, _disposed;
    private long _taken;

    /// <summary>Begins to look.</summary>
    /// <param name="balloon">The balloon.</param>
    /// <param name="memory">The guest's memory in bytes.</param>
    /// <param name="least">What it is to have at least.</param>
    /// <param name="time">When to look.</param>
    /// <param name="read">The text of a file of the host's, or null.</param>
    internal BalloonKeeper(IMemoryBalloon balloon, ulong memory, ulong least, TimeProvider time, Func<string, string?> read)
    {
        (_balloon, _memory, _least, _read) = (balloon, memory, least, read);
        _total = HostMemory.Total(read) ?? 0;
        _timer = time.CreateTimer(_ => Look(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        // A host that does not tell what it has cannot be seen to run short.
        if (_total != 0) _timer.Change(Easy, Timeout.InfiniteTimeSpan);
    }

    /// <summary>What the user asks the guest to do without, in bytes.</summary>
    internal ulong Asked
    {
        set
        {
            lock (_gate)
            {
                _asked = value;
                _balloon.Target = Math.Max(_asked, _own);
            }
        }
    }

    /// <inheritdoc/>
    public void Pause()
    {
        lock (_gate) _paused = true;
    }

    /// <inheritdoc/>
    public void Resume()
    {
        lock (_gate) _paused = false;
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () =>
    {
        node.Say("least bytes", _least);
        node.Say("asked by the user", _asked);
        node.Say("taken while the host runs short", _own);
        if (HostMemory.Free(_read) is { } free) node.Say("host has left", free);
        node.Say("host has in all", _total);
    });

    /// <inheritdoc/>
    public void Count(CounterList counters)
    {
        counters.Now("balloon_taken_bytes", (long)Volatile.Read(ref _own), "memory that the guest does without since the host runs short", CounterUnit.Bytes);
        counters.Total("balloon_times_taken", Interlocked.Read(ref _taken), "how often it was asked for more");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate) _disposed = true;
        _timer.Dispose();
    }

    private void Look()
    {
        lock (_gate)
        {
            if (_disposed) return;
            var free = HostMemory.Free(_read) ?? _total;
            if (!_paused) Keep(free);
            _timer.Change(BalloonPolicy.IsEasy(free, _total) && _own == 0 ? Easy : Tight, Timeout.InfiniteTimeSpan);
        }
    }

    private void Keep(ulong free)
    {
        // What a machine that was saved did without for this is given back here.
        if (!_looked && _balloon.Target > _asked) _own = _balloon.Target;
        _looked = true;
        var available = _balloon.Statistics.TryGetValue(BalloonStatistic.Available, out var said) ? said : (ulong?)null;
        var next = BalloonPolicy.Next(new BalloonFigures(free, _total, _memory, _least, _balloon.Actual, available), _own);
        // For the next look; a guest that has nothing to give and nothing to get is left in peace.
        if (!BalloonPolicy.IsEasy(free, _total) || _own != 0) _balloon.RequestStatistics();
        if (next == _own) return;
        if (next > _own) _taken++;
        _own = next;
        _balloon.Target = Math.Max(_asked, _own);
    }
}
