// A guest with one virtio device on its PCI bus, and a driver that speaks the modern registers, the legacy ones, or neither rightly.
using Lamina.Core.Memory;
using Lamina.Devices.Virtio;
using Lamina.Devices.Virtio.Pci;
using Lamina.Tests.Devices.Pci;
using Xunit;

namespace Lamina.Tests.Devices.Virtio;

internal sealed class PciGuest : ITestGuest, IDisposable
{
    public const int Device = 4;
    public const ulong Window = 0x20_0000_0000, Ports = 0xc000, Table = 0xe000_0000;

    public PciGuest(Func<GuestMemory, IVirtioDevice> device, ulong ramLength = TestGuest.RamLength, bool answers = true)
    {
        Memory = new GuestMemory([new MemoryRange(TestGuest.Ram, ramLength)]);
        Function = Machine.Bus.Add(Device, 0, new VirtioPci(device(Memory), new VirtioOptions(Memory, Workers), Machine.Wires("virtio")));
        if (answers) Answer();
    }

    public PciGuest(IVirtioDevice device) : this(_ => device)
    {
    }

    public PciTestMachine Machine { get; } = new();

    public GuestMemory Memory { get; }

    public TestWorkers Workers { get; } = new();

    public VirtioPci Function { get; }

    public uint Status => Read(0x14, 1);

    /// <summary>Puts the registers where they are expected.</summary>
    public void Answer()
    {
        Machine.Write(Device, 0x10, (uint)Ports);
        Machine.Write(Device, 0x14, (uint)Table);
        Machine.Write(Device, 0x20, unchecked((uint)Window));
        Machine.Write(Device, 0x24, (uint)(Window >> 32));
        Machine.Write(Device, 4, 7, 2);
    }

    public uint Read(ulong offset, int length = 4) => Machine.ReadMemory(Window + offset, length);

    public void Write(ulong offset, uint value, int length = 4) => Machine.Memory.Write(Window + offset, BitConverter.GetBytes(value).AsSpan(0, length));

    public uint ReadLegacy(ulong offset, int length) => Machine.ReadPort(Ports + offset, length);

    public void WriteLegacy(ulong offset, uint value, int length) => Machine.Ports.Write(Ports + offset, BitConverter.GetBytes(value).AsSpan(0, length));

    /// <summary>Goes through initialization up to FEATURES_OK; the status that stands then.</summary>
    public uint Negotiate(ulong features)
    {
        Write(0x14, 0, 1);
        Write(0x14, 1, 1);
        Write(0x14, 3, 1);
        Write(0x08, 0);
        Write(0x0c, (uint)features);
        Write(0x08, 1);
        Write(0x0c, (uint)(features >> 32));
        Write(0x14, 11, 1);
        return Status;
    }

    public void PlaceQueue(uint index, uint size, ulong descriptors, ulong driver, ulong device)
    {
        Write(0x16, index, 2);
        Write(0x18, size, 2);
        Write(0x20, (uint)descriptors);
        Write(0x24, (uint)(descriptors >> 32));
        Write(0x28, (uint)driver);
        Write(0x2c, (uint)(driver >> 32));
        Machine.Memory.Write(Window + 0x30, BitConverter.GetBytes(device));
        Write(0x1c, 1, 2);
    }

    public void DriverOk() => Write(0x14, 15, 1);

    public void Notify(uint queue)
    {
        Write(0x3000 + (4ul * queue), queue, 2);
        Workers.Run();
    }

    /// <summary>Has the driver use messages: that of the configuration is 0, of each queue its index and 1.</summary>
    public void UseMessages(int queues)
    {
        for (uint vector = 0; vector <= queues; vector++)
        {
            Machine.WriteMemory(Table + (16 * vector), 0xfee0_0000);
            Machine.WriteMemory(Table + (16 * vector) + 8, 0x40 + vector);
            Machine.WriteMemory(Table + (16 * vector) + 12, 0);
        }
        SetTable(0x8000);
        Write(0x10, 0, 2);
        for (uint queue = 0; queue < queues; queue++)
        {
            Write(0x16, queue, 2);
            Write(0x1a, queue + 1, 2);
        }
    }

    public void SetTable(uint control) => Machine.Write(Device, Machine.Capability(Device, 0x11) + 2, control, 2);

    public T Load<T>(ulong address) where T : unmanaged
    {
        Assert.True(Memory.TryRead(address, out T value));
        return value;
    }

    public void Store<T>(ulong address, T value) where T : unmanaged => Assert.True(Memory.TryWrite(address, value));

    public void Dispose()
    {
        Function.Dispose();
        Memory.Dispose();
    }
}
