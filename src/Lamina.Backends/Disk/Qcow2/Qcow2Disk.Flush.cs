// The order in which changes reach the file. A power loss may keep any part of what was written since the last sync, so
// whatever refers to something is written only when that is durable:
//   1. data, new L2 tables (nothing leads to them yet) and refcount blocks; sync
//   2. refcount table entries, if there are new blocks; sync; the header, if the table moved; sync
//   3. L2 and L1 entries; sync
//   4. only now the refcounts of what is not referred to any more go down, and it may be used again.
// What a power loss leaves behind is clusters that are counted but not used. With lazy refcounts, steps 1 and 2 leave the
// refcounts out and the dirty bit says so.
using Lamina.Core.Block;

namespace Lamina.Backends.Disk.Qcow2;

internal sealed partial class Qcow2Disk
{
    // Clusters that lose a user when the mapping is durable; by their first byte.
    private readonly List<ulong> _released = [];

    // After a failed sync nobody knows what is durable: nothing is promised any more.
    private bool _syncFailed;

    /// <inheritdoc/>
    public void Flush()
    {
        if (IsReadOnly) return;
        _lock.EnterReadLock();
        try
        {
            RefuseAfterFailedSync();
            if (!_map.IsDirty)
            {
                Sync();
                return;
            }
        }
        finally
        {
            _lock.ExitReadLock();
        }
        _lock.EnterWriteLock();
        try
        {
            RefuseAfterFailedSync();
            WriteTables();
        }
        finally
        {
            _lock.ExitWriteLock();
        }
    }

    private void Close()
    {
        if (_syncFailed) return;
        WriteTables();
        // Once more for the refcounts that went down.
        WriteRefcounts();
        if (!_header.IsDirty) return;
        _header = _header with { Incompatible = _header.Incompatible & ~Qcow2Spec.IncompatibleDirty };
        _header.Write(_file);
        Sync();
    }

    // Before the first change with lazy refcounts.
    private void BeginChange()
    {
        if (!_header.HasLazyRefcounts || _header.IsDirty) return;
        var dirty = _header with { Incompatible = _header.Incompatible | Qcow2Spec.IncompatibleDirty };
        dirty.Write(_file);
        Sync();
        _header = dirty;
    }

    private void MakeRoomInMemory()
    {
        if (_map.IsFull || _refcounts.IsFull) WriteTables();
    }

    private void WriteTables()
    {
        if (_header.IsDirty && !_refcounts.IsFull) Sync();
        else WriteRefcounts();
        if (!_map.IsDirty) return;
        _map.WriteBack();
        Sync();
        if (_released.Count != 0) Release();
    }

    private void WriteRefcounts()
    {
        _refcounts.WriteBlocks();
        Sync();
        var (written, header) = _refcounts.WriteTable(_header);
        if (!written) return;
        Sync();
        if (header == _header) return;
        header.Write(_file);
        Sync();
        _header = header;
        _refcounts.ReleaseOldTable();
    }

    private void Release()
    {
        _decompressor.Forget();
        foreach (var offset in _released)
        {
            if (!_refcounts.Release(offset >> _clusterBits)) continue;
            _metadata.Remove(offset);
            _file.Discard(offset, _clusterSize);
        }
        _released.Clear();
    }

    private void ReleaseLater(ulong offset, ulong clusters)
    {
        for (ulong i = 0; offset != 0 && i < clusters; i++) _released.Add(offset + (i << _clusterBits));
    }

    private void ReleaseLater(ulong entry)
    {
        if ((entry & Qcow2Spec.Compressed) != 0)
        {
            var extent = CompressedExtent.Of(entry, _clusterBits);
            var first = extent.Offset >> _clusterBits;
            ReleaseLater(first << _clusterBits, (extent.Offset + extent.Length - 1 >> _clusterBits) - first + 1);
        }
        else
        {
            ReleaseLater(OffsetOf(entry), 1);
        }
    }

    private void Sync()
    {
        try
        {
            _file.Sync();
        }
        catch (IOException)
        {
            _syncFailed = true;
            throw;
        }
    }

    private void RefuseAfterFailedSync()
    {
        if (_syncFailed) throw new DiskImageException($"{_file.Name} cannot be written any more: the host failed to bring earlier writes to the disk");
    }
}
