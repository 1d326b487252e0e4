// Requests under way on files of the host's, by io_uring and without: what is read is what was written, whatever becomes of
// a request.
using Lamina.Backends.Disk;
using Lamina.Core.Block;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Host.Io.Ring;
using Xunit;

namespace Lamina.Tests.Backends.Disk;

public sealed class FileRingTests : IDisposable
{
    private const int Length = 1 << 20, Page = 4096;

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_was_written_is_read_with_many_under_way(bool direct)
    {
        using var disk = OpenDisk(direct);
        using var ring = disk.OpenRing()!;
        using var memory = new HostBuffer(64 * Page);
        var (expected, random) = (new byte[Length], new Random(direct ? 1 : 2));

        for (var round = 0; round < 40; round++)
        {
            // Places of their own: the order of those that overlap is not said.
            var pages = Enumerable.Range(0, Length / Page).OrderBy(_ => random.Next()).Take(32).ToArray();
            random.NextBytes(memory.Span);
            for (var i = 0; i < pages.Length; i++)
            {
                Assert.True(ring.TryBegin(isWrite: true, (ulong)pages[i] * Page, Pieces(memory, i, direct), i));
                memory.Span.Slice(i * Page, Page).CopyTo(expected.AsSpan(pages[i] * Page));
            }
            AssertAllEnd(ring, pages.Length);
            memory.Span.Clear();
            for (var i = 0; i < pages.Length; i++) Assert.True(ring.TryBegin(isWrite: false, (ulong)pages[i] * Page, Pieces(memory, i, direct), i));
            AssertAllEnd(ring, pages.Length);

            for (var i = 0; i < pages.Length; i++) Assert.Equal(expected.AsSpan(pages[i] * Page, Page), memory.Span.Slice(i * Page, Page));
        }

        Assert.Equal(expected, disk.Read(0, Length));
    }

    // OPENAT, CONNECT, SOCKET, UNLINKAT, URING_CMD: whoever had the ring could do past a filter of system calls what that forbids.
    [Theory]
    [InlineData(18)]
    [InlineData(16)]
    [InlineData(45)]
    [InlineData(36)]
    [InlineData(46)]
    public void A_ring_does_nothing_but_what_disks_need(byte operation)
    {
        const int refused = -13;
        Assert.SkipUnless(DiskRing.WhyNot() is null, DiskRing.WhyNot() ?? "");

        Assert.Equal(0, IoUring.Ask(0));
        Assert.Equal(refused, IoUring.Ask(operation));
    }

    [Fact]
    public void What_lies_behind_the_end_reads_as_zeros()
    {
        File.WriteAllBytes(_folder["odd.raw"], [.. Enumerable.Repeat((byte)5, 700)]);
        using var disk = Open(new DiskOptions { Path = _folder["odd.raw"], Aio = DiskAio.IoUring, Format = DiskFormat.Raw });
        using var ring = disk.OpenRing()!;
        using var memory = new HostBuffer(1024);
        memory.Span.Fill(9);

        Assert.True(ring.TryBegin(isWrite: false, 0, [memory.Vector], "it"));
        AssertAllEnd(ring, 1);

        Assert.Equal((5, 0, 0), (memory.Span[699], memory.Span[700], memory.Span[1023]));
    }

    [Fact]
    public void A_request_that_fails_says_what_the_disks_own_call_says()
    {
        using var disk = OpenDisk(direct: false, readOnly: true);
        using var ring = disk.OpenRing()!;
        using var memory = new HostBuffer(Page);

        Assert.True(ring.TryBegin(isWrite: true, 0, [memory.Vector], "it"));
        ring.Submit();
        var ending = Take(ring);

        Assert.Equal(("it", true), (ending.Request, ending.IsWrite));
        Assert.StartsWith($"cannot write {_folder["disk.raw"]}", ending.Failure!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_ring_that_is_full_or_a_request_that_does_not_fit_is_left_to_the_caller()
    {
        using var disk = OpenDisk(direct: false);
        using var ring = disk.OpenRing()!;
        using var memory = new HostBuffer(Page);

        Assert.False(ring.TryBegin(isWrite: false, 0, [], "nothing"));
        Assert.False(ring.TryBegin(isWrite: false, 0, [.. Enumerable.Repeat(memory.Vector, 257)], "too many pieces"));
        var begun = 0;
        while (ring.TryBegin(isWrite: false, 0, [memory.Vector], begun)) begun++;
        AssertAllEnd(ring, begun);

        Assert.InRange(begun, 16, 1024);
        Assert.True(ring.TryBegin(isWrite: false, 0, [memory.Vector], "again"));
        AssertAllEnd(ring, 1);
    }

    [Fact]
    public void Past_the_page_cache_what_is_not_aligned_is_left_to_the_caller_and_waits_for_writes_under_way()
    {
        using var disk = OpenDisk(direct: true);
        using var ring = disk.OpenRing()!;
        using var memory = new HostBuffer(2 * Page);
        memory.Span.Fill(3);
        Assert.False(ring.TryBegin(isWrite: true, 512, [IoVector.Of(memory, 0, 512)], "it"));
        Assert.True(ring.TryBegin(isWrite: true, 0, [IoVector.Of(memory, 0, Page)], "it"));

        // Not submitted yet: it is under way all the same.
        var write = Waiting.Run(() => disk.Write(512, [.. Enumerable.Repeat((byte)7, 512)]));
        Waiting.Until(() => !ring.TryBegin(isWrite: true, Page, [IoVector.Of(memory, 0, Page)], "behind it"));
        Assert.True(write.IsAlive);
        ring.Submit();
        while (write.IsAlive || ring.HasEnded) _ = ring.TryEnd(out _);

        Assert.Equal((3, 7, 3), (disk.Read(0, Page)[511], disk.Read(0, Page)[1023], disk.Read(0, Page)[1024]));
    }

    [Fact]
    public void A_wake_ends_the_sleep_and_one_before_it_counts()
    {
        using var disk = OpenDisk(direct: false);
        using var ring = disk.OpenRing()!;
        ring.Wake();
        ring.Sleep();
        var sleep = Waiting.Run(ring.Sleep);

        ring.Wake();

        Assert.True(sleep.Join(Waiting.Limit));
    }

    [Theory]
    [InlineData(DiskAio.Auto, false, false)]
    [InlineData(DiskAio.Threads, true, false)]
    [InlineData(DiskAio.Auto, true, true)]
    public void By_itself_a_ring_is_used_past_the_page_cache_only_and_there_for_reads_of_a_file(DiskAio aio, bool direct, bool used)
    {
        using var disk = OpenDisk(direct, aio: aio);
        using var ring = disk.OpenRing();
        using var memory = new HostBuffer(Page);

        Assert.Equal(used, ring is not null);
        if (ring is null) return;
        Assert.False(ring.TryBegin(isWrite: true, 0, [memory.Vector], "it"));
        Assert.True(ring.TryBegin(isWrite: false, 0, [memory.Vector], "it"));
        AssertAllEnd(ring, 1);
    }

    [Fact]
    public void What_cannot_have_a_ring_and_was_asked_to_is_refused_in_a_sentence()
    {
        DiskTools.Create(new DiskCreation { Path = _folder["disk.qcow2"], Format = DiskFormat.Qcow2, Size = Length });
        var asked = new DiskOptions { Path = _folder["disk.qcow2"], Aio = DiskAio.IoUring };

        Assert.Contains("leave out aio=io_uring", Assert.Throws<DiskImageException>(() => DiskImages.Open(asked)).Message, StringComparison.Ordinal);
        Assert.Contains("leave out aio=io_uring", Assert.Throws<DiskImageException>(() => DiskImages.OpenTemporary(asked)).Message, StringComparison.Ordinal);
    }

    private IBlockBackend OpenDisk(bool direct, bool readOnly = false, DiskAio aio = DiskAio.IoUring)
    {
        File.WriteAllBytes(_folder["disk.raw"], new byte[Length]);
        return Open(new DiskOptions { Path = _folder["disk.raw"], Format = DiskFormat.Raw, Direct = direct, ReadOnly = readOnly, Aio = aio });
    }

    private static IBlockBackend Open(DiskOptions options)
    {
        if (options.Aio != DiskAio.Threads && DiskRing.WhyNot() is { } reason) Assert.Skip($"no io_uring here: {reason}");
        try
        {
            return DiskImages.Open(options);
        }
        catch (HostException refusal) when (options.Direct)
        {
            Assert.Skip($"the folder for temporary files cannot do direct input and output: {refusal.Message}");
            throw;
        }
    }

    // A page of the memory, in one piece where it must be aligned.
    private static IoVector[] Pieces(HostBuffer memory, int page, bool direct) =>
        direct ? [IoVector.Of(memory, page * Page, Page)] : [IoVector.Of(memory, page * Page, 100), IoVector.Of(memory, page * Page + 100, Page - 100)];

    private static void AssertAllEnd(IBlockRing ring, int count)
    {
        ring.Submit();
        for (var i = 0; i < count; i++) Assert.Null(Take(ring).Failure);
        Assert.False(ring.HasEnded);
    }

    private static BlockEnding Take(IBlockRing ring)
    {
        BlockEnding? ending;
        while (!ring.TryEnd(out ending)) ring.Sleep();
        return ending;
    }
}
