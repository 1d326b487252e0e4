// Writes an image whose clusters are compressed (zstd), from its first cluster to its last, into an empty file. Compressed
// data lie one behind the other and share clusters; what does not become smaller is stored as it is. The tables follow the
// data, and the header comes last: until then the file is no image.
using System.Buffers.Binary;
using Lamina.Host;

namespace Lamina.Backends.Disk.Qcow2;

internal sealed class CompressedImage
{
    // Compressed data in one cluster: fewer than its refcount can say.
    private const int MostSharers = 32768;
    private const int SectorBits = 9;

    private readonly IImageFile _file;
    private readonly Qcow2Header _header;
    private readonly byte[] _l1, _l2, _compressed;
    private ulong _end;
    private ulong _table = ulong.MaxValue;
    private int _sharers;

    /// <summary>Starts an image.</summary>
    /// <param name="file">An empty file.</param>
    /// <param name="header">Cluster size and disk size; version 3.</param>
    /// <exception cref="DiskImageException">The size is not possible with these clusters, or version 2 is asked for, which knows no zstd.</exception>
    internal CompressedImage(IImageFile file, Qcow2Header header)
    {
        if (header.Version < 3) throw new DiskImageException("compressed images need version 3 of qcow2; leave out --version 2");
        var l1Size = Math.Max(1, Qcow2Header.L1EntriesFor(header.Size, header.ClusterBits));
        Qcow2Editor.CheckL1Size(header, l1Size);
        _file = file;
        _header = header with
        {
            L1Size = (uint)l1Size,
            L1Offset = header.ClusterSize,
            Incompatible = header.Incompatible | Qcow2Spec.IncompatibleCompressionType,
            CompressionType = Qcow2Spec.CompressionZstd,
        };
        _l1 = new byte[Qcow2Spec.RoundUp(l1Size * Qcow2Spec.EntrySize, header.ClusterSize)];
        _l2 = new byte[header.ClusterSize];
        _compressed = new byte[header.ClusterSize - 1];
        _end = _header.L1Offset + (ulong)_l1.Length;
    }

    /// <summary>Adds a cluster that is not all zeros.</summary>
    /// <param name="cluster">Its number on the disk; higher than those before.</param>
    /// <param name="data">All of it.</param>
    internal void Add(ulong cluster, ReadOnlySpan<byte> data)
    {
        var entries = (ulong)_l2.Length / Qcow2Spec.EntrySize;
        if (cluster / entries != _table)
        {
            EndTable();
            _table = cluster / entries;
        }
        var length = Zstd.Compress(data, _compressed);
        var entry = length > 0 ? AddCompressed(_compressed.AsSpan(0, length)) : AddWhole(data) | Qcow2Spec.Copied;
        BinaryPrimitives.WriteUInt64BigEndian(_l2.AsSpan((int)(cluster % entries) * Qcow2Spec.EntrySize), entry);
    }

    /// <summary>Makes it an image.</summary>
    internal void Finish()
    {
        EndTable();
        _file.Write(_header.L1Offset, _l1);
        _file.SetLength(Qcow2Spec.RoundUp(_end, _header.ClusterSize));
        var references = new References(_file, _header, what => throw Qcow2Header.Damaged(_file, what));
        references.AddMappings([new L1Table(_header.L1Offset, _header.L1Size)]);
        var header = RefcountWriter.Write(_file, _header, references);
        _file.Write(0, header.ToCluster());
        _file.Sync();
    }

    // The descriptor: the first byte, and how many sectors follow the one in which it lies.
    private ulong AddCompressed(ReadOnlySpan<byte> data)
    {
        var clusterOfEnd = _end >> _header.ClusterBits;
        if (_end % _header.ClusterSize == 0) _sharers = 0;
        else if (_sharers == MostSharers)
        {
            (_end, _sharers) = (Qcow2Spec.RoundUp(_end, _header.ClusterSize), 0);
        }
        var offset = _end;
        _file.Write(offset, data);
        _end += (uint)data.Length;
        _sharers = _end >> _header.ClusterBits == clusterOfEnd ? _sharers + 1 : 1;
        var sectors = (_end - 1 >> SectorBits) - (offset >> SectorBits);
        return Qcow2Spec.Compressed | sectors << 62 - (_header.ClusterBits - 8) | offset;
    }

    private ulong AddWhole(ReadOnlySpan<byte> data)
    {
        var offset = Qcow2Spec.RoundUp(_end, _header.ClusterSize);
        _file.Write(offset, data);
        _end = offset + (uint)data.Length;
        return offset;
    }

    private void EndTable()
    {
        if (_table == ulong.MaxValue) return;
        BinaryPrimitives.WriteUInt64BigEndian(_l1.AsSpan((int)_table * Qcow2Spec.EntrySize), AddWhole(_l2) | Qcow2Spec.Copied);
        _l2.AsSpan().Clear();
    }
}
