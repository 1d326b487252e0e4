// The Internet check sum (RFC 1071): the ones' complement of the ones' complement sum of 16-bit words.
using System.Buffers.Binary;

namespace Lamina.Backends.Net.Wire;

/// <summary>Sums bytes as TCP, UDP, ICMP and IPv4 do.</summary>
internal static class Checksum
{
    /// <summary>Adds bytes to a sum that is not yet folded; an odd one at the end counts as the high half of a word.</summary>
    internal static ulong Add(ulong sum, ReadOnlySpan<byte> bytes)
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

    /// <summary>The sum of a pseudo header: addresses, protocol and length (RFC 9293, 3.1; RFC 8200, 8.1).</summary>
    internal static ulong Pseudo(IpAddr from, IpAddr to, byte protocol, int length)
    {
        Span<byte> addresses = stackalloc byte[32];
        var half = from.Length;
        from.Write(addresses);
        to.Write(addresses[half..]);
        return Add((ulong)length + protocol, addresses[..(half * 2)]);
    }

    /// <summary>Folds a sum into 16 bits.</summary>
    internal static ushort Fold(ulong sum)
    {
        while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
        return (ushort)sum;
    }

    /// <summary>What is written into the header.</summary>
    internal static ushort Finish(ulong sum) => (ushort)~Fold(sum);

    /// <summary>Whether bytes that contain their check sum are as they were sent.</summary>
    internal static bool IsRight(ulong start, ReadOnlySpan<byte> bytes) => Fold(Add(start, bytes)) == 0xffff;
}
