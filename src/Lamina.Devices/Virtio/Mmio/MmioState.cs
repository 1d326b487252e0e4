// The live registers that only virtio over MMIO has; what every transport has stands in VirtioState.
namespace Lamina.Devices.Virtio.Mmio;

/// <summary>The selectors.</summary>
internal struct MmioState
{
    /// <summary>Which 32 of the device's features are read.</summary>
    internal uint DeviceFeaturesSelect;

    /// <summary>Which 32 of the driver's features are written.</summary>
    internal uint DriverFeaturesSelect;

    /// <summary>Which queue the queue registers mean.</summary>
    internal uint QueueSelect;
}
