// Constants of the virtio entropy device. virtio 1.2, 5.4.
namespace Lamina.Devices.Virtio.Rng;

internal static class RngSpec
{
    // 5.4.2
    internal const int RequestQueue = 0;
    internal const ushort QueueSize = 64;

    // 5.4.6.2: the device may fill less than the whole buffer. One request gets at most this many bytes, so that a
    // guest that offers gigabytes does not keep the host's generator busy for long.
    internal const int LongestAnswer = 64 * 1024;

    // Random bytes are made in pieces of this many.
    internal const int PieceLength = 4096;

    // After this many requests the worker looks at other things first.
    internal const int RequestsAtOnce = 64;
}
