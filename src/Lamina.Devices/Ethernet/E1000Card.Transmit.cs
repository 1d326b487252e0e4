// Sending: descriptors of a ring are put together to frames (82540EM: 3.3), with sums, segments and tags as the driver wants them. Work that what
// the card is plugged into can do is left to it. On the worker, with _sending held; registers are read one at a time, and rings that are at
// work are not moved (Write).
using System.Buffers.Binary;
using Lamina.Core.Limits;
using Lamina.Core.Net;
using Lamina.Core.Work;
using static Lamina.Devices.Ethernet.E1000Spec;

namespace Lamina.Devices.Ethernet;

public sealed partial class E1000Card
{
    // So much at once, before others have their turn: frames, and descriptors, which need not end a frame. A segment of fewer bytes makes too many.
    private const int FramesAtOnce = 128, DescriptorsAtOnce = 4096, LeastSegment = 32;

    private readonly TransmitRing[] _rings;
    private readonly HeldSender _held;
    private readonly FrameSink _sendSegment;
    private readonly byte[] _segment = new byte[byte.MaxValue + PacketHeaders.TagLength + ushort.MaxValue];

    private void Transmit()
    {
        var more = true;
        while (more)
        {
            lock (_sending)
            {
                more = false;
                foreach (var ring in _rings) more |= Transmit(ring);
                _backend.Flush();
            }
        }
    }

    // Whether there is more.
    private bool Transmit(TransmitRing ring)
    {
        var at = TDBAL + (ring.Index * RingStride);
        var (done, more) = (new RingProgress(), false);
        var frames = 0;
        Span<ulong> descriptor = stackalloc ulong[2];
        for (var i = 0; i < DescriptorsAtOnce; i++)
        {
            var size = _registers[at + TDLEN - TDBAL] / DescriptorLength;
            var (head, tail) = (_registers[at + TDH - TDBAL], _registers[at + TDT - TDBAL]);
            if (_paused || !_isMaster || (_registers[TCTL] & TransmitEnable) == 0 || head == tail || head >= size || tail >= size) break;
            if (!ring.HasBegun && _options.Sending?.TryPass(_held) == false) break;
            var address = AddressOf(at) + (head * DescriptorLength);
            if (!_memory.TryRead(address, System.Runtime.InteropServices.MemoryMarshal.AsBytes(descriptor))) break;
            Take(ring, descriptor[0], descriptor[1]);
            var command = (uint)descriptor[1];
            if ((command & ReportStatus) != 0)
            {
                _memory.TryWrite(address + 12, (uint)(descriptor[1] >> 32) | DescriptorDone);
                done.Reports(command);
            }
            _registers[at + TDH - TDBAL] = head + 1 == size ? 0 : head + 1;
            done.IsEmpty = _registers[at + TDH - TDBAL] == tail;
            if (!ring.HasBegun) frames++;
            more = !done.IsEmpty && (frames == FramesAtOnce || i == DescriptorsAtOnce - 1);
            if (more) break;
        }
        Tell(ring, done);
        return more;
    }

    private void Tell(TransmitRing ring, in RingProgress done)
    {
        if (!done.ReportsNow && !done.ReportsLater && !done.IsEmpty) return;
        lock (_gate)
        {
            var ofRing = _model.IsExpress ? TransmitQueue << ring.Index : 0;
            if (done.ReportsLater) RaiseLater(_sentLater, TransmitWrittenBack | ofRing, _registers[TIDV], _registers[TADV]);
            var causes = (done.ReportsNow ? TransmitWrittenBack | ofRing : 0) | (done.IsEmpty ? TransmitQueueEmpty : 0);
            if (causes != 0) Raise(causes);
        }
    }

    private void Take(TransmitRing ring, ulong low, ulong high)
    {
        var command = (uint)high;
        var isExtended = (command & Extension) != 0;
        if (isExtended && (command & DescriptorType) != DataType)
        {
            // Two contexts are kept (3.3.6): of frames that are cut, and of others.
            if ((command & Segment) != 0) ring.SegmentContext = new TransmitContext(low, high);
            else ring.Context = new TransmitContext(low, high);
            return;
        }
        if (!ring.HasBegun) (ring.HasBegun, ring.Command, ring.Options) = (true, command, (uint)(high >> 32));
        var length = (int)(command & (isExtended ? LengthMask : ushort.MaxValue));
        var room = ring.Extend(length);
        // A buffer that is nowhere spoils its frame.
        if (!room.IsEmpty && !_memory.TryRead(low, room)) ring.IsTooLong = true;
        if ((command & EndOfPacket) == 0) return;
        if (ring.IsTooLong || ring.Length < PacketHeaders.EthernetLength) Drop();
        else Send(ring, command, (uint)(high >> 32), isExtended);
        ring.Begin();
    }

    private void Send(TransmitRing ring, uint lastCommand, uint lastOptions, bool isExtended)
    {
        var isCut = isExtended && (ring.Command & Segment) != 0;
        if ((_registers[TCTL] & PadShortPackets) != 0 && ring.Length < ShortestFrame) ring.Extend(ShortestFrame - ring.Length).Clear();
        var frame = ring.Bytes.Slice(PacketHeaders.TagLength, ring.Length);
        var shift = 0;
        if ((lastCommand & VlanTag) != 0 && (_registers[CTRL] & CtrlVlan) != 0)
        {
            frame[..PacketHeaders.TypeAt].CopyTo(ring.Bytes);
            frame = ring.Bytes[..(PacketHeaders.TagLength + ring.Length)];
            shift = PacketHeaders.TagLength;
            BinaryPrimitives.WriteUInt16BigEndian(frame[PacketHeaders.TypeAt..], (ushort)_registers[VET]);
            BinaryPrimitives.WriteUInt16BigEndian(frame[(PacketHeaders.TypeAt + 2)..], (ushort)(lastOptions >> 16));
        }
        _options.Sending?.Charge((ulong)frame.Length);
        if (isCut)
        {
            SendSegments(frame, ring.SegmentContext, shift);
            return;
        }
        var offload = default(FrameOffload);
        if (isExtended && (ring.Options & InsertIpChecksum) != 0) PutSum(frame, ring.Context.NetworkSum, shift);
        if (isExtended && (ring.Options & InsertTransportChecksum) != 0) offload = LeaveSum(frame, ring.Context.TransportSum, shift);
        // A legacy descriptor has the places itself (3.3.3).
        if (!isExtended && (lastCommand & InsertChecksum) != 0) offload = LeaveSum(frame, ((int)(lastOptions >> 8 & 0xff), (int)(lastCommand >> 16 & 0xff), 0), shift);
        CountSent(frame, 1, frame.Length);
        if (_isPlugged) _backend.Send(frame, offload);
    }

    // The sum that stands there already, as of a pseudo header, is a part of it.
    private static void PutSum(Span<byte> frame, (int Start, int At, int End) sum, int shift)
    {
        var (start, at, end) = (sum.Start + shift, sum.At + shift, sum.End == 0 ? frame.Length : Math.Min(frame.Length, sum.End + 1 + shift));
        if (start < end && at + 2 <= frame.Length) BinaryPrimitives.WriteUInt16BigEndian(frame[at..], InternetChecksum.Finish(InternetChecksum.Add(0, frame[start..end])));
    }

    private FrameOffload LeaveSum(Span<byte> frame, (int Start, int At, int End) sum, int shift)
    {
        var (start, at) = (sum.Start + shift, sum.At + shift);
        if (sum.End == 0 && _backend.Offloads.HasFlag(NetOffloads.Checksum) && start >= PacketHeaders.EthernetLength && at >= start && at + 2 <= frame.Length)
            return new FrameOffload { NeedsChecksum = true, ChecksumStart = (ushort)start, ChecksumOffset = (ushort)(at - start) };
        PutSum(frame, sum, shift);
        return default;
    }

    private void SendSegments(Span<byte> frame, in TransmitContext context, int shift)
    {
        const byte windowReduced = 0x80;
        var (network, headerLength, size) = (context.NetworkSum.Start + shift, context.HeaderLength + shift, context.SegmentSize);
        FrameSegmenter.PutLength(frame, network);
        var headers = PacketHeaders.At(frame, network);
        if (size < LeastSegment || !FrameSegmenter.CanCut(headers, headerLength, frame.Length))
        {
            lock (_gate) _registers.Count(TSCTFC);
            Drop();
            return;
        }
        var segments = Math.Max(1, (frame.Length - headerLength + size - 1) / size);
        CountSent(frame, segments, frame.Length + ((segments - 1) * headerLength));
        lock (_gate) _registers.Count(TSCTC);
        if (!_isPlugged) return;
        var isTcp = headers.Protocol == PacketHeaders.Tcp;
        var isReduced = isTcp && (frame[headers.Transport + 13] & windowReduced) != 0;
        var needed = NetOffloads.Checksum | (headers.IsIpv4 ? NetOffloads.Tcp4Segmentation : NetOffloads.Tcp6Segmentation) | (isReduced ? NetOffloads.Ecn : 0);
        if (!isTcp || headers.End != frame.Length || segments == 1 || (_backend.Offloads & needed) != needed)
        {
            FrameSegmenter.Cut(frame, headers, headerLength, size, _segment, _sendSegment);
            return;
        }
        if (headers.IsIpv4) FrameSegmenter.PutNetworkSum(frame, network);
        // What is left to do begins with the sum of the pseudo header.
        BinaryPrimitives.WriteUInt16BigEndian(frame[headers.ChecksumAt..], InternetChecksum.Fold(headers.PseudoSum(frame, frame.Length - headers.Transport)));
        _backend.Send(frame, new FrameOffload
        {
            NeedsChecksum = true,
            ChecksumStart = (ushort)headers.Transport,
            ChecksumOffset = (ushort)(headers.ChecksumAt - headers.Transport),
            Segmentation = needed & (NetOffloads.Tcp4Segmentation | NetOffloads.Tcp6Segmentation),
            SegmentSize = (ushort)size,
            HeaderLength = (ushort)headerLength,
            Ecn = isReduced,
        });
    }

    private void CountSent(ReadOnlySpan<byte> frame, int frames, int octets)
    {
        lock (_gate)
        {
            var whole = (uint)(Math.Max(ShortestFrame, frame.Length) + CrcLength);
            var (count, all) = ((uint)frames, (uint)(octets + (frames * CrcLength)));
            _registers.Count(GPTC, count);
            _registers.Count(TPT, count);
            _registers.CountOctets(GOTCL, all);
            _registers.CountOctets(TOTL, all);
            if ((frame[0] & 1) != 0) _registers.Count(frame[..6].IndexOfAnyExcept((byte)0xff) < 0 ? BPTC : MPTC, count);
            _registers.Count(PTC64 + SizeClass(frames == 1 ? whole : LongestUsual), count);
        }
    }

    // Which of six counters a length belongs to: 64, to 127, 255, 511, 1023, above.
    private static int SizeClass(uint length) => sizeof(uint) * (length <= 64 ? 0 : Math.Clamp(System.Numerics.BitOperations.Log2(length) - 5, 1, 5));

    private void Drop() => Interlocked.Increment(ref _dropped);

    private struct RingProgress
    {
        internal bool ReportsNow, ReportsLater, IsEmpty;

        internal void Reports(uint command)
        {
            if ((command & DelayInterrupt) != 0) ReportsLater = true;
            else ReportsNow = true;
        }
    }

    // The worker looks again when the limit lets it.
    private sealed class HeldSender(IWorker sender) : IHeldBack
    {
        public void HoldBack()
        {
        }

        public void GoOn() => sender.Wake();
    }
}
