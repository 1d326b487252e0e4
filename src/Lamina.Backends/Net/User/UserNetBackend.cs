// User-mode networking: a network of the guest's own, with no privilege on the host. The guest's frames end here, and what
// is in them goes on through sockets of this process. One thread waits for sockets and timers; the card's threads bring
// frames. One lock guards everything; lock order: the card's sending queue, this lock, the card's receiving queue.
using Lamina.Core.Inspection;
using Lamina.Core.Net;
using Lamina.Core.State;
using Lamina.Core.Units;
using Lamina.Host.Io;
using Lamina.Host.Net;
using Lamina.Host.Threads;
using Lamina.Host.Time;

namespace Lamina.Backends.Net.User;

/// <summary>A user-mode network for one card.</summary>
public sealed class UserNetBackend : NetThread, IHostEvents, IPausable, ISavedUnit, IInspected, ICounted
{
    private readonly Lock _gate = new();
    private readonly UserStack _stack;
    private readonly ThreadSignal _goes = new();
    private volatile bool _stands;
    private long _plannedUntil;
    private long _rested;
    private long? _restsSince;
    private int _hasRoom;

    /// <summary>Opens the published ports; clients wait until the guest answers.</summary>
    /// <exception cref="Host.HostException">A port cannot be had.</exception>
    public UserNetBackend(UserNetOptions options) : base("net-user")
    {
        Mtu = options.Mtu;
        try
        {
            _stack = new UserStack(options, () => Now);
        }
        catch
        {
            Dispose();
            throw;
        }
        _stack.Events.Watch(Wake.Descriptor, this, edges: false);
    }

    /// <inheritdoc/>
    public override int Mtu { get; }

    /// <summary>The published ports, each with the address that it really has: TCP first, then UDP.</summary>
    public IReadOnlyList<PublishedPort> Published
    {
        get
        {
            lock (_gate) return [.. _stack.Published.Opened];
        }
    }

    /// <summary>Opens and closes ports until there are those that are wanted and no others. One that stays is not touched, and connections that came in by one that goes, go on.</summary>
    /// <param name="wanted">They; port 0 picks one.</param>
    /// <exception cref="Host.HostException">One cannot be had; all is as it was before.</exception>
    public void Publish(IReadOnlyList<PublishedPort> wanted)
    {
        lock (_gate) _stack.Published.Set(wanted);
    }

    /// <summary>TCP connections that exist now.</summary>
    public int Connections
    {
        get
        {
            lock (_gate) return _stack.Tcp.Count;
        }
    }

    // The network's time, in milliseconds: it stands still while the machine does, so that no connection is given up meanwhile.
    private long Now => (_restsSince ?? HostTime.MonotonicNanoseconds / 1_000_000) - _rested;

    /// <inheritdoc/>
    public void Pause()
    {
        _stands = true;
        lock (_gate) _restsSince ??= HostTime.MonotonicNanoseconds / 1_000_000;
    }

    /// <inheritdoc/>
    public void Resume()
    {
        lock (_gate)
        {
            if (_restsSince is { } since) _rested += HostTime.MonotonicNanoseconds / 1_000_000 - since;
            _restsSince = null;
        }
        GoOn();
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () =>
    {
        node.Say("stands still", _restsSince is not null);
        node.Each("published", [.. _stack.Published.Opened], static (of, port) => of.Say("port", $"{(port.IsUdp ? "UDP" : "TCP")} {port.Host} to {port.GuestPort}"));
        _stack.Inspect(node);
    });

    /// <inheritdoc/>
    public void Count(CounterList counters)
    {
        lock (_gate)
        {
            counters.Now("network_tcp_connections", _stack.Tcp.Count, "TCP connections that the guest has through this network");
            counters.Now("network_udp_flows", _stack.Udp.Count, "exchanges by UDP that the guest has");
        }
    }

    /// <inheritdoc/>
    public SavedKind Kind => new("user-mode network", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields)
    {
        lock (_gate) _stack.Exchange(fields);
    }

    /// <inheritdoc/>
    /// <remarks>Connections through sockets of another process are gone; the guest is told so when it goes on.</remarks>
    public void Load(SavedFields fields)
    {
        lock (_gate)
        {
            _stack.Exchange(fields);
            Plan();
        }
    }

    /// <inheritdoc/>
    public override void Attach(INetReceiver receiver) => _stack.Link.Attach(receiver);

    /// <inheritdoc/>
    public override void Send(ReadOnlySpan<byte> frame, in FrameOffload offload)
    {
        lock (_gate)
        {
            if (IsStopping) return;
            _stack.Input(frame, offload);
            Plan();
        }
    }

    /// <inheritdoc/>
    public override void Flush()
    {
        lock (_gate)
        {
            if (!IsStopping) _stack.Flush();
        }
    }

    /// <inheritdoc/>
    public override void OffloadsChanged()
    {
        lock (_gate) _stack.Link.ReadOffloads();
    }

    /// <inheritdoc/>
    public override void ReadyToReceive()
    {
        // Called with a queue's gate held, which this lock comes before.
        if (!_stack.Link.HasRoom && Interlocked.Exchange(ref _hasRoom, 1) == 0) Wake.Set();
    }

    private protected override void Stopping() => GoOn();

    private protected override void Close()
    {
        lock (_gate) _stack?.Dispose();
    }

    void IHostEvents.Ready(bool readable, bool writable, bool failed) => Wake.Clear();

    private protected override void Run()
    {
        while (!IsStopping)
        {
            int timeout;
            lock (_gate)
            {
                _plannedUntil = _stack.NextDeadline;
                var wait = _plannedUntil - Now;
                timeout = _plannedUntil == long.MaxValue ? -1 : (int)Math.Clamp(wait + 1, 0, 60_000);
            }
            var events = _stack.Events.Wait(timeout);
            // What has happened is told once only: it is kept for when the machine goes on.
            do _goes.WaitUntil(static backend => !backend._stands, this);
            while (!TryDispatch(events));
        }
    }

    private void GoOn()
    {
        _stands = false;
        Interlocked.MemoryBarrier();
        _goes.Signal();
    }

    // False while the machine stands still.
    private bool TryDispatch(ReadOnlySpan<DescriptorEvent> events)
    {
        lock (_gate)
        {
            if (IsStopping) return true;
            if (_restsSince is not null) return false;
            _stack.Events.Dispatch(events);
            if (Interlocked.Exchange(ref _hasRoom, 0) != 0) _stack.Resume();
            _stack.RunTimers();
            _stack.Flush();
            return true;
        }
    }

    // A deadline that comes before the thread would look by itself.
    private void Plan()
    {
        if (_stack.NextDeadline >= _plannedUntil) return;
        _plannedUntil = _stack.NextDeadline;
        Wake.Set();
    }
}
