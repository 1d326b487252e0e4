// Constants of the qcow2 image format, as "Qcow2 Image File Format" (QEMU, docs/interop/qcow2) has them: offsets in the
// header, bits of table entries, limits. All numbers in an image are big-endian.
namespace Lamina.Backends.Disk.Qcow2;

/// <summary>The format's numbers.</summary>
internal static class Qcow2Spec
{
    internal const uint Magic = 0x5146_49fb;

    // Header, versions 2 and 3.
    internal const int VersionAt = 4, BackingOffsetAt = 8, BackingLengthAt = 16, ClusterBitsAt = 20, SizeAt = 24, CryptMethodAt = 32;
    internal const int L1SizeAt = 36, L1OffsetAt = 40, RefcountTableOffsetAt = 48, RefcountTableClustersAt = 56;
    internal const int SnapshotCountAt = 60, SnapshotOffsetAt = 64;
    internal const int Version2Length = 72;

    // Header, version 3.
    internal const int IncompatibleAt = 72, CompatibleAt = 80, AutoclearAt = 88, RefcountOrderAt = 96, HeaderLengthAt = 100, CompressionTypeAt = 104;
    internal const int Version3Length = 104, FullLength = 112;

    internal const ulong IncompatibleDirty = 1, IncompatibleCorrupt = 2, IncompatibleExternalData = 4, IncompatibleCompressionType = 8, IncompatibleExtendedL2 = 16;
    internal const ulong CompatibleLazyRefcounts = 1;
    internal const ulong AutoclearBitmaps = 1;
    internal const byte CompressionDeflate = 0, CompressionZstd = 1;

    // Header extensions.
    internal const uint ExtensionEnd = 0, ExtensionBackingFormat = 0xe279_2aca;
    internal const int ExtensionHeaderLength = 8;
    internal const int LongestBackingName = 1023;

    // "Must not be less than 9"; 2 MiB is the largest that QEMU opens.
    internal const int MinimumClusterBits = 9, MaximumClusterBits = 21, DefaultClusterBits = 16;
    internal const int DefaultRefcountOrder = 4, MaximumRefcountOrder = 6;

    // What QEMU takes at most: 32 MiB of L1 table, 8 MiB of refcount table, 65536 snapshots with 1 KiB of extra data each.
    internal const ulong LargestL1Table = 32 << 20, LargestRefcountTable = 8 << 20;
    internal const uint MostSnapshots = 65536;
    internal const int LargestSnapshotExtra = 1024;
    internal const int EntrySize = sizeof(ulong);

    // L1 and L2 entries.
    internal const ulong OffsetMask = 0x00ff_ffff_ffff_fe00;
    internal const ulong Copied = 1ul << 63, Compressed = 1ul << 62, Zero = 1;
    internal const ulong RefcountOffsetMask = ~0x1fful;

    // Snapshot table entries.
    internal const int SnapshotFixedLength = 40, SnapshotExtraLength = 16;

    // The largest disk: 2^63 bytes less a cluster, as offsets in files are signed.
    internal const ulong LargestDisk = (1ul << 63) - (1 << MaximumClusterBits);

    /// <summary>Rounds up to a multiple of a power of two.</summary>
    internal static ulong RoundUp(ulong value, ulong unit) => (value + unit - 1) & ~(unit - 1);
}
