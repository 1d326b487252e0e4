// Disks that get a new image while they are in use, upon the one that they had.
using Lamina.Backends.Disk;
using Lamina.Core.Block;
using Lamina.Core.Inspection;
using Lamina.Host;
using Xunit;

namespace Lamina.Tests.Backends.Disk;

[Collection(Alone.Name)]
public sealed class LayeredDiskTests : IDisposable
{
    private const ulong Size = 1 << 20;

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string Image => _folder["disk.qcow2"];

    private LayeredDisk Open()
    {
        DiskTools.Create(new DiskCreation { Path = Image, Size = Size, LazyRefcounts = true });
        return Assert.IsType<LayeredDisk>(LayeredDisk.Open(new DiskOptions { Path = Image }));
    }

    private static IBlockBackend Read(string path, params string[] backing) => DiskImages.Open(new DiskOptions { Path = path, ReadOnly = true, Backing = backing });

    // What is done with the files while a machine stands still.
    private void Exchange(string layer)
    {
        File.Move(Image, layer);
        File.Move(_folder["new.qcow2"], Image);
    }

    [Fact]
    public void What_stood_on_it_stays_and_what_is_written_afterwards_is_in_the_new_image()
    {
        var layers = new List<string>();
        using (var disk = Open())
        {
            for (uint round = 1; round <= 4; round++)
            {
                disk.Write(8192 * (ulong)round, DiskModel.Filled(8, round));
                disk.Write(0, DiskModel.Filled(1, round));
                using var layer = disk.Add(_folder["new.qcow2"], $"layer-{round}.qcow2");
                layers.Add(_folder[$"layer-{round}.qcow2"]);
                Exchange(layers[^1]);
                layer.Use();
                // Others may read what is below, while this one goes on.
                using var below = Read(layers[^1], [.. layers]);
                Assert.Equal(DiskModel.Filled(1, round), below.Read(0, 512));
            }
            disk.Write(0, DiskModel.Filled(1, 9));
            Assert.Equal(DiskModel.Filled(8, 2), disk.Read(16384, 4096));
            disk.Flush();
        }

        using (var whole = Read(Image, [.. layers]))
        {
            Assert.Equal(DiskModel.Filled(1, 9), whole.Read(0, 512));
            for (uint round = 1; round <= 4; round++) Assert.Equal(DiskModel.Filled(8, round), whole.Read(8192 * round, 4096));
        }
        for (var round = 1; round <= 4; round++)
        {
            Assert.Contains(("state", "closed"), DiskTools.Inspect(layers[round - 1]).Properties);
            Assert.True(DiskTools.Check(layers[round - 1], repair: false).Found.IsClean);
            using var layer = Read(layers[round - 1], [.. layers]);
            Assert.Equal(DiskModel.Filled(1, (uint)round), layer.Read(0, 512));
            if (round < 4) Assert.Equal(new byte[512], layer.Read(8192 * (ulong)(round + 1), 512));
        }
    }

    [Fact]
    public void One_that_is_not_used_leaves_the_disk_as_it_was()
    {
        using var disk = Open();
        disk.Write(0, DiskModel.Filled(1, 1));

        disk.Add(_folder["new.qcow2"], "layer-1.qcow2").Dispose();
        disk.Write(512, DiskModel.Filled(1, 2));
        disk.Flush();

        Assert.False(File.Exists(_folder["new.qcow2"]));
        Assert.Equal(DiskModel.Filled(1, 2), disk.Read(512, 512));
        disk.Dispose();
        using var read = Read(Image);
        Assert.Equal((DiskModel.Filled(1, 1)[0], DiskModel.Filled(1, 2)[0]), (read.Read(0, 512)[0], read.Read(512, 512)[0]));
        Assert.True(DiskTools.Check(Image, repair: false).Found.IsClean);
    }

    [Fact]
    public void A_place_that_is_taken_or_not_there_is_a_sentence_and_the_disk_goes_on()
    {
        File.WriteAllText(_folder["taken"], "");
        using var disk = Open();

        Assert.Throws<HostException>(() => disk.Add(_folder["taken"], "layer-1.qcow2"));
        Assert.ThrowsAny<IOException>(() => disk.Add(_folder["no/where"], "layer-1.qcow2"));

        Assert.True(File.Exists(_folder["taken"]));
        disk.Write(0, DiskModel.Filled(1, 1));
        disk.Flush();
        Assert.Equal(DiskModel.Filled(1, 1), disk.Read(0, 512));
    }

    [Fact]
    public void Images_that_are_not_written_or_not_qcow2_can_have_none()
    {
        File.WriteAllBytes(_folder["raw"], new byte[4096]);
        DiskTools.Create(new DiskCreation { Path = Image, Size = Size });

        using var raw = LayeredDisk.Open(new DiskOptions { Path = _folder["raw"], Format = DiskFormat.Raw });
        using var read = LayeredDisk.Open(new DiskOptions { Path = Image, ReadOnly = true });

        Assert.IsNotType<LayeredDisk>(raw);
        Assert.IsNotType<LayeredDisk>(read);
    }

    [Fact]
    public void The_new_image_is_nobody_elses_to_write_and_can_be_looked_at()
    {
        using var disk = Open();
        using (var layer = disk.Add(_folder["new.qcow2"], "layer-1.qcow2"))
        {
            Exchange(_folder["layer-1.qcow2"]);
            layer.Use();
        }

        Assert.Throws<HostException>(() => DiskImages.Open(new DiskOptions { Path = Image, TrustsBacking = true }));
        var node = new InspectNode("disk");
        disk.Inspect(node);
        Assert.NotNull(node.Find("backing"));
    }
}
