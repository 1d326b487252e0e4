// A machine's buses with PCI functions on them, and a driver that goes by the configuration mechanism as a guest does.
using Lamina.Core.Bus;
using Lamina.Core.Interrupts;
using Lamina.Core.State;
using Lamina.Devices.Chipset;
using Lamina.Devices.Pci;
using Lamina.Tests.Devices.Chipset;

namespace Lamina.Tests.Devices.Pci;

/// <summary>Messages that were sent.</summary>
internal sealed class RecordingMessages : IMessageInterrupts
{
    public List<(ulong Address, uint Data)> Sent { get; } = [];

    public bool Send(ulong address, uint data)
    {
        Sent.Add((address, data));
        return true;
    }
}

/// <summary>Registers that say where they were reached.</summary>
internal sealed class TestRegisters(byte mark) : IBusDevice
{
    public List<(ulong Offset, byte[] Data)> Writes { get; } = [];

    public AccessResult Read(ulong offset, Span<byte> data)
    {
        data.Fill(mark);
        return AccessResult.Ok;
    }

    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        Writes.Add((offset, data.ToArray()));
        return AccessResult.Ok;
    }
}

/// <summary>A function with a base address register of each kind, and with both kinds of messages.</summary>
internal sealed class TestFunction : PciFunction
{
    internal const ulong PortsLength = 0x20, MemoryLength = 0x1000, WideLength = 0x1_0000_0000, TableLength = 0x1000;
    internal const byte PortsMark = 0x11, MemoryMark = 0x22, WideMark = 0x33;

    private readonly bool _wholeMessages;

    internal TestFunction(PciWires wires, int vectors = 4, bool messages = true, ulong wideLength = WideLength) : base(new PciIdentity(0x1234, 0x5678, 0x02_0301) { Revision = 9, Subsystem = (0xaaaa, 0xbbbb) }, wires)
    {
        _wholeMessages = messages;
        AddBar(0, PciSpec.BarIsPorts, PortsLength, Ports);
        AddBar(1, 0, MemoryLength, Memory);
        AddBar(2, PciSpec.BarIs64Bits | PciSpec.BarIsPrefetchable, wideLength, new TestRegisters(WideMark));
        AddMessageTable(4, vectors);
        if (messages) AddMessages(8);
    }

    public override SavedKind Kind => new("test function", 1);

    internal TestRegisters Ports { get; } = new(PortsMark);

    internal TestRegisters Memory { get; } = new(MemoryMark);

    internal void Pin(bool asserted) => SetPin(asserted);

    /// <summary>Sends a message of the table.</summary>
    internal void Signal(int vector)
    {
        lock (InterruptGate) MessageTable!.Signal(vector);
    }

    /// <summary>Sends one of configuration space.</summary>
    internal void SignalOwn(int vector)
    {
        lock (InterruptGate)
        {
            if (_wholeMessages) Messages!.Signal(vector);
        }
    }
}

/// <summary>The machine.</summary>
internal sealed class PciTestMachine
{
    internal PciTestMachine()
    {
        Configuration = new PciConfigurationPorts(new ResetControl(() => Resets++), Bus);
        Configuration.MapPorts(Ports);
    }

    internal Bus Ports { get; } = new("port", last: 0xffff);

    internal Bus Memory { get; } = new("memory");

    internal PciBus Bus { get; } = new();

    internal PciConfigurationPorts Configuration { get; }

    internal RecordingLine Line { get; } = new();

    internal RecordingMessages Messages { get; } = new();

    internal int Resets { get; private set; }

    internal PciWires Wires(string name) => new(name, Ports, Memory, Line, Messages);

    internal Dictionary<int, TestFunction> Functions { get; } = [];

    internal TestFunction Add(int device) => Functions[device] = Bus.Add(device, 0, new TestFunction(Wires($"test {device}")));

    internal uint ReadPort(ulong port, int length) => Read(Ports, port, length);

    internal uint ReadMemory(ulong address, int length = 1) => Read(Memory, address, length);

    internal void WriteMemory(ulong address, uint value) => Memory.Write(address, BitConverter.GetBytes(value));

    /// <summary>Reads configuration space by mechanism 1.</summary>
    internal uint Read(int device, int offset, int length = 4)
    {
        Ports.Write(0xcf8, BitConverter.GetBytes(0x8000_0000u | (uint)device << 11 | (uint)offset & 0xfc));
        return Read(Ports, 0xcfcu + (ulong)(offset & 3), length);
    }

    /// <summary>Writes it.</summary>
    internal void Write(int device, int offset, uint value, int length = 4)
    {
        Ports.Write(0xcf8, BitConverter.GetBytes(0x8000_0000u | (uint)device << 11 | (uint)offset & 0xfc));
        Ports.Write(0xcfcu + (ulong)(offset & 3), BitConverter.GetBytes(value).AsSpan(0, length));
    }

    /// <summary>Where a device's capability lies; 0 where it has none such.</summary>
    internal int Capability(int device, byte id)
    {
        for (var at = (int)Read(device, 0x34, 1); at != 0; at = (int)Read(device, at + 1, 1))
            if (Read(device, at, 1) == id) return at;
        return 0;
    }

    private static uint Read(Bus bus, ulong address, int length)
    {
        var data = new byte[4];
        bus.Read(address, data.AsSpan(0, length));
        return BitConverter.ToUInt32(data);
    }
}
