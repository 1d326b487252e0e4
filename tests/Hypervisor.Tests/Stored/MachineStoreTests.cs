// Machines that keep a disk: made once, found again, one run at a time, independent of their image.
using Lamina.Backends.Disk;
using Lamina.Core.Block;
using Lamina.Host.Io;
using Lamina.Images;
using Lamina.Hypervisor.Stored;
using Xunit;

namespace Lamina.Tests.Hypervisor.Stored;

public sealed class MachineStoreTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-store-").FullName;
    private readonly Image _image;
    private int _asked;

    public MachineStoreTests()
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
    public void A_machine_is_made_once_and_keeps_its_disk()
    {
        using (var made = Start("web"))
        {
            Assert.True(made.IsNew);
            Assert.Null(made.InitrdPath);
            Assert.Null(made.SeedDisk);
            made.SetSeed(new Seed { HostName = "web", User = "alice" });
            Write(made.Disk!, 0x5a);
        }

        using var again = Open("web");

        Assert.Equal((false, 1), (again.IsNew, _asked));
        Assert.Equal(0x5a, ReadFirst(again.Disk!));
        Assert.Equal(("some", "1.0", "root=/dev/vda", 512ul << 20), (again.Definition.Image, again.Definition.ImageVersion, again.Definition.Boot.CommandLine, again.Definition.MemoryBytes));
        Assert.True(again.SeedDisk is { ReadOnly: true, Format: ImageFormat.Raw });
    }

    [Fact]
    public void The_image_stays_clean_and_may_go()
    {
        var before = File.ReadAllBytes(_image.DiskPath!);
        using (var made = Start("web")) Write(made.Disk!, 0x5a);

        Assert.Equal(before, File.ReadAllBytes(_image.DiskPath!));
        Directory.Delete(_image.Folder, recursive: true);
        using var again = Open("web");
        Assert.Equal(0x5a, ReadFirst(again.Disk!));
        Assert.Equal("kernel", File.ReadAllText(again.KernelPath!));
    }

    [Fact]
    public void Two_runs_of_one_machine_are_refused_and_two_machines_are_not()
    {
        using var first = Start("web");

        Assert.Contains("web is running already", Assert.Throws<MachineException>(() => Open("web")).Message, StringComparison.Ordinal);
        Assert.Contains("web is running", Assert.Throws<MachineException>(() => Store.Remove("web")).Message, StringComparison.Ordinal);
        using var second = Start("db");
        Assert.Equal([("db", true), ("web", true)], Store.List().Select(machine => (machine.Name, machine.IsRunning)));
    }

    [Fact]
    public async Task A_machine_that_was_closed_can_be_opened_at_once_whatever_processes_are_being_started()
    {
        Start("web").Dispose();
        using var done = new CancellationTokenSource();
        var starts = Task.Run(async () =>
        {
            while (!done.IsCancellationRequested)
            {
                using var process = System.Diagnostics.Process.Start("true");
                await process.WaitForExitAsync(TestContext.Current.CancellationToken);
            }
        }, TestContext.Current.CancellationToken);

        try
        {
            // A process that is being started has copies of this one's files until it is the program that it is to be.
            for (var i = 0; i < 2000; i++) Open("web").Dispose();
        }
        finally
        {
            await done.CancelAsync();
            await starts;
        }
    }

    [Fact]
    public void A_name_belongs_to_one_image()
    {
        Start("web").Dispose();

        var refused = Assert.Throws<MachineException>(() => Store.Open("web", "other", () => _image));

        Assert.Contains("made of some", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_machine_that_was_made_and_never_started_is_gone()
    {
        Open("web").Dispose();

        Assert.Empty(Store.List());
        Assert.Null(Store.Remove("web"));
    }

    [Fact]
    public void A_machine_that_cannot_be_made_is_told_and_leaves_nothing()
    {
        File.Delete(_image.KernelPath);

        var refused = Assert.Throws<IOException>(() => Open("web"));

        Assert.StartsWith("the machine web could not be made in ", refused.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Store.Folder));
    }

    [Fact]
    public void What_an_interrupted_making_left_is_made_anew()
    {
        Start("web").Dispose();
        var home = Path.Combine(Store.Folder, "web");
        File.Delete(Path.Combine(home, "machine.json"));

        using var again = Open("web");

        Assert.True(again.IsNew);
        Assert.Equal(2, _asked);
    }

    [Fact]
    public void A_removed_machine_leaves_nothing()
    {
        Start("web").Dispose();

        Assert.Equal(Path.Combine(Store.Folder, "web"), Store.Remove("web"));
        Assert.Equal([".lock"], Directory.EnumerateFileSystemEntries(Store.Folder).Select(Path.GetFileName));
    }

    [Fact]
    public void An_ephemeral_machine_has_no_files_once_it_started()
    {
        using var machine = MachineStore.OpenEphemeral(_image);
        machine.SetSeed(new Seed { HostName = "x", User = "alice" });
        var folder = Path.GetDirectoryName(machine.Disk!.Path);
        Assert.True(File.Exists(machine.SeedDisk!.Path));

        machine.SetStarted();

        Assert.False(Directory.Exists(folder));
    }

    [Fact]
    public void A_disk_grows_and_does_not_shrink()
    {
        using var machine = Start("web");

        machine.Grow(32 << 20);
        machine.Grow(32 << 20);

        Assert.Equal(32ul << 20, DiskTools.Inspect(machine.Disk!.Path).Size);
        Assert.Contains("cannot become smaller", Assert.Throws<MachineException>(() => machine.Grow(16 << 20)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}", "does not say what the machine boots")]
    [InlineData("", "no JSON")]
    [InlineData("{\n \"image\": \"some\",\n \"memroy\": \"1G\" }", "line 3: a machine has no property \"memroy\"; did you mean \"memory\"?")]
    public void A_damaged_definition_is_told_and_hides_no_other_machine(string text, string sentence)
    {
        Start("web").Dispose();
        Start("db").Dispose();
        File.WriteAllText(Path.Combine(Store.Folder, "web", "machine.json"), text);

        var refusal = Assert.Throws<MachineException>(() => Open("web"));

        Assert.Equal(MachineError.File, refusal.Error);
        Assert.Contains(sentence, refusal.Message, StringComparison.Ordinal);
        Assert.Contains("lamina rm web", refusal.Message, StringComparison.Ordinal);
        Assert.Equal([("db", true, null), ("web", false, refusal.Message)], Store.List().Select(machine => (machine.Name, machine.Definition is not null, machine.Problem)));
        Assert.NotNull(Store.Remove("web"));
    }

    [Fact]
    public void A_file_of_the_first_version_is_read_and_its_machine_has_the_card_that_it_had()
    {
        Start("web").Dispose();
        File.WriteAllText(Path.Combine(Store.Folder, "web", "machine.json"),
            """{ "image": "some", "version": "0.9", "commandLine": "root=/dev/vda quiet", "memory": 1073741824, "made": "2026-01-31T12:00:00+00:00" }""");

        using var machine = Open("web");

        Assert.Equal(("web", "some", "0.9", "root=/dev/vda quiet", 1ul << 30), (machine.Definition.Name, machine.Definition.Image, machine.Definition.ImageVersion, machine.Definition.Boot.CommandLine, machine.Definition.MemoryBytes));
        Assert.Equal(new DateTimeOffset(2026, 1, 31, 12, 0, 0, TimeSpan.Zero), machine.Definition.Made);
        Assert.Equal(new NetworkDevice(), Assert.Single(machine.Definition.Devices));
    }

    [Fact]
    public void A_definition_that_is_kept_is_there_at_the_next_start_with_paths_that_hold_anywhere()
    {
        var work = Path.Combine(Store.Folder, "work.img");
        using (var made = Start("web"))
        {
            File.WriteAllBytes(work, new byte[512]);
            made.Keep((made.Definition with { Cpus = 3 }).With(new DiskDevice { Path = Path.GetRelativePath(Environment.CurrentDirectory, work) }, new ShareDevice { Path = "/srv", Tag = "srv" }));
        }

        // The guest writes the header of another kind.
        File.WriteAllBytes(work, [.. "QFI"u8, 0xfb, 0, 0, 0, 3, .. new byte[504]]);
        using var again = Open("web");

        Assert.Equal(("web", 3, "some"), (again.Definition.Name, again.Definition.Cpus, again.Definition.Image));
        // What the image is taken for now it is taken for at every start, whatever its guest writes.
        Assert.Equal((work, ImageFormat.Raw), (again.Definition.DevicesOf<DiskDevice>().Single().Path, again.Definition.DevicesOf<DiskDevice>().Single().Format));
        Assert.Equal("/srv", again.Definition.DevicesOf<ShareDevice>().Single().Path);
    }

    [Theory]
    [InlineData("disk.qcow2", "gone")]
    [InlineData("base.qcow2", "gone")]
    [InlineData("kernel", "gone")]
    [InlineData("disk.qcow2", "empty")]
    [InlineData("kernel", "empty")]
    public void A_machine_whose_file_is_gone_says_so_and_what_to_do(string file, string how)
    {
        Start("web").Dispose();
        File.Delete(Path.Combine(Store.Folder, "web", file));
        if (how == "empty") File.WriteAllText(Path.Combine(Store.Folder, "web", file), "");

        Assert.Contains($"{file} of the machine web is {how}; put it back, or remove the machine", Assert.Throws<MachineException>(() => Open("web")).Message, StringComparison.Ordinal);
        Assert.Single(Store.List());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    public void Settings_that_were_cut_off_are_told_with_what_to_do(int length)
    {
        using (var made = Start("web")) made.SetSeed(new Seed { HostName = "web", User = "alice" });
        var seed = Path.Combine(Store.Folder, "web", "seed.img");
        using (var file = File.OpenWrite(seed)) file.SetLength(length);
        using var machine = Open("web");

        foreach (var ask in (Func<object?>[])[() => machine.SeedDisk, machine.ToRun])
        {
            var refused = Assert.Throws<MachineException>(ask);
            Assert.Equal(MachineError.File, refused.Error);
            Assert.Equal($"{seed}, the machine's settings, is damaged; give them again (--hostname, --user, --ssh-key, --user-data), or remove the file to go on without", refused.Message);
        }

        machine.SetSeed(new Seed { HostName = "web", User = "alice" });
        Assert.NotNull(machine.SeedDisk);
    }

    [Theory]
    [InlineData("")]
    [InlineData("../web")]
    [InlineData("Web")]
    [InlineData("-web")]
    [InlineData("web-")]
    [InlineData("a.b")]
    [InlineData("a234567890123456789012345678901234567890123456789012345678901234")]
    public void A_name_is_a_host_name(string name) => Assert.Throws<MachineException>(() => Open(name));

    private StoredMachine Open(string name) => Store.Open(name, "some", () =>
    {
        _asked++;
        return _image;
    });

    private StoredMachine Start(string name)
    {
        var machine = Open(name);
        machine.SetStarted();
        return machine;
    }

    private static DiskOptions Options(DiskDevice disk) => new() { Path = disk.Path, Backing = disk.Backing };

    private static void Write(DiskDevice disk, byte value)
    {
        using var open = DiskImages.Open(Options(disk));
        using var buffer = new HostBuffer(IBlockBackend.SectorSize);
        buffer.Span.Fill(value);
        open.Write(0, [IoVector.Of(buffer, 0, IBlockBackend.SectorSize)]);
        open.Flush();
    }

    private static byte ReadFirst(DiskDevice disk)
    {
        using var open = DiskImages.Open(Options(disk));
        using var buffer = new HostBuffer(IBlockBackend.SectorSize);
        open.Read(0, [IoVector.Of(buffer, 0, IBlockBackend.SectorSize)]);
        return buffer.Span[0];
    }
}
