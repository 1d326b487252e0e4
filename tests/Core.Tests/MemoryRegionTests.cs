// Regions of guest memory: where they may lie, how they answer to devices, what holds their bytes, who is told.
using Lamina.Core.Memory;
using Lamina.Host;
using Xunit;

namespace Lamina.Tests.Core;

public sealed class MemoryRegionTests : IDisposable
{
    private const ulong Page = 4096, Ram = 16 * Page, Place = 0x10_0000, FourGib = 1ul << 32;

    private readonly GuestMemory _memory = new([new MemoryRange(0, Ram)]);
    private readonly Listener _listener = new();

    public MemoryRegionTests() => _memory.Follow(_listener);

    public void Dispose() => _memory.Dispose();

    [Fact]
    public void A_listener_is_told_of_what_there_is_and_of_each_change()
    {
        using var region = _memory.CreateRegion("card", 2 * Page, MemoryKind.Ram);
        region.TryMove(Place);
        region.SetKind(MemoryKind.Rom);
        region.SetKind(MemoryKind.Rom);
        region.TryMove(Place + Page);
        region.SwitchOff();
        region.SwitchOff();
        region.SetKind(MemoryKind.Device);

        var (here, there) = (new MemoryRange(Place, 2 * Page), new MemoryRange(Place + Page, 2 * Page));
        Assert.Equal(
            [
                (new MemoryRange(0, Ram), null, MemoryKind.Ram), (here, null, MemoryKind.Ram), (here, MemoryKind.Ram, MemoryKind.Rom), (here, MemoryKind.Rom, null),
                (there, null, MemoryKind.Rom), (there, MemoryKind.Rom, null),
            ],
            _listener.Told);
        _memory.Unfollow(_listener);
        region.TryMove(Place);
        Assert.Equal(6, _listener.Told.Count);
    }

    [Theory]
    [InlineData(MemoryKind.Ram, true, true)]
    [InlineData(MemoryKind.Rom, true, false)]
    [InlineData(MemoryKind.Device, false, false)]
    public void Devices_reach_of_a_region_what_its_kind_lets_them(MemoryKind kind, bool reads, bool writes)
    {
        var region = _memory.Map(Place, Page, kind, "region");
        Assert.True(region.TryWrite(4, [1, 2, 3, 4]));

        Assert.Equal(reads, _memory.TryRead<uint>(Place + 4, out var value));
        Assert.Equal(reads ? 0x0403_0201u : 0, value);
        Assert.Equal(writes, _memory.TryWrite(Place + 4, (byte)9));
        Assert.Equal(writes, _memory.IsRam(Place, Page));
        Assert.Equal(writes, _memory.TrySlice(Place, 4, out _));
        Assert.Equal(writes, _memory.TryVector(Place, 4, out _));
        Assert.Equal(writes, _memory.TryDiscard(Place, Page));
        Assert.Equal(writes ? Ram + Page : Ram, _memory.Size);

        // Its own bytes are there whatever it is.
        region.SetKind(MemoryKind.Device);
        region.TryWrite(8, [7]);
        region.SetKind(MemoryKind.Rom);
        Assert.True(_memory.TryRead<byte>(Place + 8, out var kept));
        Assert.Equal(7, kept);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(Ram - Page)]
    [InlineData(Place - Page)]
    [InlineData(Place)]
    [InlineData(Place + Page)]
    [InlineData(Place + 4 * Page + 1)]
    [InlineData(FourGib - Page)]
    [InlineData(FourGib)]
    [InlineData(ulong.MaxValue - Page + 1)]
    public void A_region_is_nowhere_after_it_was_put_where_it_cannot_lie(ulong start)
    {
        _memory.Map(Place, 2 * Page, MemoryKind.Ram, "first");
        using var second = _memory.CreateRegion("second", 2 * Page, MemoryKind.Ram);
        Assert.True(second.TryMove(Place + 2 * Page));

        Assert.False(second.TryMove(start));

        Assert.Null(second.Start);
        Assert.False(_memory.IsRam(Place + 2 * Page, 1));
        Assert.False(second.TryRead(0, new byte[1]));
        Assert.False(second.TryWrite(0, new byte[1]));
        Assert.Throws<ArgumentException>(() => _memory.Map(start, 2 * Page, MemoryKind.Ram, "third"));
        Assert.True(second.TryMove(Place + 2 * Page));
        Assert.Equal(3, _memory.Regions.Count);
    }

    [Fact]
    public void What_no_region_can_be_is_refused()
    {
        using var bytes = SharedMemory.Create("test", 2 * Page);
        _memory.CreateRegion("taken", Page, MemoryKind.Ram);

        Assert.Throws<ArgumentException>(() => _memory.CreateRegion("taken", Page, MemoryKind.Ram));
        foreach (var length in new ulong[] { 0, 1, Page + 1, FourGib + Page, ulong.MaxValue })
            Assert.Throws<ArgumentException>(() => _memory.CreateRegion("new", length, MemoryKind.Ram));
        Assert.Throws<ArgumentException>(() => _memory.CreateRegion("new", 3 * Page, MemoryKind.Ram, MemoryBacking.Shared(bytes)));
        Assert.Throws<ArgumentException>(() => _memory.CreateRegion("new", 2 * Page, MemoryKind.Ram, MemoryBacking.Shared(bytes, Page)));
        Assert.Throws<ArgumentException>(() => _memory.CreateRegion("new", Page, MemoryKind.Ram, MemoryBacking.PrivateCopy(bytes, 4 * Page)));
        Assert.Throws<ArgumentException>(() => MemoryBacking.Shared(bytes, 1));
        Assert.Throws<ArgumentException>(() => MemoryBacking.PrivateCopy(bytes, 1));
        Assert.Throws<ArgumentException>(() => MemoryBacking.Shared(bytes).At(7));
        Assert.Equal(2, _memory.Regions.Count);
    }

    [Fact]
    public void A_region_that_was_taken_away_is_nowhere_for_good_and_its_name_is_free()
    {
        var region = _memory.Map(Place, Page, MemoryKind.Ram, "card");

        region.Dispose();
        region.Dispose();

        Assert.False(region.TryMove(Place));
        Assert.False(_memory.IsRam(Place, 1));
        _memory.Map(Place, Page, MemoryKind.Ram, "card");
    }

    [Fact]
    public void Regions_that_touch_are_one_to_those_who_use_memory()
    {
        _memory.Map(Ram, Page, MemoryKind.Rom, "rom");
        _memory.Map(Ram + Page, Page, MemoryKind.Ram, "more");

        Assert.True(_memory.TryRead(Ram - 8, new byte[Page + 16]));
        Assert.False(_memory.TryWrite(Ram - 1, (ushort)1));
        Assert.Equal([new MemoryRange(0, Ram), new MemoryRange(Ram + Page, Page)], _memory.Ranges);
    }

    [Fact]
    public void A_view_of_memory_that_went_away_goes_nowhere()
    {
        using var bytes = SharedMemory.Create("test", Page);
        using var region = _memory.Map(Place, Page, MemoryKind.Ram, "card", MemoryBacking.Shared(bytes));
        _memory.TryWrite(Place, 1);
        Assert.True(_memory.TrySlice(Place, 4, out var view));
        Assert.True(_memory.TryVector(Place, 4, out var vector));

        region.SwitchOff();
        view.Fill(0xff);
        vector.Span.Fill(0xfe);

        region.TryMove(Place + Page);
        Assert.True(_memory.TryRead<int>(Place + Page, out var kept));
        Assert.Equal(1, kept);
    }

    [Fact]
    public void Shared_bytes_are_the_same_in_two_memories_and_stay_when_the_region_moves()
    {
        using var bytes = SharedMemory.Create("test", 4 * Page);
        using var other = new GuestMemory([new MemoryRange(0, Page), new MemoryRange(2 * Page, Page)], MemoryBacking.Shared(bytes, 2 * Page));
        using var region = _memory.Map(Place, 2 * Page, MemoryKind.Ram, "frames", MemoryBacking.Shared(bytes, 2 * Page));

        _memory.TryWrite(Place + Page, 5);
        region.TryMove(Place + 8 * Page);

        // Ranges lie one behind the other in what holds them.
        Assert.True(other.TryRead<int>(2 * Page, out var seen) && _memory.TryRead<int>(Place + 9 * Page, out var moved) && (seen, moved) == (5, 5));
        Assert.True(other.TryDiscard(2 * Page, Page));
        Assert.True(_memory.TryRead<int>(Place + 9 * Page, out var gone));
        Assert.Equal(0, gone);
    }

    [Fact]
    public void The_process_s_own_memory_is_zero_each_time_that_it_is_put_somewhere()
    {
        using var region = _memory.Map(Place, Page, MemoryKind.Ram, "card");
        _memory.TryWrite(Place, 1);

        region.SwitchOff();
        region.TryMove(Place);

        Assert.True(_memory.TryRead<int>(Place, out var value));
        Assert.Equal(0, value);
    }

    // Less and more than a huge page: small pieces are cleared, large ones replaced.
    [Theory]
    [InlineData(2 * Page)]
    [InlineData(1024 * Page)]
    public void Private_copies_begin_with_the_file_s_bytes_and_do_not_change_it(ulong length)
    {
        using var bytes = SharedMemory.Create("test", length);
        using var parent = new GuestMemory([new MemoryRange(0, length)], MemoryBacking.Shared(bytes));
        parent.TryWrite(Page, 1);
        parent.TryWrite(0, 1);
        using var child = new GuestMemory([new MemoryRange(0, length)], MemoryBacking.PrivateCopy(bytes));
        using var sibling = new GuestMemory([new MemoryRange(0, length)], MemoryBacking.PrivateCopy(bytes));

        child.TryWrite(Page, 2);

        Assert.Equal((1, 2, 1), (Read(parent), Read(child), Read(sibling)));
        // What it gives back is zero, not the file's again.
        Assert.True(child.TryDiscard(Page, length - Page));
        Assert.Equal((1, 0, 1), (Read(parent), Read(child), Read(sibling)));
        sibling.Clear();
        Assert.Equal((1, 0, 0), (Read(parent), Read(child), Read(sibling)));
        Assert.True(child.TryRead<int>(0, out var before) && before == 1);

        static int Read(GuestMemory memory) => memory.TryRead<int>(Page, out var value) ? value : -1;
    }

    [Fact]
    public void A_file_is_mapped_as_a_private_copy_from_an_offset_on_and_not_otherwise()
    {
        var path = Path.GetTempFileName();
        try
        {
            var content = new byte[3 * Page];
            content[2 * Page] = 7;
            File.WriteAllBytes(path, content);
            using var file = SharedMemory.Open(path);
            using var copy = new GuestMemory([new MemoryRange(0, 2 * Page)], MemoryBacking.PrivateCopy(file, Page));

            Assert.True(copy.TryRead<byte>(Page, out var first));
            copy.TryWrite(Page, (byte)8);

            Assert.Equal((7, 7, 3 * Page), (first, File.ReadAllBytes(path)[2 * Page], file.Length));
            Assert.Throws<ArgumentException>(() => MemoryBacking.Shared(file));
        }
        finally
        {
            File.Delete(path);
        }
        Assert.Throws<FileNotFoundException>(() => SharedMemory.Open(path));
        Assert.Contains("is a folder", Assert.Throws<HostException>(() => SharedMemory.Open(Path.GetTempPath())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Memory_whose_file_is_closed_is_not_mapped_again()
    {
        var bytes = SharedMemory.Create("test", Page);
        using var region = _memory.Map(Place, Page, MemoryKind.Ram, "card", MemoryBacking.Shared(bytes));
        bytes.Dispose();

        _memory.TryWrite(Place, 1);
        region.SwitchOff();

        Assert.Throws<ObjectDisposedException>(() => region.TryMove(Place));
        Assert.False(_memory.IsRam(Place, 1));
    }

    [Fact]
    public void One_who_cannot_have_a_change_undoes_it_for_the_others()
    {
        using var region = _memory.CreateRegion("card", Page, MemoryKind.Ram);
        var second = new Listener();
        _memory.Follow(second);
        var range = new MemoryRange(Place, Page);

        second.Refuses = true;
        Assert.Throws<HostException>(() => region.TryMove(Place));
        second.Refuses = false;

        Assert.Null(region.Start);
        Assert.False(_memory.IsRam(Place, 1));
        Assert.Equal([(range, null, MemoryKind.Ram), (range, MemoryKind.Ram, null)], _listener.Told[1..]);
        region.TryMove(Place);
        second.Refuses = true;
        Assert.Throws<HostException>(() => region.SetKind(MemoryKind.Rom));
        Assert.Throws<HostException>(() => region.SwitchOff());
        Assert.Equal((MemoryKind.Ram, Place), (region.Kind, region.Start));
        Assert.True(_memory.TryWrite(Place, 1));
        second.Refuses = false;
    }

    // Nobody is told of something that is not so, and no view of memory leads to a fault, while regions go round and round.
    [Fact]
    public void Devices_use_memory_that_comes_and_goes_under_them()
    {
        using var bytes = SharedMemory.Create("test", 2 * Page);
        using var region = _memory.CreateRegion("card", 2 * Page, MemoryKind.Ram, MemoryBacking.Shared(bytes));
        using var other = _memory.CreateRegion("own", Page, MemoryKind.Ram);
        var ends = false;
        var threads = Enumerable.Range(0, 3).Select(n => new Thread(() =>
        {
            while (!Volatile.Read(ref ends))
            {
                if (_memory.TrySlice(Place + Page, 8, out var view)) view.Fill((byte)n);
                if (_memory.TryVector(Place, 8, out var vector)) vector.Span.Fill((byte)n);
                _memory.TryWrite(Place + 2 * Page - 8, 5L);
                _memory.TryRead(Place, new byte[2 * Page]);
                _memory.TryDiscard(Place, Page);
            }
        })).ToArray();
        foreach (var thread in threads) thread.Start();

        for (var n = 0; n < 500; n++)
        {
            Assert.True(region.TryMove(Place));
            region.SetKind(n % 3 == 0 ? MemoryKind.Rom : MemoryKind.Ram);
            if (n % 2 == 0) region.SwitchOff();
            else Assert.True(region.TryMove(Place + 4 * Page));
            Assert.True(other.TryMove(Place + Page));
            other.SwitchOff();
        }

        Volatile.Write(ref ends, true);
        foreach (var thread in threads) thread.Join();
    }

    private sealed class Listener : IMemoryMapListener
    {
        public List<(MemoryRange Range, MemoryKind? Before, MemoryKind? After)> Told { get; } = [];

        public bool Refuses { get; set; }

        public void Remapped(MemoryRange range, MemoryKind? before, MemoryKind? after)
        {
            if (Refuses) throw new HostException("no");
            Told.Add((range, before, after));
        }
    }
}
