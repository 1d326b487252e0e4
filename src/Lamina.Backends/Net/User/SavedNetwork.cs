// What of a user-mode network is part of a machine's saved state. Its connections end at sockets of this process, which no file can
// hold; but the guest believes in them, and where nobody told it that they are gone it would wait for good. So they are written down
// by name, and the machine that goes on is sent a reset for each (RFC 9293, 3.10.7: as for a connection that does not exist).
using System.Buffers.Binary;
using Lamina.Backends.Net.User.Transport;
using Lamina.Backends.Net.Wire;
using Lamina.Core.State;

namespace Lamina.Backends.Net.User;

/// <summary>A connection that the guest believes in.</summary>
/// <param name="Key">Its two ends.</param>
/// <param name="Sequence">What the guest expects next of its peer, as far as is known.</param>
internal readonly record struct LostConnection(FlowKey Key, uint Sequence);

/// <summary>Writes a network's state, or reads it.</summary>
internal static class SavedNetwork
{
    // Far more than any network has.
    private const int MostConnections = 1 << 20;

    private record struct Neighbour(IpAddr Address, ulong Mac);

    internal static void Exchange(SavedFields fields, GuestLink link, TcpTable tcp)
    {
        IReadOnlyList<Neighbour> neighbours = [.. link.Neighbours.Select(known => new Neighbour(known.Key, known.Value))];
        IReadOnlyList<LostConnection> connections = fields.IsLoading ? [] : [.. tcp.Believed];
        fields.List(1, ref neighbours, GuestLink.MostNeighbours, ExchangeNeighbour);
        fields.List(2, ref connections, MostConnections, ExchangeConnection);
        if (!fields.IsLoading) return;
        foreach (var (address, mac) in neighbours) link.Learn(address, mac);
        tcp.Lose(connections);
    }

    private static void ExchangeNeighbour(SavedFields fields, ref Neighbour neighbour)
    {
        var (address, mac) = neighbour;
        ExchangeAddress(fields, 1, ref address);
        fields.Value(2, ref mac);
        neighbour = new Neighbour(address, mac);
    }

    private static void ExchangeConnection(SavedFields fields, ref LostConnection connection)
    {
        var (guest, guestPort, peer, peerPort) = connection.Key;
        var sequence = connection.Sequence;
        ExchangeAddress(fields, 1, ref guest);
        fields.Value(2, ref guestPort);
        ExchangeAddress(fields, 3, ref peer);
        fields.Value(4, ref peerPort);
        fields.Value(5, ref sequence);
        if (fields.IsLoading) SavedFields.Require(guest.IsV4 == peer.IsV4 && !guest.IsGroup && !peer.IsGroup, "a connection of a group's, or between two families of addresses");
        connection = new LostConnection(new FlowKey(guest, guestPort, peer, peerPort), sequence);
    }

    private static void ExchangeAddress(SavedFields fields, int number, ref IpAddr address)
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, address.Bits);
        fields.Bytes(number, bytes);
        address = new IpAddr(BinaryPrimitives.ReadUInt128BigEndian(bytes));
    }
}
