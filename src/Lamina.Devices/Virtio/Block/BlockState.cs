// What the block device remembers of its driver's wishes, and figures for a person who inspects it.
namespace Lamina.Devices.Virtio.Block;

internal struct BlockState
{
    /// <summary>Whether writes wait for a flush; else each is durable when it ends (5.2.6.2).</summary>
    internal bool Writeback;

    /// <summary>Bytes read and written since the last reset.</summary>
    internal long BytesRead, BytesWritten;

    /// <summary>Requests since the last reset, and how many of them failed.</summary>
    internal long Requests, Failures;
}
