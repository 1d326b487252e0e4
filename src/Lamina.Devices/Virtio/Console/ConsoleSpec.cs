// Constants of the virtio console. virtio 1.2, 5.3.
namespace Lamina.Devices.Virtio.Console;

internal static class ConsoleSpec
{
    // 5.3.3
    internal const ulong FeatureSize = 1 << 0, FeatureMultiport = 1 << 1, FeatureEmergencyWrite = 1 << 2;

    // 5.3.4: cols, rows, max_nr_ports, emerg_wr.
    internal const int ConfigLength = 12;
    internal const int ConfigColumns = 0, ConfigRows = 2, ConfigPorts = 4, ConfigEmergencyWrite = 8;

    // 5.3.2: port 0 has queues 0 and 1, the control queues are 2 and 3, port n has 2n+2 and 2n+3.
    internal const int ControlReceiveQueue = 2, ControlTransmitQueue = 3;
    internal const ushort DataQueueSize = 128, ControlQueueSize = 32;

    // Two queues a port and two for control; more than this no guest asks for.
    internal const int MostPorts = 31;

    // 5.3.6.2: id (32 bits), event (16), value (16).
    internal const int ControlLength = 8;

    // What a port holds for the guest until the guest gives it a buffer.
    internal const int InputBufferLength = 4096;

    // After this many buffers the worker looks at the other queues first.
    internal const int BuffersAtOnce = 64;

    /// <summary>The longest name of a port in UTF-8 bytes; longer ones would not fit the buffers that drivers give.</summary>
    internal const int LongestName = 512;

    internal static int ReceiveQueue(int port) => port == 0 ? 0 : port * 2 + 2;

    internal static int TransmitQueue(int port) => ReceiveQueue(port) + 1;

    /// <summary>The port that a data queue belongs to.</summary>
    internal static int PortOf(int queue) => queue < 2 ? 0 : queue / 2 - 1;

    internal static bool IsTransmit(int queue) => (queue & 1) != 0;
}

/// <summary>The kinds of control message. virtio 1.2, 5.3.6.2.</summary>
internal enum ConsoleEvent : ushort
{
    DeviceReady = 0,
    DeviceAdd = 1,
    DeviceRemove = 2,
    PortReady = 3,
    ConsolePort = 4,
    Resize = 5,
    PortOpen = 6,
    PortName = 7,
}
