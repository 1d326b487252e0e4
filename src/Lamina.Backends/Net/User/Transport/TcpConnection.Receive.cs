// Segments from the guest (RFC 9293, 3.10.7; RFC 5961 for resets that are guessed): data in order goes straight to the
// host's socket, what the socket does not take waits, and what comes too early waits for the rest.
using Lamina.Backends.Net.Wire;
using Lamina.Host.Net;

namespace Lamina.Backends.Net.User.Transport;

internal sealed partial class TcpConnection
{
    private readonly ByteRing _toHost;
    private readonly OutOfOrder _early;

    private uint _irs, _rcvNxt;

    // The end of the window that the guest was told of. It never moves back (RFC 9293, 3.8.6), but where there is no memory.
    private uint _rcvEnd;
    private int _rcvScale;
    private bool _finReceived, _ackDue;
    private uint? _earlyFin;

    // Where the segment begins that came last behind a gap.
    private uint _earlyNewest;

    /// <summary>Takes a segment of the guest's.</summary>
    internal void Receive(in TcpSegment segment)
    {
        switch (State)
        {
            case TcpState.Connecting:
                // The guest asks again, or no longer.
                if (segment.Has(Tcp.Rst)) Abandon();
                return;
            case TcpState.SynSent:
                ReceiveAnswer(segment);
                return;
            case TcpState.SynReceived when segment.Has(Tcp.Syn) && segment.Sequence == _irs:
                SendSyn();
                return;
            case TcpState.Closed:
                return;
        }
        if (!IsAcceptable(segment))
        {
            if (!segment.Has(Tcp.Rst)) SendAcknowledgement();
            return;
        }
        if (segment.Has(Tcp.Rst))
        {
            // RFC 5961, 3.2: one that only falls into the window may be a guess.
            if (segment.Sequence == _rcvNxt) Abandon();
            else SendAcknowledgement();
            return;
        }
        if (segment.Has(Tcp.Syn))
        {
            // RFC 5961, 4.2
            SendAcknowledgement();
            return;
        }
        if (!segment.Has(Tcp.Ack) || !ReceiveAcknowledgement(segment)) return;
        if (State == TcpState.TimeWait)
        {
            if (segment.Length != 0) SendAcknowledgement();
            return;
        }
        ReceiveData(segment);
        if (State != TcpState.Established) return;
        WriteHost();
        if (State == TcpState.Established) Output();
        AfterProgress();
    }

    /// <summary>Whether a SYN may begin a new connection in place of this one, which is over. RFC 9293, 3.10.7.4 (TIME-WAIT).</summary>
    internal bool GivesWayTo(in TcpSegment segment) =>
        State == TcpState.TimeWait && segment.Has(Tcp.Syn) && !segment.Has(Tcp.Ack) && SequenceNumber.IsBefore(_rcvNxt, segment.Sequence);

    private void ReadSyn(in TcpSegment syn)
    {
        (_irs, _rcvNxt, _rcvEnd) = (syn.Sequence, syn.Sequence + 1, syn.Sequence + 1);
        if (syn.Mss != 0) _mss = Math.Clamp((int)syn.Mss, LeastMss, _ourMss);
        // RFC 7323, 2.2: in force only where both say so; a SYN's own window is not scaled.
        (_sndScale, _rcvScale) = syn.WindowScale is { } scale ? (scale, OurWindowScale) : (0, 0);
        _sackPermitted = syn.SackPermitted;
        (_sndWnd, _sndWl1, _sndWl2) = (syn.Window, syn.Sequence, syn.Acknowledgement);
        _cwnd = InitialWindow(_mss);
    }

    private void ReceiveAnswer(in TcpSegment segment)
    {
        var acknowledges = segment.Has(Tcp.Ack) && segment.Acknowledgement == _iss + 1;
        if (segment.Has(Tcp.Rst))
        {
            if (acknowledges) Abandon();
            return;
        }
        if (!acknowledges || !segment.Has(Tcp.Syn)) return;
        ReadSyn(segment);
        _sndUna = segment.Acknowledgement;
        Establish();
        SendAcknowledgement();
        Output();
    }

    private void Establish()
    {
        State = TcpState.Established;
        _retries = 0;
        _sndNxt = SequenceNumber.Later(_sndNxt, _sndUna);
        StopTimer();
        // Whatever the socket has to tell was told before it could be used.
        _readable = _writable = true;
    }

    // RFC 9293, 3.4: some of it lies in the window. With a window of zero, what carries news besides data counts, too.
    private bool IsAcceptable(in TcpSegment segment)
    {
        if (segment.Sequence == _rcvNxt) return true;
        var last = segment.Sequence + Math.Max(segment.Length, 1) - 1;
        return IsInWindow(segment.Sequence) || IsInWindow(last);
    }

    private bool IsInWindow(uint sequence) => sequence - _rcvNxt < _rcvEnd - _rcvNxt;

    private void ReceiveData(in TcpSegment segment)
    {
        var data = segment.Payload;
        var sequence = segment.Sequence;
        if (segment.Has(Tcp.Fin) && SequenceNumber.IsAtMost(sequence + (uint)data.Length, _rcvEnd)) _earlyFin = sequence + (uint)data.Length;
        if (segment.Length != 0) _ackDue = true;
        if (SequenceNumber.IsBefore(sequence, _rcvNxt))
        {
            var known = _rcvNxt - sequence;
            data = known < (uint)data.Length ? data[(int)known..] : default;
            sequence = _rcvNxt;
        }
        data = data[..(int)Math.Min((uint)data.Length, _rcvEnd - sequence)];
        if (!data.IsEmpty && !_finReceived)
        {
            if (sequence != _rcvNxt)
            {
                _early.Add(sequence, data, Buffers.Limit - _toHost.Count);
                _earlyNewest = sequence;
                // RFC 5681, 4.2: at once, so that the guest learns of the gap.
                SendAcknowledgement();
                return;
            }
            TakeData(data);
            while (State == TcpState.Established && _early.Take(_rcvNxt) is { IsEmpty: false } more) TakeData(more.Span);
        }
        if (State == TcpState.Established && !_finReceived && _earlyFin == _rcvNxt)
        {
            _rcvNxt++;
            _finReceived = true;
            _finishedFirst = _finAcknowledged || (_hostEnded && SequenceNumber.IsBefore(DataEnd, _sndMax));
        }
        if (_ackDue) _table.AcknowledgeSoon(this);
    }

    private void TakeData(ReadOnlySpan<byte> data)
    {
        _rcvNxt += (uint)data.Length;
        if (_toHost.Count == 0 && _writable)
        {
            var sent = _socket!.Socket.Send(data);
            if (sent >= 0) data = data[sent..];
            else
            {
                _writable = false;
                if (sent != -HostError.Again)
                {
                    Reset();
                    return;
                }
            }
        }
        if (data.IsEmpty) return;
        var missing = data.Length - _toHost.Append(data);
        if (missing == 0) return;
        // All connections together keep as much as they may. A window that is shut has the guest ask for as long as it takes (3.8.6.1);
        // one that stays open while nothing is acknowledged would have it give up. What came early would lie beyond that window.
        _rcvNxt -= (uint)missing;
        _rcvEnd = _rcvNxt;
        _early.Clear();
    }

    /// <summary>Sends the acknowledgement that is due, if nothing carried it meanwhile.</summary>
    internal void Acknowledge()
    {
        if (_ackDue && State is TcpState.Established or TcpState.TimeWait) SendAcknowledgement();
    }

    // The window that could be told now, in units that the scale can tell.
    private uint AvailableWindow()
    {
        var room = Math.Max(0, Buffers.Limit - _toHost.Count - _early.Bytes);
        return (uint)Math.Min(room >> _rcvScale, ushort.MaxValue) << _rcvScale;
    }

    // RFC 9293, 3.8.6.2.2: a window that has opened by much is told of without being asked.
    private void OpenWindow()
    {
        if (State != TcpState.Established || _finReceived) return;
        var told = _rcvEnd - _rcvNxt;
        var possible = AvailableWindow();
        var half = (uint)Buffers.Limit / 2;
        if (possible > told && possible - told >= Math.Min(half, 2u * (uint)_ourMss) && told < half) SendAcknowledgement();
    }
}
