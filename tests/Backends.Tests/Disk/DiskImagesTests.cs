// Opening images: what users do wrong and what images ask for that they must not get. Files are real ones here.
using Lamina.Backends.Disk;
using Lamina.Core.Block;
using Lamina.Host;
using Lamina.Host.Io;
using Xunit;

namespace Lamina.Tests.Backends.Disk;

[Collection(Alone.Name)]
public sealed class DiskImagesTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(DiskFormat.Raw)]
    [InlineData(DiskFormat.Qcow2)]
    public void What_was_just_written_is_read_without_a_wait(DiskFormat format)
    {
        var path = _folder["cached.img"];
        DiskTools.Create(new DiskCreation { Path = path, Format = format, Size = 1 << 20 });
        using var buffer = new HostBuffer(4096);
        using var disk = DiskImages.Open(new DiskOptions { Path = path });
        disk.Write(8192, DiskModel.Filled(8, 7));

        Assert.True(disk.TryReadCached(8192, [buffer.Vector]));

        Assert.Equal(DiskModel.Filled(8, 7), buffer.Span.ToArray());
    }

    [Fact]
    public void A_raw_file_is_the_disk()
    {
        var path = Raw("disk.raw", 1 << 20);
        using (var disk = Open(path))
        {
            Assert.Equal(1ul << 20, disk.Length);
            disk.Write(512, [.. Enumerable.Repeat((byte)7, 1024)]);
            disk.Write(8192, [.. Enumerable.Repeat((byte)8, 8192)]);
            disk.Discard(8192, 4096);
            disk.WriteZeroes(1024, 512, mayUnmap: false);
            disk.Flush();
            Assert.Equal(new BlockExtent(true, (1 << 20) - 65536), disk.Extent(65536));
        }

        var content = File.ReadAllBytes(path);
        Assert.Equal((0, 7, 0, 8), (content[511], content[512], content[1024], content[12288]));
        Assert.Equal(1 << 20, content.Length);
    }

    [Fact]
    public void A_raw_file_that_ends_within_a_sector_is_read_as_if_it_did_not()
    {
        var path = _folder["odd.raw"];
        File.WriteAllBytes(path, [.. Enumerable.Repeat((byte)5, 700)]);
        using var disk = Open(path);

        var content = disk.Read(0, 1024);

        Assert.Equal(1024ul, disk.Length);
        Assert.Equal((5, 0), (content[699], content[700]));
    }

    [Theory]
    [InlineData("disk.raw")]
    [InlineData("disk.qcow2")]
    public void Past_the_page_cache_every_write_ends_where_it_should(string name)
    {
        var path = _folder[name];
        DiskTools.Create(new DiskCreation { Path = path, Size = 1 << 20, Format = name.EndsWith("raw", StringComparison.Ordinal) ? DiskFormat.Raw : DiskFormat.Qcow2, ClusterSize = 4096 });
        var expected = new byte[1 << 20];
        var random = new Random(1);
        IBlockBackend disk;
        try
        {
            disk = DiskImages.Open(new DiskOptions { Path = path, Direct = true });
        }
        catch (HostException refusal)
        {
            Assert.Skip($"the folder for temporary files cannot do direct input and output: {refusal.Message}");
            return;
        }
        using (disk)
        {
            for (var i = 0; i < 100; i++)
            {
                var data = new byte[random.Next(1, 64) * 512];
                random.NextBytes(data);
                var at = random.Next((expected.Length - data.Length) / 512) * 512;
                disk.Write((ulong)at, data);
                data.CopyTo(expected, at);
                Assert.Equal(data, disk.Read((ulong)at, data.Length));
            }
            disk.Flush();
        }
        using var again = Open(path);
        Assert.Equal(expected, again.Read(0, expected.Length));
    }

    [Theory]
    [InlineData("disk.raw")]
    [InlineData("disk.qcow2")]
    public void Two_may_read_an_image_but_nobody_beside_one_who_writes(string name)
    {
        var path = Make(name);
        using (Open(path))
        {
            Assert.Contains("in use by another machine", Refusal(path), StringComparison.Ordinal);
            Assert.Contains("being written", Refusal(path, readOnly: true), StringComparison.Ordinal);
        }
        using (Open(path, readOnly: true))
        {
            Open(path, readOnly: true).Dispose();
            Assert.Contains("in use", Refusal(path), StringComparison.Ordinal);
        }
        Open(path).Dispose();
    }

    [Fact]
    public void An_image_in_use_here_is_in_use_for_qemu()
    {
        QemuImg.SkipWhereMissing();
        var path = Make("disk.qcow2");
        using var disk = Open(path);

        Assert.Contains("lock", Assert.ThrowsAny<Exception>(() => QemuImg.Io(path, "write 0 512")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_file_a_folder_and_one_that_is_no_image_are_told_apart()
    {
        Assert.Contains("there is no disk image", Refusal(_folder["missing"]), StringComparison.Ordinal);
        Directory.CreateDirectory(_folder["folder"]);
        Assert.Contains("is a folder", Refusal(_folder["folder"], readOnly: true), StringComparison.Ordinal);
        var raw = Raw("disk.raw", 4096);
        Assert.Contains("no qcow2 image", Assert.Throws<DiskImageException>(() => DiskImages.Open(new DiskOptions { Path = raw, Format = DiskFormat.Qcow2 })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_qcow2_image_that_is_said_to_be_raw_is_raw()
    {
        var path = Make("disk.qcow2");

        using var disk = DiskImages.Open(new DiskOptions { Path = path, Format = DiskFormat.Raw });

        Assert.Equal((byte)'Q', disk.Read(0, 512)[0]);
    }

    [Fact]
    public void A_backing_file_is_read_where_the_user_named_it_and_not_because_the_image_did()
    {
        File.WriteAllBytes(_folder["secret"], [.. Enumerable.Repeat((byte)'s', 65536)]);
        var path = _folder["overlay.qcow2"];
        DiskTools.Create(new DiskCreation { Path = path, Backing = "secret" });

        var refusal = Refusal(path);
        using var allowed = DiskImages.Open(new DiskOptions { Path = path, Backing = [Path.Combine(_folder["."], "secret")] });

        Assert.Contains($"has the backing file {_folder["secret"]}", refusal, StringComparison.Ordinal);
        Assert.Contains($"backing={_folder["secret"]}", refusal, StringComparison.Ordinal);
        Assert.Equal((byte)'s', allowed.Read(0, 512)[0]);
    }

    [Fact]
    public void Writes_go_to_the_overlay_and_the_chain_below_stays_as_it_was()
    {
        var (bottom, middle, top) = (Raw("bottom.raw", 256 << 10), _folder["middle.qcow2"], _folder["top.qcow2"]);
        DiskTools.Create(new DiskCreation { Path = middle, Backing = "bottom.raw" });
        var all = new DiskOptions { Path = middle, Backing = [bottom, middle] };
        using (var disk = DiskImages.Open(all)) disk.Write(4096, [.. Enumerable.Repeat((byte)1, 4096)]);
        DiskTools.Create(new DiskCreation { Path = top, Backing = "middle.qcow2", Size = 1 << 20 });
        var before = File.ReadAllBytes(middle);

        using (var disk = DiskImages.Open(all with { Path = top }))
        {
            disk.Write(8192, [.. Enumerable.Repeat((byte)2, 512)]);
            var content = disk.Read(0, 1 << 20);
            Assert.Equal((1, 2, 0, 0), (content[4096], content[8192], content[8704], content[^1]));
            using var second = DiskImages.Open(all with { Path = middle, ReadOnly = true });
            Assert.Contains("in use", Refusal(middle), StringComparison.Ordinal);
        }

        Assert.Equal(before, File.ReadAllBytes(middle));
    }

    [Fact]
    public void A_chain_that_bites_its_tail_ends_in_an_error()
    {
        var (a, b) = (_folder["a.qcow2"], _folder["b.qcow2"]);
        DiskTools.Create(new DiskCreation { Path = b, Size = 65536 });
        DiskTools.Create(new DiskCreation { Path = a, Backing = "b.qcow2" });
        File.Delete(b);
        DiskTools.Create(new DiskCreation { Path = b, Backing = "a.qcow2" });

        var refusal = Assert.Throws<DiskImageException>(() => DiskImages.Open(new DiskOptions { Path = a, ReadOnly = true, TrustsBacking = true }));

        Assert.Contains("its own backing file", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_backing_file_is_named()
    {
        var path = _folder["overlay.qcow2"];
        Raw("base.raw", 65536);
        DiskTools.Create(new DiskCreation { Path = path, Backing = "base.raw" });
        File.Delete(_folder["base.raw"]);

        Assert.Contains($"{_folder["base.raw"]} of {path} is missing", Refusal(path), StringComparison.Ordinal);
    }

    [Fact]
    public void Temporary_writes_are_gone_at_the_end()
    {
        var path = Raw("disk.raw", 1 << 20);
        var before = Directory.GetFiles(Path.GetTempPath(), "lamina-*.qcow2").Length;
        using (var disk = DiskImages.OpenTemporary(new DiskOptions { Path = path }))
        {
            disk.Write(0, [.. Enumerable.Repeat((byte)7, 4096)]);
            disk.Flush();
            Assert.Equal(7, disk.Read(0, 512)[0]);
            Assert.Equal(before, Directory.GetFiles(Path.GetTempPath(), "lamina-*.qcow2").Length);
        }

        Assert.Equal(0, File.ReadAllBytes(path)[0]);
    }

    [Fact]
    public void Temporary_writes_are_their_owners_alone()
    {
        using var disk = DiskImages.OpenTemporary(new DiskOptions { Path = Raw("disk.raw", 1 << 20) });

        // The file has no name any more; proc(5) still leads to it.
        var open = Directory.GetFiles("/proc/self/fd").Where(path => Path.GetFileName(new FileInfo(path).LinkTarget) is { } name
            && name.StartsWith("lamina-", StringComparison.Ordinal) && name.EndsWith(".qcow2 (deleted)", StringComparison.Ordinal)).ToArray();

        Assert.NotEmpty(open);
        Assert.All(open, path => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path)));
    }

    [Fact]
    public void A_full_disk_is_an_error_and_nothing_that_was_flushed_is_lost()
    {
        var file = new RecordingFile();
        Qcow2.Create(file);
        using var disk = Qcow2.Open(file);
        disk.Write(0, [.. Enumerable.Repeat((byte)1, 8192)]);
        disk.Flush();
        file.Before = what =>
        {
            if (what == "write") throw new HostException("no space left");
        };
        Assert.Throws<HostException>(() => disk.Write(100_352, new byte[4096]));
        Assert.Equal(1, disk.Read(4096, 512)[0]);
        file.Before = _ => { };
        disk.Write(100_352, [.. Enumerable.Repeat((byte)2, 4096)]);
        file.Before = what =>
        {
            if (what == "write") throw new HostException("no space left");
        };
        Assert.Throws<HostException>(disk.Flush);
        file.Before = _ => { };
        disk.Flush();

        using var again = Qcow2.Open(new RecordingFile(file.AfterPowerLoss(new Random(1))));
        Assert.Equal((1, 2), (again.Read(4096, 512)[0], again.Read(100_352, 512)[0]));
        Assert.Equal(0, Qcow2.Check(file).Errors);
    }

    [Fact]
    public void After_a_failed_sync_no_flush_promises_anything()
    {
        var file = new RecordingFile();
        Qcow2.Create(file);
        using var disk = Qcow2.Open(file);
        disk.Write(0, new byte[4096]);
        file.Before = what =>
        {
            if (what == "sync") throw new HostException("input/output error");
        };
        Assert.Throws<HostException>(disk.Flush);
        file.Before = _ => { };

        Assert.Throws<DiskImageException>(disk.Flush);
        Assert.Equal(0, disk.Read(0, 512)[0]);
    }

    [Fact]
    public void A_new_image_never_replaces_a_file_and_a_failed_one_leaves_nothing()
    {
        var path = Make("disk.qcow2");

        Assert.Throws<HostException>(() => DiskTools.Create(new DiskCreation { Path = path, Size = 65536 }));
        Assert.Throws<DiskImageException>(() => DiskTools.Create(new DiskCreation { Path = _folder["new.qcow2"], Size = 1ul << 62, ClusterSize = 512 }));
        Assert.Throws<DiskImageException>(() => DiskTools.Create(new DiskCreation { Path = _folder["new.qcow2"], Size = 65536, ClusterSize = 1000 }));
        Assert.Throws<DiskImageException>(() => DiskTools.Create(new DiskCreation { Path = _folder["new.qcow2"] }));

        Assert.False(File.Exists(_folder["new.qcow2"]));
    }

    private string Make(string name)
    {
        var path = _folder[name];
        DiskTools.Create(new DiskCreation { Path = path, Size = 1 << 20, Format = name.EndsWith("raw", StringComparison.Ordinal) ? DiskFormat.Raw : DiskFormat.Qcow2 });
        return path;
    }

    private string Raw(string name, int length)
    {
        File.WriteAllBytes(_folder[name], []);
        using (var file = File.OpenWrite(_folder[name])) file.SetLength(length);
        return _folder[name];
    }

    private static IBlockBackend Open(string path, bool readOnly = false) => DiskImages.Open(new DiskOptions { Path = path, ReadOnly = readOnly });

    private static string Refusal(string path, bool readOnly = false) => Assert.ThrowsAny<IOException>(() => Open(path, readOnly)).Message;

    /// <summary>Images in memory.</summary>
    private static class Qcow2
    {
        public static void Create(RecordingFile file) => Lamina.Backends.Disk.Qcow2.Qcow2Editor.Create(file, new() { Size = 1 << 20, ClusterBits = 12 });

        public static IBlockBackend Open(RecordingFile file) => new Lamina.Backends.Disk.Qcow2.Qcow2Disk(file, Lamina.Backends.Disk.Qcow2.Qcow2Header.Read(file), null, readOnly: false);

        public static CheckResult Check(RecordingFile file) => Lamina.Backends.Disk.Qcow2.Qcow2Checker.Check(file, Lamina.Backends.Disk.Qcow2.Qcow2Header.Read(file));
    }
}
