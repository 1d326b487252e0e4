// A segment of the guest's, read (RFC 9293, 3.1 and 3.2; RFC 7323, 2; RFC 2018). Options that are malformed end the reading of
// options, as they do elsewhere; a header that does not fit makes the segment none.
using System.Buffers.Binary;
using Lamina.Backends.Net.Wire;

namespace Lamina.Backends.Net.User.Transport;

/// <summary>A segment.</summary>
internal ref struct TcpSegment
{
    internal ushort SourcePort, DestinationPort;

    internal uint Sequence, Acknowledgement;

    internal byte Flags;

    internal ushort Window;

    /// <summary>The maximum segment size it tells, or 0.</summary>
    internal ushort Mss;

    /// <summary>The window scale it tells, or null.</summary>
    internal int? WindowScale;

    /// <summary>Whether selective acknowledgements are permitted. RFC 2018, 2.</summary>
    internal bool SackPermitted;

    /// <summary>The blocks of a selective acknowledgement, 8 bytes each. RFC 2018, 3.</summary>
    internal ReadOnlySpan<byte> SackBlocks;

    internal ReadOnlySpan<byte> Payload;

    /// <summary>How much of the sequence it takes.</summary>
    internal readonly uint Length => (uint)Payload.Length + (Has(Tcp.Syn) ? 1u : 0) + (Has(Tcp.Fin) ? 1u : 0);

    internal readonly bool Has(byte flag) => (Flags & flag) != 0;

    /// <summary>Reads a segment.</summary>
    internal static bool TryRead(ReadOnlySpan<byte> bytes, out TcpSegment segment)
    {
        segment = default;
        if (bytes.Length < Tcp.HeaderLength) return false;
        var header = (bytes[12] >> 4) * 4;
        if (header < Tcp.HeaderLength || header > bytes.Length) return false;
        segment.SourcePort = BinaryPrimitives.ReadUInt16BigEndian(bytes);
        segment.DestinationPort = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
        segment.Sequence = BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]);
        segment.Acknowledgement = BinaryPrimitives.ReadUInt32BigEndian(bytes[8..]);
        segment.Flags = bytes[13];
        segment.Window = BinaryPrimitives.ReadUInt16BigEndian(bytes[14..]);
        segment.Payload = bytes[header..];
        segment.ReadOptions(bytes[Tcp.HeaderLength..header]);
        return segment.SourcePort != 0 && segment.DestinationPort != 0;
    }

    private void ReadOptions(ReadOnlySpan<byte> options)
    {
        while (options.Length >= 2 && options[0] != Tcp.OptionEnd)
        {
            if (options[0] == Tcp.OptionNop)
            {
                options = options[1..];
                continue;
            }
            var length = options[1];
            if (length < 2 || length > options.Length) return;
            if (options[0] == Tcp.OptionMss && length == 4) Mss = BinaryPrimitives.ReadUInt16BigEndian(options[2..]);
            if (options[0] == Tcp.OptionWindowScale && length == 3) WindowScale = Math.Min((int)options[2], Tcp.MostWindowScale);
            if (options[0] == Tcp.OptionSackPermitted && length == 2) SackPermitted = true;
            if (options[0] == Tcp.OptionSack) SackBlocks = options[2..length];
            options = options[length..];
        }
    }
}

/// <summary>Sequence numbers, which wrap around. RFC 9293, 3.4.</summary>
internal static class SequenceNumber
{
    internal static bool IsBefore(uint a, uint b) => (int)(a - b) < 0;

    internal static bool IsAtMost(uint a, uint b) => (int)(a - b) <= 0;

    internal static uint Later(uint a, uint b) => IsBefore(a, b) ? b : a;
}
