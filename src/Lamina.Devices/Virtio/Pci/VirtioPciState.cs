// The live registers that only virtio over PCI has; what every transport has stands in VirtioState.
using Lamina.Core.State;

namespace Lamina.Devices.Virtio.Pci;

/// <summary>The selectors, and which messages are whose.</summary>
internal struct VirtioPciState
{
    /// <summary>Which 32 of the device's features are read.</summary>
    internal uint DeviceFeatureSelect;

    /// <summary>Which 32 of the driver's features are written.</summary>
    internal uint DriverFeatureSelect;

    /// <summary>Which queue the queue registers mean.</summary>
    internal ushort QueueSelect;

    /// <summary>The message of a change of the configuration.</summary>
    internal ushort ConfigVector;

    /// <summary>Whether the device was started by a notification, and its driver has not yet said over the legacy interface that it is ready.</summary>
    internal bool StartedEarly;

    /// <summary>The message of each queue.</summary>
    internal readonly ushort[] QueueVectors;

    internal VirtioPciState(int queues)
    {
        ConfigVector = VirtioPciSpec.NoVector;
        QueueVectors = new ushort[queues];
        Array.Fill(QueueVectors, VirtioPciSpec.NoVector);
    }

    internal static void Exchange(SavedFields fields, ref VirtioPciState state)
    {
        fields.Value(1, ref state.DeviceFeatureSelect);
        fields.Value(2, ref state.DriverFeatureSelect);
        fields.Value(3, ref state.QueueSelect);
        fields.Value(4, ref state.ConfigVector);
        fields.Values(5, state.QueueVectors);
        fields.Value(6, ref state.StartedEarly);
    }
}
