// The part of a check sum that is of addresses.
using Lamina.Core.Net;

namespace Lamina.Backends.Net.Wire;

/// <summary>Sums pseudo headers.</summary>
internal static class Checksum
{
    /// <summary>The sum of a pseudo header: addresses, protocol and length (RFC 9293, 3.1; RFC 8200, 8.1).</summary>
    internal static ulong Pseudo(IpAddr from, IpAddr to, byte protocol, int length)
    {
        Span<byte> addresses = stackalloc byte[32];
        var half = from.Length;
        from.Write(addresses);
        to.Write(addresses[half..]);
        return InternetChecksum.Add((ulong)length + protocol, addresses[..(half * 2)]);
    }
}
