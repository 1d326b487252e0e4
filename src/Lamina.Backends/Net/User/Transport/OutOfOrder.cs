// Segments of the guest's that came before others they follow: kept within bounds until the gap is filled.
namespace Lamina.Backends.Net.User.Transport;

/// <summary>Data behind a gap.</summary>
internal sealed class OutOfOrder
{
    private const int MostSegments = 256;

    // Sorted by sequence; may overlap.
    private readonly List<(uint Sequence, byte[] Data)> _segments = [];

    /// <summary>How many bytes are kept.</summary>
    internal int Bytes { get; private set; }

    /// <summary>Keeps data; what is too much is left to be sent again.</summary>
    internal void Add(uint sequence, ReadOnlySpan<byte> data, int mostBytes)
    {
        if (_segments.Count == MostSegments || Bytes + data.Length > mostBytes) return;
        var at = _segments.Count;
        while (at > 0 && SequenceNumber.IsBefore(sequence, _segments[at - 1].Sequence)) at--;
        if (at > 0 && _segments[at - 1].Sequence == sequence && _segments[at - 1].Data.Length >= data.Length) return;
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
            Bytes -= data.Length;
            var known = next - sequence;
            if (known < (uint)data.Length) return data.AsMemory((int)known);
        }
        return default;
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
