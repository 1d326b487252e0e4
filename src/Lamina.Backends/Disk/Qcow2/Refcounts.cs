// Who uses which cluster of the file: the refcount table with its blocks, and the search for free clusters in it.
// Everything here happens in memory; Qcow2Disk decides when which part is written, and calls alone.
using System.Buffers.Binary;

namespace Lamina.Backends.Disk.Qcow2;

/// <summary>The refcounts of an open image.</summary>
internal sealed class Refcounts
{
    /// <summary>Bytes of its tables that are kept.</summary>
    internal const int CacheCapacity = 8 << 20;

    private readonly IImageFile _file;
    private readonly MetadataClusters _metadata;
    private readonly TableCache _cache;
    private readonly int _clusterBits, _order;
    private readonly ulong _perBlock;
    private readonly SortedSet<int> _dirtyEntries = [];
    private ulong[] _table;
    private ulong _tableOffset;
    private ulong _hint = 1;

    // Where the table was before it moved, until the header says so.
    private (ulong Offset, ulong Clusters)? _oldTable;

    internal Refcounts(IImageFile file, Qcow2Header header, MetadataClusters metadata)
    {
        (_file, _metadata, _clusterBits, _order, _perBlock) = (file, metadata, header.ClusterBits, header.RefcountOrder, header.RefcountsPerBlock);
        _cache = new TableCache(file, _clusterBits, CacheCapacity);
        _tableOffset = header.RefcountTableOffset;
        _table = ReadTable(file, header);
        for (var i = 0; i < _table.Length; i++)
        {
            if (_table[i] == 0) continue;
            if (!IsBlock(_table[i], file.Length) || !metadata.TryAdd(_table[i]))
                throw Qcow2Header.Damaged(file, $"refcount block {i} lies where none can; lamina disk check --repair makes the refcounts anew");
        }
    }

    /// <summary>Bytes of refcount blocks that are in memory.</summary>
    internal long CachedBytes => _cache.Bytes;

    /// <summary>Whether so much is to be written that it is time to; a table that moved is.</summary>
    internal bool IsFull => _cache.IsFull || _oldTable is not null;

    /// <summary>The first byte behind all clusters that were ever handed out.</summary>
    internal ulong HighWater { get; private set; }

    /// <summary>Sets <see cref="HighWater"/> to where the file ends.</summary>
    internal void SetHighWater(ulong length) => HighWater = Qcow2Spec.RoundUp(length, 1ul << _clusterBits);

    /// <summary>Reads a refcount table; the header was checked.</summary>
    internal static ulong[] ReadTable(IImageFile file, Qcow2Header header)
    {
        var bytes = new byte[header.RefcountTableClusters << header.ClusterBits];
        file.Read(header.RefcountTableOffset, bytes);
        var table = new ulong[bytes.Length / Qcow2Spec.EntrySize];
        for (var i = 0; i < table.Length; i++) table[i] = BinaryPrimitives.ReadUInt64BigEndian(bytes.AsSpan(i * Qcow2Spec.EntrySize));
        return table;
    }

    /// <summary>The refcount of a cluster.</summary>
    internal ulong this[ulong cluster]
    {
        get
        {
            if (cluster / _perBlock >= (ulong)_table.Length || _table[cluster / _perBlock] == 0) return 0;
            var (slice, index) = Find(cluster);
            return RefcountEntry.Read(slice.Data, index, _order);
        }
    }

    /// <summary>Takes free clusters that lie one behind the other.</summary>
    /// <param name="most">How many are wanted; fewer may be given.</param>
    /// <returns>The first byte of the first cluster, and how many there are, at least one.</returns>
    internal (ulong Offset, uint Count) Allocate(uint most)
    {
        var cluster = _hint;
        while (true)
        {
            EnsureBlock(cluster / _perBlock);
            if (this[cluster] == 0) break;
            cluster++;
        }
        uint count = 0;
        do
        {
            var offset = cluster + count << _clusterBits;
            if (_metadata.Contains(offset)) throw NotFree(offset);
            Set(cluster + count, 1);
            count++;
        }
        while (count < most && (cluster + count) % _perBlock != 0 && this[cluster + count] == 0);
        _hint = cluster + count;
        HighWater = Math.Max(HighWater, _hint << _clusterBits);
        return (cluster << _clusterBits, count);
    }

    /// <summary>Counts one user less of a cluster; one that has none stays so, as a damaged image may have it.</summary>
    /// <returns>Whether it became free.</returns>
    internal bool Release(ulong cluster)
    {
        var count = this[cluster];
        if (count == 0) return false;
        Set(cluster, count - 1);
        if (count > 1) return false;
        _hint = Math.Min(_hint, cluster);
        return true;
    }

    /// <summary>Writes blocks; no table entry that leads to a new one.</summary>
    internal void WriteBlocks() => _cache.WriteBack();

    /// <summary>
    /// Writes the table's entries, whose blocks must be durable. Where the table moved, the header must be changed once
    /// this is durable: to what is returned.
    /// </summary>
    internal (bool Written, Qcow2Header Header) WriteTable(Qcow2Header header)
    {
        if (_oldTable is not null)
        {
            var bytes = new byte[_table.Length * Qcow2Spec.EntrySize];
            for (var i = 0; i < _table.Length; i++) BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(i * Qcow2Spec.EntrySize), _table[i]);
            _file.Write(_tableOffset, bytes);
            _dirtyEntries.Clear();
            return (true, header with { RefcountTableOffset = _tableOffset, RefcountTableClusters = (uint)(bytes.Length >> _clusterBits) });
        }
        if (_dirtyEntries.Count == 0) return (false, header);
        Span<byte> entry = stackalloc byte[Qcow2Spec.EntrySize];
        while (_dirtyEntries.Count != 0)
        {
            var index = _dirtyEntries.Min;
            BinaryPrimitives.WriteUInt64BigEndian(entry, _table[index]);
            _file.Write(_tableOffset + (ulong)(index * Qcow2Spec.EntrySize), entry);
            _dirtyEntries.Remove(index);
        }
        return (true, header);
    }

    /// <summary>Gives up the place where the table was before, once the header does not name it any more.</summary>
    internal void ReleaseOldTable()
    {
        if (_oldTable is not { } old) return;
        _oldTable = null;
        for (ulong i = 0; i < old.Clusters; i++) Release((old.Offset >> _clusterBits) + i);
    }

    private bool IsBlock(ulong entry, ulong length) =>
        (entry & ~Qcow2Spec.RefcountOffsetMask) == 0 && entry % (1ul << _clusterBits) == 0 && entry < length;

    private (TableSlice Slice, long Index) Find(ulong cluster)
    {
        var at = _table[cluster / _perBlock] + (ulong)RefcountEntry.ByteOf((long)(cluster % _perBlock), _order);
        var slice = _cache.Get(at);
        // Entries before this slice in its block are a whole number of its bytes.
        var skipped = (slice.Offset - _table[cluster / _perBlock]) * 8 >> _order;
        return (slice, (long)(cluster % _perBlock - skipped));
    }

    private void Set(ulong cluster, ulong value)
    {
        var (slice, index) = Find(cluster);
        _cache.Touch(slice);
        RefcountEntry.Write(slice.Data, index, _order, value);
        slice.MarkDirty((int)RefcountEntry.ByteOf(index, _order), RefcountEntry.Length(_order));
    }

    // A missing block goes into the first cluster that it describes: all of them are free.
    private void EnsureBlock(ulong block)
    {
        if (block >= (ulong)_table.Length) GrowTable(block);
        if (_table[block] != 0) return;
        ClearCluster(block * _perBlock);
        PlaceBlock(block, block * _perBlock);
        Set(block * _perBlock, 1);
    }

    // Whatever a cluster held before, as a free one, must not be taken for refcounts. This comes before anything changes in
    // memory: the host may have no space.
    private void ClearCluster(ulong cluster)
    {
        var offset = cluster << _clusterBits;
        if (_metadata.Contains(offset)) throw NotFree(offset);
        _file.Write(offset, new byte[1 << _clusterBits]);
    }

    private void PlaceBlock(ulong block, ulong cluster)
    {
        var offset = cluster << _clusterBits;
        _metadata.TryAdd(offset);
        _cache.Forget(offset, 1u << _clusterBits);
        _table[block] = offset;
        _dirtyEntries.Add((int)block);
        HighWater = Math.Max(HighWater, offset + (1ul << _clusterBits));
    }

    // The new table goes behind all that the old one can describe, after the blocks that describe both.
    private void GrowTable(ulong block)
    {
        if (_oldTable is not null) throw new DiskImageException($"{_file.Name} grows faster than its refcount table can be written");
        var perCluster = (1ul << _clusterBits) / Qcow2Spec.EntrySize;
        var oldEntries = (ulong)_table.Length;
        var first = oldEntries * _perBlock;
        var clusters = (block + block / 2) / perCluster + 1;
        ulong blocks = 1;
        while (blocks * _perBlock < clusters + blocks || clusters * perCluster < oldEntries + blocks)
        {
            if (clusters * perCluster < oldEntries + blocks) clusters++;
            else blocks++;
        }
        if (clusters << _clusterBits > Qcow2Spec.LargestRefcountTable)
            throw new DiskImageException($"{_file.Name} has reached the largest size that its clusters of {1 << _clusterBits} bytes allow; convert it to an image with larger ones");
        for (ulong i = 0; i < blocks; i++) ClearCluster(first + i);
        _oldTable = (_tableOffset, oldEntries / perCluster);
        Array.Resize(ref _table, (int)(clusters * perCluster));
        for (ulong i = 0; i < blocks; i++) PlaceBlock(oldEntries + i, first + i);
        for (ulong i = 0; i < blocks + clusters; i++) Set(first + i, 1);
        _tableOffset = first + blocks << _clusterBits;
        _metadata.SetArea("refcount table", _tableOffset, clusters << _clusterBits);
        HighWater = Math.Max(HighWater, _tableOffset + (clusters << _clusterBits));
    }

    private DiskImageException NotFree(ulong offset) =>
        Qcow2Header.Damaged(_file, $"the cluster at {offset} holds a table but its refcount says that it is free; lamina disk check --repair makes the refcounts anew");
}
