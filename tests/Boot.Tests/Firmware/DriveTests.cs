// SeaBIOS and Linux on a PC's own drives: boot loaders from disks and CDs, and the kernel's drivers for the controllers, whose sums of what they read and
// wrote are those of the host; also through saves at any moment.
using System.Security.Cryptography;
using Lamina.Tests.Boot.Linux;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Firmware;

public sealed class DriveTests : IDisposable
{
    private const int MiB = 1 << 20;
    private const string Prompt = "~ # ";

    private readonly CancellationTokenSource _patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-drives-").FullName;

    public DriveTests() => _patience.CancelAfter(TimeSpan.FromMinutes(8));

    private CancellationToken Cancellation => _patience.Token;

    public void Dispose()
    {
        _patience.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static async Task<MachineDefinition> DefinitionAsync(params DeviceDefinition[] drives)
    {
        var configuration = GuestConfiguration.Of(GuestConfiguration.Pc);
        return new MachineDefinition
        {
            Type = MachineType.Pc,
            Engine = configuration.Engine,
            Irqchip = TestEngine.Irqchip,
            MemoryBytes = configuration.MemoryBytes,
            Boot = new BootSource { Firmware = await SeaBiosImage.GetAsync() },
            Devices = [new SerialDevice { To = new ConsoleTarget.Memory() }, .. drives],
        };
    }

    private static async Task<DiskDevice> GrubAsync(DriveBus bus) => new() { Path = await GrubDisk.GetAsync(), Format = ImageFormat.Raw, Temporary = true, Bus = bus };

    private (string Path, byte[] Content) Disk(string name, int length)
    {
        var (path, content) = (Path.Combine(_folder, name), RandomNumberGenerator.GetBytes(length));
        File.WriteAllBytes(path, content);
        return (path, content);
    }

    private static string Sum(byte[] content) => Convert.ToHexStringLower(SHA256.HashData(content));

    [Theory]
    [InlineData(DriveBus.Ide)]
    [InlineData(DriveBus.Sata)]
    [InlineData(DriveBus.Nvme)]
    public async Task GRUB_on_a_disk_boots_a_kernel(DriveBus bus)
    {
        if (bus != DriveBus.Nvme) AllTests.SkipUnlessAsked("the boot by NVMe shows as much");
        await using var machine = Machine.Create(await DefinitionAsync(await GrubAsync(bus)));
        _ = machine.RunAsync(Cancellation);
        var screen = new SerialScreen(machine);

        foreach (var text in (string[])["SeaBIOS (version", "Booting from Hard Disk", "GRUB", Prompt]) await screen.WaitAsync(text, Cancellation);
    }

    // Its boot loader says a dot for each part of itself that it reads.
    [Fact]
    public async Task Memtest_is_loaded_from_a_CD()
    {
        await using var machine = Machine.Create(await DefinitionAsync(new CdromDevice { Path = await DriveImage.MemtestDiscAsync() }));
        _ = machine.RunAsync(Cancellation);
        var screen = new SerialScreen(machine);

        await screen.WaitAsync("Booting from DVD/CD...", Cancellation);
        await screen.WaitAsync("....................", Cancellation);
    }

    [Fact]
    public async Task GRUB_on_a_CD_reads_the_CD_and_the_disk_beside_it()
    {
        var definition = await DefinitionAsync(await GrubAsync(DriveBus.Ide), new CdromDevice { Path = await DriveImage.GrubDiscAsync() });
        await using var machine = Machine.Create(definition with { Boot = definition.Boot with { From = BootMedium.Cdrom } });
        _ = machine.RunAsync(Cancellation);
        var screen = new SerialScreen(machine);

        await screen.WaitAsync("Booting from DVD/CD...", Cancellation);
        await screen.WaitAsync("*GNU/Linux", Cancellation);
        await machine.Serial.WriteAsync("c", Cancellation);
        await screen.WaitAsync("grub>", Cancellation);
        // A PC's keyboard buffer has 15 keys.
        await machine.Serial.WriteAsync("ls (hd0", Cancellation);
        await screen.WaitAsync("(hd0", Cancellation);
        await machine.Serial.WriteAsync(",msdos1)\r", Cancellation);
        await screen.WaitAsync("Filesystem type ext", Cancellation);
        await machine.Serial.WriteAsync("ls (cd)\r", Cancellation);
        await screen.WaitAsync("Filesystem type iso9660", Cancellation);
    }

    [Fact]
    public async Task A_disk_without_a_boot_loader_is_passed_over_for_the_CD()
    {
        var (path, content) = Disk("blank", MiB);
        Array.Clear(content);
        File.WriteAllBytes(path, content);
        await using var machine = Machine.Create(await DefinitionAsync(new DiskDevice { Path = path, Format = ImageFormat.Raw, Bus = DriveBus.Ide }, new CdromDevice { Path = await DriveImage.MemtestDiscAsync() }));
        _ = machine.RunAsync(Cancellation);
        var screen = new SerialScreen(machine);

        await screen.WaitAsync("not a bootable disk", Cancellation);
        await screen.WaitAsync("Booting from DVD/CD...", Cancellation);
    }

    [Fact]
    public async Task Linux_writes_and_reads_an_NVMe_disk_by_several_queues()
    {
        var (path, content) = Disk("disk.raw", 32 << 20);
        await using var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(GuestConfiguration.Pc), definition => definition with
        {
            Cpus = 2,
            Devices = [.. definition.Devices, new DiskDevice { Path = path, Format = ImageFormat.Raw, Bus = DriveBus.Nvme, Serial = "the disk" }],
        });

        Assert.Equal($"{Sum(content)}  /dev/nvme0n1\n", await guest.DoAsync("sha256sum /dev/nvme0n1"));
        Assert.Equal("the disk\n", await guest.DoAsync("sed 's/ *$//' /sys/block/nvme0n1/device/serial"));
        Assert.Equal("2\n", await guest.DoAsync("ls -d /sys/block/nvme0n1/mq/* | wc -l"));
        // Two at once, each in its half and behind the page cache; what was written is there.
        await guest.DoAsync("for i in 0 1; do dd if=/dev/urandom of=/tmp/$i bs=1M count=8 2>/dev/null; done");
        await guest.DoAsync("for i in 0 1; do dd if=/tmp/$i of=/dev/nvme0n1 bs=64k seek=$((i*256)) oflag=direct conv=notrunc 2>/dev/null & done; wait; sync");
        var sums = await guest.DoAsync("cat /tmp/0 /tmp/1 | sha256sum");
        await guest.DoAsync("echo 3 >/proc/sys/vm/drop_caches");
        Assert.Equal(sums, await guest.DoAsync("(dd if=/dev/nvme0n1 bs=1M count=8; dd if=/dev/nvme0n1 bs=1M skip=16 count=8) 2>/dev/null | sha256sum"));
        Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));
        await guest.TypeAsync("poweroff");
        Assert.Equal(MachineEnd.PoweredOff, (await guest.EndAsync()).End);
        Assert.Equal(sums[..64], Sum([.. File.ReadAllBytes(path)[..(8 << 20)], .. File.ReadAllBytes(path)[(16 << 20)..(24 << 20)]]));
    }

    [Theory]
    [InlineData(DriveBus.Ide, "ata_piix")]
    [InlineData(DriveBus.Sata, "ahci")]
    public async Task Linux_finds_disks_and_CDs_and_reads_what_it_wrote(DriveBus bus, string driver)
    {
        var disc = await DriveImage.GrubDiscAsync();
        var (path, content) = Disk("data", 16 * MiB);
        var image = await DriveImage.GetAsync();
        var definition = await DefinitionAsync(new DiskDevice { Path = await GrubDisk.GetAsync(), Format = ImageFormat.Raw, Temporary = true, Bus = bus },
            new DiskDevice { Path = path, Format = ImageFormat.Raw, Bus = bus, Serial = "data-1" }, new CdromDevice { Path = disc, Bus = bus });
        // Loaded directly, which also tries what the board does in the firmware's stead.
        await using var guest = await LinuxGuest.BootAsync(definition with { Boot = new BootSource { KernelPath = image.KernelPath, InitrdPath = image.InitrdPath, CommandLine = image.CommandLine } });
        await guest.DoAsync(DriveImage.LoadDrivers);
        // Which one is found first is left to chance.
        await guest.DoAsync("until ls /dev/sd[ab]1 >/dev/null 2>&1 && [ -e /dev/sda ] && [ -e /dev/sdb ] && [ -e /dev/sr0 ]; do sleep 0.1; done");
        await guest.DoAsync("if [ -e /dev/sda1 ]; then g=a d=b; else g=b d=a; fi; ln -s sd${g}1 /dev/system; ln -s sd$d /dev/data");

        Assert.Contains(driver, await guest.DoAsync("cat /proc/ioports /proc/iomem /proc/interrupts"), StringComparison.Ordinal);
        Assert.StartsWith(Sum(content), await guest.DoAsync("sha256sum /dev/data"), StringComparison.Ordinal);
        Assert.StartsWith(Sum(File.ReadAllBytes(disc)), await guest.DoAsync("sha256sum /dev/sr0"), StringComparison.Ordinal);
        // The file systems of both, and a file that is written and read anew.
        await guest.DoAsync("mkdir -p /disk /cd; mount -t ext4 /dev/system /disk && mount -t iso9660 -o ro /dev/sr0 /cd");
        await guest.DoAsync("find /cd -type f | xargs cat | sha256sum >/tmp/cd1; echo 3 >/proc/sys/vm/drop_caches; find /cd -type f | xargs cat | sha256sum >/tmp/cd2; cmp /tmp/cd1 /tmp/cd2; [ -e /cd/boot/grub/i386-pc/normal.mod ]");
        await guest.DoAsync("cp /cd/boot/grub/i386-pc/*.mod /disk/ && sync && echo 3 >/proc/sys/vm/drop_caches && cmp /cd/boot/grub/i386-pc/normal.mod /disk/normal.mod");
        await guest.DoAsync("dd if=/dev/data of=/tmp/first bs=1M count=2 2>/dev/null; dd if=/tmp/first of=/dev/data bs=64k seek=64 conv=fsync oflag=direct 2>/dev/null; dd if=/tmp/first of=/dev/data bs=512 count=7 seek=1 conv=fsync 2>/dev/null");
        await guest.DoAsync("umount /disk; umount /cd");
        var log = await guest.DoAsync("dmesg");
        Assert.DoesNotMatch("(?i)ata[0-9.]+: .*(error|exception|failed|timeout|lost interrupt|frozen)", log);
        Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));
        await guest.TypeAsync("poweroff");
        Assert.Equal(MachineEnd.PoweredOff, (await guest.EndAsync()).End);

        content.AsSpan(0, 2 * MiB).CopyTo(content.AsSpan(4 * MiB));
        content.AsSpan(0, 7 * 512).ToArray().CopyTo(content.AsSpan(512));
        Assert.Equal(Sum(content), Sum(File.ReadAllBytes(path)));
    }

    [Theory]
    [InlineData(DriveBus.Ide)]
    [InlineData(DriveBus.Sata)]
    [InlineData(DriveBus.Nvme)]
    public async Task A_boot_that_is_saved_and_goes_on_at_any_moment_of_it_ends_as_any_other(DriveBus bus)
    {
        if (bus != DriveBus.Nvme) AllTests.SkipUnlessAsked("the boot by NVMe, with a CD by IDE, shows as much");
        var moments = AllTests.AreAsked ? 40 : 10;
        var definition = await DefinitionAsync(new DiskDevice { Path = await GrubDisk.GetAsync(), Format = ImageFormat.Raw, ReadOnly = true, Bus = bus }, new CdromDevice { Path = await DriveImage.MemtestDiscAsync(), Bus = bus == DriveBus.Nvme ? DriveBus.Ide : bus });
        await using var machine = (await SavedBoot.RunAsync(definition, _folder, moments, moments / 2, Cancellation)).Machine;
    }
}
