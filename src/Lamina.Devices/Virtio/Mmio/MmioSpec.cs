// The registers of virtio over MMIO, version 2. virtio 1.2, 4.2.2.
namespace Lamina.Devices.Virtio.Mmio;

/// <summary>Offsets of the registers, and their fixed values.</summary>
internal static class MmioSpec
{
    internal const uint Magic = 0x7472_6976;
    internal const uint CurrentVersion = 2;

    // "LAMI", read as the driver sees it. Drivers do not interpret it.
    internal const uint Vendor = 0x494d_414c;

    internal const ulong MagicValue = 0x000, Version = 0x004, DeviceId = 0x008, VendorId = 0x00c;
    internal const ulong DeviceFeatures = 0x010, DeviceFeaturesSelect = 0x014;
    internal const ulong DriverFeatures = 0x020, DriverFeaturesSelect = 0x024;
    internal const ulong QueueSelect = 0x030, QueueSizeMaximum = 0x034, QueueSize = 0x038, QueueReady = 0x044, QueueNotify = 0x050;
    internal const ulong InterruptStatus = 0x060, InterruptAcknowledge = 0x064, Status = 0x070;
    internal const ulong QueueDescriptorLow = 0x080, QueueDescriptorHigh = 0x084;
    internal const ulong QueueDriverLow = 0x090, QueueDriverHigh = 0x094;
    internal const ulong QueueDeviceLow = 0x0a0, QueueDeviceHigh = 0x0a4;
    internal const ulong SharedMemorySelect = 0x0ac, SharedMemoryLengthLow = 0x0b0, SharedMemoryLengthHigh = 0x0b4;
    internal const ulong SharedMemoryBaseLow = 0x0b8, SharedMemoryBaseHigh = 0x0bc;
    internal const ulong QueueReset = 0x0c0, ConfigGeneration = 0x0fc;
    internal const ulong Config = 0x100;

    // The bits of InterruptStatus.
    internal const uint UsedBuffer = 1, ConfigurationChange = 2;
}
