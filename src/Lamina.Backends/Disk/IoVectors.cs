// Work on lists of memory pieces that formats share: taking a list apart at cluster boundaries, filling, copying.
using System.Buffers;
using Lamina.Host.Io;

namespace Lamina.Backends.Disk;

/// <summary>Operations on lists of vectors.</summary>
internal static class IoVectors
{
    /// <summary>The sum of the lengths.</summary>
    internal static ulong Length(ReadOnlySpan<IoVector> vectors)
    {
        ulong sum = 0;
        foreach (var vector in vectors) sum += (uint)vector.Length;
        return sum;
    }

    /// <summary>Clears everything from an offset on.</summary>
    internal static void ClearFrom(ReadOnlySpan<IoVector> vectors, ulong offset)
    {
        foreach (var vector in vectors)
        {
            var length = (uint)vector.Length;
            if (offset < length) vector.Span[(int)offset..].Clear();
            offset -= Math.Min(offset, length);
        }
    }

    /// <summary>Copies bytes into the vectors; they are together as long as the source.</summary>
    internal static void CopyFrom(ReadOnlySpan<IoVector> vectors, ReadOnlySpan<byte> source)
    {
        foreach (var vector in vectors)
        {
            source[..vector.Length].CopyTo(vector.Span);
            source = source[vector.Length..];
        }
    }

    /// <summary>Copies the vectors' bytes out; the target is as long as they are together.</summary>
    internal static void CopyTo(ReadOnlySpan<IoVector> vectors, Span<byte> target)
    {
        foreach (var vector in vectors)
        {
            vector.Span.CopyTo(target);
            target = target[vector.Length..];
        }
    }
}

/// <summary>Takes a list of vectors apart from its front. One slice lives at a time.</summary>
internal ref struct VectorCursor(ReadOnlySpan<IoVector> all)
{
    // A slice may have a vector more at either end, for what lies around the data in a cluster.
    private readonly IoVector[] _slice = ArrayPool<IoVector>.Shared.Rent(all.Length + 2);
    private readonly ReadOnlySpan<IoVector> _all = all;
    private int _index;
    private int _into;

    /// <summary>The next bytes, put between two further vectors where those are given.</summary>
    /// <param name="length">How many; there are as many left.</param>
    /// <param name="before">Comes first, unless it is empty.</param>
    /// <param name="after">Comes last, unless it is empty.</param>
    internal ReadOnlySpan<IoVector> Take(ulong length, IoVector before = default, IoVector after = default)
    {
        var count = 0;
        if (before.Length != 0) _slice[count++] = before;
        while (length > 0)
        {
            var vector = _all[_index];
            var take = (int)Math.Min(length, (ulong)(vector.Length - _into));
            if (take != 0) _slice[count++] = vector.Slice(_into, take);
            _into += take;
            length -= (uint)take;
            if (_into == vector.Length) (_index, _into) = (_index + 1, 0);
        }
        if (after.Length != 0) _slice[count++] = after;
        return _slice.AsSpan(0, count);
    }

    public readonly void Dispose() => ArrayPool<IoVector>.Shared.Return(_slice);
}
