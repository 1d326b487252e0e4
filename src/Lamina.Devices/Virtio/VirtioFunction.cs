// A virtio device from the driver's side, apart from the registers of a transport: status, features, queue set-up, reset,
// notifications, and the workers that serve the queues. Transports (MMIO here; PCI) decode registers and call this.
// The transport serialises its calls with a lock of its own; Notify and what IVirtioHost offers come from any thread.
// Lock order: transport, queue gate, device, then the status gate below, then the transport's interrupt state.
using Lamina.Core.Inspection;
using Lamina.Core.Logging;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Core.Units;
using Lamina.Core.Work;
using Lamina.Devices.Virtio.Rings;

namespace Lamina.Devices.Virtio;

/// <summary>How a function reaches its driver. Called with locks held; must not call back.</summary>
internal interface IVirtioInterrupts
{
    /// <summary>A queue has used buffers that the driver wants to know of.</summary>
    void UsedBuffers(int queue);

    /// <summary>The configuration space or the device's health changed.</summary>
    void ConfigurationChanged();
}

/// <summary>What a virtio device needs of its machine.</summary>
/// <param name="Memory">Guest RAM.</param>
/// <param name="Workers">Makes the workers that serve queues.</param>
/// <param name="Log">Where one line is written when a driver breaks the device, at most once a reset and ten times in all; or null.</param>
/// <param name="PackedRings">Whether to offer packed virtqueues.</param>
public sealed record VirtioOptions(GuestMemory Memory, IWorkerFactory Workers, ILog? Log = null, bool PackedRings = true);

/// <summary>Has a queue's doorbell wake the queue's worker without the driver's CPU leaving the guest.</summary>
/// <param name="queue">The queue.</param>
/// <param name="worker">Its worker.</param>
/// <returns>Whether it does from now on.</returns>
public delegate bool ConnectDoorbell(int queue, IWorker worker);

internal sealed class VirtioFunction : IVirtioHost, IPausable, ISavedUnit, IInspected, IDisposable
{
    private const VirtioStatus DriverBits = VirtioStatus.Acknowledge | VirtioStatus.Driver | VirtioStatus.DriverOk
        | VirtioStatus.FeaturesOk | VirtioStatus.Failed;

    // A guest could break and reset its device without end; after so many lines the log says no more of it.
    private const int MostLogLines = 10;

    private readonly IVirtioDevice _device;
    private readonly VirtioOptions _options;
    private readonly IVirtioInterrupts _interrupts;
    private readonly IReadOnlyList<VirtioQueueSpec> _specs;
    private readonly Virtqueue[] _queues;
    private readonly int[] _pending;
    private readonly bool[] _rungUnseen;
    private readonly ConnectDoorbell? _connectDoorbell;
    private readonly bool _hasLegacy;
    private readonly IWorker?[] _workers;
    private readonly Lock _statusGate = new();
    private VirtioStatus _status;
    private bool _paused, _changedUnseen;
    private VirtioState _state;
    private int _logLines;

    /// <summary>Puts a device behind a transport.</summary>
    /// <param name="device">The device.</param>
    /// <param name="options">What it needs of the machine.</param>
    /// <param name="interrupts">How the transport reaches the driver.</param>
    /// <param name="connectDoorbell">Spares the driver's CPU the way to <see cref="Notify"/>; or null.</param>
    /// <param name="hasLegacy">Whether the transport has the legacy interface as well (virtio 1.2, 1.3.1).</param>
    internal VirtioFunction(IVirtioDevice device, VirtioOptions options, IVirtioInterrupts interrupts, ConnectDoorbell? connectDoorbell = null, bool hasLegacy = false)
    {
        _device = device;
        _hasLegacy = hasLegacy;
        _connectDoorbell = connectDoorbell;
        _options = options;
        _interrupts = interrupts;
        _specs = device.Queues;
        _state = new VirtioState(_specs.Count);
        _pending = new int[_specs.Count];
        _rungUnseen = new bool[_specs.Count];
        _queues = [.. _specs.Select((spec, index) => new Virtqueue(index, options.Memory, interrupts.UsedBuffers, Fail) { IsPolled = spec.Polled })];
        _workers = new IWorker?[_specs.Select(spec => spec.Worker + 1).DefaultIfEmpty(0).Max()];
        OfferedFeatures = device.Features | VirtioFeatures.Version1 | VirtioFeatures.IndirectDescriptors | VirtioFeatures.EventIndex
            | VirtioFeatures.RingReset | (options.PackedRings ? VirtioFeatures.RingPacked : 0);
        device.Attach(this);
    }

    public IReadOnlyList<Virtqueue> Queues => _queues;

    internal IVirtioDevice Device => _device;

    internal ulong OfferedFeatures { get; }

    /// <summary>What a driver is offered that uses the legacy interface: 32 bits, in which buffers may have any layout (6.3).</summary>
    internal uint LegacyFeatures => (uint)(OfferedFeatures | VirtioFeatures.AnyLayout);

    /// <summary>The features that the driver accepted so far.</summary>
    internal ulong DriverFeatures => _state.DriverFeatures;

    public ulong? ActiveFeatures => Status.HasFlag(VirtioStatus.DriverOk) ? _state.DriverFeatures : null;

    internal VirtioStatus Status
    {
        get
        {
            lock (_statusGate) return _status;
        }
    }

    /// <summary>Whether a feature is in force.</summary>
    internal bool Negotiated(ulong feature) => Status.HasFlag(VirtioStatus.FeaturesOk) && (_state.DriverFeatures & feature) != 0;

    /// <summary>Accepts 32 features; ignored once FEATURES_OK stands (3.1.1, step 5).</summary>
    /// <param name="select">Which 32, from 0.</param>
    /// <param name="value">One bit each.</param>
    internal void WriteDriverFeatures(uint select, uint value)
    {
        if (Status.HasFlag(VirtioStatus.FeaturesOk)) return;
        if (select == 0) _state.DriverFeatures = _state.DriverFeatures & ~0xffff_fffful | value;
        else if (select == 1) _state.DriverFeatures = _state.DriverFeatures & 0xffff_ffff | (ulong)value << 32;
        else _state.UnknownFeatures |= value != 0;
    }

    /// <summary>Writes the device status: 0 resets, anything else sets bits; the driver can clear none (2.1.1).</summary>
    internal void WriteStatus(byte value)
    {
        if (value == 0)
        {
            Reset();
            return;
        }
        var before = Status;
        var wanted = before | (VirtioStatus)value & DriverBits;
        if (!before.HasFlag(VirtioStatus.FeaturesOk) && !(wanted.HasFlag(VirtioStatus.Acknowledge | VirtioStatus.Driver) && FeaturesAreAcceptable(legacy: false)))
            wanted &= ~VirtioStatus.FeaturesOk;
        if (!wanted.HasFlag(VirtioStatus.FeaturesOk)) wanted &= ~VirtioStatus.DriverOk;
        Advance(before, wanted);
    }

    /// <summary>
    /// Writes the device status over the legacy interface, where nobody asks whether the features will do (3.1.2): they are settled by
    /// DRIVER_OK, and FEATURES_OK stands from then on, for those that use the other interface or look inside.
    /// </summary>
    internal void WriteLegacyStatus(byte value)
    {
        if (value == 0)
        {
            Reset();
            return;
        }
        var before = Status;
        var wanted = before | (VirtioStatus)value & DriverBits & ~VirtioStatus.FeaturesOk;
        // Old drivers left steps out; whoever is ready has noticed the device and has a driver for it.
        if (wanted.HasFlag(VirtioStatus.DriverOk)) wanted |= VirtioStatus.Acknowledge | VirtioStatus.Driver | VirtioStatus.FeaturesOk;
        if (!before.HasFlag(VirtioStatus.FeaturesOk) && wanted.HasFlag(VirtioStatus.FeaturesOk) && !FeaturesAreAcceptable(legacy: true))
        {
            lock (_statusGate) _status |= wanted & ~(VirtioStatus.FeaturesOk | VirtioStatus.DriverOk);
            Fail($"the features 0x{_state.DriverFeatures:x} that it accepted cannot be had together");
            return;
        }
        Advance(before, wanted);
    }

    private void Advance(VirtioStatus before, VirtioStatus wanted)
    {
        lock (_statusGate) _status |= wanted;
        if (wanted.HasFlag(VirtioStatus.Failed)) BreakQueues();
        else if (wanted.HasFlag(VirtioStatus.DriverOk) && !before.HasFlag(VirtioStatus.DriverOk)) Activate();
    }

    /// <summary>The most descriptors of a queue; 0 where there is no such queue.</summary>
    internal ushort QueueMaximum(uint index) => index < _queues.Length ? _specs[(int)index].Size : (ushort)0;

    /// <summary>What the driver told of a queue, to be changed while it is not ready; null where it is, or where there is none.</summary>
    internal bool TryConfigure(uint index, out Span<VirtioQueueState> queue)
    {
        queue = index < _queues.Length && !_state.Queues[index].Ready ? _state.Queues.AsSpan((int)index, 1) : default;
        return !queue.IsEmpty;
    }

    /// <summary>What the driver told of a queue; nothing where there is no such queue.</summary>
    internal VirtioQueueState QueueState(uint index) => index < _queues.Length ? _state.Queues[index] : default;

    internal bool IsReady(uint index) => index < _queues.Length && _state.Queues[index].Ready;

    /// <summary>Declares a queue ready, or stops it.</summary>
    internal void SetReady(uint index, bool ready)
    {
        if (index >= _queues.Length || _state.Queues[index].Ready == ready) return;
        _state.Queues[index].Ready = ready;
        if (ready) StartQueue((int)index);
        else StopQueue((int)index);
    }

    /// <summary>Resets one queue (2.6.1). Done when this returns.</summary>
    internal void ResetQueue(uint index)
    {
        if (index >= _queues.Length || !Negotiated(VirtioFeatures.RingReset)) return;
        StopQueue((int)index);
        _state.Queues[index] = default;
    }

    /// <summary>The driver says that a queue has buffers. Any thread; harmless at any time.</summary>
    internal void Notify(uint index)
    {
        if (index < _queues.Length) WakeQueue((int)index);
    }

    public void WakeQueue(int index)
    {
        if (!_queues[index].IsLive) return;
        Volatile.Write(ref _pending[index], 1);
        _workers[_specs[index].Worker]?.Wake();
    }

    public void ConfigurationChanged()
    {
        lock (_statusGate)
        {
            // 2.1.2: no notification before DRIVER_OK, and none after a reset.
            if (!_status.HasFlag(VirtioStatus.DriverOk)) return;
            if (_paused) _changedUnseen = true;
            else _interrupts.ConfigurationChanged();
        }
    }

    public void Fail(string reason)
    {
        lock (_statusGate)
        {
            if (_status == VirtioStatus.None || _status.HasFlag(VirtioStatus.DeviceNeedsReset)) return;
            _status |= VirtioStatus.DeviceNeedsReset;
        }
        BreakQueues();
        ConfigurationChanged();
        if (Interlocked.Increment(ref _logLines) is var line && line <= MostLogLines)
            _options.Log.Debug(LogEvent.DriverBroke, $"virtio {_device.Type}: the guest's driver broke the device until it resets it: {reason}"
                + (line == MostLogLines ? "; further such lines are left out" : ""));
    }

    /// <inheritdoc/>
    public void Pause()
    {
        lock (_statusGate) _paused = true;
        foreach (var queue in _queues) queue.Pause();
        _device.Pause();
    }

    /// <inheritdoc/>
    public void Resume()
    {
        bool changed;
        lock (_statusGate)
        {
            if (!_paused) return;
            (_paused, changed, _changedUnseen) = (false, _changedUnseen, false);
        }
        foreach (var queue in _queues) queue.Resume();
        if (changed) ConfigurationChanged();
        _device.Resume();
        for (var i = 0; i < _queues.Length; i++) WakeQueue(i);
    }

    /// <inheritdoc/>
    public SavedKind Kind => new("virtio function", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields) => Exchange(fields);

    /// <inheritdoc/>
    public void Load(SavedFields fields) => Exchange(fields);

    /// <summary>Puts everything back to the start. When this returns no queue is touched and no notification comes any more.</summary>
    internal void Reset()
    {
        lock (_statusGate) (_status, _changedUnseen) = (VirtioStatus.None, false);
        BreakQueues();
        foreach (var queue in _queues) queue.Stop();
        _device.Reset();
        _state = new VirtioState(_queues.Length);
    }

    /// <summary>The driver's registers are read without the transport's lock, which a reset may hold for long: each is whole, and a driver that is just setting the device up may be seen half-way.</summary>
    public void Inspect(InspectNode node)
    {
        node.Locked(_statusGate, () =>
        {
            node.Say("status", _status);
            node.Say("paused", _paused);
        });
        node.SayHex("features offered", OfferedFeatures);
        node.SayHex("features accepted", _state.DriverFeatures);
        var told = _state.Queues;
        node.Each("queue", _queues, (queue, live) =>
        {
            ref readonly var state = ref told[live.Index];
            queue.Say("most descriptors", (long)_specs[live.Index].Size);
            queue.Say("descriptors", (ulong)state.Size);
            queue.Say("ready", state.Ready);
            queue.SayHex("descriptor area", state.DescriptorArea);
            queue.SayHex("driver area", state.DriverArea);
            queue.SayHex("device area", state.DeviceArea);
            live.Inspect(queue);
        });
        if (_device is IInspected device) device.Inspect(node.Below("device"));
    }

    public void Dispose()
    {
        Reset();
        foreach (var worker in _workers) worker?.Dispose();
        (_device as IDisposable)?.Dispose();
    }

    // Notifications need no place in it: every queue is processed once when the machine goes on.
    private void Exchange(SavedFields fields)
    {
        if (_device is not ISavedUnit device) throw new StateException($"has a virtio device of a type ({_device.Type}) for whose state there is no form");
        var status = (byte)Status;
        fields.Value(1, ref status);
        fields.Value(2, ref _state.DriverFeatures);
        fields.Value(3, ref _state.UnknownFeatures);
        lock (_statusGate) fields.Value(4, ref _changedUnseen);
        if (fields.IsLoading) LoadStatus((VirtioStatus)status);
        fields.Unit(5, device);
        fields.Records(6, _queues, ExchangeQueue);
    }

    private void LoadStatus(VirtioStatus status)
    {
        SavedFields.Require((status & ~(DriverBits | VirtioStatus.DeviceNeedsReset)) == 0
            && (status.HasFlag(VirtioStatus.FeaturesOk) || !status.HasFlag(VirtioStatus.DriverOk))
            && (status.HasFlag(VirtioStatus.Acknowledge | VirtioStatus.Driver) || !status.HasFlag(VirtioStatus.FeaturesOk)), $"a device status of 0x{(byte)status:x}");
        if (status.HasFlag(VirtioStatus.FeaturesOk) && !FeaturesAreAcceptable(legacy: _hasLegacy && (_state.DriverFeatures & VirtioFeatures.Version1) == 0))
            throw new StateException($"has a driver that works with the features 0x{_state.DriverFeatures:x}, and this device offers 0x{OfferedFeatures:x}; make it as it was made when it was saved");
        lock (_statusGate) _status = status;
        if (status.HasFlag(VirtioStatus.DriverOk)) CreateWorkers();
    }

    private void ExchangeQueue(SavedFields fields, ref Virtqueue queue)
    {
        fields.Record(1, ref _state.Queues[queue.Index], VirtioQueueState.Exchange);
        var live = queue.IsLive && MayRun(queue.Index);
        fields.Value(2, ref live);
        if (!live) return;
        if (fields.IsLoading)
        {
            SavedFields.Require(MayRun(queue.Index), "a queue that runs although its driver did not start it");
            if (TryCreateRing(queue.Index, out var reason) is not { } ring) throw new StateException($"cannot be in this state: queue {queue.Index}: {reason}");
            queue.Start(ring, (int)_state.Queues[queue.Index].Size);
        }
        fields.Record(3, ref queue, static (SavedFields fields, ref Virtqueue queue) => queue.Exchange(fields));
    }

    // What a driver accepts has VERSION_1 over every interface but the legacy one, where it cannot (6.1).
    private bool FeaturesAreAcceptable(bool legacy) =>
        !_state.UnknownFeatures && (_state.DriverFeatures & ~(legacy ? LegacyFeatures : OfferedFeatures)) == 0
        && (_state.DriverFeatures & VirtioFeatures.Version1) != 0 != legacy && _device.Accepts(_state.DriverFeatures);

    private void Activate()
    {
        CreateWorkers();
        _device.Activate(_state.DriverFeatures);
        for (var i = 0; i < _queues.Length; i++)
            if (_state.Queues[i].Ready) StartQueue(i);
    }

    private void CreateWorkers()
    {
        for (var i = 0; i < _workers.Length; i++)
        {
            if (_workers[i] is not null) continue;
            var worker = _workers[i] = CreateWorker(i);
            for (var queue = 0; queue < _queues.Length; queue++)
                if (_specs[queue].Worker == i) _rungUnseen[queue] = _connectDoorbell?.Invoke(queue, worker) == true;
        }
    }

    private IWorker CreateWorker(int number)
    {
        var name = $"virtio-{_device.Type}-{number}";
        var polled = _queues.FirstOrDefault(queue => queue.IsPolled && _specs[queue.Index].Worker == number);
        return polled is null ? _options.Workers.Create(name, () => Serve(number)) : _options.Workers.Create(name, new PolledQueue(_device, polled, _specs[polled.Index].UnderWay));
    }

    // Before DRIVER_OK a queue is only remembered as ready: its layout depends on features that are not settled yet.
    private void StartQueue(int index)
    {
        if (!MayRun(index)) return;
        if (TryCreateRing(index, out var reason) is not { } ring)
        {
            Fail($"queue {index}: {reason}");
            return;
        }
        _queues[index].Start(ring, (int)_state.Queues[index].Size);
        // Buffers may have been made available before the queue was live.
        WakeQueue(index);
    }

    private bool MayRun(int index)
    {
        var status = Status;
        return _state.Queues[index].Ready && status.HasFlag(VirtioStatus.DriverOk) && (status & (VirtioStatus.DeviceNeedsReset | VirtioStatus.Failed)) == 0;
    }

    private IRing? TryCreateRing(int index, out string? reason)
    {
        ref readonly var queue = ref _state.Queues[index];
        var layout = new RingLayout(queue.Size, queue.DescriptorArea, queue.DriverArea, queue.DeviceArea);
        if (queue.Size > _specs[index].Size)
        {
            reason = $"{queue.Size} descriptors are more than the {_specs[index].Size} on offer";
            return null;
        }
        return (_state.DriverFeatures & VirtioFeatures.RingPacked) != 0
            ? PackedRing.TryCreate(_options.Memory, layout, _state.DriverFeatures, out reason)
            : SplitRing.TryCreate(_options.Memory, layout, _state.DriverFeatures, out reason);
    }

    private void StopQueue(int index)
    {
        _queues[index].Stop();
        _device.StopQueue(index);
    }

    private void BreakQueues()
    {
        foreach (var queue in _queues) queue.Break();
    }

    private void Serve(int worker)
    {
        for (var i = 0; i < _queues.Length; i++)
        {
            // A doorbell that wakes the worker leaves no note of which queue it was.
            if (_specs[i].Worker != worker || (Interlocked.Exchange(ref _pending[i], 0) == 0 && !_rungUnseen[i])) continue;
            var queue = _queues[i];
            bool again;
            lock (queue.Gate)
            {
                again = queue is { IsLive: true, IsPaused: false } && _device.ProcessQueue(i);
                queue.Signal();
            }
            if (again) WakeQueue(i);
        }
    }
}
