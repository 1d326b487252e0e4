// What the entropy device remembers: figures for a person who inspects it. The driver sees none of it.
using Lamina.Core.State;

namespace Lamina.Devices.Virtio.Rng;

internal struct RngState
{
    /// <summary>Requests answered since the last reset.</summary>
    internal long Requests;

    /// <summary>Random bytes given since the last reset.</summary>
    internal long Bytes;

    internal static void Exchange(SavedFields fields, ref RngState state)
    {
        fields.Value(1, ref state.Requests);
        fields.Value(2, ref state.Bytes);
    }
}
