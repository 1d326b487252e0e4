// Which pair of queues a received frame goes to (virtio 1.2, 5.1.6.5.5): frames of one flow always to the same, so that
// they stay in order. Reads no further than the frame goes, whatever its headers say.
using System.Buffers.Binary;

namespace Lamina.Devices.Virtio.Net;

/// <summary>Looks at frames for the card's own purposes.</summary>
internal static class NetSteering
{
    /// <summary>The VLAN of a tagged frame (IEEE 802.1Q, 9.6), else null. A tag with priority only is none.</summary>
    internal static int? VlanOf(ReadOnlySpan<byte> frame)
    {
        if (frame.Length < NetSpec.EthernetHeader + NetSpec.VlanTag || BinaryPrimitives.ReadUInt16BigEndian(frame[12..]) != NetSpec.EtherTypeVlan) return null;
        var id = BinaryPrimitives.ReadUInt16BigEndian(frame[14..]) & 0xfff;
        return id == 0 ? null : id;
    }

    /// <summary>Chooses one of so many pairs by addresses and ports.</summary>
    internal static int Choose(ReadOnlySpan<byte> frame, int pairs)
    {
        var type = BinaryPrimitives.ReadUInt16BigEndian(frame[12..]);
        var packet = frame[NetSpec.EthernetHeader..];
        uint hash = 0;
        if (type == NetSpec.EtherTypeIp4 && packet.Length >= 20)
        {
            hash = Fold(packet.Slice(12, 8));
            var header = (packet[0] & 15) * 4;
            // A fragment has no ports, except the first; all of a packet's go the same way.
            var isFragment = (BinaryPrimitives.ReadUInt16BigEndian(packet[6..]) & 0x3fff) != 0;
            if (packet[9] is 6 or 17 && !isFragment && packet.Length >= header + 4) hash ^= Fold(packet.Slice(header, 4));
        }
        else if (type == NetSpec.EtherTypeIp6 && packet.Length >= 40)
        {
            hash = Fold(packet.Slice(8, 32));
            if (packet[6] is 6 or 17 && packet.Length >= 44) hash ^= Fold(packet.Slice(40, 4));
        }
        return (int)((ulong)(hash * 0x9e37_79b1u) * (uint)pairs >> 32);
    }

    private static uint Fold(ReadOnlySpan<byte> bytes)
    {
        uint sum = 0;
        for (var i = 0; i < bytes.Length; i += 4) sum = uint.RotateLeft(sum, 5) ^ BinaryPrimitives.ReadUInt32LittleEndian(bytes[i..]);
        return sum;
    }
}
