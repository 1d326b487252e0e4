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
    public void What_is_to_outlive_the_machine_is_kept_before_it_is_acknowledged()
    {
        var store = new KeptBytes(new byte[Length]);
        using var memory = new GuestMemory([new MemoryRange(0, 1 << 20)], end: 1ul << 32);
        var chip = new FlashChip(memory, new Bus("memory"), "flash", Start, store.Bytes, store);
        foreach (var value in (byte[])[0x20, 0xd0, 0xff]) chip.Write(FlashChip.Block + 7, [value]);
        Assert.Equal((1, 1), (store.Writes, store.Settled));
        foreach (var value in (byte[])[0x10, 0x5a, 0x10, 0x0f]) chip.Write(FlashChip.Block + 9, [value]);
        Assert.Equal((3, 1), (store.Writes, store.Settled));
        chip.Write(0, [0xff]);
        Assert.Equal(2, store.Settled);
        Assert.Equal([0, 0xff, 0x0a, 0xff], new[] { FlashChip.Block - 1, FlashChip.Block + 8, FlashChip.Block + 9, 2 * FlashChip.Block - 1 }.Select(at => store.Bytes[at]));
        // Commands that write nothing have nothing settled.
        foreach (var value in (byte[])[0x70, 0xff, 0x90, 0xff]) chip.Write(0, [value]);
        Assert.Equal(2, store.Settled);
        chip.Dispose();
        Assert.True(store.IsDisposed);
    }

    [Fact]
    public void What_cannot_be_kept_is_not_done_and_the_status_says_so()
    {
        var store = new KeptBytes(new byte[Length]) { Refuses = true };
        using var memory = new GuestMemory([new MemoryRange(0, 1 << 20)], end: 1ul << 32);
        using var chip = new FlashChip(memory, new Bus("memory"), "flash", Start, store.Bytes, store);
        Span<byte> seen = stackalloc byte[1];
        foreach (var value in (byte[])[0x20, 0xd0]) chip.Write(3, [value]);
        chip.Read(0, seen);
        Assert.Equal(0xa0, seen[0]);
        foreach (var value in (byte[])[0x50, 0x10, 0x00]) chip.Write(3, [value]);
        chip.Read(0, seen);
        Assert.Equal(0x90, seen[0]);
        chip.Write(0, [0xff]);
        chip.Read(3, seen);
        Assert.Equal(0, seen[0]);
    }

    private sealed class KeptBytes(byte[] bytes) : IFlashStore
    {
        internal byte[] Bytes => bytes;

        internal bool Refuses { get; init; }

        internal int Writes { get; private set; }

        internal int Settled { get; private set; }

        internal bool IsDisposed { get; private set; }

        public string Name => "store";

        public bool TryWrite(long offset, ReadOnlySpan<byte> written)
        {
            if (Refuses) return false;
            Writes++;
            written.CopyTo(bytes.AsSpan((int)offset));
            return true;
        }

        public void Settle() => Settled++;

        public void Dispose() => IsDisposed = true;
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
