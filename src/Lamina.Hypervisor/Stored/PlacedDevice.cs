// A device of a machine that goes on elsewhere, or later: what its guest knows is as it was, and what it has of the host as the host has it by now.
namespace Lamina.Hypervisor.Stored;

/// <summary>Puts devices to their places on the host.</summary>
internal static class PlacedDevice
{
    /// <summary>A machine's device as it is there, with what it has of the host as it is here.</summary>
    /// <param name="there">The device of the machine that runs there.</param>
    /// <param name="here">The same, as whoever starts or takes in the machine has it.</param>
    internal static DeviceDefinition Here(DeviceDefinition there, DeviceDefinition here) => (there, here) switch
    {
        (DiskDevice disk, DiskDevice known) => disk with { Path = known.Path, Format = known.Format, Direct = known.Direct, Aio = known.Aio, Backing = known.Backing, Tls = known.Tls, Reconnect = known.Reconnect, Size = null },
        (CdromDevice { Path.Length: > 0 } drive, CdromDevice known) => drive with { Path = known.Path },
        (FloppyDevice drive, FloppyDevice known) => drive with { Path = known.Path },
        (ShareDevice share, ShareDevice known) => share with { Path = known.Path, ReadOnly = known.ReadOnly },
        (NetworkDevice card, NetworkDevice known) => card with { Link = known.Link },
        (SerialDevice serial, SerialDevice known) => serial with { To = known.To },
        (ConsoleDevice console, ConsoleDevice known) => console with { To = known.To },
        (VsockDevice sockets, VsockDevice known) => sockets with { Path = known.Path },
        (ChannelDevice channel, ChannelDevice known) => channel with { Path = known.Path },
        _ => there,
    };
}
