// The live registers of a virtio function that every transport has, in one structure: reset is a fresh one.
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
