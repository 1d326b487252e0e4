// What the translator knows of guest-physical pages: which are RAM (a byte each, read by the page-walk stub) and which
// hold translated code, down to granules of 64 bytes, so that stores beside code in one page do not cost translations.
using Lamina.Core.Memory;
using Lamina.Engines.Translator.Code;
using Lamina.Host;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe class PhysicalPages : IDisposable
{
    private const byte Ram = 1, Code = 2;

    // What is changed more often is made anew each time.
    private const int MostSeeks = 16;

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
    }

    public PhysicalPages(GuestMemory memory)
    {
        Count = memory.Ranges[^1].End >> 12;
        _info = HostReservation.Reserve(Count);
        _info.MapAnonymous(0, (Count + 4095) & ~4095ul);
        _bytes = (byte*)_info.Address;
        foreach (var range in memory.Ranges)
            new Span<byte>(_bytes + (range.Start >> 12), checked((int)(range.Length >> 12))).Fill(Ram);
    }

    /// <summary>Number of pages in the table.</summary>
    public ulong Count { get; }

    /// <summary>The table, for the page-walk stub: 1 RAM, 2 translated code.</summary>
    public ulong Table => (ulong)_bytes;

    public bool IsRam(ulong physical) => physical >> 12 < Count && (_bytes[physical >> 12] & Ram) != 0;

    public bool HasCode(ulong physical) => physical >> 12 < Count && (_bytes[physical >> 12] & Code) != 0;

    /// <summary>Records that a page is about to have code.</summary>
    /// <returns>False if it was known already; else rights to store in place must be taken away.</returns>
    public bool Mark(ulong physical)
    {
        var number = physical >> 12;
        if ((_bytes[number] & Code) != 0) return false;
        _ = _code.TryAdd(number, new CodePage());
        _bytes[number] |= Code;
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
        code.Granules |= GranulesOf(block, page);
    }

    /// <summary>Whether any page of a range is marked; takes no lock.</summary>
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
        foreach (var number in _code.Keys) _bytes[number] &= Ram;
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
        if (page.Blocks.Count == 0) _bytes[physical >> 12] = Ram;
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
