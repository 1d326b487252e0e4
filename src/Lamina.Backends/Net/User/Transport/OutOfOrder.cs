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
}
