// A source of entropy: the host's.
using Lamina.Backends.Entropy;
using Lamina.Devices.Virtio.Rng;

namespace Lamina.Parts;

/// <summary>A source of entropy.</summary>
internal sealed class RngPart(RngDevice rng) : IPart
{
    /// <inheritdoc/>
    public string Name => rng.Name;

    /// <inheritdoc/>
    public void Attach(string name, IPartPlaces places, PartContext context) => places.Add(name, new VirtioRng(new HostEntropy()));
}
