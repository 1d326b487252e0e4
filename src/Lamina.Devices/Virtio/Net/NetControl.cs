// The control queue of the network device (virtio 1.2, 5.1.6.5): commands of the driver, turned into a new state. The
// bytes were copied out of the guest before; nothing here touches its memory.
using System.Buffers.Binary;
using System.Collections;

namespace Lamina.Devices.Virtio.Net;

/// <summary>Carries out commands.</summary>
internal static class NetControl
{
    /// <summary>Carries a command out.</summary>
    /// <param name="state">Changed where the command makes sense.</param>
    /// <param name="command">Class, command, data; no longer than <see cref="NetSpec.LongestCommand"/>.</param>
    /// <param name="mostPairs">How many pairs of queues the device has.</param>
    /// <returns>Whether it makes sense and what it belongs to was negotiated.</returns>
    internal static bool Execute(NetState state, ReadOnlySpan<byte> command, int mostPairs)
    {
        if (command.Length < NetSpec.ControlHeader) return false;
        var data = command[NetSpec.ControlHeader..];
        return (command[0], command[1]) switch
        {
            (NetSpec.ClassReceive, _) => Has(state, NetSpec.FeatureControlReceive) && SetReceiveMode(state, command[1], data),
            (NetSpec.ClassMac, NetSpec.MacTableSet) => Has(state, NetSpec.FeatureControlReceive) && SetTables(state, data),
            (NetSpec.ClassMac, NetSpec.MacAddressSet) => Has(state, NetSpec.FeatureControlMac) && SetAddress(state, data),
            (NetSpec.ClassVlan, NetSpec.VlanAdd or NetSpec.VlanDelete) => Has(state, NetSpec.FeatureControlVlan) && SetVlan(state, command[1] == NetSpec.VlanAdd, data),
            (NetSpec.ClassAnnounce, NetSpec.AnnounceAcknowledge) => Acknowledge(state),
            (NetSpec.ClassMultiQueue, NetSpec.PairsSet) => Has(state, NetSpec.FeatureMultiQueue) && SetPairs(state, data, mostPairs),
            (NetSpec.ClassGuestOffloads, NetSpec.OffloadsSet) => Has(state, NetSpec.FeatureControlGuestOffloads) && SetOffloads(state, data),
            _ => false,
        };
    }

    /// <summary>An address as a number, the first byte highest.</summary>
    internal static ulong ToNumber(ReadOnlySpan<byte> mac) =>
        (ulong)BinaryPrimitives.ReadUInt16BigEndian(mac) << 32 | BinaryPrimitives.ReadUInt32BigEndian(mac[2..]);

    private static bool Has(NetState state, ulong feature) => (state.Features & feature) != 0;

    private static bool SetReceiveMode(NetState state, byte mode, ReadOnlySpan<byte> data)
    {
        if (data.IsEmpty || data[0] > 1) return false;
        switch (mode)
        {
            case NetSpec.ReceivePromiscuous:
                state.Filter = state.Filter with { Promiscuous = data[0] == 1 };
                return true;
            case NetSpec.ReceiveAllMulticast:
                state.Filter = state.Filter with { AllMulticast = data[0] == 1 };
                return true;
            default:
                return false;
        }
    }

    // 5.1.6.5.2: two tables, each a count and so many addresses. One that is longer than what is kept stands for every
    // address of its kind; it is longer than a command that is read, so that nothing is known of what follows it.
    private static bool SetTables(NetState state, ReadOnlySpan<byte> data)
    {
        HashSet<ulong>? unicast = null, multicast = null;
        if (!TryReadTable(ref data, ref unicast) || (unicast is not null && !TryReadTable(ref data, ref multicast))) return false;
        state.Filter = state.Filter with { Unicast = unicast, Multicast = multicast };
        return true;
    }

    private static bool TryReadTable(ref ReadOnlySpan<byte> data, ref HashSet<ulong>? table)
    {
        if (data.Length < sizeof(uint)) return false;
        var count = BinaryPrimitives.ReadUInt32LittleEndian(data);
        data = data[sizeof(uint)..];
        if (count > NetSpec.MostTableEntries) return true;
        if (data.Length < (int)count * NetSpec.MacLength) return false;
        table = [];
        for (var i = 0; i < (int)count; i++) table.Add(ToNumber(data.Slice(i * NetSpec.MacLength, NetSpec.MacLength)));
        data = data[((int)count * NetSpec.MacLength)..];
        return true;
    }

    private static bool SetAddress(NetState state, ReadOnlySpan<byte> data)
    {
        if (data.Length < NetSpec.MacLength) return false;
        state.Filter = state.Filter with { Mac = ToNumber(data) };
        return true;
    }

    private static bool SetVlan(NetState state, bool add, ReadOnlySpan<byte> data)
    {
        if (data.Length < sizeof(ushort)) return false;
        var id = BinaryPrimitives.ReadUInt16LittleEndian(data);
        if (id >= NetSpec.MostVlans) return false;
        state.Filter = state.Filter with { Vlans = new BitArray(state.Filter.Vlans ?? new BitArray(NetSpec.MostVlans)) { [id] = add } };
        return true;
    }

    // 5.1.6.5.4: the driver knows that it is to announce itself.
    private static bool Acknowledge(NetState state)
    {
        var wasAsked = state.Announces;
        state.Announces = false;
        return wasAsked;
    }

    private static bool SetPairs(NetState state, ReadOnlySpan<byte> data, int mostPairs)
    {
        if (data.Length < sizeof(ushort)) return false;
        var pairs = BinaryPrimitives.ReadUInt16LittleEndian(data);
        if (pairs < 1 || pairs > mostPairs) return false;
        state.Pairs = pairs;
        return true;
    }

    // 5.1.6.5.6.2: only what was negotiated can be switched.
    private static bool SetOffloads(NetState state, ReadOnlySpan<byte> data)
    {
        if (data.Length < sizeof(ulong)) return false;
        var wanted = BinaryPrimitives.ReadUInt64LittleEndian(data);
        if ((wanted & ~(state.Features & NetSpec.GuestOffloads)) != 0) return false;
        state.GuestOffloads = wanted;
        return true;
    }
}
