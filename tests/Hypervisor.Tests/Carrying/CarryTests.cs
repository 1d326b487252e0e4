// Machines as one file: the same machine where it is imported; and of what is damaged, cut or hostile one sentence and nothing left.
using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using Lamina.Backends.Disk;
using Lamina.Core.Block;
using Lamina.Host.Io;
using Lamina.Hypervisor.Carrying;
using Lamina.Hypervisor.Stored;
using Lamina.Images;
using Xunit;

namespace Lamina.Tests.Hypervisor.Carrying;

public sealed class CarryTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-carry-").FullName;

    private MachineStore Here => new(Path.Combine(_folder, "here"));

    private MachineStore There => new(Path.Combine(_folder, "there"));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void What_a_killed_export_left_goes_with_the_next_one_and_not_what_another_is_at()
    {
        var left = Directory.CreateDirectory(Path.Combine(_folder, ".lamina-export-1")).FullName;
        File.WriteAllText(Path.Combine(left, "lock"), "");
        File.WriteAllText(Path.Combine(left, "archive"), "half");
        var other = Directory.CreateDirectory(Path.Combine(_folder, "other.lamina-export-2")).FullName;
        // One that is being made has no lock yet.
        var fresh = Directory.CreateDirectory(Path.Combine(_folder, ".lamina-export-3")).FullName;
        var underWay = ExportScratch.Make(_folder);

        using (var next = ExportScratch.Make(_folder))
        {
            Assert.False(Directory.Exists(left));
            Assert.All((string[])[other, fresh, underWay.Path, next.Path], path => Assert.True(Directory.Exists(path)));
        }

        Directory.Delete(fresh);
        underWay.Dispose();
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder, ".lamina-export-*"));
    }

    [Fact]
    public void A_machine_is_the_same_where_it_is_imported()
    {
        MakeWithDisk(new NetworkDevice { Link = new NetworkLink.User { Published = [PublishedPort.Parse("8080:80")] } });
        Write("web", 0, 0x11);
        Here.Clone("web", "two");
        Write("web", 1 << 20, 0x22);
        using (var machine = Here.OpenToRun("web")) machine.SetSeed(new Seed { HostName = "web", User = "alice" });

        var (archive, notes) = Export("web");
        Assert.Equal("web", Import(archive));
        Assert.Equal("other", Import(archive, "other"));

        Assert.Empty(notes);
        Directory.Delete(Here.Folder, recursive: true);
        Assert.Equal((0x11, 0x22), (Read("web", 0), Read("web", 1 << 20)));
        Assert.Equal(0x11, Read("other", 0));
        using var imported = There.OpenToRun("web");
        Assert.Equal(("some", 3), (imported.Definition.Image, imported.Definition.Cpus));
        Assert.Equal("kernel", File.ReadAllText(imported.KernelPath!));
        Assert.NotNull(imported.SeedDisk);
        Assert.Single(((NetworkLink.User)imported.Definition.DevicesOf<NetworkDevice>().Single().Link).Published);
    }

    [Fact]
    public void What_firmware_keeps_comes_along()
    {
        MakeWithDisk();
        Directory.CreateDirectory(Here.HomeOf("web").Work);
        File.WriteAllBytes(Here.HomeOf("web").Variables, [1, 0, 3]);

        Import(Export("web").Archive);

        Assert.Equal(new byte[] { 1, 0, 3 }, File.ReadAllBytes(There.HomeOf("web").Variables));
        Assert.False(File.Exists(Path.Combine(There.HomeOf("web").Folder, "uefi-variables.fd")));
    }

    [Fact]
    public void Firmware_of_two_parts_comes_along_with_both()
    {
        foreach (var (name, value) in ((string, byte)[])[("x_CODE.fd", 1), ("x_VARS.fd", 2)]) File.WriteAllBytes(Path.Combine(_folder, name), [value]);
        Here.Create("own", new MachineDefinition { Type = MachineType.Pc, Boot = new BootSource { Firmware = Path.Combine(_folder, "x_CODE.fd") } }, null);

        Import(Export("own").Archive);

        using var imported = There.OpenToRun("own");
        var firmware = imported.ToRun().Boot.Firmware!;
        Assert.Equal((There.HomeOf("own").Folder, (byte)1), (Path.GetDirectoryName(firmware), File.ReadAllBytes(firmware)[0]));
        Assert.Equal(new byte[] { 2 }, File.ReadAllBytes(Images.Bios.FirmwareStore.VariablesPathOf(firmware)!));
    }

    [Fact]
    public void What_lies_elsewhere_comes_along_and_what_is_the_hosts_is_left_out()
    {
        var (kernel, initrd, module, raw) = (Path.Combine(_folder, "bzImage"), Path.Combine(_folder, "i"), Path.Combine(_folder, "m"), Path.Combine(_folder, "data.raw"));
        File.WriteAllText(kernel, "the kernel");
        File.WriteAllText(initrd, "the initrd");
        File.WriteAllText(module, "the module");
        using (var file = File.Create(raw))
        {
            file.SetLength(64 << 20);
            file.Position = 32 << 20;
            file.Write(Enumerable.Repeat((byte)7, 512).ToArray());
        }
        Here.Create("own", new MachineDefinition
        {
            Boot = new BootSource { KernelPath = kernel, InitrdPath = initrd, Modules = [new BootModule(module, "a b")] },
            Lock = LockMode.Off,
            CodeArchive = "/var/tmp",
            GdbPort = 1234,
            Devices =
            [
                new DiskDevice { Path = raw, Format = ImageFormat.Raw, Cache = CacheMode.WriteThrough, Direct = true }, new ShareDevice { Path = "/srv", Tag = "srv" }, new VsockDevice { Path = "/tmp/s", Cid = 8 },
                new NetworkDevice { Link = new NetworkLink.Switch("/run/lan") }, new SerialDevice { To = new ConsoleTarget.File("/tmp/log") }, new ConsoleDevice { To = new ConsoleTarget.Unix("/tmp/c") }, new BalloonDevice(),
            ],
        }, null);

        var (archive, notes) = Export("own");
        Import(archive);

        Assert.Equal(5, notes.Count);
        Assert.InRange(archive.Length, 1, 100_000);
        File.Delete(raw);
        using var imported = There.OpenToRun("own");
        var machine = imported.ToRun();
        Assert.Equal(("the kernel", "the initrd", "the module"), (File.ReadAllText(machine.Boot.KernelPath!), File.ReadAllText(machine.Boot.InitrdPath!), File.ReadAllText(machine.Boot.Modules[0].Path)));
        Assert.Equal((LockMode.On, null, null, "a b"), (machine.Lock, machine.CodeArchive, machine.GdbPort, machine.Boot.Modules[0].CommandLine));
        var disk = machine.DevicesOf<DiskDevice>().Single();
        Assert.Equal((CacheMode.WriteThrough, ImageFormat.Qcow2), (disk.Cache, disk.Format));
        Assert.Equal((0, 7), (ReadFirst(disk, 0), ReadFirst(disk, 32 << 20)));
        Assert.Empty(machine.DevicesOf<ShareDevice>());
        Assert.Equal((8u, imported.Home.Sockets), (machine.DevicesOf<VsockDevice>().Single().Cid, machine.DevicesOf<VsockDevice>().Single().Path));
        Assert.IsType<NetworkLink.User>(machine.DevicesOf<NetworkDevice>().Single().Link);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder, ".lamina-export-*"));
    }

    [Fact]
    public void The_same_machine_makes_the_same_archive()
    {
        MakeWithDisk();

        Assert.Equal(Export("web").Archive, Export("web").Archive);
    }

    [Fact]
    public void A_machine_that_runs_or_is_there_already_is_refused()
    {
        MakeWithDisk();
        var (archive, _) = Export("web");
        using var running = Here.OpenToRun("web");

        Assert.Contains("the machine web is running", Assert.Throws<MachineException>(() => Export("web")).Message, StringComparison.Ordinal);
        Import(archive);
        Assert.Contains("there is a machine web already", Assert.Throws<MachineException>(() => Import(archive)).Message, StringComparison.Ordinal);
        Assert.Equal(0, Read("web", 0));
    }

    public static TheoryData<string, string> Definitions => new()
    {
        { """{ "image": "some", "kernel": "/boot/vmlinuz" }""", "its kernel leads to /boot/vmlinuz" },
        { """{ "image": "some", "initrd": "../../other/initrd" }""", "leads to ../../other/initrd" },
        { """{ "image": "some", "module": ["/etc/shadow x"] }""", "a module leads to /etc/shadow" },
        { """{ "image": "some", "code-archive": "/home" }""", "its code leads to /home" },
        { """{ "image": "some", "lock": "off" }""", "its process is not to be locked" },
        { """{ "image": "some", "devices": [ { "kind": "disk", "path": "/dev/sda", "format": "qcow2" } ] }""", "a disk leads to /dev/sda" },
        { """{ "image": "some", "devices": [ { "kind": "disk", "path": "disk-../x.qcow2", "format": "qcow2" } ] }""", "a disk leads to disk-../x.qcow2" },
        { """{ "image": "some", "devices": [ { "kind": "disk", "path": "base.qcow2", "format": "qcow2" } ] }""", "a disk leads to base.qcow2" },
        { """{ "image": "some", "devices": [ { "kind": "disk", "path": "disk-a.qcow2" } ] }""", "not said to be qcow2" },
        { """{ "image": "some", "devices": [ { "kind": "disk", "path": "disk-a.qcow2", "format": "qcow2", "backing": ["any"] } ] }""", "a disk leads to any" },
        { """{ "image": "some", "devices": [ { "kind": "share", "path": "/", "tag": "all" } ] }""", "a share leads to /" },
        { """{ "image": "some", "devices": [ { "kind": "vsock", "cid": 3, "path": "/tmp/x" } ] }""", "a vsock leads to /tmp/x" },
        { """{ "image": "some", "devices": [ { "kind": "network", "link": "tap", "interface": "eth0" } ] }""", "a network leads to tap=eth0" },
        { """{ "image": "some", "devices": [ { "kind": "serial", "to": "file:/srv/me/.profile" } ] }""", "a serial leads to file:/srv/me/.profile" },
        { """{ "image": "some", "devices": [ { "kind": "console", "to": "unix:/run/x" } ] }""", "a console leads to unix:/run/x" },
        { """{ "image": "some", "cpus": 0 }""", "a machine cannot have 0 CPUs" },
        { "{ \"image\": \"some\",\n \"memroy\": 1 }", "machine.json, line 2: a machine has no property \"memroy\"" },
        { """{ "cpus": 2 }""", "does not say what the machine boots" },
        { "[]", "a machine is an object" },
    };

    [Theory]
    [MemberData(nameof(Definitions))]
    public void A_definition_that_leads_to_the_host_is_refused(string definition, string sentence)
    {
        MakeWithDisk();

        Refused(Rewrite(Export("web").Archive, entries => Set(entries, "machine.json", Encoding.UTF8.GetBytes(definition))), sentence);
    }

    public static TheoryData<string, string> Entries => new()
    {
        { "../../outside", "it has a file ../../outside" },
        { "/etc/cron.d/x", "it has a file /etc/cron.d/x" },
        { "layer-1.qcow2/x", "it has a file layer-1.qcow2/x" },
        { "layer-01.qcow2", "it has a file layer-01.qcow2" },
        { "machine.json", "it has a file machine.json" },
        { "lock", "it has a file lock" },
        { "run/log", "it has a file run/log" },
        { "kernel", "it has kernel twice" },
    };

    [Theory]
    [MemberData(nameof(Entries))]
    public void A_file_that_does_not_belong_to_it_is_refused(string name, string sentence)
    {
        MakeWithDisk();

        Refused(Rewrite(Export("web").Archive, entries => entries.Insert(entries.Count - 1, (name, TarEntryType.RegularFile, "x"u8.ToArray()))), sentence);
    }

    [Theory]
    [InlineData(TarEntryType.SymbolicLink)]
    [InlineData(TarEntryType.HardLink)]
    [InlineData(TarEntryType.Directory)]
    [InlineData(TarEntryType.Fifo)]
    [InlineData(TarEntryType.CharacterDevice)]
    public void What_is_no_file_is_refused(TarEntryType type)
    {
        MakeWithDisk();

        Refused(Rewrite(Export("web").Archive, entries => entries[entries.FindIndex(entry => entry.Name == "kernel")] = ("kernel", type, [])), "kernel is no file");
    }

    public static TheoryData<string, string> Damages => new()
    {
        { "kernel", "kernel is missing" },
        { "base.qcow2", "base.qcow2 is missing" },
        { "SHA256SUMS", "it is cut" },
        { "machine.json", "it has no machine.json where that belongs" },
        { "lamina-machine", "it does not begin with lamina-machine" },
    };

    [Theory]
    [MemberData(nameof(Damages))]
    public void What_is_not_whole_is_refused(string missing, string sentence)
    {
        MakeWithDisk();

        Refused(Rewrite(Export("web").Archive, entries => entries.RemoveAll(entry => entry.Name == missing), sums: missing != "SHA256SUMS"), sentence);
    }

    [Fact]
    public void A_file_that_was_changed_is_refused_by_its_digest()
    {
        MakeWithDisk();

        Refused(Rewrite(Export("web").Archive, entries => Set(entries, "kernel", "another kernel"u8.ToArray()), sums: false), "kernel is not what it was");
    }

    [Fact]
    public void A_disk_that_is_based_on_a_file_of_the_hosts_is_refused()
    {
        MakeWithDisk();
        var secret = Path.Combine(_folder, "secret");
        File.WriteAllBytes(secret, new byte[1 << 20]);
        DiskTools.Create(new DiskCreation { Path = Path.Combine(_folder, "evil.qcow2"), Backing = secret });

        Refused(Rewrite(Export("web").Archive, entries => Set(entries, "base.qcow2", File.ReadAllBytes(Path.Combine(_folder, "evil.qcow2")))), "base.qcow2 is based on");
        Refused(Rewrite(Export("web").Archive, entries => Set(entries, "disk.qcow2", File.ReadAllBytes(Path.Combine(_folder, "evil.qcow2")))), "disk.qcow2 is based on");
        Refused(Rewrite(Export("web").Archive, entries => Set(entries, "disk.qcow2", "no qcow2 at all"u8.ToArray())), "disk.qcow2");
    }

    [Fact]
    public void Wherever_it_is_cut_and_whichever_byte_is_another_nothing_is_left()
    {
        MakeWithDisk();
        var (archive, _) = Export("web");
        var random = new Random(7);
        for (var i = 0; i < 60; i++)
        {
            Refused(archive[..random.Next(archive.Length)], "");
            var changed = archive.ToArray();
            changed[random.Next(10, changed.Length)] ^= (byte)(1 << random.Next(8));
            try
            {
                Import(changed, "changed");
                // A bit of the archive's that means nothing.
                There.Remove("changed");
            }
            catch (Exception refused) when (refused is MachineException or IOException)
            {
            }
            Assert.Empty(Directory.Exists(There.Folder) ? Directory.EnumerateDirectories(There.Folder) : []);
        }
    }

    [Fact]
    public void A_size_that_lies_is_refused()
    {
        MakeWithDisk();
        var tar = Unpack(Export("web").Archive);
        var header = 0;
        while (!tar.AsSpan(header).StartsWith("base.qcow2"u8)) header += 512;
        foreach (var size in (string[])["77777777777", "17777777777", "00000000000"])
        {
            var changed = tar.ToArray();
            Encoding.ASCII.GetBytes(size).CopyTo(changed, header + 124);
            var sum = 0;
            for (var i = 0; i < 512; i++) sum += i is >= 148 and < 156 ? ' ' : changed[header + i];
            Encoding.ASCII.GetBytes($"{Convert.ToString(sum, 8).PadLeft(6, '0')}\0 ").CopyTo(changed, header + 148);

            Refused(Pack(changed), "");
        }
    }

    [Fact]
    public void An_archive_of_a_later_version_says_so()
    {
        MakeWithDisk();

        Refused(Rewrite(Export("web").Archive, entries => Set(entries, "lamina-machine", "{ \"lamina-machine\": 2, \"name\": \"x\" }"u8.ToArray())), "by a later version of Lamina (format 2)");
        Refused(Rewrite(Export("web").Archive, entries => Set(entries, "lamina-machine", "{ \"lamina-machine\": 1, \"name\": \"../x\" }"u8.ToArray())), "'../x' cannot be a machine's name");
        Refused("hello"u8.ToArray(), "it is cut, or no archive of a machine at all");
        Refused([], "");
    }

    private void MakeWithDisk(params DeviceDefinition[] devices)
    {
        var image = Directory.CreateDirectory(Path.Combine(_folder, "image")).FullName;
        File.WriteAllText(Path.Combine(image, "kernel"), "kernel");
        DiskTools.Create(new DiskCreation { Path = Path.Combine(image, "disk.qcow2"), Size = 16 << 20 });
        var made = new Image("some", "1.0", image, Path.Combine(image, "kernel"), null, "root=/dev/vda") { DiskPath = Path.Combine(image, "disk.qcow2"), Memory = 512 << 20 };
        Here.Create("web", (MachineStore.Of(made) with { Cpus = 3 }).With(devices), made);
    }

    private (byte[] Archive, IReadOnlyList<string> Notes) Export(string name)
    {
        using var output = new MemoryStream();
        using var scratch = ExportScratch.Make(_folder);
        var notes = MachineExport.Write(Here, name, output, scratch, TestContext.Current.CancellationToken);
        return (output.ToArray(), notes);
    }

    private string Import(byte[] archive, string? name = null) => MachineImport.Read(There, new MemoryStream(archive), name, TestContext.Current.CancellationToken);

    private void Refused(byte[] archive, string sentence)
    {
        var refused = Assert.ThrowsAny<Exception>(() => Import(archive));

        Assert.True(refused is MachineException or IOException, refused.ToString());
        Assert.Contains(sentence, refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refused.Message);
        Assert.Empty(Directory.Exists(There.Folder) ? Directory.EnumerateDirectories(There.Folder) : []);
        Assert.False(File.Exists(Path.Combine(_folder, "outside")));
    }

    private static void Set(List<(string Name, TarEntryType Type, byte[] Content)> entries, string name, byte[] content) => entries[entries.FindIndex(entry => entry.Name == name)] = (name, TarEntryType.RegularFile, content);

    // The archive with other entries, and digests that fit them.
    private static byte[] Rewrite(byte[] archive, Action<List<(string Name, TarEntryType Type, byte[] Content)>> change, bool sums = true)
    {
        var entries = new List<(string Name, TarEntryType Type, byte[] Content)>();
        using (var reader = new TarReader(new MemoryStream(Unpack(archive))))
            while (reader.GetNextEntry(copyData: true) is { } entry)
            {
                using var content = new MemoryStream();
                entry.DataStream?.CopyTo(content);
                entries.Add((entry.Name, entry.EntryType, content.ToArray()));
            }
        change(entries);
        if (sums) Set(entries, "SHA256SUMS", Encoding.ASCII.GetBytes(string.Concat(entries.SkipLast(1).DistinctBy(entry => entry.Name).Select(entry => $"{Convert.ToHexStringLower(SHA256.HashData(entry.Content))}  {entry.Name}\n"))));
        using var tar = new MemoryStream();
        using (var writer = new TarWriter(tar, TarEntryFormat.Gnu, leaveOpen: true))
            foreach (var (name, type, content) in entries)
            {
                var entry = new GnuTarEntry(type, name);
                if (type is TarEntryType.SymbolicLink or TarEntryType.HardLink) entry.LinkName = "/etc/passwd";
                if (type == TarEntryType.RegularFile) entry.DataStream = new MemoryStream(content);
                writer.WriteEntry(entry);
            }
        return Pack(tar.ToArray());
    }

    private static byte[] Unpack(byte[] archive)
    {
        using var unpacked = new MemoryStream();
        using (var gzip = new GZipStream(new MemoryStream(archive), CompressionMode.Decompress)) gzip.CopyTo(unpacked);
        return unpacked.ToArray();
    }

    private static byte[] Pack(byte[] tar)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true)) gzip.Write(tar);
        return packed.ToArray();
    }

    private void Write(string name, ulong at, byte value)
    {
        using var machine = Here.OpenToRun(name);
        using var disk = DiskImages.Open(new DiskOptions { Path = machine.Disk!.Path, Backing = machine.Disk.Backing });
        using var buffer = new HostBuffer(512);
        buffer.Span.Fill(value);
        disk.Write(at, [IoVector.Of(buffer, 0, 512)]);
        disk.Flush();
    }

    private int Read(string name, ulong at)
    {
        using var machine = There.OpenToRun(name);
        return ReadFirst(machine.Disk!, at);
    }

    private static int ReadFirst(DiskDevice device, ulong at)
    {
        using var disk = DiskImages.Open(new DiskOptions { Path = device.Path, Backing = device.Backing, ReadOnly = true });
        using var buffer = new HostBuffer(512);
        disk.Read(at, [IoVector.Of(buffer, 0, 512)]);
        return buffer.Span[0];
    }
}
