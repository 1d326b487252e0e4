// The layout of RAM from the smallest machine to the largest.

using Lamina.Boot;
using Lamina.Micro;
using Xunit;

namespace Lamina.Tests.Machines.Boot;

public sealed class MemoryMapTests
{
    [Theory]
    [InlineData(16ul << 20)]
    [InlineData(3ul << 30)]
    [InlineData((3ul << 30) + 4096)]
    [InlineData(4ul << 30)]
    [InlineData(64ul << 30)]
    [InlineData((1ul << 46) - (1ul << 30))]
    public void All_of_the_memory_is_there_and_none_of_it_in_the_hole(ulong size)
    {
        var map = MemoryMap.Create(MicroLayout.Boot, size);

        Assert.Equal(size, map.Ram.Aggregate(0ul, (sum, range) => sum + range.Length));
        Assert.All(map.Ram, range => Assert.True(range.End <= 0xC000_0000 || range.Start >= 0x1_0000_0000));
        Assert.True(map.Ram[^1].End <= 1ul << 46);
    }

    [Theory]
    [InlineData(16ul << 20)]
    [InlineData(64ul << 30)]
    public void The_entries_are_sorted_apart_and_inside_RAM(ulong size)
    {
        var map = MemoryMap.Create(MicroLayout.Boot, size);

        ulong end = 0;
        foreach (var entry in map.Entries)
        {
            Assert.True(entry.Range.Start >= end);
            Assert.Contains(map.Ram, range => range.Contains(entry.Range.Start, entry.Range.Length));
            end = entry.Range.End;
        }
    }

    [Theory]
    [InlineData(0ul, "too little")]
    [InlineData(1ul << 20, "1 MiB")]
    [InlineData((16ul << 20) - 4096, "at least 16 MiB")]
    [InlineData((16ul << 20) + 1, "4 KiB pages")]
    [InlineData(1ul << 46, "64 TiB")]
    [InlineData(1ul << 50, "1 PiB")]
    public void A_size_that_is_not_to_be_had_is_refused_in_a_sentence(ulong size, string word) =>
        Assert.Contains(word, Assert.Throws<MachineException>(() => MemoryMap.Create(MicroLayout.Boot, size)).Message, StringComparison.Ordinal);
}
