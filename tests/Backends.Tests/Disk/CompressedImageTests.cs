// Copies of disks whose clusters are compressed: what QEMU and we read in them is what the disk held.
using Lamina.Backends.Disk;
using Xunit;

namespace Lamina.Tests.Backends.Disk;

public sealed class CompressedImageTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    // Noise, zeros, and what can be compressed, in pieces that have nothing to do with clusters; the last cluster is not whole.
    private byte[] MakeDisk(int length, int seed)
    {
        var random = new Random(seed);
        var content = new byte[length];
        for (var at = 0; at < length;)
        {
            var piece = content.AsSpan(at, Math.Min(length - at, random.Next(1, 200_000)));
            switch (random.Next(3))
            {
                case 0: random.NextBytes(piece); break;
                case 1: piece.Fill((byte)random.Next(256)); break;
            }
            at += piece.Length;
        }
        File.WriteAllBytes(_folder["disk.raw"], content);
        return content;
    }

    private void Convert(string source, string target, ulong clusterSize = 1 << 16, bool compressed = true, int version = 3, DiskFormat format = DiskFormat.Qcow2) =>
        DiskTools.Convert(new DiskOptions { Path = _folder[source] },
            new DiskCreation { Path = _folder[target], ClusterSize = clusterSize, Compressed = compressed, Version = version, Format = format }, null, TestContext.Current.CancellationToken);

    [Theory]
    [InlineData(1 << 9)]
    [InlineData(1 << 12)]
    [InlineData(1 << 16)]
    [InlineData(1 << 21)]
    public void A_compressed_copy_reads_as_the_disk_and_checks_clean(int clusterSize)
    {
        var content = MakeDisk(3 * 1024 * 1024 + 1536, clusterSize);

        Convert("disk.raw", "packed.qcow2", (ulong)clusterSize);
        Convert("packed.qcow2", "back.raw", compressed: false, format: DiskFormat.Raw);

        Assert.True(DiskTools.Check(_folder["packed.qcow2"], repair: false).Found.IsClean);
        Assert.True(File.ReadAllBytes(_folder["back.raw"]).AsSpan().SequenceEqual(content));
        // Tables take whole clusters, of which few are as large as this.
        if (clusterSize <= 1 << 16) Assert.True(new FileInfo(_folder["packed.qcow2"]).Length < content.Length);
    }

    [Theory]
    [InlineData(1 << 9)]
    [InlineData(1 << 16)]
    [InlineData(1 << 21)]
    public void Qemu_reads_a_compressed_copy_and_finds_nothing_wrong(int clusterSize)
    {
        QemuImg.SkipWhereMissing();
        var content = MakeDisk(3 * 1024 * 1024 + 512, clusterSize + 1);

        Convert("disk.raw", "packed.qcow2", (ulong)clusterSize);

        QemuImg.AssertClean(_folder["packed.qcow2"]);
        Assert.True(QemuImg.ReadAll(_folder["packed.qcow2"], _folder["back.raw"]).AsSpan().SequenceEqual(content));
    }

    [Fact]
    public void What_is_written_to_a_compressed_copy_is_stored_as_it_is()
    {
        var content = MakeDisk(1 << 20, 3);
        Convert("disk.raw", "packed.qcow2");
        var written = new byte[4096];
        new Random(4).NextBytes(written);

        using (var disk = DiskImages.Open(new DiskOptions { Path = _folder["packed.qcow2"] })) disk.Write(70_144, written);
        written.CopyTo(content, 70_144);
        Convert("packed.qcow2", "back.raw", compressed: false, format: DiskFormat.Raw);

        Assert.True(DiskTools.Check(_folder["packed.qcow2"], repair: false).Found.IsClean);
        Assert.True(File.ReadAllBytes(_folder["back.raw"]).AsSpan().SequenceEqual(content));
    }

    [Theory]
    [InlineData(2, DiskFormat.Qcow2, "version 3")]
    [InlineData(3, DiskFormat.Raw, "raw image")]
    public void What_cannot_be_compressed_is_refused_and_nothing_is_left(int version, DiskFormat format, string sentence)
    {
        MakeDisk(1 << 16, 5);

        var refusal = Assert.Throws<DiskImageException>(() => Convert("disk.raw", "packed", version: version, format: format));

        Assert.Contains(sentence, refusal.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(_folder["packed"]));
    }
}
