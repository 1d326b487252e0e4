// Exchanges without connections (UDP, echo): kept by their addresses, forgotten when idle, and bounded: where there are
// too many the one that was idle longest goes.
using System.Net;
using Lamina.Host.Net;

namespace Lamina.Backends.Net.User.Transport;

/// <summary>One exchange, whose other end is a socket of its own that is connected to whom the guest sends to.</summary>
internal abstract class Flow : IHostEvents, IDisposable
{
    private WatchedSocket? _socket;

    /// <summary>When it was used last, in monotonic milliseconds.</summary>
    internal long LastUsed { get; set; }

    /// <summary>How long it may be idle.</summary>
    internal abstract long IdleMilliseconds { get; }

    /// <summary>The socket, once it is connected.</summary>
    protected HostSocket Socket => _socket!.Socket;

    /// <summary>Connects a socket, which belongs to the flow from now on. False, with the socket closed, where the host refuses.</summary>
    protected bool TryConnect(HostSocket socket, IPAddress address, int port, HostEvents events)
    {
        if (socket.Connect(address, port) != 0)
        {
            socket.Dispose();
            return false;
        }
        _socket = WatchedSocket.Create(socket, events, this, edges: false);
        return _socket is not null;
    }

    /// <inheritdoc/>
    public abstract void Ready(bool readable, bool writable, bool failed);

    /// <inheritdoc/>
    public void Dispose() => _socket?.Dispose();
}

/// <summary>Exchanges by key.</summary>
internal sealed class FlowTable<TFlow>(int most) : IDisposable where TFlow : Flow
{
    private const long SweepMilliseconds = 1000;

    private readonly Dictionary<FlowKey, TFlow> _flows = [];
    private long _sweepAt = long.MaxValue;

    internal int Count => _flows.Count;

    internal long NextDeadline => _sweepAt;

    internal TFlow? Find(in FlowKey key, long now)
    {
        if (!_flows.TryGetValue(key, out var flow)) return null;
        flow.LastUsed = now;
        return flow;
    }

    internal void Add(in FlowKey key, TFlow flow, long now)
    {
        if (_flows.Count >= most) Remove(_flows.MinBy(entry => entry.Value.LastUsed).Key);
        flow.LastUsed = now;
        _flows.Add(key, flow);
        _sweepAt = Math.Min(_sweepAt, now + SweepMilliseconds);
    }

    internal void Remove(in FlowKey key)
    {
        if (_flows.Remove(key, out var flow)) flow.Dispose();
    }

    internal void Sweep(long now)
    {
        if (now < _sweepAt) return;
        foreach (var (key, flow) in _flows)
            if (now - flow.LastUsed >= flow.IdleMilliseconds) Remove(key);
        _sweepAt = _flows.Count == 0 ? long.MaxValue : now + SweepMilliseconds;
    }

    public void Dispose()
    {
        foreach (var flow in _flows.Values) flow.Dispose();
        _flows.Clear();
    }
}

/// <summary>A socket that is watched for as long as it lives.</summary>
internal sealed class WatchedSocket : IDisposable
{
    private readonly HostEvents _events;
    private readonly ulong? _token;

    private WatchedSocket(HostSocket socket, HostEvents events, ulong? token) => (Socket, _events, _token) = (socket, events, token);

    internal HostSocket Socket { get; }

    /// <summary>Watches a socket, which belongs to the result from now on; null, with the socket closed, where the host refuses.</summary>
    internal static WatchedSocket? Create(HostSocket socket, HostEvents events, IHostEvents owner, bool edges)
    {
        var token = events.Watch(socket.Descriptor, owner, edges);
        var watched = new WatchedSocket(socket, events, token);
        if (token is not null) return watched;
        watched.Dispose();
        return null;
    }

    /// <summary>Ends a TCP connection with a reset.</summary>
    internal void Abort()
    {
        Forget();
        Socket.Abort();
    }

    public void Dispose()
    {
        Forget();
        Socket.Dispose();
    }

    private void Forget()
    {
        if (_token is { } token) _events.Forget(token);
    }
}
