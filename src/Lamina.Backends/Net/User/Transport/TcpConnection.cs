// One TCP connection of the guest's (RFC 9293), ended here and continued by a socket of the host's: its state, its life,
// and the host's end. What comes from the guest is in TcpConnection.Receive, what goes there in TcpConnection.Send.
// SND and RCV variables have the names of RFC 9293, 3.3.1.
using Lamina.Backends.Net.Wire;
using Lamina.Host;
using Lamina.Host.Net;

namespace Lamina.Backends.Net.User.Transport;

/// <summary>Where a connection stands.</summary>
internal enum TcpState
{
    /// <summary>The guest's SYN waits for the host's socket to be connected.</summary>
    Connecting,

    /// <summary>The guest was answered, and has to confirm.</summary>
    SynReceived,

    /// <summary>The guest was asked for a connection that came in at a published port.</summary>
    SynSent,

    /// <summary>Open, in both directions or in one.</summary>
    Established,

    /// <summary>Over; late segments are answered for a while.</summary>
    TimeWait,

    /// <summary>Gone.</summary>
    Closed,
}

/// <summary>A connection.</summary>
internal sealed partial class TcpConnection : IHostEvents
{
    private const int OurWindowScale = 5;
    private const long TimeWaitMilliseconds = 2000;

    private readonly TcpTable _table;
    private readonly UserContext _context;
    private readonly FlowKey _key;
    private WatchedSocket? _socket;

    // What the host's socket said last; edges tell of changes.
    private bool _readable, _writable;

    // The host's end of the stream was read; all of the guest's was written and the host told so.
    private bool _hostEnded, _hostFinished;

    private TcpConnection(TcpTable table, in FlowKey key)
    {
        (_table, _context, _key) = (table, table.Context, key);
        (_toGuest, _toHost, _early) = (new ByteRing(Buffers), new ByteRing(Buffers), new OutOfOrder(Buffers));
        _iss = BitConverter.ToUInt32(HostRandom.Bytes(sizeof(uint)));
        _sndUna = _sndNxt = _sndMax = _recover = _iss;
        var headers = Tcp.HeaderLength + (key.Guest.IsV4 ? Ip.Header4 : Ip.Header6);
        _ourMss = (ushort)(_context.Link.Mtu - headers);
        _mss = Math.Min(_ourMss, key.Guest.IsV4 ? Tcp.DefaultMss4 : Tcp.DefaultMss6);
    }

    internal FlowKey Key => _key;

    internal TcpState State { get; private set; }

    /// <summary>The sequence number behind all that was ever sent to the guest.</summary>
    internal uint HighestSent => _sndMax;

    /// <summary>When <see cref="Expire"/> is to be called, in monotonic milliseconds.</summary>
    internal long Deadline { get; private set; } = long.MaxValue;

    /// <summary>Bytes that wait for the guest to acknowledge them, and for the host to take them.</summary>
    internal (int ToGuest, int ToHost) Buffered => (_toGuest.Count, _toHost.Count);

    /// <summary>Begins a connection that the guest asks for: connects to the host first, so that the guest learns what comes of it.</summary>
    internal static TcpConnection? FromGuest(TcpTable table, in FlowKey key, in TcpSegment syn, System.Net.IPEndPoint to, out int error)
    {
        var connection = new TcpConnection(table, key) { State = TcpState.Connecting };
        connection.ReadSyn(syn);
        var socket = HostSocket.TryCreate(HostSocketKind.Tcp, to.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6, out error);
        if (socket is null) return null;
        error = socket.Connect(to.Address, to.Port);
        if (error is not (0 or HostError.InProgress))
        {
            socket.Dispose();
            return null;
        }
        return connection.TryWatch(socket, out error) ? connection : null;
    }

    /// <summary>Begins a connection that came in at a published port.</summary>
    internal static TcpConnection? FromHost(TcpTable table, in FlowKey key, HostSocket socket)
    {
        var connection = new TcpConnection(table, key) { State = TcpState.SynSent };
        return connection.TryWatch(socket, out _) ? connection : null;
    }

    /// <summary>Sends the first SYN of a connection from the host.</summary>
    internal void Begin() => SendSyn();

    public void Ready(bool readable, bool writable, bool failed)
    {
        _readable |= readable;
        _writable |= writable;
        switch (State)
        {
            case TcpState.Connecting when writable || failed:
                EndConnect();
                break;
            case TcpState.Established:
                WriteHost();
                if (State == TcpState.Established) Output();
                AfterProgress();
                break;
        }
    }

    /// <summary>Ends it at once on both sides.</summary>
    internal void Reset()
    {
        if (State is not (TcpState.Closed or TcpState.TimeWait or TcpState.Connecting)) SendReset();
        Abandon();
    }

    /// <summary>Ends it without a word to the guest; the host's end sees a reset.</summary>
    internal void Abandon()
    {
        _socket?.Abort();
        Close();
    }

    private BufferBudget Buffers => _table.Buffers;

    private bool TryWatch(HostSocket socket, out int error)
    {
        _socket = WatchedSocket.Create(socket, _context.Events, this, edges: true);
        // Only a host without memory for it refuses.
        error = _socket is null ? HostError.NetworkUnreachable : 0;
        return _socket is not null;
    }

    private void EndConnect()
    {
        var error = _socket!.Socket.TakeError();
        if (error == 0)
        {
            State = TcpState.SynReceived;
            SendSyn();
            return;
        }
        _table.TellFailure(_key, _irs, error);
        Abandon();
    }

    // Gives the host what the guest sent, as far as it takes it, and says when that was all.
    private void WriteHost()
    {
        while (_writable && _toHost.Count != 0)
        {
            var sent = _socket!.Socket.Send(_toHost.First);
            if (sent >= 0)
            {
                _toHost.Drop(sent);
                continue;
            }
            _writable = false;
            if (sent == -HostError.Again) break;
            Reset();
            return;
        }
        if (_finReceived && _toHost.Count == 0 && !_hostFinished)
        {
            _hostFinished = true;
            _socket!.Socket.FinishSending();
        }
        OpenWindow();
    }

    // Takes from the host what is for the guest, as far as it is let. What is left is read when the guest has acknowledged something.
    private void ReadHost()
    {
        while (_readable && !_hostEnded && Buffers.Limit - _toGuest.Count is > 0 and var room)
        {
            var space = _toGuest.SpaceFor(room);
            if (space.IsEmpty) return;
            var count = _socket!.Socket.Receive(space);
            if (count > 0) _toGuest.Commit(count);
            else if (count == 0) _hostEnded = true;
            else
            {
                _readable = false;
                if (count == -HostError.Again) return;
                Reset();
                return;
            }
        }
    }

    // RFC 9293, 3.6: over when each side has said so and knows that the other knows.
    private void AfterProgress()
    {
        if (State != TcpState.Established || !_finReceived || !_finAcknowledged || !_hostFinished) return;
        if (!_finishedFirst)
        {
            Close();
            return;
        }
        GiveBack();
        State = TcpState.TimeWait;
        SetDeadline(_context.Now() + TimeWaitMilliseconds);
    }

    private void Close()
    {
        GiveBack();
        State = TcpState.Closed;
        Deadline = long.MaxValue;
        _table.Remove(this);
    }

    private void GiveBack()
    {
        _socket?.Dispose();
        _socket = null;
        _toGuest.Release();
        _toHost.Release();
        _early.Clear();
    }

    private void SetDeadline(long deadline)
    {
        Deadline = deadline;
        _table.Plan(deadline);
    }
}
