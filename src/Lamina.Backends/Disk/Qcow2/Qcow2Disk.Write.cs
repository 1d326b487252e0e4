// Writes to a qcow2 image. What has a cluster of its own is overwritten in place; everything else gets a new cluster, whose
// old content is given up only when the new mapping is durable (Qcow2Disk.Flush.cs).
using Lamina.Core.Block;
using Lamina.Host.Io;

namespace Lamina.Backends.Disk.Qcow2;

internal sealed partial class Qcow2Disk
{
    // The most new clusters of one step: the lock is let go between steps.
    private const uint MostBytesAtOnce = 4 << 20;

    // What lies around the written bytes in the first and in the last cluster.
    private HostBuffer? _fill;

    private HostBuffer? _zeroes;

    /// <inheritdoc/>
    public void Write(ulong offset, ReadOnlySpan<IoVector> from)
    {
        RefuseWhereReadOnly();
        var left = IoVectors.Length(from);
        var cursor = new VectorCursor(from);
        try
        {
            while (left > 0)
            {
                var done = WriteInPlace(offset, left, ref cursor);
                if (done < left) done += WriteNew(offset + done, left - done, ref cursor);
                offset += done;
                left -= done;
            }
        }
        finally
        {
            cursor.Dispose();
        }
    }

    /// <inheritdoc/>
    public void WriteZeroes(ulong offset, ulong length, bool mayUnmap)
    {
        RefuseWhereReadOnly();
        var end = offset + length;
        var first = Qcow2Spec.RoundUp(offset, _clusterSize);
        var last = end == Length ? Qcow2Spec.RoundUp(end, _clusterSize) : end & ~((ulong)_clusterSize - 1);
        if (first >= last)
        {
            WriteZeroBytes(offset, length);
            return;
        }
        if (offset < first) WriteZeroBytes(offset, first - offset);
        if (last < end) WriteZeroBytes(last, end - last);
        for (var cluster = first >> _clusterBits; cluster < last >> _clusterBits;)
        {
            var next = ClearClusters(cluster, last >> _clusterBits, mayUnmap, asZero: true);
            // A cluster that no entry can describe as zero.
            if (next == cluster) WriteZeroBytes(cluster++ << _clusterBits, _clusterSize);
            else cluster = next;
        }
    }

    /// <inheritdoc/>
    public void Discard(ulong offset, ulong length)
    {
        RefuseWhereReadOnly();
        var end = offset + length == Length ? Qcow2Spec.RoundUp(Length, _clusterSize) : offset + length;
        var last = end >> _clusterBits;
        for (var cluster = Qcow2Spec.RoundUp(offset, _clusterSize) >> _clusterBits; cluster < last;)
        {
            var next = ClearClusters(cluster, last, mayUnmap: true, asZero: false);
            cluster = Math.Max(next, cluster + 1);
        }
    }

    private void RefuseWhereReadOnly()
    {
        if (IsReadOnly) throw new DiskImageException($"{_file.Name} is open for reading only");
    }

    private ulong WriteInPlace(ulong offset, ulong length, ref VectorCursor cursor)
    {
        ulong done = 0;
        _lock.EnterReadLock();
        try
        {
            while (done < length)
            {
                var (entry, kind, run) = Run(offset + done, length - done);
                if (kind != ClusterKind.Data) break;
                run = OwnPart(offset + done, run);
                if (run == 0) break;
                _file.Write(OffsetOf(entry) + (offset + done) % _clusterSize, cursor.Take(run));
                done += run;
            }
        }
        finally
        {
            _lock.ExitReadLock();
        }
        return done;
    }

    // How many bytes of a run of data belong to this mapping alone.
    private ulong OwnPart(ulong offset, ulong run)
    {
        ulong own = 0;
        while (own < run)
        {
            var entry = _map[offset + own >> _clusterBits];
            if ((entry & Qcow2Spec.Copied) == 0) break;
            CheckOwn(entry);
            own += _clusterSize - (offset + own) % _clusterSize;
        }
        return Math.Min(own, run);
    }

    private void CheckOwn(ulong entry)
    {
        if (OffsetOf(entry) >= _refcounts.HighWater || _metadata.Contains(OffsetOf(entry)))
            throw Qcow2Header.Damaged(_file, $"an L2 entry names the cluster at {OffsetOf(entry)}, which holds a table or lies behind the end; see lamina disk check");
    }

    // Writes into clusters that have no place of their own yet, as many as lie together. Returns how many bytes; 0 where
    // somebody else gave the first one a place meanwhile.
    private ulong WriteNew(ulong offset, ulong length, ref VectorCursor cursor)
    {
        _lock.EnterWriteLock();
        try
        {
            RefuseAfterFailedSync();
            MakeRoomInMemory();
            var cluster = offset >> _clusterBits;
            var wanted = CountNew(cluster, offset % _clusterSize + length);
            if (wanted == 0) return 0;
            BeginChange();
            ReleaseLater(_map.EnsureTable(cluster, _refcounts), 1);
            var reused = IsOwnZero(_map[cluster]);
            var fresh = _refcounts.HighWater;
            var (place, count) = reused ? (OffsetOf(_map[cluster]), 1u) : _refcounts.Allocate(wanted);
            var written = Math.Min(length, ((ulong)count << _clusterBits) - offset % _clusterSize);
            try
            {
                WriteAround(offset, written, place, isFresh: !reused && place >= fresh, ref cursor);
            }
            catch
            {
                for (ulong i = 0; !reused && i < count; i++) _refcounts.Release((place >> _clusterBits) + i);
                throw;
            }
            for (ulong i = 0; i < count; i++)
            {
                var old = _map[cluster + i];
                _map.Set(cluster + i, place + (i << _clusterBits) | Qcow2Spec.Copied);
                if (!reused) ReleaseLater(old);
            }
            return written;
        }
        finally
        {
            _lock.ExitWriteLock();
        }
    }

    // How many clusters from one on, in the same L2 table, need a new place to be written to.
    private uint CountNew(ulong cluster, ulong bytes)
    {
        var most = Math.Min((bytes + _clusterSize - 1) >> _clusterBits, Math.Max(1, MostBytesAtOnce >> _clusterBits));
        most = Math.Min(most, _header.L2Entries - cluster % _header.L2Entries);
        uint count = 0;
        while (count < most)
        {
            var entry = _map[cluster + count];
            if (KindOf(entry) == ClusterKind.Data && (entry & Qcow2Spec.Copied) != 0) break;
            // A zero cluster that has a place is written there, one at a time.
            if (IsOwnZero(entry)) return count == 0 ? 1 : count;
            count++;
        }
        return count;
    }

    private bool IsOwnZero(ulong entry)
    {
        if (KindOf(entry) != ClusterKind.Zero || (entry & Qcow2Spec.Copied) == 0 || OffsetOf(entry) == 0) return false;
        CheckOwn(entry);
        return true;
    }

    private bool ReadsAsZero(ulong cluster)
    {
        var kind = KindOf(_map[cluster]);
        return kind == ClusterKind.Zero || (kind == ClusterKind.Unallocated && (_backing is null || cluster << _clusterBits >= _backing.Length));
    }

    // The written bytes with what the disk has around them in their first and last cluster, as one write.
    private void WriteAround(ulong offset, ulong length, ulong place, bool isFresh, ref VectorCursor cursor)
    {
        var head = (int)(offset % _clusterSize);
        var tail = (int)((_clusterSize - (offset + length) % _clusterSize) % _clusterSize);
        // A cluster that never held anything reads as zeros where it is not written.
        if (isFresh && ReadsAsZero(offset >> _clusterBits)) head = 0;
        if (isFresh && ReadsAsZero(offset + length - 1 >> _clusterBits)) tail = 0;
        IoVector before = default, after = default;
        if (head != 0) before = Fill(0, offset - (uint)head, head);
        if (tail != 0) after = Fill((int)_clusterSize, offset + length, tail);
        _file.Write(place + offset % _clusterSize - (uint)head, cursor.Take(length, before, after));
    }

    private IoVector Fill(int at, ulong offset, int length)
    {
        _fill ??= new HostBuffer((int)_clusterSize * 2);
        var vector = IoVector.Of(_fill, at, length);
        ReadMapped(offset, [vector]);
        return vector;
    }

    private void WriteZeroBytes(ulong offset, ulong length)
    {
        if (IsZeroAlready(offset, length)) return;
        var zeroes = LazyInitializer.EnsureInitialized(ref _zeroes, () => new HostBuffer((int)_clusterSize));
        for (ulong done = 0; done < length;)
        {
            var piece = (int)Math.Min(length - done, _clusterSize);
            Write(offset + done, [IoVector.Of(zeroes, 0, piece)]);
            done += (uint)piece;
        }
    }

    private bool IsZeroAlready(ulong offset, ulong length)
    {
        for (var end = offset + length; offset < end;)
        {
            if (offset >= Length) return true;
            var extent = Extent(offset);
            if (!extent.IsZero) return false;
            offset += extent.Length;
        }
        return true;
    }

    // Gives up what clusters hold, as far as one L2 table goes. Returns the first that was not dealt with; where that is
    // the one asked for, no entry can say of it what is to be said.
    private ulong ClearClusters(ulong cluster, ulong end, bool mayUnmap, bool asZero)
    {
        _lock.EnterWriteLock();
        try
        {
            RefuseAfterFailedSync();
            MakeRoomInMemory();
            end = Math.Min(end, (cluster / _header.L2Entries + 1) * _header.L2Entries);
            if (_backing is null && !_map.HasTable(cluster)) return end;
            for (; cluster < end; cluster++)
            {
                var old = _map[cluster];
                // What was never written here holds no space, and may be all zeros already.
                if (KindOf(old) == ClusterKind.Unallocated && (!asZero || ReadsAsZero(cluster))) continue;
                if (Cleared(old, mayUnmap) is not { } entry) return asZero ? cluster : end;
                if (entry == old) continue;
                BeginChange();
                ReleaseLater(_map.EnsureTable(cluster, _refcounts), 1);
                _map.Set(cluster, entry);
                if (OffsetOf(entry) == 0) ReleaseLater(old);
            }
            return end;
        }
        finally
        {
            _lock.ExitWriteLock();
        }
    }

    // The entry of a cluster that reads as zeros; null where the version has none for it.
    private ulong? Cleared(ulong entry, bool mayUnmap)
    {
        var kind = KindOf(entry);
        if (kind == ClusterKind.Unallocated && _backing is null) return entry;
        if (_header.Version < 3) return _backing is null && mayUnmap ? 0 : null;
        var keepsPlace = !mayUnmap && kind is ClusterKind.Data or ClusterKind.Zero && (entry & Qcow2Spec.Copied) != 0;
        if (keepsPlace) return entry | Qcow2Spec.Zero;
        return _backing is null && mayUnmap ? 0 : Qcow2Spec.Zero;
    }
}
