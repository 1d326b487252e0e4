// Where a vCPU has met pages larger than 4 KiB: a byte for each 2 MiB of 48-bit linear addresses. INVLPG of any address in such a page is
// for all of it (SDM vol. 3, 4.10.4.1). Machine code marks what it walks to and asks by itself (WalkStub, PageStubs). The map is sparse, and
// what it takes is of the tables' budget: where they are given back it is, too, and then nothing may be known any more that it is asked for.
using Lamina.Host;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe class LargePages : IDisposable
{
    /// <summary>In the place of 2 MiB that no larger page was seen in, that are a page or two of 4 MiB, that are in one of a GiB.</summary>
    public const byte None = 0, Large = 1, Huge = 2;

    private const ulong MapBytes = 1ul << 27, PageBytes = 4096, LargestOfLarge = 1 << 22;

    // A page of the map is for 8 GiB of addresses.
    private const int PartShift = 3;

    private readonly HostReservation _map;
    private readonly TableBudget _budget;
    private readonly HashSet<ulong> _parts = [];

    /// <summary>Makes an empty map.</summary>
    /// <param name="budget">What it takes is counted there.</param>
    public LargePages(TableBudget budget)
    {
        _budget = budget;
        _map = HostReservation.Reserve(MapBytes);
        _map.MapAnonymous(0, MapBytes);
    }

    /// <summary>The map, for machine code.</summary>
    public ulong Table => (ulong)_map.Address;

    /// <summary>What the host holds for it now, in bytes.</summary>
    public ulong Resident => _map.Resident(0, MapBytes);

    /// <summary>What was seen at an address.</summary>
    public byte this[ulong linear] => ((byte*)_map.Address)[IndexOf(linear)];

    /// <summary>A page was met. Before anything is noted that the map will be asked for.</summary>
    /// <param name="linear">An address in it.</param>
    /// <param name="size">Its size in bytes.</param>
    public void Note(ulong linear, ulong size)
    {
        if (size <= PageBytes) return;
        var index = IndexOf(linear);
        var mark = size > LargestOfLarge ? Huge : Large;
        if (((byte*)_map.Address)[index] == mark) return;
        // Where that is too much all is given back, and this is the first of what comes after.
        if (!TryCount(index >> 9)) _ = TryCount(index >> 9);
        ((byte*)_map.Address)[index] = mark;
    }

    /// <summary>Machine code may have marked pages in a GiB of addresses.</summary>
    /// <param name="gib">Its number.</param>
    /// <returns>False: the budget is used up, and everything was given back.</returns>
    public bool TryCount(ulong gib) => !_parts.Add(gib >> PartShift) || _budget.Take((long)PageBytes);

    /// <summary>Gives back what it takes, and forgets it.</summary>
    public void GiveBack()
    {
        _map.MapAnonymous(0, MapBytes);
        _budget.Return(_parts.Count * (long)PageBytes);
        _parts.Clear();
    }

    public void Dispose() => _map.Dispose();

    private static ulong IndexOf(ulong linear) => linear << 16 >> 37;
}
