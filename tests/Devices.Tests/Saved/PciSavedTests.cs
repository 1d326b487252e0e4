// PCI functions against the contract of saving: where registers answer, one of them while it is asked for its size; messages that wait;
// a virtio device with buffers in hand, behind the modern registers and behind the legacy ones.
using System.Globalization;
using System.Text;
using Lamina.Core.Entropy;
using Lamina.Core.Inspection;
using Lamina.Core.State;
using Lamina.Devices.Chipset;
using Lamina.Devices.Chipset.I440fx;
using Lamina.Devices.Pci;
using Lamina.Devices.Virtio.Pci;
using Lamina.Devices.Virtio.Rng;
using Lamina.Tests.Devices.Chipset;
using Lamina.Tests.Devices.Pci;
using Lamina.Tests.Devices.Virtio;
using Xunit;

namespace Lamina.Tests.Devices.Saved;

/// <summary>A function on a machine of its own.</summary>
public abstract class PciSavedTests<T> : SavedUnitTests<T> where T : PciFunction
{
    private protected const int Device = 3;

    private readonly Dictionary<T, PciTestMachine> _machines = [];

    private protected abstract T Create(PciTestMachine machine);

    private protected PciTestMachine MachineOf(T unit) => _machines[unit];

    protected override T Create()
    {
        var machine = new PciTestMachine();
        var unit = Create(machine);
        _machines[unit] = machine;
        machine.Bus.Add(Device, 0, unit);
        return unit;
    }

    protected override string Observe(T unit)
    {
        var machine = MachineOf(unit);
        var seen = new StringBuilder();
        for (var offset = 0; offset < 0x100; offset += 4) seen.Append(CultureInfo.InvariantCulture, $"{machine.Read(Device, offset):x8} ");
        foreach (var (start, length, window) in machine.Ports.Ranges.Concat(machine.Memory.Ranges)) seen.Append(CultureInfo.InvariantCulture, $"\n{start:x} {length:x} {window}");
        return seen.Append(CultureInfo.InvariantCulture, $"\n{machine.Line.Level}").ToString();
    }
}

public sealed class TestFunctionSavedTests : PciSavedTests<PciFunction>
{
    private protected override PciFunction Create(PciTestMachine machine) => new TestFunction(machine.Wires("test"));

    protected override void Disturb(PciFunction unit)
    {
        var (machine, function) = (MachineOf(unit), (TestFunction)unit);
        machine.Write(Device, 0x10, 0xc000);
        machine.Write(Device, 0x14, 0xe000_0000);
        machine.Write(Device, 0x1c, 0x10);
        machine.Write(Device, 0x20, 0xe001_0000);
        machine.Write(Device, 0x3c, 11, 1);
        machine.Write(Device, 4, 7, 2);
        for (uint i = 0; i < 64; i += 4) machine.WriteMemory(0xe001_0000 + i, 0xfee0_0000 + (i << 12) + i + 1);
        // All masked: two wait.
        machine.Write(Device, machine.Capability(Device, 0x11) + 2, 0xc000, 2);
        function.Signal(1);
        function.Signal(3);
        var own = machine.Capability(Device, 5);
        machine.Write(Device, own + 4, 0xfee0_1000);
        machine.Write(Device, own + 12, 0x30, 2);
        machine.Write(Device, own + 16, 0xff);
        machine.Write(Device, own + 2, 0x21, 2);
        function.SignalOwn(2);
        // In the middle of asking for a size.
        machine.Write(Device, 0x14, uint.MaxValue);
        machine.Write(Device, 0x1c, uint.MaxValue);
    }

    protected override string Observe(PciFunction unit)
    {
        var machine = MachineOf(unit);
        var seen = base.Observe(unit) + string.Join(' ', Enumerable.Range(0, 16).Select(i => machine.ReadMemory(0xe001_0000 + ((ulong)i * 4), 4).ToString("x", CultureInfo.InvariantCulture)));
        machine.Write(Device, 0x14, 0xe200_0000);
        machine.Write(Device, machine.Capability(Device, 0x11) + 2, 0x8000, 2);
        for (uint vector = 0; vector < 4; vector++) machine.WriteMemory(0xe001_0000 + (16 * vector) + 12, 0);
        machine.Write(Device, machine.Capability(Device, 5) + 16, 0);
        return seen + machine.ReadMemory(0xe200_0000) + string.Join(' ', machine.Messages.Sent.TakeLast(3));
    }
}

public sealed class HostBridgeSavedTests : PciSavedTests<HostBridge>
{
    private protected override HostBridge Create(PciTestMachine machine) => new(machine.Wires("host") with { Pin = null });

    protected override void Disturb(HostBridge unit)
    {
        for (var offset = 0x50; offset < 0x100; offset += 4) MachineOf(unit).Write(Device, offset, 0x1234_5600u + (uint)offset);
    }
}

public sealed class IsaBridgeSavedTests : PciSavedTests<IsaBridge>
{
    private readonly Dictionary<IsaBridge, bool[]> _levels = [];

    private protected override IsaBridge Create(PciTestMachine machine)
    {
        var levels = new bool[24];
        var router = new PirqRouter(new InterruptRouter((gsi, level) => levels[gsi] = level));
        for (var pirq = 0; pirq < 4; pirq++) router.CreateLine(pirq).SetLevel(pirq != 2);
        var unit = new IsaBridge(machine.Wires("isa") with { Pin = null }, router);
        _levels[unit] = levels;
        return unit;
    }

    protected override void Disturb(IsaBridge unit)
    {
        MachineOf(unit).Write(Device, 0x60, 0x0b07_800a);
        MachineOf(unit).Write(Device, 0x4c, 0x0102_0304);
    }

    protected override string Observe(IsaBridge unit) => base.Observe(unit) + string.Join(' ', _levels[unit]);
}

public sealed class PowerManagementSavedTests : PciSavedTests<PowerManagement>
{
    private protected override PowerManagement Create(PciTestMachine machine) => new(machine.Wires("power") with { Pin = null },
        new AcpiPm(new ManualClock(), new RecordingLine(), () => { }, () => { }, alwaysAcpi: false), new SmBusHost());

    protected override void Disturb(PowerManagement unit)
    {
        var machine = MachineOf(unit);
        machine.Write(Device, 0x40, 0xb000);
        machine.Write(Device, 0x80, 1, 1);
        machine.Write(Device, 0x90, 0xb100);
        machine.Write(Device, 0xd0, 0x0009_0000);
        machine.Write(Device, 0x58, 0x0400_0001);
    }
}

public sealed class SmBusHostSavedTests : SavedUnitTests<SmBusHost>
{
    protected override SmBusHost Create() => new();

    protected override void Disturb(SmBusHost unit)
    {
        for (ulong i = 3; i < 16; i++) unit.Out(i, (int)i * 7);
        unit.Out(2, 0x49);
    }

    protected override string Observe(SmBusHost unit) => string.Join(' ', Enumerable.Range(0, 16).Select(i => unit.In((ulong)i)));
}

public abstract class VirtioPciSavedTests : SavedUnitTests<VirtioPci>, IDisposable
{
    private protected const ulong Ring = TestGuest.Ram, Data = TestGuest.Ram + 0x1_0000, Length = 0x2_0000;

    private readonly Dictionary<VirtioPci, PciGuest> _guests = [];
    private byte[]? _memory;

    private sealed class Ones : IEntropySource
    {
        public void Fill(Span<byte> destination) => destination.Fill(1);
    }

    private protected PciGuest GuestOf(VirtioPci unit) => _guests[unit];

    protected override VirtioPci Create()
    {
        var guest = new PciGuest(_ => new VirtioRng(new Ones()), Length, answers: false);
        _guests[guest.Function] = guest;
        return guest.Function;
    }

    protected override VirtioPci CreateForLoading()
    {
        if (_memory is null)
        {
            var before = Create();
            Disturb(before);
            Assert.True(GuestOf(before).Memory.TryRead(TestGuest.Ram, _memory = new byte[Length]));
        }
        var unit = Create();
        Assert.True(GuestOf(unit).Memory.TryWrite(TestGuest.Ram, _memory));
        unit.Pause();
        return unit;
    }

    private protected abstract void Drive(PciGuest guest);

    protected override void Disturb(VirtioPci unit)
    {
        var guest = GuestOf(unit);
        guest.Answer();
        Drive(guest);
        unit.Pause();
    }

    protected override string Observe(VirtioPci unit)
    {
        var guest = GuestOf(unit);
        var seen = new StringBuilder();
        for (var offset = 0; offset < 0x100; offset += 4) seen.Append(CultureInfo.InvariantCulture, $"{guest.Machine.Read(PciGuest.Device, offset):x8} ");
        for (ulong offset = 0; offset < 0x3c; offset += 4) seen.Append(CultureInfo.InvariantCulture, $"{guest.Read(offset):x8} ");
        seen.Append(CultureInfo.InvariantCulture, $"{guest.Machine.Line.Level} {guest.ReadLegacy(0x12, 1)}\n");
        unit.Resume();
        guest.Workers.Run();
        guest.Machine.WriteMemory((uint)PciGuest.Table + 28, 0);
        seen.Append(CultureInfo.InvariantCulture, $"{guest.Machine.Line.Level} {guest.Read(0x1000, 1)} {string.Join(' ', guest.Machine.Messages.Sent.TakeLast(1))}\n");
        var memory = new byte[Length];
        Assert.True(guest.Memory.TryRead(TestGuest.Ram, memory));
        return seen.Append(Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(memory))).ToString();
    }

    protected override void Use(VirtioPci unit)
    {
        var guest = GuestOf(unit);
        unit.Resume();
        guest.Workers.Run();
        unit.Inspect(new InspectNode("unit"));
        guest.Answer();
        guest.Notify(0);
        guest.Write(0x14, 0, 1);
        Assert.Equal(11u, guest.Negotiate(1ul << 32));
    }

    public void Dispose()
    {
        foreach (var guest in _guests.Values) guest.Dispose();
        GC.SuppressFinalize(this);
    }
}

public sealed class ModernPciSavedTests : VirtioPciSavedTests
{
    protected override string Variant => "-modern";

    private protected override void Drive(PciGuest guest)
    {
        Assert.Equal(11u, guest.Negotiate(1ul << 32 | 1ul << 28));
        guest.UseMessages(1);
        guest.Machine.WriteMemory((uint)PciGuest.Table + 28, 1);
        var ring = new SplitDriver(guest, 0, 16, Ring).Place();
        guest.DriverOk();
        guest.Workers.Run();
        for (ulong i = 0; i < 3; i++) ring.Offer(new Part(Data + (i * 16), 16, true));
        guest.Notify(0);
        ring.Offer(new Part(Data + 0x100, 16, true));
        guest.Write(0, 1);
        guest.Write(0x16, 0, 2);
    }
}

public sealed class LegacyPciSavedTests : VirtioPciSavedTests
{
    protected override string Variant => "-legacy";

    private protected override void Drive(PciGuest guest)
    {
        guest.WriteLegacy(0x12, 3, 1);
        guest.WriteLegacy(4, 1 << 28, 4);
        guest.WriteLegacy(8, (uint)(Ring >> 12), 4);
        guest.Store(Ring, Data);
        guest.Store(Ring + 8, 16u);
        guest.Store(Ring + 12, (ushort)2);
        // The first notification comes before the driver is ready, the second buffer without any. The ring has the size of the device's queue.
        var available = Ring + (16ul * guest.ReadLegacy(0x0c, 2));
        guest.Store(available + 2, (ushort)1);
        guest.WriteLegacy(0x10, 0, 2);
        guest.Workers.Run();
        guest.Store(available + 2, (ushort)2);
    }
}
