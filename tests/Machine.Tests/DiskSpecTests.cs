// Disks and shared folders in the words in which people give them.
using Lamina.Backends.Disk;
using Xunit;

namespace Lamina.Tests.Machines;

public sealed class DiskSpecTests
{
    [Fact]
    public void A_path_alone_is_a_disk_that_is_written_and_durable_when_flushed()
    {
        var disk = DiskSpec.Parse("disk.qcow2");

        Assert.Equal(("disk.qcow2", null, false, DiskCache.WriteBack, true, null), (disk.Path, disk.Format, disk.ReadOnly, disk.Cache, disk.Discard, disk.Queues));
        Assert.Equal((false, false, false, false, 0), (disk.Direct, disk.Temporary, disk.TrustsBacking, disk.PausesWhenFull, disk.Backing.Count));
    }

    [Fact]
    public void Every_option_is_understood()
    {
        var disk = DiskSpec.Parse("a,,b.img,ro,format=raw,serial=x=1,cache=writethrough,direct,aio=io_uring,queues=4,discard=off,on-full=pause,temporary,backing=c,,d,backing=e,backing=any");

        Assert.Equal(("a,b.img", DiskFormat.Raw, true, DiskCache.WriteThrough, false, 4), (disk.Path, disk.Format, disk.ReadOnly, disk.Cache, disk.Discard, disk.Queues));
        Assert.Equal(("x=1", true, true, true, true), (disk.Serial, disk.Direct, disk.Temporary, disk.TrustsBacking, disk.PausesWhenFull));
        Assert.Equal(["c,d", "e"], disk.Backing);
        Assert.Equal(DiskAio.IoUring, disk.Aio);
    }

    [Fact]
    public void Help_tells_of_no_option_that_is_not_understood()
    {
        foreach (var (word, _) in DiskSpec.Words)
        {
            var value = word.Replace("raw|qcow2", "raw", StringComparison.Ordinal).Replace("error|pause", "pause", StringComparison.Ordinal).Replace("auto|io_uring|threads", "threads", StringComparison.Ordinal).Replace("MODE", "unsafe", StringComparison.Ordinal).Replace("N", "2", StringComparison.Ordinal);
            Assert.Equal("disk", DiskSpec.Parse($"disk,{value}").Path);
        }
    }

    [Theory]
    [InlineData("", "needs the path")]
    [InlineData(",ro", "needs the path")]
    [InlineData("disk,", "\"\" is no option")]
    [InlineData("disk,ro=1", "\"ro=1\" is no option")]
    [InlineData("disk,format=vhd", "\"format=vhd\" is no option")]
    [InlineData("disk,queues=many", "\"queues=many\" is no option")]
    [InlineData("disk,aio=native", "\"aio=native\" is no option")]
    [InlineData("disk,on-full=stop", "\"on-full=stop\" is no option")]
    [InlineData("disk,serial=", "\"serial=\" is no option")]
    [InlineData("disk,backing=", "\"backing=\" is no option")]
    public void What_is_no_disk_is_refused_in_a_sentence(string text, string sentence) =>
        Assert.Contains(sentence, Assert.Throws<MachineException>(() => DiskSpec.Parse(text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("/srv/data:data", "/srv/data", "data", false)]
    [InlineData("/srv/data:data:ro", "/srv/data", "data", true)]
    [InlineData("a:b:c", "a:b", "c", false)]
    public void A_shared_folder_is_a_path_and_a_tag(string text, string path, string tag, bool readOnly) =>
        Assert.Equal(new ShareSpec(path, tag, readOnly), ShareSpec.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData("folder")]
    [InlineData("folder:")]
    [InlineData(":tag")]
    [InlineData("folder:ro")]
    public void What_is_no_shared_folder_is_refused(string text)
    {
        // "folder:ro" is a folder that is called so for reading only, without a tag.
        Assert.Throws<MachineException>(() => ShareSpec.Parse(text));
    }

    [Fact]
    public void A_machine_has_no_more_devices_than_slots_and_no_tag_twice()
    {
        var spec = new MachineSpec { Boot = new BootSource { KernelPath = "/nonexistent" } };

        Refused("room for 32 virtio devices", spec with { Disks = [.. Enumerable.Range(0, 31).Select(i => new DiskSpec { Path = $"{i}" })] });
        Refused("have the same tag", spec with { Shares = [new ShareSpec("/", "a"), new ShareSpec("/tmp", "a")] });
        Refused("there is no folder", spec with { Shares = [new ShareSpec("/nonexistent", "a")] });
        Refused("longer than 36 bytes", spec with { Shares = [new ShareSpec("/", new string('x', 37))] });

        static void Refused(string sentence, MachineSpec spec) =>
            Assert.Contains(sentence, Assert.Throws<MachineException>(() => Machine.Create(spec)).Message, StringComparison.Ordinal);
    }
}
