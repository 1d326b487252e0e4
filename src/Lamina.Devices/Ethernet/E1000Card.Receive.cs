// Receiving: a frame that is wanted is written to the buffers of one or more descriptors, of one of three kinds: legacy (82540EM: 3.2.3), extended, or with
// several buffers each, the first of which takes the headers (82574: 7.1.5 to 7.1.10). With _gate held.
using System.Buffers.Binary;
using Lamina.Core.Limits;
using Lamina.Core.Net;
using static Lamina.Devices.Ethernet.E1000Spec;

namespace Lamina.Devices.Ethernet;

public sealed partial class E1000Card
{
    private const int SplitBuffers = 4;

    private readonly ArrivingFrames _arriving;
    private readonly byte[] _received = new byte[LongestWanted + ShortestFrame];

    /// <inheritdoc/>
    public bool Receive(ReadOnlySpan<byte> frame, in FrameOffload offload)
    {
        lock (_gate)
        {
            if (_paused) return false;
            if (!_isPlugged) return true;
            if ((_registers[RCTL] & ReceiveEnable) == 0 || !_isMaster || !_isLinkUp || offload.NeedsChecksum || offload.Segmentation != NetOffloads.None || frame.Length < PacketHeaders.EthernetLength)
            {
                Drop();
                return true;
            }
            if (_options.Receiving?.TryPass(_arriving) == false) return false;
            return Accept(frame, offload.ChecksumIsValid);
        }
    }

    private bool Accept(ReadOnlySpan<byte> frame, bool sumsAreRight)
    {
        var control = _registers[RCTL];
        var isTagged = frame.Length >= PacketHeaders.EthernetLength + PacketHeaders.TagLength && BinaryPrimitives.ReadUInt16BigEndian(frame[PacketHeaders.TypeAt..]) == (ushort)_registers[VET];
        var tag = isTagged ? BinaryPrimitives.ReadUInt16BigEndian(frame[(PacketHeaders.TypeAt + 2)..]) : (ushort)0;
        var found = E1000Filter.Look(_registers, frame, isTagged ? tag : null);
        if (found == FilterResult.Drop)
        {
            Drop();
            return true;
        }
        if (frame.Length + CrcLength > ((control & LongPackets) != 0 ? LongestWanted : LongestUsual))
        {
            _registers.Count(ROC);
            Drop();
            return true;
        }
        var strips = isTagged && (_registers[CTRL] & CtrlVlan) != 0;
        var length = Copy(frame, strips);
        var about = Examine(_received.AsSpan(0, length), sumsAreRight);
        if (strips) (about.Status, about.Tag) = (about.Status | ReceivedVlan, tag);
        if (found == FilterResult.Inexact) about.Status |= ReceivedInexact;
        // The check sequence is as long as it would be, and zeros: nobody looks at it.
        var whole = (control & StripCrc) != 0 ? length : length + CrcLength;
        _received.AsSpan(length, whole - length).Clear();
        if (!Put(_received.AsSpan(0, whole), about)) return false;
        _options.Receiving?.Charge((ulong)frame.Length);
        CountReceived(frame, (uint)(length + CrcLength));
        return true;
    }

    // Without its tag where that is told beside, and no shorter than a frame is.
    private int Copy(ReadOnlySpan<byte> frame, bool strips)
    {
        var into = _received.AsSpan();
        if (strips)
        {
            frame[..PacketHeaders.TypeAt].CopyTo(into);
            frame[(PacketHeaders.TypeAt + PacketHeaders.TagLength)..].CopyTo(into[PacketHeaders.TypeAt..]);
        }
        else
        {
            frame.CopyTo(into);
        }
        var length = strips ? frame.Length - PacketHeaders.TagLength : frame.Length;
        if (length >= ShortestFrame) return length;
        into[length..ShortestFrame].Clear();
        return ShortestFrame;
    }

    // Sums, and what rings of several and descriptors want to know.
    private About Examine(ReadOnlySpan<byte> frame, bool sumsAreRight)
    {
        var wanted = _registers[RXCSUM];
        var headers = PacketHeaders.Of(frame);
        var about = new About { HeaderLength = headers.LengthIn(frame) };
        if ((wanted & IpChecksum) != 0 && headers is { Network: > 0, IsIpv4: true })
        {
            about.Status |= ReceivedIpSum;
            if (!headers.NetworkSumIsRight(frame)) about.Errors |= ErrorIp;
        }
        var isUdp = headers.Protocol == PacketHeaders.Udp;
        if ((wanted & TransportChecksum) != 0 && headers.HasPorts && !(isUdp && BinaryPrimitives.ReadUInt16BigEndian(frame[headers.ChecksumAt..]) == 0))
        {
            about.Status |= ReceivedTransportSum | (isUdp && _model.IsExpress ? ReceivedUdpSum : 0);
            if (!sumsAreRight && !headers.TransportSumIsRight(frame)) about.Errors |= ErrorTransport;
        }
        if ((about.Status & (ReceivedIpSum | ReceivedTransportSum)) == 0) about.Status |= ReceivedIgnoreSums;
        if (_model.IsExpress)
        {
            (about.HashKind, about.Hash) = ReceiveSideScaling.Of(_registers, frame, headers);
            if (about.HashKind != 0) about.Ring = ReceiveSideScaling.RingOf(_registers, about.Hash);
            about.Identification = headers is { Network: > 0, IsIpv4: true } ? BinaryPrimitives.ReadUInt16BigEndian(frame[(headers.Network + 4)..]) : (ushort)0;
        }
        var start = Math.Min((int)(wanted & 0xff), frame.Length);
        if ((wanted & NoPacketChecksum) == 0) about.Sum = InternetChecksum.Fold(InternetChecksum.Add(0, frame[start..]));
        return about;
    }

    // Into a ring; false where there is no room yet.
    private bool Put(ReadOnlySpan<byte> frame, in About about)
    {
        var at = RDBAL + (about.Ring * RingStride);
        var size = _registers[at + RDLEN - RDBAL] / DescriptorLength;
        var (head, tail) = (_registers[at + RDH - RDBAL], _registers[at + RDT - RDBAL]);
        var kind = KindNow;
        Span<int> buffers = stackalloc int[SplitBuffers];
        buffers.Clear();
        var each = BuffersOf(kind, buffers);
        // Places are counted by 16 bytes, of which a descriptor with several buffers has two.
        var step = kind == DescriptorKind.Split ? 2u : 1;
        var needed = (uint)((frame.Length + each - 1) / Math.Max(each, 1)) * step;
        if (each == 0 || head >= size || tail >= size || needed >= size || head % step != 0 || size % step != 0)
        {
            // No ring, or none that it would ever fit into.
            _registers.Count(MPC);
            Drop();
            return true;
        }
        var free = tail >= head ? tail - head : size - head + tail;
        if (free < needed)
        {
            _registers.Count(RNBC);
            return false;
        }
        var used = 0u;
        for (var done = 0; done < frame.Length; used += step)
        {
            var address = AddressOf(at) + (head * DescriptorLength);
            head = (head + step) % size;
            done += kind switch
            {
                DescriptorKind.Split => PutSplit(address, frame, done, buffers, about),
                DescriptorKind.Extended => PutExtended(address, frame, done, each, about),
                _ => PutLegacy(address, frame, done, each, about),
            };
        }
        _registers[at + RDH - RDBAL] = head;
        var threshold = size >> (1 + (int)(_registers[RCTL] >> ReceiveThresholdShift & 3));
        if (free > threshold && free - used <= threshold) Raise(ReceiveThreshold);
        RaiseLater(_receivedLater, ReceiveTimer | (_model.IsExpress ? ReceiveQueue << about.Ring : 0), _registers[RDTR], _registers[RADV]);
        return true;
    }

    private DescriptorKind KindNow => !_model.IsExpress || (_registers[RFCTL] & ExtendedStatus) == 0 ? DescriptorKind.Legacy
        : (_registers[RCTL] & PacketSplit) != 0 ? DescriptorKind.Split : DescriptorKind.Extended;

    // The lengths of a descriptor's buffers; how much it takes of a frame at least is returned.
    private int BuffersOf(DescriptorKind kind, Span<int> buffers)
    {
        var control = _registers[RCTL];
        if (kind == DescriptorKind.Split)
        {
            var lengths = _registers[PSRCTL];
            (buffers[0], buffers[1], buffers[2], buffers[3]) = ((int)(lengths & 0x7f) * 128, (int)(lengths >> 8 & 0x3f) * 1024, (int)(lengths >> 16 & 0x3f) * 1024, (int)(lengths >> 24 & 0x3f) * 1024);
            return buffers[1] + buffers[2] + buffers[3];
        }
        var flexible = (int)(control >> FlexibleSizeShift & 0xf);
        if (_model.IsExpress && flexible != 0) return flexible * 1024;
        // 13.4.22: 2048, 1024, 512, 256; sixteen times as many with BSEX, but for the first.
        var code = (int)(control >> BufferSizeShift & 3);
        return (2048 >> code) * ((control & BufferSizeExtension) != 0 && code != 0 ? 16 : 1);
    }

    private int PutLegacy(ulong address, ReadOnlySpan<byte> frame, int from, int most, in About about)
    {
        var part = frame.Slice(from, Math.Min(most, frame.Length - from));
        if (_memory.TryRead(address, out ulong buffer)) _memory.TryWrite(buffer, part);
        var isLast = from + part.Length == frame.Length;
        _memory.TryWrite(address + 8, (uint)part.Length | (uint)about.Sum << 16);
        // The status, by which the driver knows that it is there, comes last.
        _memory.TryWrite(address + 12, ReceivedDone | (isLast ? ReceivedEnd | about.Status & 0xff | about.Errors << 8 : 0) | (uint)about.Tag << 16);
        return part.Length;
    }

    private int PutExtended(ulong address, ReadOnlySpan<byte> frame, int from, int most, in About about)
    {
        var part = frame.Slice(from, Math.Min(most, frame.Length - from));
        if (_memory.TryRead(address, out ulong buffer)) _memory.TryWrite(buffer, part);
        var isLast = from + part.Length == frame.Length;
        _memory.TryWrite(address, FirstWords(about));
        _memory.TryWrite(address + 12, (uint)part.Length | (uint)about.Tag << 16);
        _memory.TryWrite(address + 8, StatusWord(about, isLast));
        return part.Length;
    }

    // Headers to the first buffer and all else to the others, or all in their order where they do not fit there.
    private int PutSplit(ulong address, ReadOnlySpan<byte> frame, int from, ReadOnlySpan<int> buffers, in About about)
    {
        Span<ulong> places = stackalloc ulong[SplitBuffers];
        places.Clear();
        _memory.TryRead(address, System.Runtime.InteropServices.MemoryMarshal.AsBytes(places));
        var splits = from == 0 && about.HeaderLength > 0 && about.HeaderLength <= buffers[0];
        Span<ushort> lengths = stackalloc ushort[SplitBuffers];
        lengths.Clear();
        var done = 0;
        for (var i = 0; i < SplitBuffers && from + done < frame.Length; i++)
        {
            // Only the first part of a frame has headers; what follows it goes to the buffers for data.
            var most = i > 0 ? buffers[i] : splits ? about.HeaderLength : from == 0 ? buffers[0] : 0;
            var part = frame.Slice(from + done, Math.Min(most, frame.Length - from - done));
            if (!part.IsEmpty) _memory.TryWrite(places[i], part);
            lengths[i] = (ushort)part.Length;
            done += part.Length;
        }
        Span<byte> rest = stackalloc byte[SplitDescriptorLength - 12];
        rest.Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(rest, lengths[0]);
        BinaryPrimitives.WriteUInt16LittleEndian(rest[2..], about.Tag);
        BinaryPrimitives.WriteUInt16LittleEndian(rest[4..], splits ? (ushort)(HeaderWasSplit | about.HeaderLength) : (ushort)0);
        for (var i = 1; i < SplitBuffers; i++) BinaryPrimitives.WriteUInt16LittleEndian(rest[(4 + (2 * i))..], lengths[i]);
        _memory.TryWrite(address, FirstWords(about));
        _memory.TryWrite(address + 12, rest);
        _memory.TryWrite(address + 8, StatusWord(about, from + done == frame.Length));
        return done;
    }

    // The kind of hash and the ring, and the hash; or the packet's sum and IPv4's identification (82574: RXCSUM.PCSD).
    private ulong FirstWords(in About about) => about.HashKind | (uint)about.Ring << 8
        | (ulong)((_registers[RXCSUM] & NoPacketChecksum) != 0 ? about.Hash : about.Identification | (uint)about.Sum << 16) << 32;

    private static uint StatusWord(in About about, bool isLast) => ReceivedDone | (isLast ? ReceivedEnd | about.Status | about.Errors << 24 : 0);

    private void CountReceived(ReadOnlySpan<byte> frame, uint octets)
    {
        _registers.Count(GPRC);
        _registers.Count(TPR);
        _registers.CountOctets(GORCL, octets);
        _registers.CountOctets(TORL, octets);
        if ((frame[0] & 1) != 0) _registers.Count(frame[..6].IndexOfAnyExcept((byte)0xff) < 0 ? BPRC : MPRC);
        _registers.Count(PRC64 + SizeClass(octets));
    }

    private enum DescriptorKind
    {
        Legacy,
        Extended,
        Split,
    }

    // What a descriptor says of a frame.
    private struct About
    {
        internal uint Status, Errors, HashKind, Hash;
        internal int Ring, HeaderLength;
        internal ushort Tag, Sum, Identification;
    }

    // What comes for the guest waits in its backend, as where the guest has no room.
    private sealed class ArrivingFrames(INetBackend backend) : IHeldBack
    {
        public void HoldBack()
        {
        }

        public void GoOn() => backend.ReadyToReceive();
    }
}
