// Images that QEMU wrote: every kind of cluster, chains of backing files, snapshots. They must read here as they read
// there, and be in order for QEMU after having been written here.
using Lamina.Backends.Disk;
using Lamina.Core.Logging;
using Xunit;

namespace Lamina.Tests.Backends.Disk;

public sealed class Qcow2FromQemuTests : IDisposable
{
    private const int Size = 4 << 20;

    private readonly TestFolder _folder = new();

    public Qcow2FromQemuTests() => QemuImg.SkipWhereMissing();

    public void Dispose() => _folder.Dispose();

    private string Image => _folder["disk.qcow2"];

    private byte[] Expected => QemuImg.ReadAll(Image, _folder["expected.raw"]);

    [Fact]
    public void Random_images_of_qemus_read_as_they_do_there()
    {
        for (var seed = 0; seed < 40; seed++)
        {
            var random = new Random(seed);
            Make(random, "disk.qcow2", random.Next(2) == 0 ? Make(random, "base.qcow2", null) : null);
            var expected = Expected;

            using (var disk = Open(readOnly: true)) Assert.True(expected.AsSpan().SequenceEqual(disk.Read(0, Size)), $"seed {seed}: read differently");
            Assert.Equal(0, DiskTools.Check(Image, repair: false).Found.Errors);

            var data = new byte[random.Next(1, 600) * 512];
            random.NextBytes(data);
            var at = random.Next((Size - data.Length) / 512) * 512;
            using (var disk = Open(readOnly: false)) disk.Write((ulong)at, data);
            data.CopyTo(expected, at);

            QemuImg.AssertClean(Image);
            Assert.True(expected.AsSpan().SequenceEqual(Expected), $"seed {seed}: written differently");
        }
    }

    [Theory]
    [InlineData("zlib")]
    [InlineData("zstd")]
    public void Compressed_clusters_are_read_and_overwritten(string type)
    {
        File.WriteAllBytes(_folder["raw"], [.. Enumerable.Range(0, Size).Select(i => (byte)(i >> 9 ^ i >> 3))]);
        QemuImg.Run("convert", "-q", "-c", "-O", "qcow2", "-o", $"compression_type={type}", _folder["raw"], Image);
        var expected = File.ReadAllBytes(_folder["raw"]);
        using (var disk = Open(readOnly: false))
        {
            Assert.Equal(expected, disk.Read(0, Size));
            disk.Write(70_144, [.. Enumerable.Repeat((byte)9, 1024)]);
            disk.Flush();
        }
        expected.AsSpan(70_144, 1024).Fill(9);

        QemuImg.AssertClean(Image);
        Assert.Equal(expected, Expected);
    }

    [Fact]
    public void A_write_to_what_a_snapshot_shares_leaves_the_snapshot_alone()
    {
        QemuImg.Run("create", "-q", "-f", "qcow2", Image, $"{Size}");
        QemuImg.Io(Image, "write -P 1 0 1M");
        QemuImg.Run("snapshot", "-c", "before", Image);
        using (var disk = Open(readOnly: false))
        {
            disk.Write(4096, [.. Enumerable.Repeat((byte)2, 8192)]);
            disk.Discard(512 << 10, 256 << 10);
        }

        QemuImg.AssertClean(Image);
        Assert.Equal(2, Expected[4096]);
        var snapshot = Assert.Single(DiskTools.Snapshots(Image));
        Assert.Equal(("1", "before", (ulong?)Size), (snapshot.Id, snapshot.Name, snapshot.DiskSize));
        QemuImg.Run("snapshot", "-a", "before", Image);
        Assert.Equal(-1, Expected.AsSpan(0, 1 << 20).IndexOfAnyExcept((byte)1));
    }

    [Fact]
    public void Snapshots_taken_here_are_snapshots_for_qemu()
    {
        QemuImg.Run("create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", Image, $"{Size}");
        for (byte round = 1; round <= 4; round++)
        {
            using (var disk = Open(readOnly: false)) disk.Write(round * 10_240ul, [.. Enumerable.Repeat(round, 40_960)]);
            DiskTools.CreateSnapshot(Image, $"round {round}", DateTimeOffset.UnixEpoch.AddSeconds(round));
            QemuImg.AssertClean(Image);
        }
        var second = Expected;
        DiskTools.DeleteSnapshot(Image, "round 1");
        QemuImg.AssertClean(Image);
        Assert.Equal(second, Expected);
        DiskTools.ApplySnapshot(Image, "2");
        QemuImg.AssertClean(Image);

        Assert.Equal((2, 0), (Expected[2 * 10_240], Expected[4 * 10_240 + 40_959]));
        QemuImg.Run("snapshot", "-a", "round 4", Image);
        Assert.Equal(4, Expected[4 * 10_240 + 40_959]);
        Assert.Throws<DiskImageException>(() => DiskTools.ApplySnapshot(Image, "round 1"));
        Assert.Throws<DiskImageException>(() => DiskTools.CreateSnapshot(Image, "round 3", DateTimeOffset.UnixEpoch));
    }

    [Theory]
    [InlineData("512")]
    [InlineData("64k")]
    public void A_disk_grows_and_shrinks(string clusters)
    {
        QemuImg.Run("create", "-q", "-f", "qcow2", "-o", $"cluster_size={clusters}", Image, "1M");
        QemuImg.Io(Image, "write -P 5 0 1M");
        var options = new DiskOptions { Path = Image };

        DiskTools.Resize(options, 512ul << 20, shrink: false);
        QemuImg.AssertClean(Image);
        Assert.Equal(512ul << 20, DiskTools.Inspect(Image).Size);
        Assert.Throws<DiskImageException>(() => DiskTools.Resize(options, 100_000, shrink: false));
        DiskTools.Resize(options, 100_000, shrink: true);
        DiskTools.Resize(options, Size, shrink: false);

        QemuImg.AssertClean(Image);
        var content = Expected;
        Assert.Equal(Size, content.Length);
        Assert.Equal(-1, content.AsSpan(0, 100_352).IndexOfAnyExcept((byte)5));
        Assert.Equal(-1, content.AsSpan(100_352).IndexOfAnyExcept((byte)0));
    }

    [Fact]
    public void An_overlay_that_grows_over_a_longer_backing_file_does_not_show_more_of_it()
    {
        File.WriteAllBytes(_folder["base.raw"], [.. Enumerable.Repeat((byte)3, Size)]);
        DiskTools.Create(new DiskCreation { Path = Image, Backing = "base.raw", Size = 100_352 });
        DiskTools.Resize(new DiskOptions { Path = Image, Backing = [_folder["base.raw"]] }, Size, shrink: false);

        Assert.Equal(-1, Expected.AsSpan(0, 100_352).IndexOfAnyExcept((byte)3));
        Assert.Equal(-1, Expected.AsSpan(100_352).IndexOfAnyExcept((byte)0));
        QemuImg.AssertClean(Image);
    }

    [Fact]
    public void Leaks_and_wrong_refcounts_are_found_and_repaired()
    {
        QemuImg.Run("create", "-q", "-f", "qcow2", "-o", "lazy_refcounts=on", Image, $"{Size}");
        QemuImg.Io(Image, "write -P 1 0 1M");
        // One cluster's refcount too high, another's zero: the first block is the cluster behind the table.
        var content = File.ReadAllBytes(Image);
        var block = 0x20000;
        Assert.Equal(1, content[block + 13]);
        content[block + 13] = 2;
        content[block + 17] = 0;
        File.WriteAllBytes(Image, content);

        var (found, repaired) = DiskTools.Check(Image, repair: true);

        Assert.Equal(1, found.Leaks);
        Assert.True(found.Errors >= 1);
        Assert.True(repaired!.IsClean);
        QemuImg.AssertClean(Image);
        Assert.Equal(1, Expected[1000]);
    }

    [Fact]
    public void An_image_that_was_not_closed_is_repaired_when_it_is_opened()
    {
        QemuImg.Run("create", "-q", "-f", "qcow2", "-o", "lazy_refcounts=on", Image, $"{Size}");
        // abort() leaves the refcounts unwritten and the dirty bit set.
        Assert.ThrowsAny<Exception>(() => QemuImg.Io(Image, "write -P 6 0 1M", "flush", "abort"));
        Assert.Equal("not closed", DiskTools.Inspect(Image).Properties.Single(property => property.Name == "state").Value);
        var said = new List<string>();

        using (var disk = DiskImages.Open(new DiskOptions { Path = Image, Log = Log.To(line => said.Add(line.Message), LogLevel.Trace).CreateLog("test") })) Assert.Equal(6, disk.Read(0, 512)[0]);

        Assert.Contains("was not closed", Assert.Single(said), StringComparison.Ordinal);
        QemuImg.AssertClean(Image);
    }

    private Lamina.Core.Block.IBlockBackend Open(bool readOnly) =>
        DiskImages.Open(new DiskOptions { Path = Image, ReadOnly = readOnly, Backing = [_folder["base.qcow2"]] });

    private string Make(Random random, string name, string? backing)
    {
        var path = _folder[name];
        File.Delete(path);
        var options = random.Next(4) == 0 ? "compat=0.10" : $"compat=1.1,refcount_bits={1 << random.Next(3, 7)},compression_type={(random.Next(2) == 0 ? "zlib" : "zstd")},lazy_refcounts={(random.Next(2) == 0 ? "on" : "off")}";
        var clusters = 512 << random.Next(0, 9);
        string[] chain = backing is null ? [] : ["-b", backing, "-F", "qcow2"];
        QemuImg.Run(["create", "-q", "-f", "qcow2", .. chain, "-o", $"{options},cluster_size={clusters}", path, $"{Size}"]);
        // Compressed clusters first: QEMU writes none over what is there already.
        List<string> commands = [.. Enumerable.Range(0, 6).Select(_ => random.Next(Size / clusters)).Distinct().Select(cluster => $"write -c -P {random.Next(256)} {cluster * clusters} {clusters}")];
        for (var i = 0; i < 20; i++)
        {
            var length = random.Next(1, 200) * 512;
            var at = random.Next((Size - length) / 512) * 512;
            commands.Add(random.Next(6) switch
            {
                < 3 => $"write -P {random.Next(256)} {at} {length}",
                3 => $"write -z {at} {length}",
                4 => $"write -z -u {at} {length}",
                _ => $"discard {at} {length}",
            });
        }
        QemuImg.Io(path, [.. commands]);
        if (random.Next(3) != 0) return path;
        QemuImg.Run("snapshot", "-c", "one", path);
        QemuImg.Io(path, $"write -P 77 {random.Next(Size / 1024) * 512} 65536");
        return path;
    }
}
