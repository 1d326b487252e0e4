// The live registers that only virtio over MMIO has; what every transport has stands in VirtioState.
using Lamina.Core.State;

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

    internal static void Exchange(SavedFields fields, ref MmioState state)
    {
        fields.Value(1, ref state.DeviceFeaturesSelect);
        fields.Value(2, ref state.DriverFeaturesSelect);
        fields.Value(3, ref state.QueueSelect);
    }
}
