// A machine on a switch that machines of one host share through a Unix socket. Nobody has to start it: the first machine
// at the path runs the switch for all, and when that one ends another takes over; a lock file beside the socket says who.
// One thread does everything but sending. Lock order: the card's sending queue, this lock, the card's receiving queue.
using System.Net.Sockets;
using Lamina.Backends.Net.Wire;
using Lamina.Backends.Work;
using Lamina.Core.Inspection;
using Lamina.Core.Net;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Host.Net;
using Lamina.Host.Time;

namespace Lamina.Backends.Net.Switch;

/// <summary>A port of a switch.</summary>
public sealed class SwitchBackend : NetThread, IInspected, IListener
{
    private const int RetryMilliseconds = 50, ReadsAtOnce = 8, MostReports = 5;

    // Programs that are connected to the one that is the switch; each may have a megabyte of frames waiting.
    private const int MostMembers = 256;

    /// <summary>The most bytes of frames that wait for them.</summary>
    public const long MostBytes = MostMembers * (long)FrameStream.MostPending;
    private const ulong WakeToken = 0, ListenerToken = 1, UplinkToken = 2;

    private readonly UnixSocketPath _path;
    private readonly Lock _gate = new();
    private readonly VlanPort _outbound, _inbound;
    private readonly Dictionary<ulong, RemotePort> _ports = [];
    private readonly LocalPort _local;
    private INetReceiver? _receiver;
    private HostLock? _lock;
    private Socket? _listener;
    private DescriptorPoll? _poll;

    // Exactly one of these is there while the machine is connected.
    private VirtualSwitch? _switch;
    private FrameStream? _uplink;
    private ulong _nextToken = UplinkToken;
    private readonly bool _mayListen;
    private int _losses, _refusals;

    /// <summary>Finds the switch at a path, or becomes it.</summary>
    /// <param name="path">Where the socket is; the folder must exist.</param>
    /// <param name="vlan">Which of its networks.</param>
    /// <param name="mtu">The longest packet in bytes.</param>
    /// <param name="mayListen">Whether to become the switch where nobody listens; else another program has to.</param>
    /// <exception cref="HostException">There can be no socket at the path, or nobody listens there.</exception>
    public SwitchBackend(string path, VlanMembership vlan, int mtu = 1500, bool mayListen = true) : base("net-switch")
    {
        _mayListen = mayListen;
        _path = new UnixSocketPath(path);
        Mtu = mtu;
        (_outbound, _inbound) = (new VlanPort(vlan), new VlanPort(vlan));
        _local = new LocalPort(this);
        try
        {
            // Whatever is wrong with the path is told now, and not to a machine that runs.
            Join();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override int Mtu { get; }

    /// <inheritdoc/>
    public override NetOffloads Offloads => NetOffloads.None;

    /// <inheritdoc/>
    public override bool IsLinkUp
    {
        get
        {
            lock (_gate) return _switch is not null || _uplink is not null;
        }
    }

    /// <summary>Whether this machine runs the switch.</summary>
    public bool IsSwitch
    {
        get
        {
            lock (_gate) return _switch is not null;
        }
    }

    /// <inheritdoc/>
    SocketFile? IListener.Socket => _path.Bound;

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () =>
    {
        node.Kind = "switch";
        node.Say("runs the switch", _switch is not null);
        node.Say("connected", _switch is not null || _uplink is not null);
        node.Say("other ports", _ports.Count);
    });

    /// <inheritdoc/>
    public override void Attach(INetReceiver receiver) => _receiver = receiver;

    /// <inheritdoc/>
    public override void Send(ReadOnlySpan<byte> frame, in FrameOffload offload)
    {
        lock (_gate)
        {
            var travelling = _outbound.Outbound(frame);
            if (travelling.IsEmpty) return;
            _switch?.Forward(_local, travelling);
            _uplink?.Send(travelling);
        }
    }

    /// <inheritdoc/>
    public override void Flush()
    {
        lock (_gate)
        {
            // A stream that is gone is found out by the thread.
            _ = _uplink?.Flush();
            foreach (var port in _ports.Values) _ = port.Stream.Flush();
        }
    }

    /// <inheritdoc/>
    public override void OffloadsChanged()
    {
        // Every frame of a switch is finished.
    }

    /// <inheritdoc/>
    public override void ReadyToReceive()
    {
        // A frame that finds no room is dropped, so nothing waits for it.
    }

    private protected override void Close()
    {
        lock (_gate) Leave();
    }

    private protected override void Run()
    {
        while (!IsStopping)
        {
            var isConnected = TryJoin();
            if (isConnected) Serve();
            if (IsStopping) return;
            lock (_gate) Leave();
            RaiseLinkChanged();
            // Whoever has the switch may end at any time, and another machine takes its place; another program does not.
            if (isConnected && !_mayListen && ++_losses <= MostReports)
                Report($"the program at the socket {_path} is gone; the guest's network card has no link until it listens there again{(_losses < MostReports ? "" : "; no more is said of this")}");
            if (!isConnected && HostIo.Wait((Wake.Descriptor, HostPoll.Readable), (-1, HostPoll.None), RetryMilliseconds).First != HostPoll.None) Wake.Clear();
        }
    }

    private bool TryJoin()
    {
        if (_poll is not null) return true;
        try
        {
            lock (_gate) Join();
        }
        catch (HostException refused)
        {
            // It worked before; perhaps it will again. Two may be in each other's way for a moment, and another program's end is told.
            if (++_refusals == 2 && _mayListen && ++_losses <= MostReports)
                Report($"the guest's network card has no link: {refused.Message}{(_losses < MostReports ? "" : "; no more is said of this")}");
            return false;
        }
        _refusals = 0;
        RaiseLinkChanged();
        return true;
    }

    // Connects to who has the switch, or takes it over. With the lock.
    private void Join()
    {
        _poll = new DescriptorPoll();
        _poll.AddReadable(Wake.Descriptor, WakeToken);
        for (var attempt = 0; ; attempt++)
        {
            if (_path.TryConnect() is { } socket)
            {
                _uplink = new FrameStream(socket);
                _poll.AddEdges(_uplink.Descriptor, UplinkToken);
                return;
            }
            if (!_mayListen) throw new HostException($"nobody listens at the socket {_path}; start the program that the machine is to be connected to first");
            if (_path.TryLock() is { } held)
            {
                _lock = held;
                _listener = _path.Listen();
                _listener.Blocking = false;
                _poll.AddEdges((int)_listener.SafeHandle.DangerousGetHandle(), ListenerToken);
                _switch = new VirtualSwitch(static () => HostTime.MonotonicNanoseconds / 1_000_000);
                _switch.Add(_local);
                return;
            }
            // Somebody is about to listen.
            if (attempt == 20) throw new HostException($"the switch {_path} is held by a process that does not answer; end that process or choose another path");
            Thread.Sleep(RetryMilliseconds);
        }
    }

    private void Leave()
    {
        foreach (var port in _ports.Values) port.Stream.Dispose();
        _ports.Clear();
        _uplink?.Dispose();
        _listener?.Dispose();
        if (_listener is not null) _path.Delete();
        _lock?.Dispose();
        _poll?.Dispose();
        (_uplink, _listener, _lock, _switch, _poll) = (null, null, null, null, null);
    }

    private void Serve()
    {
        // Streams that were not read empty in their turn: no edge will tell of what is left there.
        var unfinished = new HashSet<ulong>();
        var turns = new List<ulong>();
        var someWait = false;
        while (!IsStopping)
        {
            turns.AddRange(unfinished);
            foreach (var what in _poll!.Wait(unfinished.Count != 0 ? 0 : someWait ? RetryMilliseconds : -1))
            {
                if (what.Token == WakeToken) Wake.Clear();
                else if (what.Token == ListenerToken) someWait = true;
                else if (!unfinished.Contains(what.Token)) turns.Add(what.Token);
            }
            unfinished.Clear();
            // All at once, and before any frame is looked at: who was connected when a frame was sent is there to get it.
            if (someWait) someWait = !TryAcceptAll();
            foreach (var token in turns)
            {
                switch (Serve(token))
                {
                    case Turn.Gone when token == UplinkToken:
                        return;
                    case Turn.Unfinished:
                        unfinished.Add(token);
                        break;
                }
            }
            turns.Clear();
        }
    }

    private enum Turn
    {
        Done,
        Unfinished,
        Gone,
    }

    private Turn Serve(ulong token)
    {
        lock (_gate)
        {
            if (token == UplinkToken) return Drain(_uplink!, null);
            if (!_ports.TryGetValue(token, out var port)) return Turn.Gone;
            var turn = Drain(port.Stream, port);
            if (turn == Turn.Gone)
            {
                _switch!.Remove(port);
                _ports.Remove(token);
                port.Stream.Dispose();
            }
            foreach (var other in _ports.Values) _ = other.Stream.Flush();
            return turn;
        }
    }

    private Turn Drain(FrameStream stream, RemotePort? port)
    {
        if (!stream.Flush()) return Turn.Gone;
        for (var reads = 0; reads < ReadsAtOnce; reads++)
        {
            if (stream.Fill() is not { } some) return Turn.Gone;
            if (!some) return Turn.Done;
            bool isBroken;
            while (stream.TryTake(out var frame, out isBroken))
            {
                if (port is null) _local.Deliver(frame);
                else _switch!.Forward(port, frame);
            }
            if (isBroken) return Turn.Gone;
        }
        return Turn.Unfinished;
    }

    // False: some may still wait, because one was gone before it was answered, or no descriptor is left.
    private bool TryAcceptAll()
    {
        lock (_gate)
        {
            while (true)
            {
                Socket socket;
                try
                {
                    socket = _listener!.Accept();
                }
                catch (SocketException none)
                {
                    return none.SocketErrorCode == SocketError.WouldBlock;
                }
                if (_ports.Count >= MostMembers)
                {
                    socket.Dispose();
                    continue;
                }
                var port = new RemotePort(new FrameStream(socket));
                var token = ++_nextToken;
                if (!_poll!.AddEdges(port.Stream.Descriptor, token))
                {
                    port.Stream.Dispose();
                    continue;
                }
                _ports.Add(token, port);
                _switch!.Add(port);
            }
        }
    }

    private sealed class RemotePort(FrameStream stream) : ISwitchPort
    {
        internal FrameStream Stream => stream;

        public void Deliver(ReadOnlySpan<byte> frame) => stream.Send(frame);
    }

    private sealed class LocalPort(SwitchBackend owner) : ISwitchPort
    {
        public void Deliver(ReadOnlySpan<byte> frame)
        {
            var arrived = owner._inbound.Inbound(frame);
            if (!arrived.IsEmpty) _ = owner._receiver?.Receive(arrived, default);
        }
    }
}
