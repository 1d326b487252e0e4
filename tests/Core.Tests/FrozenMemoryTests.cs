// A guest's memory of one moment, which the guest writes to afterwards.
using Lamina.Core.Memory;
using Lamina.Host;
using Lamina.Host.Processes;
using Xunit;

namespace Lamina.Tests.Core;

public sealed class FrozenMemoryTests
{
    private const ulong Page = 4096, Size = 8 << 20;

    private static GuestMemory Make(MemoryBacking? backing = null) => new([new MemoryRange(0, Size / 2), new MemoryRange(Size, Size / 2)], backing);

    private static byte[] Read(FrozenMemory memory, ulong address, int length)
    {
        var bytes = new byte[length];
        memory.Read(address, bytes);
        return bytes;
    }

    [Fact]
    public void It_stays_while_the_memory_is_written_to_and_given_back()
    {
        using var memory = Make();
        Assert.True(memory.TryWrite(Page, [1, 2, 3]));
        Assert.True(memory.TryWrite(Size + 5 * Page, [4]));
        Assert.True(memory.TryWrite(9 * Page, [5]));

        using var frozen = memory.Freeze();
        Assert.True(memory.TryWrite(Page, [9, 9, 9]));
        Assert.True(memory.TryWrite(20 * Page, [9]));
        Assert.True(memory.TryDiscard(9 * Page, Page));
        frozen!.Look();

        Assert.Equal([1, 2, 3, 0], Read(frozen, Page, 4));
        Assert.Equal([4], Read(frozen, Size + 5 * Page, 1));
        Assert.Equal([5], Read(frozen, 9 * Page, 1));
        Assert.Equal([0], Read(frozen, 20 * Page, 1));
        Assert.All((ulong[])[Page, Size + 5 * Page, 9 * Page], address => Assert.True(frozen.MayHold(address, Page)));
        Assert.False(frozen.MayHold(Size + (2 << 20), 1 << 20));
        // The guest sees what it did.
        Assert.True(memory.TryRead(9 * Page, out byte given));
        Assert.Equal(0, given);
    }

    [Fact]
    public void Pages_go_back_to_the_host_again_once_it_is_known_which_there_were()
    {
        using var memory = Make();
        memory.Populate(new MemoryRange(0, Size / 2));
        var before = memory.Resident;
        using var frozen = memory.Freeze();

        Assert.True(memory.TryDiscard(0, Size / 4));
        Assert.Equal(before, memory.Resident);
        frozen!.Look();
        Assert.True(memory.TryDiscard(0, Size / 4));

        Assert.Equal(before - Size / 4, memory.Resident);
    }

    [Fact]
    public void Long_pieces_come_whole()
    {
        using var memory = Make();
        var bytes = new byte[3 << 20];
        new Random(1).NextBytes(bytes);
        Assert.True(memory.TryWrite(12345, bytes));

        using var frozen = memory.Freeze();
        memory.Clear();

        Assert.Equal(bytes, Read(frozen!, 12345, bytes.Length));
    }

    [Fact]
    public void What_a_file_holds_that_nobody_has_touched_is_in_it()
    {
        var path = Path.GetTempFileName();
        try
        {
            using (var file = File.OpenWrite(path))
            {
                file.SetLength((long)Size);
                file.Seek(6 << 20, SeekOrigin.Begin);
                file.Write([7]);
            }
            using var shared = SharedMemory.Open(path);
            using var memory = Make(MemoryBacking.PrivateCopy(shared));
            Assert.True(memory.TryWrite(Page, [1]));

            using var frozen = memory.Freeze();
            Assert.True(memory.TryWrite(Page, [2]));
            frozen!.Look();

            // The second range begins at the file's middle.
            Assert.True(frozen.MayHold(Size + (2 << 20), Page));
            Assert.Equal([7], Read(frozen, Size + (2 << 20), 1));
            Assert.Equal([1], Read(frozen, Page, 1));
            Assert.False(frozen.MayHold(Size + (3 << 20), 1 << 20));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void Memory_that_others_write_to_cannot_be_frozen()
    {
        using var shared = SharedMemory.Create("test", Size);
        using var memory = Make(MemoryBacking.Shared(shared));

        Assert.Null(memory.Freeze());
    }

    [Fact]
    public void It_is_there_when_the_memory_is_gone()
    {
        FrozenMemory frozen;
        using (var memory = Make())
        {
            Assert.True(memory.TryWrite(Page, [1]));
            frozen = memory.Freeze()!;
            frozen.Look();
        }

        using (frozen) Assert.Equal([1], Read(frozen, Page, 1));
    }

    [Fact]
    public void An_address_that_is_not_in_a_twin_ends_it_with_a_sentence()
    {
        using var maker = new TwinMaker();
        using var twin = maker.Make();

        var gone = Assert.Throws<HostException>(() => twin.Read(0, new byte[16]));

        Assert.Equal("the process that holds a copy of the machine's memory is gone", gone.Message);
        Assert.Throws<HostException>(() => twin.Read(0, new byte[16]));
    }

    [Fact]
    public void A_twin_has_no_descriptors_but_its_own_and_ends_with_who_made_it()
    {
        var path = Path.GetTempFileName();
        try
        {
            MemoryTwin twin;
            var own = File.ReadAllText("/proc/self/oom_score_adj");
            using var maker = new TwinMaker();
            using (File.Open(path, FileMode.Open, FileAccess.Write, FileShare.None)) twin = maker.Make();
            // It closes them on its own.
            var open = new DirectoryInfo($"/proc/{twin.ProcessId}/fd");
            while (open.EnumerateFileSystemInfos().Count() > 2) TestContext.Current.CancellationToken.ThrowIfCancellationRequested();

            // Where memory runs out, it goes, and not the machine.
            Assert.Equal("1000", File.ReadAllText($"/proc/{twin.ProcessId}/oom_score_adj").Trim());
            Assert.Equal(own, File.ReadAllText("/proc/self/oom_score_adj"));
            Assert.All(open.EnumerateFileSystemInfos(), descriptor => Assert.StartsWith("pipe:", descriptor.LinkTarget, StringComparison.Ordinal));
            twin.Dispose();
            Assert.False(Directory.Exists($"/proc/{twin.ProcessId}"));
        }
        finally
        {
            File.Delete(path);
        }
    }
}
