// Segments to the guest: within its window and a congestion window (RFC 5681, RFC 6582), measured, timed and sent again
// (RFC 6298). Data stays in the buffer until it is acknowledged. Large segments are left to the guest to cut.
using System.Buffers.Binary;
using Lamina.Backends.Net.Wire;

namespace Lamina.Backends.Net.User.Transport;

internal sealed partial class TcpConnection
{
    private const int LeastMss = 64, MostSegment = 65160, MostCongestionWindow = 8 << 20;
    private const long FirstTimeout = 1000, LeastTimeout = 200, MostTimeout = 60_000;
    private const int MostRetries = 10, MostSynRetries = 6, DuplicatesForRetransmit = 3;

    private readonly ByteRing _toGuest = new();
    private readonly uint _iss;
    private readonly int _ourMss;

    // _sndMax: the highest sequence number that was ever sent; _sndNxt goes back when segments are sent again.
    private uint _sndUna, _sndNxt, _sndMax, _sndWnd, _sndWl1, _sndWl2, _recover;
    private int _sndScale, _mss, _cwnd, _ssthresh = MostCongestionWindow, _duplicates, _retries;
    private bool _finAcknowledged, _finishedFirst, _isRecovering;

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
            var window = (int)Math.Min(_sndWnd, (uint)_cwnd) - inFlight;
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
        else if (_sndUna != _sndMax) SendAgain();
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

    // RFC 5681, 3.1 (a time-out) and RFC 6582, 4.
    private void SendAgain()
    {
        _ssthresh = Math.Max((int)(_sndMax - _sndUna) / 2, 2 * _mss);
        _cwnd = _mss;
        _recover = _sndMax;
        (_isRecovering, _duplicates) = (false, 0);
        _sndNxt = _sndUna;
        Output();
        if (Deadline == long.MaxValue) StartTimer();
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
        if (SequenceNumber.IsBefore(_sndUna, ack)) Advance(ack);
        else if (ack == _sndUna && segment.Length == 0 && window == _sndWnd && _sndUna != _sndNxt) ReceiveDuplicate();
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

    // RFC 6582, 3.2
    private void ReceiveDuplicate()
    {
        if (_isRecovering)
        {
            _cwnd = Math.Min(MostCongestionWindow, _cwnd + _mss);
            return;
        }
        if (++_duplicates != DuplicatesForRetransmit || SequenceNumber.IsBefore(_sndUna, _recover)) return;
        _recover = _sndMax;
        _ssthresh = Math.Max((int)(_sndMax - _sndUna) / 2, 2 * _mss);
        _cwnd = _ssthresh + DuplicatesForRetransmit * _mss;
        _isRecovering = true;
        SendFirstAgain();
    }

    private void Recover(uint ack, uint count)
    {
        if (!SequenceNumber.IsBefore(ack, _recover))
        {
            (_isRecovering, _duplicates, _cwnd) = (false, 0, _ssthresh);
            return;
        }
        _cwnd = Math.Max(_mss, _cwnd - (int)Math.Min(count, (uint)_cwnd) + _mss);
        SendFirstAgain();
    }

    private void SendFirstAgain()
    {
        _isTiming = false;
        var length = Math.Min(_mss, _toGuest.Count);
        var isFin = _hostEnded && length == _toGuest.Count;
        _ = Emit((byte)(Tcp.Ack | (isFin ? Tcp.Fin : 0)), _sndUna, length, mayWait: true);
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
        // A SYN has the MSS, and a window scale where the other has not gone without.
        var withScale = isSyn && (State == TcpState.SynSent || _rcvScale != 0);
        var header = Tcp.HeaderLength + (isSyn ? 4 : 0) + (withScale ? 4 : 0);
        var segment = _context.Link.Payload(_key.Guest.IsV4, header + length);
        TcpHeader.Write(segment, _key, sequence, (flags & Tcp.Ack) != 0 ? _rcvNxt : 0, flags, header);
        BinaryPrimitives.WriteUInt16BigEndian(segment[14..], TellWindow(isSyn));
        if (isSyn)
        {
            (segment[20], segment[21]) = (Tcp.OptionMss, 4);
            BinaryPrimitives.WriteUInt16BigEndian(segment[22..], (ushort)_ourMss);
        }
        if (withScale) (segment[24], segment[25], segment[26], segment[27]) = (Tcp.OptionNop, Tcp.OptionWindowScale, 3, OurWindowScale);
        if (length != 0) _toGuest.CopyTo((int)(sequence - _sndUna), segment[header..]);
        var options = new SendOptions(Tcp.ChecksumAt, length > _mss ? _mss : 0, header, MayWait: mayWait);
        if (!_context.Link.Send(_key.Peer, _key.Guest, IpProtocol.Tcp, header + length, options)) return false;
        if ((flags & Tcp.Ack) != 0) _ackDue = false;
        return true;
    }

    private ushort TellWindow(bool isSyn)
    {
        if (isSyn)
        {
            _rcvEnd = SequenceNumber.Later(_rcvEnd, _rcvNxt + ushort.MaxValue);
            return ushort.MaxValue;
        }
        _rcvEnd = SequenceNumber.Later(_rcvEnd, _rcvNxt + AvailableWindow());
        return (ushort)Math.Min((_rcvEnd - _rcvNxt) >> _rcvScale, ushort.MaxValue);
    }
}
