// A machine made of another one: its files, and its definition without what only one of them can have. What both would want and is left as it
// is, since it is the user's to decide, is said in sentences.
using Lamina.Backends.Disk;

namespace Lamina.Hypervisor.Stored;

/// <summary>Copies machines.</summary>
internal static class MachineCopy
{
    /// <summary>Fills a new machine's folder.</summary>
    /// <param name="from">The machine that is copied; it does not run.</param>
    /// <param name="to">The new one's folder, which is empty.</param>
    /// <param name="definition">The first one's definition.</param>
    /// <returns>The new one's definition, and sentences about what they cannot both have.</returns>
    internal static (MachineDefinition Definition, IReadOnlyList<string> Notes) Make(MachineHome from, MachineHome to, MachineDefinition definition)
    {
        foreach (var file in (string[])[from.Kernel, from.Initrd])
            if (File.Exists(file)) MachineDisks.LinkOrCopy(file, Path.Combine(to.Folder, Path.GetFileName(file)));
        MachineDisks.Share(from, to);
        if (File.Exists(from.Seed)) File.WriteAllBytes(to.Seed, Seed.OfCopy(File.ReadAllBytes(from.Seed), to.Name) ?? File.ReadAllBytes(from.Seed));
        MachineVariables.Copy(from, to);
        var names = definition.Complete().Devices;
        var devices = definition.Devices.Select((device, index) => Own(device, names[index].Name, to)).ToList();
        return (definition with { Devices = devices }, [.. Shared(from, to, definition)]);
    }

    // A device as the new machine has it. Addresses are made up anew, sockets lie in its own folder, disks that are written are its own.
    private static DeviceDefinition Own(DeviceDefinition device, string name, MachineHome to) => device switch
    {
        NetworkDevice card => card with { Mac = null },
        VsockDevice vsock => vsock with { Path = to.Sockets },
        DiskDevice { ReadOnly: false, Temporary: false } disk => Copied(disk, Path.Combine(to.Folder, $"{name}.qcow2")),
        SerialDevice { To: ConsoleTarget.File or ConsoleTarget.Unix } serial => serial with { To = new ConsoleTarget.Stdio() },
        ChannelDevice channel => channel with { Path = "" },
        ConsoleDevice { To: ConsoleTarget.File or ConsoleTarget.Unix } console => console with { To = new ConsoleTarget.Null() },
        _ => device,
    };

    /// <summary>A machine that goes on as a copy of another one, which the guest sees as it was but for the addresses of cards that others might meet: what it leads to on the host is its own.</summary>
    internal static MachineDefinition Forked(MachineDefinition definition, MachineHome to)
    {
        var addressed = CopiedCards.WithAddresses(definition, to);
        return addressed with { Devices = [.. addressed.Devices.Select(Forked)] };
    }

    private static DeviceDefinition Forked(DeviceDefinition device) => device switch
    {
        NetworkDevice { Link: NetworkLink.User user } card => card with { Link = user with { Published = [.. user.Published.Select(port => port with { Host = new System.Net.IPEndPoint(port.Host.Address, 0) })] } },
        SerialDevice { To: ConsoleTarget.File or ConsoleTarget.Unix } serial => serial with { To = new ConsoleTarget.Stdio() },
        ConsoleDevice { To: ConsoleTarget.File or ConsoleTarget.Unix } console => console with { To = new ConsoleTarget.Null() },
        ChannelDevice channel => channel with { Path = "" },
        _ => device,
    };

    private static DiskDevice Copied(DiskDevice disk, string path)
    {
        MachineDisks.Copy(disk, path, CancellationToken.None);
        // io_uring and O_DIRECT are for raw images and block devices.
        return disk with { Path = path, Format = ImageFormat.Qcow2, Backing = [], Aio = AioMode.Auto, Direct = false, Tls = null, Reconnect = null };
    }

    private static IEnumerable<string> Shared(MachineHome from, MachineHome to, MachineDefinition definition)
    {
        var links = definition.DevicesOf<NetworkDevice>().Select(card => card.Link).ToList();
        var ports = links.OfType<NetworkLink.User>().SelectMany(link => link.Published).Where(port => port.Host.Port != 0).Select(port => $"{port.Host}{(port.IsUdp ? "/udp" : "")}").ToList();
        if (ports.Count > 0) yield return $"{to.Name} publishes {Property.Enumerate(ports)} as {from.Name} does, and one of them can run at a time; 'lamina set {to.Name} --unpublish {ports[0]} --publish …' gives it another";
        foreach (var tap in links.OfType<NetworkLink.Tap>().Where(tap => tap.Interface is not null)) yield return $"{to.Name} uses the interface {tap.Interface} as {from.Name} does, and one of them can run at a time";
        foreach (var socket in links.OfType<NetworkLink.Socket>()) yield return $"{to.Name} is plugged into the program at {socket.Path} as {from.Name} is; it may take one machine only";
        if (definition.GdbPort is > 0 and var gdb) yield return $"{to.Name} waits for gdb at port {gdb} as {from.Name} does, and one of them can run at a time; 'lamina set {to.Name} --unset gdb' lets it not wait";
        if (definition.Display is { } display && (display.Path is not null || display.Ports.Any(port => port.Port != 0))) yield return $"{to.Name} serves its screen at {display.Where} as {from.Name} does, and one of them can run at a time; 'lamina set {to.Name} --display vnc=…' gives it another place";
        if (File.Exists(from.Seed) && Seed.OfCopy(File.ReadAllBytes(from.Seed), to.Name) is null) yield return $"the settings of {to.Name} are those of {from.Name}, since they are none of Lamina's: its guest has the same name";
    }
}
