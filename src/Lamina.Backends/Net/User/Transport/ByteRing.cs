// Bytes that wait: those sent but not yet acknowledged, or received and not yet taken by the host. Grows as it is needed, within what
// the connections of a network may keep together.
using System.Numerics;

namespace Lamina.Backends.Net.User.Transport;

/// <summary>A queue of bytes that can be read at any place.</summary>
/// <param name="budget">What it may take beyond the least that each may have.</param>
internal sealed class ByteRing(BufferBudget budget)
{
    private const int KeptWhenEmpty = 64 << 10;

    private byte[] _bytes = [];
    private int _start;

    /// <summary>How many bytes there are.</summary>
    internal int Count { get; private set; }

    /// <summary>Adds bytes, as many as there is room for.</summary>
    /// <returns>How many; fewer than all where the budget has no more.</returns>
    internal int Append(ReadOnlySpan<byte> bytes)
    {
        Reserve(Count + bytes.Length);
        bytes = bytes[..Math.Min(bytes.Length, _bytes.Length - Count)];
        var taken = bytes.Length;
        while (!bytes.IsEmpty)
        {
            var space = Space(bytes.Length);
            bytes[..space.Length].CopyTo(space);
            Count += space.Length;
            bytes = bytes[space.Length..];
        }
        return taken;
    }

    /// <summary>Free space in one piece, to be filled and then counted with <see cref="Commit"/>.</summary>
    /// <param name="most">The most bytes wanted, at least 1.</param>
    /// <returns>At least one byte of an empty ring; nothing where the budget has no more.</returns>
    internal Span<byte> SpaceFor(int most)
    {
        if (Count == _bytes.Length) Reserve(Count + Math.Min(most, Math.Max(Count, BufferBudget.Least)));
        return Count == _bytes.Length ? default : Space(most);
    }

    /// <summary>Counts bytes that were put into the space.</summary>
    internal void Commit(int count) => Count += count;

    /// <summary>Copies bytes out without taking them away.</summary>
    internal void CopyTo(int offset, Span<byte> destination)
    {
        var at = (_start + offset) & (_bytes.Length - 1);
        var first = Math.Min(destination.Length, _bytes.Length - at);
        _bytes.AsSpan(at, first).CopyTo(destination);
        _bytes.AsSpan(0, destination.Length - first).CopyTo(destination[first..]);
    }

    /// <summary>The first bytes, as many as lie in one piece.</summary>
    internal ReadOnlySpan<byte> First => _bytes.AsSpan(_start, Math.Min(Count, _bytes.Length - _start));

    /// <summary>Takes bytes away from the start; when none is left memory goes back, all that others could need.</summary>
    internal void Drop(int count)
    {
        Count -= count;
        if (Count == 0 && _bytes.Length > (budget.IsShort ? BufferBudget.Least : KeptWhenEmpty)) Release();
        _start = Count == 0 ? 0 : (_start + count) & (_bytes.Length - 1);
    }

    /// <summary>Drops all and gives its memory back.</summary>
    internal void Release()
    {
        budget.GiveBack(OfBudget(_bytes.Length));
        (_bytes, _start, Count) = ([], 0, 0);
    }

    private Span<byte> Space(int most)
    {
        var end = (_start + Count) & (_bytes.Length - 1);
        var free = end >= _start && Count != _bytes.Length ? _bytes.Length - end : _start - end;
        return _bytes.AsSpan(end, Math.Min(free, most));
    }

    // As much as is wanted, or a half, a quarter… of it, as the budget has it.
    private void Reserve(int count)
    {
        if (count <= _bytes.Length) return;
        var capacity = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(count, BufferBudget.Least));
        while (!budget.TryTake(OfBudget(capacity) - OfBudget(_bytes.Length))) capacity /= 2;
        if (capacity == _bytes.Length) return;
        var larger = new byte[capacity];
        if (Count != 0) CopyTo(0, larger.AsSpan(0, Count));
        (_bytes, _start) = (larger, 0);
    }

    private static int OfBudget(int capacity) => Math.Max(0, capacity - BufferBudget.Least);
}
