// What of the data under way the guest has told to have, beyond what it acknowledged (RFC 2018), and what follows from that
// for what was lost (RFC 6675, 4). What the guest tells is bounded, in number and in place.
namespace Lamina.Backends.Net.User.Transport;

/// <summary>The selectively acknowledged ranges of one connection.</summary>
internal sealed class Scoreboard
{
    // A range more than this replaces none: its data is then sent once more, which does no harm.
    private const int MostRanges = 128;
    private const int DuplicateThreshold = 3;

    // Sorted, apart from each other; the end is the first number behind.
    private readonly List<(uint Start, uint End)> _ranges = [];

    /// <summary>Adds a range that the guest told of.</summary>
    /// <param name="start">Its first number.</param>
    /// <param name="end">The first number behind it.</param>
    /// <param name="una">What is acknowledged.</param>
    /// <param name="max">The highest number that was sent.</param>
    /// <returns>Whether it says anything new. What cannot be (of data that was not sent, or is acknowledged: RFC 2883) says nothing.</returns>
    internal bool Add(uint start, uint end, uint una, uint max)
    {
        if (!SequenceNumber.IsBefore(start, end) || !SequenceNumber.IsBefore(una, start) || SequenceNumber.IsBefore(max, end)) return false;
        var first = 0;
        while (first < _ranges.Count && SequenceNumber.IsBefore(_ranges[first].End, start)) first++;
        var behind = first;
        while (behind < _ranges.Count && SequenceNumber.IsAtMost(_ranges[behind].Start, end)) behind++;
        if (behind == first)
        {
            if (_ranges.Count == MostRanges) return false;
            _ranges.Insert(first, (start, end));
            return true;
        }
        var (from, to) = (_ranges[first].Start, _ranges[behind - 1].End);
        if (behind == first + 1 && SequenceNumber.IsAtMost(from, start) && SequenceNumber.IsAtMost(end, to)) return false;
        _ranges.RemoveRange(first + 1, behind - first - 1);
        _ranges[first] = (SequenceNumber.IsBefore(start, from) ? start : from, SequenceNumber.Later(end, to));
        return true;
    }

    /// <summary>Forgets what is acknowledged by now.</summary>
    internal void Advance(uint una)
    {
        while (_ranges.Count != 0 && SequenceNumber.IsAtMost(_ranges[0].End, una)) _ranges.RemoveAt(0);
        if (_ranges.Count != 0 && SequenceNumber.IsBefore(_ranges[0].Start, una)) _ranges[0] = (una, _ranges[0].End);
    }

    /// <summary>Forgets everything: after a time-out the guest may have dropped what it told of. RFC 2018, 8.</summary>
    internal void Clear() => _ranges.Clear();

    /// <summary>Whether what is not told of at a number counts as lost. RFC 6675, 4: IsLost.</summary>
    internal bool IsLost(uint at, int mss)
    {
        var (ranges, bytes) = (0, 0u);
        for (var i = _ranges.Count - 1; i >= 0 && SequenceNumber.IsBefore(at, _ranges[i].Start); i--)
        {
            bytes += _ranges[i].End - _ranges[i].Start;
            if (++ranges >= DuplicateThreshold || bytes > (DuplicateThreshold - 1) * (uint)mss) return true;
        }
        return false;
    }

    /// <summary>How many bytes are under way, as far as can be told. RFC 6675, 4: SetPipe.</summary>
    /// <param name="una">What is acknowledged.</param>
    /// <param name="max">The highest number that was sent.</param>
    /// <param name="sentAgain">Up to where was sent again.</param>
    /// <param name="mss">The segment size.</param>
    internal int Pipe(uint una, uint max, uint sentAgain, int mss)
    {
        var pipe = 0u;
        var at = una;
        // Between two ranges all is lost or nothing is.
        foreach (var (start, end) in _ranges)
        {
            if (SequenceNumber.IsBefore(at, start)) pipe += InGap(at, start);
            at = end;
        }
        return (int)(pipe + InGap(at, max));

        uint InGap(uint from, uint to)
        {
            var again = SequenceNumber.IsBefore(from, sentAgain) ? Math.Min(sentAgain - from, to - from) : 0;
            return again + (IsLost(from, mss) ? 0 : to - from);
        }
    }

    /// <summary>The next piece that is lost and was not sent again. RFC 6675, 4: NextSeg, rule 1.</summary>
    /// <param name="from">Where to look from.</param>
    /// <param name="mss">The segment size.</param>
    /// <param name="start">Its first number.</param>
    /// <param name="length">How many bytes, one segment at most.</param>
    internal bool TryFindLost(uint from, int mss, out uint start, out int length)
    {
        (start, length) = (from, 0);
        foreach (var (rangeStart, rangeEnd) in _ranges)
        {
            if (SequenceNumber.IsBefore(start, rangeStart))
            {
                length = (int)Math.Min(rangeStart - start, (uint)mss);
                return IsLost(start, mss);
            }
            start = SequenceNumber.Later(start, rangeEnd);
        }
        return false;
    }
}
