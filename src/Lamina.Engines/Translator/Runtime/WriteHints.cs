// Where a vCPU's regions may hold the right to store to a guest-physical page in place: a word a page, so that the
// right can be taken away without looking through every fill log. A hint may be out of date; none is never wrong.
using Lamina.Host;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe class WriteHints(ulong pages) : IDisposable
{
    private const int RegionShift = 40;
    private const ulong Present = 1ul << 62, PageMask = (1ul << Slot.PageNumberBits) - 1;

    /// <summary>More than one region or linear page.</summary>
    public const ulong Many = ulong.MaxValue;

    private readonly HostReservation _table = Reserve(pages * 8);

    /// <summary>The table, for the page-walk stub.</summary>
    public ulong Table => (ulong)_table.Address;

    /// <summary>What a hint is besides the linear page's number.</summary>
    public static ulong TagOf(int region) => (ulong)region << RegionShift | Present;

    /// <summary>Records that a region may store to a page in place.</summary>
    public void Note(ulong physical, int region, ulong linearPage)
    {
        ref var hint = ref ((ulong*)_table.Address)[physical >> 12];
        var mine = TagOf(region) | linearPage;
        hint = hint == 0 || hint == mine ? mine : Many;
    }

    /// <summary>Takes a page's hint: 0, <see cref="Many"/>, or one region and linear page.</summary>
    public ulong Take(ulong physical, out int region, out ulong linearPage)
    {
        ref var hint = ref ((ulong*)_table.Address)[physical >> 12];
        var was = hint;
        hint = 0;
        region = (int)(was >> RegionShift & 0xff);
        linearPage = was & PageMask;
        return was;
    }

    public void Dispose() => _table.Dispose();

    private static HostReservation Reserve(ulong bytes)
    {
        bytes = (bytes + 4095) & ~4095ul;
        var table = HostReservation.Reserve(bytes);
        table.MapAnonymous(0, bytes);
        return table;
    }
}
