// The header of a qcow2 image: read and checked as a whole before anything else is, and written as one sector, which is
// what makes a change of several of its fields one change after a power loss.
using System.Buffers.Binary;
using System.Text;

namespace Lamina.Backends.Disk.Qcow2;

/// <summary>An image's header.</summary>
internal sealed record Qcow2Header
{
    private static readonly UTF8Encoding StrictText = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    internal int Version { get; init; } = 3;

    internal int ClusterBits { get; init; } = Qcow2Spec.DefaultClusterBits;

    /// <summary>The disk's length in bytes.</summary>
    internal ulong Size { get; init; }

    internal uint L1Size { get; init; }

    internal ulong L1Offset { get; init; }

    internal ulong RefcountTableOffset { get; init; }

    internal uint RefcountTableClusters { get; init; }

    internal uint SnapshotCount { get; init; }

    internal ulong SnapshotOffset { get; init; }

    internal ulong Incompatible { get; init; }

    internal ulong Compatible { get; init; }

    internal ulong Autoclear { get; init; }

    internal int RefcountOrder { get; init; } = Qcow2Spec.DefaultRefcountOrder;

    internal byte CompressionType { get; init; }

    /// <summary>The name of the backing file, or null.</summary>
    internal string? BackingFile { get; init; }

    /// <summary>The format of the backing file as the image names it ("raw", "qcow2"), or null.</summary>
    internal string? BackingFormat { get; init; }

    internal uint ClusterSize => 1u << ClusterBits;

    internal bool IsDirty => (Incompatible & Qcow2Spec.IncompatibleDirty) != 0;

    internal bool IsCorrupt => (Incompatible & Qcow2Spec.IncompatibleCorrupt) != 0;

    internal bool HasLazyRefcounts => (Compatible & Qcow2Spec.CompatibleLazyRefcounts) != 0;

    /// <summary>Entries of an L2 table.</summary>
    internal uint L2Entries => ClusterSize / Qcow2Spec.EntrySize;

    /// <summary>How many bytes of the disk one L1 entry stands for.</summary>
    internal ulong BytesPerL1Entry => (ulong)L2Entries << ClusterBits;

    /// <summary>Refcounts in one refcount block.</summary>
    internal uint RefcountsPerBlock => ClusterSize * 8 >> RefcountOrder;

    /// <summary>Whether a file begins as a qcow2 image.</summary>
    internal static bool IsQcow2(IImageFile file)
    {
        Span<byte> magic = stackalloc byte[sizeof(uint)];
        file.Read(0, magic);
        return BinaryPrimitives.ReadUInt32BigEndian(magic) == Qcow2Spec.Magic;
    }

    /// <summary>The L1 entries that a disk needs.</summary>
    internal static ulong L1EntriesFor(ulong size, int clusterBits)
    {
        var bits = clusterBits + clusterBits - 3;
        return (size >> bits) + ((size & ((1ul << bits) - 1)) != 0 ? 1ul : 0);
    }

    /// <summary>Reads and checks a header.</summary>
    /// <exception cref="DiskImageException">It is none, damaged, or of a kind that is not supported.</exception>
    internal static Qcow2Header Read(IImageFile file)
    {
        Span<byte> raw = stackalloc byte[Qcow2Spec.FullLength];
        file.Read(0, raw);
        if (BinaryPrimitives.ReadUInt32BigEndian(raw) != Qcow2Spec.Magic) throw Damaged(file, "it does not begin as one does");
        var version = U32(raw, Qcow2Spec.VersionAt);
        if (version is not (2 or 3)) throw new DiskImageException($"{file.Name} is a qcow2 image of version {version}; only 2 and 3 are known");
        var clusterBits = U32(raw, Qcow2Spec.ClusterBitsAt);
        if (clusterBits is < Qcow2Spec.MinimumClusterBits or > Qcow2Spec.MaximumClusterBits)
            throw Damaged(file, $"its clusters have 2^{clusterBits} bytes; 2^{Qcow2Spec.MinimumClusterBits} to 2^{Qcow2Spec.MaximumClusterBits} are possible");
        if (U32(raw, Qcow2Spec.CryptMethodAt) != 0) throw new DiskImageException($"{file.Name} is encrypted, which is not supported; convert it with qemu-img first");
        var header = new Qcow2Header
        {
            Version = (int)version,
            ClusterBits = (int)clusterBits,
            Size = U64(raw, Qcow2Spec.SizeAt),
            L1Size = U32(raw, Qcow2Spec.L1SizeAt),
            L1Offset = U64(raw, Qcow2Spec.L1OffsetAt),
            RefcountTableOffset = U64(raw, Qcow2Spec.RefcountTableOffsetAt),
            RefcountTableClusters = U32(raw, Qcow2Spec.RefcountTableClustersAt),
            SnapshotCount = U32(raw, Qcow2Spec.SnapshotCountAt),
            SnapshotOffset = U64(raw, Qcow2Spec.SnapshotOffsetAt),
        };
        if (version == 3) header = ReadVersion3(file, raw, header);
        header = ReadNames(file, raw, header);
        header.Check(file);
        return header;
    }

    /// <summary>Writes the fields that may change, as one write within the first sector. The caller makes it durable.</summary>
    internal void Write(IImageFile file)
    {
        Span<byte> raw = stackalloc byte[Qcow2Spec.FullLength];
        var length = Version == 2 ? Qcow2Spec.Version2Length : Qcow2Spec.Version3Length;
        file.Read(0, raw);
        BinaryPrimitives.WriteUInt64BigEndian(raw[Qcow2Spec.SizeAt..], Size);
        BinaryPrimitives.WriteUInt32BigEndian(raw[Qcow2Spec.L1SizeAt..], L1Size);
        BinaryPrimitives.WriteUInt64BigEndian(raw[Qcow2Spec.L1OffsetAt..], L1Offset);
        BinaryPrimitives.WriteUInt64BigEndian(raw[Qcow2Spec.RefcountTableOffsetAt..], RefcountTableOffset);
        BinaryPrimitives.WriteUInt32BigEndian(raw[Qcow2Spec.RefcountTableClustersAt..], RefcountTableClusters);
        BinaryPrimitives.WriteUInt32BigEndian(raw[Qcow2Spec.SnapshotCountAt..], SnapshotCount);
        BinaryPrimitives.WriteUInt64BigEndian(raw[Qcow2Spec.SnapshotOffsetAt..], SnapshotOffset);
        if (Version == 3)
        {
            BinaryPrimitives.WriteUInt64BigEndian(raw[Qcow2Spec.IncompatibleAt..], Incompatible);
            BinaryPrimitives.WriteUInt64BigEndian(raw[Qcow2Spec.CompatibleAt..], Compatible);
            BinaryPrimitives.WriteUInt64BigEndian(raw[Qcow2Spec.AutoclearAt..], Autoclear);
        }
        file.Write(0, raw[..length]);
    }

    /// <summary>The first cluster of a new image.</summary>
    internal byte[] ToCluster()
    {
        var cluster = new byte[ClusterSize];
        var raw = cluster.AsSpan();
        BinaryPrimitives.WriteUInt32BigEndian(raw, Qcow2Spec.Magic);
        BinaryPrimitives.WriteUInt32BigEndian(raw[Qcow2Spec.VersionAt..], (uint)Version);
        BinaryPrimitives.WriteUInt32BigEndian(raw[Qcow2Spec.ClusterBitsAt..], (uint)ClusterBits);
        BinaryPrimitives.WriteUInt64BigEndian(raw[Qcow2Spec.SizeAt..], Size);
        BinaryPrimitives.WriteUInt32BigEndian(raw[Qcow2Spec.L1SizeAt..], L1Size);
        BinaryPrimitives.WriteUInt64BigEndian(raw[Qcow2Spec.L1OffsetAt..], L1Offset);
        BinaryPrimitives.WriteUInt64BigEndian(raw[Qcow2Spec.RefcountTableOffsetAt..], RefcountTableOffset);
        BinaryPrimitives.WriteUInt32BigEndian(raw[Qcow2Spec.RefcountTableClustersAt..], RefcountTableClusters);
        var at = Qcow2Spec.Version2Length;
        if (Version == 3)
        {
            BinaryPrimitives.WriteUInt64BigEndian(raw[Qcow2Spec.IncompatibleAt..], Incompatible);
            BinaryPrimitives.WriteUInt64BigEndian(raw[Qcow2Spec.CompatibleAt..], Compatible);
            BinaryPrimitives.WriteUInt32BigEndian(raw[Qcow2Spec.RefcountOrderAt..], (uint)RefcountOrder);
            BinaryPrimitives.WriteUInt32BigEndian(raw[Qcow2Spec.HeaderLengthAt..], Qcow2Spec.FullLength);
            raw[Qcow2Spec.CompressionTypeAt] = CompressionType;
            at = Qcow2Spec.FullLength;
        }
        if (BackingFormat is not null) at = PutExtension(raw, at, Qcow2Spec.ExtensionBackingFormat, Encoding.UTF8.GetBytes(BackingFormat));
        at += Qcow2Spec.ExtensionHeaderLength;
        if (BackingFile is null) return cluster;
        var name = Encoding.UTF8.GetBytes(BackingFile);
        if (name.Length > Qcow2Spec.LongestBackingName || at + name.Length > cluster.Length)
            throw new DiskImageException($"the name of the backing file is {name.Length} bytes long, which is too long for an image with clusters of {ClusterSize} bytes; give it a shorter one");
        BinaryPrimitives.WriteUInt64BigEndian(raw[Qcow2Spec.BackingOffsetAt..], (ulong)at);
        BinaryPrimitives.WriteUInt32BigEndian(raw[Qcow2Spec.BackingLengthAt..], (uint)name.Length);
        name.CopyTo(raw[at..]);
        return cluster;
    }

    /// <summary>A failure that says that an image is damaged.</summary>
    internal static DiskImageException Damaged(IImageFile file, string what) =>
        new($"{file.Name} is damaged, or no qcow2 image: {what}");

    private static Qcow2Header ReadVersion3(IImageFile file, ReadOnlySpan<byte> raw, Qcow2Header header)
    {
        header = header with
        {
            Incompatible = U64(raw, Qcow2Spec.IncompatibleAt),
            Compatible = U64(raw, Qcow2Spec.CompatibleAt),
            Autoclear = U64(raw, Qcow2Spec.AutoclearAt),
        };
        var length = U32(raw, Qcow2Spec.HeaderLengthAt);
        if (length < Qcow2Spec.Version3Length || length % 8 != 0 || length > header.ClusterSize) throw Damaged(file, $"its header says that it is {length} bytes long");
        var order = U32(raw, Qcow2Spec.RefcountOrderAt);
        if (order > Qcow2Spec.MaximumRefcountOrder) throw Damaged(file, $"its refcounts have 2^{order} bits");
        if ((header.Incompatible & Qcow2Spec.IncompatibleExternalData) != 0)
            throw new DiskImageException($"{file.Name} keeps its data in another file, which is not supported; convert it with qemu-img first");
        if ((header.Incompatible & Qcow2Spec.IncompatibleExtendedL2) != 0)
            throw new DiskImageException($"{file.Name} has extended L2 entries, which are not supported; convert it with qemu-img first");
        var known = Qcow2Spec.IncompatibleDirty | Qcow2Spec.IncompatibleCorrupt | Qcow2Spec.IncompatibleCompressionType;
        if ((header.Incompatible & ~known) is var unknown and not 0)
            throw new DiskImageException($"{file.Name} has features that are not known here (bits 0x{unknown:x}); convert it with the program that made it");
        var compression = length > Qcow2Spec.CompressionTypeAt ? raw[Qcow2Spec.CompressionTypeAt] : Qcow2Spec.CompressionDeflate;
        if (compression > Qcow2Spec.CompressionZstd || ((header.Incompatible & Qcow2Spec.IncompatibleCompressionType) != 0) != (compression != Qcow2Spec.CompressionDeflate))
            throw new DiskImageException($"{file.Name} has clusters compressed in a way that is not known here (type {compression}); convert it with qemu-img first");
        return header with { RefcountOrder = (int)order, CompressionType = compression };
    }

    private static Qcow2Header ReadNames(IImageFile file, ReadOnlySpan<byte> raw, Qcow2Header header)
    {
        var first = new byte[header.ClusterSize];
        file.Read(0, first);
        var at = header.Version == 2 ? Qcow2Spec.Version2Length : (int)U32(raw, Qcow2Spec.HeaderLengthAt);
        var (offset, length) = (U64(raw, Qcow2Spec.BackingOffsetAt), U32(raw, Qcow2Spec.BackingLengthAt));
        var end = offset is 0 ? first.Length : (int)Math.Min(offset, (ulong)first.Length);
        while (at + Qcow2Spec.ExtensionHeaderLength <= end && U32(first, at) is var kind and not Qcow2Spec.ExtensionEnd)
        {
            var extension = U32(first, at + sizeof(uint));
            at += Qcow2Spec.ExtensionHeaderLength;
            if (extension > (uint)(end - at)) throw Damaged(file, "a header extension does not fit into the header");
            if (kind == Qcow2Spec.ExtensionBackingFormat) header = header with { BackingFormat = Text(file, first.AsSpan(at, (int)extension)) };
            at += (int)Qcow2Spec.RoundUp(extension, 8);
        }
        if (offset == 0) return header;
        if (length is 0 or > Qcow2Spec.LongestBackingName || offset > (ulong)first.Length - length) throw Damaged(file, "the name of its backing file lies outside the header");
        return header with { BackingFile = Text(file, first.AsSpan((int)offset, (int)length)) };
    }

    private void Check(IImageFile file)
    {
        var length = file.Length;
        if (Size > Qcow2Spec.LargestDisk) throw Damaged(file, $"it says that its disk has {Size} bytes");
        if (L1Size * (ulong)Qcow2Spec.EntrySize > Qcow2Spec.LargestL1Table) throw Damaged(file, $"its L1 table has {L1Size} entries");
        if (L1Size < L1EntriesFor(Size, ClusterBits)) throw Damaged(file, $"its L1 table has {L1Size} entries, too few for a disk of {Size} bytes");
        CheckTable("L1 table", L1Offset, L1Size * (ulong)Qcow2Spec.EntrySize, required: L1Size != 0);
        if ((ulong)RefcountTableClusters << ClusterBits > Qcow2Spec.LargestRefcountTable) throw Damaged(file, $"its refcount table has {RefcountTableClusters} clusters");
        CheckTable("refcount table", RefcountTableOffset, (ulong)RefcountTableClusters << ClusterBits, required: true);
        if (SnapshotCount > Qcow2Spec.MostSnapshots) throw Damaged(file, $"it says that it has {SnapshotCount} snapshots");
        CheckTable("snapshot table", SnapshotOffset, SnapshotCount * (ulong)Qcow2Spec.SnapshotFixedLength, required: SnapshotCount != 0);

        void CheckTable(string name, ulong offset, ulong bytes, bool required)
        {
            if (!required && bytes == 0) return;
            if (offset == 0 || bytes == 0 || offset % ClusterSize != 0 || offset > length || bytes > length - offset)
                throw Damaged(file, $"its {name} does not lie in the file");
        }
    }

    private static int PutExtension(Span<byte> raw, int at, uint kind, ReadOnlySpan<byte> data)
    {
        BinaryPrimitives.WriteUInt32BigEndian(raw[at..], kind);
        BinaryPrimitives.WriteUInt32BigEndian(raw[(at + sizeof(uint))..], (uint)data.Length);
        data.CopyTo(raw[(at + Qcow2Spec.ExtensionHeaderLength)..]);
        return at + Qcow2Spec.ExtensionHeaderLength + (int)Qcow2Spec.RoundUp((uint)data.Length, 8);
    }

    private static string Text(IImageFile file, ReadOnlySpan<byte> bytes)
    {
        try
        {
            if (bytes.Contains((byte)0)) throw Damaged(file, "a name in its header has a NUL character");
            // It stands in sentences for a terminal.
            var text = StrictText.GetString(bytes);
            return text.Any(char.IsControl) ? throw Damaged(file, "a name in its header has control characters") : text;
        }
        catch (DecoderFallbackException)
        {
            throw Damaged(file, "a name in its header is no text");
        }
    }

    private static uint U32(ReadOnlySpan<byte> raw, int at) => BinaryPrimitives.ReadUInt32BigEndian(raw[at..]);

    private static ulong U64(ReadOnlySpan<byte> raw, int at) => BinaryPrimitives.ReadUInt64BigEndian(raw[at..]);
}
