// A list that grows without copying, outside the managed heap: what the code buffer knows of its code is long, only grows,
// and lives until all of it is dropped; a collector would move and mark it for nothing.
using Lamina.Host;

namespace Lamina.Engines.Translator.Code;

internal sealed unsafe class GrowingList<T> : IDisposable
    where T : unmanaged
{
    private const ulong Step = 256 << 10;

    private readonly HostReservation _memory;
    private readonly T* _items;
    private ulong _populated;
    private int _room;

    /// <summary>Reserves addresses; memory is taken as the list grows.</summary>
    /// <param name="mostBytes">The most it will ever have.</param>
    public GrowingList(ulong mostBytes)
    {
        _memory = HostReservation.Reserve(mostBytes);
        _memory.MapAnonymous(0, _memory.Length);
        _items = (T*)_memory.Address;
    }

    /// <summary>How many there are.</summary>
    public int Count { get; private set; }

    /// <summary>Bytes that they take.</summary>
    public long Bytes => (long)Count * sizeof(T);

    /// <summary>An element, in its place. The index is the caller's word.</summary>
    public ref T this[int index] => ref _items[index];

    public void Add(in T item)
    {
        if (Count == _room) Grow();
        _items[Count++] = item;
    }

    /// <summary>Forgets all; the room is given back.</summary>
    public void Clear()
    {
        _memory.Discard(0, _populated);
        _populated = 0;
        _room = Count = 0;
    }

    public void Dispose() => _memory.Dispose();

    private void Grow()
    {
        var step = Math.Min(Step, _memory.Length - _populated);
        if (step == 0) throw new InvalidOperationException("a list of the code buffer outgrew its room");
        _memory.Populate(_populated, step, write: true);
        _populated += step;
        _room = (int)Math.Min(_populated / (ulong)sizeof(T), int.MaxValue);
    }
}
