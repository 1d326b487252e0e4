// Which frames a controller takes off the cable (82540EM: 3.2.1; 13.5): by addresses, by a table of bits for multicast, by VLAN.
using static Lamina.Devices.Ethernet.E1000Spec;

namespace Lamina.Devices.Ethernet;

/// <summary>What a filter says of a frame.</summary>
internal enum FilterResult
{
    /// <summary>It is not wanted.</summary>
    Drop,

    /// <summary>It is for an address that is wanted.</summary>
    Exact,

    /// <summary>It may be: the driver has to look.</summary>
    Inexact,
}

/// <summary>Filters.</summary>
internal static class E1000Filter
{
    /// <summary>Looks at a frame.</summary>
    /// <param name="registers">The controller's.</param>
    /// <param name="frame">At least an Ethernet header.</param>
    /// <param name="vlan">The tag of its VLAN, or null.</param>
    internal static FilterResult Look(E1000Registers registers, ReadOnlySpan<byte> frame, ushort? vlan)
    {
        var control = registers[RCTL];
        if (vlan is { } tag && (control & VlanFilter) != 0 && (registers[VFTA + ((tag >> 5 & 0x7f) * sizeof(uint))] >> (tag & 31) & 1) == 0) return FilterResult.Drop;
        for (var i = 0; i < Addresses; i++)
        {
            var high = registers[RA + (8 * i) + 4];
            if ((high & AddressValid) == 0) continue;
            var low = registers[RA + (8 * i)];
            // Which of the two addresses the entry is of: the destination's or the source's (13.5.2).
            var at = (high & AddressSelect) == 1 << 16 ? frame[6..] : frame;
            if ((uint)(at[0] | at[1] << 8 | at[2] << 16 | at[3] << 24) == low && (uint)(at[4] | at[5] << 8) == (high & 0xffff)) return FilterResult.Exact;
        }
        if (frame[..6].IndexOfAnyExcept((byte)0xff) < 0 && (control & AcceptBroadcast) != 0) return FilterResult.Exact;
        // The lowest bit of the first byte marks a group's address. IEEE 802.3, 3.2.3.
        if ((frame[0] & 1) == 0) return (control & UnicastPromiscuous) != 0 ? FilterResult.Inexact : FilterResult.Drop;
        if ((control & MulticastPromiscuous) != 0) return FilterResult.Inexact;
        // 13.5.1: twelve bits of the address, from where MO says.
        var shift = 4 - (int)(control >> MulticastOffsetShift & 3);
        if (shift == 1) shift = 0;
        var hash = ((frame[4] | frame[5] << 8) >> shift) & 0xfff;
        return (registers[MTA + ((hash >> 5) * sizeof(uint))] >> (hash & 31) & 1) != 0 ? FilterResult.Inexact : FilterResult.Drop;
    }
}
