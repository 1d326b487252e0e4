// The blocks of a machine by what makes each the right one: an open hash table of words, each with the hash and the number
// of a block, so that most of what is not there is found not to be with one look into memory, and growing looks at no
// block.
using Lamina.Engines.Translator.Analyse;

namespace Lamina.Engines.Translator.Code;

/// <summary>What makes a block the right one: where it lies, and, unless its code is independent of it, where it runs.</summary>
internal readonly record struct BlockIdentity(ulong Physical, ulong Linear, ulong CodeBase, ModeKey Key)
{
    /// <summary>That of a block that is there.</summary>
    public static BlockIdentity Of(Block block) =>
        new(block.Physical, (block.Key & ModeKey.PositionIndependent) != 0 ? 0 : block.Linear, block.CodeBase, block.Key);
}

internal sealed class BlockIndex(CodeBuffer buffer)
{
    private const int FirstSize = 1 << 15;

    // In the place of a block's number plus one, which is never that large.
    private const uint Removed = uint.MaxValue;

    // The hash above 32 bits; below, the block's number plus one. 0: nothing was ever here.
    private ulong[] _words = new ulong[FirstSize];
    private int _taken;

    /// <summary>The valid block of an identity, or null.</summary>
    public Block? Find(in BlockIdentity identity)
    {
        var hash = HashOf(identity.Physical, identity.Key);
        var words = _words;
        for (var at = hash; ; at++)
        {
            var word = words[at & (uint)(words.Length - 1)];
            if (word == 0) return null;
            if (word >> 32 != hash || (uint)word == Removed) continue;
            var block = buffer.BlockAt((int)(uint)word - 1);
            if (Is(block, identity)) return block;
        }
    }

    /// <summary>Adds a block. Of several valid ones of an identity (one may have come with its page from the archive) any is found.</summary>
    public void Add(Block block)
    {
        if (_taken >= _words.Length / 2) Grow();
        Put((ulong)HashOf(block.Physical, block.Key) << 32 | (uint)block.Number + 1);
    }

    /// <summary>Takes a block out.</summary>
    public void Remove(Block block)
    {
        var hash = HashOf(block.Physical, block.Key);
        var wanted = (ulong)hash << 32 | (uint)block.Number + 1;
        for (var at = hash; ; at++)
        {
            ref var word = ref _words[at & (uint)(_words.Length - 1)];
            if (word == 0) return;
            if (word != wanted) continue;
            word = (ulong)hash << 32 | Removed;
            return;
        }
    }

    /// <summary>Forgets all.</summary>
    public void Clear()
    {
        _words = new ulong[FirstSize];
        _taken = 0;
    }

    private static bool Is(Block block, in BlockIdentity identity) =>
        block.Physical == identity.Physical && block.Key == identity.Key && block.CodeBase == identity.CodeBase
        && ((identity.Key & ModeKey.PositionIndependent) != 0 || block.Linear == identity.Linear);

    // Not by the linear address: kernels map memory so that the two would cancel each other out. A page's blocks lie beside each
    // other, since one is looked for after the other.
    private static uint HashOf(ulong physical, ModeKey key) =>
        (uint)((physical >> 12 ^ (ulong)key << 32) * 0x9e37_79b9_7f4a_7c15 >> 32) + ((uint)physical >> 2 & 0x3ff);

    // The place of what was removed is taken again: code that changes itself makes and drops the same block over and over.
    private void Put(ulong word)
    {
        var at = (uint)(word >> 32);
        while (_words[at & (uint)(_words.Length - 1)] is not 0 and var other && (uint)other != Removed) at++;
        ref var place = ref _words[at & (uint)(_words.Length - 1)];
        if (place == 0) _taken++;
        place = word;
    }

    // Where much was removed the size stays.
    private void Grow()
    {
        var old = _words;
        var live = old.Count(static word => word != 0 && (uint)word != Removed);
        _words = new ulong[live > old.Length / 4 ? old.Length * 2 : old.Length];
        _taken = 0;
        foreach (var word in old)
            if (word != 0 && (uint)word != Removed) Put(word);
    }
}
