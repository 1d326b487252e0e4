// The Internet check sum (RFC 1071): the ones' complement of the ones' complement sum of 16-bit words.
using System.Buffers.Binary;

namespace Lamina.Core.Net;

/// <summary>Sums bytes as TCP, UDP, ICMP and IPv4 do.</summary>
public static class InternetChecksum
{
    /// <summary>Adds bytes to a sum that is not yet folded; an odd one at the end counts as the high half of a word.</summary>
    public static ulong Add(ulong sum, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length >= 8)
        {
            var words = BinaryPrimitives.ReadUInt64BigEndian(bytes);
            sum += (words >> 32) + (uint)words;
            bytes = bytes[8..];
        }
        while (bytes.Length >= 2)
        {
            sum += BinaryPrimitives.ReadUInt16BigEndian(bytes);
            bytes = bytes[2..];
        }
        return bytes.IsEmpty ? sum : sum + (ulong)(bytes[0] << 8);
    }

    /// <summary>Folds a sum into 16 bits.</summary>
    public static ushort Fold(ulong sum)
    {
        while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
        return (ushort)sum;
    }

    /// <summary>What is written into the header.</summary>
    public static ushort Finish(ulong sum) => (ushort)~Fold(sum);

    /// <summary>Whether bytes that contain their check sum are as they were sent.</summary>
    public static bool IsRight(ulong start, ReadOnlySpan<byte> bytes) => Fold(Add(start, bytes)) == 0xffff;
}
