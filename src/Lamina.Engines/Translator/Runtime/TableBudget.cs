// How much of the host the tables of a vCPU's regions may take together. They are sparse: one access an address space away from the last
// takes a page of a table, and more of the host's own page tables, which no resident size shows. A guest whose page tables repeat
// themselves reaches all of them with a few pages of its own; beyond the bound all regions give back what they have, and forget it, and so
// does the map of large pages.
namespace Lamina.Engines.Translator.Runtime;

internal sealed class TableBudget
{
    // A guest that uses all of its memory from one address space takes 1/256 of it: a page of each table for 2 MiB.
    private const long Least = 64 << 20, RamShare = 128;

    private readonly long _most;
    private readonly Action _giveBack;

    /// <summary>Makes a budget.</summary>
    /// <param name="ramBytes">The guest's memory.</param>
    /// <param name="giveBack">Empties all regions; each of them says what it no longer takes.</param>
    public TableBudget(ulong ramBytes, Action giveBack) => (_most, _giveBack) = (MostOf(ramBytes), giveBack);

    /// <summary>The most bytes that the regions of a vCPU take.</summary>
    /// <param name="ramBytes">The guest's memory.</param>
    public static long MostOf(ulong ramBytes) => Least + (long)(ramBytes / RamShare);

    /// <summary>Bytes of the host that the regions take: pages of their tables, and of the page tables that lead to them.</summary>
    public long Taken { get; private set; }

    /// <summary>The most that was taken at a time.</summary>
    public long Peak { get; private set; }

    /// <summary>How often all of it was given back.</summary>
    public long GivenBack { get; private set; }

    /// <summary>A region takes more.</summary>
    /// <param name="bytes">How much.</param>
    /// <returns>False: too much, and everything was given back.</returns>
    public bool Take(long bytes)
    {
        Taken += bytes;
        Peak = Math.Max(Peak, Taken);
        if (Taken <= _most) return true;
        GivenBack++;
        _giveBack();
        return false;
    }

    /// <summary>A region has given back.</summary>
    /// <param name="bytes">How much.</param>
    public void Return(long bytes) => Taken -= bytes;
}
