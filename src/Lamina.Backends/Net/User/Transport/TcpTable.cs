// All TCP of one network: finds the connection that a segment belongs to, begins new ones from either side, and keeps
// what they share: the timer, the budget of their buffers, and who waits for the guest to have room.
using Lamina.Backends.Net.Wire;
using Lamina.Host.Net;

namespace Lamina.Backends.Net.User.Transport;

/// <summary>The connections.</summary>
internal sealed class TcpTable : IDisposable
{
    private const ushort FirstPort = 49152;

    // What a connection takes besides its buffers: objects, and what is known of its gaps.
    private const int BytesPerConnection = 4 << 10;

    private readonly Dictionary<FlowKey, TcpConnection> _connections = [];
    private readonly List<PublishedTcp> _published = [];
    private List<TcpConnection> _toAcknowledge = [], _spare = [];
    private HashSet<TcpConnection> _waiting = [];
    private readonly Queue<LostConnection> _lost = [];
    private ushort _nextPort = FirstPort;

    internal TcpTable(UserContext context)
    {
        Context = context;
        Buffers = new BufferBudget(context.Options.SharedBuffers);
        context.Link.Learned += Retry;
    }

    internal UserContext Context { get; }

    internal int Count => _connections.Count;

    internal IEnumerable<TcpConnection> Connections => _connections.Values;

    /// <summary>The connections that the guest believes in: those that there are, and those that it has not been told the end of.</summary>
    internal IEnumerable<LostConnection> Believed =>
        _lost.Concat(_connections.Values.Where(connection => connection.State is TcpState.SynSent or TcpState.SynReceived or TcpState.Established).Select(connection => new LostConnection(connection.Key, connection.HighestSent)));

    internal long NextDeadline { get; private set; } = long.MaxValue;

    /// <summary>What the buffers of all of them may have.</summary>
    internal BufferBudget Buffers { get; }

    /// <summary>The most bytes that so many connections keep, with buffers in both directions.</summary>
    internal static long MostBytes(int connections) => BufferBudget.Shared + connections * (2L * BufferBudget.Least + BytesPerConnection);

    /// <summary>Opens a published port.</summary>
    /// <returns>It, with the address that it really has.</returns>
    /// <exception cref="Host.HostException">It cannot be had.</exception>
    internal PublishedPort Publish(PublishedPort port)
    {
        var opened = new PublishedTcp(this, port);
        _published.Add(opened);
        return opened.Port;
    }

    /// <summary>Closes a published port. Connections that came in by it go on.</summary>
    internal void Unpublish(PublishedPort port)
    {
        var index = _published.FindIndex(known => known.Port == port);
        if (index < 0) return;
        _published[index].Dispose();
        _published.RemoveAt(index);
    }

    /// <summary>Takes a segment of the guest's; its sum is right.</summary>
    internal void Receive(in IpPacket packet)
    {
        if (packet.Source == IpAddr.Any4 || packet.Destination.IsGroup || packet.Destination == Context.Addresses.Broadcast4 || !TcpSegment.TryRead(packet.Payload, out var segment)) return;
        var key = new FlowKey(packet.Source, segment.SourcePort, packet.Destination, segment.DestinationPort);
        if (_connections.TryGetValue(key, out var connection))
        {
            if (!connection.GivesWayTo(segment))
            {
                connection.Receive(segment);
                return;
            }
            connection.Abandon();
        }
        if (segment.Has(Tcp.Syn) && !segment.Has(Tcp.Ack) && !segment.Has(Tcp.Rst)) Open(packet, key, segment);
        else Refuse(key, segment);
    }

    /// <summary>Sends the acknowledgements that are due.</summary>
    internal void Flush()
    {
        if (_toAcknowledge.Count == 0) return;
        (_toAcknowledge, _spare) = (_spare, _toAcknowledge);
        foreach (var connection in _spare) connection.Acknowledge();
        _spare.Clear();
    }

    /// <summary>Has the guest learn, as soon as it has room, that connections which it believes in are gone.</summary>
    internal void Lose(IEnumerable<LostConnection> connections)
    {
        foreach (var connection in connections) _lost.Enqueue(connection);
        Plan(Context.Now());
    }

    /// <summary>The guest has room again.</summary>
    internal void Resume()
    {
        TellLost();
        if (_waiting.Count == 0) return;
        var waiting = _waiting;
        _waiting = [];
        foreach (var connection in waiting) connection.Output();
    }

    internal void RunTimers(long now)
    {
        foreach (var port in _published) port.RunTimers(now);
        if (now < NextDeadline) return;
        NextDeadline = long.MaxValue;
        TellLost();
        foreach (var connection in _connections.Values)
        {
            if (connection.Deadline <= now) connection.Expire();
            Plan(connection.Deadline);
        }
    }

    /// <summary>Has <see cref="RunTimers"/> look at the connections at a time.</summary>
    internal void Plan(long deadline) => NextDeadline = Math.Min(NextDeadline, deadline);

    internal void AcknowledgeSoon(TcpConnection connection) => _toAcknowledge.Add(connection);

    internal void WaitForRoom(TcpConnection connection) => _waiting.Add(connection);

    internal void Remove(TcpConnection connection)
    {
        if (_connections.TryGetValue(connection.Key, out var known) && known == connection) _connections.Remove(connection.Key);
    }

    /// <summary>Tells the guest why its connection could not be made.</summary>
    internal void TellFailure(in FlowKey key, uint sequence, int error)
    {
        Unreachable? why = error switch
        {
            HostError.NetworkUnreachable => Unreachable.Network,
            HostError.HostUnreachable or HostError.TimedOut => Unreachable.Host,
            HostError.NotPermitted or HostError.AccessDenied => Unreachable.Prohibited,
            _ => null,
        };
        if (why is { } reason)
        {
            Span<byte> original = stackalloc byte[Ip.Header6 + Icmp.HeaderLength];
            Context.Errors.Send(IpHeaders.Rebuild(original, key, IpProtocol.Tcp, sequence), reason);
        }
        else _ = SendReset(key, 0, sequence + 1, Tcp.Rst | Tcp.Ack);
    }

    public void Dispose()
    {
        foreach (var port in _published) port.Dispose();
        foreach (var connection in _connections.Values) connection.Abandon();
        _connections.Clear();
    }

    private void Open(in IpPacket packet, in FlowKey key, in TcpSegment syn)
    {
        var route = Context.Policy.Find(packet.Destination, key.PeerPort);
        if (route.Host is null)
        {
            // A refusal is plain at once to every guest; an address of the link that nobody has is not ours to speak for.
            if (route.Reason == Unreachable.Prohibited) Refuse(key, syn);
            else Context.Errors.Send(packet, route.Reason);
            return;
        }
        if (!MakeRoom())
        {
            Refuse(key, syn);
            return;
        }
        if (TcpConnection.FromGuest(this, key, syn, route.Host, out var error) is { } connection) _connections.Add(key, connection);
        else TellFailure(key, syn.Sequence, error);
    }

    // RFC 9293, 3.10.7.1
    private void Refuse(in FlowKey key, in TcpSegment segment)
    {
        if (segment.Has(Tcp.Rst)) return;
        if (segment.Has(Tcp.Ack)) _ = SendReset(key, segment.Acknowledgement, 0, Tcp.Rst);
        else _ = SendReset(key, 0, segment.Sequence + segment.Length, Tcp.Rst | Tcp.Ack);
    }

    // What lies in the guest's window and is not what it expects next has it ask again, and the answer to that is exact (RFC 5961, 3.2).
    private void TellLost()
    {
        while (_lost.TryPeek(out var gone) && (_connections.ContainsKey(gone.Key) || SendReset(gone.Key, gone.Sequence, 0, Tcp.Rst, mayWait: false))) _lost.Dequeue();
    }

    private bool SendReset(in FlowKey key, uint sequence, uint acknowledgement, byte flags, bool mayWait = true)
    {
        var segment = Context.Link.Payload(key.Guest.IsV4, Tcp.HeaderLength);
        TcpHeader.Write(segment, key, sequence, acknowledgement, flags, Tcp.HeaderLength);
        return Context.Link.Send(key.Peer, key.Guest, IpProtocol.Tcp, Tcp.HeaderLength, new SendOptions(Tcp.ChecksumAt, MayWait: mayWait));
    }

    private void Accept(HostSocket socket, ushort guestPort)
    {
        var addresses = Context.Addresses;
        FlowKey key;
        if (!MakeRoom())
        {
            socket.Abort();
            return;
        }
        do
        {
            key = new FlowKey(addresses.Guest4, guestPort, addresses.Gateway4, _nextPort);
            _nextPort = _nextPort == ushort.MaxValue ? FirstPort : (ushort)(_nextPort + 1);
        }
        while (_connections.ContainsKey(key));
        if (TcpConnection.FromHost(this, key, socket) is not { } connection) return;
        _connections.Add(key, connection);
        connection.Begin();
    }

    private bool MakeRoom()
    {
        if (_connections.Count < Context.Options.MostFlows) return true;
        var over = _connections.Values.FirstOrDefault(connection => connection.State == TcpState.TimeWait);
        over?.Abandon();
        return over is not null;
    }

    private void Retry(IpAddr neighbour)
    {
        foreach (var connection in _connections.Values)
            if (connection.Key.Guest == neighbour) connection.Retry();
    }

    /// <summary>A port of the host's.</summary>
    private sealed class PublishedTcp : IHostEvents, IDisposable
    {
        private const long RetryMilliseconds = 1000;

        private readonly TcpTable _table;
        private readonly ushort _guestPort;
        private readonly WatchedSocket _socket;
        private long _retryAt = long.MaxValue;

        internal PublishedTcp(TcpTable table, PublishedPort port)
        {
            (_table, _guestPort) = (table, (ushort)port.GuestPort);
            var socket = HostSocket.Bind(HostSocketKind.Tcp, port.Host);
            Port = port with { Host = socket.LocalAddress ?? port.Host };
            _socket = WatchedSocket.Create(socket, table.Context.Events, this, edges: true) ?? throw new Host.HostException($"cannot wait for TCP port {port.Host.Port}; raise the limit on open files (ulimit -n)");
        }

        internal PublishedPort Port { get; }

        public void Ready(bool readable, bool writable, bool failed)
        {
            while (true)
            {
                if (_socket.Socket.Accept(out var error) is { } client)
                {
                    _table.Accept(client, _guestPort);
                    continue;
                }
                if (error == HostError.ConnectionAborted) continue;
                if (error == HostError.Again) return;
                // No descriptor is left: those who wait are let in later.
                _retryAt = _table.Context.Now() + RetryMilliseconds;
                _table.Plan(_retryAt);
                return;
            }
        }

        internal void RunTimers(long now)
        {
            if (now >= _retryAt)
            {
                _retryAt = long.MaxValue;
                Ready(readable: true, writable: false, failed: false);
            }
        }

        public void Dispose() => _socket.Dispose();
    }
}
