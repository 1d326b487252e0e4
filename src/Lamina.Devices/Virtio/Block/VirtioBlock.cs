// The virtio block device (virtio 1.2, 5.2): a disk with one or more request queues, each served by a worker of its own.
// Data go between guest memory and the disk without a copy here. Whatever the guest asks for is checked against the disk's
// size first; whatever the host refuses becomes an I/O error of that request.
using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using Lamina.Core.Block;
using Lamina.Core.Inspection;
using Lamina.Core.Limits;
using Lamina.Core.Logging;
using Lamina.Core.State;
using Lamina.Core.Work;
using Lamina.Devices.Virtio.Rings;

namespace Lamina.Devices.Virtio.Block;

/// <summary>What a block device is to be.</summary>
public sealed record VirtioBlockOptions
{
    /// <summary>The most queues that a device can have.</summary>
    public const int MostQueues = BlockSpec.MostQueues;

    /// <summary>The longest serial number in bytes.</summary>
    public const int LongestSerial = BlockSpec.IdLength;

    /// <summary>Names the disk to the guest (/dev/disk/by-id/virtio-SERIAL); at most 20 bytes.</summary>
    public string Serial { get; init; } = "";

    /// <summary>Request queues, 1 to 16: one for each vCPU is best.</summary>
    public int Queues { get; init; } = 1;

    /// <summary>The logical block size that the driver is told, in bytes: 512 or 4096; null for the disk's own.</summary>
    public int? BlockSize { get; init; }

    /// <summary>Whether every write is durable before it ends, whatever the driver says.</summary>
    public bool WriteThrough { get; init; }

    /// <summary>Whether discards are offered to the guest.</summary>
    public bool Discard { get; init; } = true;

    /// <summary>How many requests are carried out at once beside the queues' workers, at most; 0 for none.</summary>
    public int Parallel { get; init; }

    /// <summary>Whether a write waits for the host's disk, so that others are carried out meanwhile.</summary>
    public bool WritesWait { get; init; }

    /// <summary>
    /// Has a request that finds the host's disk full wait for <see cref="VirtioBlock.Retry"/> instead of failing. Told "true" when
    /// the first one waits and "false" when none does any more; any thread, with locks held. It takes <see cref="Parallel"/>.
    /// </summary>
    public Action<bool>? WaitsForSpace { get; init; }

    /// <summary>Told of errors of the disk, a few times; any thread.</summary>
    public ILog? Log { get; init; }

    /// <summary>Lets through as many requests and bytes as the disk may move; null for all. The device's own from then on.</summary>
    public FlowGate? Gate { get; init; }
}

/// <summary>The block device.</summary>
public sealed class VirtioBlock : IVirtioDevice, ISavedUnit, IInspected, ICounted, IDisposable
{
    private readonly IBlockBackend _disk;
    private readonly VirtioBlockOptions _options;
    private readonly byte[] _serial;
    private readonly BlockBuffer[] _buffers;
    private readonly BlockUnderWay?[] _underWay;
    private readonly BlockWorkers? _helpers;
    private readonly StalledRequests? _stalled;
    private readonly ulong _sectors;
    private readonly int _blockSize;
    private BlockState _state;
    private ulong _features;
    private int _reports;
    private bool _disposed;
    private IVirtioHost? _host;
    private LimitedQueue[] _limited = [];

    /// <summary>Makes a device of a disk, which stays its creator's to dispose.</summary>
    /// <param name="disk">The disk.</param>
    /// <param name="options">What the device is to be.</param>
    /// <param name="workers">Makes workers for requests at once, where the options ask for them.</param>
    /// <exception cref="ArgumentException">The serial number is too long, there are too many queues, or the block size is none or does not divide the disk.</exception>
    /// <exception cref="IOException">The host refuses the disk's rings, and nothing else will do; a sentence.</exception>
    public VirtioBlock(IBlockBackend disk, VirtioBlockOptions options, IWorkerFactory? workers = null)
    {
        (_disk, _options) = (disk, options);
        _serial = Encoding.UTF8.GetBytes(options.Serial);
        if (_serial.Length > BlockSpec.IdLength) throw new ArgumentException($"a serial number has at most {BlockSpec.IdLength} bytes", nameof(options));
        if (options.Queues is < 1 or > BlockSpec.MostQueues) throw new ArgumentException($"a block device has 1 to {BlockSpec.MostQueues} queues, not {options.Queues}", nameof(options));
        _sectors = disk.Length / BlockSpec.SectorSize;
        _blockSize = options.BlockSize ?? disk.Limits.LogicalBlockSize;
        if (_blockSize is not (BlockSpec.SmallBlock or BlockSpec.LargeBlock) || disk.Length % (ulong)_blockSize != 0)
            throw new ArgumentException($"blocks of {_blockSize} bytes are not possible on a disk of {disk.Length} bytes", nameof(options));
        _underWay = new BlockUnderWay?[options.Queues];
        if (options.Parallel > 0 && workers is not null)
        {
            _helpers = new BlockWorkers(workers, options.Parallel, options.Queues, CarryOutAndSignal);
            OpenRings();
        }
        Queues = [.. _underWay.Select((requests, i) => new VirtioQueueSpec(BlockSpec.QueueSize, i, Polled: true, requests))];
        _buffers = [.. Queues.Select(_ => new BlockBuffer())];
        if (_helpers is not null && options.WaitsForSpace is not null) _stalled = new StalledRequests(_helpers, options.WaitsForSpace);
        Reset();
    }

    /// <inheritdoc/>
    public VirtioDeviceType Type => VirtioDeviceType.Block;

    /// <inheritdoc/>
    public ulong Features => BlockSpec.FeatureSegmentMaximum | BlockSpec.FeatureBlockSize | BlockSpec.FeatureTopology
        | (_options.Queues > 1 ? BlockSpec.FeatureMultiqueue : 0)
        | (_options.WriteThrough ? 0 : BlockSpec.FeatureFlush | BlockSpec.FeatureConfigWriteCache)
        | (_disk.IsReadOnly ? BlockSpec.FeatureReadOnly : BlockSpec.FeatureWriteZeroes | (_options.Discard ? BlockSpec.FeatureDiscard : 0));

    /// <inheritdoc/>
    public IReadOnlyList<VirtioQueueSpec> Queues { get; }

    /// <inheritdoc/>
    public uint ConfigGeneration => 0;

    /// <summary>Requests since the last reset.</summary>
    public long Requests => Volatile.Read(ref _state.Requests);

    /// <summary>Requests since the last reset that ended with an error.</summary>
    public long Failures => Volatile.Read(ref _state.Failures);

    /// <summary>Bytes read since the last reset.</summary>
    public long BytesRead => Volatile.Read(ref _state.BytesRead);

    /// <summary>Bytes written since the last reset.</summary>
    public long BytesWritten => Volatile.Read(ref _state.BytesWritten);

    /// <inheritdoc/>
    public void Attach(IVirtioHost host) => (_host, _limited) = (host, [.. Queues.Select((_, index) => new LimitedQueue(host, index))]);

    /// <inheritdoc/>
    public bool Accepts(ulong features) => true;

    /// <inheritdoc/>
    public void ReadConfig(int offset, Span<byte> data)
    {
        Span<byte> image = stackalloc byte[BlockSpec.ConfigLength];
        image.Clear();
        // 5.2.5: the sizes are advice. The unit of capacity, requests and ranges is the sector of 512 bytes whatever they say.
        var limits = _disk.Limits;
        var physical = Math.Max(limits.PhysicalBlockSize, _blockSize);
        var alignment = (uint)Math.Max(limits.DiscardGranularity, _blockSize) / BlockSpec.SectorSize;
        BinaryPrimitives.WriteUInt64LittleEndian(image[BlockSpec.CapacityAt..], _sectors);
        Put(image, BlockSpec.SegmentMaximumAt, BlockSpec.MostSegments);
        Put(image, BlockSpec.BlockSizeAt, (uint)_blockSize);
        image[BlockSpec.PhysicalBlockExponentAt] = (byte)BitOperations.Log2((uint)(physical / _blockSize));
        BinaryPrimitives.WriteUInt16LittleEndian(image[BlockSpec.MinimumIoAt..], (ushort)(physical / _blockSize));
        Put(image, BlockSpec.OptimalIoAt, (uint)(limits.OptimalSize / _blockSize));
        image[BlockSpec.WritebackAt] = Volatile.Read(ref _state.Writeback) ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteUInt16LittleEndian(image[BlockSpec.QueuesAt..], (ushort)Queues.Count);
        if ((Features & BlockSpec.FeatureDiscard) != 0)
        {
            Put(image, BlockSpec.DiscardSectorsAt, BlockSpec.MostRangeSectors);
            Put(image, BlockSpec.DiscardSegmentsAt, BlockSpec.MostRanges);
            Put(image, BlockSpec.DiscardAlignmentAt, alignment);
        }
        if ((Features & BlockSpec.FeatureWriteZeroes) != 0)
        {
            Put(image, BlockSpec.ZeroSectorsAt, BlockSpec.MostRangeSectors);
            Put(image, BlockSpec.ZeroSegmentsAt, BlockSpec.MostRanges);
            image[BlockSpec.ZeroMayUnmapAt] = _options.Discard ? (byte)1 : (byte)0;
        }
        ConfigSpace.Read(image, offset, data);
    }

    /// <inheritdoc/>
    public void WriteConfig(int offset, ReadOnlySpan<byte> data)
    {
        // 5.2.6.2: the cache mode is the only field that a driver writes, once it accepted the feature.
        if (offset != BlockSpec.WritebackAt || data.IsEmpty || (_features & BlockSpec.FeatureConfigWriteCache) == 0) return;
        Volatile.Write(ref _state.Writeback, data[0] != 0);
    }

    /// <inheritdoc/>
    public void Activate(ulong features)
    {
        _features = features;
        // 5.2.6.2: without the mode in the configuration space, a driver that can flush means that it will.
        if ((features & BlockSpec.FeatureConfigWriteCache) == 0) Volatile.Write(ref _state.Writeback, (features & BlockSpec.FeatureFlush) != 0);
    }

    /// <inheritdoc/>
    public bool ProcessQueue(int index)
    {
        var queue = _host!.Queues[index];
        var underWay = _underWay[index];
        var taken = 0;
        ulong bytes = 0;
        var (gate, open) = (_options.Gate, true);
        while (taken < BlockSpec.RequestsAtOnce && bytes < BlockSpec.BytesAtOnce && (open = gate?.TryPass(_limited[index]) != false) && queue.TryTake(out var chain))
        {
            var length = (ulong)chain.ReadableLength + chain.WritableLength;
            bytes += length;
            gate?.Charge(length - Math.Min(length, BlockSpec.HeaderLength + BlockSpec.StatusLength));
            // One request alone is done here, where no time is lost for handing it over. A worker with others under way
            // must not wait, since it is they that it might wait for.
            CarryOut(queue, chain, _buffers[index], mayHandOver: _helpers is not null && (taken > 0 || underWay is { Any: true } || queue.HasBuffers));
            taken++;
        }
        underWay?.Submit();
        return open && (taken == BlockSpec.RequestsAtOnce || bytes >= BlockSpec.BytesAtOnce);
    }

    /// <inheritdoc/>
    public void StopQueue(int index)
    {
        // Those that are tried again by now may stall once more.
        _stalled?.Forget(index);
        _underWay[index]?.Wait();
        _helpers?.WaitFor(index);
        _stalled?.Forget(index);
    }

    /// <inheritdoc/>
    public void Pause()
    {
        // What waits for space stays with the device.
        _stalled?.Pause();
        for (var i = 0; i < Queues.Count; i++)
        {
            _underWay[i]?.Wait();
            _helpers?.WaitFor(i);
        }
    }

    /// <inheritdoc/>
    public void Resume() => _stalled?.Resume();

    /// <summary>Tries what waits for space on the host's disk once more, unless the machine stands still: then when it goes on. Any thread.</summary>
    public void Retry() => _stalled?.Retry();

    /// <inheritdoc/>
    public void Reset()
    {
        for (var i = 0; i < Queues.Count; i++) StopQueue(i);
        _features = 0;
        _state = new BlockState { Writeback = !_options.WriteThrough };
    }

    /// <inheritdoc/>
    public SavedKind Kind => new("virtio block device", 2);

    /// <inheritdoc/>
    /// <remarks>
    /// Requests that wait for space on the host's disk are done again by who loads the state: what is done of such a request already is
    /// done once more with the same bytes, unless the guest changed its buffer, which it must not before it has it back.
    /// </remarks>
    public void Save(SavedFields fields) => Exchange(fields);

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        Exchange(fields);
        SavedFields.Require(!_options.WriteThrough || !_state.Writeback, "writes that wait for a flush on a disk on which none may");
        _features = _host!.ActiveFeatures ?? 0;
    }

    /// <summary>Stops the workers that it made for itself, and gives rings back.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _options.Gate?.Dispose();
        _helpers?.Dispose();
        foreach (var requests in _underWay) requests?.Dispose();
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        node.Say("bytes", _sectors * BlockSpec.SectorSize);
        node.Say("read only", _disk.IsReadOnly);
        node.Say("serial", _options.Serial);
        node.Say("writes wait for a flush", Volatile.Read(ref _state.Writeback));
        node.Say("io_uring", _underWay.Any(ring => ring is not null));
        if (_options.Gate is { } gate) gate.Inspect(node.Below("limit"));
    }

    /// <inheritdoc/>
    public void Count(CounterList counters)
    {
        counters.Total("disk_read_bytes", BytesRead, "bytes that the guest read since its start", CounterUnit.Bytes);
        counters.Total("disk_written_bytes", BytesWritten, "bytes that the guest wrote since its start", CounterUnit.Bytes);
        counters.Total("disk_requests", Requests, "requests since the guest's start");
        counters.Total("disk_failed_requests", Failures, "requests that ended with an error");
        if (_options.Gate is { } gate) counters.Total("disk_limit_waits", gate.Waits, "how often requests were kept waiting by the disk's limit");
    }

    private void Exchange(SavedFields fields)
    {
        var sectors = _sectors;
        fields.Value(1, ref sectors);
        if (sectors != _sectors)
            throw new StateException($"was saved with a disk of {sectors * BlockSpec.SectorSize} bytes, and this one has {_sectors * BlockSpec.SectorSize}; give it the disk that it had");
        fields.Record(2, ref _state, BlockState.Exchange);
        // Before there was a choice it was the disk's own.
        var blockSize = fields.IsLoading ? _disk.Limits.LogicalBlockSize : _blockSize;
        fields.Value(3, ref blockSize, since: 2);
        if (blockSize != _blockSize)
            throw new StateException($"was saved with a disk of {blockSize}-byte blocks, and this one has {_blockSize}; give the disk block-size={blockSize}");
    }

    private void OpenRings()
    {
        try
        {
            for (var i = 0; i < _underWay.Length; i++)
                if (_disk.OpenRing() is { } ring) _underWay[i] = new BlockUnderWay(ring, EndOf(i));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    private void CarryOutAndSignal(Virtqueue queue, DescriptorChain chain, BlockBuffer buffer)
    {
        CarryOut(queue, chain, buffer, mayHandOver: false);
        queue.Signal();
    }

    private void CarryOut(Virtqueue queue, DescriptorChain chain, BlockBuffer buffer, bool mayHandOver)
    {
        Span<byte> header = stackalloc byte[BlockSpec.HeaderLength];
        // 5.2.6.1: header and status are what every request has; without them nothing can be answered.
        if (chain.Read(0, header) != header.Length || chain.WritableLength < BlockSpec.StatusLength)
        {
            _host!.Fail("a block request has no header or no room for its status");
            return;
        }
        var type = (BlockRequestType)BinaryPrimitives.ReadUInt32LittleEndian(header);
        var sector = BinaryPrimitives.ReadUInt64LittleEndian(header[BlockSpec.SectorAt..]);
        var room = chain.WritableLength - BlockSpec.StatusLength;
        uint written = 0;
        if (mayHandOver && TakesLong(type, room))
        {
            HandOver(queue, chain, buffer, type, sector);
            return;
        }
        BlockStatus? status;
        try
        {
            status = type switch
            {
                BlockRequestType.In => Read(chain, buffer, sector, room, onlyCached: mayHandOver, out written),
                BlockRequestType.Out => Write(chain, buffer, sector),
                BlockRequestType.Flush => Flush(),
                BlockRequestType.GetId => GetId(chain, room, out written),
                BlockRequestType.Discard or BlockRequestType.WriteZeroes => Ranges(chain, type),
                _ => BlockStatus.Unsupported,
            };
        }
        catch (IOException failure)
        {
            Fail(queue, chain, failure, written);
            return;
        }
        if (status is { } known) Complete(queue, chain, known, written);
        else HandOver(queue, chain, buffer, type, sector);
    }

    private void Fail(Virtqueue queue, DescriptorChain chain, IOException failure, uint written)
    {
        if (_stalled is not null && failure.IsDiskFull())
        {
            _stalled.Add(queue, chain);
            return;
        }
        Report(failure.Message);
        Complete(queue, chain, BlockStatus.IoError, written);
    }

    private void Complete(Virtqueue queue, DescriptorChain chain, BlockStatus status, uint written)
    {
        _stalled?.Remove(chain);
        Interlocked.Increment(ref _state.Requests);
        if (status != BlockStatus.Ok) Interlocked.Increment(ref _state.Failures);
        // The status is the last byte, wherever the data ended.
        var room = chain.WritableLength - BlockSpec.StatusLength;
        chain.Write(room, [(byte)status]);
        queue.Complete(chain, status == BlockStatus.Ok && written == room ? chain.WritableLength : written + BlockSpec.StatusLength);
    }

    // To the disk's ring where it takes the request, else to a worker. What is not as it should be is found by the worker.
    private void HandOver(Virtqueue queue, DescriptorChain chain, BlockBuffer buffer, BlockRequestType type, ulong sector)
    {
        if (_underWay[queue.Index] is { } ring && TryCollect(chain, buffer, type, sector)
            && ring.TryBegin(type == BlockRequestType.Out, sector * BlockSpec.SectorSize, buffer, chain)) return;
        _helpers!.Add(queue, chain);
    }

    private bool TryCollect(DescriptorChain chain, BlockBuffer buffer, BlockRequestType type, ulong sector)
    {
        var readable = chain.ReadableLength - BlockSpec.HeaderLength;
        var writable = chain.WritableLength - BlockSpec.StatusLength;
        return type switch
        {
            BlockRequestType.In => IsInside(sector, writable) && chain.TryCollectWritable(0, writable, buffer),
            // A write that is to be durable when it ends takes a flush.
            BlockRequestType.Out => Volatile.Read(ref _state.Writeback) && !_disk.IsReadOnly && IsInside(sector, readable) && chain.TryCollectReadable(BlockSpec.HeaderLength, readable, buffer),
            _ => false,
        };
    }

    private Action<DescriptorChain, BlockEnding> EndOf(int index) => (chain, ending) =>
    {
        var length = ending.IsWrite ? chain.ReadableLength - BlockSpec.HeaderLength : chain.WritableLength - BlockSpec.StatusLength;
        if (!ending.IsWrite) chain.NotifyWritten(0, length);
        if (ending.Failure is { } failure)
        {
            Fail(_host!.Queues[index], chain, failure, 0);
            return;
        }
        Interlocked.Add(ref ending.IsWrite ? ref _state.BytesWritten : ref _state.BytesRead, length);
        Complete(_host!.Queues[index], chain, BlockStatus.Ok, ending.IsWrite ? 0 : length);
    };

    // Whether other requests should not wait for this one, as far as its kind says.
    private bool TakesLong(BlockRequestType type, uint room) => type switch
    {
        BlockRequestType.In => room >= BlockSpec.LongRead,
        BlockRequestType.Out => _options.WritesWait,
        _ => true,
    };

    // Null where it would have to wait for the host's disk and must not.
    private BlockStatus? Read(DescriptorChain chain, BlockBuffer buffer, ulong sector, uint length, bool onlyCached, out uint written)
    {
        written = 0;
        if (!IsInside(sector, length) || !chain.TryCollectWritable(0, length, buffer)) return BlockStatus.IoError;
        try
        {
            if (!onlyCached) _disk.Read(sector * BlockSpec.SectorSize, buffer);
            else if (!_disk.TryReadCached(sector * BlockSpec.SectorSize, buffer)) return null;
            written = length;
        }
        finally
        {
            // What a failed read left there counts as well.
            chain.NotifyWritten(0, length);
        }
        Interlocked.Add(ref _state.BytesRead, length);
        return BlockStatus.Ok;
    }

    private BlockStatus Write(DescriptorChain chain, BlockBuffer buffer, ulong sector)
    {
        var length = chain.ReadableLength - BlockSpec.HeaderLength;
        if (_disk.IsReadOnly || !IsInside(sector, length) || !chain.TryCollectReadable(BlockSpec.HeaderLength, length, buffer)) return BlockStatus.IoError;
        _disk.Write(sector * BlockSpec.SectorSize, buffer);
        EndWrite();
        Interlocked.Add(ref _state.BytesWritten, length);
        return BlockStatus.Ok;
    }

    private BlockStatus Flush()
    {
        if (!_disk.IsReadOnly) _disk.Flush();
        return BlockStatus.Ok;
    }

    private BlockStatus GetId(DescriptorChain chain, uint room, out uint written)
    {
        Span<byte> id = stackalloc byte[BlockSpec.IdLength];
        id.Clear();
        _serial.CopyTo(id);
        written = (uint)chain.Write(0, id[..(int)Math.Min(room, BlockSpec.IdLength)]);
        return BlockStatus.Ok;
    }

    private BlockStatus Ranges(DescriptorChain chain, BlockRequestType type)
    {
        if ((_features & (type == BlockRequestType.Discard ? BlockSpec.FeatureDiscard : BlockSpec.FeatureWriteZeroes)) == 0) return BlockStatus.Unsupported;
        var length = chain.ReadableLength - BlockSpec.HeaderLength;
        if (length is 0 or > BlockSpec.MostRanges * BlockSpec.RangeLength || length % BlockSpec.RangeLength != 0) return BlockStatus.IoError;
        // Copied once: all ranges are checked before the first is touched.
        Span<byte> ranges = stackalloc byte[(int)length];
        if (chain.Read(BlockSpec.HeaderLength, ranges) != ranges.Length) return BlockStatus.IoError;
        for (var at = 0; at < ranges.Length; at += BlockSpec.RangeLength)
        {
            var status = CheckRange(ranges[at..], type);
            if (status != BlockStatus.Ok) return status;
        }
        for (var at = 0; at < ranges.Length; at += BlockSpec.RangeLength)
        {
            var range = ranges[at..];
            var start = BinaryPrimitives.ReadUInt64LittleEndian(range) * BlockSpec.SectorSize;
            var bytes = (ulong)BinaryPrimitives.ReadUInt32LittleEndian(range[BlockSpec.RangeSectorsAt..]) * BlockSpec.SectorSize;
            var unmap = BinaryPrimitives.ReadUInt32LittleEndian(range[BlockSpec.RangeFlagsAt..]) == BlockSpec.RangeUnmap;
            if (bytes == 0) continue;
            if (type == BlockRequestType.Discard) _disk.Discard(start, bytes);
            else _disk.WriteZeroes(start, bytes, unmap && _options.Discard);
        }
        EndWrite();
        return BlockStatus.Ok;
    }

    // 5.2.6.2: unknown flags are not supported, and a discard has none.
    private BlockStatus CheckRange(ReadOnlySpan<byte> range, BlockRequestType type)
    {
        var flags = BinaryPrimitives.ReadUInt32LittleEndian(range[BlockSpec.RangeFlagsAt..]);
        if ((flags & ~(type == BlockRequestType.Discard ? 0 : BlockSpec.RangeUnmap)) != 0) return BlockStatus.Unsupported;
        var sectors = BinaryPrimitives.ReadUInt32LittleEndian(range[BlockSpec.RangeSectorsAt..]);
        var sector = BinaryPrimitives.ReadUInt64LittleEndian(range);
        return sectors <= BlockSpec.MostRangeSectors && sector <= _sectors && sectors <= _sectors - sector ? BlockStatus.Ok : BlockStatus.IoError;
    }

    private void EndWrite()
    {
        if (!Volatile.Read(ref _state.Writeback)) _disk.Flush();
    }

    private bool IsInside(ulong sector, uint length) =>
        length % BlockSpec.SectorSize == 0 && sector <= _sectors && length / BlockSpec.SectorSize <= _sectors - sector;

    private void Report(string what)
    {
        var count = Interlocked.Increment(ref _reports);
        if (count > BlockSpec.MostReports) return;
        _options.Log.Error(LogEvent.DiskError, $"the guest got an I/O error: {what}" + (count == BlockSpec.MostReports ? "; further errors of this disk are not reported" : ""));
    }

    private static void Put(Span<byte> image, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(image[at..], value);
}
