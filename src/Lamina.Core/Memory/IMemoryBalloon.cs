// A memory balloon as the program sees it that owns the machine: how much memory the guest is to do without, and what it says of the rest.
namespace Lamina.Core.Memory;

/// <summary>Asks a guest to do without some of its memory. Any thread.</summary>
public interface IMemoryBalloon
{
    /// <summary>How much memory the guest is asked to do without, in bytes; whole pages.</summary>
    ulong Target { get; set; }

    /// <summary>How much memory the guest says that it does without, in bytes.</summary>
    ulong Actual { get; }

    /// <summary>Bytes given back to the host since the last reset; a page that went to and fro counts each time.</summary>
    long Returned { get; }

    /// <summary>What the guest said of its memory last; empty before it did.</summary>
    IReadOnlyDictionary<BalloonStatistic, ulong> Statistics { get; }

    /// <summary>Asks the guest for new statistics; they come when it gets to it.</summary>
    void RequestStatistics();
}

/// <summary>What a guest says of its memory. virtio 1.2, 5.5.6.4; bytes where nothing else is said.</summary>
public enum BalloonStatistic : ushort
{
    /// <summary>Swapped in since the start.</summary>
    SwapIn = 0,

    /// <summary>Swapped out since the start.</summary>
    SwapOut = 1,

    /// <summary>Major page faults, a count.</summary>
    MajorFaults = 2,

    /// <summary>Minor page faults, a count.</summary>
    MinorFaults = 3,

    /// <summary>Not used for anything.</summary>
    Free = 4,

    /// <summary>All that the guest has.</summary>
    Total = 5,

    /// <summary>What programs could get without swapping.</summary>
    Available = 6,

    /// <summary>Used for caches of disks.</summary>
    Caches = 7,

    /// <summary>Successful allocations of huge pages, a count.</summary>
    HugePageAllocations = 8,

    /// <summary>Failed allocations of huge pages, a count.</summary>
    HugePageFailures = 9,
}
