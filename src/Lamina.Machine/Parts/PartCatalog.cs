// The kinds of parts, in the order in which a guest finds them. A new kind is a line here.
namespace Lamina.Parts;

/// <summary>Opens the parts of a machine.</summary>
internal static class PartCatalog
{
    private sealed record PartKind(Type Definition, Action<MachineDefinition> Check, Func<DeviceDefinition, int, OpenContext, IPart> Open);

    private static readonly PartKind[] s_kinds =
    [
        Kind<RngDevice>((rng, _, _) => new RngPart(rng)),
        Kind<ConsoleDevice>((console, _, context) => new ConsolePart(console, context), ConsolePart.Check),
        Kind<ChannelDevice>((channel, _, context) => new ChannelPart(channel, context), ChannelPart.Check),
        Kind<DiskDevice>((disk, index, context) => new DiskPart(disk, index, context), DiskPart.Check),
        Kind<CdromDevice>((cdrom, index, context) => new CdromPart(cdrom, index, context), CdromPart.Check),
        Kind<FloppyDevice>((floppy, index, context) => new FloppyPart(floppy, index, context), FloppyPart.Check),
        Kind<ShareDevice>((share, _, context) => new SharePart(share, context), SharePart.Check),
        Kind<NetworkDevice>((card, index, context) => new NetworkPart(card, index, context), NetworkPart.Check),
        Kind<BalloonDevice>((balloon, _, _) => new BalloonPart(balloon)),
        Kind<VsockDevice>((sockets, _, context) => new VsockPart(sockets, context), VsockPart.Check),
    ];

    /// <summary>The types of the definitions that there are parts for.</summary>
    internal static IEnumerable<Type> Kinds => s_kinds.Select(kind => kind.Definition);

    /// <summary>The devices of a machine that are parts, in the order in which the guest finds them.</summary>
    internal static IEnumerable<DeviceDefinition> Of(MachineDefinition machine) => s_kinds.SelectMany(kind => machine.Devices.Where(device => device.GetType() == kind.Definition));

    /// <summary>How a device is connected to its board; null for a floppy drive, which has a controller of its own.</summary>
    internal static bool TakesPlace(DeviceDefinition device) => BusOf(device) is DriveBus.Virtio or DriveBus.Nvme;

    internal static DriveBus? BusOf(DeviceDefinition device) => device switch { DiskDevice disk => disk.Bus, CdromDevice cdrom => cdrom.Bus, FloppyDevice => null, _ => DriveBus.Virtio };

    /// <summary>Refuses what cannot be, before anything is opened.</summary>
    /// <exception cref="MachineException">The first thing that is wrong.</exception>
    /// <exception cref="IOException">Likewise, and it is the host's.</exception>
    internal static void Check(MachineDefinition machine)
    {
        foreach (var kind in s_kinds) kind.Check(machine);
    }

    /// <summary>Opens all parts.</summary>
    /// <exception cref="MachineException">One cannot be used; the message is a sentence.</exception>
    /// <exception cref="IOException">The host refuses one, likewise.</exception>
    internal static IReadOnlyList<IPart> Open(OpenContext context)
    {
        var parts = new List<IPart>();
        foreach (var kind in s_kinds)
        {
            var index = 0;
            foreach (var device in context.Definition.Devices)
                if (device.GetType() == kind.Definition) parts.Add(kind.Open(device, index++, context));
        }
        return parts;
    }

    private static PartKind Kind<T>(Func<T, int, OpenContext, IPart> open, Action<MachineDefinition>? check = null) where T : DeviceDefinition =>
        new(typeof(T), check ?? (_ => { }), (device, index, context) => open((T)device, index, context));
}
