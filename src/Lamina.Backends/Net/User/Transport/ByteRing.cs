// Bytes that wait: those sent but not yet acknowledged, or received and not yet taken by the host. Grows as it is needed.
using System.Numerics;

namespace Lamina.Backends.Net.User.Transport;

/// <summary>A queue of bytes that can be read at any place.</summary>
internal sealed class ByteRing
{
    private const int SmallestCapacity = 4096;

    private byte[] _bytes = [];
    private int _start;

    /// <summary>How many bytes there are.</summary>
    internal int Count { get; private set; }

    /// <summary>Adds bytes.</summary>
    internal void Append(ReadOnlySpan<byte> bytes)
    {
        Reserve(Count + bytes.Length);
        while (!bytes.IsEmpty)
        {
            var space = Space(bytes.Length);
            bytes[..space.Length].CopyTo(space);
            Count += space.Length;
            bytes = bytes[space.Length..];
        }
    }

    /// <summary>Free space in one piece, to be filled and then counted with <see cref="Commit"/>.</summary>
    /// <param name="most">The most bytes wanted, at least 1.</param>
    /// <returns>At least one byte.</returns>
    internal Span<byte> SpaceFor(int most)
    {
        if (Count == _bytes.Length) Reserve(Count + Math.Min(most, Math.Max(Count, SmallestCapacity)));
        return Space(most);
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

    /// <summary>Takes bytes away from the start; memory goes back when none is left.</summary>
    internal void Drop(int count)
    {
        Count -= count;
        if (Count == 0 && _bytes.Length > SmallestCapacity * 16) _bytes = [];
        _start = Count == 0 ? 0 : (_start + count) & (_bytes.Length - 1);
    }

    private Span<byte> Space(int most)
    {
        var end = (_start + Count) & (_bytes.Length - 1);
        var free = end >= _start && Count != _bytes.Length ? _bytes.Length - end : _start - end;
        return _bytes.AsSpan(end, Math.Min(free, most));
    }

    private void Reserve(int count)
    {
        if (count <= _bytes.Length) return;
        var larger = new byte[(int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(count, SmallestCapacity))];
        if (Count != 0) CopyTo(0, larger.AsSpan(0, Count));
        (_bytes, _start) = (larger, 0);
    }
}
