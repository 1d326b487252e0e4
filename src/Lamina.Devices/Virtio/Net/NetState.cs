// What the network device remembers between two resets, in one object: a reset is a fresh one.
using System.Collections;
using Lamina.Core.State;

namespace Lamina.Devices.Virtio.Net;

/// <summary>The live state of a network device.</summary>
internal sealed class NetState
{
    /// <summary>Whether the driver is ready.</summary>
    internal bool Active;

    /// <summary>What was negotiated.</summary>
    internal ulong Features;

    /// <summary>Which of the negotiated guest offloads are switched on, as feature bits.</summary>
    internal ulong GuestOffloads;

    /// <summary>How many pairs of queues carry frames.</summary>
    internal int Pairs = 1;

    /// <summary>Which frames the guest wants.</summary>
    internal NetFilter Filter = NetFilter.Everything;

    /// <summary>Whether the driver is asked to announce itself on the network, and has not said yet that it knows.</summary>
    internal bool Announces;

    internal static void Exchange(SavedFields fields, ref NetState state)
    {
        fields.Value(1, ref state.GuestOffloads);
        fields.Value(2, ref state.Pairs);
        fields.Record(3, ref state.Filter, NetFilter.Exchange);
        fields.Value(4, ref state.Announces, since: 2);
    }
}

/// <summary>Which frames the guest wants (5.1.6.5.1 to 5.1.6.5.3). Replaced as a whole, so that receiving needs no lock.</summary>
internal sealed record NetFilter
{
    /// <summary>Every frame: what a device does until its driver says more.</summary>
    internal static readonly NetFilter Everything = new();

    /// <summary>Every frame, whoever it is for.</summary>
    internal bool Promiscuous { get; init; } = true;

    /// <summary>Every multicast frame.</summary>
    internal bool AllMulticast { get; init; }

    /// <summary>The card's address: six bytes in the low bits, the first highest.</summary>
    internal ulong Mac { get; init; }

    /// <summary>Further addresses; null where the table did not fit, and every address of the kind is wanted.</summary>
    internal IReadOnlySet<ulong>? Unicast { get; init; } = new HashSet<ulong>();

    /// <summary>Multicast addresses; null as above.</summary>
    internal IReadOnlySet<ulong>? Multicast { get; init; } = new HashSet<ulong>();

    /// <summary>The VLANs that are wanted, or null where the driver does not filter them.</summary>
    internal BitArray? Vlans { get; init; }

    internal static void Exchange(SavedFields fields, ref NetFilter filter)
    {
        var (promiscuous, allMulticast, mac) = (filter.Promiscuous, filter.AllMulticast, filter.Mac);
        var (unicast, multicast) = (filter.Unicast, filter.Multicast);
        var vlans = ToBytes(filter.Vlans);
        fields.Value(1, ref promiscuous);
        fields.Value(2, ref allMulticast);
        fields.Value(3, ref mac);
        ExchangeTable(fields, 4, ref unicast);
        ExchangeTable(fields, 6, ref multicast);
        fields.Bytes(8, ref vlans, NetSpec.MostVlans / 8);
        if (!fields.IsLoading) return;
        SavedFields.Require(vlans.Length is 0 or NetSpec.MostVlans / 8, $"a table of VLANs of {vlans.Length} bytes");
        filter = new NetFilter
        {
            Promiscuous = promiscuous,
            AllMulticast = allMulticast,
            Mac = mac,
            Unicast = unicast,
            Multicast = multicast,
            Vlans = vlans.Length == 0 ? null : new BitArray(vlans),
        };
    }

    // Whether there is a table, and its addresses in an order that does not depend on how they came.
    private static void ExchangeTable(SavedFields fields, int number, ref IReadOnlySet<ulong>? table)
    {
        var isThere = table is not null;
        IReadOnlyList<ulong> addresses = [.. (table ?? new HashSet<ulong>()).Order()];
        fields.Value(number, ref isThere);
        fields.List(number + 1, ref addresses, NetSpec.MostTableEntries, static (SavedFields fields, ref ulong address) => fields.Value(1, ref address));
        if (fields.IsLoading) table = isThere ? addresses.ToHashSet() : null;
    }

    private static byte[] ToBytes(BitArray? vlans)
    {
        var bytes = new byte[(vlans?.Length ?? 0) / 8];
        vlans?.CopyTo(bytes, 0);
        return bytes;
    }

    /// <summary>Whether a frame for an address and in a VLAN (null: none) is wanted.</summary>
    internal bool Wants(ulong destination, int? vlan)
    {
        if (vlan is { } id && Vlans is { } vlans && !vlans[id]) return false;
        if (Promiscuous) return true;
        if (destination == 0xffff_ffff_ffff) return true;
        // The lowest bit of the first byte marks a group address. IEEE 802.3, 3.2.3.
        if ((destination >> 40 & 1) != 0) return AllMulticast || Multicast is null || Multicast.Contains(destination);
        return destination == Mac || Unicast is null || Unicast.Contains(destination);
    }
}
