// What the entropy device remembers: figures for a person who inspects it. The driver sees none of it.
namespace Lamina.Devices.Virtio.Rng;

internal struct RngState
{
    /// <summary>Requests answered since the last reset.</summary>
    internal long Requests;

    /// <summary>Random bytes given since the last reset.</summary>
    internal long Bytes;
}
