// The jump cache: a hash from linear code addresses to landing pads, in memory that generated code jumps through. A pad
// knows its address; where that is not the one that was asked for, generated code looks into the second level, which
// holds what gave way in the first. The two supervisor regions of a vCPU share a cache; every user region has its own.
// Like the tables it may forget anything.
using Lamina.Engines.Translator.Analyse;
using Lamina.Host;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe class JumpCache : IDisposable
{
    /// <summary>An entry of the second level. An empty one is all zeros: only address 0 is taken for it, see <see cref="ClearSecond"/>.</summary>
    private struct Second
    {
        public ulong Linear, Pad;
    }

    private readonly HostReservation _view;
    private readonly ulong* _entries;
    private readonly Second* _second;
    private readonly ulong _miss;
    private readonly ulong[] _linears = new ulong[Slot.JumpCacheEntries];
    private readonly List<int> _set = [], _secondSet = [];
    private readonly HashSet<ulong> _codePages = [], _codeLargePages = [];
    private bool _hasLocalCode;

    /// <summary>Creates an empty cache.</summary>
    /// <param name="miss">Where an address leads that is not in it.</param>
    public JumpCache(ulong miss)
    {
        _miss = miss;
        Memory = SharedMemory.Create("lamina-jumps", Slot.JumpBytes);
        _view = HostReservation.Reserve(Slot.JumpBytes);
        _view.MapShared(0, Slot.JumpBytes, Memory, 0, MappingAccess.ReadWrite);
        _entries = (ulong*)_view.Address;
        new Span<ulong>(_entries, Slot.JumpCacheEntries).Fill(miss);
        _second = (Second*)(_entries + Slot.JumpCacheEntries);
        ClearSecond();
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
    /// <param name="crossesPage">The code reaches into the next page.</param>
    /// <param name="global">The page's translation survives <see cref="ClearLocal"/>.</param>
    public void Set(ulong linear, ulong pad, bool crossesPage, bool global)
    {
        var index = Slot.JumpCacheHash(linear) >> 2;
        ref var entry = ref _entries[index];
        if (entry == _miss) _set.Add(index);
        else if (_linears[index] != linear) GiveWay(_linears[index], entry);
        entry = pad;
        _linears[index] = linear;
        NotePage(linear >> 12);
        if (crossesPage) NotePage((linear >> 12) + 1);
        if (!global) _hasLocalCode = true;
    }

    /// <summary>Empties the cache if it was for other modes.</summary>
    public void UseKey(ModeKey key)
    {
        if (key == Key) return;
        Clear();
        Key = key;
    }

    /// <summary>A page's translation is void.</summary>
    /// <param name="linear">Any address in it.</param>
    /// <param name="large">So are those of the 2 MiB around it.</param>
    public void Invalidate(ulong linear, bool large)
    {
        if (large ? _codeLargePages.Contains(linear >> 21) : _codePages.Contains(linear >> 12)) Clear();
    }

    /// <summary>All translations but global ones are void.</summary>
    public void ClearLocal()
    {
        if (_hasLocalCode) Clear();
    }

    /// <summary>Empties the cache.</summary>
    public void Clear()
    {
        Clears++;
        // Most processes use a small part of it.
        if (_set.Count > Slot.JumpCacheEntries / 8) new Span<ulong>(_entries, Slot.JumpCacheEntries).Fill(_miss);
        else
            foreach (var index in _set) _entries[index] = _miss;
        _set.Clear();
        if (_secondSet.Count > 0) ClearSecond();
        _codePages.Clear();
        _codeLargePages.Clear();
        _hasLocalCode = false;
    }

    public void Dispose()
    {
        _view.Dispose();
        Memory.Dispose();
    }

    private void GiveWay(ulong linear, ulong pad)
    {
        Replaced++;
        var index = Slot.SecondHash(linear);
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

    private void NotePage(ulong page)
    {
        if (_codePages.Add(page)) _codeLargePages.Add(page >> 9);
    }
}
