// A driver of a gigabit card that goes by its manual, and a machine for it.
using System.Buffers.Binary;
using Lamina.Core.Limits;
using Lamina.Core.Memory;
using Lamina.Core.Net;
using Lamina.Devices.Ethernet;
using Lamina.Tests.Devices.Chipset;
using Lamina.Tests.Devices.Pci;
using Lamina.Tests.Devices.Virtio;

namespace Lamina.Tests.Devices.Ethernet;

internal sealed class E1000Guest : IDisposable
{
    internal const int Device = 3, Entries = 8;
    internal const ulong Registers = 0xe000_0000, Messages = 0xe010_0000, TransmitRing = 0x10000, ReceiveRing = 0x20000, SecondReceiveRing = 0x30000, Buffers = 0x100000, Data = 0x200000;
    internal const uint Ports = 0xc000, BufferLength = 0x4000;
    internal static readonly byte[] Mac = [0x02, 0x4c, 0x41, 0, 0, 7];

    private int _tail;

    internal E1000Guest(E1000Model model, NetOffloads offloads = NetOffloads.Checksum | NetOffloads.Tcp4Segmentation | NetOffloads.Tcp6Segmentation, FlowLimit? limit = null)
    {
        Model = model;
        Net = new TestNet { Offloads = offloads };
        var options = new E1000Options(model, Mac);
        if (limit is { } known) options = options with { Sending = new FlowGate(Clock, known), Receiving = new FlowGate(Clock, known) };
        Card = new E1000Card(Pci.Wires("card"), Net, options, Memory, Workers, Clock);
        Pci.Bus.Add(Device, 0, Card);
        Connect();
    }

    internal E1000Model Model { get; }

    internal GuestMemory Memory { get; } = new([new MemoryRange(0, 8 << 20)]);

    internal PciTestMachine Pci { get; } = new();

    internal TestWorkers Workers { get; } = new();

    internal ManualClock Clock { get; } = new();

    internal TestNet Net { get; }

    internal E1000Card Card { get; }

    public void Dispose()
    {
        Card.Dispose();
        Memory.Dispose();
    }

    internal void Connect()
    {
        Pci.Write(Device, 0x10, (uint)Registers);
        Pci.Write(Device, 0x18, Ports);
        if (Model == E1000Model.E1000e) Pci.Write(Device, 0x1c, (uint)Messages);
        Pci.Write(Device, 4, 7, 2);
    }

    internal uint Read(int register) => Pci.ReadMemory(Registers + (ulong)register, 4);

    internal void Write(int register, uint value) => Pci.WriteMemory(Registers + (ulong)register, value);

    /// <summary>As a driver begins: rings of eight descriptors, the last of which is the guest's, and long frames with their check sequence stripped.</summary>
    internal E1000Guest Started(uint receiveControl = 1 << 1 | 1 << 15 | 1 << 26)
    {
        Write(0x3800, (uint)TransmitRing);
        Write(0x3808, Entries * 16);
        Write(0x400, 1 << 1);
        Write(0x2800, (uint)ReceiveRing);
        Write(0x2808, Entries * 16);
        for (var i = 0; i < Entries; i++)
        {
            Memory.TryWrite(ReceiveRing + (ulong)(i * 16), Buffers + (ulong)(i * BufferLength));
            Memory.TryWrite(ReceiveRing + (ulong)(i * 16) + 8, 0ul);
        }
        Write(0x2818, Entries - 1);
        Write(0x100, receiveControl);
        return this;
    }

    /// <summary>Puts a descriptor of a frame to be sent into the ring, and its bytes to memory.</summary>
    internal void Queue(ReadOnlySpan<byte> bytes, uint command, uint options = 0, int? length = null)
    {
        var at = Data + (ulong)(_tail * 0x10000);
        Memory.TryWrite(at, bytes);
        QueueRaw(at, (uint)(length ?? bytes.Length) | command, options);
    }

    internal void QueueRaw(ulong low, uint third, uint fourth)
    {
        var at = TransmitRing + (ulong)(_tail * 16);
        Memory.TryWrite(at, low);
        Memory.TryWrite(at + 8, third);
        Memory.TryWrite(at + 12, fourth);
        _tail = (_tail + 1) % Entries;
    }

    /// <summary>A context: places of sums, and for segments how long headers and segments are.</summary>
    internal void QueueContext(byte network, byte networkSum, ushort networkEnd, byte transport, byte transportSum, int headers = 0, int segment = 0, uint command = 0) => QueueRaw(
        network | (ulong)networkSum << 8 | (ulong)networkEnd << 16 | (ulong)transport << 32 | (ulong)transportSum << 40,
        1 << 29 | command, (uint)headers << 8 | (uint)segment << 16);

    internal void Ring()
    {
        Write(0x3818, (uint)_tail);
        Workers.Run();
    }

    internal byte[] Bytes(ulong address, int length)
    {
        var bytes = new byte[length];
        Memory.TryRead(address, bytes);
        return bytes;
    }

    /// <summary>A legacy descriptor of what was received: its buffer's bytes, its status, its errors, its tag.</summary>
    internal (byte[] Bytes, byte Status, byte Errors, ushort Tag, ushort Sum) Received(int index)
    {
        var descriptor = Bytes(ReceiveRing + (ulong)(index * 16), 16);
        var length = BinaryPrimitives.ReadUInt16LittleEndian(descriptor.AsSpan(8));
        return (Bytes(BinaryPrimitives.ReadUInt64LittleEndian(descriptor), length), descriptor[12], descriptor[13], BinaryPrimitives.ReadUInt16LittleEndian(descriptor.AsSpan(14)), BinaryPrimitives.ReadUInt16LittleEndian(descriptor.AsSpan(10)));
    }

    internal bool Receive(ReadOnlySpan<byte> frame, bool sumsAreRight = false) => Net.Receiver.Receive(frame, new FrameOffload { ChecksumIsValid = sumsAreRight });

    internal ushort Phy(int register)
    {
        Write(0x20, 2u << 26 | 1 << 21 | (uint)register << 16);
        return (ushort)Read(0x20);
    }

    internal void Phy(int register, ushort value) => Write(0x20, 1u << 26 | 1 << 21 | (uint)register << 16 | value);

    internal ushort Word(int address)
    {
        var large = Model == E1000Model.E1000e;
        Write(0x14, 1 | (uint)address << (large ? 2 : 8));
        var read = Read(0x14);
        return (read & (large ? 2u : 0x10u)) != 0 ? (ushort)(read >> 16) : throw new InvalidOperationException("a word is not read");
    }

    /// <summary>Turns on the messages of its table, each with a number of its own from 0x40 on.</summary>
    internal void EnableTable()
    {
        for (var vector = 0; vector < 5; vector++)
        {
            Pci.WriteMemory(Messages + (ulong)(vector * 16), 0xfee0_0000);
            Pci.WriteMemory(Messages + (ulong)(vector * 16) + 8, (uint)(0x40 + vector));
            Pci.WriteMemory(Messages + (ulong)(vector * 16) + 12, 0);
        }
        Pci.Write(Device, Pci.Capability(Device, 0x11) + 2, 0x8000, 2);
    }
}

/// <summary>Frames with headers, and sums as a program makes them that has all the time.</summary>
internal static class TestFrames
{
    /// <summary>A frame of TCP or UDP for the card.</summary>
    internal static byte[] Of(int payload, bool v6 = false, bool udp = false, bool sums = true, ushort? tag = null, byte flags = 0x18, byte[]? to = null)
    {
        int network = 14 + (tag is null ? 0 : 4), ip = v6 ? 40 : 20, transport = network + ip, header = udp ? 8 : 20;
        var frame = new byte[transport + header + payload];
        (to ?? E1000Guest.Mac).CopyTo(frame, 0);
        frame[6] = 2;
        var type = frame.AsSpan(12);
        if (tag is { } vlan)
        {
            BinaryPrimitives.WriteUInt16BigEndian(type, 0x8100);
            BinaryPrimitives.WriteUInt16BigEndian(type[2..], vlan);
            type = type[4..];
        }
        BinaryPrimitives.WriteUInt16BigEndian(type, (ushort)(v6 ? 0x86dd : 0x0800));
        var of = frame.AsSpan(network);
        of[0] = (byte)(v6 ? 0x60 : 0x45);
        BinaryPrimitives.WriteUInt16BigEndian(of[(v6 ? 4 : 2)..], (ushort)(frame.Length - network - (v6 ? 40 : 0)));
        (of[v6 ? 6 : 9], of[v6 ? 7 : 8]) = ((byte)(udp ? 17 : 6), 64);
        if (!v6) BinaryPrimitives.WriteUInt16BigEndian(of[4..], 0x1234);
        for (var i = v6 ? 8 : 12; i < ip; i++) of[i] = (byte)(i * 3);
        var inner = frame.AsSpan(transport);
        (inner[1], inner[3]) = (7, 9);
        if (udp)
        {
            BinaryPrimitives.WriteUInt16BigEndian(inner[4..], (ushort)(8 + payload));
        }
        else
        {
            BinaryPrimitives.WriteUInt32BigEndian(inner[4..], 1000);
            (inner[12], inner[13]) = (0x50, flags);
        }
        for (var i = transport + header; i < frame.Length; i++) frame[i] = (byte)(i * 7 + (i >> 8));
        if (sums) PutSums(frame, network);
        return frame;
    }

    /// <summary>Writes the sums of a frame's headers, a word at a time.</summary>
    internal static void PutSums(Span<byte> frame, int network)
    {
        var v6 = frame[network] == 0x60;
        var transport = network + (v6 ? 40 : 20);
        if (!v6)
        {
            frame.Slice(network + 10, 2).Clear();
            BinaryPrimitives.WriteUInt16BigEndian(frame[(network + 10)..], Sum(frame[network..transport], 0));
        }
        var protocol = frame[network + (v6 ? 6 : 9)];
        var at = transport + (protocol == 6 ? 16 : 6);
        frame.Slice(at, 2).Clear();
        var pseudo = (uint)(protocol + frame.Length - transport);
        foreach (var word in Words(frame[(network + (v6 ? 8 : 12))..transport])) pseudo += word;
        BinaryPrimitives.WriteUInt16BigEndian(frame[at..], Sum(frame[transport..], pseudo));
    }

    private static ushort Sum(ReadOnlySpan<byte> bytes, uint sum)
    {
        foreach (var word in Words(bytes)) sum += word;
        while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
        return (ushort)~sum;
    }

    private static List<ushort> Words(ReadOnlySpan<byte> bytes)
    {
        var words = new List<ushort>();
        for (var i = 0; i < bytes.Length; i += 2) words.Add((ushort)(bytes[i] << 8 | (i + 1 < bytes.Length ? bytes[i + 1] : 0)));
        return words;
    }
}
