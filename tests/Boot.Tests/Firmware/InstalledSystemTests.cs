// A Debian that puts itself on a disk of each kind, with GRUB for a BIOS and for UEFI, and starts from there by its own boot loader: reached by ssh, rebooted,
// powered off by the button. What Debian's installer does beyond that is asking.
using Lamina.Hypervisor.Stored;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Firmware;

public sealed class InstalledSystemTests(ITestOutputHelper output) : IDisposable
{
    // GPT with room for a BIOS' GRUB, UEFI's partition, and the system.
    private const string Script = """
        set -e
        export DEBIAN_FRONTEND=noninteractive
        disk=$1; case $disk in *[0-9]) part=${disk}p;; *) part=$disk;; esac
        apt-get update -q
        apt-get install -qy --no-install-recommends fdisk dosfstools grub-pc-bin grub-efi-amd64-bin grub2-common
        printf 'label: gpt\nsize=1MiB, type=21686148-6449-6E6F-744E-656564454649\nsize=64MiB, type=U\ntype=L\n' | sfdisk -q $disk
        udevadm settle
        mkfs.vfat -n EFI ${part}2
        mke2fs -q -t ext4 -L installed ${part}3
        mount ${part}3 /mnt
        tar -C / --one-file-system -cf - --exclude=./mnt . | tar -C /mnt -xf -
        mkdir -p /mnt/mnt /mnt/proc /mnt/sys /mnt/dev /mnt/run /mnt/boot/efi
        mount ${part}2 /mnt/boot/efi
        for folder in dev proc sys; do mount --bind /$folder /mnt/$folder; done
        echo 'LABEL=installed / ext4 errors=remount-ro 0 1' >/mnt/etc/fstab
        printf 'GRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200"\nGRUB_TERMINAL="console serial"\n' >/mnt/etc/default/grub
        # The cloud's kernel knows virtio and NVMe, and no card of Intel's.
        case $2 in
          generic) mount --bind /run /mnt/run; chroot /mnt apt-get install -qy --no-install-recommends linux-image-amd64; umount /mnt/run; rm /mnt/boot/*cloud*;;
        esac
        chroot /mnt grub-install --target=i386-pc $disk
        chroot /mnt grub-install --target=x86_64-efi --efi-directory=/boot/efi --removable --no-nvram
        chroot /mnt update-grub
        for folder in sys proc dev boot/efi; do umount /mnt/$folder; done
        umount /mnt
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-installed-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(DriveBus.Virtio, NetworkModel.Virtio)]
    [InlineData(DriveBus.Nvme, NetworkModel.E1000e)]
    [InlineData(DriveBus.Sata, NetworkModel.E1000e)]
    [InlineData(DriveBus.Ide, NetworkModel.Virtio)]
    public async Task Debian_puts_itself_on_a_disk_and_starts_from_it_by_BIOS_and_by_UEFI(DriveBus bus, NetworkModel card)
    {
        AllTests.SkipUnlessAsked("a whole Debian is copied to a disk and booted from it, which takes minutes and a package source");
        var disk = new DiskDevice { Path = Path.Combine(_folder, "installed.qcow2"), Size = 4ul << 30, Bus = bus };
        await InstallAsync(disk, bus is DriveBus.Virtio ? "cloud" : "generic");
        var (uefi, _) = await UefiDisk.GetAsync();
        foreach (var firmware in (string[])[await SeaBiosImage.GetAsync(), uefi])
        {
            await using var machine = Machine.Create(new MachineDefinition
            {
                Type = MachineType.Pc,
                Engine = TestEngine.Default,
                MemoryBytes = 512 << 20,
                Boot = new BootSource { Firmware = firmware },
                Devices = [disk, NetworkDevice.Parse("user,publish=0:22")! with { Model = card }],
            });
            var started = TimeProvider.System.GetTimestamp();
            var run = machine.RunAsync(Cancellation);
            var guest = new SshGuest(_folder, "alice", machine.Published.Single().Host.Port);

            await guest.WaitAsync("true");
            output.WriteLine($"{bus}, {(firmware == uefi ? "UEFI" : "BIOS")}: ssh after {TimeProvider.System.GetElapsedTime(started).TotalSeconds:0.0} s");
            Assert.Equal(firmware == uefi ? "UEFI" : "BIOS", await guest.DoAsync("test -d /sys/firmware/efi && echo UEFI || echo BIOS"));
            Assert.Equal("installed", await guest.DoAsync("lsblk -no LABEL $(findmnt -no SOURCE /)"));
            Assert.Equal("", await guest.DoAsync("systemctl --failed --quiet"));
            var boot = await guest.DoAsync("cat /proc/sys/kernel/random/boot_id");
            await guest.AskAsync("sudo reboot");
            await guest.WaitAsync($"test $(cat /proc/sys/kernel/random/boot_id) != {boot} && systemctl is-system-running --wait");
            Assert.True(await machine.PressPowerButtonAsync(Cancellation));
            Assert.Equal(MachineEnd.PoweredOff, (await run.WaitAsync(TimeSpan.FromMinutes(3), Cancellation)).End);
        }
    }

    private async Task InstallAsync(DiskDevice target, string kernel)
    {
        var image = await DebianImage.GetAsync();
        using var stored = new MachineStore(Path.Combine(_folder, "machines")).Open("installer", DebianImage.Name, () => image);
        stored.SetSeed(new Seed { HostName = "installed", User = "alice", Keys = Seed.ReadKeys(await SshGuest.CreateKeyAsync(_folder)) });
        await using var machine = Machine.Create(new MachineDefinition
        {
            Type = MachineType.Pc,
            Engine = TestEngine.Default,
            MemoryBytes = 1 << 30,
            Boot = new BootSource { KernelPath = stored.KernelPath, InitrdPath = stored.InitrdPath, CommandLine = stored.Definition.Boot.CommandLine },
            // The image's kernel has no driver for SATA: then the disk is written by another bus than it is read by.
            Devices = [stored.Disk!, stored.SeedDisk!, target.Bus == DriveBus.Sata ? target with { Bus = DriveBus.Virtio } : target, NetworkDevice.Parse("user,publish=0:22")!],
        });
        stored.SetStarted();
        var run = machine.RunAsync(Cancellation);
        var guest = new SshGuest(_folder, "alice", machine.Published.Single().Host.Port);
        await guest.WaitAsync("systemctl is-system-running --wait");
        var device = await guest.DoAsync("for disk in /sys/block/*; do if [ $(cat $disk/size) = 8388608 ]; then echo /dev/${disk##*/}; fi; done");
        Assert.StartsWith("/dev/", device, StringComparison.Ordinal);
        var started = TimeProvider.System.GetTimestamp();
        var update = await guest.AskAsync("sudo apt-get update -q -o APT::Update::Error-Mode=any");
        Assert.SkipUnless(update.ExitCode == 0, $"there is no package source here ({string.Join(' ', update.Errors)})");
        await guest.DoAsync($"cat >install.sh <<'END'\n{Script}\nEND\nsudo sh -x install.sh {device} {kernel} >install.log 2>&1 || {{ tail -n 20 install.log; false; }}");
        output.WriteLine($"{target.Bus}: installed in {TimeProvider.System.GetElapsedTime(started).TotalSeconds:0.0} s");
        await guest.AskAsync("sudo poweroff");
        Assert.Equal(MachineEnd.PoweredOff, (await run.WaitAsync(TimeSpan.FromMinutes(3), Cancellation)).End);
    }
}
