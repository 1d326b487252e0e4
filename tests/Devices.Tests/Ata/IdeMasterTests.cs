// The bus master: tables as drivers make them, and as only somebody hostile does; what is under way when it stops, when the machine stands still, and
// when the host has no space.
using Lamina.Core.Inspection;
using Lamina.Core.State;
using Lamina.Devices.Ata;
using Lamina.Devices.Media;
using Lamina.Host;
using Lamina.Tests.Devices.Virtio;
using Xunit;
using static Lamina.Tests.Devices.Ata.IdeGuest;

namespace Lamina.Tests.Devices.Ata;

public sealed class IdeMasterTests : IDisposable
{
    private const int Interrupt = 4, Error = 2, Active = 1;

    private readonly TestDisk _disk = IdeGuest.Disk();
    private readonly List<bool> _waits = [];
    private readonly IdeGuest _guest;
    private AtaDisk? _drive;

    public IdeMasterTests() => _guest = Make(_disk);

    public void Dispose() => _guest.Dispose();

    private IdeGuest Make(TestDisk disk) => new IdeGuest(new Dictionary<int, AtaDrive> { [0] = DriveOf(disk) }).SwitchOn();

    private AtaDisk DriveOf(TestDisk disk) => _drive = new AtaDisk(disk, new AtaDiskOptions { Medium = new DriveOptions { WaitsForSpace = _waits.Add } });

    private int Status => _guest.In(Master + 2) & 7;

    private byte[] Content(int sector, int count) => _disk.Content[(sector * 512)..((sector + count) * 512)];

    [Theory]
    [InlineData(0xc8, false)]
    [InlineData(0x25, true)]
    public void Data_go_to_memory_in_pieces_of_any_size(int opcode, bool wide)
    {
        _guest.SetTable((Data, 2), (Data + 0x1000, 510), (Data + 0x3002, 1024 + 6), (Data + 0x5000, 4096 - 1024 - 518));
        if (wide) _guest.WideCommand(opcode, 100, 8);
        else _guest.Command(opcode, 100, 8);
        Assert.Equal(Busy, _guest.Wait());
        Assert.Empty(_disk.Calls);
        _guest.StartMaster(toMemory: true);
        Assert.Equal(Ready | 0x10, _guest.Wait());

        Assert.Equal(Interrupt, Status);
        Assert.True(_guest.Lines[0].Level);
        byte[] all = [.. _guest.Load(Data, 2), .. _guest.Load(Data + 0x1000, 510), .. _guest.Load(Data + 0x3002, 1030), .. _guest.Load(Data + 0x5000, 4096 - 1542)];
        Assert.Equal(Content(100, 8), all);
        Assert.Equal(["read 100+8"], _disk.Calls);
        _guest.Out(Master + 2, 6);
        Assert.Equal(0, Status);
    }

    [Theory]
    [InlineData(0xca, false)]
    [InlineData(0x35, true)]
    [InlineData(0x3d, true)]
    public void Data_come_from_memory_whichever_side_begins(int opcode, bool wide)
    {
        var data = new byte[2048];
        new Random(3).NextBytes(data);
        _guest.Store(Data, data);
        _guest.SetTable((Data, 2048));
        _guest.StartMaster(toMemory: false);
        Assert.Equal(Active, Status);
        if (wide) _guest.WideCommand(opcode, 200, 4);
        else _guest.Command(opcode, 200, 4);
        Assert.Equal(Ready | 0x10, _guest.Wait());

        Assert.Equal(data, Content(200, 4));
        Assert.Equal(opcode == 0x3d ? ["write 200+4", "flush"] : ["write 200+4"], _disk.Calls);
        Assert.Equal(Interrupt, Status);
    }

    [Fact]
    public void A_long_transfer_goes_in_parts_and_a_length_of_0_is_64_KiB()
    {
        var disk = IdeGuest.Disk(8192);
        using var guest = Make(disk);
        guest.SetTable([.. Enumerable.Range(0, 48).Select(i => (Data + ((ulong)i << 16), 0))]);
        guest.WideCommand(0x25, 16, 6144);
        guest.StartMaster(toMemory: true);
        Assert.Equal(Ready | 0x10, guest.Wait());
        Assert.Equal(disk.Content[(16 * 512)..(6160 * 512)], guest.Load(Data, 6144 * 512));
        Assert.Equal(["read 16+2048", "read 2064+2048", "read 4112+2048"], disk.Calls);
    }

    [Fact]
    public void A_table_that_is_longer_than_the_transfer_stays_active()
    {
        _guest.SetTable((Data, 4096));
        _guest.Command(0xc8, 0, 1);
        _guest.StartMaster(toMemory: true);
        Assert.Equal(Ready | 0x10, _guest.Wait());
        Assert.Equal(Interrupt | Active, Status);
        _guest.Out(Master, 8);
        Assert.Equal(Interrupt, Status);
    }

    [Fact]
    public void A_table_that_is_too_short_leaves_the_drive_waiting()
    {
        _guest.SetTable((Data, 512 + 100));
        _guest.Command(0xc8, 3, 4);
        _guest.StartMaster(toMemory: true);
        Assert.Equal(Busy, _guest.Wait());
        Assert.Equal(0, Status);
        Assert.Equal(Content(3, 1), _guest.Load(Data, 512));

        // Its driver resets it, and it is whole.
        _guest.Out(0x3f6, 4);
        _guest.Out(0x3f6, 0);
        Assert.Equal(Ready | 0x10, _guest.Wait());
    }

    [Theory]
    [InlineData(0x7f_ff00ul, 512)]
    [InlineData(0xffff_fffeul, 512)]
    [InlineData(0xe000_0000ul, 512)]
    public void What_is_no_memory_is_an_error_of_the_bus_master(ulong address, int length)
    {
        _guest.SetTable((address, length));
        _guest.Command(0xc8, 0, 1);
        _guest.StartMaster(toMemory: true);
        Assert.Equal(Busy, _guest.Wait());
        Assert.Equal(Error, Status);
        Assert.Empty(_disk.Calls);
    }

    [Fact]
    public void A_table_that_is_no_memory_or_has_no_end_ends()
    {
        _guest.Command(0xc8, 0, 1);
        _guest.Out32(Master + 4, 0xffff_fff8);
        _guest.Out(Master, 9);
        Assert.Equal(Busy, _guest.Wait());
        Assert.Equal(Error, Status);
        _guest.Out(Master, 0);

        // 8192 entries of two bytes, none of which is the last, for a transfer of more.
        for (ulong i = 0; i < 8192; i++)
        {
            Assert.True(_guest.Ram.TryWrite(0x2_0000 + (i * 8), (uint)Data));
            Assert.True(_guest.Ram.TryWrite(0x2_0000 + (i * 8) + 4, 2u));
        }
        _guest.Out(0x3f6, 4);
        _guest.Out(0x3f6, 0);
        _guest.Command(0xc8, 0, 64);
        _guest.Out32(Master + 4, 0x2_0000);
        _guest.Out(Master + 2, 6);
        _guest.Out(Master, 9);
        Assert.Equal(Busy, _guest.Wait());
        Assert.Equal(Error, Status);
        Assert.True(_disk.Calls.Count <= 32);
    }

    [Fact]
    public void The_wrong_direction_is_an_error()
    {
        _guest.SetTable((Data, 512));
        _guest.Command(0xc8, 0, 1);
        _guest.StartMaster(toMemory: false);
        Assert.Equal(Busy, _guest.Wait());
        Assert.Equal(Error, Status);
    }

    [Fact]
    public void What_is_stopped_moves_nothing_more()
    {
        _guest.SetTable((Data, 512));
        _guest.Command(0xc8, 0, 1);
        _guest.StartMaster(toMemory: true);
        _guest.Out(Master, 8);
        Assert.Equal(Busy, _guest.Wait());
        Assert.Empty(_disk.Calls);
        _guest.Out(Master, 9);
        Assert.Equal(Ready | 0x10, _guest.Wait());
        Assert.Equal(Content(0, 1), _guest.Load(Data, 512));
    }

    [Fact]
    public void A_machine_that_stands_still_moves_nothing_and_goes_on()
    {
        _guest.SetTable((Data, 512));
        _guest.Command(0xc8, 9, 1);
        _guest.StartMaster(toMemory: true);
        _guest.Function.Pause();
        Assert.Equal(Busy, _guest.Wait());
        Assert.Empty(_disk.Calls);
        _guest.Function.Resume();
        Assert.Equal(Ready | 0x10, _guest.Wait());
        Assert.Equal(Content(9, 1), _guest.Load(Data, 512));
    }

    [Fact]
    public void A_machine_that_is_saved_in_the_middle_of_a_transfer_goes_on_there()
    {
        var disk = IdeGuest.Disk(8192);
        using var before = Make(disk);
        before.SetTable([.. Enumerable.Range(0, 48).Select(i => (Data + ((ulong)i << 16), 0))]);
        before.WideCommand(0x25, 16, 6144);
        before.StartMaster(toMemory: true);
        // It is paused while its first part is read.
        disk.Beginning = () =>
        {
            disk.Beginning = null;
            ThreadPool.QueueUserWorkItem(_ => before.Function.Pause());
            while (!StandsStill(before)) Thread.Yield();
        };
        before.Workers.Run();
        Assert.Single(disk.Calls);

        using var after = Make(disk);
        SavedFields.Read(SavedFields.Write(1, before.Function.Save), 1, after.Function.Load);
        after.Store(0, before.Load(0, (int)Memory));
        after.Function.Resume();
        Assert.Equal(Ready | 0x10, after.Wait());
        Assert.Equal(3, disk.Calls.Count);
        Assert.Equal(disk.Content[(16 * 512)..(6160 * 512)], after.Load(Data, 6144 * 512));
    }

    private static bool StandsStill(IdeGuest guest)
    {
        var node = new InspectNode("ide");
        guest.Function.Inspect(node);
        return node.Find("channel 0")!["stands still"] is true;
    }

    [Fact]
    public void A_write_waits_for_space_on_the_host()
    {
        _disk.Failure = new HostException("full") { IsDiskFull = true };
        _guest.Command(0x30, 1, 1);
        _guest.WriteData(new byte[512]);
        Assert.Equal(Busy, _guest.Wait());
        Assert.Equal([true], _waits);
        var node = new InspectNode("ide");
        _guest.Function.Inspect(node);
        Assert.Equal(true, node.Find("channel 0/device 0")!["waits for space"]);

        _disk.Failure = null;
        Assert.Equal(Busy, _guest.Wait());
        _drive!.Retry();
        Assert.Equal(Ready | 0x10, _guest.Wait());
        Assert.Equal([true, false], _waits);
    }
}
