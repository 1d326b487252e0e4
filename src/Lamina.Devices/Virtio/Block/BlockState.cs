// What the block device remembers of its driver's wishes, and figures for a person who inspects it.
using Lamina.Core.State;

namespace Lamina.Devices.Virtio.Block;

internal struct BlockState
{
    /// <summary>Whether writes wait for a flush; else each is durable when it ends (5.2.6.2).</summary>
    internal bool Writeback;

    /// <summary>Bytes read and written since the last reset.</summary>
    internal long BytesRead, BytesWritten;

    /// <summary>Requests since the last reset, and how many of them failed.</summary>
    internal long Requests, Failures;

    internal static void Exchange(SavedFields fields, ref BlockState state)
    {
        fields.Value(1, ref state.Writeback);
        fields.Value(2, ref state.BytesRead);
        fields.Value(3, ref state.BytesWritten);
        fields.Value(4, ref state.Requests);
        fields.Value(5, ref state.Failures);
    }
}
