// The machine's landing pads by linear address, for all user address spaces: when a process starts or forks, its jump cache
// is empty, but the code is mostly there. Machine code may take a pad from here if it knows that the address is in the same
// physical page as when the pad was entered (JumpCache.KnownPage); else, and where the pad is missing, C# finds out.
using Lamina.Host;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe class SharedPads : IDisposable
{
    /// <summary>Bits of an index.</summary>
    public const int Bits = 18;

    // Where and Pad are read and written as one, without a lock: a pad that is found belongs to the page that stands beside it.
    private struct Entry
    {
        public ulong Linear, PageAndPad;
    }

    private readonly HostReservation _memory;
    private readonly Entry* _entries;

    public SharedPads()
    {
        _memory = HostReservation.Reserve((ulong)sizeof(Entry) << Bits);
        _memory.MapAnonymous(0, (ulong)sizeof(Entry) << Bits);
        _entries = (Entry*)_memory.Address;
    }

    /// <summary>The table, 16 bytes an entry: an address; above 32 bits <see cref="PageTag"/>, below the pad's offset in the code buffer.</summary>
    public ulong Table => (ulong)_entries;

    /// <summary>What stands for a physical page here and in <see cref="JumpCache.KnownPage"/>: never 0.</summary>
    public static uint PageTag(ulong physical) => (uint)(physical >> 12) + 1;

    /// <summary>Enters a pad. The caller holds the store's gate.</summary>
    public void Set(ulong linear, ulong physical, int pad)
    {
        ref var entry = ref _entries[Slot.MultipliedHash(linear, Bits)];
        // A reader may see the new address with the old pad: the pad compares the address for itself.
        Volatile.Write(ref entry.PageAndPad, (ulong)PageTag(physical) << 32 | (uint)pad);
        Volatile.Write(ref entry.Linear, linear);
    }

    /// <summary>Forgets all.</summary>
    public void Clear() => _memory.Discard(0, (ulong)sizeof(Entry) << Bits);

    public void Dispose() => _memory.Dispose();
}
