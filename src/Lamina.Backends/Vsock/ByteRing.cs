// Bytes on their way from one side to another: a ring that grows up to what its user lets it hold.
namespace Lamina.Backends.Vsock;

internal sealed class ByteRing
{
    private byte[] _bytes = new byte[4096];
    private int _start;

    /// <summary>How many bytes wait.</summary>
    internal int Count { get; private set; }

    /// <summary>Adds all of it.</summary>
    internal void Add(ReadOnlySpan<byte> data)
    {
        if (Count + data.Length > _bytes.Length) Grow(Count + data.Length);
        var at = (_start + Count) % _bytes.Length;
        var first = Math.Min(data.Length, _bytes.Length - at);
        data[..first].CopyTo(_bytes.AsSpan(at));
        data[first..].CopyTo(_bytes);
        Count += data.Length;
    }

    /// <summary>Copies the oldest bytes, which stay.</summary>
    internal int Peek(Span<byte> into)
    {
        var count = Math.Min(into.Length, Count);
        var first = Math.Min(count, _bytes.Length - _start);
        _bytes.AsSpan(_start, first).CopyTo(into);
        _bytes.AsSpan(0, count - first).CopyTo(into[first..]);
        return count;
    }

    /// <summary>Forgets the oldest bytes.</summary>
    internal void Remove(int count)
    {
        _start = (_start + count) % _bytes.Length;
        Count -= count;
    }

    private void Grow(int least)
    {
        var larger = new byte[Math.Max(least, _bytes.Length * 2)];
        _ = Peek(larger);
        (_bytes, _start) = (larger, 0);
    }
}
