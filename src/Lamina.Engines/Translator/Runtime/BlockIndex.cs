// The blocks of a machine by what makes each the right one. A hash table of its own and not the framework's, since that
// one, over a struct of ours, is compiled at run time, slowly at first, just when a boot looks up most.
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.Translator.Emit;

namespace Lamina.Engines.Translator.Runtime;

/// <summary>What makes a block the right one: where it lies, and, unless its code is independent of it, where it runs.</summary>
internal readonly record struct BlockIdentity(ulong Physical, ulong Linear, ulong CodeBase, ModeKey Key)
{
    /// <summary>That of a block that is there.</summary>
    public static BlockIdentity Of(Block block) =>
        new(block.Physical, (block.Key & ModeKey.PositionIndependent) != 0 ? 0 : block.Linear, block.CodeBase, block.Key);
}

internal sealed class BlockIndex
{
    private const int FirstSize = 1 << 14;

    private Block?[] _buckets = new Block?[FirstSize];
    private int _count;

    /// <summary>The valid block of an identity, or null.</summary>
    public Block? Find(in BlockIdentity identity)
    {
        var block = _buckets[BucketOf(identity)];
        while (block != null && !Is(block, identity)) block = block.NextInBucket;
        return block;
    }

    /// <summary>Adds a block that is not there.</summary>
    public void Add(Block block)
    {
        if (_count == _buckets.Length) Grow();
        _count++;
        Insert(block);
    }

    /// <summary>Takes a block out.</summary>
    public void Remove(Block block)
    {
        ref var place = ref _buckets[BucketOf(BlockIdentity.Of(block))];
        while (place != block)
        {
            if (place == null) return;
            place = ref place.NextInBucket;
        }
        place = block.NextInBucket;
        block.NextInBucket = null;
        _count--;
    }

    /// <summary>Forgets all.</summary>
    public void Clear()
    {
        _buckets = new Block?[FirstSize];
        _count = 0;
    }

    private static bool Is(Block block, in BlockIdentity identity) =>
        block.Physical == identity.Physical && block.Key == identity.Key && block.CodeBase == identity.CodeBase
        && ((identity.Key & ModeKey.PositionIndependent) != 0 || block.Linear == identity.Linear);

    private int BucketOf(in BlockIdentity identity)
    {
        // Not by the linear address: kernels map memory so that the two would cancel each other out.
        var hash = (identity.Physical ^ (ulong)identity.Key << 32) * 0x9e37_79b9_7f4a_7c15;
        return (int)(hash >> 40) & (_buckets.Length - 1);
    }

    private void Insert(Block block)
    {
        ref var bucket = ref _buckets[BucketOf(BlockIdentity.Of(block))];
        block.NextInBucket = bucket;
        bucket = block;
    }

    private void Grow()
    {
        var old = _buckets;
        _buckets = new Block?[old.Length * 2];
        foreach (var first in old)
        {
            for (var block = first; block != null;)
            {
                var next = block.NextInBucket;
                Insert(block);
                block = next;
            }
        }
    }
}
