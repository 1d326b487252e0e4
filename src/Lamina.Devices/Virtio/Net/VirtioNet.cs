// The virtio network device (virtio 1.2, 5.1): frames between the guest's queues and a backend, with check sums and
// segmentation left to whoever can do them best, one or more pairs of queues, and a control queue.
// A frame of the guest's is copied once, from its buffers into one piece, and given to the backend on the queue's
// worker; a frame for the guest is written to its buffers on the backend's thread.
using System.Buffers.Binary;
using Lamina.Core.Inspection;
using Lamina.Core.Limits;
using Lamina.Core.Net;
using Lamina.Core.State;
using Lamina.Devices.Ethernet;
using Lamina.Devices.Virtio.Rings;

namespace Lamina.Devices.Virtio.Net;

/// <summary>What a network card is to be.</summary>
/// <param name="Mac">Its address: six bytes, not a group's.</param>
/// <param name="Pairs">How many pairs of queues it has, 1 to 8.</param>
public sealed record VirtioNetOptions(ReadOnlyMemory<byte> Mac, int Pairs = 1)
{
    /// <summary>Let through as many frames and bytes as the guest may send and may be sent; null for all. The device's own from then on.</summary>
    public FlowGate? Sending { get; init; }

    /// <inheritdoc cref="Sending"/>
    public FlowGate? Receiving { get; init; }
}

/// <summary>The network card.</summary>
public sealed class VirtioNet : IVirtioDevice, INetReceiver, ISavedUnit, IInspected, ICounted, IDisposable
{
    private readonly INetBackend _backend;
    private readonly VirtioNetOptions _options;
    private readonly LimitedBackend _arriving;
    private readonly ulong _mac;
    private readonly int _pairs;
    private readonly Lock _lock = new();

    // Guarded by the gates of the queues they belong to.
    private readonly byte[][] _frames;
    private readonly List<DescriptorChain>[] _held;
    private readonly uint[][] _written;
    private NetState _state = new();
    private uint _generation;
    private long _dropped;
    private volatile bool _isPlugged = true;
    private IVirtioHost? _host;
    private LimitedQueue[] _limited = [];

    /// <summary>Makes a card that is plugged into a backend; the backend stays its creator's to start and dispose.</summary>
    /// <exception cref="ArgumentException">An option cannot be.</exception>
    public VirtioNet(INetBackend backend, VirtioNetOptions options)
    {
        if (options.Mac.Length != NetSpec.MacLength || (options.Mac.Span[0] & 1) != 0) throw new ArgumentException("a network card's address has six bytes and is not a group's", nameof(options));
        if (options.Pairs is < 1 or > NetSpec.MostPairs) throw new ArgumentException($"a network card has 1 to {NetSpec.MostPairs} pairs of queues, not {options.Pairs}", nameof(options));
        if (backend.Mtu is < NetSpec.LeastMtu or > NetSpec.MostMtu) throw new ArgumentException($"a network's MTU is {NetSpec.LeastMtu} to {NetSpec.MostMtu}, not {backend.Mtu}", nameof(backend));
        (_options, _arriving) = (options, new LimitedBackend(backend));
        (_backend, _mac, _pairs) = (backend, NetControl.ToNumber(options.Mac.Span), options.Pairs);
        _frames = [.. Enumerable.Range(0, _pairs).Select(_ => new byte[NetSpec.LongestFrame])];
        _held = [.. Enumerable.Range(0, _pairs).Select(_ => new List<DescriptorChain>())];
        _written = [.. Enumerable.Range(0, _pairs).Select(_ => new uint[NetSpec.DataQueueSize])];
        Queues =
        [
            .. Enumerable.Range(0, _pairs * 2).Select(queue => new VirtioQueueSpec(NetSpec.DataQueueSize, queue / 2)),
            new VirtioQueueSpec(NetSpec.ControlQueueSize),
        ];
    }

    /// <inheritdoc/>
    public VirtioDeviceType Type => VirtioDeviceType.Net;

    /// <inheritdoc/>
    public ulong Features => NetHeader.HostFeatures(_backend.Offloads) | NetSpec.GuestOffloads | NetSpec.FeatureControlGuestOffloads
        | NetSpec.FeatureMtu | NetSpec.FeatureMac | NetSpec.FeatureMergeableBuffers | NetSpec.FeatureStatus
        | NetSpec.FeatureControlQueue | NetSpec.FeatureControlReceive | NetSpec.FeatureControlVlan | NetSpec.FeatureControlMac | NetSpec.FeatureGuestAnnounce
        | (_pairs > 1 ? NetSpec.FeatureMultiQueue : 0);

    /// <inheritdoc/>
    public IReadOnlyList<VirtioQueueSpec> Queues { get; }

    /// <inheritdoc/>
    public uint ConfigGeneration => Volatile.Read(ref _generation);

    /// <summary>Whether the cable is in the card. While it is not, the guest sees a link that is down, and no frame passes either way. Any thread.</summary>
    public bool IsPlugged
    {
        get => _isPlugged;
        set
        {
            if (_isPlugged == value) return;
            _isPlugged = value;
            if (_host is not null) TellLink();
        }
    }

    private bool IsLinkUp => _isPlugged && _backend.IsLinkUp;

    /// <summary>Frames of either direction that were dropped since the machine was made: malformed, unwanted or too long.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    NetOffloads INetReceiver.Offloads
    {
        get
        {
            lock (_lock) return NetHeader.GuestOffloads(_state.GuestOffloads);
        }
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        node.SayHex("address", _mac);
        node.Say("link is up", IsLinkUp);
        node.Say("mtu", _backend.Mtu);
        node.Locked(_lock, () =>
        {
            node.Say("driver is ready", _state.Active);
            node.Say("pairs of queues", _state.Pairs);
            node.SayHex("guest offloads", _state.GuestOffloads);
            node.Say("promiscuous", _state.Filter.Promiscuous);
            node.Say("is to announce itself", _state.Announces);
            node.Say("unicast addresses", _state.Filter.Unicast?.Count ?? -1);
            node.Say("multicast addresses", _state.Filter.Multicast?.Count ?? -1);
        });
        _options.Sending?.Inspect(node.Below("limit of sending"));
        _options.Receiving?.Inspect(node.Below("limit of receiving"));
    }

    /// <inheritdoc/>
    public void Count(CounterList counters)
    {
        counters.Total("network_dropped_frames", Dropped, "frames of either direction that were malformed, unwanted or too long");
        if (_options.Sending is { } sending) counters.Total("network_limit_waits", sending.Waits, "how often frames were kept waiting by the card's limit", of: "sending");
        if (_options.Receiving is { } receiving) counters.Total("network_limit_waits", receiving.Waits, "how often frames were kept waiting by the card's limit", of: "receiving");
    }

    /// <inheritdoc/>
    public void Attach(IVirtioHost host)
    {
        (_host, _limited) = (host, [.. Queues.Select((_, index) => new LimitedQueue(host, index))]);
        _backend.Attach(this);
        _backend.LinkChanged += TellLink;
    }

    // 5.1.3.1: what a feature requires.
    private static readonly (ulong Feature, ulong Requires)[] Requirements =
    [
        (NetSpec.FeatureGuestTso4, NetSpec.FeatureGuestChecksum),
        (NetSpec.FeatureGuestTso6, NetSpec.FeatureGuestChecksum),
        (NetSpec.FeatureHostTso4, NetSpec.FeatureChecksum),
        (NetSpec.FeatureHostTso6, NetSpec.FeatureChecksum),
        (NetSpec.FeatureControlReceive, NetSpec.FeatureControlQueue),
        (NetSpec.FeatureControlVlan, NetSpec.FeatureControlQueue),
        (NetSpec.FeatureControlMac, NetSpec.FeatureControlQueue),
        (NetSpec.FeatureControlGuestOffloads, NetSpec.FeatureControlQueue),
        (NetSpec.FeatureMultiQueue, NetSpec.FeatureControlQueue),
        (NetSpec.FeatureGuestAnnounce, NetSpec.FeatureControlQueue),
    ];

    /// <inheritdoc/>
    public bool Accepts(ulong features) => Requirements.All(rule => (features & rule.Feature) == 0 || (features & rule.Requires) != 0);

    /// <inheritdoc/>
    public void ReadConfig(int offset, Span<byte> data)
    {
        Span<byte> image = stackalloc byte[NetSpec.ConfigLength];
        BinaryPrimitives.WriteUInt16BigEndian(image[NetSpec.ConfigMac..], (ushort)(_mac >> 32));
        BinaryPrimitives.WriteUInt32BigEndian(image[(NetSpec.ConfigMac + 2)..], (uint)_mac);
        BinaryPrimitives.WriteUInt16LittleEndian(image[NetSpec.ConfigStatus..], (ushort)((IsLinkUp ? NetSpec.StatusLinkUp : 0) | (Volatile.Read(ref _state).Announces ? NetSpec.StatusAnnounce : 0)));
        BinaryPrimitives.WriteUInt16LittleEndian(image[NetSpec.ConfigPairs..], (ushort)_pairs);
        BinaryPrimitives.WriteUInt16LittleEndian(image[NetSpec.ConfigMtu..], (ushort)_backend.Mtu);
        ConfigSpace.Read(image, offset, data);
    }

    /// <inheritdoc/>
    public void WriteConfig(int offset, ReadOnlySpan<byte> data)
    {
        // 5.1.4: read-only; the address is changed through the control queue.
    }

    /// <inheritdoc/>
    public void Activate(ulong features)
    {
        lock (_lock)
        {
            _state = new NetState
            {
                Active = true,
                Features = features,
                GuestOffloads = features & NetSpec.GuestOffloads,
                Filter = NetFilter.Everything with { Mac = _mac, Vlans = (features & NetSpec.FeatureControlVlan) != 0 ? new(NetSpec.MostVlans) : null },
            };
        }
        _backend.OffloadsChanged();
    }

    /// <inheritdoc/>
    public bool ProcessQueue(int index)
    {
        if (index == ControlQueue) return Control();
        if (index >= _pairs * 2) return false;
        if (index % 2 != 0) return Transmit(index);
        // The driver added buffers: frames that found none may come now.
        _backend.ReadyToReceive();
        return false;
    }

    /// <inheritdoc/>
    public void StopQueue(int index)
    {
        // Sending is done under the queue's gate only. Buffers that wait for frames are forgotten.
        if (index % 2 != 0 || index >= _pairs * 2) return;
        lock (_host!.Queues[index].Gate) _held[index / 2].Clear();
    }

    /// <inheritdoc/>
    public void Reset()
    {
        lock (_lock) _state = new NetState();
        for (var pair = 0; pair < _pairs; pair++) StopQueue(pair * 2);
    }

    /// <inheritdoc/>
    public SavedKind Kind => new("virtio network card", 2);

    /// <inheritdoc/>
    /// <remarks>Buffers that wait for frames are in the hands of their queue as well, which yields them again after a load.</remarks>
    public void Save(SavedFields fields)
    {
        lock (_lock) Exchange(fields, ref _state, IsLinkUp);
    }

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        bool changed;
        lock (_lock)
        {
            var features = _host!.ActiveFeatures;
            var state = new NetState { Active = features is not null, Features = features ?? 0 };
            changed = Exchange(fields, ref state, IsLinkUp) != IsLinkUp;
            SavedFields.Require(state.Pairs >= 1 && state.Pairs <= _pairs, $"{state.Pairs} pairs of queues in use");
            SavedFields.Require(!state.Announces || (state.Features & NetSpec.FeatureGuestAnnounce) != 0, "an announcement that is asked for of a driver that makes none");
            SavedFields.Require((state.GuestOffloads & ~(state.Features & NetSpec.GuestOffloads)) == 0, $"the offloads 0x{state.GuestOffloads:x}, of which not all were negotiated");
            _state = state;
        }
        _backend.OffloadsChanged();
        if (changed) TellLink();
    }

    /// <summary>Tells the network where the card is, which may be another place than before, and asks the driver to do the same where it can. Any thread.</summary>
    public void Announce()
    {
        if (!IsLinkUp) return;
        ulong address;
        bool asks;
        lock (_lock)
        {
            address = _state.Active ? _state.Filter.Mac : _mac;
            asks = (_state.Features & NetSpec.FeatureGuestAnnounce) != 0;
            if (asks) _state.Announces = true;
        }
        Announcement.Send(_backend, address);
        if (asks) TellLink();
    }

    // 5.1.4: "status" is a part of the configuration.
    private void TellLink()
    {
        Interlocked.Increment(ref _generation);
        _host!.ConfigurationChanged();
    }

    // What the driver was told of the link.
    private bool Exchange(SavedFields fields, ref NetState state, bool linkUp)
    {
        fields.Record(1, ref state, NetState.Exchange);
        fields.Value(2, ref _generation);
        fields.Value(3, ref _dropped);
        fields.Value(4, ref linkUp);
        return linkUp;
    }

    // 5.1.2: without multi-queue the control queue follows the first pair.
    private int ControlQueue => (Volatile.Read(ref _state).Features & NetSpec.FeatureMultiQueue) != 0 ? _pairs * 2 : 2;

    private bool Transmit(int index)
    {
        var queue = _host!.Queues[index];
        var frame = _frames[index / 2];
        var more = true;
        var gate = _options.Sending;
        for (var i = 0; i < NetSpec.FramesAtOnce && more; i++)
        {
            DescriptorChain? chain = null;
            more = gate?.TryPass(_limited[index]) != false && queue.TryTake(out chain);
            if (chain is null) break;
            gate?.Charge(FrameLength(chain.ReadableLength));
            if (chain.WritableLength != 0)
            {
                _host.Fail("a buffer with a frame to be sent has a device-writable part");
                return false;
            }
            Send(chain, frame);
            queue.Complete(chain, 0);
        }
        _backend.Flush();
        return more;
    }

    private ulong FrameLength(ulong length) => length - Math.Min(length, (ulong)HeaderLength);

    private int HeaderLength => NetSpec.HeaderLength(Volatile.Read(ref _state).Features);

    private void Send(DescriptorChain chain, byte[] frame)
    {
        var features = Volatile.Read(ref _state).Features;
        Span<byte> header = stackalloc byte[NetSpec.LongestHeader];
        header = header[..NetSpec.HeaderLength(features)];
        var length = (long)chain.ReadableLength - header.Length;
        if (length is < NetSpec.EthernetHeader or > NetSpec.LongestFrame || chain.Read(0, header) != header.Length
            || chain.Read((ulong)header.Length, frame.AsSpan(0, (int)length)) != length
            || !NetHeader.TryRead(header, (int)length, features, out var offload))
        {
            Interlocked.Increment(ref _dropped);
            return;
        }
        if (_isPlugged) _backend.Send(frame.AsSpan(0, (int)length), offload);
    }

    /// <inheritdoc/>
    public bool Receive(ReadOnlySpan<byte> frame, in FrameOffload offload)
    {
        if (!_isPlugged) return true;
        NetState state;
        int pair;
        lock (_lock)
        {
            state = _state;
            // A driver's wishes may have changed since the backend looked.
            var needs = (offload.NeedsChecksum ? NetOffloads.Checksum : NetOffloads.None) | offload.Segmentation | (offload.Ecn ? NetOffloads.Ecn : NetOffloads.None);
            if (!state.Active || frame.Length is < NetSpec.EthernetHeader or > NetSpec.LongestFrame
                || (needs & ~NetHeader.GuestOffloads(state.GuestOffloads)) != 0 || !state.Filter.Wants(NetControl.ToNumber(frame), NetSteering.VlanOf(frame)))
            {
                Interlocked.Increment(ref _dropped);
                return true;
            }
            pair = state.Pairs == 1 ? 0 : NetSteering.Choose(frame, state.Pairs);
        }
        return Deliver(pair, frame, offload, state);
    }

    private bool Deliver(int pair, ReadOnlySpan<byte> frame, in FrameOffload offload, NetState state)
    {
        var queue = _host!.Queues[pair * 2];
        lock (queue.Gate)
        {
            if (!queue.IsLive) return true;
            if (queue.IsPaused || _options.Receiving?.TryPass(_arriving) == false) return false;
            var merge = (state.Features & NetSpec.FeatureMergeableBuffers) != 0;
            var header = NetSpec.HeaderLength(state.Features);
            var wanted = header + frame.Length;
            if (TakeBuffers(queue, _held[pair], header, merge ? wanted : 1) is not { } room) return !queue.IsLive;
            if (room < wanted)
            {
                // Too long for one buffer, or for all that a ring can hold.
                Interlocked.Increment(ref _dropped);
                return true;
            }
            Fill(queue, pair, header, frame, offload, (state.GuestOffloads & NetSpec.FeatureGuestChecksum) != 0);
            _options.Receiving?.Charge((ulong)frame.Length);
            queue.Signal();
            return true;
        }
    }

    // Takes buffers until they hold so many bytes, in addition to those that were left over. How many bytes they hold;
    // null where the driver has to add more first.
    private uint? TakeBuffers(Virtqueue queue, List<DescriptorChain> held, int header, int wanted)
    {
        uint room = 0;
        foreach (var chain in held) room += Math.Min(chain.WritableLength, NetSpec.LongestFrame);
        while (room < wanted)
        {
            if (held.Count == queue.Size) return room;
            if (!queue.TryTake(out var chain)) return null;
            if (chain.ReadableLength != 0 || chain.WritableLength < header)
            {
                // 5.1.6.3.1
                _host!.Fail($"a buffer for received frames has {chain.ReadableLength} device-readable bytes and {chain.WritableLength} writable ones");
                return null;
            }
            held.Add(chain);
            room += Math.Min(chain.WritableLength, NetSpec.LongestFrame);
        }
        return room;
    }

    private void Fill(Virtqueue queue, int pair, int headerLength, ReadOnlySpan<byte> frame, in FrameOffload offload, bool dataValid)
    {
        var held = _held[pair];
        var written = _written[pair];
        Span<byte> header = stackalloc byte[NetSpec.LongestHeader];
        header = header[..headerLength];
        int buffers = 0, done = 0;
        while (done < frame.Length || buffers == 0)
        {
            var chain = held[buffers];
            var offset = buffers == 0 ? headerLength : 0;
            var length = (int)Math.Min(chain.WritableLength - (uint)offset, (uint)(frame.Length - done));
            _ = chain.Write((ulong)offset, frame.Slice(done, length));
            written[buffers++] = (uint)(offset + length);
            done += length;
        }
        NetHeader.Write(header, offload, buffers, dataValid);
        _ = held[0].Write(0, header);
        queue.Complete(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(held)[..buffers], written);
        held.RemoveRange(0, buffers);
    }

    private bool Control()
    {
        var queue = _host!.Queues[ControlQueue];
        Span<byte> command = stackalloc byte[NetSpec.LongestCommand];
        for (var i = 0; i < NetSpec.ControlQueueSize; i++)
        {
            if (!queue.TryTake(out var chain)) return false;
            if (chain.WritableLength == 0)
            {
                _host.Fail("a control command has no room for its answer");
                return false;
            }
            var length = chain.Read(0, command);
            bool done;
            lock (_lock) done = NetControl.Execute(_state, command[..length], _pairs);
            if (done && command[0] == NetSpec.ClassGuestOffloads) _backend.OffloadsChanged();
            _ = chain.Write(0, [done ? NetSpec.Ok : NetSpec.Error]);
            queue.Complete(chain, 1);
        }
        return true;
    }

    /// <summary>No limit keeps anything waiting any more.</summary>
    public void Dispose()
    {
        _options.Sending?.Dispose();
        _options.Receiving?.Dispose();
    }

    // What comes for the guest waits in its backend, as where the guest has no room.
    private sealed class LimitedBackend(INetBackend backend) : IHeldBack
    {
        public void HoldBack()
        {
        }

        public void GoOn() => backend.ReadyToReceive();
    }
}
