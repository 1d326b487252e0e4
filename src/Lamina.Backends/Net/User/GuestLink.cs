// The way to the guest: builds frames in one buffer, knows the link addresses of neighbours, and keeps a few frames for a
// guest that has no room. Used with the network's lock held.
using System.Buffers.Binary;
using Lamina.Backends.Net.Wire;
using Lamina.Core.Net;

namespace Lamina.Backends.Net.User;

/// <summary>How a packet may be sent.</summary>
/// <param name="ChecksumAt">Where in the payload its check sum stands; it is computed, or left to the guest. Negative: it has none, or has it already.</param>
/// <param name="SegmentSize">Cut by the guest into segments of this many bytes behind the transport's header of <paramref name="TransportHeader"/>; 0: not cut.</param>
/// <param name="TransportHeader">The length of the transport's header, for cutting.</param>
/// <param name="HopLimit">TTL or hop limit.</param>
/// <param name="MayWait">Whether to keep the frame for later where the guest has no room; else it is not sent.</param>
internal readonly record struct SendOptions(int ChecksumAt, int SegmentSize = 0, int TransportHeader = 0, byte HopLimit = Ip.TimeToLive, bool MayWait = true);

/// <summary>Frames to the guest.</summary>
internal sealed class GuestLink(Addresses addresses, int mtu)
{
    /// <summary>How many neighbours are remembered.</summary>
    internal const int MostNeighbours = 256;

    /// <summary>The most bytes of frames that wait for a guest without room.</summary>
    internal const int MostWaitingBytes = 1 << 20;

    private const int MostWaiting = 256;

    private readonly byte[] _frame = new byte[Ethernet.LongestFrame];
    private readonly Dictionary<IpAddr, ulong> _neighbours = [];
    private readonly Queue<(byte[] Frame, FrameOffload Offload)> _waiting = [];
    private int _waitingBytes;
    private INetReceiver? _receiver;
    private NetOffloads _offloads;
    private ushort _identification;
    private volatile bool _isBlocked;

    /// <summary>The longest packet in bytes.</summary>
    internal int Mtu => mtu;

    /// <summary>What the guest takes.</summary>
    internal NetOffloads Offloads => _offloads;

    /// <summary>Whether the guest has room, as far as is known. Any thread.</summary>
    internal bool HasRoom => !_isBlocked;

    /// <summary>Frames that were dropped because the guest did not take them.</summary>
    internal long Dropped { get; private set; }

    /// <summary>The link addresses that are known.</summary>
    internal IReadOnlyDictionary<IpAddr, ulong> Neighbours => _neighbours;

    /// <summary>A neighbour's link address became known.</summary>
    internal event Action<IpAddr>? Learned;

    internal void Attach(INetReceiver receiver) => _receiver = receiver;

    internal void ReadOffloads() => _offloads = _receiver?.Offloads ?? NetOffloads.None;

    /// <summary>Remembers a neighbour.</summary>
    internal void Learn(IpAddr address, ulong mac)
    {
        if (Ethernet.IsGroup(mac) || mac == 0 || (_neighbours.TryGetValue(address, out var known) && known == mac)) return;
        // A guest changes its addresses now and then; those that are still in use are learned again.
        if (_neighbours.Count >= MostNeighbours) _neighbours.Clear();
        _neighbours[address] = mac;
        Learned?.Invoke(address);
    }

    /// <summary>A neighbour's link address, if it is known.</summary>
    internal ulong? Find(IpAddr address) => _neighbours.TryGetValue(address, out var mac) ? mac : null;

    /// <summary>Where a packet's payload is to be put, before <see cref="Send"/>.</summary>
    internal Span<byte> Payload(bool v4, int length) => _frame.AsSpan(Ethernet.HeaderLength + (v4 ? Ip.Header4 : Ip.Header6), length);

    /// <summary>Where a frame's payload is to be put, before <see cref="SendFrame"/>.</summary>
    internal Span<byte> FramePayload(int length) => _frame.AsSpan(Ethernet.HeaderLength, length);

    /// <summary>Sends a frame whose payload was put in place.</summary>
    internal void SendFrame(ulong to, ushort type, int length)
    {
        WriteEthernet(to, type);
        _ = Deliver(Ethernet.HeaderLength + length, default, mayWait: true);
    }

    /// <summary>Sends a packet whose payload was put in place.</summary>
    /// <returns>False where it may not wait and the guest has no room; else it is on its way, or lost as on any network.</returns>
    internal bool Send(IpAddr from, IpAddr to, byte protocol, int length, in SendOptions options)
    {
        if (LinkAddressOf(to) is not { } mac)
        {
            Solicit(to);
            return true;
        }
        var v4 = to.IsV4;
        var header = v4 ? Ip.Header4 : Ip.Header6;
        var payload = Payload(v4, length);
        var isLong = header + length > mtu && options.SegmentSize == 0;
        // A guest may drop a packet with its sum undone that it would have to put together first.
        var leaveChecksum = options.ChecksumAt >= 0 && !isLong && _offloads.HasFlag(NetOffloads.Checksum);
        if (options.ChecksumAt >= 0) WriteChecksum(from, to, protocol, payload, options.ChecksumAt, leaveChecksum);
        if (isLong) return SendFragments(from, to, mac, protocol, length, options);

        WriteIp(from, to, protocol, length, options.HopLimit, Ip.DontFragment);
        WriteEthernet(mac, v4 ? Ethernet.Ip4 : Ethernet.Ip6);
        var headers = Ethernet.HeaderLength + header;
        var isCut = options.SegmentSize != 0 && length - options.TransportHeader > options.SegmentSize;
        return Deliver(headers + length, new FrameOffload
        {
            NeedsChecksum = leaveChecksum,
            ChecksumStart = (ushort)(leaveChecksum ? headers : 0),
            ChecksumOffset = (ushort)(leaveChecksum ? options.ChecksumAt : 0),
            ChecksumIsValid = options.ChecksumAt >= 0 && !leaveChecksum,
            Segmentation = !isCut ? NetOffloads.None : v4 ? NetOffloads.Tcp4Segmentation : NetOffloads.Tcp6Segmentation,
            SegmentSize = (ushort)(isCut ? options.SegmentSize : 0),
            HeaderLength = (ushort)(isCut ? headers + options.TransportHeader : 0),
        }, options.MayWait);
    }

    /// <summary>The guest has room again: sends what waited. Whether all of it went.</summary>
    internal bool Resume()
    {
        _isBlocked = false;
        while (_waiting.TryPeek(out var next))
        {
            if (!Offer(next.Frame, next.Offload)) return false;
            _waiting.Dequeue();
            _waitingBytes -= next.Frame.Length;
        }
        return true;
    }

    private ulong? LinkAddressOf(IpAddr to)
    {
        if (to.IsV4 && (to.Bits4 == uint.MaxValue || to == addresses.Broadcast4)) return Ethernet.Broadcast;
        // RFC 2464, 7: 33:33 and the low 32 bits.
        if (to.IsGroup) return to.IsV4 ? Ethernet.Broadcast : 0x3333_0000_0000ul | (uint)to.Bits;
        return Find(to);
    }

    // RFC 826; RFC 4861, 7.2.2.
    private void Solicit(IpAddr target)
    {
        if (target.IsV4) Arp.WriteRequest(this, addresses.Gateway4, target);
        else NeighbourDiscovery.WriteSolicitation(this, addresses.Link6, target);
    }

    private static void WriteChecksum(IpAddr from, IpAddr to, byte protocol, Span<byte> payload, int at, bool leave)
    {
        BinaryPrimitives.WriteUInt16BigEndian(payload[at..], 0);
        var pseudo = Checksum.Pseudo(from, to, protocol, payload.Length);
        var sum = leave ? InternetChecksum.Fold(pseudo) : InternetChecksum.Finish(InternetChecksum.Add(pseudo, payload));
        // RFC 768: a UDP sum of 0 means that there is none.
        if (!leave && sum == 0 && protocol == IpProtocol.Udp) sum = 0xffff;
        BinaryPrimitives.WriteUInt16BigEndian(payload[at..], sum);
    }

    private void WriteEthernet(ulong to, ushort type)
    {
        WriteMac(_frame, to);
        WriteMac(_frame.AsSpan(Ethernet.MacLength), Addresses.GatewayMac);
        BinaryPrimitives.WriteUInt16BigEndian(_frame.AsSpan(Ethernet.TypeAt), type);
    }

    /// <summary>Writes a link address.</summary>
    internal static void WriteMac(Span<byte> to, ulong mac)
    {
        BinaryPrimitives.WriteUInt16BigEndian(to, (ushort)(mac >> 32));
        BinaryPrimitives.WriteUInt32BigEndian(to[2..], (uint)mac);
    }

    private void WriteIp(IpAddr from, IpAddr to, byte protocol, int length, byte hopLimit, ushort fragment)
    {
        var header = _frame.AsSpan(Ethernet.HeaderLength);
        if (!to.IsV4)
        {
            BinaryPrimitives.WriteUInt32BigEndian(header, 6u << 28);
            BinaryPrimitives.WriteUInt16BigEndian(header[4..], (ushort)length);
            (header[6], header[7]) = (protocol, hopLimit);
            from.Write(header[8..]);
            to.Write(header[24..]);
            return;
        }
        header = header[..Ip.Header4];
        (header[0], header[1]) = (0x45, 0);
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], (ushort)(Ip.Header4 + length));
        BinaryPrimitives.WriteUInt16BigEndian(header[4..], _identification);
        if ((fragment & Ip.DontFragment) != 0) _identification++;
        BinaryPrimitives.WriteUInt16BigEndian(header[6..], fragment);
        (header[8], header[9]) = (hopLimit, protocol);
        BinaryPrimitives.WriteUInt16BigEndian(header[10..], 0);
        from.Write(header[12..]);
        to.Write(header[16..]);
        BinaryPrimitives.WriteUInt16BigEndian(header[10..], InternetChecksum.Finish(InternetChecksum.Add(0, header)));
    }

    // A datagram that is longer than the guest's link takes. RFC 791, 3.2; RFC 8200, 4.5.
    private bool SendFragments(IpAddr from, IpAddr to, ulong mac, byte protocol, int length, in SendOptions options)
    {
        var v4 = to.IsV4;
        var whole = Payload(v4, length).ToArray();
        var extra = v4 ? 0 : Ip.FragmentHeader;
        var piece = (mtu - (v4 ? Ip.Header4 : Ip.Header6) - extra) & ~7;
        var identification = _identification++;
        for (var offset = 0; offset < length; offset += piece)
        {
            var count = Math.Min(piece, length - offset);
            var more = offset + count < length;
            var payload = Payload(v4, extra + count);
            whole.AsSpan(offset, count).CopyTo(payload[extra..]);
            if (v4)
            {
                WriteIp(from, to, protocol, count, options.HopLimit, (ushort)(offset / 8 | (more ? Ip.MoreFragments : 0)));
                var header = _frame.AsSpan(Ethernet.HeaderLength, Ip.Header4);
                BinaryPrimitives.WriteUInt16BigEndian(header[4..], identification);
                BinaryPrimitives.WriteUInt16BigEndian(header[10..], 0);
                BinaryPrimitives.WriteUInt16BigEndian(header[10..], InternetChecksum.Finish(InternetChecksum.Add(0, header)));
            }
            else
            {
                WriteIp(from, to, IpProtocol.Fragment, extra + count, options.HopLimit, 0);
                (payload[0], payload[1]) = (protocol, 0);
                BinaryPrimitives.WriteUInt16BigEndian(payload[2..], (ushort)(offset | (more ? 1 : 0)));
                BinaryPrimitives.WriteUInt32BigEndian(payload[4..], identification);
            }
            WriteEthernet(mac, v4 ? Ethernet.Ip4 : Ethernet.Ip6);
            if (!Deliver(Ethernet.HeaderLength + (v4 ? Ip.Header4 : Ip.Header6) + extra + count, default, options.MayWait)) return false;
        }
        return true;
    }

    private bool Deliver(int length, in FrameOffload offload, bool mayWait)
    {
        var frame = _frame.AsSpan(0, length);
        if (_waiting.Count == 0 && HasRoom && Offer(frame, offload)) return true;
        if (!mayWait) return false;
        if (_waiting.Count >= MostWaiting || _waitingBytes + length > MostWaitingBytes)
        {
            Dropped++;
            return true;
        }
        _waiting.Enqueue((frame.ToArray(), offload));
        _waitingBytes += length;
        return true;
    }

    private bool Offer(ReadOnlySpan<byte> frame, in FrameOffload offload)
    {
        if (_receiver is null || _receiver.Receive(frame, offload)) return true;
        // Who makes room looks at the flag; room that was made before it was up is found by the second try.
        _isBlocked = true;
        Interlocked.MemoryBarrier();
        if (!_receiver.Receive(frame, offload)) return false;
        _isBlocked = false;
        return true;
    }
}
