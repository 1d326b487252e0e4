// A floppy disk: seeks, transfers by DMA over the tracks of both sides, and what is refused.
using Lamina.Core.Inspection;
using Lamina.Core.State;
using Lamina.Devices.Floppy;
using Lamina.Tests.Devices.Ata;
using Lamina.Tests.Devices.Virtio;
using Xunit;

namespace Lamina.Tests.Devices.Floppy;

public sealed class FloppyTests : IDisposable
{
    private readonly TestDisk _disk = IdeGuest.Disk(FloppyGuest.Sectors);
    private readonly FloppyGuest _guest;

    public FloppyTests() => _guest = new FloppyGuest(_disk).Start();

    public void Dispose() => _guest.Dispose();

    private byte[] Content(int sector, int count) => _disk.Content[(sector * 512)..((sector + count) * 512)];

    private void Seek(byte cylinder)
    {
        _guest.Ask(0x0f, 0, cylinder);
        Assert.True(_guest.Line.Level);
        Assert.Equal([0x20, cylinder], _guest.Ask(0x08));
        Assert.False(_guest.Line.Level);
    }

    [Fact]
    public void Disks_have_the_shapes_of_their_lengths()
    {
        Assert.Equal([1, 3, 2, 4, 5], new[] { 360, 720, 1200, 1440, 2880 }.Select(kib => (int)FloppyShape.Of((ulong)kib << 10)!.DriveType));
        Assert.Null(FloppyShape.Of(0));
        Assert.Null(FloppyShape.Of(1_000_000));
    }

    [Fact]
    public void Sectors_are_read_over_both_sides_until_the_last_byte()
    {
        Seek(3);
        _guest.SetDma(FloppyGuest.Data, 12 * 512, toMemory: true);
        // From sector 7 of side 0 on, to sector 9 of side 1.
        Assert.Equal([0x04, 0, 0, 4, 1, 1, 2], _guest.Ask(0xe6, 0, 3, 0, 7, 2, 9, 0x1b, 0xff));
        Assert.Equal(Content((3 * 18) + 6, 12), _guest.Load(FloppyGuest.Data, 12 * 512));
        Assert.Equal(4, _guest.In(0x08) & 15);
        Assert.Equal(0, _guest.In(0x08) & 15);
    }

    [Fact]
    public void A_transfer_ends_in_the_middle_of_a_sector_where_the_count_does()
    {
        _guest.SetDma(FloppyGuest.Data, 700, toMemory: true);
        Assert.Equal([0, 0, 0, 0, 0, 3, 2], _guest.Ask(0x46, 0, 0, 0, 1, 2, 9, 0x1b, 0xff));
        Assert.Equal(Content(0, 2)[..700], _guest.Load(FloppyGuest.Data, 700));
        Assert.Equal(new byte[324], _guest.Load(FloppyGuest.Data + 700, 324));
    }

    [Fact]
    public void Sectors_are_written_and_tracks_formatted()
    {
        var data = new byte[1024];
        new Random(4).NextBytes(data);
        Assert.True(_guest.Ram.TryWrite(FloppyGuest.Data, data));
        Seek(79);
        _guest.SetDma(FloppyGuest.Data, 1024, toMemory: false);
        Assert.Equal([4, 0, 0, 79, 1, 5, 2], _guest.Ask(0x45, 4, 79, 1, 3, 2, 9, 0x1b, 0xff));
        Assert.Equal(data, Content((79 * 18) + 9 + 2, 2));

        _guest.SetDma(FloppyGuest.Data, 36, toMemory: false);
        Assert.Equal(0, _guest.Ask(0x4d, 0, 2, 9, 0x54, 0xf6)[0]);
        Assert.All(Content(79 * 18, 9), part => Assert.Equal(0xf6, part));
    }

    [Theory]
    // Another cylinder than where the head is, a sector and a size that there are not, another drive, another side than the head's.
    [InlineData(0x40, 0x04, 0x10, 0, 5, 0, 1, 2)]
    [InlineData(0x40, 0x04, 0, 0, 0, 0, 10, 2)]
    [InlineData(0x40, 0x04, 0, 0, 0, 0, 0, 2)]
    [InlineData(0x40, 0x04, 0, 0, 0, 0, 1, 3)]
    [InlineData(0x41, 0x01, 0, 1, 0, 0, 1, 2)]
    [InlineData(0x40, 0x04, 0, 0, 0, 1, 1, 2)]
    public void What_is_not_there_is_not_found(int st0, int st1, int st2, int unit, int cylinder, int side, int sector, int size)
    {
        _guest.SetDma(FloppyGuest.Data, 512, toMemory: true);
        var result = _guest.Ask(0x46, (byte)unit, (byte)cylinder, (byte)side, (byte)sector, (byte)size, 9, 0x1b, 0xff);
        Assert.Equal([st0, st1, st2], result[..3].Select(part => (int)part));
        Assert.True(_guest.Line.Edges > 0);
    }

    [Fact]
    public void Without_DMA_at_another_rate_and_on_a_protected_disk_it_fails()
    {
        _guest.Out(0x0a, 6);
        Assert.Equal([0x40, 0x10], _guest.Ask(0x46, 0, 0, 0, 1, 2, 9, 0x1b, 0xff)[..2]);
        // Past the last sector.
        _guest.SetDma(FloppyGuest.Data, 0x8000, toMemory: true);
        Assert.Equal([0x40, 0x80], _guest.Ask(0x46, 0, 0, 0, 8, 2, 9, 0x1b, 0xff)[..2]);
        _guest.Out(0x3f7, 0);
        Assert.Equal([0x40, 0x01], _guest.Ask(0x4a, 0)[..2]);
        _guest.Out(0x3f7, 2);
        Assert.Equal([0, 0, 0, 0, 0, 1, 2], _guest.Ask(0x4a, 0));

        using var other = new FloppyGuest(IdeGuest.Disk(FloppyGuest.Sectors, readOnly: true)).Start();
        Assert.Equal([0x40, 0x02], other.Ask(0x45, 0, 0, 0, 1, 2, 9, 0x1b, 0xff)[..2]);
        Assert.Equal(0x78, other.Ask(0x04, 0)[0]);
        _disk.Failure = new IOException("no");
        _guest.SetDma(FloppyGuest.Data, 512, toMemory: true);
        Assert.Equal([0x40, 0x04], _guest.Ask(0x46, 0, 0, 0, 1, 2, 9, 0x1b, 0xff)[..2]);
    }

    [Fact]
    public void Small_commands_answer()
    {
        Assert.Equal([0x90], _guest.Ask(0x10));
        Assert.Equal([0x10], _guest.Ask(0x94));
        Assert.Empty(_guest.Ask(0x03, 0xdf, 2));
        Assert.Empty(_guest.Ask(0x13, 0, 0x57, 0));
        Assert.Equal([0x80], _guest.Ask(0x1f));
        Assert.Equal([0x80], _guest.Ask(0x08));
        Assert.Equal(10, _guest.Ask(0x0e).Length);
        Assert.Equal(0x80, _guest.In(0x3f7));
        _guest.Ask(0x07, 0);
        Assert.Equal(0, _guest.In(0x3f7));
        Assert.Equal([0x20, 0], _guest.Ask(0x08));
        _guest.Ask(0x07, 1);
        Assert.Equal(0x71, _guest.Ask(0x08)[0]);
        // No interrupt without the gate.
        _guest.Out(0x3f2, 0x14);
        _guest.Ask(0x07, 0);
        Assert.False(_guest.Line.Level);
    }

    [Fact]
    public void Registers_of_anything_end()
    {
        var random = new Random(6);
        var guest = new FloppyGuest(_disk).Start();
        byte[] commands = [0x46, 0xe6, 0x45, 0x4d, 0x4a, 0x07, 0x08, 0x0f, 0x16, 0x03, 0x0e];
        for (var i = 0; i < 500_000; i++)
        {
            var port = random.Next(3) == 0 ? random.Next(16) : random.Next(6) == 0 ? 0x81 : 0x3f2 + random.Next(6);
            if (random.Next(3) == 0) guest.In(port);
            else if (port != 0x3f2 || random.Next(200) == 0) guest.Out(port, port == 0x3f5 && random.Next(3) == 0 ? commands[random.Next(commands.Length)] : random.Next(random.Next(2) == 0 ? 4 : 256));
            if (random.Next(4) == 0) guest.Workers.Run();
            if (random.Next(500) == 0) guest.Out(0x3f2, 0x1c);
            if (random.Next(20_000) != 0) continue;
            guest.Controller.Pause();
            guest.Controller.Inspect(new InspectNode("floppy"));
            var (saved, dma) = (SavedFields.Write(1, guest.Controller.Save), SavedFields.Write(1, guest.Dma.Save));
            guest.Dispose();
            guest = new FloppyGuest(_disk);
            SavedFields.Read(dma, 1, guest.Dma.Load);
            SavedFields.Read(saved, 1, guest.Controller.Load);
            guest.Controller.Resume();
        }
        guest.Controller.Reset();
        guest.Dma.Reset();
        guest.Start();
        guest.Dispose();
    }
}
