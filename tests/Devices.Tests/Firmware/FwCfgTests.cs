// The firmware configuration device as firmware sees it: QEMU's specification (docs/specs/fw_cfg.rst), and what a guest can do to it that
// firmware does not.
using System.Buffers.Binary;
using System.Text;
using Lamina.Core.Bus;
using Lamina.Core.Memory;
using Lamina.Devices.Firmware;
using Lamina.Tests.Devices.Chipset;
using Xunit;

namespace Lamina.Tests.Devices.Firmware;

public sealed class FwCfgTests : IDisposable
{
    private const ulong Ram = 0x10_0000, High = 1ul << 32, HighRam = 0x20_0000;
    private const ulong Access = 0x1000, Data = 0x2000;
    private const uint Error = 1, Read = 2, Skip = 4, Select = 8, Write = 16;

    private static readonly byte[] Content = [.. Enumerable.Range(0, 300).Select(i => (byte)(i * 7))];

    private readonly GuestMemory _memory = new([new(0, Ram), new(High, HighRam)]);
    private readonly FwCfg _device;

    public FwCfgTests() => _device = new FwCfg(Items(), _memory);

    internal static FwCfgItems Items()
    {
        var items = new FwCfgItems();
        items.Add(FwCfgSpec.CpusKey, 3);
        items.Add("etc/first", (byte[])Content.Clone());
        items.Add("etc/written", new byte[16], isWritable: true);
        items.Add("etc/empty", []);
        return items;
    }

    public void Dispose() => _memory.Dispose();

    [Fact]
    public void Firmware_finds_the_device_by_its_signature_and_that_it_has_DMA()
    {
        Assert.Equal("QEMU"u8.ToArray(), ReadItem(0, 4));
        Assert.Equal([3, 0, 0, 0], ReadItem(1, 4));
        Span<byte> dma = stackalloc byte[8];
        Assert.Equal(AccessResult.Ok, _device.Dma.Read(0, dma));
        Assert.Equal("QEMU CFG", Encoding.ASCII.GetString(dma));
        Assert.Equal(AccessResult.Ok, _device.Dma.Read(4, dma[..2]));
        Assert.Equal(" C", Encoding.ASCII.GetString(dma[..2]));
    }

    [Fact]
    public void The_directory_names_every_file_with_its_length_and_key()
    {
        var directory = ReadItem(0x19, 4 + (3 * 64));

        Assert.Equal(3, BinaryPrimitives.ReadInt32BigEndian(directory));
        string[] names = ["etc/first", "etc/written", "etc/empty"];
        int[] lengths = [300, 16, 0];
        for (var i = 0; i < 3; i++)
        {
            var entry = directory.AsSpan(4 + (i * 64), 64);
            Assert.Equal(lengths[i], BinaryPrimitives.ReadInt32BigEndian(entry));
            Assert.Equal(0x20 + i, BinaryPrimitives.ReadUInt16BigEndian(entry[4..]));
            Assert.Equal(names[i], Encoding.ASCII.GetString(entry[8..]).TrimEnd('\0'));
        }
    }

    [Fact]
    public void An_item_is_read_byte_by_byte_and_is_zeros_behind_its_end()
    {
        Assert.Equal([.. Content, 0, 0, 0], ReadItem(0x20, 303));
        Assert.Equal([3, 0, 0], ReadItem(FwCfgSpec.CpusKey, 3));
        // Bit 14 is none of the key; what is not there has no bytes; a new selection begins anew.
        Assert.Equal(Content[..2], ReadItem(0x4020, 2));
        Assert.Equal([0, 0], ReadItem(0x23, 2));
        Assert.Equal([0, 0], ReadItem(0x8020, 2));
        Assert.Equal(Content[..2], ReadItem(0x20, 2));
    }

    [Fact]
    public void Ports_take_the_sizes_that_they_have()
    {
        Assert.Equal(AccessResult.InvalidSize, _device.Selector.Write(0, [0x20]));
        Assert.Equal(AccessResult.Unclaimed, _device.Selector.Read(0, new byte[1]));
        Assert.Equal(AccessResult.Ok, _device.Selector.Write(1, [0x55]));
        foreach (var (offset, length) in ((ulong, int)[])[(0, 1), (0, 2), (4, 2), (2, 4), (6, 2), (7, 1)])
            Assert.Equal(AccessResult.InvalidSize, _device.Dma.Write(offset, new byte[length]));
        Assert.Equal("QEMU"u8.ToArray(), ReadItem(0, 4));
    }

    [Fact]
    public void DMA_selects_skips_and_copies()
    {
        Assert.Equal(0u, Carry((0x20u << 16) | Select | Read, 4, Data));
        Assert.Equal(0u, Carry(Skip, 6, 0));
        Assert.Equal(0u, Carry(Read, 290, Data + 4));
        Assert.Equal([.. Content[..4], .. Content[10..300]], Memory(Data, 294));
        // The port goes on where DMA has stopped.
        _device.Selector.Write(0, [0x20, 0]);
        Assert.Equal(0u, Carry(Skip, 299, 0));
        Assert.Equal(Content[299], _device.Selector.In(1));
        // Selected alone.
        Assert.Equal(0u, Carry((0x20u << 16) | Select, 99, 0));
        Assert.Equal(Content[0], _device.Selector.In(1));
    }

    [Fact]
    public void DMA_reaches_memory_above_4_GiB_by_two_halves_of_an_address()
    {
        Describe(High + Access, (0x20u << 16) | Select | Read, 8, High + Data);

        _device.Dma.Write(0, [0, 0, 0, 1]);
        _device.Dma.Write(4, [0, 0, 0x10, 0]);

        Assert.Equal(Content[..8], Memory(High + Data, 8));
        // The upper half is forgotten with the transfer.
        Assert.Equal(0u, Carry((0x20u << 16) | Select | Read, 1, Data));
    }

    [Fact]
    public void What_is_read_behind_an_items_end_is_zeros()
    {
        _memory.TryWrite(Data, Enumerable.Repeat((byte)0xff, 9000).ToArray());

        Assert.Equal(0u, Carry((0x20u << 16) | Select | Read, 8999, Data));

        Assert.Equal([.. Content, .. new byte[8699], 0xff], Memory(Data, 9000));
        Assert.Equal(0u, Carry((0x7u << 16) | Select | Read, 9000, Data));
        Assert.Equal(new byte[9000], Memory(Data, 9000));
    }

    [Fact]
    public void Only_what_is_the_guests_is_written_and_until_the_next_reset()
    {
        _memory.TryWrite(Data, Content[..32]);

        Assert.Equal(0u, Carry((0x21u << 16) | Select | Write, 16, Data));
        Assert.Equal(Content[..16], ReadItem(0x21, 16));
        Assert.Equal(0u, Carry((0x21u << 16) | Select | Skip, 12, 0));
        Assert.Equal(Error, Carry(Write, 5, Data));
        Assert.Equal(0u, Carry(Write, 4, Data));
        Assert.Equal([.. Content[..12], .. Content[..4]], ReadItem(0x21, 16));
        foreach (var key in (uint[])[0x20, 0, 0x19, 5, 0x23, 0x3fff]) Assert.Equal(Error, Carry((key << 16) | Select | Write, 1, Data));
        Assert.Equal(Content, ReadItem(0x20, 300));

        _device.Reset();

        Assert.Equal((byte)'Q', _device.Selector.In(1));
        Assert.Equal(new byte[16], ReadItem(0x21, 16));
    }

    [Theory]
    [InlineData(Ram - 1, 2u)]
    [InlineData(Ram, 1u)]
    [InlineData(0x8000_0000ul, 16u)]
    [InlineData(High - 1, 2u)]
    [InlineData(ulong.MaxValue, 1u)]
    [InlineData(ulong.MaxValue - 3, 8u)]
    [InlineData(0ul, uint.MaxValue)]
    [InlineData(High, 0x20_0000u)]
    public void A_transfer_to_what_is_no_memory_or_without_an_end_is_an_error_and_changes_nothing(ulong address, uint length)
    {
        var before = Memory(0, (int)Ram);

        Assert.Equal(Error, Carry((0x20u << 16) | Select | Read, length, address));
        Assert.Equal(Error, Carry((0x21u << 16) | Select | Write, Math.Min(length, 16), address is < Ram - 16 or High ? Ram : address));

        before.AsSpan((int)Access, 16).Clear();
        var after = Memory(0, (int)Ram);
        after.AsSpan((int)Access, 16).Clear();
        Assert.Equal(before, after);
        Assert.Equal(new byte[16], ReadItem(0x21, 16));
    }

    [Fact]
    public void A_description_that_is_no_memory_starts_nothing()
    {
        foreach (var at in (ulong[])[Ram - 8, Ram, 0xffff_fff0, High + HighRam - 15, ulong.MaxValue])
        {
            var address = new byte[8];
            BinaryPrimitives.WriteUInt64BigEndian(address, at);
            Assert.Equal(AccessResult.Ok, _device.Dma.Write(0, address));
        }
        Assert.Equal(new byte[(int)Ram], Memory(0, (int)Ram));
    }

    [Fact]
    public void A_transfer_over_its_own_description_ends_with_its_end()
    {
        Describe(Access, (0x20u << 16) | Select | Read, 64, Access);

        _device.Dma.Write(4, [0, 0, 0x10, 0]);

        Assert.Equal([0, 0, 0, 0, .. Content[4..64]], Memory(Access, 64));
    }

    [Fact]
    public void Offsets_stay_at_the_end_of_all_numbers()
    {
        Carry((0x20u << 16) | Select | Skip, uint.MaxValue, 0);
        Assert.Equal(0u, Carry(Skip, uint.MaxValue, 0));
        Assert.Equal(0, _device.Selector.In(1));
        Assert.Equal(0u, Carry(Read, 4, Data));
        Assert.Equal(Error, Carry((0x21u << 16) | Select | Skip, uint.MaxValue, 0) | Carry(Write, 1, Data));
    }

    [Fact]
    public void Whatever_a_guest_writes_its_memory_outside_of_transfers_stays()
    {
        var random = new Random(402);
        var before = Memory(0x8000, 0x8_0000);
        for (var round = 0; round < 100_000; round++)
        {
            switch (random.Next(4))
            {
                case 0:
                    _device.Selector.Write(0, [(byte)random.Next(256), (byte)random.Next(256)]);
                    break;
                case 1:
                    _device.Selector.In(1);
                    break;
                case 2:
                    Describe(Access, (uint)random.Next() & 0xffff_001f, (uint)random.Next(0x2000), random.Next(3) == 0 ? (ulong)random.NextInt64() : Data + (ulong)random.Next(0x1000));
                    _device.Dma.Write(4, [0, 0, 0x10, 0]);
                    break;
                default:
                    Describe(Access, (uint)random.Next(), (uint)random.Next() | 0x8000_0000, (ulong)random.NextInt64());
                    _device.Dma.Write(0, [0, 0, 0, 0, 0, 0, 0x10, (byte)random.Next(16)]);
                    break;
            }
        }
        Assert.Equal(before, Memory(0x8000, 0x8_0000));
        Assert.Equal("QEMU"u8.ToArray(), ReadItem(0, 4));
    }

    [Fact]
    public void Items_have_names_and_keys_of_their_own()
    {
        var items = Items();

        Assert.Throws<ArgumentException>(() => items.Add(FwCfgSpec.CpusKey, 4));
        Assert.Throws<ArgumentException>(() => items.Add(0x20, 4));
        Assert.Throws<ArgumentException>(() => items.Add(0, 4));
        Assert.Throws<ArgumentException>(() => items.Add("etc/first", [1]));
        Assert.Throws<ArgumentException>(() => items.Add("", [1]));
        Assert.Throws<ArgumentException>(() => items.Add("etc/ä", [1]));
        Assert.Throws<ArgumentException>(() => items.Add(new string('x', 56), [1]));
        items.Add(new string('x', 55), [1]);
        Assert.Equal(["etc/first", "etc/written", "etc/empty", new string('x', 55)], items.Files.Select(file => file.Name));
    }

    private byte[] ReadItem(int key, int length)
    {
        _device.Selector.Write(0, [(byte)key, (byte)(key >> 8)]);
        return [.. Enumerable.Range(0, length).Select(_ => (byte)_device.Selector.In(1))];
    }

    private byte[] Memory(ulong address, int length)
    {
        var bytes = new byte[length];
        Assert.True(_memory.TryRead(address, bytes));
        return bytes;
    }

    private void Describe(ulong at, uint control, uint length, ulong address)
    {
        var access = new byte[16];
        BinaryPrimitives.WriteUInt32BigEndian(access, control);
        BinaryPrimitives.WriteUInt32BigEndian(access.AsSpan(4), length);
        BinaryPrimitives.WriteUInt64BigEndian(access.AsSpan(8), address);
        Assert.True(_memory.TryWrite(at, access));
    }

    // What stands in the control field afterwards.
    private uint Carry(uint control, uint length, ulong address)
    {
        Describe(Access, control, length, address);
        Assert.Equal(AccessResult.Ok, _device.Dma.Write(4, [0, 0, 0x10, 0]));
        return BinaryPrimitives.ReadUInt32BigEndian(Memory(Access, 4));
    }
}
