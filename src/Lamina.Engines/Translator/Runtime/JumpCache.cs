// The jump cache: a hash from linear code addresses to landing pads, in memory that generated code jumps through. A pad
// knows its address; where that is not the one that was asked for, generated code looks into the second level, which
// holds what gave way in the first. What is in neither may be in the machine's SharedPads, if the page is known here. The
// two supervisor regions of a vCPU share a cache; every user region has its own. Like the tables it may forget anything.
// The notes of calls, which machine code alone writes and reads (see BlockEmitter.Calls), lie here since they are void when it is.
using System.Runtime.InteropServices;
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.Translator.Code;
using Lamina.Host;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe class JumpCache : IDisposable
{
    /// <summary>An entry of the second level. An empty one is all zeros: only address 0 is taken for it, see <see cref="ClearSecond"/>.</summary>
    private struct Second
    {
        public ulong Linear, Pad;
    }

    /// <summary>A code page: its number plus one, and <see cref="SharedPads.PageTag"/> of where it is.</summary>
    private struct Known
    {
        public ulong Page, Tag;
    }

    // A guest may run one page of code at any number of addresses.
    private const int MostCodePages = 1 << 16;

    private readonly HostReservation _view;
    private readonly ulong* _entries;
    private readonly Second* _second;
    private readonly ulong _miss;
    private readonly ulong* _linears;
    private readonly Known* _known;
    private readonly int* _set;
    private readonly ulong* _returns;
    private readonly byte* _codeMarks;
    private readonly List<int> _secondSet = [];

    // By the numbers of pages, and of 2 MiB of addresses, how far from there their code lies in guest-physical memory, in pages.
    private readonly Dictionary<ulong, ulong> _codePages = [], _codeLargePages = [];

    // No such distance: code was found at several.
    private const ulong Several = 1ul << 63;

    private bool _hasLocalCode, _knowsPages, _sizesForgotten, _ready;

    /// <summary>Creates an empty cache, which code may run with from the first <see cref="UseKey"/> on.</summary>
    /// <param name="miss">Where an address leads that is not in it.</param>
    public JumpCache(ulong miss)
    {
        _miss = miss;
        Memory = SharedMemory.Create("lamina-jumps", Slot.JumpBytes);
        try
        {
            _view = HostReservation.Reserve(Slot.JumpBytes);
            _view.MapShared(0, Slot.JumpBytes, Memory, 0, MappingAccess.ReadWrite);
        }
        catch
        {
            _view?.Dispose();
            Memory.Dispose();
            throw;
        }
        _entries = (ulong*)_view.Address;
        _second = (Second*)(_entries + Slot.JumpCacheEntries);
        _linears = (ulong*)(_second + Slot.SecondEntries);
        _known = (Known*)(_linears + Slot.JumpCacheEntries);
        _set = (int*)(_known + Slot.KnownPages);
        _returns = (ulong*)(_set + Slot.SetLogEntries);
        _codeMarks = (byte*)(_returns + Slot.ReturnEntries * 2);
    }

    /// <summary>The entries, for the regions to map.</summary>
    public SharedMemory Memory { get; }

    /// <summary>The modes that its blocks were translated for.</summary>
    public ModeKey Key { get; private set; }

    /// <summary>How often it was emptied.</summary>
    public long Clears { get; private set; }

    /// <summary>How many entries gave way to others, into the second level.</summary>
    public long Replaced { get; private set; }

    /// <summary>Makes an address lead to a landing pad.</summary>
    /// <param name="linear">The address.</param>
    /// <param name="pad">Executable address of the pad.</param>
    /// <param name="block">The block that the pad leads to.</param>
    /// <param name="global">The page's translation survives <see cref="ClearLocal"/>.</param>
    public void Set(ulong linear, ulong pad, Block block, bool global)
    {
        var index = Slot.JumpCacheHash(linear) >> 2;
        ref var entry = ref _entries[index];
        if (entry == _miss) NoteSet(index);
        else if (_linears[index] != linear) GiveWay(_linears[index], entry);
        entry = pad;
        _linears[index] = linear;
        NoteCode(linear, block, global);
    }

    /// <summary>Code at an address is about to run: what it notes here depends on its page.</summary>
    /// <param name="linear">The address.</param>
    /// <param name="block">The code.</param>
    /// <param name="global">The page's translation survives <see cref="ClearLocal"/>.</param>
    public void NoteCode(ulong linear, Block block, bool global)
    {
        if (_codePages.Count >= MostCodePages) Clear();
        NotePage(linear >> 12, block.Physical >> 12);
        if (block.CrossesPage) NotePage((linear >> 12) + 1, block.SecondPage >> 12);
        if (!global) _hasLocalCode = true;
    }

    /// <summary>The page of an address, which <see cref="Set"/> was told of, was found at a physical one: pads of this page may be shared.</summary>
    public void KnownPage(ulong linear, ulong physical)
    {
        var page = linear >> 12;
        _known[page & (Slot.KnownPages - 1)] = new Known { Page = page + 1, Tag = SharedPads.PageTag(physical) };
        _knowsPages = true;
    }

    /// <summary>Readies the cache for code of some modes: empties it if it was for others.</summary>
    public void UseKey(ModeKey key)
    {
        if (!_ready) FillFirst();
        if (key == Key) return;
        Clear();
        Key = key;
    }

    /// <summary>
    /// Whether all that leads to code in a page is still right, where its address is translated anew: it was found nowhere else.
    /// </summary>
    /// <param name="linear">Any address in the page.</param>
    /// <param name="large">It is the 2 MiB around it.</param>
    /// <param name="physicalPage">Where the address is found now.</param>
    /// <param name="global">So is its translation, see <see cref="ClearLocal"/>.</param>
    public bool IsRightFor(ulong linear, bool large, ulong physicalPage, bool global) =>
        !_sizesForgotten && (global || _hasLocalCode)
        && (large ? _codeLargePages.TryGetValue(linear >> 21, out var distance) : _codePages.TryGetValue(linear >> 12, out distance))
        && distance == (physicalPage >> 12) - (linear >> 12);

    /// <summary>Whether code may have been run from a page.</summary>
    /// <param name="linear">Any address in it.</param>
    /// <param name="large">It is the 2 MiB around it.</param>
    public bool HasCode(ulong linear, bool large) => _sizesForgotten || (large ? _codeLargePages.ContainsKey(linear >> 21) : _codePages.ContainsKey(linear >> 12));

    /// <summary>A page's translation is void.</summary>
    /// <param name="linear">Any address in it.</param>
    /// <param name="large">So are those of the 2 MiB around it.</param>
    public void Invalidate(ulong linear, bool large)
    {
        if (_sizesForgotten)
        {
            Clear();
            return;
        }
        if (!HasCode(linear, large)) return;
        if (*_set >= Slot.SetLogEntries - 1)
        {
            Clear();
            return;
        }
        var (first, count) = large ? (linear >> 21 << 9, 512ul) : (linear >> 12, 1ul);
        RemoveCode(first, count);
        // Returns find their way without notes, too.
        ClearReturns();
        if (large)
        {
            foreach (var page in _codePages.Keys.Where(page => page >> 9 == linear >> 21)) _codePages.Remove(page);
            _codeLargePages.Remove(linear >> 21);
        }
        else
        {
            _codePages.Remove(first);
        }
    }

    /// <summary>Nobody knows any more which of the pages here are large: the next one whose translation is void takes all with it.</summary>
    public void ForgetSizes()
    {
        if (_codePages.Count == 0) return;
        _sizesForgotten = true;
        new Span<byte>(_codeMarks, Slot.CodeMarks).Fill(1);
    }

    // What leads into some pages, and into the one before, whose last instruction may cross into them.
    private void RemoveCode(ulong page, ulong count)
    {
        var kept = 0;
        for (var i = 1; i <= *_set; i++)
        {
            if (Leads(_linears[_set[i]])) _entries[_set[i]] = _miss;
            else _set[++kept] = _set[i];
        }
        *_set = kept;
        for (var i = _secondSet.Count - 1; i >= 0; i--)
        {
            if (!Leads(_second[_secondSet[i]].Linear)) continue;
            _second[_secondSet[i]] = default;
            _secondSet[i] = _secondSet[^1];
            _secondSet.RemoveAt(_secondSet.Count - 1);
        }
        _second[0].Pad = _second[0].Linear == 0 ? _miss : _second[0].Pad;
        for (var i = page; _knowsPages && i < page + count; i++)
        {
            ref var known = ref _known[i & (Slot.KnownPages - 1)];
            if (known.Page == i + 1) known = default;
        }

        bool Leads(ulong linear) => (linear >> 12) - page + 1 <= count;
    }

    /// <summary>Whether machine code may find an address here by itself.</summary>
    public bool MayKnow(ulong linear)
    {
        var index = Slot.JumpCacheHash(linear) >> 2;
        return (_entries[index] != _miss && _linears[index] == linear) || _knowsPages || _second[Slot.MultipliedHash(linear, Slot.SecondBits)].Linear == linear;
    }

    /// <summary>All translations but global ones are void.</summary>
    public void ClearLocal()
    {
        if (_hasLocalCode) Clear();
    }

    /// <summary>Empties the cache.</summary>
    public void Clear()
    {
        // Nothing has come here since the last time.
        if (_codePages.Count == 0) return;
        Clears++;
        // Most processes use a small part of it.
        var set = *_set;
        if (set >= Slot.SetLogEntries - 1) new Span<ulong>(_entries, Slot.JumpCacheEntries).Fill(_miss);
        else
            for (var i = 1; i <= set; i++) _entries[_set[i]] = _miss;
        *_set = 0;
        if (_knowsPages) new Span<Known>(_known, Slot.KnownPages).Clear();
        _knowsPages = false;
        if (_secondSet.Count > 0) ClearSecond();
        ClearReturns();
        _codePages.Clear();
        _codeLargePages.Clear();
        new Span<byte>(_codeMarks, Slot.CodeMarks).Clear();
        _hasLocalCode = _sizesForgotten = false;
    }

    /// <summary>Empties the cache and gives back what its tables have taken, but for the first level.</summary>
    public void Release()
    {
        Clear();
        if (!_ready) return;
        const ulong first = Slot.JumpCacheEntries * 8;
        Memory.Discard(first, Slot.JumpBytes - first);
        ClearSecond();
        ClearReturns();
    }

    public void Dispose()
    {
        _view.Dispose();
        Memory.Dispose();
    }

    // A megabyte, which takes as long as much of a start: a vCPU that has not come to user mode yet has no use for it.
    private void FillFirst()
    {
        _view.Populate(0, Slot.JumpCacheEntries * sizeof(ulong), write: true);
        new Span<ulong>(_entries, Slot.JumpCacheEntries).Fill(_miss);
        ClearSecond();
        ClearReturns();
        _ready = true;
    }

    // Machine code notes what it sets likewise. A list that is full says no more than that.
    private void NoteSet(int index)
    {
        if (*_set < Slot.SetLogEntries - 1) _set[++*_set] = index;
    }

    private void GiveWay(ulong linear, ulong pad)
    {
        Replaced++;
        var index = Slot.MultipliedHash(linear, Slot.SecondBits);
        if (_second[index].Linear == 0) _secondSet.Add(index);
        _second[index] = new Second { Linear = linear, Pad = pad };
    }

    private void ClearSecond()
    {
        foreach (var index in _secondSet) _second[index] = default;
        _secondSet.Clear();
        // Address 0 belongs to entry 0, and finds it empty.
        _second[0].Pad = _miss;
    }

    // Address 0 finds that its way is not known.
    private void ClearReturns()
    {
        // The host's copy uses registers as long as it has, which a fill in a program for any processor does not.
        const int filled = 64;
        var returns = new Span<UInt128>(_returns, Slot.ReturnEntries);
        returns[..filled].Fill(new UInt128(_miss, 0));
        for (var done = filled; done < returns.Length; done *= 2) returns[..done].CopyTo(returns[done..]);
    }

    private void NotePage(ulong page, ulong physical)
    {
        var distance = physical - page;
        if (_codePages.TryGetValue(page, out var known) && known == distance) return;
        if (known != Several && !_codePages.TryAdd(page, distance)) _codePages[page] = Several;
        ref var large = ref CollectionsMarshal.GetValueRefOrAddDefault(_codeLargePages, page >> 9, out var was);
        large = !was || large == distance ? distance : Several;
        Mark(page);
    }

    /// <summary>Machine code is not to invalidate a page by itself.</summary>
    public void Mark(ulong page) => _codeMarks[page & (Slot.CodeMarks - 1)] = 1;

    /// <summary>Whether it does not.</summary>
    public bool IsMarked(ulong page) => _codeMarks[page & (Slot.CodeMarks - 1)] != 0;
}
