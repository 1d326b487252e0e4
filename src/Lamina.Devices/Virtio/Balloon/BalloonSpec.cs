// Constants of the virtio memory balloon. virtio 1.2, 5.5.
namespace Lamina.Devices.Virtio.Balloon;

internal static class BalloonSpec
{
    // 5.5.2: the queues that every balloon has; the others follow in this order, those that were negotiated.
    internal const int InflateQueue = 0, DeflateQueue = 1, FirstOptionalQueue = 2;
    internal const int Queues = 4;
    internal const ushort QueueSize = 128;

    // 5.5.3
    internal const ulong FeatureStatistics = 1 << 1, FeatureDeflateOnOutOfMemory = 1 << 2, FeatureReporting = 1 << 5;

    // 5.5.4
    internal const int ConfigLength = 8, TargetAt = 0, ActualAt = 4;

    // 5.5.6: pages are told in units of 4 KiB, whatever the guest's own are.
    internal const int PageShift = 12;
    internal const ulong PageSize = 1 << PageShift;

    // 5.5.6.3: a tag of 16 bits and a value of 64, without padding.
    internal const int StatisticLength = 10, StatisticValueAt = 2;

    // Page numbers are taken in pieces of this many bytes.
    internal const int PieceLength = 4096;

    // After so many buffers the worker looks at other things first.
    internal const int BuffersAtOnce = 32;
}
