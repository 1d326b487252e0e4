// Virtio over PCI: what a function looks like, and its registers. virtio 1.2, 4.1.
using Lamina.Devices.Pci;

namespace Lamina.Devices.Virtio.Pci;

/// <summary>Identities, capabilities and offsets.</summary>
internal static class VirtioPciSpec
{
    // 4.1.2: identities. A transitional device has one of its own, another revision, and its type as the subsystem's.
    internal const ushort Vendor = 0x1af4, FirstModernDevice = 0x1040;
    internal const byte ModernRevision = 1;

    // 4.1.4: the places of structures. The legacy interface must be the first base address register (4.1.4.8).
    internal const int LegacyBar = 0, MessageBar = 1, ModernBar = 4;
    internal const byte CommonStructure = 1, NotifyStructure = 2, InterruptStructure = 3, DeviceStructure = 4, AccessStructure = 5;
    internal const int CapabilityLength = 16, CapabilityKind = 3, CapabilityBar = 4, CapabilityOffset = 8, CapabilitySize = 12, CapabilityMore = 16;

    // Our layout of the modern registers: a page each. A queue has 4 bytes to be notified at.
    internal const ulong Common = 0x0000, Interrupt = 0x1000, Device = 0x2000, Notify = 0x3000, ModernLength = 0x4000;
    internal const uint PageLength = 0x1000, NotifyStride = 4;

    // 4.1.4.3: the common structure.
    internal const int DeviceFeatureSelect = 0x00, DeviceFeature = 0x04, DriverFeatureSelect = 0x08, DriverFeature = 0x0c;
    internal const int ConfigVector = 0x10, QueueCount = 0x12, DeviceStatus = 0x14, ConfigGeneration = 0x15, QueueSelect = 0x16;
    internal const int QueueSize = 0x18, QueueVector = 0x1a, QueueEnable = 0x1c, QueueNotifyOffset = 0x1e;
    internal const int QueueDescriptor = 0x20, QueueDriver = 0x28, QueueDevice = 0x30, QueueNotifyData = 0x38, QueueReset = 0x3a;
    internal const int CommonLength = 0x3c;

    // 4.1.5.1.2: a queue, or the configuration, without a message.
    internal const ushort NoVector = 0xffff;

    // 4.1.4.5: the interrupt status.
    internal const byte UsedBuffer = 1, ConfigurationChange = 2;

    // 4.1.4.8: the legacy interface's registers. The vectors are there while messages are enabled, and the device's configuration follows.
    internal const ulong LegacyLength = 0x80;
    internal const int LegacyDeviceFeatures = 0x00, LegacyDriverFeatures = 0x04, LegacyQueueAddress = 0x08, LegacyQueueSize = 0x0c, LegacyQueueSelect = 0x0e;
    internal const int LegacyQueueNotify = 0x10, LegacyStatus = 0x12, LegacyInterrupt = 0x13, LegacyConfigVector = 0x14, LegacyQueueVector = 0x16;
    internal const int LegacyConfig = 0x14, LegacyConfigWithVectors = 0x18;

    // 2.7.2 and 4.1.5.1.3: a legacy queue lies in pages one after another.
    internal const int LegacyPageShift = 12;
    internal const ulong LegacyAlignment = 1 << LegacyPageShift;

    /// <summary>Who a device is on a PCI bus.</summary>
    /// <param name="type">The kind of device.</param>
    /// <param name="hasLegacy">Whether it is a transitional device: its type has a number for such (4.1.2.1).</param>
    internal static PciIdentity IdentityOf(VirtioDeviceType type, out bool hasLegacy)
    {
        var transitional = type switch
        {
            VirtioDeviceType.Net => 0x1000,
            VirtioDeviceType.Block => 0x1001,
            VirtioDeviceType.Balloon => 0x1002,
            VirtioDeviceType.Console => 0x1003,
            VirtioDeviceType.Entropy => 0x1005,
            VirtioDeviceType.Plan9 => 0x1009,
            _ => 0,
        };
        hasLegacy = transitional != 0;
        var device = (ushort)(hasLegacy ? transitional : FirstModernDevice + (int)type);
        return new PciIdentity(Vendor, device, ClassOf(type)) { Revision = hasLegacy ? (byte)0 : ModernRevision, Subsystem = (Vendor, (ushort)type) };
    }

    // PCI Code and ID Assignment: drivers do not look at it, people do.
    private static uint ClassOf(VirtioDeviceType type) => type switch
    {
        VirtioDeviceType.Net => 0x02_0000,
        VirtioDeviceType.Block => 0x01_0000,
        VirtioDeviceType.Console or VirtioDeviceType.Vsock => 0x07_8000,
        VirtioDeviceType.FileSystem or VirtioDeviceType.Plan9 => 0x01_8000,
        VirtioDeviceType.Balloon or VirtioDeviceType.Entropy => 0x00_ff00,
        _ => 0xff_0000,
    };
}
