// A machine's cap on processor time, metered: what was earned by the passing of time less what was used. It decides when the virtual CPUs
// stop and when they go on; it knows no threads and no clock. Debts are kept, so that what was used too much before a look is made up for.
namespace Lamina.Life;

/// <summary>What is left of a cap.</summary>
/// <param name="percent">The cap, in percent of one processor.</param>
internal sealed class CpuBudget(int percent)
{
    /// <summary>How much of time is earned in advance at most, in nanoseconds; no look is further from the next.</summary>
    internal const long Period = 50_000_000;

    // The kernel's own tick is no finer on most hosts.
    private const long ShortestRun = 1_000_000;

    private readonly long _most = Earned(Period, percent);
    private long _left = Earned(Period, percent);

    /// <summary>Whether the virtual CPUs may run.</summary>
    internal bool MayRun { get; private set; } = true;

    /// <summary>Counts what happened since the last look.</summary>
    /// <param name="elapsed">How much time passed, in nanoseconds.</param>
    /// <param name="used">How much processor time was used, in nanoseconds.</param>
    /// <param name="threads">How many threads can use it at once.</param>
    /// <returns>After how many nanoseconds to look again at the latest.</returns>
    internal long Look(long elapsed, long used, int threads)
    {
        _left = Math.Min(_left + Earned(elapsed, percent) - used, _most);
        // They stop with nothing left and go on with half of what there can be, so that they do not stop at each look.
        MayRun = MayRun ? _left > 0 : _left >= _most / 2;
        if (!MayRun) return Math.Clamp((_most / 2 - _left) * 100 / percent, ShortestRun, 20 * Period);
        // All threads at once use it up no sooner than this.
        var excess = 100L * threads - percent;
        return excess <= 0 ? Period : Math.Clamp(_left * 100 / excess, ShortestRun, Period);
    }

    private static long Earned(long elapsed, int percent) => elapsed / 100 * percent;
}
