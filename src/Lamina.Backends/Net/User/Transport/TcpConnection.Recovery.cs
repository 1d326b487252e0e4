// What the guest's acknowledgements say of lost segments, and what is sent again: by selective acknowledgements where the
// guest has them (RFC 2018, RFC 6675), else by counting duplicates (RFC 6582); after a time-out from the first (RFC 5681, 3.1).
using System.Buffers.Binary;
using Lamina.Backends.Net.Wire;

namespace Lamina.Backends.Net.User.Transport;

internal sealed partial class TcpConnection
{
    private const int DuplicatesForRetransmit = 3;

    private readonly Scoreboard _sacked = new();

    // Both ends said that they know selective acknowledgements.
    private bool _sackPermitted;

    // _recover: what had been sent when the loss was noticed; _sentAgain: up to where it was sent again since.
    private uint _recover, _sentAgain;
    private int _duplicates;
    private bool _isRecovering;

    // Bytes that count against the congestion window.
    private int UnderWay => _isRecovering && _sackPermitted ? _sacked.Pipe(_sndUna, _sndMax, _sentAgain, _mss) : (int)(_sndNxt - _sndUna);

    // Whether a segment's blocks say anything new. RFC 2018, 3.
    private bool ReadBlocks(ReadOnlySpan<byte> blocks)
    {
        var isNew = false;
        if (!_sackPermitted) return false;
        for (; blocks.Length >= Tcp.SackBlockLength; blocks = blocks[Tcp.SackBlockLength..])
            isNew |= _sacked.Add(BinaryPrimitives.ReadUInt32BigEndian(blocks), BinaryPrimitives.ReadUInt32BigEndian(blocks[4..]), _sndUna, _sndMax);
        return isNew;
    }

    // RFC 6675, 5, and RFC 6582, 3.2
    private void ReceiveDuplicate()
    {
        if (_isRecovering)
        {
            if (_sackPermitted) SendLostAgain();
            else _cwnd = Math.Min(MostCongestionWindow, _cwnd + _mss);
            return;
        }
        _duplicates++;
        var isLoss = _sackPermitted ? _duplicates >= DuplicatesForRetransmit || _sacked.IsLost(_sndUna, _mss) : _duplicates == DuplicatesForRetransmit;
        if (!isLoss || SequenceNumber.IsBefore(_sndUna, _recover)) return;
        _recover = _sndMax;
        _ssthresh = Math.Max((int)(_sndMax - _sndUna) / 2, 2 * _mss);
        _cwnd = _sackPermitted ? _ssthresh : _ssthresh + DuplicatesForRetransmit * _mss;
        _isRecovering = true;
        SendFirstAgain();
        if (_sackPermitted) SendLostAgain();
    }

    // Something was acknowledged during a recovery.
    private void Recover(uint ack, uint count)
    {
        if (!SequenceNumber.IsBefore(ack, _recover))
        {
            (_isRecovering, _duplicates, _cwnd) = (false, 0, _ssthresh);
            return;
        }
        if (_sackPermitted)
        {
            _sentAgain = SequenceNumber.Later(_sentAgain, ack);
            SendLostAgain();
            return;
        }
        _cwnd = Math.Max(_mss, _cwnd - (int)Math.Min(count, (uint)_cwnd) + _mss);
        SendFirstAgain();
    }

    private void SendLostAgain()
    {
        for (var underWay = UnderWay; _cwnd - underWay >= _mss && _sacked.TryFindLost(_sentAgain, _mss, out var start, out var length); underWay += length)
        {
            if (!SendAgain(start, length)) return;
            _sentAgain = start + (uint)length;
        }
    }

    private void SendFirstAgain()
    {
        var length = Math.Min(_mss, _toGuest.Count);
        _ = SendAgain(_sndUna, length);
        _sentAgain = _sndUna + (uint)length;
    }

    private bool SendAgain(uint start, int length)
    {
        _isTiming = false;
        // The FIN's number lies behind the data, and may be all that is asked for. What was never sent is not sent here: the window may
        // be shut for it, and an acknowledgement of it would not be believed.
        length = (int)Math.Min((uint)length, Math.Min(DataEnd - start, _sndMax - start));
        var isFin = _hostEnded && start + (uint)length == DataEnd && SequenceNumber.IsBefore(DataEnd, _sndMax);
        return Emit((byte)(Tcp.Ack | (isFin ? Tcp.Fin : 0)), start, length, mayWait: true);
    }

    // RFC 5681, 3.1 (a time-out), RFC 6582, 4 and RFC 6675, 5.1.
    private void SendAllAgain()
    {
        _ssthresh = Math.Max((int)(_sndMax - _sndUna) / 2, 2 * _mss);
        _cwnd = _mss;
        _recover = _sndMax;
        (_isRecovering, _duplicates) = (false, 0);
        _sacked.Clear();
        _sndNxt = _sndUna;
        Output();
        if (Deadline == long.MaxValue) StartTimer();
    }
}
