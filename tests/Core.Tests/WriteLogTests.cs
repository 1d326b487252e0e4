// The log of writes: what of them each reader is told, and what it costs engines that nobody reads.
using System.Collections.Immutable;
using Lamina.Core.Memory;
using Lamina.Host;
using Xunit;

namespace Lamina.Tests.Core;

public sealed class WriteLogTests : IDisposable
{
    private const ulong Page = 4096, Ram = 200 * Page;

    private readonly GuestMemory _memory = new([new MemoryRange(0, Ram)]);
    private readonly Tracker _tracker;

    public WriteLogTests()
    {
        _tracker = new Tracker(_memory.Writes);
        _memory.Writes.Attach(_tracker);
    }

    public void Dispose() => _memory.Dispose();

    [Theory]
    [InlineData(0, 1, 0, 0)]
    [InlineData(Page - 1, 2, 0, 1)]
    [InlineData(62 * Page, 4 * Page, 62, 65)]
    [InlineData(63 * Page + 5, 66 * Page, 63, 129)]
    [InlineData(199 * Page, Page, 199, 199)]
    [InlineData(0, Ram, 0, 199)]
    public void A_write_is_told_page_by_page(ulong address, ulong length, int first, int last)
    {
        using var reader = _memory.Writes.Open(new MemoryRange(0, Ram));

        Assert.True(_memory.TryWrite(address, new byte[length]));

        Assert.Equal(Enumerable.Range(first, last - first + 1), Taken(reader));
        Assert.Empty(Taken(reader));
    }

    [Fact]
    public void All_ways_in_which_devices_write_are_told()
    {
        using var reader = _memory.Writes.Open(new MemoryRange(0, Ram));

        _memory.TryWrite(Page, 1);
        _memory.NotifyWritten(3 * Page, 1);
        _memory.TryDiscard(5 * Page, Page);
        _memory.Regions[0].TryWrite(7 * Page, [1]);
        _memory.TryRead(9 * Page, new byte[9]);
        _memory.NotifyWritten(11 * Page, 0);

        Assert.Equal([1, 3, 5, 7], Taken(reader));
        _memory.Clear();
        Assert.Equal(200, Taken(reader).Length);
    }

    [Fact]
    public void A_reader_is_told_of_its_range_alone()
    {
        using var reader = _memory.Writes.Open(new MemoryRange(10 * Page, 4 * Page));

        _memory.TryWrite(9 * Page, new byte[2 * Page]);
        _memory.TryWrite(14 * Page - 1, (ushort)1);
        _memory.TryWrite(14 * Page, 1);
        _memory.TryWrite(10 * Page - 1, (byte)1);

        Assert.Equal([0, 3], Taken(reader));
    }

    [Fact]
    public void Readers_do_not_take_from_each_other_and_come_and_go()
    {
        var first = _memory.Writes.Open(new MemoryRange(0, Ram));
        _memory.TryWrite(0, 1);
        using var second = _memory.Writes.Open(new MemoryRange(0, Ram));
        _memory.TryWrite(Page, 1);
        _tracker.Written.Add(2);

        Assert.Equal([0, 1, 2], Taken(first));
        first.Dispose();
        first.Dispose();
        _memory.TryWrite(3 * Page, 1);

        Assert.Equal([1, 2, 3], Taken(second));
        Assert.Throws<ObjectDisposedException>(() => Taken(first));
    }

    [Fact]
    public void Engines_take_the_trouble_while_and_where_somebody_reads()
    {
        Assert.Equal("", _tracker.Log);
        var (low, high) = (new MemoryRange(0, Page), new MemoryRange(1ul << 31, 2 * Page));

        var first = _memory.Writes.Open(low);
        var second = _memory.Writes.Open(high);
        Taken(first);
        first.Dispose();
        second.Dispose();

        Assert.Equal($"track {low}; track {low} {high}; collect; track {high}; track ; ", _tracker.Log);
        _memory.Writes.Detach(_tracker);
        _memory.Writes.Open(low).Dispose();
        var late = new Tracker(_memory.Writes);
        using var third = _memory.Writes.Open(high);
        _memory.Writes.Attach(late);
        Assert.Equal($"track {high}; ", late.Log);
    }

    [Fact]
    public void An_engine_that_cannot_leaves_nobody_who_reads()
    {
        _tracker.Refuses = true;
        Assert.Throws<HostException>(() => _memory.Writes.Open(new MemoryRange(0, Page)));
        _tracker.Refuses = false;

        using var reader = _memory.Writes.Open(new MemoryRange(Page, Page));

        Assert.Equal($"track {new MemoryRange(Page, Page)}; ", _tracker.Log);
    }

    [Fact]
    public void Bytes_that_come_and_go_with_a_region_count_as_written()
    {
        using var reader = _memory.Writes.Open(new MemoryRange(Ram, 4 * Page));
        using var region = _memory.CreateRegion("card", 2 * Page, MemoryKind.Ram);

        region.TryMove(Ram);
        Assert.Equal([0, 1], Taken(reader));
        region.TryMove(Ram + Page);
        Assert.Equal([0, 1, 2], Taken(reader));
        region.SwitchOff();
        Assert.Equal([1, 2], Taken(reader));
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, Page)]
    [InlineData(0, Page + 1)]
    [InlineData(0, (1ul << 32) + Page)]
    [InlineData(1ul << 32, Page)]
    [InlineData(Page, ulong.MaxValue - Page + 1)]
    public void Ranges_that_are_no_pages_of_the_memory_are_refused(ulong start, ulong length) =>
        Assert.Throws<ArgumentException>(() => _memory.Writes.Open(new MemoryRange(start, length)));

    [Fact]
    public void A_reader_takes_a_bit_a_page_however_much_is_written()
    {
        const int readers = 50;
        var logs = Enumerable.Range(0, readers).Select(_ => _memory.Writes.Open(new MemoryRange(0, Ram))).ToArray();
        Assert.All(logs, log => Assert.Equal(((int)(Ram / Page) + 63) / 64, log.Words));
        for (ulong i = 0; i < 1000; i++) _memory.TryWrite(i * 8 % Ram, i);

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (ulong i = 0; i < 100_000; i++) _memory.TryWrite(i * 8 % Ram, i);

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 10_000);
        foreach (var log in logs) log.Dispose();
    }

    [Fact]
    public void A_bitmap_that_is_too_short_is_refused_and_nothing_is_lost()
    {
        using var reader = _memory.Writes.Open(new MemoryRange(0, Ram));
        _memory.TryWrite(0, 1);

        Assert.Throws<ArgumentException>(() => reader.Take(new ulong[reader.Words - 1]));

        Assert.Equal([0], Taken(reader));
    }

    // As a migration does, from four devices at once.
    [Fact]
    public void Whoever_copies_what_was_written_has_all_of_it_in_the_end()
    {
        using var reader = _memory.Writes.Open(new MemoryRange(0, Ram));
        var copy = new byte[Ram];
        var writers = Enumerable.Range(0, 4).Select(n => new Thread(() =>
        {
            var random = new Random(n);
            for (var i = 0; i < 50_000; i++) _memory.TryWrite((ulong)random.Next((int)Ram / 8) * 8, random.NextInt64());
        })).ToArray();
        foreach (var writer in writers) writer.Start();
        while (writers.Any(writer => writer.IsAlive)) Copy();
        Copy();

        var now = new byte[Ram];
        _memory.TryRead(0, now);
        Assert.True(now.AsSpan().SequenceEqual(copy));

        void Copy()
        {
            foreach (var page in Taken(reader)) _memory.TryRead((ulong)page * Page, copy.AsSpan(page * (int)Page, (int)Page));
        }
    }

    private static int[] Taken(WriteLogReader reader)
    {
        var bitmap = new ulong[reader.Words];
        reader.Take(bitmap);
        return [.. Enumerable.Range(0, (int)(reader.Range.Length / Page)).Where(page => (bitmap[page / 64] >> (page % 64) & 1) != 0)];
    }

    // Has CPUs that wrote the pages that the test says.
    private sealed class Tracker(WriteLog log) : IWriteTracker
    {
        public List<ulong> Written { get; } = [];

        public string Log { get; private set; } = "";

        public bool Refuses { get; set; }

        public void Track(ImmutableArray<MemoryRange> ranges)
        {
            if (Refuses) throw new HostException("no");
            Log += $"track {string.Join(' ', ranges)}; ";
        }

        public void Collect()
        {
            Log += "collect; ";
            foreach (var page in Written) log.Mark(page * Page, Page);
            Written.Clear();
        }
    }
}
