// A flash chip as firmware finds and uses it, and what it does with whatever else is written.
using Lamina.Core.Bus;
using Lamina.Core.Memory;
using Lamina.Devices.Firmware;
using Xunit;

namespace Lamina.Tests.Devices.Firmware;

public sealed class FlashChipTests : IDisposable
{
    private const ulong Start = 0xffc0_0000;
    private const int Length = 4 * FlashChip.Block;

    private readonly GuestMemory _memory = new([new MemoryRange(0, 1 << 20)], end: 1ul << 32);
    private readonly Bus _bus = new("memory");
    private readonly FlashChip _chip;

    public FlashChipTests()
    {
        var content = new byte[Length];
        for (var i = 0; i < Length; i++) content[i] = (byte)(i * 7);
        _chip = new FlashChip(_memory, _bus, "flash", Start, content);
    }

    public void Dispose()
    {
        _chip.Dispose();
        _memory.Dispose();
    }

    // As a CPU does: loads are the memory's where that answers.
    private byte Load(int offset)
    {
        Span<byte> one = stackalloc byte[1];
        if (!_memory.TryRead(Start + (ulong)offset, one)) _bus.Read(Start + (ulong)offset, one);
        return one[0];
    }

    private void Store(int offset, byte value) => _bus.Write(Start + (ulong)offset, [value]);

    [Fact]
    public void Firmware_that_probes_finds_a_chip_and_its_bytes_unharmed()
    {
        // As OVMF goes about it: neither RAM, which would keep what is written, nor a ROM.
        var original = Load(16);
        Store(16, 0x50);
        Assert.NotEqual(0x50, Load(16));
        Store(16, 0x70);
        Assert.Equal(0, Load(16));
        Store(16, 0xff);
        Assert.Equal(original, Load(16));
    }

    [Fact]
    public void A_block_is_erased_and_bytes_are_programmed_by_clearing_bits()
    {
        Store(FlashChip.Block + 5, 0x20);
        Store(FlashChip.Block + 5, 0xd0);
        Assert.Equal(0x80, Load(0));
        Store(0, 0xff);
        Assert.Equal(0xf9, Load(FlashChip.Block - 1));
        Assert.Equal([0xff, 0xff], new[] { Load(FlashChip.Block), Load((2 * FlashChip.Block) - 1) });
        Assert.Equal(0, Load(2 * FlashChip.Block));
        foreach (var value in (byte[])[0xf0, 0x3c])
        {
            Store(FlashChip.Block + 9, 0x10);
            Store(FlashChip.Block + 9, value);
        }
        Store(0, 0xff);
        Assert.Equal(0x30, Load(FlashChip.Block + 9));
    }

    [Fact]
    public void It_says_who_it_is_and_what_is_no_erasure_is_told()
    {
        Store(0, 0x90);
        Assert.Equal([0x89, 0x18], new[] { Load(0), Load(1) });
        Store(0, 0x20);
        Store(0, 0x12);
        Assert.Equal(0xb0, Load(0));
        Store(0, 0x50);
        Store(0, 0xff);
        Assert.Equal(0, Load(0));
    }

    [Fact]
    public void A_reset_shows_its_bytes_and_keeps_what_was_written()
    {
        Store(3, 0x40);
        Store(3, 0);
        Store(3, 0x70);
        _chip.Reset();
        Assert.Equal(0, Load(3));
        Assert.Equal(7, Load(1));
    }

    [Fact]
    public void Whatever_is_written_nothing_else_is_touched()
    {
        var random = new Random(42);
        for (var i = 0; i < 100_000; i++)
        {
            var offset = random.Next(Length - 8) & ~7;
            if (random.Next(4) == 0) _ = Load(offset);
            else _bus.Write(Start + (ulong)offset, BitConverter.GetBytes(random.NextInt64()).AsSpan(0, 1 << random.Next(4)));
        }
        _chip.Reset();
        Store(0, 0x20);
        Store(0, 0xd0);
        Store(0, 0xff);
        Assert.Equal(0xff, Load(0));
    }
}
