// Puts fragments of the guest's packets together (RFC 791, 3.2; RFC 8200, 4.5). Fragments that overlap make the whole
// packet be dropped (RFC 5722; for IPv4 likewise), and what is kept is bounded in number, size and time.
using Lamina.Backends.Net.Wire;

namespace Lamina.Backends.Net.User;

/// <summary>Which packet a fragment belongs to.</summary>
internal readonly record struct FragmentKey(IpAddr Source, IpAddr Destination, uint Identification, byte Protocol);

/// <summary>Packets that are not yet whole.</summary>
internal sealed class Reassembly(Func<long> now)
{
    private const int MostPackets = 16, MostFragments = 128;
    private const long PatienceMilliseconds = 30_000;

    /// <summary>The most bytes of packets that are not whole.</summary>
    internal const int MostBytes = MostPackets * Ip.MostPayload;

    private readonly Dictionary<FragmentKey, Partial> _packets = [];

    private sealed class Partial
    {
        internal readonly byte[] Bytes = new byte[Ip.MostPayload];
        internal readonly List<(int Start, int End)> Pieces = [];
        internal int Received;
        internal int Length = -1;
        internal long Deadline;
        internal bool IsBroken;
    }

    /// <summary>How many packets are kept; for tests.</summary>
    internal int Count => _packets.Count;

    /// <summary>Adds a fragment.</summary>
    /// <param name="key">Its packet.</param>
    /// <param name="offset">Where it lies in the packet's payload.</param>
    /// <param name="bytes">Its bytes.</param>
    /// <param name="more">Whether others follow it.</param>
    /// <returns>The payload where it is whole now, else null.</returns>
    internal ReadOnlyMemory<byte>? Add(in FragmentKey key, int offset, ReadOnlySpan<byte> bytes, bool more)
    {
        Expire();
        var end = offset + bytes.Length;
        // All but the last are multiples of eight bytes.
        if (bytes.IsEmpty || end > Ip.MostPayload || (more && bytes.Length % 8 != 0)) return null;
        if (!_packets.TryGetValue(key, out var partial))
        {
            if (_packets.Count == MostPackets) _packets.Remove(_packets.MinBy(entry => entry.Value.Deadline).Key);
            _packets[key] = partial = new Partial { Deadline = now() + PatienceMilliseconds };
        }
        if (!partial.IsBroken) Place(partial, offset, end, bytes, more);
        if (partial.IsBroken || partial.Received != partial.Length) return null;
        _packets.Remove(key);
        return partial.Bytes.AsMemory(0, partial.Length);
    }

    // A broken packet stays, so that its other fragments make no new one, until its time is over.
    private static void Place(Partial partial, int offset, int end, ReadOnlySpan<byte> bytes, bool more)
    {
        foreach (var piece in partial.Pieces)
        {
            if (piece == (offset, end)) return;
            if (offset < piece.End && piece.Start < end) partial.IsBroken = true;
        }
        if (!more && partial.Length >= 0 && partial.Length != end) partial.IsBroken = true;
        if (!more) partial.Length = end;
        if (partial.Length >= 0 && (end > partial.Length || partial.Pieces.Any(piece => piece.End > partial.Length))) partial.IsBroken = true;
        if (partial.Pieces.Count == MostFragments) partial.IsBroken = true;
        if (partial.IsBroken) return;
        bytes.CopyTo(partial.Bytes.AsSpan(offset));
        partial.Pieces.Add((offset, end));
        partial.Received += bytes.Length;
    }

    private void Expire()
    {
        if (_packets.Count == 0) return;
        var time = now();
        foreach (var (key, partial) in _packets)
            if (partial.Deadline <= time) _packets.Remove(key);
    }
}
