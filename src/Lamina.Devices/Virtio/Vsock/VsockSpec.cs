// Constants of the virtio socket device. virtio 1.2, 5.10.
using System.Buffers.Binary;

namespace Lamina.Devices.Virtio.Vsock;

internal static class VsockSpec
{
    // 5.10.2
    internal const int ReceiveQueue = 0, TransmitQueue = 1, EventQueue = 2;
    internal const ushort QueueSize = 256;

    // 5.10.4
    internal const int ConfigLength = 8;
    internal const uint HostCid = 2;

    // 5.10.6
    internal const int HeaderLength = 44;
    internal const ushort TypeStream = 1;

    // 5.10.6.6.1: hints of a shutdown.
    internal const uint ShutdownReceive = 1, ShutdownSend = 2;

    // 5.10.6.7: struct virtio_vsock_event is the number of an event; VIRTIO_VSOCK_EVENT_TRANSPORT_RESET.
    internal const int EventLength = 4;
    internal const uint EventTransportReset = 0;

    // What the guest may send on a connection before the host's end takes any of it.
    internal const uint BufferLength = 256 * 1024;

    internal const int MostConnections = 1024, MostResets = 1024, PacketsAtOnce = 64, LongestPayload = 64 * 1024;

    // Ports of host's ends that asked for a connection themselves.
    internal const uint FirstHostPort = 1 << 30;
}

/// <summary>What a packet is. virtio 1.2, 5.10.6.</summary>
internal enum VsockOperation : ushort
{
    Request = 1,
    Response = 2,
    Reset = 3,
    Shutdown = 4,
    Data = 5,
    CreditUpdate = 6,
    CreditRequest = 7,
}

/// <summary>The header of a packet. virtio 1.2, 5.10.6.</summary>
internal readonly record struct VsockHeader(ulong Source, ulong Destination, uint SourcePort, uint DestinationPort, uint Length, ushort Type, VsockOperation Operation, uint Flags, uint Buffer, uint Forwarded)
{
    internal static VsockHeader Read(ReadOnlySpan<byte> from) => new(
        BinaryPrimitives.ReadUInt64LittleEndian(from), BinaryPrimitives.ReadUInt64LittleEndian(from[8..]),
        Word(from, 16), Word(from, 20), Word(from, 24),
        BinaryPrimitives.ReadUInt16LittleEndian(from[28..]), (VsockOperation)BinaryPrimitives.ReadUInt16LittleEndian(from[30..]),
        Word(from, 32), Word(from, 36), Word(from, 40));

    internal void Write(Span<byte> to)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(to, Source);
        BinaryPrimitives.WriteUInt64LittleEndian(to[8..], Destination);
        Put(to, 16, SourcePort);
        Put(to, 20, DestinationPort);
        Put(to, 24, Length);
        BinaryPrimitives.WriteUInt16LittleEndian(to[28..], Type);
        BinaryPrimitives.WriteUInt16LittleEndian(to[30..], (ushort)Operation);
        Put(to, 32, Flags);
        Put(to, 36, Buffer);
        Put(to, 40, Forwarded);
    }

    private static uint Word(ReadOnlySpan<byte> from, int at) => BinaryPrimitives.ReadUInt32LittleEndian(from[at..]);

    private static void Put(Span<byte> to, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(to[at..], value);
}
