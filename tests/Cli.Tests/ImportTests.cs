// Images made elsewhere: where their partitions lie, and what is taken out of them.
using System.Buffers.Binary;
using System.Text;
using Lamina.Images;
using Lamina.Images.Imported;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class ImportTests : IDisposable
{
    private const int Sector = 512, MiB = 1 << 20;

    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private ImageStore Store => new(_folder.File("images"));

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_disk_without_a_table_is_one_partition() =>
        Assert.Equal([new Partition(0, 0, MiB)], PartitionTable.Read(new MemoryStream(new byte[MiB])));

    [Fact]
    public void Mbr_partitions_are_found() =>
        Assert.Equal([new Partition(1, MiB, MiB), new Partition(3, 2 * MiB, MiB)], PartitionTable.Read(new MemoryStream(Mbr(3 * MiB, (0, 2048, 2048), (2, 4096, 2048)))));

    [Fact]
    public void Gpt_partitions_are_found() =>
        Assert.Equal([new Partition(1, MiB, MiB), new Partition(15, 2 * MiB, MiB)], PartitionTable.Read(new MemoryStream(Gpt(3 * MiB, (0, 2048, 4095), (14, 4096, 6143)))));

    [Fact]
    public void Partitions_beyond_the_disk_do_not_count()
    {
        Assert.Equal([new Partition(0, 0, MiB)], PartitionTable.Read(new MemoryStream(Mbr(MiB, (0, 2048, 1), (1, 1, uint.MaxValue)))));
        Assert.Equal([new Partition(0, 0, MiB)], PartitionTable.Read(new MemoryStream(Gpt(MiB, (0, 34, ulong.MaxValue), (1, ulong.MaxValue - 1, ulong.MaxValue), (2, 40, 39)))));
    }

    [Fact]
    public void A_table_that_lies_about_itself_is_survived()
    {
        var random = new Random(5);
        for (var i = 0; i < 200; i++)
        {
            var disk = Gpt(MiB, (0, 2048, 4095));
            random.NextBytes(disk.AsSpan(Sector + 8, Sector - 8));
            var partitions = PartitionTable.Read(new MemoryStream(disk));
            Assert.All(partitions, partition => Assert.True(partition.Start + partition.Length <= MiB));
        }
    }

    [Theory]
    [InlineData("6.9.0-1-amd64", "6.10.0-1-amd64")]
    [InlineData("6.1.0-9-cloud-amd64", "6.1.0-56-cloud-amd64")]
    [InlineData("5.10", "6.1")]
    public void Releases_are_compared_as_people_count(string older, string newer)
    {
        Assert.True(BootFiles.CompareReleases(older, newer) < 0);
        Assert.True(BootFiles.CompareReleases(newer, older) > 0);
    }

    [Fact]
    public async Task A_cloud_image_is_imported_with_its_newest_kernel()
    {
        var file = await CreateImageAsync("vmlinuz-6.1.0-9-amd64", "vmlinuz-6.1.0-10-amd64", "initrd.img-6.1.0-9-amd64", "initrd.img-6.1.0-10-amd64");

        var image = await Store.ImportAsync("cloud", new ImageImport(file), new Progress(), Cancellation);

        Assert.Equal(("cloud", "6.1.0-10-amd64", "console=ttyS0 root=/dev/vda1 ro"), (image.Name, image.Version, image.CommandLine));
        Assert.Equal("vmlinuz-6.1.0-10-amd64", File.ReadAllText(image.KernelPath));
        Assert.Equal("initrd.img-6.1.0-10-amd64", File.ReadAllText(image.InitrdPath!));
        Assert.Equal("QFI\u00fb", Encoding.Latin1.GetString(File.ReadAllBytes(image.DiskPath!), 0, 4));
        Assert.Equal(image, Store.Find("cloud"));
        Assert.True(Store.HasDisk("cloud"));
        Assert.Contains("cloud", Store.Names);
        Assert.Contains("import it again", (await Assert.ThrowsAsync<ImageException>(() => Store.BuildAsync("cloud", new Progress(), Cancellation))).Message, StringComparison.Ordinal);
        Assert.Single(await Store.RemoveAsync("cloud", Cancellation));
        Assert.DoesNotContain("cloud", Store.Names);
    }

    [Fact]
    public async Task A_kernel_of_ones_own_needs_none_in_the_image()
    {
        var file = await CreateImageAsync("README");
        var without = await Assert.ThrowsAsync<ImageException>(() => Store.ImportAsync("cloud", new ImageImport(file), new Progress(), Cancellation));
        Assert.Contains("no kernel in an ext4 file system's /boot", without.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("cloud", Store.Names);

        var image = await Store.ImportAsync("cloud", new ImageImport(file) { Kernel = _folder.Script("my-kernel", "mine"), CommandLine = "quiet" }, new Progress(), Cancellation);

        Assert.Equal(("mine", "quiet", null), (File.ReadAllText(image.KernelPath), image.CommandLine, image.InitrdPath));
    }

    [Theory]
    [InlineData(257, "ustar", "is an archive of files")]
    [InlineData(0, "\u001f\u008b", "is compressed; unpack it first")]
    [InlineData(0, "\u00fd7zXZ", "is compressed; unpack it first")]
    [InlineData(0, null, "is empty")]
    public async Task What_is_no_disk_image_is_refused(int at, string? magic, string sentence)
    {
        var bytes = new byte[magic is null ? 0 : Sector];
        Encoding.Latin1.GetBytes(magic ?? "").CopyTo(bytes, at);
        File.WriteAllBytes(_folder.File("file"), bytes);

        var refused = await Assert.ThrowsAsync<ImageException>(() => Store.ImportAsync("cloud", new ImageImport(_folder.File("file")), new Progress(), Cancellation));

        Assert.Contains(sentence, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_name_of_an_image_that_is_built_here_is_refused() =>
        Assert.Contains("another --name", (await Assert.ThrowsAsync<ImageException>(() => Store.ImportAsync("debian", new ImageImport("x"), new Progress(), Cancellation))).Message, StringComparison.Ordinal);

    // A disk with an MBR and one ext4 partition, as clouds have them.
    private async Task<string> CreateImageAsync(params string[] boot)
    {
        const int size = 8 * MiB;
        var mke2fs = HostCommand.Find("mke2fs", "/usr/sbin", "/sbin");
        Assert.SkipWhen(mke2fs is null || HostCommand.Find("debugfs", "/usr/sbin", "/sbin") is null, "mke2fs and debugfs (e2fsprogs) are not installed");
        _folder.Folder("root/etc");
        _folder.Folder("root/boot");
        foreach (var name in boot) File.WriteAllText(_folder.File($"root/boot/{name}"), name);
        var made = await mke2fs!.RunAsync(["-q", "-t", "ext4", "-d", _folder.File("root"), _folder.File("partition"), "8M"], _folder.Path, null, Cancellation);
        Assert.Equal(0, made.ExitCode);
        var disk = Mbr(MiB + size, (0, MiB / Sector, size / Sector));
        (await File.ReadAllBytesAsync(_folder.File("partition"), Cancellation)).CopyTo(disk, MiB);
        await File.WriteAllBytesAsync(_folder.File("disk.raw"), disk, Cancellation);
        return _folder.File("disk.raw");
    }

    private static byte[] Mbr(int length, params (int Index, uint Start, uint Sectors)[] partitions)
    {
        var disk = new byte[length];
        (disk[510], disk[511]) = (0x55, 0xaa);
        foreach (var (index, start, sectors) in partitions)
        {
            var entry = disk.AsSpan(446 + index * 16, 16);
            entry[4] = 0x83;
            BinaryPrimitives.WriteUInt32LittleEndian(entry[8..], start);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[12..], sectors);
        }
        return disk;
    }

    private static byte[] Gpt(int length, params (int Index, ulong First, ulong Last)[] partitions)
    {
        var disk = Mbr(length, (0, 1, 0xffff_ffff));
        var header = disk.AsSpan(Sector, Sector);
        "EFI PART"u8.CopyTo(header);
        BinaryPrimitives.WriteUInt64LittleEndian(header[72..], 2);
        BinaryPrimitives.WriteUInt32LittleEndian(header[80..], 128);
        BinaryPrimitives.WriteUInt32LittleEndian(header[84..], 128);
        foreach (var (index, first, last) in partitions)
        {
            var entry = disk.AsSpan(2 * Sector + index * 128, 128);
            entry[..16].Fill(0x0f);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[32..], first);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[40..], last);
        }
        return disk;
    }

    private sealed class Progress : IProgress<ImageProgress>
    {
        public void Report(ImageProgress value)
        {
        }
    }
}
