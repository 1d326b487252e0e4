// What the balloon remembers: the driver's words, and figures for a person who inspects it.
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Devices.Virtio.Rings;

namespace Lamina.Devices.Virtio.Balloon;

internal struct BalloonState()
{
    /// <summary>How many pages the driver says are in the balloon.</summary>
    internal uint Actual;

    /// <summary>The queue of statistics and the queue of free pages; -1 where not negotiated.</summary>
    internal int StatisticsQueue = -1, ReportingQueue = -1;

    /// <summary>The buffer of statistics that the device keeps until it wants new ones.</summary>
    internal DescriptorChain? StatisticsBuffer;

    /// <summary>Whether somebody wants new ones, so that the buffer is to be given back.</summary>
    internal bool StatisticsWanted;

    /// <summary>What the driver said last.</summary>
    internal readonly Dictionary<BalloonStatistic, ulong> Statistics = [];

    /// <summary>Bytes given back to the host since the last reset: of the balloon's pages, and of free ones that were reported.</summary>
    internal long Inflated, Reported;

    internal static void Exchange(SavedFields fields, ref BalloonState state)
    {
        fields.Value(1, ref state.Actual);
        fields.Value(2, ref state.StatisticsWanted);
        IReadOnlyList<(BalloonStatistic Kind, ulong Value)> statistics = [.. state.Statistics.Select(pair => (pair.Key, pair.Value)).Order()];
        fields.List(3, ref statistics, (int)BalloonStatistic.HugePageFailures + 1, ExchangeStatistic);
        fields.Value(4, ref state.Inflated);
        fields.Value(5, ref state.Reported);
        if (!fields.IsLoading) return;
        foreach (var (kind, value) in statistics) state.Statistics[kind] = value;
    }

    private static void ExchangeStatistic(SavedFields fields, ref (BalloonStatistic Kind, ulong Value) statistic)
    {
        fields.Choice(1, ref statistic.Kind);
        fields.Value(2, ref statistic.Value);
    }
}
