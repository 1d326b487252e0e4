// The virtio memory balloon (virtio 1.2, 5.5): the guest hands pages to it when it is asked to, and tells of its free pages
// without being asked. Both go back to the host at once; a page that is used again is a fresh one.
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Lamina.Core.Inspection;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Devices.Virtio.Rings;

namespace Lamina.Devices.Virtio.Balloon;

/// <summary>The balloon.</summary>
/// <param name="memory">The guest's RAM.</param>
public sealed class VirtioBalloon(GuestMemory memory) : IVirtioDevice, IMemoryBalloon, ISavedUnit, IInspected, ICounted
{
    private readonly Lock _lock = new();
    private readonly byte[] _piece = new byte[BalloonSpec.PieceLength];
    private IVirtioHost? _host;
    private BalloonState _state = new();
    private uint _target;
    private uint _generation;

    /// <inheritdoc/>
    public VirtioDeviceType Type => VirtioDeviceType.Balloon;

    /// <inheritdoc/>
    public ulong Features => BalloonSpec.FeatureStatistics | BalloonSpec.FeatureDeflateOnOutOfMemory | BalloonSpec.FeatureReporting;

    /// <inheritdoc/>
    public IReadOnlyList<VirtioQueueSpec> Queues { get; } = [.. Enumerable.Repeat(new VirtioQueueSpec(BalloonSpec.QueueSize), BalloonSpec.Queues)];

    /// <inheritdoc/>
    public uint ConfigGeneration
    {
        get
        {
            lock (_lock) return _generation;
        }
    }

    /// <inheritdoc/>
    public ulong Target
    {
        get
        {
            lock (_lock) return (ulong)_target << BalloonSpec.PageShift;
        }
        set
        {
            lock (_lock)
            {
                _target = (uint)Math.Min(value >> BalloonSpec.PageShift, uint.MaxValue);
                _generation++;
            }
            _host?.ConfigurationChanged();
        }
    }

    /// <inheritdoc/>
    public ulong Actual
    {
        get
        {
            lock (_lock) return (ulong)_state.Actual << BalloonSpec.PageShift;
        }
    }

    /// <inheritdoc/>
    public long Returned
    {
        get
        {
            lock (_lock) return _state.Inflated + _state.Reported;
        }
    }

    /// <inheritdoc/>
    public IReadOnlyDictionary<BalloonStatistic, ulong> Statistics
    {
        get
        {
            lock (_lock) return _state.Statistics.ToDictionary();
        }
    }

    /// <inheritdoc/>
    public void RequestStatistics()
    {
        int index;
        lock (_lock)
        {
            _state.StatisticsWanted = _state.StatisticsBuffer is not null;
            index = _state.StatisticsQueue;
        }
        if (index >= 0) _host!.WakeQueue(index);
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_lock, () =>
    {
        node.Say("target bytes", (ulong)_target << BalloonSpec.PageShift);
        node.Say("actual bytes", (ulong)_state.Actual << BalloonSpec.PageShift);
        if (_state.Statistics.Count == 0) return;
        var said = node.Below("what the guest said");
        foreach (var (kind, value) in _state.Statistics.OrderBy(pair => pair.Key)) said.Say(kind.ToString(), value);
    });

    /// <inheritdoc/>
    public void Count(CounterList counters) => counters.Total("balloon_returned_bytes", Returned, "bytes given back to the host since the guest's start", CounterUnit.Bytes);

    /// <inheritdoc/>
    public void Attach(IVirtioHost host) => _host = host;

    /// <inheritdoc/>
    public bool Accepts(ulong features) => true;

    /// <inheritdoc/>
    public void ReadConfig(int offset, Span<byte> data)
    {
        Span<byte> image = stackalloc byte[BalloonSpec.ConfigLength];
        lock (_lock)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(image[BalloonSpec.TargetAt..], _target);
            BinaryPrimitives.WriteUInt32LittleEndian(image[BalloonSpec.ActualAt..], _state.Actual);
        }
        ConfigSpace.Read(image, offset, data);
    }

    /// <inheritdoc/>
    public void WriteConfig(int offset, ReadOnlySpan<byte> data)
    {
        // 5.5.6: "actual" is the one field that the driver writes.
        if (offset != BalloonSpec.ActualAt || data.Length != sizeof(uint)) return;
        lock (_lock) _state.Actual = BinaryPrimitives.ReadUInt32LittleEndian(data);
    }

    /// <inheritdoc/>
    public void Activate(ulong features)
    {
        lock (_lock) NameQueues(features);
    }

    /// <inheritdoc/>
    public bool ProcessQueue(int index)
    {
        var queue = _host!.Queues[index];
        int statistics, reporting;
        lock (_lock) (statistics, reporting) = (_state.StatisticsQueue, _state.ReportingQueue);
        for (var i = 0; i < BalloonSpec.BuffersAtOnce; i++)
        {
            if (!queue.TryTake(out var chain))
            {
                if (index == statistics) GiveStatisticsBuffer(queue);
                return false;
            }
            if (index == statistics)
            {
                KeepStatistics(queue, chain);
                continue;
            }
            if (index == BalloonSpec.InflateQueue) Inflate(queue, chain);
            else if (index == reporting) TakeReport(chain);
            // What leaves the balloon is touched by the guest when it likes.
            queue.Complete(chain, 0);
        }
        return true;
    }

    /// <inheritdoc/>
    public void StopQueue(int index)
    {
        // Buffers are worked on under the queue's gate only; the one that is kept is the stopped queue's, and void.
        lock (_lock)
        {
            if (index == _state.StatisticsQueue) _state.StatisticsBuffer = null;
        }
    }

    /// <inheritdoc/>
    public void Reset()
    {
        lock (_lock) _state = new BalloonState();
    }

    /// <inheritdoc/>
    public SavedKind Kind => new("virtio memory balloon", 1);

    /// <inheritdoc/>
    /// <remarks>
    /// The buffer of statistics is in the hands of its queue as well, which yields it again after a load. Pages that were given back are
    /// zeros in the guest's memory and nothing here.
    /// </remarks>
    public void Save(SavedFields fields)
    {
        lock (_lock) Exchange(fields);
    }

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        lock (_lock)
        {
            Exchange(fields);
            if (_host!.ActiveFeatures is { } features) NameQueues(features);
        }
    }

    private void Exchange(SavedFields fields)
    {
        fields.Value(1, ref _target);
        fields.Value(2, ref _generation);
        fields.Record(3, ref _state, BalloonState.Exchange);
    }

    // 5.5.2: queues that were not negotiated are not there, and others take their numbers.
    private void NameQueues(ulong features)
    {
        var next = BalloonSpec.FirstOptionalQueue;
        _state.StatisticsQueue = (features & BalloonSpec.FeatureStatistics) != 0 ? next++ : -1;
        _state.ReportingQueue = (features & BalloonSpec.FeatureReporting) != 0 ? next : -1;
    }

    // Page numbers of 32 bits, of which neighbours are given back together.
    private void Inflate(Virtqueue queue, DescriptorChain chain)
    {
        ulong start = 0, length = 0;
        for (ulong done = 0; queue.IsLive;)
        {
            var count = chain.Read(done, _piece);
            if (count < sizeof(uint)) break;
            foreach (var page in MemoryMarshal.Cast<byte, uint>(_piece.AsSpan(0, count)))
            {
                var address = (ulong)page << BalloonSpec.PageShift;
                if (length != 0 && address == start + length)
                {
                    length += BalloonSpec.PageSize;
                    continue;
                }
                // Linux hands out pages from the top downwards as often as not.
                if (length != 0 && address + BalloonSpec.PageSize == start)
                {
                    (start, length) = (address, length + BalloonSpec.PageSize);
                    continue;
                }
                Return(start, length, ref _state.Inflated);
                (start, length) = (address, BalloonSpec.PageSize);
            }
            done += (ulong)count;
        }
        Return(start, length, ref _state.Inflated);
    }

    // 5.5.6.7: the buffer's pages themselves are free until it is given back.
    private void TakeReport(DescriptorChain chain)
    {
        foreach (var segment in chain.Writable) Return(segment.Address, segment.Length, ref _state.Reported);
    }

    private void Return(ulong address, ulong length, ref long counter)
    {
        var end = (address + length) & ~(BalloonSpec.PageSize - 1);
        address = (address + BalloonSpec.PageSize - 1) & ~(BalloonSpec.PageSize - 1);
        if (end <= address || !memory.TryDiscard(address, end - address)) return;
        lock (_lock) counter += (long)(end - address);
    }

    // 5.5.6.3: the device asks by giving the buffer back.
    private void GiveStatisticsBuffer(Virtqueue queue)
    {
        DescriptorChain buffer;
        lock (_lock)
        {
            // Wanted by a machine that is gone, before the buffer was taken again here: later.
            if (!_state.StatisticsWanted || _state.StatisticsBuffer is null) return;
            (buffer, _state.StatisticsBuffer, _state.StatisticsWanted) = (_state.StatisticsBuffer, null, false);
        }
        queue.Complete(buffer, 0);
    }

    private void KeepStatistics(Virtqueue queue, DescriptorChain chain)
    {
        Span<byte> raw = stackalloc byte[BalloonSpec.StatisticLength * 32];
        var count = chain.Read(0, raw);
        DescriptorChain? previous;
        lock (_lock)
        {
            for (var at = 0; at + BalloonSpec.StatisticLength <= count; at += BalloonSpec.StatisticLength)
            {
                var tag = (BalloonStatistic)BinaryPrimitives.ReadUInt16LittleEndian(raw[at..]);
                if (tag <= BalloonStatistic.HugePageFailures) _state.Statistics[tag] = BinaryPrimitives.ReadUInt64LittleEndian(raw[(at + BalloonSpec.StatisticValueAt)..]);
            }
            (previous, _state.StatisticsBuffer) = (_state.StatisticsBuffer, chain);
        }
        // A driver has one such buffer; one that offers more gets the older back.
        if (previous is not null) queue.Complete(previous, 0);
    }
}
