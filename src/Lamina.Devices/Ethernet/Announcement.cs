// The frame by which switches learn where a card is that has come to another place: a request of RARP (RFC 903), which asks everybody for the address that belongs to the card's own,
// and which nobody answers. What the guest has as its addresses is not known here, so it is no ARP.
using System.Buffers.Binary;
using Lamina.Core.Net;

namespace Lamina.Devices.Ethernet;

/// <summary>Announces cards.</summary>
internal static class Announcement
{
    // IEEE 802.3, 3.2.7: the shortest frame, without its check sequence.
    internal const int Length = 60;

    // RFC 903; IANA: Ethernet, IPv4, "request reverse".
    private const ushort EtherTypeRarp = 0x8035, HardwareEthernet = 1, ProtocolIpv4 = 0x0800, RequestReverse = 3;
    private const int AddressLength = 6, ProtocolLength = 4;

    /// <summary>Sends the frame.</summary>
    /// <param name="backend">What the card is plugged into.</param>
    /// <param name="address">The card's address, its first byte highest.</param>
    internal static void Send(INetBackend backend, ulong address)
    {
        Span<byte> frame = stackalloc byte[Length];
        frame.Clear();
        frame[..AddressLength].Fill(0xff);
        Put(frame[AddressLength..], address);
        BinaryPrimitives.WriteUInt16BigEndian(frame[12..], EtherTypeRarp);
        var packet = frame[14..];
        BinaryPrimitives.WriteUInt16BigEndian(packet, HardwareEthernet);
        BinaryPrimitives.WriteUInt16BigEndian(packet[2..], ProtocolIpv4);
        (packet[4], packet[5]) = (AddressLength, ProtocolLength);
        BinaryPrimitives.WriteUInt16BigEndian(packet[6..], RequestReverse);
        Put(packet[8..], address);
        Put(packet[(8 + AddressLength + ProtocolLength)..], address);
        backend.Send(frame, default);
        backend.Flush();
    }

    private static void Put(Span<byte> into, ulong address)
    {
        BinaryPrimitives.WriteUInt16BigEndian(into, (ushort)(address >> 32));
        BinaryPrimitives.WriteUInt32BigEndian(into[2..], (uint)address);
    }
}
