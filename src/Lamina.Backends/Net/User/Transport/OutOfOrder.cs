// Segments of the guest's that came before others they follow: kept within bounds until the gap is filled.
namespace Lamina.Backends.Net.User.Transport;

/// <summary>Data behind a gap.</summary>
/// <param name="budget">What it may take of what all connections of a network keep.</param>
internal sealed class OutOfOrder(BufferBudget budget)
{
    private const int MostSegments = 256;

    // What a segment takes besides its data: an object's header, and its place in the list.
    private const int SegmentBytes = 64;

    // Sorted by sequence; may overlap.
    private List<(uint Sequence, byte[] Data)> _segments = [];

    /// <summary>How many bytes are kept.</summary>
    internal int Bytes { get; private set; }

    /// <summary>Keeps data; what is too much is left to be sent again.</summary>
    internal void Add(uint sequence, ReadOnlySpan<byte> data, int mostBytes)
    {
        if (_segments.Count == MostSegments || Bytes + data.Length > mostBytes) return;
        var at = _segments.Count;
        while (at > 0 && SequenceNumber.IsBefore(sequence, _segments[at - 1].Sequence)) at--;
        if (at > 0 && _segments[at - 1].Sequence == sequence && _segments[at - 1].Data.Length >= data.Length) return;
        if (!budget.TryTake(data.Length + SegmentBytes)) return;
        _segments.Insert(at, (sequence, data.ToArray()));
        Bytes += data.Length;
    }

    /// <summary>Takes the data that continues at a sequence number, if there is any.</summary>
    internal ReadOnlyMemory<byte> Take(uint next)
    {
        while (_segments.Count != 0 && SequenceNumber.IsAtMost(_segments[0].Sequence, next))
        {
            var (sequence, data) = _segments[0];
            _segments.RemoveAt(0);
            Forget(data.Length);
            var known = next - sequence;
            if (known < (uint)data.Length) return data.AsMemory((int)known);
        }
        return default;
    }

    /// <summary>Drops all; it is sent again (RFC 2018, 8).</summary>
    internal void Clear()
    {
        budget.GiveBack(Bytes + SegmentBytes * _segments.Count);
        (_segments, Bytes) = ([], 0);
    }

    // A list keeps the room that it once had; that of an empty one goes.
    private void Forget(int bytes)
    {
        Bytes -= bytes;
        budget.GiveBack(bytes + SegmentBytes);
        if (_segments.Count == 0) _segments = [];
    }

    /// <summary>The ranges that are kept, each with the first number behind it; the one with a certain number in it comes first.</summary>
    /// <param name="next">What comes before is no longer of interest.</param>
    /// <param name="newest">The number.</param>
    /// <param name="into">Filled from its start.</param>
    /// <returns>How many there are, at most as many as there is room for.</returns>
    internal int Ranges(uint next, uint newest, Span<(uint Start, uint End)> into)
    {
        // The first place is the newest one's.
        var (count, hasNewest) = (1, false);
        for (var i = 0; i < _segments.Count;)
        {
            var (start, data) = _segments[i];
            var end = start + (uint)data.Length;
            for (i++; i < _segments.Count && SequenceNumber.IsAtMost(_segments[i].Sequence, end); i++) end = SequenceNumber.Later(end, _segments[i].Sequence + (uint)_segments[i].Data.Length);
            if (!SequenceNumber.IsBefore(next, start)) continue;
            if (newest - start < end - start) (into[0], hasNewest) = ((start, end), true);
            else if (count < into.Length) into[count++] = (start, end);
        }
        if (hasNewest) return count;
        into[1..count].CopyTo(into);
        return count - 1;
    }
}
