// The machine's landing pads by linear address, for all user address spaces: when a process starts or forks, its jump cache
// is empty, but the code is mostly there. Machine code may take a pad from here if it knows that the address is in the same
// physical page as when the pad was entered (JumpCache.KnownPage); else, and where the pad is missing, C# finds out.
using Lamina.Engines.Translator.Code;
using Lamina.Host;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe class SharedPads : IDisposable
{
    /// <summary>Entries that an address may be in: as many as a cache line has room for.</summary>
    public const int Ways = 4;

    /// <summary>Bytes of an entry.</summary>
    public const int EntryBytes = 16;

    /// <summary>Bits of the number of a set of ways.</summary>
    public const int SetBits = 16;

    private const ulong Bytes = (ulong)(Ways * EntryBytes) << SetBits;

    // Where and Pad are read and written as one, without a lock: a pad that is found belongs to the page that stands beside it.
    private struct Entry
    {
        public ulong Linear, PageAndPad;
    }

    private readonly HostReservation _memory;
    private readonly Entry* _entries;
    private uint _victim;

    public SharedPads()
    {
        _memory = HostReservation.Reserve(Bytes);
        _memory.MapAnonymous(0, Bytes);
        _entries = (Entry*)_memory.Address;
    }

    /// <summary>The table, 16 bytes an entry: an address; above 32 bits <see cref="PageTag"/>, below the pad's offset in the code buffer.</summary>
    public ulong Table => (ulong)_entries;

    /// <summary>What stands for a physical page here and in <see cref="JumpCache.KnownPage"/>: never 0.</summary>
    public static uint PageTag(ulong physical) => (uint)(physical >> 12) + 1;

    /// <summary>Enters a pad. The caller holds the store's gate.</summary>
    public void Set(ulong linear, ulong physical, int pad)
    {
        var entry = PlaceOf(linear);
        // A reader may see the new address with the old pad: the pad compares the address for itself.
        Volatile.Write(ref entry->PageAndPad, (ulong)PageTag(physical) << 32 | (uint)pad);
        Volatile.Write(ref entry->Linear, linear);
    }

    // Where the address is already, else where nothing is, else one after the other.
    private Entry* PlaceOf(ulong linear)
    {
        var set = _entries + Ways * Slot.MultipliedHash(linear, SetBits);
        Entry* free = null;
        for (var way = set; way < set + Ways; way++)
        {
            if (way->Linear == linear) return way;
            if (way->PageAndPad == 0) free = way;
        }
        return free != null ? free : set + _victim++ % Ways;
    }

    /// <summary>Forgets all.</summary>
    public void Clear() => _memory.Discard(0, Bytes);

    public void Dispose() => _memory.Dispose();
}
