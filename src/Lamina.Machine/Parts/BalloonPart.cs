// A memory balloon. It has no end on the host; the program that owns the machine says how much the guest is to do without. At first
// that is what the machine has beyond the memory that its definition gives the guest.
using Lamina.Core.Memory;
using Lamina.Devices.Virtio.Balloon;

namespace Lamina.Parts;

/// <summary>A memory balloon.</summary>
internal sealed class BalloonPart(BalloonDevice balloon) : IPart
{
    private VirtioBalloon? _device;

    /// <inheritdoc/>
    public string Name => balloon.Name;

    /// <summary>What the program sees of it.</summary>
    internal IMemoryBalloon? Balloon => _device;

    /// <inheritdoc/>
    public void Attach(string name, IPartPlaces places, PartContext context) =>
        places.Add(name, _device = new VirtioBalloon(context.Memory) { Target = context.Definition.RamBytes - context.Definition.MemoryBytes });
}
