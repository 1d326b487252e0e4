// The guest's view of its RAM: where it lies and what of it an operating system may use (the E820 map).
// One value per machine, made from the size; loaders hand it to the guest in their own formats.
using Lamina.Core.Memory;

namespace Lamina.Boot;

/// <summary>The address range types of ACPI 6.5, table 15.1 that occur here.</summary>
internal enum MemoryMapType : uint
{
    /// <summary>Usable RAM.</summary>
    Usable = 1,

    /// <summary>Not to be used.</summary>
    Reserved = 2,
}

/// <summary>One range of the map.</summary>
internal readonly record struct MemoryMapEntry(MemoryRange Range, MemoryMapType Type);

/// <summary>RAM and its uses.</summary>
internal sealed class MemoryMap
{
    private MemoryMap(BootLayout layout, ulong size)
    {
        Layout = layout;
        var low = Math.Min(size, layout.HoleStart);
        var high = size - low;
        LowEnd = low;
        IReadOnlyList<MemoryRange> below = layout.DisplayWindow is { } window ? [new(0, window.Start), new(window.End, low - window.End)] : [new(0, low)];
        Ram = high == 0 ? below : [.. below, new(layout.HoleEnd, high)];
        var entries = new List<MemoryMapEntry>
        {
            new(new(0, layout.Ebda), MemoryMapType.Usable),
            new(new(layout.Ebda, BootLayout.EbdaLength), MemoryMapType.Reserved),
            new(new(layout.AcpiTables, BootLayout.HighMemory - layout.AcpiTables), MemoryMapType.Reserved),
            new(new(BootLayout.HighMemory, low - BootLayout.HighMemory), MemoryMapType.Usable),
        };
        if (high != 0) entries.Add(new(new(layout.HoleEnd, high), MemoryMapType.Usable));
        Entries = entries;
    }

    /// <summary>The ranges that are RAM, sorted.</summary>
    internal IReadOnlyList<MemoryRange> Ram { get; }

    /// <summary>What a guest is told, sorted; what no entry covers is not RAM for it.</summary>
    internal IReadOnlyList<MemoryMapEntry> Entries { get; }

    /// <summary>The end of RAM below the hole.</summary>
    internal ulong LowEnd { get; }

    /// <summary>How much RAM there is above the hole, in bytes.</summary>
    internal ulong HighLength => Ram[^1].Start >= Layout.HoleEnd ? Ram[^1].Length : 0;

    /// <summary>The board's addresses.</summary>
    internal BootLayout Layout { get; }

    // A number below it is one of MiB that was written without a unit.
    private const ulong LeastMeant = 1 << 20;

    /// <summary>Lays out RAM of a size in bytes.</summary>
    /// <exception cref="MachineException">The size is not one that the machine takes.</exception>
    internal static MemoryMap Create(BootLayout layout, ulong size)
    {
        if (size < layout.MinimumMemory)
            throw new MachineException($"{Sizes.Text(size)} of memory is too little; a machine needs at least {Sizes.Text(layout.MinimumMemory)}{(size is > 0 and < LeastMeant ? $"; for MiB write {size}M" : "")}");
        if (size % 4096 != 0) throw new MachineException($"{size} bytes of memory are no whole number of 4 KiB pages; round the size to one");
        if (size > layout.MaximumMemory)
            throw new MachineException($"{Sizes.Text(size)} of memory is more than a guest can address; the most is {Sizes.Text(layout.MaximumMemory)}");
        return new MemoryMap(layout, size);
    }

    /// <summary>Whether the whole range is RAM, usable or not.</summary>
    internal bool IsRam(MemoryRange range)
    {
        foreach (var ram in Ram)
            if (ram.Contains(range.Start, range.Length)) return true;
        return false;
    }

    /// <summary>Whether the whole range lies in memory that the guest may use.</summary>
    internal bool IsUsable(MemoryRange range)
    {
        foreach (var entry in Entries)
            if (entry.Type == MemoryMapType.Usable && entry.Range.Contains(range.Start, range.Length)) return true;
        return false;
    }
}
