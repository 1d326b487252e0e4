// How a machine's frames travel through a switch (IEEE 802.1Q): an access port of one VLAN, whose machine knows nothing of
// tags; a port of the untagged network; or a trunk, whose machine sees all tags. What does not belong there is dropped.
using System.Buffers.Binary;
using Lamina.Backends.Net.Wire;

namespace Lamina.Backends.Net.Switch;

/// <summary>Which network of a switch a machine is on.</summary>
/// <param name="Id">The VLAN, 1 to 4094; 0: frames without a tag; null: every frame as it is.</param>
public readonly record struct VlanMembership(int? Id)
{
    /// <summary>Frames without a tag.</summary>
    public static readonly VlanMembership Untagged = new(0);

    /// <summary>Every frame as it is.</summary>
    public static readonly VlanMembership Trunk = new(null);
}

/// <summary>Puts tags on and takes them off.</summary>
internal sealed class VlanPort(VlanMembership membership)
{
    private const int AddressesLength = 2 * Ethernet.MacLength;

    private readonly byte[] _buffer = new byte[Ethernet.LongestFrame];

    /// <summary>A frame's VLAN; 0 where it has no tag, or one with a priority only.</summary>
    internal static int IdOf(ReadOnlySpan<byte> frame) =>
        frame.Length >= Ethernet.HeaderLength + Ethernet.VlanTagLength && BinaryPrimitives.ReadUInt16BigEndian(frame[Ethernet.TypeAt..]) == Ethernet.Vlan
            ? BinaryPrimitives.ReadUInt16BigEndian(frame[Ethernet.HeaderLength..]) & 0xfff
            : 0;

    /// <summary>A frame of the machine's as it travels; empty where it may not. Valid until the next call.</summary>
    internal ReadOnlySpan<byte> Outbound(ReadOnlySpan<byte> frame)
    {
        if (membership.Id is null) return frame;
        if (IdOf(frame) != 0 || (membership.Id != 0 && BinaryPrimitives.ReadUInt16BigEndian(frame[Ethernet.TypeAt..]) == Ethernet.Vlan)) return default;
        if (membership.Id == 0) return frame;
        // With the tag it would be longer than what others take for a frame.
        if (frame.Length > Ethernet.LongestFrame - Ethernet.VlanTagLength) return default;
        frame[..AddressesLength].CopyTo(_buffer);
        BinaryPrimitives.WriteUInt16BigEndian(_buffer.AsSpan(AddressesLength), Ethernet.Vlan);
        BinaryPrimitives.WriteUInt16BigEndian(_buffer.AsSpan(AddressesLength + 2), (ushort)membership.Id.Value);
        frame[AddressesLength..].CopyTo(_buffer.AsSpan(AddressesLength + Ethernet.VlanTagLength));
        return _buffer.AsSpan(0, frame.Length + Ethernet.VlanTagLength);
    }

    /// <summary>A frame that travelled as the machine gets it; empty where it does not. Valid until the next call.</summary>
    internal ReadOnlySpan<byte> Inbound(ReadOnlySpan<byte> frame)
    {
        if (membership.Id is not { } id) return frame;
        if (IdOf(frame) != id) return default;
        if (id == 0) return frame;
        frame[..AddressesLength].CopyTo(_buffer);
        frame[(AddressesLength + Ethernet.VlanTagLength)..].CopyTo(_buffer.AsSpan(AddressesLength));
        return _buffer.AsSpan(0, frame.Length - Ethernet.VlanTagLength);
    }
}
