// A hard disk on the first channel: each command by its protocol, and what is wrong with commands, at the limits and beyond them.
using System.Buffers.Binary;
using System.Text;
using Lamina.Devices.Ata;
using Lamina.Devices.Media;
using Lamina.Tests.Devices.Virtio;
using Xunit;
using static Lamina.Tests.Devices.Ata.IdeGuest;

namespace Lamina.Tests.Devices.Ata;

public sealed class AtaDiskTests : IDisposable
{
    private readonly TestDisk _disk = IdeGuest.Disk();
    private readonly IdeGuest _guest;

    public AtaDiskTests() => _guest = Make(_disk);

    public void Dispose() => _guest.Dispose();

    private static IdeGuest Make(TestDisk disk, AtaDiskOptions? options = null) =>
        new IdeGuest(new Dictionary<int, AtaDrive> { [0] = new AtaDisk(disk, options ?? new AtaDiskOptions { Serial = "serial-1" }) }).SwitchOn();

    private static ushort Word(byte[] identity, int word) => BinaryPrimitives.ReadUInt16LittleEndian(identity.AsSpan(word * 2));

    private static string Text(byte[] identity, int word, int words) =>
        Encoding.ASCII.GetString([.. Enumerable.Range(word, words).SelectMany(i => new[] { identity[(2 * i) + 1], identity[2 * i] })]).TrimEnd();

    private byte[] Content(int sector, int count) => _disk.Content[(sector * 512)..((sector + count) * 512)];

    private void AssertRefused(byte error, IdeGuest? guest = null)
    {
        guest ??= _guest;
        Assert.Equal(Ready | 0x10 | Failed, guest.Wait());
        Assert.Equal(error, guest.In(0x1f1));
        Assert.True(guest.Lines[0].Level);
        _ = guest.In(0x1f7);
        Assert.False(guest.Lines[0].Level);
    }

    private void AssertDone(IdeGuest? guest = null)
    {
        guest ??= _guest;
        Assert.Equal(Ready | 0x10, guest.Wait());
        Assert.Equal(0, guest.In(0x1f1));
    }

    [Fact]
    public void It_says_who_it_is()
    {
        _guest.Command(0xec);
        Assert.True(_guest.Lines[0].Level);
        var identity = _guest.ReadData(512);

        Assert.Equal("serial-1", Text(identity, 10, 10));
        Assert.Equal("LAMINA HARD DISK", Text(identity, 27, 20));
        Assert.Equal(4, Word(identity, 1));
        Assert.Equal(16, Word(identity, 3));
        Assert.Equal(63, Word(identity, 6));
        Assert.Equal(DiskSectors, Word(identity, 60) | Word(identity, 61) << 16);
        Assert.Equal(DiskSectors, Word(identity, 100));
        Assert.Equal(0x7400, Word(identity, 83));
        Assert.Equal(0x6003, Word(identity, 106));
        Assert.Equal(0, (byte)identity.Sum(part => part));
        AssertDone();
    }

    [Fact]
    public void A_large_disk_and_one_of_large_sectors_say_so()
    {
        using var guest = Make(new TestDisk(8192) { Limits = new(4096, 4096, 0, 4096) });
        guest.Command(0xec);
        var identity = guest.ReadData(512);
        Assert.Equal(1024, Word(identity, 60));
        Assert.Equal(0x5000, Word(identity, 106));
        Assert.Equal(2048, Word(identity, 117));

        guest.Command(0x20, 1023, 1);
        Assert.Equal(4096, guest.ReadData(4096).Length);
        AssertDone(guest);
        guest.Command(0x20, 1024, 1);
        AssertRefused(0x10, guest);
    }

    [Theory]
    [InlineData(0x20, 5, 3)]
    [InlineData(0x21, 4095, 1)]
    [InlineData(0x20, 0, 256)]
    [InlineData(0xc4, 7, 11)]
    public void Sectors_are_read_by_the_data_port(int opcode, int sector, int count)
    {
        _guest.Command(0xc6, count: 4);
        AssertDone();
        _guest.Command(opcode, (ulong)sector, count & 0xff);
        Assert.Equal(Busy, _guest.In(0x3f6));

        Assert.Equal(Content(sector, count), _guest.ReadData(count * 512));
        AssertDone();
        Assert.Equal(opcode == 0xc4 ? ["read 7+4", "read 11+4", "read 15+3"] : Enumerable.Range(sector, count).Select(i => $"read {i}+1"), _disk.Calls);
    }

    [Theory]
    [InlineData(0x24, 4094, 2)]
    [InlineData(0x29, 1000, 300)]
    public void Sectors_are_read_by_addresses_of_48_bits(int opcode, int sector, int count)
    {
        _guest.Command(0xc6, count: 16);
        _ = _guest.In(0x1f7);
        _guest.WideCommand(opcode, (ulong)sector, count);

        Assert.Equal(Content(sector, count), _guest.ReadData(count * 512));
        AssertDone();
    }

    [Fact]
    public void Old_software_counts_cylinders_heads_and_sectors()
    {
        // (1 × 16 + 2) × 63 + 4 − 1
        _guest.Command(0x20, 0x00_0104, 1, device: 0xa2);
        Assert.Equal(Content(1137, 1), _guest.ReadData(512));

        _guest.Command(0x91, count: 17, device: 0xa3);
        AssertDone();
        _guest.Command(0x20, 0x00_0104, 1, device: 0xa2);
        Assert.Equal(Content((((1 * 4) + 2) * 17) + 3, 1), _guest.ReadData(512));
        // There is no sector 0, no track of 18 sectors, no head 4.
        foreach (var (address, device) in (ReadOnlySpan<(ulong, int)>)[(0x100, 0xa0), (0x112, 0xa0), (0x101, 0xa4)])
        {
            _guest.Command(0x20, address, 1, device: device);
            AssertRefused(0x10);
        }
    }

    [Theory]
    [InlineData(0x30, false)]
    [InlineData(0xc5, false)]
    [InlineData(0x34, true)]
    [InlineData(0x39, true)]
    [InlineData(0xce, true)]
    public void Sectors_are_written_by_the_data_port(int opcode, bool wide)
    {
        _guest.Command(0xc6, count: 2);
        _ = _guest.In(0x1f7);
        var data = new byte[3 * 512];
        new Random(1).NextBytes(data);

        if (wide) _guest.WideCommand(opcode, 9, 3);
        else _guest.Command(opcode, 9, 3);
        // The first block is wanted at once, and without an interrupt; the next one with.
        Assert.False(_guest.Lines[0].Level);
        var block = opcode is 0x30 or 0x34 ? 512 : 1024;
        _guest.WriteData(data.AsSpan(0, block));
        _guest.Workers.Run();
        Assert.True(_guest.Lines[0].Level);
        _ = _guest.In(0x1f7);
        _guest.WriteData(data.AsSpan(block));

        AssertDone();
        Assert.True(_guest.Lines[0].Level);
        Assert.Equal(data, Content(9, 3));
        Assert.Equal(opcode == 0xce ? 2 : 0, _disk.Calls.Count(call => call == "flush"));
    }

    [Theory]
    [InlineData(0x20, 4096u, 1, 0x10)]
    [InlineData(0x20, 4095u, 2, 0x10)]
    [InlineData(0x20, 0x0fff_ffffu, 1, 0x10)]
    [InlineData(0x30, 4095u, 2, 0x10)]
    [InlineData(0x40, 4095u, 2, 0x10)]
    [InlineData(0xc8, 4096u, 1, 0x10)]
    [InlineData(0xc4, 0u, 1, 0x04)]
    [InlineData(0xc5, 0u, 1, 0x04)]
    [InlineData(0xc6, 0u, 3, 0x04)]
    [InlineData(0xc6, 0u, 32, 0x04)]
    [InlineData(0x91, 0u, 0, 0x04)]
    [InlineData(0xa0, 0u, 0, 0x04)]
    [InlineData(0xa1, 0u, 0, 0x04)]
    [InlineData(0x08, 0u, 0, 0x04)]
    [InlineData(0x00, 0u, 0, 0x04)]
    [InlineData(0xb0, 0u, 0, 0x04)]
    [InlineData(0x06, 0u, 1, 0x04)]
    [InlineData(0xef, 0u, 0, 0x04)]
    [InlineData(0xff, 0u, 0, 0x04)]
    public void What_cannot_be_is_refused(int opcode, uint sector, int count, byte error)
    {
        _guest.Command(opcode, sector, count);

        AssertRefused(error);
        Assert.Empty(_disk.Calls);
    }

    [Fact]
    public void Addresses_of_48_bits_beyond_the_end_are_refused()
    {
        foreach (var sector in (ReadOnlySpan<ulong>)[4096, 0xffff_ffff_ffff, 0x1_0000_0000])
        {
            _guest.WideCommand(0x24, sector, 1);
            AssertRefused(0x10);
        }
        // 65536 sectors.
        _guest.WideCommand(0x24, 0, 0);
        AssertRefused(0x10);
    }

    [Fact]
    public void Writes_to_a_disk_that_is_only_read_are_refused()
    {
        using var guest = Make(IdeGuest.Disk(16, readOnly: true));
        foreach (var opcode in (ReadOnlySpan<int>)[0x30, 0xca])
        {
            guest.Command(opcode, 0, 1);
            AssertRefused(0x04, guest);
        }
    }

    [Fact]
    public void Caches_are_flushed_and_left_out()
    {
        _guest.Command(0xe7);
        Assert.Equal(Busy, _guest.In(0x3f6));
        AssertDone();
        _guest.WideCommand(0xea, 0, 0);
        AssertDone();
        _guest.Command(0xe0);
        AssertDone();
        Assert.Equal(["flush", "flush", "flush"], _disk.Calls);

        _guest.Command(0xef, features: 0x82);
        AssertDone();
        _disk.Calls.Clear();
        _guest.Command(0x30, 1, 1);
        _guest.WriteData(new byte[512]);
        AssertDone();
        Assert.Equal(["write 1+1", "flush"], _disk.Calls);

        _guest.Command(0xec);
        Assert.Equal(0x0048, Word(_guest.ReadData(512), 85));
        _guest.Command(0xef, features: 0x02);
        AssertDone();
        _guest.Command(0x30, 1, 1);
        _guest.WriteData(new byte[512]);
        AssertDone();
        Assert.Equal("write 1+1", _disk.Calls[^1]);
    }

    [Theory]
    [InlineData(0x45, 88, 0x203f)]
    [InlineData(0x22, 63, 0x0407)]
    public void Transfer_modes_are_chosen(int mode, int word, int expected)
    {
        _guest.Command(0xef, features: 3, count: mode);
        AssertDone();
        _guest.Command(0xec);
        Assert.Equal(expected, Word(_guest.ReadData(512), word));
        foreach (var wrong in (ReadOnlySpan<int>)[0x47, 0x23, 0x0d, 0x80])
        {
            _guest.Command(0xef, features: 3, count: wrong);
            AssertRefused(0x04);
        }
    }

    [Fact]
    public void Small_commands_answer()
    {
        _guest.Command(0xf8);
        AssertDone();
        Assert.Equal(4095, _guest.In(0x1f3) | _guest.In(0x1f4) << 8);
        _guest.WideCommand(0x27, 0, 0);
        AssertDone();
        Assert.Equal(0xff, _guest.In(0x1f3));
        _guest.Command(0xe5);
        AssertDone();
        Assert.Equal(0xff, _guest.In(0x1f2));
        foreach (var opcode in (ReadOnlySpan<int>)[0x10, 0x1f, 0x70, 0x40, 0x41, 0xe1, 0xe3, 0xe6])
        {
            _guest.Command(opcode, 5, 1);
            AssertDone();
            Assert.True(_guest.Lines[0].Level);
        }
        _guest.WideCommand(0x42, 4000, 96);
        AssertDone();
    }

    [Fact]
    public void An_error_of_the_host_is_the_drives()
    {
        _disk.Failure = new IOException("no");
        _guest.Command(0x20, 77, 3);
        AssertRefused(0x40);
        Assert.Equal(77, _guest.In(0x1f3));
        _guest.Command(0x30, 78, 1);
        _guest.WriteData(new byte[512]);
        AssertRefused(0x04);
        _guest.Command(0xe7);
        AssertRefused(0x04);
        _disk.Failure = null;
        _guest.Command(0x20, 77, 1);
        Assert.Equal(Content(77, 1), _guest.ReadData(512));
    }

    [Fact]
    public void What_the_guest_gives_up_is_discarded()
    {
        var disk = IdeGuest.Disk();
        using var guest = Make(disk, new AtaDiskOptions { Medium = new DriveOptions { Discard = true } });
        guest.Command(0xec);
        var identity = guest.ReadData(512);
        Assert.Equal(1, Word(identity, 169));
        var ranges = new byte[512];
        BinaryPrimitives.WriteUInt64LittleEndian(ranges, 8ul << 48 | 16);
        BinaryPrimitives.WriteUInt64LittleEndian(ranges.AsSpan(8), 8ul << 48 | 4095);
        BinaryPrimitives.WriteUInt64LittleEndian(ranges.AsSpan(16), 1ul << 48 | 4095);
        guest.Store(Data, ranges);
        guest.SetTable((Data, 510), (Data + 510, 2));

        guest.Command(0x06, count: 1, features: 1);
        guest.StartMaster(toMemory: false);
        AssertDone(guest);

        // The second lies partly outside.
        Assert.Equal(["discard 16+8", "discard 4095+1"], disk.Calls);
    }

    [Fact]
    public void A_reset_of_the_channel_shows_the_signature_and_ends_what_was_under_way()
    {
        _guest.Command(0x20, 5, 3);
        _guest.Out(0x3f6, 4);
        Assert.Equal(Busy, _guest.In(0x1f7));
        // While it lasts nothing is taken.
        _guest.Out(0x1f7, 0xec);
        _guest.Out(0x3f6, 0);
        Assert.Equal(Ready | 0x10, _guest.Wait());
        Assert.Equal((1, 1, 1, 0, 0, 0), (_guest.In(0x1f1), _guest.In(0x1f2), _guest.In(0x1f3), _guest.In(0x1f4), _guest.In(0x1f5), _guest.In(0x1f6)));
        Assert.Empty(_disk.Calls);
        Assert.False(_guest.Lines[0].Level);
    }

    [Fact]
    public void Interrupts_are_held_back_and_registers_are_two_deep()
    {
        _guest.Out(0x3f6, 2);
        _guest.Command(0xe5);
        Assert.False(_guest.Lines[0].Level);
        _guest.Out(0x3f6, 0);
        Assert.True(_guest.Lines[0].Level);

        _guest.Out(0x1f3, 0x12);
        _guest.Out(0x1f3, 0x34);
        _guest.Out(0x3f6, 0x80);
        Assert.Equal(0x12, _guest.In(0x1f3));
        _guest.Out(0x3f6, 0);
        Assert.Equal(0x34, _guest.In(0x1f3));
    }

    [Fact]
    public void A_device_that_is_not_there_shows_nothing_and_an_empty_channel_floats()
    {
        _guest.Out(0x1f6, 0xb0);
        for (var register = 1; register < 8; register++) Assert.Equal(0, _guest.In(0x1f0 + register));
        _guest.Out(0x1f7, 0xec);
        Assert.Equal(0, _guest.Wait());
        Assert.False(_guest.Lines[0].Level);
        _guest.Out(0x1f6, 0xa0);
        Assert.Equal(Ready | 0x10, _guest.Wait());

        for (var register = 1; register < 8; register++) Assert.Equal(0x7f, _guest.In(0x170 + register));
        Assert.Equal(0x7f, _guest.In(0x376));
    }

    [Fact]
    public void A_channel_answers_where_it_is_switched_on()
    {
        _guest.Machine.Write(Device, 0x40, 0x8000_0000);
        Assert.Equal(0xff, _guest.In(0x1f7));
        _guest.Machine.Write(Device, 0x40, 0x8000_8000);
        Assert.Equal(Ready | 0x10, _guest.In(0x1f7));
        _guest.Machine.Write(Device, 4, 4, 2);
        Assert.Equal(0xff, _guest.In(0x1f7));
        Assert.Equal(0x7010_8086u, _guest.Machine.Read(Device, 0));
        Assert.Equal(0x0101_8000u, _guest.Machine.Read(Device, 8));
    }

    [Fact]
    public void The_diagnostic_is_both_devices_and_device_0_speaks_for_them()
    {
        _guest.Command(0x90, device: 0xb0);
        Assert.Equal(Ready | 0x10, _guest.Wait());
        Assert.True(_guest.Lines[0].Level);
        Assert.Equal(1, _guest.In(0x1f1));
    }
}
