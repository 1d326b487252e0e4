// Constants of the virtio block device. virtio 1.2, 5.2.
namespace Lamina.Devices.Virtio.Block;

internal static class BlockSpec
{
    // 5.2.3
    internal const ulong FeatureSegmentMaximum = 1ul << 2, FeatureReadOnly = 1ul << 5, FeatureBlockSize = 1ul << 6, FeatureFlush = 1ul << 9;
    internal const ulong FeatureTopology = 1ul << 10, FeatureConfigWriteCache = 1ul << 11, FeatureMultiqueue = 1ul << 12;
    internal const ulong FeatureDiscard = 1ul << 13, FeatureWriteZeroes = 1ul << 14;

    // 5.2.4: offsets in the configuration space.
    internal const int ConfigLength = 60;
    internal const int CapacityAt = 0, SegmentMaximumAt = 12, BlockSizeAt = 20, PhysicalBlockExponentAt = 24, MinimumIoAt = 26, OptimalIoAt = 28;
    internal const int WritebackAt = 32, QueuesAt = 34;
    internal const int DiscardSectorsAt = 36, DiscardSegmentsAt = 40, DiscardAlignmentAt = 44;
    internal const int ZeroSectorsAt = 48, ZeroSegmentsAt = 52, ZeroMayUnmapAt = 56;

    // 5.2.6: a request is a header of 16 bytes, data, and one byte of status.
    internal const int HeaderLength = 16, SectorAt = 8, StatusLength = 1;
    internal const uint SectorSize = 512;

    // The logical block sizes that disks have.
    internal const int SmallBlock = 512, LargeBlock = 4096;
    internal const int IdLength = 20;

    // 5.2.6: one range of a discard or write-zeroes request; its only flag.
    internal const int RangeLength = 16, RangeSectorsAt = 8, RangeFlagsAt = 12;
    internal const uint RangeUnmap = 1;

    internal const ushort QueueSize = 256;

    // Of a chain's descriptors one is the header and one the status.
    internal const int MostSegments = QueueSize - 2;

    internal const int MostQueues = 16;

    // What one request may ask for: so much that a guest needs few, so little that a reset need not wait long.
    internal const uint MostRanges = 32;
    internal const uint MostRangeSectors = 1 << 21;

    // After so many requests, or so many bytes, the driver is told of what is done: of large requests it has the next one ready
    // while one is carried out.
    internal const int RequestsAtOnce = 16;
    internal const ulong BytesAtOnce = 512 << 10;

    // From so many bytes on, reads are copied by several processors at once. (Writes to one file exclude each other on the host.)
    internal const uint LongRead = 128 << 10;

    // A guest can cause errors without end.
    internal const int MostReports = 5;
}

/// <summary>Request types. virtio 1.2, 5.2.6.</summary>
internal enum BlockRequestType : uint
{
    In = 0,
    Out = 1,
    Flush = 4,
    GetId = 8,
    Discard = 11,
    WriteZeroes = 13,
}

/// <summary>How a request ended. virtio 1.2, 5.2.6.</summary>
internal enum BlockStatus : byte
{
    Ok = 0,
    IoError = 1,
    Unsupported = 2,
}
