// Constants of the virtio file system device. virtio 1.2, 5.11.
namespace Lamina.Devices.Virtio.FileSystem;

internal static class FileSystemSpec
{
    // 5.11.2: one queue for what must not wait, then request queues.
    internal const int HighPriorityQueue = 0, RequestQueues = 1;
    internal const ushort QueueSize = 128;

    // 5.11.4
    internal const int TagLength = 36, RequestQueuesAt = 36, ConfigLength = 40;

    // After so many requests the worker looks at other things first.
    internal const int RequestsAtOnce = 16;
}
