// A PC's floppy controller with its DMA controller, and a driver that speaks their ports.
using Lamina.Core.Bus;
using Lamina.Core.Memory;
using Lamina.Devices.Chipset;
using Lamina.Devices.Floppy;
using Lamina.Tests.Devices.Ata;
using Lamina.Tests.Devices.Chipset;
using Lamina.Tests.Devices.Virtio;
using Xunit;

namespace Lamina.Tests.Devices.Floppy;

internal sealed class FloppyGuest : IDisposable
{
    internal const int Sectors = 1440;
    internal const uint Data = 0x2_0000;

    private readonly bool _ownsMemory;

    internal FloppyGuest(TestDisk disk, GuestMemory? memory = null)
    {
        (Ram, _ownsMemory) = (memory ?? IdeGuest.MakeMemory(), memory is null);
        Drive = new FloppyDrive(disk);
        Controller = new FloppyController(Line, Dma, Ram, Workers);
        Controller.Put(0, Drive);
        Dma.MapPorts(Ports);
        Controller.MapPorts(Ports);
    }

    internal Bus Ports { get; } = new("port", last: 0xffff);

    internal GuestMemory Ram { get; }

    internal RecordingLine Line { get; } = new();

    internal TestWorkers Workers { get; } = new();

    internal Dma8237 Dma { get; } = new();

    internal FloppyDrive Drive { get; }

    internal FloppyController Controller { get; }

    internal byte In(int port)
    {
        Span<byte> data = stackalloc byte[1];
        Ports.Read((ulong)port, data);
        return data[0];
    }

    internal void Out(int port, int value) => Ports.Write((ulong)port, [(byte)value]);

    /// <summary>Takes the controller out of its reset, at a data rate, and its interrupts away.</summary>
    internal FloppyGuest Start(int rate = 2)
    {
        Out(0x3f2, 0);
        Out(0x3f2, 0x1c);
        Out(0x3f7, rate);
        for (var unit = 0; unit < 4; unit++) Assert.Equal([0xc0 | unit, 0], Ask(0x08).Select(part => (int)part));
        return this;
    }

    /// <summary>Writes a command, and reads its result.</summary>
    internal byte[] Ask(params byte[] command)
    {
        foreach (var part in command)
        {
            Assert.Equal(0x80, In(0x3f4) & 0xc0);
            Out(0x3f5, part);
        }
        Workers.Run();
        var result = new List<byte>();
        while ((In(0x3f4) & 0xc0) == 0xc0) result.Add(In(0x3f5));
        return [.. result];
    }

    /// <summary>Prepares channel 2.</summary>
    internal void SetDma(uint address, int length, bool toMemory, int mode = 0x40)
    {
        Out(0x0a, 6);
        Out(0x0c, 0);
        Out(0x0b, mode | (toMemory ? 4 : 8) | 2);
        Out(0x04, (byte)address);
        Out(0x04, (byte)(address >> 8));
        Out(0x81, (byte)(address >> 16));
        Out(0x05, (byte)(length - 1));
        Out(0x05, (byte)((length - 1) >> 8));
        Out(0x0a, 2);
    }

    internal byte[] Load(ulong address, int length)
    {
        var data = new byte[length];
        Assert.True(Ram.TryRead(address, data));
        return data;
    }

    public void Dispose()
    {
        Controller.Dispose();
        if (_ownsMemory) Ram.Dispose();
    }
}
