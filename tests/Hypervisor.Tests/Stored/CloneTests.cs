// Machines made of others: the same on both disks, which neither changes for the other, whatever becomes of one of them.
using Lamina.Backends.Disk;
using Lamina.Core.Block;
using Lamina.Host.Io;
using Lamina.Hypervisor.Snapshots;
using Lamina.Hypervisor.Stored;
using Lamina.Images;
using Xunit;

namespace Lamina.Tests.Hypervisor.Stored;

public sealed class CloneTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-clone-").FullName;
    private readonly Image _image;

    public CloneTests()
    {
        var home = Directory.CreateDirectory(Path.Combine(_folder, "image")).FullName;
        string kernel = Path.Combine(home, "kernel"), disk = Path.Combine(home, "disk.qcow2");
        File.WriteAllText(kernel, "kernel");
        DiskTools.Create(new DiskCreation { Path = disk, Size = 16 << 20 });
        _image = new Image("some", "1.0", home, kernel, null, "root=/dev/vda") { DiskPath = disk, Memory = 512 << 20 };
    }

    private MachineStore Store => new(Path.Combine(_folder, "machines"));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_clone_begins_with_what_stands_on_the_disk_and_both_go_on_by_themselves()
    {
        Make("web");
        Write("web", 0, 0x11);
        Write("web", 1 << 20, 0x22);

        Assert.Empty(Store.Clone("web", "two"));
        Write("web", 0, 0x33);
        Write("two", 1 << 20, 0x44);

        Assert.Equal((0x33, 0x22), (Read("web", 0), Read("web", 1 << 20)));
        Assert.Equal((0x11, 0x44), (Read("two", 0), Read("two", 1 << 20)));
        Assert.Equal("kernel", File.ReadAllText(Store.HomeOf("two").Kernel));
    }

    [Fact]
    public void What_firmware_keeps_is_copied_and_is_each_ones_own()
    {
        Make("web");
        Directory.CreateDirectory(Store.HomeOf("web").Work);
        File.WriteAllBytes(Store.HomeOf("web").Variables, [1, 2, 3]);

        Store.Clone("web", "two");
        File.WriteAllBytes(Store.HomeOf("web").Variables, [4]);

        Assert.Equal(new byte[] { 1, 2, 3 }, File.ReadAllBytes(Store.HomeOf("two").Variables));

        // What a process left there that is no machine's goes nowhere.
        File.WriteAllText(Path.Combine(_folder, "secret"), "x");
        File.Delete(Store.HomeOf("web").Variables);
        File.CreateSymbolicLink(Store.HomeOf("web").Variables, Path.Combine(_folder, "secret"));
        Assert.EndsWith("remove what lies there, which no machine left", Assert.Throws<MachineException>(() => Store.Clone("web", "three")).Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Store.HomeOf("three").Folder));
    }

    [Fact]
    public async Task A_snapshot_of_a_machine_that_is_off_has_what_firmware_kept()
    {
        Make("web");
        var home = Store.HomeOf("web");
        await SnapshotStore.CreateAsync(home, "before", cancellationToken: TestContext.Current.CancellationToken);
        Directory.CreateDirectory(home.Work);
        File.WriteAllBytes(home.Variables, [1]);
        await SnapshotStore.CreateAsync(home, "after", cancellationToken: TestContext.Current.CancellationToken);
        File.WriteAllBytes(home.Variables, [2]);

        SnapshotStore.Restore(home, "after");
        Assert.Equal(new byte[] { 1 }, File.ReadAllBytes(home.Variables));
        SnapshotStore.Restore(home, "before");
        Assert.False(File.Exists(home.Variables));
    }

    [Fact]
    public async Task A_machine_has_so_many_snapshots_and_one_more_when_one_is_removed()
    {
        Make("web");
        var home = Store.HomeOf("web");
        await TakeAsync("s0");
        // Copies of the first are as good, and there at once.
        var first = SnapshotStore.Find(home, "s0");
        for (var i = 1; i < SnapshotStore.Most - 1; i++)
        {
            var folder = Directory.CreateDirectory(Path.Combine(home.Snapshots, $"s{i}")).FullName;
            File.Copy(Snapshot.DefinitionIn(Path.Combine(home.Snapshots, "s0")), Snapshot.DefinitionIn(folder));
            (first with { Name = $"s{i}" }).Write(folder);
        }
        await TakeAsync("last");

        var refused = await Assert.ThrowsAsync<MachineException>(() => TakeAsync("more"));

        Assert.Equal($"the machine web has {SnapshotStore.Most} snapshots, which is as many as there can be; remove some with 'lamina snapshot rm'", refused.Message);
        Assert.Equal(SnapshotStore.Most, SnapshotStore.List(home).Count);
        Assert.Empty(Directory.EnumerateDirectories(home.Snapshots, SnapshotStore.Unfinished + "*"));
        SnapshotStore.Remove(home, "s7");
        await TakeAsync("more");
        Assert.Equal(SnapshotStore.Most, SnapshotStore.List(home).Count);

        Task TakeAsync(string name) => SnapshotStore.CreateAsync(home, name, cancellationToken: TestContext.Current.CancellationToken);
    }

    [Theory]
    [InlineData("web")]
    [InlineData("two")]
    public void Whoever_is_removed_leaves_the_others_whole(string gone)
    {
        Make("web");
        Write("web", 0, 0x11);
        Store.Clone("web", "two");
        Write("two", 4096, 0x22);
        Store.Clone("two", "three");

        Store.Remove(gone);
        Directory.Delete(_image.Folder, recursive: true);

        foreach (var name in ((string[])["web", "two", "three"]).Where(name => name != gone)) Assert.Equal(0x11, Read(name, 0));
        Assert.Equal(0x22, Read("three", 4096));
    }

    [Fact]
    public void A_renamed_clone_finds_its_disks_and_what_they_are_based_on()
    {
        DiskTools.Create(new DiskCreation { Path = Path.Combine(_folder, "data.raw"), Size = 1 << 20, Format = DiskFormat.Raw });
        File.WriteAllBytes(Path.Combine(_folder, "data.raw"), [.. Enumerable.Repeat((byte)7, 1 << 20)]);
        Make("web", new DiskDevice { Name = "data", Path = Path.Combine(_folder, "data.raw") }, new DiskDevice { Path = Path.Combine(_folder, "data.raw"), ReadOnly = true, Name = "seen" });
        Write("web", 0, 0x11);
        Store.Clone("web", "two");

        Store.Rename("two", "other");

        Assert.Equal(0x11, Read("other", 0));
        using var machine = Store.OpenToRun("other");
        var disks = machine.Definition.DevicesOf<DiskDevice>().ToList();
        Assert.Equal((Path.Combine(Store.HomeOf("other").Folder, "data.qcow2"), ImageFormat.Qcow2), (disks[0].Path, disks[0].Format));
        Assert.Equal(7, ReadFirst(disks[0], 5000));
        Assert.Equal(Path.Combine(_folder, "data.raw"), disks[1].Path);
    }

    [Fact]
    public void A_disk_that_was_not_written_since_gets_no_layer()
    {
        Make("web");
        Store.Clone("web", "one");
        Assert.Empty(Store.HomeOf("web").Layers);
        Write("web", 0, 0x11);

        foreach (var name in (string[])["two", "three", "four"]) Store.Clone("web", name);

        Assert.Single(Store.HomeOf("web").Layers);
        Assert.Equal(0x11, Read("four", 0));
    }

    [Fact]
    public void Many_clones_of_a_machine_that_is_written_between_them_stay_usable()
    {
        Make("web");
        for (var i = 1; i <= 20; i++)
        {
            Write("web", (ulong)i << 16, (byte)i);
            Store.Clone("web", $"c{i}");
        }

        for (var i = 1; i <= 20; i++)
            for (var block = 1; block <= 20; block++)
                Assert.Equal(block <= i ? block : 0, Read($"c{i}", (ulong)block << 16));
        Assert.InRange(Store.HomeOf("web").Layers.Count, 1, 20);
    }

    [Fact]
    public void A_disk_has_so_many_layers_and_the_next_clone_is_a_copy()
    {
        const int most = 48;
        Make("web");
        for (var i = 1; i <= most + 1; i++)
        {
            Write("web", (ulong)i << 16, (byte)i);
            Store.Clone("web", $"c{i}");
        }

        Assert.Equal((most, most, 0), (Store.HomeOf("web").Layers.Count, Store.HomeOf($"c{most}").Layers.Count, Store.HomeOf($"c{most + 1}").Layers.Count));
        for (var block = 1; block <= most + 1; block++) Assert.Equal(block, Read($"c{most + 1}", (ulong)block << 16));
    }

    [Fact]
    public void A_disk_with_snapshots_keeps_them_and_the_clone_has_what_stands_on_it()
    {
        Make("web");
        Write("web", 0, 0x11);
        DiskTools.CreateSnapshot(Store.HomeOf("web").Disk, "before", DateTimeOffset.UnixEpoch);
        Write("web", 0, 0x22);

        Store.Clone("web", "two");

        Assert.Equal("before", Assert.Single(DiskTools.Snapshots(Store.HomeOf("web").Disk)).Name);
        Assert.Equal(0x22, Read("two", 0));
        DiskTools.ApplySnapshot(Store.HomeOf("web").Disk, "before");
        Assert.Equal((0x11, 0x22), (Read("web", 0), Read("two", 0)));
    }

    [Fact]
    public void A_disk_that_was_made_larger_is_as_large_in_the_clone()
    {
        Make("web");
        using (var machine = Store.OpenToRun("web")) machine.Grow(32 << 20);
        Write("web", 31 << 20, 0x11);

        Store.Clone("web", "two");

        Assert.Equal(32ul << 20, DiskTools.Inspect(Store.HomeOf("two").Disk).Size);
        Assert.Equal(0x11, Read("two", 31 << 20));
    }

    [Fact]
    public void What_a_killed_program_left_of_a_layer_is_cleared_away()
    {
        Make("web");
        Write("web", 0, 0x11);
        var home = Store.HomeOf("web");
        File.CreateSymbolicLink(Path.Combine(home.Folder, "layer-3.qcow2"), home.Disk);
        File.WriteAllText(home.Disk + ".new", "half");

        Assert.Equal(0x11, Read("web", 0));
        Store.Clone("web", "two");

        Assert.Equal(["layer-1.qcow2"], home.Layers.Select(path => Path.GetFileName(path)));
        Assert.Equal((0x11, 0x11), (Read("web", 0), Read("two", 0)));
    }

    [Fact]
    public void A_machine_that_runs_is_not_copied_and_nothing_is_left_of_the_clone()
    {
        Make("web");
        using var running = Store.OpenToRun("web");

        var refused = Assert.Throws<MachineException>(() => Store.Clone("web", "two"));

        Assert.Equal("the machine web is running, and its disk changes meanwhile; stop it first ('lamina stop web'), then clone it", refused.Message);
        Assert.False(Directory.Exists(Store.HomeOf("two").Folder));
    }

    [Fact]
    public void A_clone_whose_disk_cannot_be_copied_is_not_there()
    {
        Make("web", new DiskDevice { Path = Path.Combine(_folder, "none.raw"), Name = "data" });

        Assert.ThrowsAny<Exception>(() => Store.Clone("web", "two"));

        Assert.False(Directory.Exists(Store.HomeOf("two").Folder));
        Assert.Equal(["web"], Store.Names);
    }

    [Fact]
    public void The_clone_has_a_name_and_an_identity_of_its_own_and_is_told_no_script_again()
    {
        Make("web", new NetworkDevice { Mac = "02:00:00:00:00:01", Link = new NetworkLink.User { Published = [PublishedPort.Parse("8080:80"), PublishedPort.Parse("0:81")] } }, new VsockDevice { Path = "/tmp/s", Cid = 9 });
        using (var machine = Store.OpenToRun("web")) machine.SetSeed(new Seed { HostName = "web", User = "alice", Keys = ["ssh-ed25519 AAAA x"], UserData = "#!/bin/sh\necho once\n"u8.ToArray() });

        var notes = Store.Clone("web", "two");

        Assert.Equal(["two publishes 127.0.0.1:8080 as web does, and one of them can run at a time; 'lamina set two --unpublish 127.0.0.1:8080 --publish …' gives it another"], notes);
        var (first, second) = (Settings("web"), Settings("two"));
        Assert.Contains("local-hostname: two\nlamina-user: alice\npublic-keys:\n  - \"ssh-ed25519 AAAA x\"\n", second, StringComparison.Ordinal);
        Assert.Contains("lamina-copy: ", second, StringComparison.Ordinal);
        Assert.NotEqual(first.Split('\n')[0], second.Split('\n')[0]);
        Assert.DoesNotContain("once", System.Text.Encoding.Latin1.GetString(File.ReadAllBytes(Store.HomeOf("two").Seed)), StringComparison.Ordinal);
        using var clone = Store.OpenToRun("two");
        Assert.Null(clone.Definition.DevicesOf<NetworkDevice>().Single().Mac);
        Assert.Equal((9u, clone.Home.Sockets), (clone.Definition.DevicesOf<VsockDevice>().Single().Cid, clone.Definition.DevicesOf<VsockDevice>().Single().Path));
    }

    private void Make(string name, params DeviceDefinition[] devices) => Store.Create(name, MachineStore.Of(_image).With(devices), _image);

    private string Settings(string name) => System.Text.Encoding.UTF8.GetString(FatImage.TryRead(File.ReadAllBytes(Store.HomeOf(name).Seed), "meta-data")!);

    private void Write(string name, ulong at, byte value)
    {
        using var machine = Store.OpenToRun(name);
        using var disk = DiskImages.Open(new DiskOptions { Path = machine.Disk!.Path, Backing = machine.Disk.Backing });
        using var buffer = new HostBuffer(512);
        buffer.Span.Fill(value);
        disk.Write(at, [IoVector.Of(buffer, 0, 512)]);
        disk.Flush();
    }

    private int Read(string name, ulong at)
    {
        using var machine = Store.OpenToRun(name);
        return ReadFirst(machine.Disk!, at);
    }

    private static int ReadFirst(DiskDevice device, ulong at)
    {
        using var disk = DiskImages.Open(new DiskOptions { Path = device.Path, Backing = device.Backing, ReadOnly = true });
        using var buffer = new HostBuffer(512);
        disk.Read(at / 512 * 512, [IoVector.Of(buffer, 0, 512)]);
        return buffer.Span[0];
    }
}
