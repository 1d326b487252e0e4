// An AHCI controller with a disk and a CD drive: commands by each protocol, the queue, resets, interrupts, and lists that only somebody hostile makes.
using Lamina.Core.Inspection;
using Lamina.Core.State;
using Lamina.Devices.Ata;
using Lamina.Devices.Ata.Packet;
using Lamina.Devices.Media;
using Lamina.Tests.Devices.Virtio;
using Xunit;
using static Lamina.Tests.Devices.Ata.AhciGuest;

namespace Lamina.Tests.Devices.Ata;

public sealed class AhciTests : IDisposable
{
    private const uint RegisterFrame = 1, PioFrame = 2, BitsFrame = 8, Overflow = 1 << 24, BusError = 1 << 29, TaskFileError = 1 << 30;

    private readonly TestDisk _disk = IdeGuest.Disk();
    private readonly TestDisk _disc = IdeGuest.Disk(64, readOnly: true);
    private readonly AhciGuest _guest;

    public AhciTests() => _guest = Make().SwitchOn().StartPort(0).StartPort(1);

    public void Dispose() => _guest.Dispose();

    private AhciGuest Make() => new(new Dictionary<int, AtaDrive> { [0] = new AtaDisk(_disk, new AtaDiskOptions()), [1] = new CdDrive(_disc, "cd", new DriveOptions()) });

    private byte[] Content(int sector, int count) => _disk.Content[(sector * 512)..((sector + count) * 512)];

    [Fact]
    public void The_controller_says_what_it_has()
    {
        Assert.Equal(0x2922_8086u, _guest.Machine.Read(Device, 0));
        Assert.Equal(0x0106_0102u, _guest.Machine.Read(Device, 8));
        Assert.Equal((5u, 31u), (_guest.Read(0) & 31, _guest.Read(0) >> 8 & 31));
        Assert.Equal((0x8000_0002u, 0x3fu, 0x0001_0300u), (_guest.Read(4), _guest.Read(0x0c), _guest.Read(0x10)));
        Assert.Equal((0x123u, 0x101u, 0x150u), (_guest.ReadPort(0, SstsAt), _guest.ReadPort(0, SigAt), _guest.ReadPort(0, TfdAt)));
        Assert.Equal((0x123u, 0xeb14_0101u), (_guest.ReadPort(1, SstsAt), _guest.ReadPort(1, SigAt)));
        Assert.Equal((0u, uint.MaxValue, 0x7fu), (_guest.ReadPort(2, SstsAt), _guest.ReadPort(2, SigAt), _guest.ReadPort(2, TfdAt)));
        // The first frame of each device was received when it could be.
        Assert.Equal([0x34, 0, 0x50, 1, 1, 0, 0], _guest.Load(FramesOf(0) + 0x40, 7));
        Assert.Equal([0x34, 0, 0, 1, 1, 0x14, 0xeb], _guest.Load(FramesOf(1) + 0x40, 7));
    }

    [Fact]
    public void Identities_come_by_the_PIO_protocol()
    {
        _guest.Fill(0, 3, 0xec, regions: (Data, 512));
        _guest.Issue(0, 1 << 3);

        Assert.Equal(0u, _guest.ReadPort(0, CiAt));
        Assert.Equal(PioFrame, _guest.ReadPort(0, IsAt));
        Assert.Equal(0x50u, _guest.ReadPort(0, TfdAt));
        var frame = _guest.Load(FramesOf(0) + 0x20, 20);
        Assert.Equal([0x5f, 0x60, 0x58], frame[..3]);
        Assert.Equal((0x50, 512), (frame[15], frame[16] | frame[17] << 8));
        Assert.Equal(512u, _guest.Moved(0, 3));
        Assert.Equal(0x1f, _guest.Load(Data + 150, 1)[0]);
        Assert.Equal(1u, _guest.Read(8));
        Assert.True(_guest.Machine.Line.Level);
        _guest.WritePort(0, IsAt, PioFrame);
        Assert.True(_guest.Machine.Line.Level);
        _guest.Write(8, 1);
        Assert.False(_guest.Machine.Line.Level);
    }

    [Theory]
    [InlineData(0xc8, 0xe0)]
    [InlineData(0x25, 0xe0)]
    [InlineData(0x20, 0xe0)]
    public void Sectors_are_read_into_pieces(byte opcode, int device)
    {
        _guest.Fill(0, 0, opcode, 9, 4, device: device, regions: [(Data, 2), (Data + 0x1000, 1022), (Data + 0x2000, 4096)]);
        _guest.Issue(0, 1);
        Assert.Equal(Content(9, 4), (byte[])[.. _guest.Load(Data, 2), .. _guest.Load(Data + 0x1000, 1022), .. _guest.Load(Data + 0x2000, 1024)]);
        Assert.Equal(2048u, _guest.Moved(0, 0));
        Assert.Equal(opcode == 0x20 ? PioFrame : RegisterFrame, _guest.ReadPort(0, IsAt));
    }

    [Fact]
    public void Sectors_are_written_and_flushed()
    {
        var data = new byte[2048];
        new Random(8).NextBytes(data);
        _guest.Store(Data, data);
        _guest.Fill(0, 5, 0x35, 100, 4, writes: true, regions: (Data, 2048));
        _guest.Fill(0, 6, 0xea);
        _guest.Issue(0, 3 << 5);
        Assert.Equal(data, Content(100, 4));
        Assert.Equal(["write 100+4", "flush"], _disk.Calls);
        Assert.Equal(0u, _guest.ReadPort(0, CiAt));
        Assert.Equal([0x34, 0x40, 0x50, 0], _guest.Load(FramesOf(0) + 0x40, 4));
    }

    [Fact]
    public void The_queue_tells_of_each_end_by_its_bit()
    {
        var data = new byte[512];
        data.AsSpan().Fill(7);
        _guest.Store(Data + 0x8000, data);
        _guest.Fill(0, 1, 0x60, 20, 1 << 3, features: 2, regions: (Data, 1024));
        _guest.Fill(0, 30, 0x61, 40, 30 << 3, features: 1, device: 0xc0, writes: true, regions: (Data + 0x8000, 512));
        _guest.WritePort(0, SactAt, 1 << 30 | 2);
        _guest.Issue(0, 1 << 30 | 2);

        Assert.Equal((0u, 0u), (_guest.ReadPort(0, CiAt), _guest.ReadPort(0, SactAt)));
        Assert.Equal(BitsFrame, _guest.ReadPort(0, IsAt));
        Assert.Equal([0xa1, 0x40, 0x50, 0, 0, 0, 0, 0x40], _guest.Load(FramesOf(0) + 0x58, 8));
        Assert.Equal(Content(20, 2), _guest.Load(Data, 1024));
        Assert.Equal(data, Content(40, 1));
        Assert.Equal(["read 20+2", "write 40+1", "flush"], _disk.Calls);
    }

    [Theory]
    [InlineData(0xc8, 4096u, 0x10)]
    [InlineData(0xff, 0u, 0x04)]
    [InlineData(0xa1, 0u, 0x04)]
    public void A_command_that_fails_stops_the_list_until_it_is_begun_anew(byte opcode, uint sector, int error)
    {
        _guest.Fill(0, 2, opcode, sector, 1, device: 0xe0, regions: (Data, 512));
        _guest.Fill(0, 4, 0xec, regions: (Data, 512));
        _guest.Issue(0, 0b10100);
        Assert.Equal(TaskFileError | RegisterFrame, _guest.ReadPort(0, IsAt));
        Assert.Equal((uint)error << 8 | 0x51, _guest.ReadPort(0, TfdAt));
        Assert.Equal(0b10100u, _guest.ReadPort(0, CiAt));
        Assert.Equal(2u, _guest.ReadPort(0, CmdAt) >> 8 & 31);

        _guest.WritePort(0, CmdAt, 0x10);
        Assert.Equal(0u, _guest.ReadPort(0, CiAt));
        Assert.Equal(0u, _guest.ReadPort(0, CmdAt) & 0x8000);
        _guest.WritePort(0, IsAt, uint.MaxValue);
        _guest.WritePort(0, CmdAt, 0x11);
        _guest.Issue(0, 0b10000);
        Assert.Equal(PioFrame, _guest.ReadPort(0, IsAt));
    }

    [Fact]
    public void An_error_of_the_host_in_the_queue_is_told()
    {
        _disk.Failure = new IOException("no");
        _guest.Fill(0, 0, 0x60, 20, 0, features: 1, regions: (Data, 512));
        _guest.WritePort(0, SactAt, 1);
        _guest.Issue(0, 1);
        Assert.Equal(TaskFileError | BitsFrame, _guest.ReadPort(0, IsAt));
        Assert.Equal(1u, _guest.ReadPort(0, SactAt));
        Assert.Equal(0x4051u, _guest.ReadPort(0, TfdAt));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Packets_are_answered(int features)
    {
        _guest.Fill(1, 0, 0xa0, features: features, packet: [0x12, 0, 0, 0, 36], regions: (Data, 36));
        _guest.Issue(1, 1);
        Assert.Equal(RegisterFrame, _guest.ReadPort(1, IsAt));
        Assert.Equal([5, 0x80], _guest.Load(Data, 2));
        _guest.Fill(1, 0, 0xa0, features: features, packet: [0x28, 0, 0, 0, 0, 3, 0, 0, 2], regions: (Data, 4096));
        _guest.Issue(1, 1);
        Assert.Equal(_disc.Content[(3 * 2048)..(5 * 2048)], _guest.Load(Data, 4096));
        _guest.Fill(1, 0, 0xa0, features: features, packet: [0x28, 0, 0, 0, 0, 99, 0, 0, 2], regions: (Data, 4096));
        _guest.Issue(1, 1);
        Assert.Equal(0x5451u, _guest.ReadPort(1, TfdAt));
    }

    [Fact]
    public void Resets_show_the_signature()
    {
        // A soft reset: a frame that begins it, and one that ends it.
        _guest.Fill(0, 0, 0, isCommand: false, control: 4);
        _guest.Issue(0, 1);
        _guest.Fill(0, 0, 0, isCommand: false);
        _guest.Issue(0, 1);
        Assert.Equal(0x150u, _guest.ReadPort(0, TfdAt));
        Assert.Equal([0x34, 0, 0x50, 1], _guest.Load(FramesOf(0) + 0x40, 4));
        Assert.Equal(0u, _guest.ReadPort(0, CiAt));

        // The link is begun anew.
        _guest.WritePort(0, CmdAt, 0x10);
        _guest.WritePort(0, SctlAt, 0x301);
        Assert.Equal((0u, 0x7fu), (_guest.ReadPort(0, SstsAt), _guest.ReadPort(0, TfdAt)));
        _guest.WritePort(0, SctlAt, 0x300);
        Assert.Equal((0x123u, 0x150u, 1u << 26 | 1 << 16), (_guest.ReadPort(0, SstsAt), _guest.ReadPort(0, TfdAt), _guest.ReadPort(0, SerrAt)));
        Assert.Equal(1u << 6, _guest.ReadPort(0, IsAt) & 1 << 6);
        _guest.WritePort(0, SerrAt, uint.MaxValue);
        Assert.Equal(0u, _guest.ReadPort(0, IsAt) & 1 << 6);

        _guest.Write(4, 1);
        Assert.Equal(0x8000_0000u, _guest.Read(4));
        Assert.Equal((0u, (uint)ListOf(0), 0x123u), (_guest.ReadPort(0, IeAt), _guest.ReadPort(0, 0), _guest.ReadPort(0, SstsAt)));
    }

    [Fact]
    public void Interrupts_are_messages_where_the_driver_wants_them()
    {
        var capability = _guest.Machine.Capability(Device, 5);
        _guest.Machine.Write(Device, capability + 4, 0xfee0_1000);
        _guest.Machine.Write(Device, capability + 12, 0x31, 2);
        _guest.Machine.Write(Device, capability + 2, 1, 2);
        for (var i = 0; i < 2; i++)
        {
            _guest.Fill(0, 0, 0xe5);
            _guest.Issue(0, 1);
            Assert.Equal(i + 1, _guest.Machine.Messages.Sent.Count);
            _guest.WritePort(0, IsAt, uint.MaxValue);
            _guest.Write(8, uint.MaxValue);
        }
        Assert.False(_guest.Machine.Line.Level);
    }

    [Fact]
    public void Lists_and_tables_of_anything_are_errors_that_end()
    {
        // No frame of a host's, one that is too short, a table beyond memory, regions beyond memory, too few of them.
        _guest.Fill(0, 0, 0xec, regions: (Data, 512));
        _guest.Store(TableOf(0), [0x34]);
        Errs(BusError);
        _guest.Fill(0, 0, 0xec, regions: (Data, 512));
        Assert.True(_guest.Ram.TryWrite(ListOf(0), 4u | 1 << 16));
        Errs(BusError);
        _guest.Fill(0, 0, 0xec, regions: (Data, 512));
        Assert.True(_guest.Ram.TryWrite(ListOf(0) + 8, 0xffff_ffff_ffff_ff80ul));
        Errs(BusError);
        _guest.Fill(0, 0, 0xc8, 0, 1, regions: (0xffff_ffff_0000_0000, 512));
        Errs(BusError);
        _guest.Fill(0, 0, 0xc8, 0, 4, regions: (Data, 600));
        Errs(Overflow);
        _guest.Fill(0, 0, 0xc8, 0, 4);
        Errs(Overflow);
        _guest.WritePort(0, CmdAt, 0x10);
        _guest.WritePort(0, 4, 0xffff_ffff);
        _guest.WritePort(0, CmdAt, 0x11);
        _guest.Issue(0, 1);
        Assert.Equal(BusError, _guest.ReadPort(0, IsAt) & BusError);

        void Errs(uint error)
        {
            _guest.Issue(0, 1);
            Assert.Equal(error, _guest.ReadPort(0, IsAt) & (BusError | Overflow | TaskFileError));
            _guest.WritePort(0, IsAt, uint.MaxValue);
            _guest.WritePort(0, CmdAt, 0x10);
            _guest.WritePort(0, CmdAt, 0x11);
        }
    }

    [Fact]
    public void A_machine_that_is_saved_with_commands_in_its_list_goes_on_there()
    {
        _guest.Function.Pause();
        _guest.Fill(0, 0, 0x25, 0, 64, regions: (Data, 64 * 512));
        _guest.Issue(0, 1);
        Assert.Equal(1u, _guest.ReadPort(0, CiAt));
        using var after = Make().SwitchOn();
        after.Function.Pause();
        SavedFields.Read(SavedFields.Write(1, _guest.Function.Save), 1, after.Function.Load);
        after.Store(0, _guest.Load(0, (int)Memory));
        after.Function.Resume();
        after.Workers.Run();
        Assert.Equal(Content(0, 64), after.Load(Data, 64 * 512));
        Assert.Equal(0u, after.ReadPort(0, CiAt));
        Assert.True(after.Machine.Line.Level);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Registers_and_lists_of_anything_end(int seed)
    {
        var random = new Random(seed);
        byte[] opcodes = [0x20, 0x25, 0x35, 0x60, 0x61, 0xa0, 0xa1, 0xc8, 0xca, 0xe7, 0xec, 0xef, 0x06];
        var guest = Make().SwitchOn().StartPort(0).StartPort(1);
        for (var i = 0; i < 500_000; i++)
        {
            var register = random.Next(4) == 0 ? random.Next(16) * 4 : 0x100 + (random.Next(3) * 0x80) + (random.Next(18) * 4);
            if (random.Next(3) == 0) guest.Read(register);
            else if (register != 4 || random.Next(200) == 0) guest.Write(register, (register & 0x7f) switch { CmdAt when register > 0x100 => 0x11, 0 or 8 when register >= 0x100 => random.Next(8) == 0 ? (uint)random.Next() : (uint)(register % 0x80 == 0 ? ListOf((register - 0x100) / 0x80) : FramesOf((register - 0x100) / 0x80)), SctlAt when random.Next(50) != 0 => 0, _ => (uint)random.NextInt64(1L << 32) & (uint)random.NextInt64(1L << 32) });
            if (random.Next(8) == 0)
                guest.Fill(random.Next(2), random.Next(32), opcodes[random.Next(opcodes.Length)], (ulong)random.Next(5000), random.Next(64), random.Next(4), random.Next(256), random.Next(20) != 0, (byte)random.Next(8), random.Next(2) == 0 ? null : [0x28, 0, 0, 0, 0, (byte)random.Next(20), 0, 0, (byte)random.Next(8)], random.Next(2) == 0, (Data, random.Next(1, 100_000)), (Data + (ulong)random.Next(10_000_000), random.Next(1, 5000)));
            if (random.Next(4) == 0) guest.Workers.Run();
            if (random.Next(20_000) != 0) continue;
            guest.Function.Pause();
            guest.Function.Inspect(new InspectNode("ahci"));
            var saved = SavedFields.Write(1, guest.Function.Save);
            guest.Dispose();
            guest = Make().SwitchOn();
            SavedFields.Read(saved, 1, guest.Function.Load);
            guest.Function.Resume();
        }
        guest.Function.Reset();
        guest.SwitchOn().StartPort(0).Fill(0, 0, 0xec, regions: (Data, 512));
        guest.Issue(0, 1);
        Assert.Equal(512u, guest.Moved(0, 0));
        guest.Dispose();
    }
}
