// The virtio socket device (virtio 1.2, 5.10): connections between programs in the guest and on the host, without a network.
// Streams only. All queues are served by one worker; the backend's threads only wake it.
using System.Buffers.Binary;
using Lamina.Core.Inspection;
using Lamina.Core.Sockets;
using Lamina.Core.State;
using Lamina.Devices.Virtio.Rings;

namespace Lamina.Devices.Virtio.Vsock;

/// <summary>The socket device.</summary>
public sealed class VirtioVsock : IVirtioDevice, ISocketGuest, ISavedUnit, IInspected
{
    /// <summary>How many connections a guest can have, and what it may send on each before any of it is taken.</summary>
    public const long MostConnections = VsockSpec.MostConnections, BytesPerConnection = VsockSpec.BufferLength;

    /// <summary>The lowest and the highest address that a guest can have; what lies below stands for hypervisor and host.</summary>
    public const uint LowestCid = 3, HighestCid = uint.MaxValue - 1;

    private readonly uint _cid;
    private readonly ISocketHost _sockets;
    private readonly Lock _lock = new();
    private readonly byte[] _scratch = new byte[VsockSpec.LongestPayload];

    // In the order in which they have their turn; looked up by their ports.
    private readonly List<VsockConnection> _turns = [];
    private readonly Dictionary<(uint Guest, uint Host), VsockConnection> _connections = [];
    private readonly Queue<(uint Guest, uint Host)> _resets = [];
    private uint _nextHostPort = VsockSpec.FirstHostPort;
    private int _turn;
    private bool _active, _owesTransportReset;

    // The driver's buffers for events. All are taken, so that a further one tells that it has seen an event.
    private readonly Queue<DescriptorChain> _eventBuffers = [];

    // The driver has not seen yet that the transport was reset. It ends every connection then, those too that were made just before, and
    // tells nobody: none is begun until it has.
    private bool _awaitsDriver;
    private IVirtioHost? _host;

    /// <summary>Makes a device.</summary>
    /// <param name="cid">The guest's address.</param>
    /// <param name="sockets">The host's ends; they stay their creator's to dispose.</param>
    /// <exception cref="ArgumentOutOfRangeException">No guest can have this address.</exception>
    public VirtioVsock(uint cid, ISocketHost sockets)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(cid, LowestCid);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(cid, HighestCid);
        (_cid, _sockets) = (cid, sockets);
    }

    /// <inheritdoc/>
    public VirtioDeviceType Type => VirtioDeviceType.Vsock;

    /// <inheritdoc/>
    public ulong Features => 0;

    /// <inheritdoc/>
    public IReadOnlyList<VirtioQueueSpec> Queues { get; } = [new(VsockSpec.QueueSize), new(VsockSpec.QueueSize), new(VsockSpec.QueueSize)];

    /// <inheritdoc/>
    public uint ConfigGeneration => 0;

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        node.Say("cid", (ulong)_cid);
        node.Locked(_lock, () =>
        {
            node.Say("driver is ready", _active);
            node.Say("driver is to see a reset", _awaitsDriver);
            node.Say("connections", _turns.Count);
            node.Say("resets owed", _resets.Count);
            node.Each("connection", _turns, static (connection, of) =>
            {
                connection.Say("guest port", (ulong)of.GuestPort);
                connection.Say("host port", (ulong)of.HostPort);
                connection.Say("established", of.IsEstablished);
                connection.Say("unsent to the host", of.Stream.Unsent);
            });
        });
    }

    /// <inheritdoc/>
    public void Attach(IVirtioHost host)
    {
        _host = host;
        _sockets.Attach(this);
    }

    /// <inheritdoc/>
    public bool Accepts(ulong features) => true;

    /// <inheritdoc/>
    public void ReadConfig(int offset, Span<byte> data)
    {
        Span<byte> image = stackalloc byte[VsockSpec.ConfigLength];
        BinaryPrimitives.WriteUInt64LittleEndian(image, _cid);
        ConfigSpace.Read(image, offset, data);
    }

    /// <inheritdoc/>
    public void WriteConfig(int offset, ReadOnlySpan<byte> data)
    {
        // 5.10.4: the driver writes nothing.
    }

    /// <inheritdoc/>
    public void Activate(ulong features)
    {
        lock (_lock) _active = true;
    }

    /// <inheritdoc/>
    public bool Connect(uint port, IHostStream stream)
    {
        lock (_lock)
        {
            if (!_active || _connections.Count >= VsockSpec.MostConnections) return false;
            // The guest may have taken a number by itself.
            do _nextHostPort = _nextHostPort == uint.MaxValue ? VsockSpec.FirstHostPort : _nextHostPort + 1;
            while (_connections.ContainsKey((port, _nextHostPort)));
            Add(new VsockConnection(port, _nextHostPort, stream, isAsked: true));
        }
        Ready();
        return true;
    }

    /// <inheritdoc/>
    public void Ready() => _host!.WakeQueue(VsockSpec.ReceiveQueue);

    /// <inheritdoc/>
    public bool ProcessQueue(int index) => index switch
    {
        VsockSpec.ReceiveQueue => Give(_host!.Queues[index]),
        VsockSpec.TransmitQueue => Take(_host!.Queues[index]),
        _ => GiveEvent(_host!.Queues[index]),
    };

    /// <inheritdoc/>
    public void StopQueue(int index)
    {
        // Buffers for packets are worked on under the queue's gate only, and none is kept.
        if (index != VsockSpec.EventQueue) return;
        lock (_lock) _eventBuffers.Clear();
    }

    /// <inheritdoc/>
    public void Reset()
    {
        lock (_lock)
        {
            foreach (var connection in _turns) connection.Stream.Dispose();
            _turns.Clear();
            _connections.Clear();
            _resets.Clear();
            _eventBuffers.Clear();
            (_active, _owesTransportReset, _awaitsDriver) = (false, false, false);
        }
    }

    /// <inheritdoc/>
    public SavedKind Kind => new("virtio socket device", 1);

    /// <inheritdoc/>
    /// <remarks>
    /// The host's ends of connections are this process's and stay with it. Who loads the state has none: the guest is told so by the event
    /// that is meant for it (5.10.6.7), and by a reset for each connection, for drivers that have given no buffer for events. Its address
    /// may be another one, which that event has the driver look at, too.
    /// </remarks>
    public void Save(SavedFields fields)
    {
        lock (_lock)
        {
            IReadOnlyList<(uint Guest, uint Host)> over = [.. _resets, .. _turns.Select(connection => (connection.GuestPort, connection.HostPort))];
            Exchange(fields, ref over);
        }
    }

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        lock (_lock)
        {
            IReadOnlyList<(uint Guest, uint Host)> over = [];
            Exchange(fields, ref over);
            foreach (var ports in over) _resets.Enqueue(ports);
            _active = _owesTransportReset = _awaitsDriver = _host!.ActiveFeatures is not null;
        }
    }

    private void Exchange(SavedFields fields, ref IReadOnlyList<(uint Guest, uint Host)> over)
    {
        fields.Value(1, ref _nextHostPort);
        SavedFields.Require(_nextHostPort >= VsockSpec.FirstHostPort, $"a host's port {_nextHostPort} given away last");
        fields.List(2, ref over, VsockSpec.MostResets + VsockSpec.MostConnections, static (SavedFields fields, ref (uint Guest, uint Host) ports) =>
        {
            fields.Value(1, ref ports.Guest);
            fields.Value(2, ref ports.Host);
        });
    }

    private bool GiveEvent(Virtqueue queue)
    {
        lock (_lock)
        {
            var known = _eventBuffers.Count;
            while (queue.TryTake(out var buffer)) _eventBuffers.Enqueue(buffer);
            if (_owesTransportReset && _eventBuffers.TryDequeue(out var chain))
            {
                Span<byte> raw = stackalloc byte[VsockSpec.EventLength];
                BinaryPrimitives.WriteUInt32LittleEndian(raw, VsockSpec.EventTransportReset);
                queue.Complete(chain, (uint)chain.Write(0, raw));
                (_owesTransportReset, _awaitsDriver) = (false, true);
                return false;
            }
            // One that has given no buffers for events is told by the resets of its connections.
            if (!_awaitsDriver || (_eventBuffers.Count == known && !_owesTransportReset)) return false;
            _awaitsDriver = false;
        }
        Ready();
        return false;
    }

    private bool Take(Virtqueue queue)
    {
        Span<byte> raw = stackalloc byte[VsockSpec.HeaderLength];
        for (var i = 0; i < VsockSpec.PacketsAtOnce; i++)
        {
            lock (_lock)
            {
                // The guest gets its answers before it may cause more of them.
                if (_resets.Count >= VsockSpec.MostResets) break;
                if (!queue.TryTake(out var chain)) break;
                if (chain.Read(0, raw) != raw.Length || chain.WritableLength != 0)
                {
                    _host!.Fail("a socket packet has no header, or a device-writable part");
                    return false;
                }
                var header = VsockHeader.Read(raw);
                // 5.10.6.4.2: what is for nobody here is dropped.
                if (header.Source == _cid && header.Destination == VsockSpec.HostCid && header.Length <= chain.ReadableLength - VsockSpec.HeaderLength)
                    Handle(header, chain);
                queue.Complete(chain, 0);
                if (i == VsockSpec.PacketsAtOnce - 1) _host!.WakeQueue(queue.Index);
            }
        }
        Ready();
        return false;
    }

    private void Handle(in VsockHeader header, DescriptorChain chain)
    {
        var ports = (header.SourcePort, header.DestinationPort);
        var connection = _connections.GetValueOrDefault(ports);
        connection?.NoteCredit(header);
        var isGood = header.Type == VsockSpec.TypeStream;
        switch (header.Operation)
        {
            case VsockOperation.Reset:
                if (connection is not null) Remove(connection);
                return;
            case VsockOperation.Request when isGood && connection is null && !_awaitsDriver && _connections.Count < VsockSpec.MostConnections:
                if (_sockets.Connect(header.DestinationPort) is not { } stream) break;
                connection = new VsockConnection(header.SourcePort, header.DestinationPort, stream, isAsked: false);
                connection.NoteCredit(header);
                Add(connection);
                return;
            case VsockOperation.Response when isGood && connection is not null && connection.Answer():
            case VsockOperation.Data when isGood && connection is not null && connection.TryReceive(chain, header.Length, _scratch):
            case VsockOperation.CreditUpdate when connection is not null:
                return;
            case VsockOperation.CreditRequest when connection is not null:
                connection.AskForCredit();
                return;
            case VsockOperation.Shutdown when connection is not null:
                connection.Shutdown(header.Flags);
                return;
        }
        // What was refused, or makes no sense, is over.
        if (connection is not null) Remove(connection);
        _resets.Enqueue(ports);
    }

    private bool Give(Virtqueue queue)
    {
        for (var i = 0; i < VsockSpec.PacketsAtOnce; i++)
        {
            lock (_lock)
            {
                VsockConnection? connection = null;
                var operation = VsockOperation.Reset;
                uint flags = 0;
                if (_resets.Count == 0 && !TryFindNext(out connection, out operation, out flags)) return false;
                if (!queue.TryTake(out var chain)) return false;
                if (chain.ReadableLength != 0 || chain.WritableLength < VsockSpec.HeaderLength)
                {
                    _host!.Fail($"a buffer for socket packets has {chain.ReadableLength} device-readable bytes and {chain.WritableLength} writable ones");
                    return false;
                }
                if (connection is null)
                {
                    if (_resets.Count == VsockSpec.MostResets) _host!.WakeQueue(VsockSpec.TransmitQueue);
                    var (guest, host) = _resets.Dequeue();
                    Send(queue, chain, new VsockHeader(VsockSpec.HostCid, _cid, host, guest, 0, VsockSpec.TypeStream, VsockOperation.Reset, 0, 0, 0));
                }
                else
                {
                    Send(queue, chain, connection, operation, flags);
                }
            }
        }
        return true;
    }

    private bool TryFindNext(out VsockConnection? connection, out VsockOperation operation, out uint flags)
    {
        for (var i = 0; i < _turns.Count && !_awaitsDriver; i++)
        {
            _turn = (_turn + 1) % _turns.Count;
            connection = _turns[_turn];
            if (connection.Next(out flags) is not { } next) continue;
            operation = next;
            return true;
        }
        (connection, operation, flags) = (null, default, 0);
        return false;
    }

    private void Send(Virtqueue queue, DescriptorChain chain, VsockConnection connection, VsockOperation operation, uint flags)
    {
        var length = 0;
        if (operation == VsockOperation.Data)
        {
            length = connection.Take(_scratch.AsSpan(0, (int)Math.Min(chain.WritableLength - VsockSpec.HeaderLength, (uint)_scratch.Length)));
            _ = chain.Write(VsockSpec.HeaderLength, _scratch.AsSpan(0, length));
        }
        Send(queue, chain, new VsockHeader(VsockSpec.HostCid, _cid, connection.HostPort, connection.GuestPort, (uint)length, VsockSpec.TypeStream, operation, flags, VsockSpec.BufferLength, connection.Forwarded));
        connection.Gave(operation);
        if (operation == VsockOperation.Reset) Remove(connection);
    }

    private static void Send(Virtqueue queue, DescriptorChain chain, VsockHeader header)
    {
        Span<byte> raw = stackalloc byte[VsockSpec.HeaderLength];
        header.Write(raw);
        _ = chain.Write(0, raw);
        queue.Complete(chain, VsockSpec.HeaderLength + header.Length);
    }

    private void Add(VsockConnection connection)
    {
        _connections.Add((connection.GuestPort, connection.HostPort), connection);
        _turns.Add(connection);
    }

    private void Remove(VsockConnection connection)
    {
        _connections.Remove((connection.GuestPort, connection.HostPort));
        _turns.Remove(connection);
        connection.Stream.Dispose();
    }
}
