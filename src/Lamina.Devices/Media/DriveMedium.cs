// What a drive has inside: a disk of the host's, with a limit on what it moves, counts, and patience while the host has no space. It carries
// out requests on whatever thread asks; it knows no registers.
using Lamina.Core.Block;
using Lamina.Core.Inspection;
using Lamina.Core.Limits;
using Lamina.Core.Logging;
using Lamina.Core.State;

namespace Lamina.Devices.Media;

/// <summary>How a drive treats its medium.</summary>
public sealed record DriveOptions
{
    /// <summary>Whether every write is durable before it ends, whatever the driver says.</summary>
    public bool WriteThrough { get; init; }

    /// <summary>Whether what the guest gives up is given back to the host.</summary>
    public bool Discard { get; init; }

    /// <summary>
    /// Has a request that finds the host's disk full wait to be tried again instead of failing. Told "true" when one waits
    /// and "false" when it does so no more; any thread, with locks held.
    /// </summary>
    public Action<bool>? WaitsForSpace { get; init; }

    /// <summary>Told of errors of the disk, a few times; any thread.</summary>
    public ILog? Log { get; init; }

    /// <summary>Lets through as many requests and bytes as the drive may move; null for all. The drive's own from then on.</summary>
    public FlowGate? Gate { get; init; }
}

/// <summary>What a drive reads and writes.</summary>
/// <param name="options">How.</param>
internal sealed class DriveMedium(DriveOptions options)
{
    // A guest can cause errors without end.
    private const int MostReports = 5;

    private Counts _counts;
    private int _reports;

    internal DriveOptions Options => options;

    /// <summary>Reads.</summary>
    /// <exception cref="IOException">The host or the image fails.</exception>
    internal void Read(IBlockBackend disk, ulong offset, BlockBuffer into, int length)
    {
        Interlocked.Increment(ref _counts.Requests);
        disk.Read(offset, into);
        Interlocked.Add(ref _counts.Read, length);
    }

    /// <summary>Writes.</summary>
    /// <exception cref="IOException">The host or the image fails.</exception>
    internal void Write(IBlockBackend disk, ulong offset, BlockBuffer from, int length, bool isDurable)
    {
        Interlocked.Increment(ref _counts.Requests);
        disk.Write(offset, from);
        if (isDurable || options.WriteThrough) disk.Flush();
        Interlocked.Add(ref _counts.Written, length);
    }

    /// <summary>Has what was written be durable.</summary>
    /// <exception cref="IOException">The host fails.</exception>
    internal void Flush(IBlockBackend disk)
    {
        Interlocked.Increment(ref _counts.Requests);
        if (!disk.IsReadOnly) disk.Flush();
    }

    /// <summary>A request failed, and its guest is told.</summary>
    internal void Fail(string why)
    {
        Interlocked.Increment(ref _counts.Failures);
        var count = Interlocked.Increment(ref _reports);
        if (count > MostReports) return;
        options.Log.Error(LogEvent.DiskError, $"the guest got an I/O error: {why}" + (count == MostReports ? "; further errors of this disk are not reported" : ""));
    }

    internal void Inspect(InspectNode node)
    {
        if (options.Gate is { } gate) gate.Inspect(node.Below("limit"));
    }

    internal void Count(CounterList counters)
    {
        counters.Total("disk_read_bytes", Interlocked.Read(ref _counts.Read), "bytes that the guest read since its start", CounterUnit.Bytes);
        counters.Total("disk_written_bytes", Interlocked.Read(ref _counts.Written), "bytes that the guest wrote since its start", CounterUnit.Bytes);
        counters.Total("disk_requests", Interlocked.Read(ref _counts.Requests), "requests since the guest's start");
        counters.Total("disk_failed_requests", Interlocked.Read(ref _counts.Failures), "requests that ended with an error");
        if (options.Gate is { } gate) counters.Total("disk_limit_waits", gate.Waits, "how often requests were kept waiting by the disk's limit");
    }

    internal void Reset() => _counts = default;

    internal void Exchange(SavedFields fields, int number) => fields.Record(number, ref _counts, Counts.Exchange);

    private struct Counts
    {
        internal long Read, Written, Requests, Failures;

        internal static void Exchange(SavedFields fields, ref Counts counts)
        {
            fields.Value(1, ref counts.Read);
            fields.Value(2, ref counts.Written);
            fields.Value(3, ref counts.Requests);
            fields.Value(4, ref counts.Failures);
        }
    }
}
