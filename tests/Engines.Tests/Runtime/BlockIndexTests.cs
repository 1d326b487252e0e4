// Blocks by identity and by an address in their code, against plain dictionaries and ranges.
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.Translator.Emit;
using Xunit;

namespace Lamina.Tests.Engines.Runtime;

public sealed unsafe class BlockIndexTests
{
    private const int CodeBytes = 16 << 20;

    [Fact]
    public void Blocks_are_found_until_they_are_removed_however_the_index_grows()
    {
        using var buffer = new CodeBuffer(CodeBytes);
        var index = new BlockIndex(buffer);
        var known = new Dictionary<BlockIdentity, Block>();
        var random = new Random(5);
        for (var i = 0; i < 60_000; i++)
        {
            var identity = new BlockIdentity((ulong)random.Next(200_000), 0, (ulong)random.Next(2), (ModeKey)random.Next(3) | ModeKey.PositionIndependent);
            if (!known.Remove(identity, out var block))
            {
                Assert.Null(index.Find(identity));
                index.Add(known[identity] = Add(buffer, identity, code: 16, cold: 16));
            }
            else
            {
                Assert.Same(block, index.Find(identity));
                index.Remove(block);
                Assert.Null(index.Find(identity));
            }
        }
        foreach (var (identity, block) in known) Assert.Same(block, index.Find(identity));
        index.Clear();
        Assert.Null(index.Find(known.Keys.First()));
    }

    [Fact]
    public void Code_that_depends_on_its_address_is_found_only_there()
    {
        using var buffer = new CodeBuffer(CodeBytes);
        var index = new BlockIndex(buffer);
        var (low, high) = (new BlockIdentity(0x1234, 0x1234, 0, 0), new BlockIdentity(0x1234, 0xffff_8000_0000_1234, 0, 0));
        index.Add(Add(buffer, low, 16, 0));

        Assert.Null(index.Find(high));
        index.Add(Add(buffer, high, 16, 0));

        Assert.Equal(low.Linear, index.Find(low)!.Linear);
        Assert.Equal(high.Linear, index.Find(high)!.Linear);
    }

    [Fact]
    public void Every_byte_of_the_code_hot_or_cold_leads_to_its_block_and_what_lies_between_to_none()
    {
        using var buffer = new CodeBuffer(CodeBytes);
        var random = new Random(7);
        var blocks = new List<Block>();
        for (var i = 0; i < 20_000; i++)
        {
            var cold = random.Next(4) == 0 ? 0 : random.Next(300);
            blocks.Add(Add(buffer, new BlockIdentity((ulong)i, 0, 0, 0), 5 + random.Next(random.Next(100) == 0 ? 3000 : 60), cold));
            // What belongs to no block: a landing pad.
            if (random.Next(3) == 0) Append(buffer, 20);
        }
        Assert.True(blocks[^1].ColdStart < CodeBytes - (2 << 20), "the cold parts are meant to fill several chunks");
        foreach (var block in blocks)
        {
            foreach (var offset in (int[])[block.HostStart, block.HostEnd - 1]) Assert.Same(block, buffer.FindBlock(offset));
            if (block.ColdEnd > block.ColdStart)
                foreach (var offset in (int[])[block.ColdStart, block.ColdEnd - 1]) Assert.Same(block, buffer.FindBlock(offset));
            Assert.NotSame(block, buffer.FindBlock(block.HostEnd));
        }
        var pad = Append(buffer, 20);
        Assert.Null(buffer.FindBlock(pad));
        buffer.Clear();
        Assert.Null(buffer.FindBlock(blocks[0].HostStart));
    }

    private static Block Add(CodeBuffer buffer, BlockIdentity identity, int code, int cold)
    {
        var start = Append(buffer, code);
        var coldStart = buffer.BeginCold(BlockEmitter.MaxBlockBytes);
        var block = new Block
        {
            Physical = identity.Physical,
            Linear = identity.Linear,
            CodeBase = identity.CodeBase,
            Key = identity.Key,
            HostStart = start,
            HostEnd = start + code,
            ColdStart = buffer.OffsetOf(coldStart),
            ColdEnd = buffer.EndCold(coldStart + cold),
        };
        buffer.Add(block);
        return block;
    }

    private static int Append(CodeBuffer buffer, int bytes)
    {
        var start = buffer.Begin().Cursor;
        buffer.End(start + bytes);
        return buffer.OffsetOf(start);
    }
}
