// Where a vCPU found devices' pages last, by linear page and region: a TLB of a few entries for what the tables have no place for. An entry
// holds until something is invalidated. Machine code invalidates pages by itself where no code was run from them (PageStubs): the jump
// cache's mark for code keeps it from that, and an entry whose mark has gone is none.
namespace Lamina.Engines.Translator.Runtime;

internal sealed class DevicePages
{
    private const int Entries = 16, PageShift = 12;

    private struct Entry
    {
        public ulong LinearPage, PhysicalPage;
        public long Time;
        public int Region;
        public bool Writable;
    }

    private readonly Entry[] _entries = new Entry[Entries];

    // An entry of another time is none.
    private long _time = 1;

    /// <summary>Forgets all.</summary>
    public void Forget() => _time++;

    /// <summary>Where a page is.</summary>
    /// <param name="region">Who accesses it.</param>
    /// <param name="linear">An address in it.</param>
    /// <param name="write">It is to be stored to.</param>
    /// <param name="physicalPage">The page.</param>
    public bool TryFind(AddressRegion region, ulong linear, bool write, out ulong physicalPage)
    {
        var page = linear >> PageShift;
        ref readonly var entry = ref _entries[page & (Entries - 1)];
        physicalPage = entry.PhysicalPage;
        return entry.LinearPage == page && entry.Time == _time && entry.Region == region.Number && (entry.Writable || !write) && region.Jumps.IsMarked(page);
    }

    /// <summary>A page was found.</summary>
    /// <param name="region">Who accesses it.</param>
    /// <param name="linear">An address in it.</param>
    /// <param name="write">It may be stored to, and is marked as dirty.</param>
    /// <param name="physicalPage">Where it is.</param>
    public void Note(AddressRegion region, ulong linear, bool write, ulong physicalPage)
    {
        var page = linear >> PageShift;
        region.Jumps.Mark(page);
        _entries[page & (Entries - 1)] = new Entry { LinearPage = page, PhysicalPage = physicalPage, Time = _time, Region = region.Number, Writable = write };
    }
}
