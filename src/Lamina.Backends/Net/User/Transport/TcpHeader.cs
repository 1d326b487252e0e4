// The header of a segment to the guest. RFC 9293, 3.1.
using System.Buffers.Binary;
using Lamina.Backends.Net.Wire;

namespace Lamina.Backends.Net.User.Transport;

/// <summary>Writes headers.</summary>
internal static class TcpHeader
{
    /// <summary>Writes a header with a window of 0; sum and options are left out.</summary>
    internal static void Write(Span<byte> segment, in FlowKey key, uint sequence, uint acknowledgement, byte flags, int length)
    {
        BinaryPrimitives.WriteUInt16BigEndian(segment, key.PeerPort);
        BinaryPrimitives.WriteUInt16BigEndian(segment[2..], key.GuestPort);
        BinaryPrimitives.WriteUInt32BigEndian(segment[4..], sequence);
        BinaryPrimitives.WriteUInt32BigEndian(segment[8..], acknowledgement);
        (segment[12], segment[13]) = ((byte)(length / 4 << 4), flags);
        segment.Slice(14, 6).Clear();
    }
}
