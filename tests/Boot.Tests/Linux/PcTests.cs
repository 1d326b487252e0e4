// Linux's own drivers on the machine pc, in the ways that they have: interrupts by message and by pin, by I/O APIC and by 8259, today's
// registers and the legacy ones; and devices that are taken away, found again and put elsewhere while others work.
using System.Globalization;
using System.Security.Cryptography;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class PcTests : IDisposable
{
    private const ulong GiB = 1 << 30;
    private const int MiB = 1 << 20;

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-pc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("pci=nomsi", "IO-APIC  1[01]-fasteoi +.*virtio", "1")]
    [InlineData("virtio_pci.force_legacy=1", "PCI-MSI .*virtio2-req.1", "0")]
    [InlineData("virtio_pci.force_legacy=1 pci=nomsi noapic", "XT-PIC +.*virtio", "0")]
    public async Task Devices_work_by_each_kind_of_interrupt_and_of_registers(string words, string interrupt, string modern)
    {
        var (disk, content) = (Path.Combine(_folder, "disk"), RandomNumberGenerator.GetBytes(8 * MiB));
        File.WriteAllBytes(disk, content);
        File.WriteAllText(Path.Combine(_folder, "file"), "here\n");
        await using var guest = await BootAsync(words, disk, spec => spec.With(new ShareDevice { Path = _folder, Tag = "host" }, new BalloonDevice()));

        Assert.StartsWith(Convert.ToHexStringLower(SHA256.HashData(content)), await guest.DoAsync("sha256sum /dev/vda"), StringComparison.Ordinal);
        await guest.DoAsync("dd if=/dev/vda of=/tmp/first bs=1M count=2 2>/dev/null; dd if=/tmp/first of=/dev/vda bs=4k seek=512 conv=fsync oflag=direct 2>/dev/null");
        Assert.Equal("here\n", await guest.DoAsync("mount -t virtiofs host /mnt && cat /mnt/file"));
        await guest.DoAsync("until ip -4 address | grep -q 10.0.2.15; do sleep 0.1; done; nslookup localhost. 10.0.2.3 >/dev/null 2>&1; head -c 16 /dev/hwrng | wc -c");
        Assert.Matches(interrupt, await guest.DoAsync("cat /proc/interrupts"));
        // virtio 1.2, 6: bit 32 says which registers the disk's driver uses. Devices in the order of the catalogue: entropy, console, disk.
        Assert.Equal(modern, (await guest.DoAsync("cut -c33 /sys/bus/virtio/devices/virtio2/features")).Trim());
        Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));
        KernelLog.AssertNoComplaints(await guest.DoAsync("dmesg"));
        await guest.TypeAsync("poweroff");
        Assert.Equal(MachineEnd.PoweredOff, (await guest.EndAsync()).End);

        content.AsSpan(0, 2 * MiB).CopyTo(content.AsSpan(2 * MiB));
        Assert.Equal(content, File.ReadAllBytes(disk));
    }

    [Fact]
    public async Task Devices_are_taken_away_found_again_and_put_above_4_GiB_while_others_work()
    {
        var (disk, content) = (Path.Combine(_folder, "disk"), RandomNumberGenerator.GetBytes(8 * MiB));
        File.WriteAllBytes(disk, content);
        await using var guest = await BootAsync("", disk, spec => (spec with { MemoryBytes = 5 * GiB }).With(new BalloonDevice()));
        // The entropy device is in use all along.
        await guest.DoAsync("(until [ -e /tmp/stop ]; do head -c 64 /dev/hwrng >/dev/null || touch /tmp/failed; done) & true");

        for (var round = 0; round < 3; round++)
        {
            // 5, 6, 7: disk, card, balloon.
            await guest.DoAsync("for d in /sys/bus/pci/devices/0000:00:0[567].0; do echo 1 >$d/remove; done; [ ! -e /dev/vda ]");
            await guest.DoAsync("echo 1 >/sys/bus/pci/rescan; until [ -e /dev/vda ] && [ -e /sys/class/net/eth0 ]; do sleep 0.1; done");
            Assert.StartsWith(Convert.ToHexStringLower(SHA256.HashData(content)), await guest.DoAsync("sha256sum /dev/vda"), StringComparison.Ordinal);
        }

        // Where the kernel put the disk's registers by itself.
        var line = (await guest.DoAsync("sed -n 5p /sys/bus/pci/devices/0000:00:05.0/resource")).Split(' ')[0];
        Assert.InRange(ulong.Parse(line.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture), 32 * GiB, (64 * GiB) - 1);
        Assert.NotEqual(0, (await guest.AskAsync("touch /tmp/stop; [ -e /tmp/failed ]")).ExitCode);
        Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));
    }

    private static Task<LinuxGuest> BootAsync(string words, string disk, Func<MachineDefinition, MachineDefinition> change) => LinuxGuest.BootAsync(
        GuestConfiguration.Of(GuestConfiguration.Pc),
        spec => change(spec with { Boot = spec.Boot with { CommandLine = $"{spec.Boot.CommandLine} {words}" } }).With(new DiskDevice { Path = disk, Format = ImageFormat.Raw }, new NetworkDevice()));
}
