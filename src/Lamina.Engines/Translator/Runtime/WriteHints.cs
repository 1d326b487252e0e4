// Where a vCPU's regions may hold the right to store to a guest-physical page in place: two words a page, so that the
// right can be taken away without looking through every fill log. A hint may be out of date; none is never wrong.
using Lamina.Engines.Translator.Code;
using Lamina.Host;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe class WriteHints(ulong pages) : IDisposable
{
    /// <summary>Hints that a page has; logarithm of their bytes.</summary>
    public const int PerPage = 2, PageShift = 4;

    /// <summary>A hint is a linear page's number, and from this bit on one for each region in which it is.</summary>
    public const int RegionShift = 40;

    /// <summary>How many regions a vCPU may have.</summary>
    public const int MostRegions = 16;

    /// <summary>In the place of a page's first hint: more linear pages than it has hints.</summary>
    public const ulong Many = ulong.MaxValue;

    private const ulong PageMask = (1ul << Slot.PageNumberBits) - 1;

    private readonly HostReservation _table = Reserve(pages << PageShift);

    /// <summary>The table, for the page-walk stub.</summary>
    public ulong Table => (ulong)_table.Address;

    /// <summary>Forgets all hints, when no region holds a right any more.</summary>
    public void Clear() => _table.Discard(0, _table.Length);

    /// <summary>What a hint is besides the linear page's number.</summary>
    public static ulong TagOf(int region) => 1ul << RegionShift + region;

    /// <summary>Records that a region may store to a page in place.</summary>
    public void Note(ulong physical, int region, ulong linearPage)
    {
        var mine = TagOf(region) | linearPage;
        var hints = Of(physical);
        foreach (ref var hint in hints)
        {
            if (hint != 0 && ((hint ^ mine) & PageMask) != 0) continue;
            hint |= mine;
            return;
        }
        hints[0] = Many;
    }

    /// <summary>A page's hints, 0 where there is none.</summary>
    public Span<ulong> Of(ulong physical) => new((ulong*)(_table.Address + (nint)(physical >> 12 << PageShift)), PerPage);

    /// <summary>The linear page of a hint that is not <see cref="Many"/>, and its regions, a bit each.</summary>
    public static (ulong LinearPage, uint Regions) Read(ulong hint) => (hint & PageMask, (uint)(hint >> RegionShift & (1 << MostRegions) - 1));

    public void Dispose() => _table.Dispose();

    private static HostReservation Reserve(ulong bytes)
    {
        bytes = (bytes + 4095) & ~4095ul;
        var table = HostReservation.Reserve(bytes);
        table.MapAnonymous(0, bytes);
        return table;
    }
}
