// Reads compressed clusters. The last one stays in memory, since a guest reads one piece by piece.
using System.IO.Compression;
using Lamina.Host;

namespace Lamina.Backends.Disk.Qcow2;

/// <summary>Where the compressed data of a cluster lie.</summary>
/// <param name="Offset">The first byte in the file.</param>
/// <param name="Length">How many bytes at most; the data end before where the cluster is complete.</param>
internal readonly record struct CompressedExtent(ulong Offset, uint Length)
{
    private const uint Sector = 512;

    /// <summary>Takes an L2 entry apart ("Compressed Clusters Descriptor").</summary>
    internal static CompressedExtent Of(ulong entry, int clusterBits)
    {
        var x = 62 - (clusterBits - 8);
        var offset = entry & ((1ul << x) - 1);
        var sectors = (uint)((entry & ~(Qcow2Spec.Copied | Qcow2Spec.Compressed)) >> x) + 1;
        return new CompressedExtent(offset, sectors * Sector - (uint)(offset % Sector));
    }
}

/// <summary>Decompresses clusters of one image. Several threads may call.</summary>
internal sealed class ClusterDecompressor(IImageFile file, int clusterBits, byte compressionType)
{
    private readonly Lock _gate = new();
    private readonly byte[] _cluster = new byte[1 << clusterBits];
    private byte[] _compressed = [];
    private ulong _entry;

    /// <summary>Copies bytes of a compressed cluster.</summary>
    /// <param name="entry">Its L2 entry.</param>
    /// <param name="at">The first byte in the cluster.</param>
    /// <param name="into">Where to.</param>
    /// <exception cref="DiskImageException">The data are damaged.</exception>
    internal void Read(ulong entry, int at, Span<byte> into)
    {
        lock (_gate)
        {
            if (_entry != entry) Load(entry);
            _cluster.AsSpan(at, into.Length).CopyTo(into);
        }
    }

    /// <summary>Forgets what was kept: clusters were given back and may be used for something else.</summary>
    internal void Forget()
    {
        lock (_gate) _entry = 0;
    }

    private void Load(ulong entry)
    {
        var extent = CompressedExtent.Of(entry, clusterBits);
        if (_compressed.Length < extent.Length) _compressed = new byte[extent.Length];
        var data = _compressed.AsSpan(0, (int)extent.Length);
        file.Read(extent.Offset, data);
        _entry = 0;
        if (!(compressionType == Qcow2Spec.CompressionZstd ? Zstd.TryDecompress(data, _cluster) : TryInflate((int)extent.Length)))
            throw Qcow2Header.Damaged(file, $"the compressed cluster at {extent.Offset} cannot be decompressed");
        _entry = entry;
    }

    // A raw deflate stream (RFC 1951), which ends where the cluster is full.
    private bool TryInflate(int length)
    {
        try
        {
            using var stream = new DeflateStream(new MemoryStream(_compressed, 0, length), CompressionMode.Decompress);
            return stream.ReadAtLeast(_cluster, _cluster.Length, throwOnEndOfStream: false) == _cluster.Length;
        }
        catch (InvalidDataException)
        {
            return false;
        }
    }
}
