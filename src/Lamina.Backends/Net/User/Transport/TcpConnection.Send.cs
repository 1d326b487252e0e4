// Segments to the guest: within its window and a congestion window (RFC 5681), measured and timed (RFC 6298); what is sent
// again is in TcpConnection.Recovery. Data stays in the buffer until it is acknowledged. Large segments are left to the guest to cut.
using System.Buffers.Binary;
using Lamina.Backends.Net.Wire;

namespace Lamina.Backends.Net.User.Transport;

internal sealed partial class TcpConnection
{
    private const int LeastMss = 64, MostSegment = 65160, MostCongestionWindow = 8 << 20;
    private const long FirstTimeout = 1000, LeastTimeout = 200, MostTimeout = 60_000;
    private const int MostRetries = 10, MostSynRetries = 6;

    private readonly ByteRing _toGuest;
    private readonly uint _iss;
    private readonly int _ourMss;

    // _sndMax: the highest sequence number that was ever sent; _sndNxt goes back when segments are sent again.
    private uint _sndUna, _sndNxt, _sndMax, _sndWnd, _sndWl1, _sndWl2;
    private int _sndScale, _mss, _cwnd, _ssthresh = MostCongestionWindow, _retries;
    private bool _finAcknowledged, _finishedFirst;

    // RFC 6298: smoothed time, variation; the segment that is being timed.
    private long _srtt = -1, _rttvar, _timeout = FirstTimeout, _timedAt;
    private uint _timedSequence;
    private bool _isTiming;

    // Behind the last byte that is in the buffer: the FIN's sequence number, once the host has ended.
    private uint DataEnd => _sndUna + (uint)_toGuest.Count;

    /// <summary>Sends what may be sent.</summary>
    internal void Output()
    {
        if (State != TcpState.Established) return;
        ReadHost();
        if (State != TcpState.Established) return;
        while (!_finAcknowledged)
        {
            var unsent = (int)(DataEnd - _sndNxt);
            if (unsent < 0 || (unsent == 0 && !_hostEnded)) return;
            var inFlight = (int)(_sndNxt - _sndUna);
            var window = (int)Math.Min((long)_sndWnd - inFlight, (long)_cwnd - UnderWay);
            var length = Math.Min(unsent, Math.Min(window, LongestSegment));
            if (unsent != 0 && length <= 0)
            {
                // Nothing in flight will bring news of a window that is shut: it has to be asked for (RFC 9293, 3.8.6.1).
                if (Deadline == long.MaxValue) StartTimer();
                return;
            }
            // RFC 9293, 3.8.6.2.1: no small segment because of a small window while an answer is still to come.
            if (length < _mss && length < unsent && inFlight > 0) return;
            if (length > _mss && length < unsent) length -= length % _mss;
            if (!SendData(length, unsent)) return;
        }
    }

    /// <summary>The time is up: sends again, asks again, or gives up.</summary>
    internal void Expire()
    {
        StopTimer();
        if (State is TcpState.TimeWait)
        {
            Close();
            return;
        }
        // Where the guest cannot take frames at all, it is not the network that loses them.
        if (_context.Link.HasRoom && ++_retries > (State == TcpState.Established ? MostRetries : MostSynRetries))
        {
            Reset();
            return;
        }
        _isTiming = false;
        _timeout = Math.Min(_timeout * 2, MostTimeout);
        if (State is TcpState.SynSent or TcpState.SynReceived) SendSyn();
        else if (_sndWnd == 0 && _toGuest.Count != 0) Probe();
        else if (_sndUna != _sndMax) SendAllAgain();
    }

    /// <summary>A neighbour is known now that was not: the SYN that was lost is sent again at once.</summary>
    internal void Retry()
    {
        if (State == TcpState.SynSent) SendSyn();
    }

    private int LongestSegment => _context.Link.Offloads.HasFlag(_key.Guest.IsV4 ? Core.Net.NetOffloads.Tcp4Segmentation : Core.Net.NetOffloads.Tcp6Segmentation)
        ? Math.Max(_mss, MostSegment)
        : _mss;

    // RFC 6928
    private static int InitialWindow(int mss) => 10 * mss;

    private bool SendData(int length, int unsent)
    {
        var isFin = _hostEnded && length == unsent;
        var flags = (byte)(Tcp.Ack | (length == unsent && length != 0 ? Tcp.Psh : 0) | (isFin ? Tcp.Fin : 0));
        if (!Emit(flags, _sndNxt, length, mayWait: false))
        {
            _table.WaitForRoom(this);
            return false;
        }
        // Karn: what was sent before is not timed.
        if (!_isTiming && _sndNxt == _sndMax) (_isTiming, _timedSequence, _timedAt) = (true, _sndNxt + (uint)length, _context.Now());
        _sndNxt += (uint)length + (isFin ? 1u : 0);
        _sndMax = SequenceNumber.Later(_sndMax, _sndNxt);
        if (Deadline == long.MaxValue) StartTimer();
        return true;
    }

    private void Probe()
    {
        if (Emit(Tcp.Ack, _sndUna, 1, mayWait: true)) _sndMax = SequenceNumber.Later(_sndMax, _sndUna + 1);
        StartTimer();
    }

    // RFC 9293, 3.10.7.4, fifth: false where the segment is to be dropped.
    private bool ReceiveAcknowledgement(in TcpSegment segment)
    {
        var ack = segment.Acknowledgement;
        if (SequenceNumber.IsBefore(_sndMax, ack))
        {
            // Of something that was never sent.
            if (State == TcpState.SynReceived) SendReset(ack);
            else SendAcknowledgement();
            return false;
        }
        if (State == TcpState.SynReceived)
        {
            if (ack != _iss + 1) return false;
            _sndUna = ack;
            Establish();
        }
        var window = (uint)segment.Window << _sndScale;
        var tellsNews = ReadBlocks(segment.SackBlocks);
        if (SequenceNumber.IsBefore(_sndUna, ack)) Advance(ack);
        else if (ack == _sndUna && _sndUna != _sndNxt && (_sackPermitted ? tellsNews : segment.Length == 0 && window == _sndWnd)) ReceiveDuplicate();
        if (SequenceNumber.IsBefore(_sndWl1, segment.Sequence) || (_sndWl1 == segment.Sequence && SequenceNumber.IsAtMost(_sndWl2, ack)))
        {
            // A guest that answers with a window of zero is there, and will be asked for as long as it is.
            if (window == 0) _retries = 0;
            if (_sndWnd == 0 && window != 0 && _sndUna == _sndMax) StopTimer();
            (_sndWnd, _sndWl1, _sndWl2) = (window, segment.Sequence, ack);
        }
        return true;
    }

    private void Advance(uint ack)
    {
        var count = ack - _sndUna;
        Measure(ack);
        if (_hostEnded && ack == DataEnd + 1) _finAcknowledged = true;
        _toGuest.Drop((int)Math.Min(count, (uint)_toGuest.Count));
        _sndUna = ack;
        _sndNxt = SequenceNumber.Later(_sndNxt, ack);
        _sacked.Advance(ack);
        _retries = 0;
        if (_isRecovering) Recover(ack, count);
        else
        {
            _duplicates = 0;
            // RFC 5681, 3.1: slow start, then an MSS a round trip.
            _cwnd = Math.Min(MostCongestionWindow, _cwnd + (_cwnd < _ssthresh ? (int)Math.Min(count, MostSegment) : (int)Math.Max(1, (long)_mss * Math.Min(count, (uint)_cwnd) / _cwnd)));
        }
        StopTimer();
        if (_sndUna != _sndMax) StartTimer();
    }

    // RFC 6298, 2, in milliseconds.
    private void Measure(uint ack)
    {
        if (!_isTiming || SequenceNumber.IsBefore(ack, _timedSequence)) return;
        _isTiming = false;
        var time = Math.Max(_context.Now() - _timedAt, 1);
        (_rttvar, _srtt) = _srtt < 0 ? (time / 2, time) : ((3 * _rttvar + Math.Abs(_srtt - time)) / 4, (7 * _srtt + time) / 8);
        _timeout = Math.Clamp(_srtt + Math.Max(1, 4 * _rttvar), LeastTimeout, MostTimeout);
    }

    private void StartTimer() => SetDeadline(_context.Now() + _timeout);

    private void StopTimer() => Deadline = long.MaxValue;

    private void SendSyn()
    {
        _ = Emit((byte)(Tcp.Syn | (State == TcpState.SynSent ? 0 : Tcp.Ack)), _iss, 0, mayWait: true);
        _sndNxt = _sndMax = _iss + 1;
        StartTimer();
    }

    private void SendAcknowledgement() => _ = Emit(Tcp.Ack, State is TcpState.Established ? _sndNxt : _sndMax, 0, mayWait: true);

    private void SendReset() => _ = Emit(State == TcpState.SynSent ? Tcp.Rst : (byte)(Tcp.Rst | Tcp.Ack), _sndNxt, 0, mayWait: true);

    private void SendReset(uint sequence) => _ = Emit(Tcp.Rst, sequence, 0, mayWait: true);

    private bool Emit(byte flags, uint sequence, int length, bool mayWait)
    {
        var isSyn = (flags & Tcp.Syn) != 0;
        Span<byte> options = stackalloc byte[Tcp.MostOptions];
        options = options[..(isSyn ? WriteSynOptions(options) : length == 0 && (flags & Tcp.Rst) == 0 ? WriteBlocks(options) : 0)];
        var header = Tcp.HeaderLength + options.Length;
        var segment = _context.Link.Payload(_key.Guest.IsV4, header + length);
        TcpHeader.Write(segment, _key, sequence, (flags & Tcp.Ack) != 0 ? _rcvNxt : 0, flags, header);
        BinaryPrimitives.WriteUInt16BigEndian(segment[14..], TellWindow(isSyn));
        options.CopyTo(segment[Tcp.HeaderLength..]);
        if (length != 0) _toGuest.CopyTo((int)(sequence - _sndUna), segment[header..]);
        var how = new SendOptions(Tcp.ChecksumAt, length > _mss ? _mss : 0, header, MayWait: mayWait);
        if (!_context.Link.Send(_key.Peer, _key.Guest, IpProtocol.Tcp, header + length, how)) return false;
        if ((flags & Tcp.Ack) != 0) _ackDue = false;
        return true;
    }

    // A SYN has the MSS, and what else the other has not gone without.
    private int WriteSynOptions(Span<byte> options)
    {
        (options[0], options[1]) = (Tcp.OptionMss, 4);
        BinaryPrimitives.WriteUInt16BigEndian(options[2..], (ushort)_ourMss);
        var length = 4;
        if (State == TcpState.SynSent || _rcvScale != 0) length += Put(options[length..], Tcp.OptionNop, Tcp.OptionWindowScale, 3, OurWindowScale);
        if (State == TcpState.SynSent || _sackPermitted) length += Put(options[length..], Tcp.OptionNop, Tcp.OptionNop, Tcp.OptionSackPermitted, 2);
        return length;
    }

    // What came behind a gap. RFC 2018, 3 and 4: the range of the newest segment first.
    private int WriteBlocks(Span<byte> options)
    {
        if (!_sackPermitted || _early.Bytes == 0) return 0;
        Span<(uint Start, uint End)> ranges = stackalloc (uint, uint)[Tcp.MostSackBlocks];
        ranges = ranges[.._early.Ranges(_rcvNxt, _earlyNewest, ranges)];
        if (ranges.IsEmpty) return 0;
        var length = Put(options, Tcp.OptionNop, Tcp.OptionNop, Tcp.OptionSack, (byte)(2 + ranges.Length * Tcp.SackBlockLength));
        foreach (var (start, end) in ranges)
        {
            BinaryPrimitives.WriteUInt32BigEndian(options[length..], start);
            BinaryPrimitives.WriteUInt32BigEndian(options[(length + 4)..], end);
            length += Tcp.SackBlockLength;
        }
        return length;
    }

    private static int Put(Span<byte> options, byte first, byte second, byte third, byte fourth)
    {
        (options[0], options[1], options[2], options[3]) = (first, second, third, fourth);
        return 4;
    }

    private ushort TellWindow(bool isSyn)
    {
        if (isSyn)
        {
            var window = (ushort)Math.Min(Buffers.Limit, ushort.MaxValue);
            _rcvEnd = SequenceNumber.Later(_rcvEnd, _rcvNxt + window);
            return window;
        }
        _rcvEnd = SequenceNumber.Later(_rcvEnd, _rcvNxt + AvailableWindow());
        return (ushort)Math.Min((_rcvEnd - _rcvNxt) >> _rcvScale, ushort.MaxValue);
    }
}
