// A packet of the guest's whose IP header was read and believed: addresses, protocol and what is inside.
using Lamina.Backends.Net.Wire;
using Lamina.Core.Net;

namespace Lamina.Backends.Net.User;

/// <summary>A whole packet; fragments were put together before.</summary>
internal ref struct IpPacket
{
    internal IpAddr Source;

    internal IpAddr Destination;

    internal byte Protocol;

    /// <summary>TTL or hop limit.</summary>
    internal byte HopLimit;

    /// <summary>What is behind IP's headers.</summary>
    internal ReadOnlySpan<byte> Payload;

    /// <summary>The packet from its IP header on, for error messages; cut where it was put together.</summary>
    internal ReadOnlySpan<byte> Original;

    /// <summary>Whether the transport's check sum was left undone or checked by the sender's side.</summary>
    internal bool ChecksumIsTrusted;

    /// <summary>Whether the transport's check sum, with the pseudo header, is right.</summary>
    internal readonly bool HasRightChecksum =>
        ChecksumIsTrusted || InternetChecksum.IsRight(Checksum.Pseudo(Source, Destination, Protocol, Payload.Length), Payload);
}
