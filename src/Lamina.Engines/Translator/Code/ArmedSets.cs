// Where in a page instruction breakpoints are armed, as sets that have numbers. Code of such a page is translated for its set
// (ModeKey.Armed): no block reaches one of these offsets, and no jump is linked to one, so that whoever comes there passes the vCPU's look at
// its debug registers; all else runs as anywhere. A set stands for offsets, not for a debug register or a page: programs that are watched
// are switched, and find their translations again. The store's gate guards it; translations of a set are void when it is forgotten.
using Lamina.Engines.Translator.Analyse;

namespace Lamina.Engines.Translator.Code;

internal sealed class ArmedSets
{
    private const int OffsetBits = 12, Places = 4;
    private const ulong OffsetMask = (1 << OffsetBits) - 1;

    private static readonly int Most = (int)((uint)ModeKey.Armed >> ModeKeys.ArmedShift);

    // Four offsets a set; where it has fewer, the last one again.
    private readonly Dictionary<ulong, int> _numbers = [];
    private readonly List<ulong> _sets = [];

    /// <summary>No other set has room.</summary>
    public bool IsFull => _sets.Count >= Most;

    /// <summary>The bits of a key for code of a page with breakpoints at some offsets.</summary>
    /// <param name="offsets">One to four, in any order.</param>
    /// <returns>0 where there is no room for another set.</returns>
    public ModeKey KeyOf(ReadOnlySpan<ulong> offsets)
    {
        Span<ulong> sorted = stackalloc ulong[Places];
        sorted.Fill(offsets[0]);
        offsets.CopyTo(sorted);
        sorted.Sort();
        var set = 0ul;
        foreach (var offset in sorted) set = set << OffsetBits | offset & OffsetMask;
        if (!_numbers.TryGetValue(set, out var number))
        {
            if (IsFull) return 0;
            _sets.Add(set);
            _numbers[set] = number = _sets.Count;
        }
        return (ModeKey)((uint)number << ModeKeys.ArmedShift);
    }

    /// <summary>Whether a breakpoint is armed at an address, in code that was translated for a key.</summary>
    public bool Has(ModeKey key, ulong address)
    {
        if ((key & ModeKey.Armed) == 0) return false;
        var set = _sets[(int)((uint)key >> ModeKeys.ArmedShift) - 1];
        for (var place = 0; place < Places; place++, set >>= OffsetBits)
            if (((set ^ address) & OffsetMask) == 0) return true;
        return false;
    }

    /// <summary>Forgets all sets.</summary>
    public void Clear()
    {
        _numbers.Clear();
        _sets.Clear();
    }
}
