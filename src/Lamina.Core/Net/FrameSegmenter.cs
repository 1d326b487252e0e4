// Cuts a long frame of TCP or UDP into frames that a network takes, each with the headers of the whole: what a card does for its driver
// where what it is plugged into does not. RFC 9293, 3.1; RFC 791, 3.1.
using System.Buffers.Binary;

namespace Lamina.Core.Net;

/// <summary>Takes a frame, which is copied or used before it returns.</summary>
public delegate void FrameSink(ReadOnlySpan<byte> frame);

/// <summary>Cuts frames.</summary>
public static class FrameSegmenter
{
    private const byte Finish = 0x01, Push = 0x08, WindowReduced = 0x80;

    /// <summary>Whether a frame can be cut behind its headers.</summary>
    /// <param name="headers">Where its headers lie, were its IP packet to end with the frame.</param>
    /// <param name="headerLength">The length of what each frame repeats.</param>
    /// <param name="frameLength">The length of the whole.</param>
    public static bool CanCut(in PacketHeaders headers, int headerLength, int frameLength) =>
        headers.HasPorts && headerLength >= headers.Transport + (headers.Protocol == PacketHeaders.Tcp ? 20 : 8) && headerLength <= frameLength;

    /// <summary>Writes lengths for the whole into a frame's headers, as far as its IP packet can say them, so that they can be read.</summary>
    /// <param name="frame">Changed.</param>
    /// <param name="network">Where its IP header begins.</param>
    public static void PutLength(Span<byte> frame, int network)
    {
        if (frame.Length < network + 6) return;
        var isIpv4 = frame[network] >> 4 == 4;
        BinaryPrimitives.WriteUInt16BigEndian(frame[(network + (isIpv4 ? 2 : 4))..], (ushort)Math.Min(ushort.MaxValue, frame.Length - network - (isIpv4 ? 0 : 40)));
    }

    /// <summary>Writes the sum of an IPv4 header.</summary>
    /// <param name="frame">Changed.</param>
    /// <param name="network">Where the header begins.</param>
    public static void PutNetworkSum(Span<byte> frame, int network)
    {
        var header = frame.Slice(network, Math.Min((frame[network] & 15) * 4, frame.Length - network));
        if (header.Length < 12) return;
        BinaryPrimitives.WriteUInt16BigEndian(header[10..], 0);
        BinaryPrimitives.WriteUInt16BigEndian(header[10..], InternetChecksum.Finish(InternetChecksum.Add(0, header)));
    }

    /// <summary>Cuts a frame; each of those that come of it is whole and has its sums.</summary>
    /// <param name="frame">The frame, which <see cref="CanCut"/> allows.</param>
    /// <param name="headers">Where its headers lie.</param>
    /// <param name="headerLength">The length of what each frame repeats.</param>
    /// <param name="segmentSize">The most bytes behind it, at least 1.</param>
    /// <param name="into">Room for the longest of them.</param>
    /// <param name="sink">Takes them.</param>
    public static void Cut(ReadOnlySpan<byte> frame, in PacketHeaders headers, int headerLength, int segmentSize, Span<byte> into, FrameSink sink)
    {
        ArgumentNullException.ThrowIfNull(sink);
        frame[..headerLength].CopyTo(into);
        var (network, transport, isTcp) = (headers.Network, headers.Transport, headers.Protocol == PacketHeaders.Tcp);
        var identification = headers.IsIpv4 ? BinaryPrimitives.ReadUInt16BigEndian(frame[(network + 4)..]) : (ushort)0;
        var sequence = isTcp ? BinaryPrimitives.ReadUInt32BigEndian(frame[(transport + 4)..]) : 0;
        var flags = isTcp ? frame[transport + 13] : (byte)0;
        for (var done = headerLength; done == headerLength || done < frame.Length;)
        {
            var count = Math.Min(segmentSize, frame.Length - done);
            var (isFirst, isLast) = (done == headerLength, done + count == frame.Length);
            var segment = into[..(headerLength + count)];
            frame.Slice(done, count).CopyTo(segment[headerLength..]);
            PutLength(segment, network);
            if (headers.IsIpv4)
            {
                BinaryPrimitives.WriteUInt16BigEndian(segment[(network + 4)..], identification++);
                PutNetworkSum(segment, network);
            }
            if (isTcp)
            {
                BinaryPrimitives.WriteUInt32BigEndian(segment[(transport + 4)..], sequence);
                // The last one alone ends what it is a part of; the first one alone tells of congestion (RFC 3168, 6.1.2).
                segment[transport + 13] = (byte)(flags & ~((isLast ? 0 : Finish | Push) | (isFirst ? 0 : WindowReduced)));
                sequence += (uint)count;
            }
            else
            {
                BinaryPrimitives.WriteUInt16BigEndian(segment[(transport + 4)..], (ushort)(segment.Length - transport));
            }
            BinaryPrimitives.WriteUInt16BigEndian(segment[headers.ChecksumAt..], 0);
            var sum = InternetChecksum.Finish(InternetChecksum.Add(headers.PseudoSum(segment, segment.Length - transport), segment[transport..]));
            // RFC 768: a sum of 0 means that there is none.
            BinaryPrimitives.WriteUInt16BigEndian(segment[headers.ChecksumAt..], sum == 0 && !isTcp ? ushort.MaxValue : sum);
            sink(segment);
            if (count == 0) return;
            done += count;
        }
    }
}
