// The firmware's devices against the contract of saving.
using System.Buffers.Binary;
using Lamina.Core.Bus;
using Lamina.Core.Memory;
using Lamina.Devices.Chipset;
using Lamina.Devices.Firmware;
using Lamina.Tests.Devices.Chipset;
using Lamina.Tests.Devices.Firmware;

namespace Lamina.Tests.Devices.Saved;

public sealed class FwCfgSavedTests : SavedUnitTests<FwCfg>, IDisposable
{
    private readonly GuestMemory _memory = new([new(0, 0x10_0000)]);

    public void Dispose() => _memory.Dispose();

    protected override FwCfg Create() => new(FwCfgTests.Items(), _memory);

    // What the guest was told is in the state, too: a newer program may have other things to tell.
    protected override FwCfg CreateForLoading() => new(new FwCfgItems(), _memory);

    protected override void Disturb(FwCfg unit)
    {
        var access = new byte[16];
        BinaryPrimitives.WriteUInt32BigEndian(access, 0x21u << 16 | 8 | 16);
        BinaryPrimitives.WriteUInt32BigEndian(access.AsSpan(4), 5);
        BinaryPrimitives.WriteUInt64BigEndian(access.AsSpan(8), 0x3000);
        _memory.TryWrite(0x1000, access);
        _memory.TryWrite(0x3000, "write"u8);
        unit.Dma.Write(4, [0, 0, 0x10, 0]);
        unit.Selector.Write(0, [0x20, 0]);
        for (var i = 0; i < 40; i++) unit.Selector.In(1);
        unit.Dma.Write(0, [0, 0, 0, 1]);
    }

    protected override string Observe(FwCfg unit)
    {
        var first = string.Join(' ', Enumerable.Range(0, 10).Select(_ => unit.Selector.In(1)));
        unit.Selector.Write(0, [0x21, 0]);
        var written = string.Join(' ', Enumerable.Range(0, 16).Select(_ => unit.Selector.In(1)));
        unit.Selector.Write(0, [0x19, 0]);
        return $"{first}\n{written}\n{string.Join(' ', Enumerable.Range(0, 200).Select(_ => unit.Selector.In(1)))}";
    }
}

public sealed class FlashChipSavedTests : SavedUnitTests<FlashChip>, IDisposable
{
    private const ulong Start = 0xffff_0000;

    private readonly List<GuestMemory> _memories = [];
    private readonly Dictionary<FlashChip, Bus> _buses = [];

    public void Dispose()
    {
        foreach (var memory in _memories) memory.Dispose();
    }

    protected override FlashChip Create()
    {
        var (memory, bus) = (new GuestMemory([new(0, 0x1_0000)], end: 1ul << 32), new Bus("memory"));
        var chip = new FlashChip(memory, bus, "flash", Start, new byte[FlashChip.Block]);
        _memories.Add(memory);
        _buses[chip] = bus;
        return chip;
    }

    protected override void Disturb(FlashChip unit)
    {
        foreach (var value in (byte[])[0x20, 0xd0, 0x10, 0x5a, 0x50, 0x90]) unit.Write(0x123, [value]);
    }

    protected override string Observe(FlashChip unit)
    {
        var bus = _buses[unit];
        var seen = new byte[4];
        bus.Read(Start, seen.AsSpan(0, 2));
        bus.Write(Start, [0x70]);
        bus.Read(Start, seen.AsSpan(2, 1));
        bus.Write(Start, [0xff]);
        unit.Read(0x123, seen.AsSpan(3, 1));
        return Convert.ToHexString(seen);
    }
}

public sealed class ApmPortsSavedTests : SavedUnitTests<ApmPorts>
{
    protected override ApmPorts Create() => new();

    protected override void Disturb(ApmPorts unit)
    {
        unit.Out(0, 0x55);
        unit.Out(1, 0x66);
    }

    protected override string Observe(ApmPorts unit) => $"{unit.In(0):x2} {unit.In(1):x2}";
}
