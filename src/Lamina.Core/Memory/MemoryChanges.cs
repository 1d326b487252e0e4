// Which pages of a guest's RAM somebody who copies them, while the guest runs, has yet to look at: at first all that may hold anything, and
// then what the log of writes tells.
using System.Numerics;
using Lamina.Host;

namespace Lamina.Core.Memory;

/// <summary>Pages of one memory. One thread uses it.</summary>
public sealed class MemoryChanges : IDisposable
{
    private const int Page = HostReservation.PageSize, WordBits = 64, PiecePages = MemoryImage.PiecePages;

    private readonly List<(WriteLogReader Log, ulong[] Changed)> _ranges = [];
    private readonly ulong[] _taken;

    /// <summary>Begins: from here on the log tells what is written.</summary>
    /// <param name="memory">The memory.</param>
    /// <exception cref="HostException">The host refuses.</exception>
    public MemoryChanges(GuestMemory memory)
    {
        ArgumentNullException.ThrowIfNull(memory);
        try
        {
            foreach (var range in memory.Ranges)
            {
                var log = memory.Writes.Open(range);
                _ranges.Add((log, new ulong[log.Words]));
            }
            _taken = new ulong[_ranges.Max(range => range.Log.Words)];
            var there = memory.TouchedPages();
            ulong at = 0;
            foreach (var (log, changed) in _ranges)
            {
                MarkAllThatMayHold(memory, at, log.Range.Length / Page, there, changed);
                at += log.Range.Length;
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>How many pages are yet to be looked at, as far as <see cref="Collect"/> was told.</summary>
    public long Count => _ranges.Sum(range => range.Changed.Sum(word => (long)BitOperations.PopCount(word)));

    /// <summary>Adds what was written since this was called last. Whoever copies a page afterwards has what was written before, or is told of it the next time.</summary>
    /// <exception cref="HostException">The host does not tell.</exception>
    public void Collect()
    {
        foreach (var (log, changed) in _ranges)
        {
            log.Take(_taken);
            for (var word = 0; word < log.Words; word++) changed[word] |= _taken[word];
        }
    }

    /// <summary>Whether a page is yet to be looked at.</summary>
    /// <param name="address">Where it begins.</param>
    public bool Has(ulong address)
    {
        foreach (var (log, changed) in _ranges)
            if (log.Range.Contains(address, Page) && (address - log.Range.Start) / Page is var page) return (changed[page / WordBits] & (1ul << (int)(page % WordBits))) != 0;
        return false;
    }

    /// <summary>All that are yet to be looked at, in order; they stay so.</summary>
    public IEnumerable<MemoryRange> Ranges()
    {
        foreach (var (log, changed) in _ranges)
        {
            var (first, end) = (ulong.MaxValue, log.Range.Length / Page);
            for (ulong page = 0; page <= end; page++)
            {
                if (page < end && changed[page / WordBits] == 0 && page % WordBits == 0 && first == ulong.MaxValue)
                {
                    page += WordBits - 1;
                    continue;
                }
                var isLeft = page < end && (changed[page / WordBits] & (1ul << (int)(page % WordBits))) != 0;
                if (isLeft && first == ulong.MaxValue) first = page;
                if (isLeft || first == ulong.MaxValue) continue;
                yield return new MemoryRange(log.Range.Start + first * Page, (page - first) * Page);
                first = ulong.MaxValue;
            }
        }
    }

    /// <summary>Takes the next pages that lie one behind the other.</summary>
    /// <param name="most">How many at most.</param>
    /// <param name="from">The address from which on they are looked for; the one behind them afterwards.</param>
    /// <param name="address">Where they begin.</param>
    /// <param name="pages">How many there are.</param>
    /// <returns>False: there are none from there on.</returns>
    public bool TryTake(int most, ref ulong from, out ulong address, out int pages)
    {
        foreach (var (log, changed) in _ranges)
        {
            if (log.Range.End <= from) continue;
            var end = log.Range.Length / Page;
            for (var page = (Math.Max(from, log.Range.Start) - log.Range.Start) / Page; page < end;)
            {
                var bits = changed[page / WordBits] >> (int)(page % WordBits);
                if (bits == 0)
                {
                    page = (page / WordBits + 1) * WordBits;
                    continue;
                }
                page += (uint)BitOperations.TrailingZeroCount(bits);
                var first = page;
                for (; page < end && page - first < (uint)most && (changed[page / WordBits] & (1ul << (int)(page % WordBits))) != 0; page++) changed[page / WordBits] &= ~(1ul << (int)(page % WordBits));
                (address, pages) = (log.Range.Start + first * Page, (int)(page - first));
                from = address + (ulong)pages * Page;
                return true;
            }
        }
        (address, pages) = (0, 0);
        return false;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (log, _) in _ranges) log.Dispose();
    }

    // Where the host does not tell which pages there are, all of them; and what a file holds of which the memory is a copy.
    private static void MarkAllThatMayHold(GuestMemory memory, ulong at, ulong pages, bool[]? there, ulong[] changed)
    {
        for (ulong page = 0; page < pages;)
        {
            var count = Math.Min(PiecePages, pages - page);
            var holds = there is null || memory.HoldsUntouched(at + page * Page, count * Page);
            for (var end = page + count; page < end; page++)
                if (holds || there![at / Page + page]) changed[page / WordBits] |= 1ul << (int)(page % WordBits);
        }
    }
}
