// Which parts of a disk somebody who copies it, while it is written, has yet to look at. Whoever writes to the disk says so when the bytes are there; a part
// that is taken before is taken again.
using System.Numerics;

namespace Lamina.Core.Block;

/// <summary>Parts of one disk. One thread takes them; any thread says what was written.</summary>
public sealed class BlockChanges
{
    /// <summary>The length of a part in bytes; the last one may be shorter.</summary>
    public const int PartLength = 64 * 1024;

    private const int WordBits = 64;

    private readonly ulong[] _changed;
    private readonly ulong _length;

    /// <summary>Begins with all parts of a disk.</summary>
    /// <param name="length">The disk's length in bytes.</param>
    public BlockChanges(ulong length)
    {
        _length = length;
        var parts = (length + PartLength - 1) / PartLength;
        _changed = new ulong[(parts + WordBits - 1) / WordBits];
        if (length > 0) Mark(0, length);
    }

    /// <summary>How many parts are yet to be taken.</summary>
    public int Count
    {
        get
        {
            var count = 0;
            for (var word = 0; word < _changed.Length; word++) count += BitOperations.PopCount(Volatile.Read(ref _changed[word]));
            return count;
        }
    }

    /// <summary>Bytes were written, and whoever reads the disk sees them.</summary>
    public void Mark(ulong offset, ulong length)
    {
        if (length == 0 || offset >= _length) return;
        var (first, last) = (offset / PartLength, (Math.Min(length, _length - offset) + offset - 1) / PartLength);
        for (var part = first; part <= last; part++) Interlocked.Or(ref _changed[part / WordBits], 1ul << (int)(part % WordBits));
    }

    /// <summary>Takes the next part that was written.</summary>
    /// <param name="from">The offset from which on one is looked for; the offset behind the part afterwards.</param>
    /// <param name="offset">Where it begins.</param>
    /// <param name="length">How long it is.</param>
    /// <returns>False: there is none from there on.</returns>
    public bool TryTake(ref ulong from, out ulong offset, out int length)
    {
        for (var part = from / PartLength; part < (ulong)_changed.Length * WordBits;)
        {
            var bits = Volatile.Read(ref _changed[part / WordBits]) >> (int)(part % WordBits);
            if (bits == 0)
            {
                part = (part / WordBits + 1) * WordBits;
                continue;
            }
            part += (uint)BitOperations.TrailingZeroCount(bits);
            Interlocked.And(ref _changed[part / WordBits], ~(1ul << (int)(part % WordBits)));
            offset = part * PartLength;
            length = (int)Math.Min(PartLength, _length - offset);
            from = offset + (uint)length;
            return true;
        }
        (offset, length) = (0, 0);
        return false;
    }
}
