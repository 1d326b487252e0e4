// Guest memory: what is RAM and what is not, who is told of writes, what goes back to the host.
using Lamina.Core.Block;
using Lamina.Core.Memory;
using Xunit;

namespace Lamina.Tests.Core;

public sealed class GuestMemoryTests : IDisposable
{
    private const ulong Page = 4096, High = 0x10_0000;

    // Two pages from zero, a hole, three pages behind 1 MiB.
    private readonly GuestMemory _memory = new([new MemoryRange(0, 2 * Page), new MemoryRange(High, 3 * Page)]);
    private readonly Watcher _watcher = new();

    public GuestMemoryTests() => _memory.Watch(_watcher);

    public void Dispose() => _memory.Dispose();

    [Theory]
    [InlineData(0, 1, true)]
    [InlineData(0, 2 * Page, true)]
    [InlineData(2 * Page, 0, true)]
    [InlineData(2 * Page, 1, false)]
    [InlineData(2 * Page - 1, 2, false)]
    [InlineData(0, High + Page, false)]
    [InlineData(High - 1, 2, false)]
    [InlineData(High, 3 * Page, true)]
    [InlineData(High + Page, 2 * Page + 1, false)]
    [InlineData(High + 1, ulong.MaxValue, false)]
    [InlineData(ulong.MaxValue, 2, false)]
    public void What_is_RAM(ulong address, ulong length, bool isRam) => Assert.Equal(isRam, _memory.IsRam(address, length));

    [Theory]
    [InlineData(2 * Page - 4)]
    [InlineData(High - 4)]
    [InlineData(High + 3 * Page - 7)]
    [InlineData(ulong.MaxValue - 3)]
    public void An_access_that_is_not_all_RAM_is_refused_whole(ulong address)
    {
        var data = new byte[8];

        Assert.False(_memory.TryWrite(address, new byte[8]));
        Assert.False(_memory.TryWrite(address, ulong.MaxValue));
        Assert.False(_memory.TryRead(address, data));
        Assert.False(_memory.TryRead<ulong>(address, out _));
        Assert.False(_memory.TrySlice(address, 8, out _));
        Assert.False(_memory.TryVector(address, 8, out _));

        Assert.True(_memory.TryRead<uint>(2 * Page - 4, out var before));
        Assert.Equal(0u, before);
        Assert.Empty(_watcher.Told);
    }

    [Fact]
    public void Pages_are_taken_ahead_of_their_use_where_there_is_RAM_and_keep_their_content()
    {
        using var memory = new GuestMemory([new MemoryRange(0, 1 << 20), new MemoryRange(2 << 20, 1 << 20)]);
        Assert.True(memory.TryWrite(0xff123, [7]));

        memory.Populate(new MemoryRange(0xff123, (1 << 20) + 5));
        memory.Populate(new MemoryRange(1ul << 40, 1 << 20));

        Assert.InRange(memory.Resident, 4096ul, 2ul << 20);
        Assert.True(memory.TrySlice(0xff123, 2, out var bytes));
        Assert.Equal([7, 0], bytes.ToArray());
    }

    [Fact]
    public void A_length_below_zero_is_refused()
    {
        Assert.False(_memory.TrySlice(0, -1, out _));
        Assert.False(_memory.TryVector(0, -1, out _));
    }

    [Fact]
    public void Values_are_little_endian_and_may_cross_pages()
    {
        Assert.True(_memory.TryWrite(Page - 2, 0x0403_0201));

        var bytes = new byte[6];
        Assert.True(_memory.TryRead(Page - 3, bytes));
        Assert.Equal([0, 1, 2, 3, 4, 0], bytes);
        Assert.Equal([(Page - 2, 4ul)], _watcher.Told);
    }

    [Fact]
    public void A_view_is_the_memory_itself_and_its_writes_are_told_by_who_made_them()
    {
        Assert.True(_memory.TrySlice(High, 16, out var view));

        view.Fill(7);
        Assert.Empty(_watcher.Told);
        _memory.NotifyWritten(High, 16);

        Assert.True(_memory.TryRead<byte>(High + 15, out var last));
        Assert.Equal(7, last);
        Assert.Equal([(High, 16ul)], _watcher.Told);
    }

    [Fact]
    public void Discarded_pages_are_zero_and_no_longer_take_memory_of_the_host()
    {
        _memory.TryWrite(High, 1);
        _memory.TryWrite(High + Page, 2);
        var before = _memory.Resident;

        Assert.True(_memory.TryDiscard(High, Page));

        Assert.True(_memory.Resident < before);
        Assert.True(_memory.TryRead<int>(High, out var gone) && _memory.TryRead<int>(High + Page, out var kept) && (gone, kept) == (0, 2));
        Assert.Equal((High, Page), _watcher.Told[^1]);
    }

    [Theory]
    [InlineData(1, Page)]
    [InlineData(0, Page - 1)]
    [InlineData(Page, 2 * Page)]
    [InlineData(2 * Page, Page)]
    public void Only_whole_pages_of_RAM_are_discarded(ulong address, ulong length)
    {
        _memory.TryWrite(Page, 5);

        Assert.False(_memory.TryDiscard(address, length));

        Assert.True(_memory.TryRead<int>(Page, out var kept));
        Assert.Equal(5, kept);
    }

    [Fact]
    public void Cleared_memory_is_as_at_the_start_in_every_range()
    {
        _memory.TryWrite(8, 1);
        _memory.TryWrite(High, 2);

        _memory.Clear();

        Assert.Equal(0ul, _memory.Resident);
        Assert.True(_memory.TryRead<int>(8, out var low) && _memory.TryRead<int>(High, out var high) && (low, high) == (0, 0));
        Assert.Equal([(0ul, 2 * Page), (High, 3 * Page)], _watcher.Told[^2..]);
    }

    [Fact]
    public void Ranges_that_are_no_pages_or_not_in_order_are_refused()
    {
        Assert.Equal(5 * Page, _memory.Size);
        Assert.Throws<ArgumentException>(() => new GuestMemory([]));
        foreach (var ranges in new MemoryRange[][]
        {
            [new(0, 0)], [new(1, Page)], [new(0, Page + 1)], [new(Page, Page), new(0, Page)], [new(0, 2 * Page), new(Page, Page)],
        })
            Assert.Throws<ArgumentException>(() => new GuestMemory(ranges));
    }

    [Fact]
    public void A_block_buffer_keeps_its_pieces_in_order_and_takes_only_RAM()
    {
        var buffer = new BlockBuffer();
        for (var piece = 0; piece < 40; piece++) Assert.True(buffer.TryAdd(_memory, (ulong)piece * 100, 100));

        Assert.False(buffer.TryAdd(_memory, 2 * Page - 1, 2));

        Assert.Equal((40, 4000ul), (buffer.Vectors.Length, buffer.Length));
        buffer.Clear();
        Assert.Equal((0, 0ul), (buffer.Vectors.Length, buffer.Length));
    }

    private sealed class Watcher : IGuestMemoryWatcher
    {
        public List<(ulong Address, ulong Length)> Told { get; } = [];

        public void Written(ulong address, ulong length) => Told.Add((address, length));
    }
}
