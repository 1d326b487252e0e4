// A display on a machine of its own, and a driver that goes by ports and windows as a guest does. Its registers are set as a VGA BIOS sets
// them: the values are those of the modes 3, 12h and 13h.
using System.Buffers.Binary;
using Lamina.Core.Memory;
using Lamina.Devices.Display;
using Lamina.Devices.Pci;
using Lamina.Tests.Devices.Chipset;
using Lamina.Tests.Devices.Pci;

namespace Lamina.Tests.Devices.Display;

internal sealed class VgaTestMachine : IDisposable
{
    internal const int Device = 2;
    internal const uint VideoMemory = 0xe000_0000, Registers = 0xf000_0000;

    internal VgaTestMachine(bool answers = true)
    {
        Display = Machine.Bus.Add(Device, 0, new VgaAdapter(Machine.Wires("display") with { Pin = null }, Clock, Memory));
        if (!answers) return;
        Machine.Write(Device, 0x10, VideoMemory);
        Machine.Write(Device, 0x18, Registers);
        Machine.Write(Device, PciSpec.Command, PciSpec.AnswersPorts | PciSpec.AnswersMemory, 2);
    }

    internal PciTestMachine Machine { get; } = new();

    internal ManualClock Clock { get; } = new();

    internal GuestMemory Memory { get; } = new([new MemoryRange(0, 0xa_0000), new MemoryRange(0xc_0000, 0x10_0000)]);

    internal VgaAdapter Display { get; }

    public void Dispose()
    {
        Display.Dispose();
        Memory.Dispose();
    }

    internal byte In(int port) => (byte)Machine.ReadPort((ulong)port, 1);

    internal ushort In16(int port) => (ushort)Machine.ReadPort((ulong)port, 2);

    internal void Out(int port, int value) => Machine.Ports.Write((ulong)port, [(byte)value]);

    internal void Out16(int port, int value)
    {
        var data = new byte[2];
        BinaryPrimitives.WriteUInt16LittleEndian(data, (ushort)value);
        Machine.Ports.Write((ulong)port, data);
    }

    /// <summary>Index and value by one write, as most drivers do.</summary>
    internal void Set(int port, int index, int value) => Out16(port, value << 8 | index);

    internal int Get(int port, int index)
    {
        Out(port, index);
        return In(port + 1);
    }

    internal void SetAttribute(int index, int value)
    {
        In(0x3da);
        Out(0x3c0, index);
        Out(0x3c0, value);
    }

    internal void Show()
    {
        In(0x3da);
        Out(0x3c0, 0x20);
    }

    internal void SetColour(int index, int red, int green, int blue)
    {
        Out(0x3c8, index);
        foreach (var part in (int[])[red, green, blue]) Out(0x3c9, part);
    }

    internal void SetExtension(int register, int value)
    {
        Out16(0x1ce, register);
        Out16(0x1cf, value);
    }

    internal int GetExtension(int register)
    {
        Out16(0x1ce, register);
        return In16(0x1d0);
    }

    internal byte Peek(ulong address) => (byte)Machine.ReadMemory(address);

    internal void Poke(ulong address, params byte[] data)
    {
        foreach (var value in data) Machine.Memory.Write(address++, [value]);
    }

    /// <summary>80 characters by 25, of 9 by 16 dots.</summary>
    internal void SetTextMode()
    {
        SetMode(0x67, [3, 0, 3, 0, 2],
            [0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff],
            [0, 0, 0, 0, 0, 0x10, 0x0e, 0x0f, 0xff], 0x0c, 8);
    }

    /// <summary>640 by 480, 16 colours in four planes.</summary>
    internal void SetPlanarMode()
    {
        SetMode(0xe3, [3, 1, 0xf, 0, 6],
            [0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0, 0x40, 0, 0, 0, 0, 0, 0, 0xea, 0x8c, 0xdf, 0x28, 0, 0xe7, 0x04, 0xe3, 0xff],
            [0, 0, 0, 0, 0, 0, 5, 0xf, 0xff], 1, 0);
    }

    /// <summary>320 by 200, 256 colours, a byte each.</summary>
    internal void SetByteMode()
    {
        SetMode(0x63, [3, 1, 0xf, 0, 0xe],
            [0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0, 0x41, 0, 0, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff],
            [0, 0, 0, 0, 0, 0x40, 5, 0xf, 0xff], 0x41, 0);
    }

    /// <summary>A linear picture of the extensions.</summary>
    internal void SetLinearMode(int width, int height, int depth)
    {
        SetExtension(4, 0);
        SetExtension(1, width);
        SetExtension(2, height);
        SetExtension(3, depth);
        SetExtension(4, 0x41);
    }

    private void SetMode(int misc, int[] sequencer, int[] crt, int[] graphics, int attributeMode, int panning)
    {
        Out(0x3c2, misc);
        for (var i = 0; i < sequencer.Length; i++) Set(0x3c4, i, sequencer[i]);
        Set(0x3d4, 0x11, 0);
        for (var i = 0; i < crt.Length; i++) Set(0x3d4, i, crt[i]);
        for (var i = 0; i < graphics.Length; i++) Set(0x3ce, i, graphics[i]);
        for (var i = 0; i < 16; i++) SetAttribute(i, i);
        SetAttribute(0x10, attributeMode);
        SetAttribute(0x12, 0xf);
        SetAttribute(0x13, panning);
        for (var i = 0; i < 16; i++) SetColour(i, i, i + 16, i + 32);
        Out(0x3c6, 0xff);
        Show();
    }
}
