// What the translator knows of guest-physical pages, a byte each: which are memory, and whether stores to them must be seen. The
// page-walk stub reads these two. Which hold translated code is known down to granules of 64 bytes, so that stores beside code in one
// page do not cost translations. The store's gate guards changes; who only looks takes no lock, and looks again where it matters.
using Lamina.Core.Memory;
using Lamina.Engines.Translator.Code;
using Lamina.Host;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe class PhysicalPages : IDisposable
{
    // Watched follows from the others: generated code makes no store to the page in place.
    private const byte Memory = 1, Watched = 2, Code = 4, ReadOnly = 8, Logged = 16;

    // What is changed more often is made anew each time.
    private const int MostSeeks = 16;

    // A page's code is given up at so many stores, or at one for so many blocks where those are more: a block is made in the time of
    // some four stores that are seen, and few of them run again.
    private const int FewStores = 4, BlocksForStore = 4;

    private readonly HostReservation _info;
    private readonly byte* _bytes;
    private readonly Dictionary<ulong, CodePage> _code = [];

    private sealed class CodePage
    {
        public readonly List<Block> Blocks = [];
        public ulong Granules;

        /// <summary>Its translations have been looked for elsewhere since it was last changed.</summary>
        public bool Sought;

        public int Seeks;

        /// <summary>Stores that had to be seen since a block was added.</summary>
        public int Stores;
    }

    /// <summary>Makes a table in which nothing is memory.</summary>
    /// <param name="end">The first address at which there can never be memory.</param>
    public PhysicalPages(ulong end)
    {
        Count = end >> 12;
        _info = HostReservation.Reserve(Count);
        _info.MapAnonymous(0, (Count + 4095) & ~4095ul);
        _bytes = (byte*)_info.Address;
    }

    /// <summary>Number of pages in the table.</summary>
    public ulong Count { get; }

    /// <summary>The table, for the page-walk stub: 1 memory, 2 stores must be seen.</summary>
    public ulong Table => (ulong)_bytes;

    /// <summary>Whether loads are memory's.</summary>
    public bool IsMemory(ulong physical) => (Of(physical) & Memory) != 0;

    /// <summary>Whether loads and stores are memory's.</summary>
    public bool IsRam(ulong physical) => (Of(physical) & (Memory | ReadOnly)) == Memory;

    /// <summary>Whether generated code may not store there in place.</summary>
    public bool IsWatched(ulong physical) => (Of(physical) & Watched) != 0;

    /// <summary>Says what a range is: whole pages, which hold no code but what stays good.</summary>
    /// <param name="range">Where.</param>
    /// <param name="kind">What; null: no memory.</param>
    public void SetKind(MemoryRange range, MemoryKind? kind)
    {
        for (var number = range.Start >> 12; number < range.End >> 12; number++)
        {
            byte flags = kind switch { MemoryKind.Ram => Memory, MemoryKind.Rom => Memory | ReadOnly, _ => 0 };
            Set(number, flags | _bytes[number] & Code);
        }
    }

    /// <summary>Opens a page to stores in place. False, with nothing changed, where more than the log wants to see them.</summary>
    public bool TryOpen(ulong physical)
    {
        var number = physical >> 12;
        if ((_bytes[number] & (Memory | Code | ReadOnly)) != Memory) return false;
        Set(number, _bytes[number] & ~Logged);
        return true;
    }

    /// <summary>Has the stores to a page seen, for the log.</summary>
    public void Close(ulong physical) => Set(physical >> 12, _bytes[physical >> 12] | Logged);

    /// <summary>The same for what two ranges have in common.</summary>
    public void Close(MemoryRange range, MemoryRange within)
    {
        var end = Math.Min(range.End, within.End);
        for (var page = Math.Max(range.Start, within.Start); page < end; page += 4096) Close(page);
    }

    /// <summary>The log has no wish any more as to the pages of a range.</summary>
    public void OpenAll(MemoryRange range)
    {
        for (var number = range.Start >> 12; number < range.End >> 12; number++) Set(number, _bytes[number] & ~Logged);
    }

    private byte Of(ulong physical) => physical >> 12 < Count ? _bytes[physical >> 12] : (byte)0;

    private bool HasCode(ulong physical) => (Of(physical) & Code) != 0;

    private void Set(ulong number, int flags) => _bytes[number] = (byte)(flags & ~Watched | ((flags & (Code | ReadOnly | Logged)) != 0 ? Watched : 0));

    /// <summary>Records that a page is about to have code.</summary>
    /// <returns>False if it was known already; else rights to store in place must be taken away.</returns>
    public bool Mark(ulong physical)
    {
        var number = physical >> 12;
        if ((_bytes[number] & Code) != 0) return false;
        _ = _code.TryAdd(number, new CodePage());
        Set(number, _bytes[number] | Code);
        return true;
    }

    /// <summary>Whether translations of a marked page are to be looked for elsewhere, which is done now.</summary>
    public bool IsToBeSought(ulong physical)
    {
        var page = _code[physical >> 12];
        if (page.Sought || page.Seeks >= MostSeeks) return false;
        page.Seeks++;
        return page.Sought = true;
    }

    /// <summary>
    /// Counts a store to a page that has code. True: there were so many since code was last made there that it is better given up. A kernel
    /// that patches its calls one after the other makes thousands. To make again what of the blocks still runs costs no more than
    /// a few times what the stores until now did, whatever comes next. The caller holds the store's gate.
    /// </summary>
    public bool IsRewritten(ulong physical)
    {
        if (!HasCode(physical)) return false;
        var page = _code[physical >> 12];
        if (++page.Stores < Math.Max(FewStores, page.Blocks.Count / BlocksForStore)) return false;
        page.Stores = 0;
        return true;
    }

    /// <summary>Records a block with all that it depends on, in pages that are marked.</summary>
    public void Add(Block block)
    {
        Add(block, block.Physical & ~0xffful);
        if (block.CrossesPage) Add(block, block.SecondPage);
    }

    private void Add(Block block, ulong page)
    {
        var code = _code[page >> 12];
        code.Blocks.Add(block);
        code.Stores = 0;
        code.Granules |= GranulesOf(block, page);
    }

    /// <summary>Whether any page of a range is marked for code; takes no lock.</summary>
    public bool AnyCode(ulong physical, ulong length)
    {
        for (var page = physical & ~0xffful; page < physical + length; page += 4096)
            if (HasCode(page)) return true;
        return false;
    }

    /// <summary>Whether a store touches bytes that translations may depend on.</summary>
    public bool TouchesCode(ulong physical, ulong length)
    {
        var end = physical + length;
        while (physical < end)
        {
            var inPage = (int)Math.Min(end - physical, 4096 - (physical & 0xfff));
            if (HasCode(physical) && IsTouched(_code[physical >> 12], (int)(physical & 0xfff), inPage)) return true;
            physical += (ulong)inPage;
        }
        return false;
    }

    /// <summary>Takes every block that depends on a range out of the page's list and hands it to <paramref name="invalidate"/>.</summary>
    public void Invalidate(ulong physical, ulong length, Action<Block> invalidate)
    {
        var end = physical + length;
        while (physical < end)
        {
            var inPage = (int)Math.Min(end - physical, 4096 - (physical & 0xfff));
            if (HasCode(physical)) InvalidateInPage(physical, inPage, invalidate);
            physical += (ulong)inPage;
        }
    }

    /// <summary>Forgets all code.</summary>
    public void Clear()
    {
        foreach (var number in _code.Keys) Set(number, _bytes[number] & ~Code);
        _code.Clear();
    }

    public void Dispose() => _info.Dispose();

    private void InvalidateInPage(ulong physical, int length, Action<Block> invalidate)
    {
        var page = _code[physical >> 12];
        var offset = (int)(physical & 0xfff);
        if (!IsTouched(page, offset, length)) return;
        page.Blocks.RemoveAll(block =>
        {
            if (!block.Valid) return true;
            if (!DependsOn(block, physical, length)) return false;
            block.Valid = false;
            invalidate(block);
            return true;
        });
        page.Sought = false;
        page.Granules = 0;
        foreach (var block in page.Blocks) page.Granules |= GranulesOf(block, physical & ~0xffful);
        // A page that is used for something else by now may be stored to in place again.
        if (page.Blocks.Count == 0) Set(physical >> 12, _bytes[physical >> 12] & ~Code);
    }

    /// <summary>Whether a block's translation relies on bytes of a range within one page.</summary>
    public static bool DependsOn(Block block, ulong physical, int length)
    {
        if ((physical & ~0xffful) == block.SecondPage) return true;
        if ((physical ^ block.Physical) >> 12 != 0) return false;
        var offset = (int)(physical & 0xfff);
        return Overlaps((int)(block.Physical & 0xfff), block.Length, offset, length)
            || Overlaps(block.First.Start, block.First.Length, offset, length)
            || Overlaps(block.Second.Start, block.Second.Length, offset, length);
    }

    // A page that was marked for code which did not come about is looked at as well: it loses its mark.
    private static bool IsTouched(CodePage page, int offset, int length) =>
        page.Blocks.Count == 0 || (page.Granules & GranuleMask(offset, length)) != 0;

    private static ulong GranulesOf(Block block, ulong page)
    {
        // Both where two linear pages are one physical page.
        var mask = page == block.SecondPage ? GranuleMask(0, 16) : 0;
        if (page != (block.Physical & ~0xffful)) return mask;
        return mask | GranuleMask((int)(block.Physical & 0xfff), block.Length) | GranuleMask(block.First.Start, block.First.Length) | GranuleMask(block.Second.Start, block.Second.Length);
    }

    private static bool Overlaps(int start, int length, int otherStart, int otherLength) =>
        length > 0 && start < otherStart + otherLength && otherStart < start + length;

    private static ulong GranuleMask(int offset, int length)
    {
        if (length <= 0) return 0;
        int first = offset >> 6, last = Math.Min((offset + length - 1) >> 6, 63);
        return ulong.MaxValue << first & ulong.MaxValue >> (63 - last);
    }
}
