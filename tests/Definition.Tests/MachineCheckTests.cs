// What is found in a definition before anything is opened: what no machine can have, and what is in its own way.
using Lamina.Definition;
using Xunit;

namespace Lamina.Tests.Definition;

public sealed class MachineCheckTests
{
    private static readonly MachineDefinition Good = new();

    private static NetworkDevice Net(string words) => NetworkDevice.Parse(words)!;

    public static TheoryData<MachineDefinition, string> Wrong => new()
    {
        { Good with { Type = (MachineType)7 }, "there is no machine type 7; use micro or pc" },
        { Good with { Boot = new BootSource { KernelPath = "k", Firmware = "f" } }, "either a kernel or firmware, and this one has both, k and f" },
        { Good with { Boot = new BootSource { InitrdPath = "i", Firmware = "seabios" } }, "are for a kernel that is loaded directly" },
        { Good with { Boot = new BootSource { CommandLine = "quiet", Firmware = "seabios" } }, "are for a kernel that is loaded directly" },
        { Good with { Boot = new BootSource { Modules = [new BootModule("m")], Firmware = "seabios" } }, "are for a kernel that is loaded directly" },
        { Good with { Boot = new BootSource { KernelPath = "k", BootMenu = true } }, "a boot menu is firmware's" },
        { Good with { Cpus = 0 }, "at least one" },
        { Good with { MemoryBytes = 2ul << 30, MostMemoryBytes = 1ul << 30 }, "at most (memory-most) cannot have 2G" },
        { Good with { MemoryBytes = 1ul << 20, MostMemoryBytes = 1ul << 30 }, "1M of memory is too little; a machine needs at least 16M" },
        { Good with { CodeCacheBytes = 1 }, "give it 16 to 1024" },
        { Good with { Timeout = TimeSpan.Zero }, "time-out" },
        { Good with { GdbPort = 70000 }, "70000 is no TCP port" },
        { Good with { Boot = new BootSource { KernelPath = "k\0" } }, "kernel: there is a zero byte in it" },
        { Good.With(new SerialDevice { To = new ConsoleTarget.File("a\0b") }), "to: there is a zero byte in it" },
        { Good.With(new DiskDevice()), "needs the path of its image" },
        { Good.With(new DiskDevice { Path = "a", Queues = 17 }), "from 1 to 16" },
        { Good.With(new DiskDevice { Path = "a", BlockSize = 8192 }), "use 512 or 4096" },
        { Good.With(new DiskDevice { Path = "a", Serial = new string('x', 21) }), "longer than 20 bytes" },
        { Good.With(new DiskDevice { Path = "a", Name = "A" }), "cannot be a device's name" },
        { Good.With(new ShareDevice { Path = "/" }), "a tag by which" },
        { Good.With(new ShareDevice { Path = "/", Tag = new string('x', 37) }), "longer than 36 bytes" },
        { Good.With(new VsockDevice { Cid = 2, Path = "s" }), "3 to 4294967294" },
        { Good.With(new VsockDevice()), "path of a Unix socket" },
        { Good.With(new ChannelDevice()), "a name by which the guest finds it" },
        { Good.With(new ChannelDevice { Port = "a/b" }), "no name of a channel" },
        { Good.With(new ChannelDevice { Port = new string('a', 65) }), "no name of a channel" },
        { Good.With(new ChannelDevice { Port = "a" }, new ChannelDevice { Port = "a" }), "two channels have the name a" },
        { Good.With(new ChannelDevice { Port = "a", Path = "/tmp/x" }, new VsockDevice { Path = "/tmp/x" }), "two devices use /tmp/x" },
        { Good.With(new NetworkDevice { Link = new NetworkLink.Switch("") }), "path of a Unix socket" },
        { Good.With(new NetworkDevice { Mac = "x" }), "is no network card's address" },
        { Good.With(new SerialDevice { To = new ConsoleTarget.Memory(0) }), "keeps nothing" },
        { Good.With(new SerialDevice(), new SerialDevice()), "has one serial port" },
        { Good.With(new BalloonDevice(), new BalloonDevice()), "has one balloon" },
        { Good.With(new SerialDevice { To = new ConsoleTarget.Stdio() }, new ConsoleDevice { To = new ConsoleTarget.Stdio() }), "cannot both use the standard input" },
        { Good.With(new DiskDevice { Path = "a", Name = "x" }, new DiskDevice { Path = "b", Name = "x" }), "two devices have the name x" },
        { Good.With(new ShareDevice { Path = "/", Tag = "a" }, new ShareDevice { Path = "/tmp", Tag = "a" }), "have the same tag, a" },
        { Good.With(new DiskDevice { Path = "a", Serial = "s" }, new DiskDevice { Path = "b", Serial = "s" }), "same serial number, s" },
        { Good.With(new DiskDevice { Path = "nbd://h/a" }, new DiskDevice { Path = "nbd://h/a", ReadOnly = true }), "is given twice" },
        { Good.With(new DiskDevice { Path = "a", Tls = "b" }), "NBD exports" },
        { Good.With(new DiskDevice { Path = "nbd/a", Reconnect = TimeSpan.FromSeconds(1) }), "NBD exports" },
        { Good.With(new DiskDevice { Path = "a" }, new DiskDevice { Path = "./a", ReadOnly = true }), "is given twice" },
        { Good.With(Net("user,mac=02:00:00:00:00:01"), Net("user,mac=02:00:00:00:00:01")), "the address 02:00:00:00:00:01" },
        { Good.With(Net("tap=tap0"), Net("tap=tap0")), "use the interface tap0" },
        { Good.With(Net("user,model=e1000e")), "a network card with model=e1000e needs a machine of the type pc; add --machine pc" },
        { Good with { Boot = new BootSource { From = BootMedium.Network } }, "is one of the type pc; add --machine pc" },
        { Good with { Type = MachineType.Pc, Boot = new BootSource { From = BootMedium.Network } }, "needs a network card; add one" },
        { Good with { Type = MachineType.Pc, Boot = new BootSource { KernelPath = "k", From = BootMedium.Network } }, "this machine boots without" },
        { Good.With(Net("user,model=e1000,queues=2")) with { Type = MachineType.Pc }, "leave queues=2 out, or model=e1000" },
        { Good.With(new SerialDevice { To = new ConsoleTarget.Unix("/tmp/x") }, new VsockDevice { Path = "/tmp/../tmp/x" }), "two devices use /tmp/x" },
        { Good.With(Net("user,publish=8081:80,publish=8081:81")), "the TCP port 8081 of the host is published twice, to the guest's ports 80 and 81" },
        { Good.With(Net("user,publish=8081:80"), Net("user,publish=0.0.0.0:8081:80")), "the TCP port 8081 of the host is published twice" },
        { Good.With(Net("user,publish=[::1]:53:53/udp,publish=[::]:53:53/udp")), "the UDP port 53 of the host is published twice" },
        { Good.With(Net("user,publish=1234:80")) with { GdbPort = 1234 }, "both published and gdb's" },
        { Good with { Display = ScreenServer.Parse("vnc") }, "add --machine pc" },
        { Good with { Type = MachineType.Pc, Display = ScreenServer.Parse("vnc=0.0.0.0:5900") }, "vnc=0.0.0.0:5900,password-file=PATH" },
        { Good.With(Net("user,publish=5900:80")) with { Type = MachineType.Pc, Display = ScreenServer.Parse("vnc") }, "5900 of the host is both the display's" },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void What_cannot_be_is_refused_in_a_sentence(MachineDefinition machine, string sentence)
    {
        var refusal = Assert.Throws<MachineException>(() => MachineCheck.Check(machine));

        Assert.Contains(sentence, refusal.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refusal.Message);
    }

    public static TheoryData<MachineDefinition> Right => new(
        Good,
        Good.With(Net("user,publish=8081:80,publish=8081:80/udp,publish=127.0.0.2:8081:80,publish=[::1]:8081:80")),
        Good.With(Net("user,publish=0:80,publish=0:80")) with { GdbPort = 0 },
        Good.With(Net("user,model=e1000"), Net("switch=/run/lan,model=e1000e"), Net("tap,queues=2")) with { Type = MachineType.Pc },
        Good.With(Net("user,boot=x")) with { Type = MachineType.Pc, Boot = new BootSource { From = BootMedium.Network } },
        Good.With(Net("switch=/run/lan"), Net("switch=/run/lan"), Net("tap"), Net("tap")),
        Good.With(new DiskDevice { Path = "a", ReadOnly = true }, new DiskDevice { Path = "a", Temporary = true }),
        Good.With(new SerialDevice { To = new ConsoleTarget.File("/dev/null") }, new ConsoleDevice { To = new ConsoleTarget.File("/dev/null") }));

    [Theory]
    [MemberData(nameof(Right))]
    public void What_can_be_is_let_through(MachineDefinition machine) => MachineCheck.Check(machine);

    [Fact]
    public void A_complete_machine_has_names_for_all_and_what_every_machine_has()
    {
        var machine = Good.With(new DiskDevice { Path = "a" }, new DiskDevice { Path = "b", Name = "disk0" }, new NetworkDevice(), new SerialDevice { Name = "com" }).Complete();

        Assert.Equal(["disk1", "disk0", "network0", "com", "console0", "rng0"], machine.Devices.Select(device => device.Name));
        Assert.Equal(machine.Devices, machine.Complete().Devices);
        MachineCheck.Check(machine);
    }

    [Fact]
    public void A_machine_with_a_disk_and_nothing_else_to_boot_begins_with_SeaBIOS()
    {
        var disk = Good.With(new DiskDevice { Path = "a" });

        Assert.Null(Good.FirmwareToBoot);
        Assert.Equal("seabios", disk.FirmwareToBoot);
        Assert.Null((disk with { Image = "debian" }).FirmwareToBoot);
        Assert.Null((disk with { Boot = new BootSource { KernelPath = "k" } }).FirmwareToBoot);
        Assert.Equal("/bios.bin", (disk with { Boot = new BootSource { Firmware = "/bios.bin" } }).FirmwareToBoot);
    }

    [Fact]
    public void Drives_need_a_PC_and_places_on_it()
    {
        string Refused(MachineDefinition machine) => Assert.Throws<MachineException>(() => MachineCheck.Check(machine)).Message;
        DiskDevice Disk(int number) => new() { Path = $"disk{number}", Bus = DriveBus.Ide };
        var pc = Good with { Type = MachineType.Pc };

        Assert.Equal("a disk with bus=ide needs a machine of the type pc; add --machine pc", Refused(Good.With(Disk(0))));
        Assert.Equal("a CD drive needs a machine of the type pc; add --machine pc", Refused(Good.With(new CdromDevice { Path = "a" })));
        Assert.Equal("a machine has places for 4 disks and CD drives with bus=ide, and this one would have 5; connect some otherwise", Refused(pc.With(Disk(0), Disk(1), Disk(2), Disk(3), new CdromDevice())));
        Assert.Equal("the disk disk0 is connected neither by virtio nor by NVMe, and only such have queues to choose; leave queues=2 out", Refused(pc.With(Disk(0) with { Queues = 2 })));
        Assert.Equal("a disk with bus=nvme needs a machine of the type pc; add --machine pc", Refused(Good.With(Disk(0) with { Bus = DriveBus.Nvme })));
        Assert.Equal("a CD drive is connected by IDE or by SATA; choose bus=ide or bus=sata for it", Refused(pc.With(new CdromDevice { Path = "a", Bus = DriveBus.Nvme })));
        Assert.Equal("the firmware ovmf needs PCI, which the machine pc has; choose it with --machine pc, or seabios", Refused(Good with { Boot = new BootSource { Firmware = BootSource.Ovmf } }));
        MachineCheck.Check(pc.With(Disk(0) with { Bus = DriveBus.Nvme, Queues = 2 }));
        Assert.Contains("places for 6", Refused(pc.With(Enumerable.Range(0, 7).Select(number => Disk(number) with { Bus = DriveBus.Sata }))), StringComparison.Ordinal);
        Assert.Contains("bus=sata needs a machine of the type pc", Refused(Good.With(Disk(0) with { Bus = DriveBus.Sata })), StringComparison.Ordinal);
        Assert.Equal("a floppy drive needs a machine of the type pc; add --machine pc", Refused(Good.With(new FloppyDevice { Path = "a" })));
        Assert.Equal("a machine has 2 floppy drives at most, and this one would have 3; leave out the others", Refused(pc.With(Enumerable.Range(0, 3).Select(number => new FloppyDevice { Path = $"{number}" }))));
        Assert.Contains("needs the path", Refused(pc.With(new FloppyDevice())), StringComparison.Ordinal);
        Assert.Contains("boot says from what firmware boots", Refused(pc with { Boot = new BootSource { KernelPath = "k", From = BootMedium.Cdrom } }), StringComparison.Ordinal);
        MachineCheck.Check(pc.With(Disk(0), Disk(1), Disk(2), new CdromDevice()));
        Assert.Equal("seabios", pc.With(new CdromDevice { Path = "a" }).FirmwareToBoot);
        Assert.Null(pc.With(new CdromDevice()).FirmwareToBoot);
    }

    [Fact]
    public void A_CD_drive_is_said_in_words()
    {
        Assert.Equal(new CdromDevice { Path = "a,b.iso", Name = "cd" }, CdromDevice.Parse("a,,b.iso,name=cd"));
        Assert.Equal("a,,b.iso,name=cd", new CdromDevice { Path = "a,b.iso", Name = "cd" }.ToString());
        Assert.Equal(new CdromDevice(), CdromDevice.Parse("none"));
        Assert.Equal("none", new CdromDevice().ToString());
        Assert.Equal(new DiskDevice { Path = "a", Bus = DriveBus.Ide }, DiskDevice.Parse("a,bus=ide"));
        Assert.Contains("needs the path", Assert.Throws<MachineException>(() => CdromDevice.Parse("")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Firmware_of_a_name_has_no_path()
    {
        string Moved(string firmware) => (Good with { Boot = new BootSource { Firmware = firmware } }).MapPaths(path => $"/r/{path}").Boot.Firmware!;

        Assert.Equal(["seabios", "/r/bios.bin", "/r/./seabios"], [Moved("seabios"), Moved("bios.bin"), Moved("./seabios")]);
    }

    [Theory]
    [InlineData("nbd://h/x", null, true)]
    [InlineData("nbd+unix:///x?socket=/tmp/a%20b&tls-hostname=c", "/tmp/a b", false)]
    public void A_disk_that_is_served_is_no_path_of_the_hosts_but_its_certificates_and_socket_are(string uri, string? socket, bool isOnNetwork)
    {
        var moved = Good.With(new DiskDevice { Path = uri, Tls = "t" }).MapPaths(path => $"/r/{path}").DevicesOf<DiskDevice>().Single();

        Assert.Equal((uri, "/r/t", socket, isOnNetwork, true), (moved.Path, moved.Tls, moved.RemoteSocket, moved.IsOnNetwork, moved.IsRemote));
    }

    [Fact]
    public void Every_path_of_the_host_can_be_changed()
    {
        var machine = new MachineDefinition { Boot = new BootSource { KernelPath = "k", InitrdPath = "i", Modules = [new BootModule("m", "x y")] } }
            .With(DiskDevice.Parse("d,backing=b,backing=any"), ShareDevice.Parse("s:t"), Net("switch=w"), Net("user"), Net("socket=o"), VsockDevice.Parse("3,path=v"),
                new SerialDevice { To = new ConsoleTarget.File("f") }, new ConsoleDevice { To = new ConsoleTarget.Unix("u") }, new BalloonDevice());

        var moved = machine.MapPaths(path => $"/r/{path}");

        Assert.Equal(["/r/k", "/r/i", "/r/m x y"], [moved.Boot.KernelPath!, moved.Boot.InitrdPath!, moved.Boot.Modules[0].ToString()]);
        Assert.Equal(["/r/d,backing=/r/b,backing=any", "/r/s,tag=t", "switch=/r/w", "user", "socket=/r/o", "3,path=/r/v"], moved.Devices.Take(6).Select(device => $"{device}"));
        Assert.Equal(["file:/r/f", "unix:/r/u"], [moved.DevicesOf<SerialDevice>().Single().To.ToString(), moved.DevicesOf<ConsoleDevice>().Single().To.ToString()]);
    }
}
