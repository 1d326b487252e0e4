// Takes out of a guest's output what asks a terminal something (ECMA-48 DSR and DA, xterm's reports), for readers that are none and
// would not answer, or whose answer would go elsewhere. Used by the thread that carries the output.
using System.Text;

namespace Lamina.Backends.Char;

internal sealed class QueryFilter
{
    // Where the cursor is and whether the terminal is well (DSR, CSI n; DEC's with ?), what it is (DA, CSI c; DECID, ESC Z), how large
    // it is (xterm, CSI 14 t, 18 t).
    private static readonly byte[][] Queries =
    [
        .. new[] { "[6n", "[5n", "[?6n", "[c", "[0c", "[>c", "[>0c", "[=c", "[=0c", "Z", "[14t", "[18t" }.Select(text => Encoding.ASCII.GetBytes($"\u001b{text}")),
    ];

    private readonly byte[] _pending = new byte[LongestQuery];
    private int _length;

    /// <summary>The most that is held back of a piece, and given with a later one.</summary>
    internal const int LongestQuery = 8;

    /// <summary>What may have begun a query and did not go on; given at the end.</summary>
    internal ReadOnlySpan<byte> Pending => _pending.AsSpan(0, _length);

    /// <summary>Filters a piece.</summary>
    /// <param name="output">The guest's output.</param>
    /// <param name="rest">Gets what is no query; as long as the output and <see cref="LongestQuery"/> bytes more.</param>
    /// <returns>How many bytes that is.</returns>
    internal int Filter(ReadOnlySpan<byte> output, Span<byte> rest)
    {
        var count = 0;
        foreach (var value in output)
        {
            _pending[_length++] = value;
            if (IsBegun()) continue;
            // Only its first byte can begin a query.
            var last = value == 0x1b ? 1 : 0;
            _pending.AsSpan(0, _length - last).CopyTo(rest[count..]);
            count += _length - last;
            _pending[0] = value;
            _length = last;
        }
        return count;
    }

    // Whether what is pending begins a query; a whole one is forgotten.
    private bool IsBegun()
    {
        foreach (var query in Queries)
        {
            if (!query.AsSpan().StartsWith(Pending)) continue;
            if (query.Length == _length) _length = 0;
            return true;
        }
        return false;
    }
}
