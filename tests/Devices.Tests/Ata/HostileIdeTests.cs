// A guest that writes anything to any register, in any order, with tables of anything: nothing is touched but its own memory and the disk's sectors, and
// everything ends.
using Lamina.Core.Inspection;
using Lamina.Core.State;
using Lamina.Devices.Ata;
using Lamina.Devices.Ata.Packet;
using Lamina.Devices.Media;
using Xunit;
using static Lamina.Tests.Devices.Ata.IdeGuest;

namespace Lamina.Tests.Devices.Ata;

public sealed class HostileIdeTests
{
    private static readonly byte[] Likely = [0x20, 0x24, 0x25, 0x29, 0x30, 0x34, 0x35, 0x39, 0x3d, 0x06, 0x08, 0x90, 0x91, 0xa0, 0xa1, 0xc4, 0xc5, 0xc6, 0xc8, 0xca, 0xe7, 0xec, 0xef, 0xf8];
    private static readonly byte[] Packets = [0x00, 0x03, 0x12, 0x1a, 0x1b, 0x1e, 0x25, 0x28, 0x42, 0x43, 0x46, 0x4a, 0x51, 0x52, 0x5a, 0xa8, 0xb9, 0xbd, 0xbe];

    private static IdeGuest Make() => new IdeGuest(new Dictionary<int, AtaDrive>
    {
        [0] = new AtaDisk(IdeGuest.Disk(64), new AtaDiskOptions { Medium = new DriveOptions { Discard = true } }),
        [1] = new CdDrive(IdeGuest.Disk(64, readOnly: true), "cd", new DriveOptions()),
        [3] = new AtaDisk(IdeGuest.Disk(16, readOnly: true), new AtaDiskOptions()),
    }).SwitchOn();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_million_accesses_of_any_register_end(int seed)
    {
        var random = new Random(seed);
        var guest = Make();
        var ports = new[] { 0x1f0, 0x1f1, 0x1f2, 0x1f3, 0x1f4, 0x1f5, 0x1f6, 0x1f7, 0x3f6, 0x170, 0x172, 0x176, 0x177, 0x376, Master, Master + 2, Master + 4, Master + 8, Master + 10, Master + 12 };
        for (var i = 0; i < 500_000; i++)
        {
            var port = ports[random.Next(ports.Length)];
            var length = 1 << random.Next(3);
            if (random.Next(3) == 0)
            {
                guest.Machine.ReadPort((ulong)port, length);
            }
            else
            {
                var value = (port & 0xf) == 7 && random.Next(4) != 0 ? Likely[random.Next(Likely.Length)]
                    : (port & 0xf0f) is 0x100 && random.Next(2) == 0 ? Packets[random.Next(Packets.Length)]
                    : (uint)random.Next() & (random.Next(2) == 0 ? 0xffu : 0xf_fff8u);
                // Resets are rare, or nothing else would ever go on.
                if (port is 0x3f6 or 0x376 && random.Next(20) != 0) value &= 0xfb;
                guest.Machine.Ports.Write((ulong)port, BitConverter.GetBytes(value).AsSpan(0, length));
            }
            if (random.Next(8) == 0) guest.Workers.Run();
            if (random.Next(64) == 0) Assert.True(guest.Ram.TryWrite((ulong)random.Next((int)Memory / 8) * 8, (ulong)random.NextInt64() & 0x8000_ffff_00ff_ffff));
            if (random.Next(20_000) == 0)
            {
                // It is paused, looked at, saved, and goes on in another machine.
                guest.Function.Pause();
                guest.Function.Inspect(new InspectNode("ide"));
                var saved = SavedFields.Write(1, guest.Function.Save);
                guest.Dispose();
                guest = Make();
                SavedFields.Read(saved, 1, guest.Function.Load);
                guest.Function.Resume();
            }
        }
        guest.Function.Reset();
        guest.SwitchOn().Command(0xec, device: 0xa0);
        Assert.Equal(512, guest.ReadData(512).Length);
        guest.Dispose();
    }

    // With workers that have threads of their own, which a reset or a stopped bus master waits for.
    [Fact]
    public void Resets_and_stops_at_any_moment_leave_a_drive_that_works()
    {
        var workers = new Virtio.ThreadWorkers();
        using var guest = new IdeGuest(new Dictionary<int, AtaDrive> { [0] = new AtaDisk(IdeGuest.Disk(), new AtaDiskOptions()) }, workers).SwitchOn();
        var random = new Random(5);
        guest.SetTable((Data, 0), (Data + 0x1_0000, 0), (Data + 0x2_0000, 0));
        for (var i = 0; i < 500; i++)
        {
            guest.WideCommand(0x25, (ulong)random.Next(1000), 384);
            guest.StartMaster(toMemory: true);
            Thread.SpinWait(random.Next(2000));
            if (random.Next(2) == 0) guest.Out(Master, 8);
            var before = guest.Load(Data, 0x3_0000);
            guest.Out(0x3f6, 4);
            guest.Out(Master, 8);
            guest.Store(Data, new byte[0x3_0000]);
            guest.Out(0x3f6, 0);
            Assert.All(guest.Load(Data, 0x3_0000).Chunk(4096), part => Assert.Equal(0, part.Max()));
            Assert.NotNull(before);
        }
        guest.Command(0x20, 5, 1);
        while ((guest.In(0x3f6) & Busy) != 0) Thread.Yield();
        Assert.Equal(Ready | 0x10 | Request, guest.In(0x1f7));
    }

    // The read is held up until the reset is seen to be under way: it returns when the read has ended, and not before.
    [Theory]
    [InlineData(0x3f6, 4)]
    [InlineData(Master, 8)]
    public void A_reset_and_a_stop_wait_for_what_touches_memory(int port, int value)
    {
        var disk = IdeGuest.Disk();
        using var held = new ManualResetEventSlim();
        disk.Gate = held;
        using var guest = new IdeGuest(new Dictionary<int, AtaDrive> { [0] = new AtaDisk(disk, new AtaDiskOptions()) }, new Virtio.ThreadWorkers()).SwitchOn();
        guest.SetTable((Data, 512));
        guest.WideCommand(0x25, 1, 1);
        guest.StartMaster(toMemory: true);
        while (disk.InProgress == 0) Thread.Yield();
        var inProgress = -1;
        var reset = new Thread(() =>
        {
            guest.Out(port, value);
            inProgress = disk.InProgress;
        });
        reset.Start();
        while (port == Master ? (guest.In(Master) & 1) != 0 : !IsReset(guest)) Thread.Yield();
        for (var look = 0; look < 1000 && Volatile.Read(ref inProgress) < 0; look++) Thread.Yield();
        held.Set();
        reset.Join();
        Assert.Equal(0, inProgress);
    }

    private static bool IsReset(IdeGuest guest)
    {
        var node = new InspectNode("ide");
        guest.Function.Inspect(node);
        return (string?)node.Find("channel 0")!["control"] == "0x4";
    }
}
