// A disk in a qcow2 image: look-ups, reads, and the life of the open image. Writes stand in Qcow2Disk.Write.cs, the order
// in which changed tables reach the file in Qcow2Disk.Flush.cs.
// One lock for readers and writers guards the mapping: whoever holds it shared may look clusters up and read or write the
// data in them; whoever changes the mapping holds it alone. So no cluster changes its use while somebody is at work on it.
using Lamina.Core.Block;
using Lamina.Core.Inspection;
using Lamina.Core.Logging;
using Lamina.Host.Io;

namespace Lamina.Backends.Disk.Qcow2;

/// <summary>An open qcow2 image.</summary>
internal sealed partial class Qcow2Disk : IBlockBackend, IInspected
{
    private readonly IImageFile _file;
    private readonly IBlockBackend? _backing;
    private readonly ILog? _log;
    private readonly MetadataClusters _metadata;
    private readonly ClusterMap _map;
    private readonly Refcounts _refcounts;
    private readonly ClusterDecompressor _decompressor;
    private readonly ReaderWriterLockSlim _lock = new();
    private readonly int _clusterBits;
    private readonly uint _clusterSize;
    private Qcow2Header _header;
    private bool _disposed;

    /// <summary>Takes over an image whose header was read, and its backing disk. The image is not dirty, or read only.</summary>
    /// <exception cref="DiskImageException">Its tables are damaged.</exception>
    internal Qcow2Disk(IImageFile file, Qcow2Header header, IBlockBackend? backing, bool readOnly, ILog? log = null)
    {
        (_file, _header, _backing, IsReadOnly, _log) = (file, header, backing, readOnly, log);
        (_clusterBits, _clusterSize) = (header.ClusterBits, header.ClusterSize);
        _metadata = new MetadataClusters(_clusterBits);
        _metadata.SetArea("header", 0, 1);
        _metadata.SetArea("L1 table", header.L1Offset, header.L1Size * (ulong)Qcow2Spec.EntrySize);
        _metadata.SetArea("refcount table", header.RefcountTableOffset, (ulong)header.RefcountTableClusters << _clusterBits);
        if (header.SnapshotCount != 0) _metadata.SetArea("snapshot table", header.SnapshotOffset, header.SnapshotCount * (ulong)Qcow2Spec.SnapshotFixedLength);
        _map = new ClusterMap(file, header, _metadata);
        _refcounts = new Refcounts(file, header, _metadata);
        _refcounts.SetHighWater(file.Length);
        _decompressor = new ClusterDecompressor(file, _clusterBits, header.CompressionType);
        Length = Qcow2Spec.RoundUp(header.Size, IBlockBackend.SectorSize);
        Limits = new BlockLimits(IBlockBackend.SectorSize, 4096, (int)_clusterSize, (int)_clusterSize);
        if (readOnly || header.Autoclear == 0) return;
        // "An implementation may only write to an image with unknown auto-clear features if it clears the bits first."
        _header = header with { Autoclear = 0 };
        _header.Write(file);
        file.Sync();
    }

    private enum ClusterKind
    {
        Unallocated,
        Zero,
        Data,
        Compressed,
    }

    /// <inheritdoc/>
    public ulong Length { get; }

    /// <inheritdoc/>
    public BlockLimits Limits { get; }

    /// <inheritdoc/>
    public bool IsReadOnly { get; private set; }

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        node.Kind = "qcow2 disk image";
        node.Say("file", _file.Name);
        node.Say("bytes", Length);
        node.Say("read only", IsReadOnly);
        node.Say("cluster bytes", (ulong)_clusterSize);
        node.Say("bytes of L2 tables in memory", _map.CachedBytes);
        node.Say("bytes of refcounts in memory", _refcounts.CachedBytes);
        if (_backing is IInspected backing) backing.Inspect(node.Below("backing"));
    }

    /// <inheritdoc/>
    public void Read(ulong offset, ReadOnlySpan<IoVector> into)
    {
        _lock.EnterReadLock();
        try
        {
            ReadMapped(offset, into);
        }
        finally
        {
            _lock.ExitReadLock();
        }
    }

    /// <inheritdoc/>
    public bool TryReadCached(ulong offset, ReadOnlySpan<IoVector> into)
    {
        // Whoever changes the mapping may be waiting for the disk.
        if (!_lock.TryEnterReadLock(0)) return false;
        try
        {
            return TryReadMapped(offset, into, onlyCached: true);
        }
        finally
        {
            _lock.ExitReadLock();
        }
    }

    /// <inheritdoc/>
    public BlockExtent Extent(ulong offset)
    {
        _lock.EnterReadLock();
        try
        {
            var cluster = offset >> _clusterBits;
            if (_backing is null && !_map.HasTable(cluster))
            {
                var table = cluster / _header.L2Entries + 1;
                return new BlockExtent(true, Math.Min(Length, table * _header.BytesPerL1Entry) - offset);
            }
            var entry = _map[cluster];
            var left = Math.Min(_clusterSize - offset % _clusterSize, Length - offset);
            return KindOf(entry) switch
            {
                ClusterKind.Zero => new BlockExtent(true, left),
                ClusterKind.Unallocated when _backing is null || offset >= _backing.Length => new BlockExtent(true, left),
                ClusterKind.Unallocated => _backing.Extent(offset) is var extent && extent.Length < left ? extent : new BlockExtent(extent.IsZero, left),
                _ => new BlockExtent(false, left),
            };
        }
        finally
        {
            _lock.ExitReadLock();
        }
    }

    /// <summary>Writes all down, as at its end, so that who opens the file sees a closed image. No request may be under way.</summary>
    /// <exception cref="IOException">The host or the image fails.</exception>
    internal void Settle()
    {
        if (IsReadOnly) return;
        RefuseAfterFailedSync();
        Close();
    }

    /// <summary>It is only read from now on, by others too; it was settled before.</summary>
    /// <exception cref="IOException">The host fails.</exception>
    internal void Freeze()
    {
        IsReadOnly = true;
        _file.EndWriting();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        try
        {
            if (!IsReadOnly) Close();
        }
        catch (IOException failure)
        {
            _log.Error(LogEvent.DiskImage, $"the last changes to {_file.Name} may be lost: {failure.Message}");
        }
        _file.Dispose();
        _backing?.Dispose();
        _fill?.Dispose();
        _zeroes?.Dispose();
        _lock.Dispose();
    }

    // With the lock held, shared or alone.
    private void ReadMapped(ulong offset, ReadOnlySpan<IoVector> into) => _ = TryReadMapped(offset, into, onlyCached: false);

    // Tables are read where they are not in memory, whatever is asked for: there are few, and they are kept.
    private bool TryReadMapped(ulong offset, ReadOnlySpan<IoVector> into, bool onlyCached)
    {
        var left = IoVectors.Length(into);
        var cursor = new VectorCursor(into);
        try
        {
            while (left > 0)
            {
                var (entry, kind, length) = Run(offset, left);
                var piece = cursor.Take(length);
                switch (kind)
                {
                    case ClusterKind.Data:
                        var place = OffsetOf(entry) + offset % _clusterSize;
                        if (!onlyCached) _file.Read(place, piece);
                        else if (!_file.TryReadCached(place, piece)) return false;
                        break;
                    case ClusterKind.Compressed when onlyCached:
                        return false;
                    case ClusterKind.Compressed:
                        ReadCompressed(entry, (int)(offset % _clusterSize), piece);
                        break;
                    case ClusterKind.Unallocated when _backing is not null:
                        if (!TryReadBacking(offset, length, piece, onlyCached)) return false;
                        break;
                    default:
                        IoVectors.ClearFrom(piece, 0);
                        break;
                }
                offset += length;
                left -= length;
            }
            return true;
        }
        finally
        {
            cursor.Dispose();
        }
    }

    private void ReadCompressed(ulong entry, int at, ReadOnlySpan<IoVector> into)
    {
        foreach (var vector in into)
        {
            _decompressor.Read(entry, at, vector.Span);
            at += vector.Length;
        }
    }

    private bool TryReadBacking(ulong offset, ulong length, ReadOnlySpan<IoVector> into, bool onlyCached)
    {
        var inside = offset >= _backing!.Length ? 0 : Math.Min(length, _backing.Length - offset);
        var cursor = new VectorCursor(into);
        try
        {
            if (inside != 0)
            {
                var piece = cursor.Take(inside);
                if (!onlyCached) _backing.Read(offset, piece);
                else if (!_backing.TryReadCached(offset, piece)) return false;
            }
            if (inside != length) IoVectors.ClearFrom(cursor.Take(length - inside), 0);
            return true;
        }
        finally
        {
            cursor.Dispose();
        }
    }

    // The L2 entry at an offset, and how far the same kind goes on, for data also in the file. At most one L2 table.
    private (ulong Entry, ClusterKind Kind, ulong Length) Run(ulong offset, ulong limit)
    {
        var cluster = offset >> _clusterBits;
        var entry = _map[cluster];
        var kind = KindOf(entry);
        var length = _clusterSize - offset % _clusterSize;
        if (kind != ClusterKind.Compressed)
        {
            var end = (cluster / _header.L2Entries + 1) * _header.L2Entries;
            for (var next = cluster + 1; length < limit && next < end; next++)
            {
                var following = _map[next];
                if (KindOf(following) != kind) break;
                if (kind == ClusterKind.Data && OffsetOf(following) != OffsetOf(entry) + (next - cluster << _clusterBits)) break;
                length += _clusterSize;
            }
        }
        return (entry, kind, Math.Min(length, limit));
    }

    private static ulong OffsetOf(ulong entry) => entry & Qcow2Spec.OffsetMask;

    private ClusterKind KindOf(ulong entry)
    {
        if (entry == 0) return ClusterKind.Unallocated;
        if ((entry & Qcow2Spec.Compressed) != 0) return ClusterKind.Compressed;
        if (OffsetOf(entry) % _clusterSize != 0) throw Qcow2Header.Damaged(_file, $"an L2 entry names a cluster at {OffsetOf(entry)}");
        if ((entry & Qcow2Spec.Zero) != 0) return _header.Version >= 3 ? ClusterKind.Zero : throw Qcow2Header.Damaged(_file, "an L2 entry says that a cluster is zero, which version 2 does not have");
        if (OffsetOf(entry) != 0) return ClusterKind.Data;
        return (entry & Qcow2Spec.Copied) == 0 ? ClusterKind.Unallocated : throw Qcow2Header.Damaged(_file, "an L2 entry names the header as data");
    }
}
