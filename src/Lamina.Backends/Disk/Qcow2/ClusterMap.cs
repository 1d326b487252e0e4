// Where the guest's clusters lie in the file: the active L1 table, in memory as a whole, and L2 tables as they are needed.
// Look-ups may be made by several threads at once; changes are made alone, in memory, and written when Qcow2Disk says.
using System.Buffers.Binary;

namespace Lamina.Backends.Disk.Qcow2;

/// <summary>The mapping of an open image.</summary>
internal sealed class ClusterMap
{
    /// <summary>Bytes of its tables that are kept.</summary>
    internal const int CacheCapacity = 16 << 20;

    private readonly IImageFile _file;
    private readonly MetadataClusters _metadata;
    private readonly TableCache _cache;
    private readonly Qcow2Header _header;
    private readonly ulong[] _l1;
    private readonly SortedSet<int> _dirtyL1 = [];

    internal ClusterMap(IImageFile file, Qcow2Header header, MetadataClusters metadata)
    {
        (_file, _header, _metadata) = (file, header, metadata);
        _cache = new TableCache(file, header.ClusterBits, CacheCapacity);
        _l1 = ReadL1(file, header.L1Offset, header.L1Size);
        var length = file.Length;
        for (var i = 0; i < _l1.Length; i++)
        {
            if (_l1[i] == 0) continue;
            if (!IsTable(_l1[i], header, length)) throw Qcow2Header.Damaged(file, $"L1 entry {i} names a table that does not lie in the file");
            // Tables beyond the disk's end belong to the state of a saved machine; they are kept from writes as well.
            if (!metadata.TryAdd(_l1[i] & Qcow2Spec.OffsetMask)) throw Qcow2Header.Damaged(file, $"L1 entry {i} names a table that something else uses as well");
        }
    }

    /// <summary>Bytes of L2 tables that are in memory.</summary>
    internal long CachedBytes => _cache.Bytes;

    /// <summary>Whether something is to be written.</summary>
    internal bool IsDirty => _cache.DirtyCount != 0 || _dirtyL1.Count != 0;

    /// <summary>Whether so much is to be written that it is time to.</summary>
    internal bool IsFull => _cache.IsFull;

    /// <summary>Reads an L1 table; where it lies was checked.</summary>
    internal static ulong[] ReadL1(IImageFile file, ulong offset, uint size)
    {
        var bytes = new byte[size * Qcow2Spec.EntrySize];
        file.Read(offset, bytes);
        var table = new ulong[size];
        for (var i = 0; i < table.Length; i++) table[i] = BinaryPrimitives.ReadUInt64BigEndian(bytes.AsSpan(i * Qcow2Spec.EntrySize));
        return table;
    }

    /// <summary>Whether an L1 entry names a cluster in the file.</summary>
    internal static bool IsTable(ulong entry, Qcow2Header header, ulong fileLength)
    {
        var offset = entry & Qcow2Spec.OffsetMask;
        return offset != 0 && offset % header.ClusterSize == 0 && offset < fileLength;
    }

    /// <summary>Whether there is an L2 table for a guest's cluster.</summary>
    internal bool HasTable(ulong cluster) => _l1[cluster / _header.L2Entries] != 0;

    /// <summary>The L2 entry of a guest's cluster; 0 where there is no table.</summary>
    internal ulong this[ulong cluster]
    {
        get
        {
            var table = _l1[cluster / _header.L2Entries] & Qcow2Spec.OffsetMask;
            if (table == 0) return 0;
            var at = table + cluster % _header.L2Entries * Qcow2Spec.EntrySize;
            var slice = _cache.Get(at);
            return slice[(int)(at - slice.Offset)];
        }
    }

    /// <summary>Makes sure that there is an L2 table for a guest's cluster, and that it is the active mapping's alone.</summary>
    /// <returns>The L2 table that was shared with a snapshot so far and is used once less, or 0.</returns>
    internal ulong EnsureTable(ulong cluster, Refcounts refcounts)
    {
        var index = (int)(cluster / _header.L2Entries);
        var entry = _l1[index];
        if ((entry & Qcow2Spec.Copied) != 0) return 0;
        var table = entry & Qcow2Spec.OffsetMask;
        var offset = refcounts.Allocate(1).Offset;
        try
        {
            // What is in the file must be a whole table before an L1 entry leads to it.
            var content = new byte[_header.ClusterSize];
            for (var at = 0; table != 0 && at < content.Length; at += _cache.SliceLength) _cache.Get(table + (uint)at).Data.CopyTo(content, at);
            _file.Write(offset, content);
        }
        catch
        {
            refcounts.Release(offset >> _header.ClusterBits);
            throw;
        }
        _cache.Forget(offset, _header.ClusterSize);
        _metadata.TryAdd(offset);
        _l1[index] = offset | Qcow2Spec.Copied;
        _dirtyL1.Add(index);
        return table;
    }

    /// <summary>Changes the L2 entry of a guest's cluster, whose table was made sure of.</summary>
    internal void Set(ulong cluster, ulong entry) =>
        _cache.Set((_l1[cluster / _header.L2Entries] & Qcow2Spec.OffsetMask) + cluster % _header.L2Entries * Qcow2Spec.EntrySize, entry);

    /// <summary>Writes all that was changed, in no order that matters: whatever is lost of it, what is there is a valid mapping.</summary>
    internal void WriteBack()
    {
        _cache.WriteBack();
        Span<byte> entry = stackalloc byte[Qcow2Spec.EntrySize];
        while (_dirtyL1.Count != 0)
        {
            var index = _dirtyL1.Min;
            BinaryPrimitives.WriteUInt64BigEndian(entry, _l1[index]);
            _file.Write(_header.L1Offset + (ulong)(index * Qcow2Spec.EntrySize), entry);
            _dirtyL1.Remove(index);
        }
    }
}
