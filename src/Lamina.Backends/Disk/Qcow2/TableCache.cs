// The parts of an image's tables (L2 tables, refcount blocks) that are in memory: slices of at most 64 KiB, found by their
// place in the file. What was changed stays until it is written; when that is, is not decided here, since the order is
// what makes an image survive a power loss. Not thread safe beyond look-ups: see Qcow2Image.
using System.Buffers.Binary;

namespace Lamina.Backends.Disk.Qcow2;

/// <summary>A part of a table.</summary>
internal sealed class TableSlice(ulong offset, byte[] data)
{
    private int _dirtyFrom = int.MaxValue;
    private int _dirtyTo;

    /// <summary>Its place in the file.</summary>
    internal ulong Offset => offset;

    /// <summary>Its bytes.</summary>
    internal byte[] Data => data;

    /// <summary>Whether it differs from what is in the file.</summary>
    internal bool IsDirty => _dirtyTo != 0;

    /// <summary>When it was used last.</summary>
    internal long Used { get; set; }

    /// <summary>The big-endian entry that begins at a byte.</summary>
    internal ulong this[int at] => BinaryPrimitives.ReadUInt64BigEndian(data.AsSpan(at));

    /// <summary>Changes an entry.</summary>
    internal void Set(int at, ulong value)
    {
        BinaryPrimitives.WriteUInt64BigEndian(data.AsSpan(at), value);
        MarkDirty(at, sizeof(ulong));
    }

    /// <summary>Says that bytes were changed.</summary>
    internal void MarkDirty(int at, int length)
    {
        _dirtyFrom = Math.Min(_dirtyFrom, at);
        _dirtyTo = Math.Max(_dirtyTo, at + length);
    }

    /// <summary>Writes what was changed. It stays dirty where that fails.</summary>
    internal void WriteBack(IImageFile file)
    {
        file.Write(offset + (uint)_dirtyFrom, data.AsSpan(_dirtyFrom.._dirtyTo));
        (_dirtyFrom, _dirtyTo) = (int.MaxValue, 0);
    }
}

/// <summary>Slices in memory.</summary>
/// <param name="file">The image.</param>
/// <param name="clusterBits">The size of the tables.</param>
/// <param name="capacity">How many bytes of clean slices are kept.</param>
internal sealed class TableCache(IImageFile file, int clusterBits, int capacity)
{
    private const int LargestSliceBits = 16;

    private readonly int _sliceBits = Math.Min(clusterBits, LargestSliceBits);
    private readonly Dictionary<ulong, TableSlice> _slices = [];
    private readonly Lock _gate = new();
    private long _clock;

    /// <summary>Bytes of tables that are in memory.</summary>
    internal long Bytes
    {
        get
        {
            lock (_gate) return (long)_slices.Count << _sliceBits;
        }
    }

    /// <summary>How many slices are to be written.</summary>
    internal int DirtyCount { get; private set; }

    /// <summary>Whether there are so many that it is time to write them.</summary>
    internal bool IsFull => (long)DirtyCount << _sliceBits >= capacity;

    /// <summary>The length of a slice in bytes.</summary>
    internal int SliceLength => 1 << _sliceBits;

    /// <summary>The slice that holds a byte of a table, from memory or from the file. Several threads may call.</summary>
    internal TableSlice Get(ulong offset)
    {
        var at = offset >> _sliceBits << _sliceBits;
        lock (_gate)
        {
            if (!_slices.TryGetValue(at, out var slice))
            {
                MakeRoom();
                var data = new byte[SliceLength];
                file.Read(at, data);
                _slices[at] = slice = new TableSlice(at, data);
            }
            slice.Used = ++_clock;
            return slice;
        }
    }

    /// <summary>Changes an entry; alone with the cache.</summary>
    internal void Set(ulong offset, ulong value)
    {
        var slice = Get(offset);
        Touch(slice);
        slice.Set((int)(offset - slice.Offset), value);
    }

    /// <summary>Counts a slice that is about to be changed.</summary>
    internal void Touch(TableSlice slice)
    {
        if (!slice.IsDirty) DirtyCount++;
    }

    /// <summary>Writes all that was changed; alone with the cache. What fails is tried again by the next call.</summary>
    internal void WriteBack()
    {
        if (DirtyCount == 0) return;
        // In the order of the file, for disks that like it.
        foreach (var slice in _slices.Values.Where(slice => slice.IsDirty).OrderBy(slice => slice.Offset).ToArray())
        {
            slice.WriteBack(file);
            DirtyCount--;
        }
    }

    /// <summary>Forgets a table whose cluster is used for something else from now on.</summary>
    internal void Forget(ulong offset, uint length)
    {
        lock (_gate)
        {
            for (var at = offset; at < offset + length; at += (uint)SliceLength)
                if (_slices.Remove(at, out var slice) && slice.IsDirty) DirtyCount--;
        }
    }

    private void MakeRoom()
    {
        if ((long)(_slices.Count + 1) << _sliceBits <= capacity) return;
        // The older half of the clean ones goes at once, so that this is done seldom.
        foreach (var slice in _slices.Values.Where(slice => !slice.IsDirty).OrderBy(slice => slice.Used).Take((_slices.Count + 1) / 2).ToArray())
            _slices.Remove(slice.Offset);
    }
}
