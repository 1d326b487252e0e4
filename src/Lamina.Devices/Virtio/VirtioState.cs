// The live registers of a virtio function that every transport has, in one structure: reset is a fresh one.
using Lamina.Core.State;

namespace Lamina.Devices.Virtio;

/// <summary>What the driver told of one queue.</summary>
internal struct VirtioQueueState
{
    /// <summary>The number of descriptors; 0 until the driver says.</summary>
    internal uint Size;

    /// <summary>Whether the driver declared it ready.</summary>
    internal bool Ready;

    /// <summary>Guest-physical addresses of its three areas.</summary>
    internal ulong DescriptorArea, DriverArea, DeviceArea;

    internal static void Exchange(SavedFields fields, ref VirtioQueueState state)
    {
        fields.Value(1, ref state.Size);
        fields.Value(2, ref state.Ready);
        fields.Value(3, ref state.DescriptorArea);
        fields.Value(4, ref state.DriverArea);
        fields.Value(5, ref state.DeviceArea);
    }
}

/// <summary>What the driver told of the device.</summary>
internal struct VirtioState(int queues)
{
    /// <summary>Features that the driver accepted.</summary>
    internal ulong DriverFeatures;

    /// <summary>Whether it accepted one whose number no 64 bits hold; such are never offered.</summary>
    internal bool UnknownFeatures;

    /// <summary>Its queues.</summary>
    internal readonly VirtioQueueState[] Queues = new VirtioQueueState[queues];
}
