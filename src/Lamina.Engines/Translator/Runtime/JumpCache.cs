// The jump cache: a hash from linear code addresses to landing pads, in memory that generated code jumps through. The
// two supervisor regions of a vCPU share one; every user region has its own. Like the tables it may forget anything.
using Lamina.Engines.Translator.Analyse;
using Lamina.Host;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe class JumpCache : IDisposable
{
    private const ulong Bytes = Slot.JumpCacheEntries * 8;

    private readonly HostReservation _view;
    private readonly ulong* _entries;
    private readonly ulong _miss;
    private readonly List<int> _set = [];
    private readonly HashSet<ulong> _codePages = [], _codeLargePages = [];
    private bool _hasLocalCode;

    /// <summary>Creates an empty cache.</summary>
    /// <param name="miss">Where an address leads that is not in it.</param>
    public JumpCache(ulong miss)
    {
        _miss = miss;
        Memory = SharedMemory.Create("lamina-jumps", Bytes);
        _view = HostReservation.Reserve(Bytes);
        _view.MapShared(0, Bytes, Memory, 0, MappingAccess.ReadWrite);
        _entries = (ulong*)_view.Address;
        new Span<ulong>(_entries, Slot.JumpCacheEntries).Fill(miss);
    }

    /// <summary>The entries, for the regions to map.</summary>
    public SharedMemory Memory { get; }

    /// <summary>The modes that its blocks were translated for.</summary>
    public ModeKey Key { get; private set; }

    /// <summary>How often it was emptied.</summary>
    public long Clears { get; private set; }

    /// <summary>How many entries gave way to others.</summary>
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
        if (entry != _miss) Replaced++;
        else _set.Add(index);
        entry = pad;
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
        _codePages.Clear();
        _codeLargePages.Clear();
        _hasLocalCode = false;
    }

    public void Dispose()
    {
        _view.Dispose();
        Memory.Dispose();
    }

    private void NotePage(ulong page)
    {
        if (_codePages.Add(page)) _codeLargePages.Add(page >> 9);
    }
}
