// Keeps threads to a cap on their processor time where the host does not: a thread of its own looks at what they took when they can have
// used up what is left at the earliest, has all of them stand where they have, and lets them go on when it is made up for. Without a cap
// there is no such thread, and nothing is looked at.
using Lamina.Host.Threads;
using Lamina.Host.Time;

namespace Lamina.Life;

/// <summary>Meters threads.</summary>
internal sealed class CpuMeter : IDisposable
{
    // How soon a thread that was told to stand and does not is told again: a kick between its look and its entry into the guest is lost.
    private const long TellAgain = 2_000_000;

    private readonly Lock _gate = new();
    private readonly List<(HostThread Host, ISharedThread Thread)> _threads = [];
    private readonly ThreadParker _parker = new();
    private Thread? _thread;
    private CpuBudget? _budget;
    private int? _cap;
    private bool _stopping;
    private long _stops, _stood;

    /// <summary>The cap in percent of one processor; null for none.</summary>
    internal int? Cap
    {
        get
        {
            lock (_gate) return _cap;
        }
        set
        {
            lock (_gate)
            {
                if (_cap == value) return;
                _cap = value;
                _budget = value is { } percent ? new CpuBudget(percent) : null;
                if (_budget is null) LetAllGo();
                else if (_thread is null) (_thread = new Thread(Run) { IsBackground = true, Name = "cpu meter" }).Start();
            }
            _parker.Unpark();
        }
    }

    /// <summary>How often they had to stand, and for how many nanoseconds.</summary>
    internal long Stops => Interlocked.Read(ref _stops);

    /// <inheritdoc cref="Stops"/>
    internal long Stood => Interlocked.Read(ref _stood);

    /// <summary>Takes a thread in.</summary>
    internal void Add(HostThread host, ISharedThread thread)
    {
        lock (_gate) _threads.Add((host, thread));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Thread? thread;
        lock (_gate) (_stopping, thread) = (true, _thread);
        _parker.Unpark();
        thread?.Join();
    }

    private void Run()
    {
        HostTime.SleepExactly();
        var (before, usedBefore) = (HostTime.MonotonicNanoseconds, long.MinValue);
        CpuBudget? metered = null;
        while (true)
        {
            var next = long.MaxValue;
            lock (_gate)
            {
                if (_stopping) return;
                var (now, used) = (HostTime.MonotonicNanoseconds, _threads.Sum(thread => thread.Host.CpuNanoseconds));
                if (_budget is { } budget)
                {
                    // A cap that is new counts from now on.
                    if (budget != metered) (metered, before, usedBefore) = (budget, now, used);
                    var ran = budget.MayRun;
                    var pause = budget.Look(now - before, used - usedBefore, _threads.Count);
                    if (!ran) _stood += now - before;
                    if (!budget.MayRun && ran) _stops++;
                    next = now + (Tell(budget.MayRun) ? pause : Math.Min(pause, TellAgain));
                }
                (before, usedBefore) = (now, used);
            }
            _parker.ParkUntil(next);
        }
    }

    // Whether all do what they are told.
    private bool Tell(bool mayRun)
    {
        var all = true;
        foreach (var (_, thread) in _threads)
        {
            if (mayRun)
            {
                thread.GoOn();
                continue;
            }
            thread.Suspend();
            all &= thread.Stands;
        }
        return all;
    }

    private void LetAllGo()
    {
        foreach (var (_, thread) in _threads) thread.GoOn();
    }
}
