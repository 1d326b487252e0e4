// The floppy controller, its drive and the DMA controllers against the contract of saving: a result half read, heads that moved, channels half programmed.
using System.Globalization;
using Lamina.Core.Inspection;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Devices.Chipset;
using Lamina.Devices.Floppy;
using Lamina.Tests.Devices.Ata;
using Lamina.Tests.Devices.Floppy;

namespace Lamina.Tests.Devices.Saved;

public abstract class FloppyUnitSavedTests<T> : SavedUnitTests<T>, IDisposable where T : class, ISavedUnit
{
    private static readonly Virtio.TestDisk Disk = IdeGuest.Disk(FloppyGuest.Sectors);

    private readonly Dictionary<T, FloppyGuest> _guests = [];
    private readonly GuestMemory _memory = IdeGuest.MakeMemory();

    private protected FloppyGuest GuestOf(T unit) => _guests[unit];

    private protected abstract T PartOf(FloppyGuest guest);

    protected override T Create()
    {
        var guest = new FloppyGuest(Disk, _memory);
        var unit = PartOf(guest);
        _guests[unit] = guest;
        return unit;
    }

    public void Dispose()
    {
        foreach (var guest in _guests.Values) guest.Dispose();
        _memory.Dispose();
        GC.SuppressFinalize(this);
    }
}

public sealed class FloppyControllerSavedTests : FloppyUnitSavedTests<FloppyController>
{
    private protected override FloppyController PartOf(FloppyGuest guest) => guest.Controller;

    protected override void Disturb(FloppyController unit)
    {
        var guest = GuestOf(unit).Start();
        guest.Ask(0x0f, 0, 5);
        foreach (var part in (byte[])[0x4a, 0]) guest.Out(0x3f5, part);
        guest.Workers.Run();
        guest.In(0x3f5);
        guest.In(0x3f5);
    }

    protected override string Observe(FloppyController unit)
    {
        var guest = GuestOf(unit);
        var seen = string.Create(CultureInfo.InvariantCulture, $"{guest.In(0x3f2)} {guest.In(0x3f4)} {guest.Line.Level}");
        for (var i = 0; i < 6; i++) seen += string.Create(CultureInfo.InvariantCulture, $" {guest.In(0x3f5)}");
        return seen;
    }

    protected override void Use(FloppyController unit)
    {
        unit.Resume();
        GuestOf(unit).Workers.Run();
        unit.Inspect(new InspectNode("unit"));
        Observe(unit);
        unit.Reset();
        GuestOf(unit).Start();
    }
}

public sealed class FloppyDriveSavedTests : FloppyUnitSavedTests<FloppyDrive>
{
    private protected override FloppyDrive PartOf(FloppyGuest guest) => guest.Drive;

    protected override void Disturb(FloppyDrive unit)
    {
        var guest = GuestOf(unit).Start();
        guest.SetDma(FloppyGuest.Data, 512, toMemory: true);
        guest.Ask(0x46, 0, 0, 0, 1, 2, 9, 0x1b, 0xff);
        guest.Ask(0x07, 0);
    }

    protected override string Observe(FloppyDrive unit)
    {
        var counters = new CounterList();
        counters.Ask("drive", unit);
        return $"{GuestOf(unit).In(0x3f7)} {string.Join(' ', counters.All.Select(counter => counter.Value))}";
    }
}

public sealed class DmaSavedTests : SavedUnitTests<Dma8237>
{
    private static readonly int[] Registers = [.. Enumerable.Range(0, 9), .. Enumerable.Range(0x81, 15), .. Enumerable.Range(0, 9).Select(i => 0xc0 + (2 * i))];

    private readonly Dictionary<Dma8237, Core.Bus.Bus> _ports = [];

    protected override Dma8237 Create()
    {
        var (unit, ports) = (new Dma8237(), new Core.Bus.Bus("port", last: 0xffff));
        unit.MapPorts(ports);
        _ports[unit] = ports;
        return unit;
    }

    protected override void Disturb(Dma8237 unit)
    {
        var ports = _ports[unit];
        for (var i = 0; i < 8; i++)
            foreach (var value in (byte[])[(byte)(0x10 + i), 0x32]) ports.Write((ulong)i, [value]);
        for (var i = 0; i < 8; i++)
            foreach (var value in (byte[])[(byte)(0x40 + i), 0x21]) ports.Write(0xc0 + (ulong)(2 * i), [value]);
        for (var i = 0; i < 15; i++) ports.Write(0x81 + (ulong)i, [(byte)(0xa0 + i)]);
        foreach (var (port, value) in (ReadOnlySpan<(ulong, byte)>)[(0x0b, 0x46), (0x0a, 2), (0xd0, 4), (0xd6, 0xc0), (0x00, 7), (0xc0, 9)]) ports.Write(port, [value]);
        Xunit.Assert.NotNull(unit.Next(2, toMemory: true, 0x4000));
        unit.Advance(2, 100);
    }

    protected override string Observe(Dma8237 unit)
    {
        var data = new byte[1];
        return string.Join(' ', Registers.Select(port =>
        {
            _ports[unit].Read((ulong)port, data);
            return data[0];
        })) + unit.Next(2, toMemory: true, 0x4000);
    }
}
