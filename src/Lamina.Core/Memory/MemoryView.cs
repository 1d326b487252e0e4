// What of a guest's address space is memory at one time, for those who look often: a value that is replaced as a whole.
using System.Collections.Immutable;

namespace Lamina.Core.Memory;

/// <summary>Ranges of memory, sorted; those that touch are one.</summary>
public sealed class MemoryView
{
    internal MemoryView(IEnumerable<MemoryRegion> regions)
    {
        Regions = [.. regions.OrderBy(region => region.Start)];
        Readable = Joined(Regions.Where(region => region.Kind != MemoryKind.Device));
        Writable = Joined(Regions.Where(region => region.Kind == MemoryKind.Ram));
        Main = Regions.Any(region => region.IsDevices) ? Joined(Regions.Where(region => region.IsMain)) : Writable;
    }

    /// <summary>The regions that lie somewhere.</summary>
    internal ImmutableArray<MemoryRegion> Regions { get; }

    /// <summary>Where loads are memory's.</summary>
    public ImmutableArray<MemoryRange> Readable { get; }

    /// <summary>Where stores are, too: RAM, and what answers as RAM does.</summary>
    public ImmutableArray<MemoryRange> Writable { get; }

    /// <summary>The machine's RAM.</summary>
    public ImmutableArray<MemoryRange> Main { get; }

    /// <summary>Whether the whole of an access lies in one of some ranges.</summary>
    public static bool Contains(ImmutableArray<MemoryRange> ranges, ulong address, ulong length)
    {
        foreach (ref readonly var range in ranges.AsSpan())
            if (range.Contains(address, length)) return true;
        return false;
    }

    private static ImmutableArray<MemoryRange> Joined(IEnumerable<MemoryRegion> regions)
    {
        var ranges = new List<MemoryRange>();
        foreach (var range in regions.Select(region => region.Range))
        {
            if (ranges.Count > 0 && ranges[^1].End == range.Start) ranges[^1] = ranges[^1] with { Length = ranges[^1].Length + range.Length };
            else ranges.Add(range);
        }
        return [.. ranges];
    }
}
