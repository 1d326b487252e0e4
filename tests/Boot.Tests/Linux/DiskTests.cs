// Disks as Debian's kernel drives them: what a guest writes is there when another machine is started on the image, and on
// the host.
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Security.Cryptography;
using Lamina.Backends.Disk;
using Lamina.Core.Logging;
using Lamina.Host.Io.Ring;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class DiskTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-disk-").FullName;

    public static TheoryData<string> OneOfEach => GuestConfiguration.OneOfEach;

    public static TheoryData<string> OneOfEachMachine => GuestConfiguration.OneOfEachMachine;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(OneOfEachMachine))]
    public async Task What_a_guest_writes_another_one_reads(string configuration)
    {
        DiskDevice[] disks = [Create("a.raw", DiskFormat.Raw), Create("b.qcow2", DiskFormat.Qcow2), Create("c.qcow2", DiskFormat.Qcow2) with { Cache = CacheMode.WriteThrough, Queues = 2 }];
        string written;
        await using (var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration), disks))
        {
            await guest.DoAsync("dd if=/dev/urandom of=/tmp/data bs=1M count=6 2>/dev/null");
            written = (await guest.DoAsync("sha256sum < /tmp/data"))[..64];
            await guest.DoAsync("dd if=/tmp/data of=/dev/vda bs=64k seek=1 conv=fsync 2>/dev/null");
            await guest.DoAsync("dd if=/tmp/data of=/dev/vdb bs=4k seek=777 conv=fsync 2>/dev/null");
            await guest.DoAsync("dd if=/tmp/data of=/dev/vdc bs=512 seek=99 conv=fsync 2>/dev/null");
            await PowerOffAsync(guest);
        }

        Assert.Equal(written, Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(disks[0].Path).AsSpan(65536, 6 << 20))));
        Assert.True(DiskTools.Check(disks[1].Path, repair: false).Found.IsClean);
        Assert.True(DiskTools.Check(disks[2].Path, repair: false).Found.IsClean);
        await using var next = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration), [.. disks.Select(disk => disk with { ReadOnly = true })]);
        Assert.StartsWith(written, await next.DoAsync("dd if=/dev/vda bs=64k skip=1 count=96 2>/dev/null | sha256sum"), StringComparison.Ordinal);
        Assert.StartsWith(written, await next.DoAsync("dd if=/dev/vdb bs=4k skip=777 count=1536 2>/dev/null | sha256sum"), StringComparison.Ordinal);
        Assert.StartsWith(written, await next.DoAsync("dd if=/dev/vdc bs=512 skip=99 count=12288 2>/dev/null | sha256sum"), StringComparison.Ordinal);
        Assert.NotEqual(0, (await next.AskAsync("dd if=/tmp/x of=/dev/vda 2>/dev/null")).ExitCode);
    }

    [Theory]
    [InlineData(AioMode.Threads)]
    [InlineData(AioMode.Auto)]
    [InlineData(AioMode.IoUring)]
    public async Task Past_the_page_cache_many_requests_at_once_read_what_was_written_and_a_reset_or_the_end_may_come_at_any_time(AioMode aio)
    {
        Assert.SkipWhen(aio == AioMode.IoUring && DiskRing.WhyNot() is not null, $"no io_uring here: {DiskRing.WhyNot()}");
        var disk = Create("direct.raw", DiskFormat.Raw) with { Direct = true, Aio = aio };
        LinuxGuest guest;
        try
        {
            guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(OneOfEach.First().Data), disk);
        }
        catch (MachineException refused) when (refused.Message.Contains("direct input and output", StringComparison.Ordinal))
        {
            Assert.Skip(refused.Message);
            return;
        }
        await using (guest)
        {
            await guest.DoAsync("dd if=/dev/urandom of=/tmp/data bs=1M count=16 2>/dev/null");
            await guest.DoAsync("for i in 0 4 8 12; do dd if=/tmp/data of=/dev/vda bs=4k skip=$((i*256)) seek=$((i*256)) count=1024 oflag=direct 2>/dev/null & done; wait");
            Assert.Equal("same\n", await guest.DoAsync("for i in 0 4 8 12; do dd if=/dev/vda of=/tmp/part$i bs=4k skip=$((i*256)) count=1024 iflag=direct 2>/dev/null & done; wait; cat /tmp/part0 /tmp/part4 /tmp/part8 /tmp/part12 | cmp - /tmp/data && echo same"));
            const string Busy = "for i in 1 2 3 4; do (while true; do dd if=/dev/vda of=/dev/null bs=64k iflag=direct 2>/dev/null; dd if=/dev/zero of=/dev/vda bs=4k count=64 seek=$((i*64)) oflag=direct 2>/dev/null; done) & done";
            await guest.DoAsync(Busy);
            await guest.Machine.ResetAsync(TestContext.Current.CancellationToken);
            await guest.WaitAsync("ends it.");
            await guest.WaitForPromptAsync();
            await guest.DoAsync(Busy);
            await guest.Machine.StopAsync(TestContext.Current.CancellationToken);
            Assert.Equal(MachineEnd.Stopped, (await guest.EndAsync()).End);
        }
    }

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task The_disks_are_what_was_asked_for(string configuration)
    {
        await using var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration),
            Create("a.raw", DiskFormat.Raw) with { Serial = "first-disk", ReadOnly = true },
            Create("b.qcow2", DiskFormat.Qcow2) with { Discard = false, Cache = CacheMode.WriteThrough });

        Assert.Equal("32768\n65536\n", await guest.DoAsync("cat /sys/block/vda/size /sys/block/vdb/size"));
        Assert.Equal("first-disk", await guest.DoAsync("cat /sys/block/vda/serial"));
        Assert.Equal("1\n0\n", await guest.DoAsync("cat /sys/block/vda/ro /sys/block/vdb/ro"));
        Assert.Equal("4096\n", await guest.DoAsync("cat /sys/block/vdb/queue/physical_block_size"));
        Assert.Equal("65536\n", await guest.DoAsync("cat /sys/block/vdb/queue/optimal_io_size"));
        Assert.Equal("write through\n", await guest.DoAsync("cat /sys/block/vdb/queue/write_cache"));
        Assert.Equal("0\n", await guest.DoAsync("cat /sys/block/vdb/queue/discard_max_bytes"));
        Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));
    }

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task A_disk_of_4_KiB_blocks_is_one_for_the_guest_and_carries_a_file_system(string configuration)
    {
        var disks = new[] { Create("a.raw", DiskFormat.Raw), Create("b.qcow2", DiskFormat.Qcow2) }.Select(disk => disk with { BlockSize = 4096 }).ToArray();
        string written;
        await using (var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration), disks))
        {
            Assert.Equal("4096\n4096\n4096\n", await guest.DoAsync("(cd /sys/block/vda/queue && cat logical_block_size physical_block_size minimum_io_size)"));
            Assert.Equal("4096\n32768\n65536\n", await guest.DoAsync("(cd /sys/block && cat vdb/queue/logical_block_size vda/size vdb/size)"));
            Assert.Equal("4096\n", await guest.DoAsync("blockdev --getss /dev/vda"));
            await guest.DoAsync("(cd / && for d in a b; do mke2fs -F -b 4096 /dev/vd$d >/dev/null 2>&1 && mkdir /mnt/$d && mount -t ext4 /dev/vd$d /mnt/$d || exit 1; done)");
            written = await guest.DoAsync("dd if=/dev/urandom of=/mnt/a/data bs=1000 count=3000 2>/dev/null && cp /mnt/a/data /mnt/b/data && sha256sum < /mnt/a/data");
            Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("umount /mnt/a /mnt/b && dmesg -r")));
            await PowerOffAsync(guest);
        }
        Assert.True(DiskTools.Check(disks[1].Path, repair: false).Found.IsClean);

        // The unit is the driver's matter: what is on the disk is the same.
        await using var next = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration), disks[0] with { BlockSize = 512 }, disks[1]);
        Assert.Equal("512\n4096\n", await next.DoAsync("cat /sys/block/vd?/queue/logical_block_size"));
        Assert.Equal(written + written, await next.DoAsync("(for d in a b; do mount -t ext4 /dev/vd$d /mnt && sha256sum < /mnt/data && umount /mnt || exit 1; done)"));
    }

    [Theory]
    [MemberData(nameof(OneOfEachMachine))]
    public async Task A_file_system_survives_a_reset_and_gives_back_what_is_deleted(string configuration)
    {
        var disk = Create("disk.qcow2", DiskFormat.Qcow2);
        await using var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration), disk);
        await guest.DoAsync("mke2fs -F /dev/vda >/dev/null 2>&1 && mount -t ext4 /dev/vda /mnt");
        await guest.DoAsync("dd if=/dev/zero bs=1M count=12 2>/dev/null | tr '\\0' 'x' >/mnt/big && echo kept >/mnt/small && sync");
        var full = new FileInfo(disk.Path).Length;
        Assert.True(full > 12 << 20, $"the image has only {full} bytes");

        await guest.Machine.ResetAsync(TestContext.Current.CancellationToken);
        // The prompt of before stands unread.
        await guest.WaitAsync("ends it.");
        await guest.WaitForPromptAsync();
        await guest.DoAsync("mount -t ext4 /dev/vda /mnt");
        Assert.Equal("kept\n", await guest.DoAsync("cat /mnt/small"));
        Assert.Equal($"{12 << 20}\n", await guest.DoAsync("wc -c </mnt/big"));
        await guest.DoAsync("rm /mnt/big && sync && fstrim /mnt && umount /mnt && blkdiscard -o 29360128 -l 1048576 /dev/vda");
        await PowerOffAsync(guest);

        var check = DiskTools.Check(disk.Path, repair: false).Found;
        Assert.True(check.IsClean, string.Join("; ", check.Messages));
        Assert.True(check.DataClusters < 100, $"{check.DataClusters} clusters still hold data");
    }

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public Task A_machine_whose_host_is_full_stands_still_until_there_is_space_and_nothing_is_lost(string configuration) => FillAsync(configuration, async full =>
    {
        await Task.Delay(TimeSpan.FromSeconds(2), TestContext.Current.CancellationToken);
        Assert.Equal((MachineState.Paused, false), (full.Guest.Machine.State, full.Write.IsCompleted));
        Assert.True(await MountAsync("-o", "remount,size=64m", Small));

        Assert.Equal("same\n", await full.Write);
        Assert.Contains("goes on", full.Said.Take(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Empty(KernelLog.ErrorsIn(await full.Guest.DoAsync("dmesg -r")));
        await PowerOffAsync(full.Guest);
        Assert.True(DiskTools.Check(Path.Combine(Small, "disk.qcow2"), repair: false).Found.IsClean);
    });

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public Task A_machine_that_is_to_end_while_its_host_is_full_ends_and_says_what_is_not_on_its_disk(string configuration) => FillAsync(configuration, async full =>
    {
        // What SIGTERM does: the guest is asked, and has no time to answer.
        await full.Guest.Machine.ShutDownAsync(timeout: TimeSpan.FromSeconds(1), cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(MachineEnd.Stopped, (await full.Guest.EndAsync()).End);
        await full.Guest.Machine.DisposeAsync();
        full.Said.CompleteAdding();
        Assert.Equal(2, full.Said.Count);
        Assert.Contains("ends while the disk", full.Said.Take(), StringComparison.Ordinal);
        Assert.StartsWith("the last changes to ", full.Said.Take(), StringComparison.Ordinal);
    });

    private sealed record FullGuest(LinuxGuest Guest, Task<string> Write, BlockingCollection<string> Said);

    private string Small => Path.Combine(_folder, "small");

    // Has a guest write more to a disk than the host has room for, and hands it over when it stands still. The image must be in order at the end.
    private async Task FillAsync(string configuration, Func<FullGuest, Task> act)
    {
        Directory.CreateDirectory(Small);
        Assert.SkipUnless(await MountAsync("-t", "tmpfs", "-o", "size=8m", "tmpfs", Small), "a small file system cannot be mounted here (that takes root)");
        try
        {
            var disk = Create("small/disk.qcow2", DiskFormat.Qcow2) with { OnFull = FullMode.Pause };
            var said = new BlockingCollection<string>();
            await using var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration), spec => spec.With(disk), new MachineHooks { Log = Log.To(line => said.Add(line.Message), LogLevel.Warning) });
            await guest.DoAsync("dd if=/dev/urandom of=/tmp/data bs=1M count=12 2>/dev/null");
            var write = guest.DoAsync("dd if=/tmp/data of=/dev/vda bs=64k conv=fsync 2>/dev/null && echo 3 >/proc/sys/vm/drop_caches && dd if=/dev/vda bs=64k count=192 2>/dev/null | cmp - /tmp/data && echo same");

            Assert.True(said.TryTake(out var full, TimeSpan.FromMinutes(1)));
            Assert.Contains("has no space for the disk", full, StringComparison.Ordinal);
            await act(new FullGuest(guest, write, said));
            var check = DiskTools.Check(disk.Path, repair: false).Found;
            // Space that was counted before it was full may be lost.
            Assert.True(check.Errors == 0, string.Join("; ", check.Messages));
        }
        finally
        {
            using var unmount = Process.Start("umount", [Small]);
            await unmount.WaitForExitAsync(CancellationToken.None);
        }
    }

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task Many_disks_share_interrupts(string configuration)
    {
        DiskDevice[] disks = [.. Enumerable.Range(0, 20).Select(i => Create($"{i}.qcow2", DiskFormat.Qcow2))];
        await using var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration), disks);

        Assert.Equal("20\n", await guest.DoAsync("ls /sys/block | grep -c ^vd"));
        await guest.DoAsync("for d in /dev/vd?; do (echo $d | dd of=$d bs=512 conv=sync,fsync 2>/dev/null) & done; wait");
        Assert.Equal("20\n", await guest.DoAsync("for d in /dev/vd?; do head -c 9 $d; done | grep -c /dev/vd"));
        Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));
    }

    private static async Task<bool> MountAsync(params string[] words)
    {
        using var mount = Process.Start(new ProcessStartInfo("mount", words) { RedirectStandardError = true })!;
        await mount.WaitForExitAsync(TestContext.Current.CancellationToken);
        return mount.ExitCode == 0;
    }

    private DiskDevice Create(string name, DiskFormat format)
    {
        var path = Path.Combine(_folder, name);
        DiskTools.Create(new DiskCreation { Path = path, Format = format, Size = format == DiskFormat.Raw ? 16ul << 20 : 32ul << 20 });
        return new DiskDevice { Path = path };
    }

    private static async Task PowerOffAsync(LinuxGuest guest)
    {
        await guest.TypeAsync("poweroff");
        Assert.Equal(MachineEnd.PoweredOff, (await guest.EndAsync()).End);
        await guest.Machine.DisposeAsync();
    }
}
