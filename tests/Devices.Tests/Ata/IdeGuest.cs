// A PC's IDE function with drives on it, and a driver that speaks its ports as a guest does. Work is done when the driver waits for it.
using System.Buffers.Binary;
using Lamina.Core.Interrupts;
using Lamina.Core.Memory;
using Lamina.Core.Work;
using Lamina.Devices.Ata;
using Lamina.Devices.Ata.Ide;
using Lamina.Tests.Devices.Chipset;
using Lamina.Tests.Devices.Pci;
using Lamina.Tests.Devices.Virtio;
using Xunit;

namespace Lamina.Tests.Devices.Ata;

internal sealed class IdeGuest : IDisposable
{
    internal const int Device = 1, DiskSectors = 4096;
    internal const ulong Memory = 8 << 20, Table = 0x1000, Data = 0x10_0000;
    internal const ushort Master = 0xc000;
    internal const byte Busy = 0x80, Ready = 0x40, Request = 0x08, Failed = 0x01;

    private readonly bool _ownsMemory;

    internal IdeGuest(IReadOnlyDictionary<int, AtaDrive> drives, IWorkerFactory? workers = null, GuestMemory? memory = null)
    {
        (Ram, _ownsMemory) = (memory ?? MakeMemory(), memory is null);
        Function = Machine.Bus.Add(Device, 0, new PiixIde(Machine.Wires("ide") with { Pin = null }, Lines, Ram, workers ?? Workers));
        foreach (var (place, drive) in drives) Function.Put(place, drive);
    }

    internal GuestMemory Ram { get; }

    internal static GuestMemory MakeMemory() => new([new MemoryRange(0, Memory)]);

    internal PciTestMachine Machine { get; } = new();

    internal TestWorkers Workers { get; } = new();

    internal RecordingLine[] Lines { get; } = [new(), new()];

    internal PiixIde Function { get; }

    /// <summary>Has both channels and the bus master answer, as firmware does.</summary>
    internal IdeGuest SwitchOn()
    {
        Machine.Write(Device, 0x40, 0x8000_8000);
        Machine.Write(Device, 0x20, Master);
        Machine.Write(Device, 4, 5, 2);
        return this;
    }

    internal byte In(int port) => (byte)Machine.ReadPort((ulong)port, 1);

    internal void Out(int port, int value) => Machine.Ports.Write((ulong)port, [(byte)value]);

    internal uint In32(int port) => Machine.ReadPort((ulong)port, 4);

    internal void Out32(int port, uint value) => Machine.Ports.Write((ulong)port, BitConverter.GetBytes(value));

    /// <summary>The status without acknowledging the interrupt, once the drive has done what it can.</summary>
    internal byte Wait(int channel = 0)
    {
        Workers.Run();
        return In(channel == 0 ? 0x3f6 : 0x376);
    }

    /// <summary>Writes a command of 28 bits.</summary>
    internal void Command(int opcode, ulong sector = 0, int count = 0, int features = 0, int device = 0xe0, int channel = 0)
    {
        var at = channel == 0 ? 0x1f0 : 0x170;
        Out(at + 6, device | (int)(sector >> 24));
        Out(at + 1, features);
        Out(at + 2, count);
        for (var i = 0; i < 3; i++) Out(at + 3 + i, (byte)(sector >> (8 * i)));
        Out(at + 7, opcode);
    }

    /// <summary>Writes one of 48 bits.</summary>
    internal void WideCommand(int opcode, ulong sector, int count, int device = 0xe0)
    {
        Out(0x1f6, device);
        Out(0x1f1, 0);
        Out(0x1f1, 0);
        Out(0x1f2, count >> 8);
        Out(0x1f2, (byte)count);
        for (var i = 0; i < 3; i++) Out(0x1f3 + i, (byte)(sector >> (24 + (8 * i))));
        for (var i = 0; i < 3; i++) Out(0x1f3 + i, (byte)(sector >> (8 * i)));
        Out(0x1f7, opcode);
    }

    /// <summary>Reads data by the data port, while the drive offers them.</summary>
    internal byte[] ReadData(int length, int channel = 0)
    {
        var data = new byte[length];
        for (var i = 0; i < length; i += 2)
        {
            Assert.Equal(Request | Ready, Wait(channel) & (Busy | Request | Ready | Failed));
            BinaryPrimitives.WriteUInt16LittleEndian(data.AsSpan(i), (ushort)Machine.ReadPort(channel == 0 ? 0x1f0u : 0x170u, 2));
        }
        return data;
    }

    /// <summary>Writes data by the data port, while the drive wants them.</summary>
    internal void WriteData(ReadOnlySpan<byte> data, int channel = 0)
    {
        for (var i = 0; i < data.Length; i += 2)
        {
            Assert.Equal(Request, Wait(channel) & (Busy | Request | Failed));
            Machine.Ports.Write(channel == 0 ? 0x1f0u : 0x170u, data.Slice(i, 2));
        }
    }

    /// <summary>Sends a packet.</summary>
    internal void Packet(byte[] packet, int limit = 0xfffe, bool dma = false, int channel = 1)
    {
        Command(0xa0, (ulong)limit << 8, features: dma ? 1 : 0, device: 0xa0, channel: channel);
        var whole = new byte[12];
        packet.CopyTo(whole, 0);
        WriteData(whole, channel);
    }

    /// <summary>Sends a packet and takes all that is answered, by as many blocks as the drive makes of it.</summary>
    internal byte[] Ask(byte[] packet, int limit = 0xfffe, int channel = 1)
    {
        var at = channel == 0 ? 0x1f0 : 0x170;
        Packet(packet, limit, channel: channel);
        var all = new List<byte>();
        while ((Wait(channel) & Request) != 0)
        {
            Assert.Equal(2, In(at + 2) & 3);
            var length = In(at + 4) | In(at + 5) << 8;
            Assert.InRange(length, 1, limit);
            for (var i = 0; i < length; i += 2)
            {
                var word = Machine.ReadPort((ulong)at, 2);
                all.Add((byte)word);
                if (i + 1 < length) all.Add((byte)(word >> 8));
            }
        }
        Assert.Equal(3, In(at + 2) & 3);
        return [.. all];
    }

    /// <summary>Sends a packet that is refused, and gives sense key, code and qualifier.</summary>
    internal (int Key, int Code, int Qualifier) Refused(byte[] packet)
    {
        Assert.Empty(Ask(packet));
        Assert.Equal(Failed, In(0x177) & Failed);
        var key = In(0x171) >> 4;
        var sense = Ask([3, 0, 0, 0, 18]);
        Assert.Equal(key, sense[2]);
        return (sense[2], sense[12], sense[13]);
    }

    /// <summary>Writes the bus master's table.</summary>
    internal void SetTable(params (ulong Address, int Length)[] regions)
    {
        for (var i = 0; i < regions.Length; i++)
        {
            Assert.True(Ram.TryWrite(Table + ((ulong)i * 8), (uint)regions[i].Address));
            Assert.True(Ram.TryWrite(Table + ((ulong)i * 8) + 4, (uint)regions[i].Length & 0xffff | (i == regions.Length - 1 ? 1u << 31 : 0)));
        }
    }

    /// <summary>Has the bus master begin.</summary>
    internal void StartMaster(bool toMemory, int channel = 0)
    {
        var at = Master + (8 * channel);
        Out32(at + 4, (uint)Table);
        Out(at + 2, 6);
        Out(at, toMemory ? 8 : 0);
        Out(at, toMemory ? 9 : 1);
    }

    internal byte[] Load(ulong address, int length)
    {
        var data = new byte[length];
        Assert.True(Ram.TryRead(address, data));
        return data;
    }

    internal void Store(ulong address, ReadOnlySpan<byte> data) => Assert.True(Ram.TryWrite(address, data));

    internal static TestDisk Disk(int sectors = DiskSectors, bool readOnly = false)
    {
        var disk = new TestDisk(sectors, readOnly);
        new Random(sectors).NextBytes(disk.Content);
        return disk;
    }

    public void Dispose()
    {
        Function.Dispose();
        if (_ownsMemory) Ram.Dispose();
    }
}
