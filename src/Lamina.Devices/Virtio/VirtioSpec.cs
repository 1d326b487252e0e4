// Constants of virtio 1.2 that every device and transport shares. Those of one transport or one device type stand in its
// own room.
namespace Lamina.Devices.Virtio;

/// <summary>Device status bits. virtio 1.2, 2.1.</summary>
[Flags]
public enum VirtioStatus : byte
{
    /// <summary>Reset.</summary>
    None = 0,

    /// <summary>The guest has noticed the device.</summary>
    Acknowledge = 1,

    /// <summary>The guest has a driver for it.</summary>
    Driver = 2,

    /// <summary>The driver is set up; the device is live.</summary>
    DriverOk = 4,

    /// <summary>The negotiation of features is finished and the device agrees.</summary>
    FeaturesOk = 8,

    /// <summary>The device met an error that only a reset ends. Set by the device alone.</summary>
    DeviceNeedsReset = 64,

    /// <summary>The guest has given up on the device.</summary>
    Failed = 128,
}

/// <summary>Device types (the transports' device ID). virtio 1.2, 5.</summary>
public enum VirtioDeviceType : uint
{
    /// <summary>Network card. 5.1.</summary>
    Net = 1,

    /// <summary>Block device. 5.2.</summary>
    Block = 2,

    /// <summary>Console. 5.3.</summary>
    Console = 3,

    /// <summary>Entropy source. 5.4.</summary>
    Entropy = 4,

    /// <summary>Traditional memory balloon. 5.5.</summary>
    Balloon = 5,

    /// <summary>9P transport.</summary>
    Plan9 = 9,

    /// <summary>Socket device. 5.10.</summary>
    Vsock = 19,

    /// <summary>File system. 5.11.</summary>
    FileSystem = 26,
}
