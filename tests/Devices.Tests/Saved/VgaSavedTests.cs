// The display against the contract of saving: every register, what the ports are in the middle of, and video memory.
using System.Globalization;
using System.Text;
using Lamina.Devices.Display;
using Lamina.Tests.Devices.Display;

namespace Lamina.Tests.Devices.Saved;

public sealed class VgaSavedTests : SavedUnitTests<VgaAdapter>, IDisposable
{
    // Each has a file of the host's: as many are kept as are looked at together.
    private const int Kept = 8;

    private readonly Queue<VgaTestMachine> _machines = [];

    public void Dispose()
    {
        foreach (var machine in _machines) machine.Dispose();
    }

    protected override VgaAdapter Create()
    {
        if (_machines.Count == Kept) _machines.Dequeue().Dispose();
        var machine = new VgaTestMachine(answers: false);
        _machines.Enqueue(machine);
        return machine.Display;
    }

    protected override void Disturb(VgaAdapter unit)
    {
        var machine = MachineOf(unit);
        machine.Machine.Write(VgaTestMachine.Device, 0x10, VgaTestMachine.VideoMemory);
        machine.Machine.Write(VgaTestMachine.Device, 0x18, VgaTestMachine.Registers);
        machine.Machine.Write(VgaTestMachine.Device, 4, 3, 2);
        machine.SetPlanarMode();
        machine.Out(0x3da, 7);
        machine.SetLinearMode(640, 480, 4);
        machine.SetExtension(4, 0xe1);
        machine.SetExtension(5, 3);
        machine.SetExtension(8, 16);
        machine.SetExtension(9, 2);
        machine.Machine.WriteMemory(VgaTestMachine.Registers + 0x604, 0xbebe_bebe);
        machine.Memory.TryWrite(VgaTestMachine.VideoMemory, 0x1122_3344u);
        machine.Memory.TryWrite(VgaTestMachine.VideoMemory + 0x7f_f000, (byte)5);
        machine.SetExtension(5, 0);
        _ = machine.Peek(0xa_0000);
        machine.SetExtension(5, 3);
        machine.Out(0x3c7, 17);
        machine.Out(0x3c8, 20);
        machine.Out(0x3c9, 60);
        machine.Out(0x3c6, 0x7f);
        machine.Out(0x3c7, 9);
        _ = machine.In(0x3c9);
        _ = machine.In(0x3da);
        machine.Out(0x3c0, 0x32);
        machine.Out(0x3ce, 5);
        machine.Out(0x3c4, 4);
        machine.Out(0x3d4, 9);
    }

    protected override string Observe(VgaAdapter unit)
    {
        var machine = MachineOf(unit);
        var seen = new StringBuilder();
        for (var offset = 0; offset < 0x40; offset += 4) seen.Append(CultureInfo.InvariantCulture, $"{machine.Machine.Read(VgaTestMachine.Device, offset):x8} ");
        foreach (var (start, length, window) in machine.Machine.Ports.Ranges.Concat(machine.Machine.Memory.Ranges)) seen.Append(CultureInfo.InvariantCulture, $"\n{start:x} {length:x} {window}");
        foreach (var range in machine.Memory.View.Writable) seen.Append(CultureInfo.InvariantCulture, $"\n{range}");
        for (var port = 0x3c0; port < 0x3e0; port++) seen.Append(CultureInfo.InvariantCulture, $"{machine.In(port):x2} ");
        var picture = unit.Look();
        return seen.Append(CultureInfo.InvariantCulture, $"\n{unit.Mode} {picture.Width} {picture.Height} {string.Join(' ', picture.Pixels.Take(64))}").ToString();
    }

    private VgaTestMachine MachineOf(VgaAdapter unit) => _machines.Single(machine => machine.Display == unit);
}
