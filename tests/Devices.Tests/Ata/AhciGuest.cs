// A PC with an AHCI controller on it, and a driver that fills command lists as a guest does, rightly or wrongly.
using System.Buffers.Binary;
using Lamina.Core.Memory;
using Lamina.Core.Work;
using Lamina.Devices.Ata;
using Lamina.Devices.Ata.Ahci;
using Lamina.Tests.Devices.Pci;
using Lamina.Tests.Devices.Virtio;
using Xunit;

namespace Lamina.Tests.Devices.Ata;

internal sealed class AhciGuest : IDisposable
{
    internal const int Device = 31;
    internal const ulong Memory = 8 << 20, Registers = 0xe000_0000, Lists = 0x1_0000, Tables = 0x2_0000, Data = 0x10_0000;
    internal const int IsAt = 0x10, IeAt = 0x14, CmdAt = 0x18, TfdAt = 0x20, SigAt = 0x24, SstsAt = 0x28, SctlAt = 0x2c, SerrAt = 0x30, SactAt = 0x34, CiAt = 0x38;

    private readonly bool _ownsMemory;

    internal AhciGuest(IReadOnlyDictionary<int, AtaDrive> drives, IWorkerFactory? workers = null, GuestMemory? memory = null)
    {
        (Ram, _ownsMemory) = (memory ?? IdeGuest.MakeMemory(), memory is null);
        Function = Machine.Bus.Add(Device, 0, new AhciController(Machine.Wires("ahci"), Ram, workers ?? Workers));
        foreach (var (port, drive) in drives) Function.Put(port, drive);
    }

    internal GuestMemory Ram { get; }

    internal PciTestMachine Machine { get; } = new();

    internal TestWorkers Workers { get; } = new();

    internal AhciController Function { get; }

    internal AhciGuest SwitchOn()
    {
        Machine.Write(Device, 0x24, (uint)Registers);
        Machine.Write(Device, 4, 6, 2);
        return this;
    }

    internal uint Read(int register) => Machine.ReadMemory(Registers + (ulong)register, 4);

    internal void Write(int register, uint value) => Machine.WriteMemory(Registers + (ulong)register, value);

    internal uint ReadPort(int port, int register) => Read(0x100 + (0x80 * port) + register);

    internal void WritePort(int port, int register, uint value) => Write(0x100 + (0x80 * port) + register, value);

    internal static ulong ListOf(int port) => Lists + ((ulong)port * 0x1000);

    internal static ulong FramesOf(int port) => ListOf(port) + 0x800;

    internal static ulong TableOf(int slot) => Tables + ((ulong)slot * 0x800);

    /// <summary>Gives a port its lists and lets it begin.</summary>
    internal AhciGuest StartPort(int port, bool interrupts = true)
    {
        WritePort(port, 0, (uint)ListOf(port));
        WritePort(port, 8, (uint)FramesOf(port));
        WritePort(port, SerrAt, uint.MaxValue);
        WritePort(port, IeAt, interrupts ? 0x7dc0_007fu : 0);
        WritePort(port, CmdAt, 0x10);
        WritePort(port, CmdAt, 0x11);
        if (interrupts) Write(4, 2);
        return this;
    }

    /// <summary>Fills a slot of a port.</summary>
    internal void Fill(int port, int slot, byte opcode, ulong sector = 0, int count = 0, int features = 0, int device = 0x40, bool isCommand = true, byte control = 0, byte[]? packet = null, bool writes = false, params (ulong Address, int Length)[] regions)
    {
        var frame = new byte[20];
        (frame[0], frame[1], frame[2], frame[3], frame[7], frame[11], frame[12], frame[13], frame[15]) = (0x27, isCommand ? (byte)0x80 : (byte)0, opcode, (byte)features, (byte)device, (byte)(features >> 8), (byte)count, (byte)(count >> 8), control);
        for (var i = 0; i < 3; i++) (frame[4 + i], frame[8 + i]) = ((byte)(sector >> (8 * i)), (byte)(sector >> (24 + (8 * i))));
        var table = TableOf(slot);
        Store(table, frame);
        if (packet is not null) Store(table + 0x40, [.. packet, .. new byte[16 - packet.Length]]);
        for (var i = 0; i < regions.Length; i++)
        {
            Assert.True(Ram.TryWrite(table + 0x80 + ((ulong)i * 16), regions[i].Address));
            Assert.True(Ram.TryWrite(table + 0x80 + ((ulong)i * 16) + 12, (uint)regions[i].Length - 1));
        }
        var header = ListOf(port) + ((ulong)slot * 32);
        Assert.True(Ram.TryWrite(header, 5u | (packet is null ? 0 : 1u << 5) | (writes ? 1u << 6 : 0) | (uint)regions.Length << 16));
        Assert.True(Ram.TryWrite(header + 4, 0u));
        Assert.True(Ram.TryWrite(header + 8, table));
    }

    internal void Issue(int port, uint slots)
    {
        WritePort(port, CiAt, slots);
        Workers.Run();
    }

    internal byte[] Load(ulong address, int length)
    {
        var data = new byte[length];
        Assert.True(Ram.TryRead(address, data));
        return data;
    }

    internal void Store(ulong address, ReadOnlySpan<byte> data) => Assert.True(Ram.TryWrite(address, data));

    internal uint Moved(int port, int slot) => BinaryPrimitives.ReadUInt32LittleEndian(Load(ListOf(port) + ((ulong)slot * 32) + 4, 4));

    public void Dispose()
    {
        Function.Dispose();
        if (_ownsMemory) Ram.Dispose();
    }
}
