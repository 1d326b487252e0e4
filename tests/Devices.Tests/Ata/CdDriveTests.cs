// A CD drive on the second channel: packets, by the data port and by DMA, with a disc, without one, and while discs are changed.
using System.Text;
using Lamina.Core.Inspection;
using Lamina.Devices.Ata;
using Lamina.Devices.Ata.Packet;
using Lamina.Devices.Media;
using Lamina.Tests.Devices.Virtio;
using Xunit;
using static Lamina.Tests.Devices.Ata.IdeGuest;

namespace Lamina.Tests.Devices.Ata;

public sealed class CdDriveTests : IDisposable
{
    private const int Sectors = 100;

    private readonly TestDisk _disc = IdeGuest.Disk(Sectors * 4, readOnly: true);
    private readonly CdDrive _drive;
    private readonly IdeGuest _guest;

    public CdDriveTests()
    {
        _drive = new CdDrive(_disc, "cd-1", new DriveOptions());
        _guest = new IdeGuest(new Dictionary<int, AtaDrive> { [2] = _drive }).SwitchOn();
    }

    public void Dispose() => _guest.Dispose();

    private static byte[] Read10(uint sector, int count) => [0x28, 0, (byte)(sector >> 24), (byte)(sector >> 16), (byte)(sector >> 8), (byte)sector, 0, (byte)(count >> 8), (byte)count];

    private byte[] Content(int sector, int count) => _disc.Content[(sector * 2048)..((sector + count) * 2048)];

    [Fact]
    public void It_shows_what_it_is_and_refuses_what_disks_do()
    {
        _guest.Out(0x376, 4);
        _guest.Out(0x376, 0);
        Assert.Equal((0, 1, 1, 0x14, 0xeb), (_guest.Wait(1), _guest.In(0x172), _guest.In(0x173), _guest.In(0x174), _guest.In(0x175)));

        foreach (var opcode in (ReadOnlySpan<int>)[0xec, 0x20])
        {
            _guest.Command(opcode, count: 1, channel: 1);
            Assert.Equal(Ready | Failed, _guest.Wait(1));
            Assert.Equal((4, 0x14, 0xeb), (_guest.In(0x171), _guest.In(0x174), _guest.In(0x175)));
        }
        _guest.Command(0xa1, device: 0xa0, channel: 1);
        var identity = _guest.ReadData(512, 1);
        Assert.Equal(0x85c0, identity[0] | identity[1] << 8);
        Assert.Equal("ALIMANC -DOR M", Encoding.ASCII.GetString(identity, 54, 14));
        Assert.Equal(0, (byte)identity.Sum(part => part));
        foreach (var opcode in (ReadOnlySpan<int>)[0xc8, 0x30, 0xca, 0xe7, 0x24])
        {
            _guest.Command(opcode, count: 1, channel: 1);
            Assert.Equal(Ready | Failed, _guest.Wait(1));
        }
        _guest.Command(0x08, channel: 1);
        Assert.Equal((0, 1, 0x14, 0xeb), (_guest.Wait(1), _guest.In(0x171), _guest.In(0x174), _guest.In(0x175)));
    }

    [Fact]
    public void Inquiry_says_a_CD_drive()
    {
        var answer = _guest.Ask([0x12, 0, 0, 0, 36]);
        Assert.Equal([5, 0x80, 0, 0x21, 31], answer[..5]);
        Assert.Equal("LAMINA  CD-ROM", Encoding.ASCII.GetString(answer, 8, 28)[..14]);
        Assert.Equal(5, _guest.Ask([0x12, 0, 0, 0, 5]).Length);
        Assert.Empty(_guest.Ask([0x12, 0, 0, 0, 0]));
        Assert.Equal((5, 0x24, 0), _guest.Refused([0x12, 1, 0x80, 0, 36]));
    }

    [Theory]
    [InlineData(2048)]
    [InlineData(512)]
    [InlineData(3001)]
    [InlineData(0xfffe)]
    public void Sectors_are_read_in_blocks_of_the_hosts_size(int limit)
    {
        Assert.Equal(Content(7, 40), _guest.Ask(Read10(7, 40), limit));
        Assert.Equal(Content(99, 1), _guest.Ask([0xa8, 0, 0, 0, 0, 99, 0, 0, 0, 1], limit));
        Assert.Equal(Content(3, 2), _guest.Ask([0xbe, 0, 0, 0, 0, 3, 0, 0, 2, 0x10], limit));
        // From 00:02:05 to 00:02:07: sectors 5 and 6.
        Assert.Equal(Content(5, 2), _guest.Ask([0xb9, 0, 0, 0, 2, 5, 0, 2, 7, 0x10], limit));
        Assert.Equal(Ready | 0x10, _guest.In(0x177));
    }

    [Fact]
    public void Sectors_go_to_memory_by_DMA()
    {
        _guest.SetTable((Data, 0x1000), (Data + 0x8000, 0x7000));
        _guest.Packet(Read10(10, 16), dma: true);
        Assert.Equal(Busy, _guest.Wait(1));
        _guest.StartMaster(toMemory: true, channel: 1);
        Assert.Equal(Ready | 0x10, _guest.Wait(1));
        Assert.Equal(3, _guest.In(0x172) & 3);
        Assert.Equal(Content(10, 16), (byte[])[.. _guest.Load(Data, 0x1000), .. _guest.Load(Data + 0x8000, 0x7000)]);
        Assert.True(_guest.Lines[1].Level);
        Assert.False(_guest.Lines[0].Level);

        // An answer, too, and one of an odd length.
        _guest.SetTable((Data, 6));
        _guest.Packet([0x12, 0, 0, 0, 5], dma: true);
        _guest.StartMaster(toMemory: true, channel: 1);
        Assert.Equal(Ready | 0x10, _guest.Wait(1));
        Assert.Equal([5, 0x80, 0, 0x21, 31], _guest.Load(Data, 5));
    }

    [Theory]
    [InlineData(100u, 1)]
    [InlineData(99u, 2)]
    [InlineData(0xffff_ffffu, 1)]
    public void Sectors_beyond_the_end_are_refused(uint sector, int count) => Assert.Equal((5, 0x21, 0), _guest.Refused(Read10(sector, count)));

    [Fact]
    public void What_it_does_not_know_is_refused()
    {
        foreach (byte opcode in (ReadOnlySpan<byte>)[0x2a, 0xaa, 0x04, 0x55, 0xa1, 0xff, 0x0a]) Assert.Equal((5, 0x20, 0), _guest.Refused([opcode]));
        // Raw sectors, sound, parts of a sector.
        Assert.Equal((5, 0x64, 0), _guest.Refused([0xbe, 0, 0, 0, 0, 3, 0, 0, 1, 0xf8]));
        Assert.Equal((5, 0x64, 0), _guest.Refused([0xbe, 4, 0, 0, 0, 3, 0, 0, 1, 0x10]));
        Assert.Equal((5, 0x24, 0), _guest.Refused([0xbe, 0, 0, 0, 0, 3, 0, 0, 1, 0x10, 1]));
        Assert.Equal((5, 0x24, 0), _guest.Refused([0x1a, 0, 0x05, 0, 255]));
        Assert.Equal((5, 0x39, 0), _guest.Refused([0x1a, 0, 0xff, 0, 255]));
        Assert.Equal((5, 0x24, 0), _guest.Refused([0x43, 0, 5, 0, 0, 0, 0, 1, 0]));
        Assert.Equal((5, 0x24, 0), _guest.Refused([0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8]));
        Assert.Equal((5, 0x24, 0), _guest.Refused([0x46, 3, 0, 0, 0, 0, 0, 0, 255]));
        Assert.Equal((5, 0x24, 0), _guest.Refused([0x52, 1, 0, 0, 0, 2, 0, 0, 255]));
    }

    [Fact]
    public void It_describes_the_disc()
    {
        Assert.Equal([0, 0, 0, 99, 0, 0, 8, 0], _guest.Ask([0x25]));
        Assert.Equal([0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xaa, 0, 0, 0, 0, 100], _guest.Ask([0x43, 0, 0, 0, 0, 0, 0, 1, 0]));
        // In minutes, seconds and frames, from the lead-out on.
        Assert.Equal([0, 10, 1, 1, 0, 0x14, 0xaa, 0, 0, 0, 3, 25], _guest.Ask([0x43, 2, 0, 0, 0, 0, 0xaa, 1, 0]));
        Assert.Equal([0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0], _guest.Ask([0x43, 0, 1, 0, 0, 0, 0, 1, 0]));
        Assert.Equal(2 + 2 + 44, _guest.Ask([0x43, 2, 2, 0, 0, 0, 0, 1, 0]).Length);
        Assert.Equal(0x0e, _guest.Ask([0x51, 0, 0, 0, 0, 0, 0, 1, 0])[2]);
        Assert.Equal([0, 0, 0, 100], _guest.Ask([0x52, 1, 0, 0, 0, 1, 0, 1, 0])[24..28]);
        var all = _guest.Ask([0x46, 0, 0, 0, 0, 0, 0, 1, 0]);
        Assert.Equal(all.Length - 4, all[3]);
        Assert.Equal([0, 8], all[6..8]);
        Assert.Equal([0, 8, 1, 0], all[16..20]);
        Assert.Equal(8, _guest.Ask([0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8]).Length);
        Assert.Equal([0, 0x15, 0, 0], _guest.Ask([0x42, 0, 0, 0, 0, 0, 0, 0, 4]));
        Assert.Equal([0, 0, 0, 8, 0, 0, 0, 100, 2, 0, 8, 0], _guest.Ask([0x23, 0, 0, 0, 0, 0, 0, 0, 255]));
        Assert.Empty(_guest.Ask([0]));
        Assert.Empty(_guest.Ask([0x2b, 0, 0, 0, 0, 99]));
        Assert.Equal((5, 0x21, 0), _guest.Refused([0x2b, 0, 0, 0, 0, 100]));
        Assert.Empty(_guest.Ask([0x2f, 0, 0, 0, 0, 98, 0, 0, 2]));
    }

    [Fact]
    public void Its_pages_say_what_it_can()
    {
        var page = _guest.Ask([0x5a, 0, 0x2a, 0, 0, 0, 0, 1, 0]);
        Assert.Equal([0, 28, 1, 0, 0, 0, 0, 0, 0x2a, 20, 0x0b, 0, 0x70, 0, 0x29], page[..15]);
        Assert.Empty(_guest.Ask([0x1e, 0, 0, 0, 1]));
        Assert.Equal(0x2b, _guest.Ask([0x5a, 0, 0x2a, 0, 0, 0, 0, 1, 0])[14]);
        Assert.Equal([11, 1, 0, 0, 1, 6], _guest.Ask([0x1a, 0, 1, 0, 255])[..6]);
        Assert.Equal(4 + 8 + 22, _guest.Ask([0x1a, 0, 0x3f, 0, 255]).Length);
    }

    [Fact]
    public void The_tray_opens_and_shuts_and_is_locked()
    {
        Assert.Empty(_guest.Ask([0x1e, 0, 0, 0, 1]));
        Assert.True(_drive.AskToEject());
        Assert.Equal([0, 6, 4, 16, 1, 2, 0, 0], _guest.Ask([0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8]));
        Assert.Equal((5, 0x53, 2), _guest.Refused([0x1b, 0, 0, 0, 2]));
        Assert.Empty(_guest.Ask([0x1e, 0, 0, 0, 0]));
        Assert.Empty(_guest.Ask([0x1b, 0, 0, 0, 2]));
        Assert.Equal((2, 0x3a, 2), _guest.Refused([0]));
        Assert.Equal([0, 6, 4, 16, 3, 1, 0, 0], _guest.Ask([0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8]));
        Assert.Equal([0, 6, 4, 16, 0, 1, 0, 0], _guest.Ask([0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8]));
        Assert.Empty(_guest.Ask([0x1b, 0, 0, 0, 3]));
        Assert.Equal((6, 0x28, 0), _guest.Refused([0]));
        Assert.Empty(_guest.Ask([0]));
        Assert.Equal([0, 6, 4, 16, 2, 2, 0, 0], _guest.Ask([0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8]));
        Assert.Equal([0, 2, 0x80, 0x10], _guest.Ask([0x4a, 1, 0, 0, 2, 0, 0, 0, 8]));
    }

    [Fact]
    public void Discs_are_changed_and_the_guest_is_told()
    {
        var other = IdeGuest.Disk(80, readOnly: true);
        Assert.Same(_disc, _drive.Change(null));
        Assert.Equal((2, 0x3a, 0), _guest.Refused([0]));
        Assert.Equal((2, 0x3a, 0), _guest.Refused(Read10(0, 1)));
        Assert.Equal(36, _guest.Ask([0x12, 0, 0, 0, 36]).Length);

        Assert.Null(_drive.Change(other));
        Assert.Equal(36, _guest.Ask([0x12, 0, 0, 0, 36]).Length);
        Assert.Equal((6, 0x28, 0), _guest.Refused(Read10(0, 1)));
        Assert.Equal(other.Content[..2048], _guest.Ask(Read10(0, 1)));
        Assert.Equal([0, 0, 0, 19, 0, 0, 8, 0], _guest.Ask([0x25]));
        var node = new InspectNode("drive");
        _drive.Inspect(node);
        Assert.Equal(80ul * 512, node["bytes"]);
    }

    [Fact]
    public void A_disc_that_goes_while_it_is_read_is_an_error()
    {
        _guest.Packet(Read10(0, 64));
        _ = _drive.Change(null);
        _guest.Workers.Run();
        Assert.Equal(Failed, _guest.Wait(1) & Failed);
        Assert.Equal(2, _guest.In(0x171) >> 4);
        _ = _drive.Change(_disc);
        _ = _guest.Refused([0]);
        _disc.Failure = new IOException("scratched");
        Assert.Equal((3, 0x11, 0), _guest.Refused(Read10(0, 1)));
    }

    [Fact]
    public void A_large_disc_is_a_DVD()
    {
        var disc = new LargeDisc(1_000_000);
        _ = _drive.Change(disc);
        _ = _guest.Refused([0]);
        Assert.Equal([0, 0x10], _guest.Ask([0x46, 0, 0, 0, 0, 0, 0, 0, 8])[6..8]);
    }

    private sealed class LargeDisc(ulong sectors) : Core.Block.IBlockBackend
    {
        public ulong Length => sectors * 2048;

        public Core.Block.BlockLimits Limits => new(512, 512, 0, 512);

        public bool IsReadOnly => true;

        public void Read(ulong offset, ReadOnlySpan<Host.Io.IoVector> into)
        {
        }

        public bool TryReadCached(ulong offset, ReadOnlySpan<Host.Io.IoVector> into) => false;

        public void Write(ulong offset, ReadOnlySpan<Host.Io.IoVector> from) => throw new IOException("it is only read");

        public void Flush()
        {
        }

        public void Discard(ulong offset, ulong length)
        {
        }

        public void WriteZeroes(ulong offset, ulong length, bool mayUnmap)
        {
        }

        public Core.Block.BlockExtent Extent(ulong offset) => new(false, Length - offset);

        public void Dispose()
        {
        }
    }
}
