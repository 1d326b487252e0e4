// What the balloon remembers: the driver's words, and figures for a person who inspects it.
using Lamina.Core.Memory;
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
}
