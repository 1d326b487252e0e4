// Where what leads to a host leads on the one that a machine comes to. Whoever takes the machine in says so, by its devices' names and in the words that "lamina set" changes them
// by. Of what a device had of its former host nothing comes along, and what nobody names here is refused, so that who sends a machine has no say in what it reaches.
using System.Diagnostics;

namespace Lamina.Hypervisor.Carrying;

/// <summary>Where the devices of a machine lead on the host that it comes to.</summary>
public sealed class ArrivalPlaces
{
    private readonly IReadOnlyList<(string Name, IReadOnlyList<string> Words)> _devices;
    private readonly IReadOnlyList<PublishedPort> _published;

    private ArrivalPlaces(IReadOnlyList<(string, IReadOnlyList<string>)> devices, IReadOnlyList<PublishedPort> published) => (_devices, _published) = (devices, published);

    /// <summary>Nothing is named.</summary>
    public static ArrivalPlaces None { get; } = new([], []);

    /// <summary>Reads what is said.</summary>
    /// <param name="devices">Devices: NAME,PROPERTY=VALUE and further properties.</param>
    /// <param name="published">The ports that are published here, in place of those that were; none: those that were.</param>
    /// <exception cref="MachineException">It is no such text.</exception>
    public static ArrivalPlaces Parse(IEnumerable<string> devices, IEnumerable<PublishedPort> published)
    {
        ArgumentNullException.ThrowIfNull(devices);
        return new ArrivalPlaces([.. devices.Select(text =>
        {
            var words = Words.Split(text);
            return words.Count > 1 && DeviceDefinition.IsName(words[0]) ? (words[0], (IReadOnlyList<string>)[.. words.Skip(1)])
                : throw new MachineException($"'{text}' does not say where a device leads; write its name and what is to be other, like share0,path=FOLDER");
        })], [.. published]);
    }

    /// <summary>Refuses names of devices that a machine does not have.</summary>
    /// <param name="definitions">What it is, and what it will be at its next start.</param>
    /// <exception cref="MachineException">It does not have one.</exception>
    internal void Require(params IReadOnlyList<MachineDefinition> definitions)
    {
        var names = definitions.SelectMany(NamesOf).Distinct().ToList();
        if (_devices.FirstOrDefault(device => !names.Contains(device.Name)) is { Name: { } unknown })
            throw new MachineException($"the machine that comes has no device {unknown}; {(names.Count == 0 ? "it has none that lead anywhere" : $"it has {Property.Enumerate(names)}")}");
    }

    /// <summary>A definition that came, with everything that it has of the host as it is named here.</summary>
    /// <exception cref="MachineException">Something is not named, or cannot be so; the sentence says what to say.</exception>
    internal MachineDefinition Apply(MachineDefinition there)
    {
        var names = NamesOf(there);
        var here = Published(there with { Devices = [.. there.Devices.Select((device, index) => Placed(device, names[index]))] });
        MachineCheck.Check(here);
        return here;
    }

    /// <summary>A machine's device as it is there, with what it has of the host as it is here.</summary>
    /// <param name="there">The device of the machine that runs there.</param>
    /// <param name="here">The same, as <see cref="Apply"/> made it of what the machine was started with.</param>
    internal static DeviceDefinition Here(DeviceDefinition there, DeviceDefinition here) => (there, here) switch
    {
        (DiskDevice disk, DiskDevice known) => disk with { Path = known.Path, Format = known.Format, Direct = known.Direct, Aio = known.Aio, Backing = known.Backing, Tls = known.Tls, Reconnect = known.Reconnect, Size = null },
        (CdromDevice { Path.Length: > 0 } drive, CdromDevice known) => drive with { Path = known.Path },
        (FloppyDevice drive, FloppyDevice known) => drive with { Path = known.Path },
        (ShareDevice share, ShareDevice known) => share with { Path = known.Path, ReadOnly = known.ReadOnly },
        (NetworkDevice card, NetworkDevice known) => card with { Link = known.Link },
        (SerialDevice serial, SerialDevice known) => serial with { To = known.To },
        (ConsoleDevice console, ConsoleDevice known) => console with { To = known.To },
        (ChannelDevice channel, ChannelDevice known) => channel with { Path = known.Path },
        _ => there,
    };

    /// <summary>The disks that are files of their hosts, which the machine writes: they are copied along.</summary>
    internal static IEnumerable<DiskDevice> Copied(MachineDefinition definition) => definition.Complete().DevicesOf<DiskDevice>().Where(disk => !disk.ReadOnly && !disk.IsRemote);

    private static List<string> NamesOf(MachineDefinition definition) => [.. definition.Complete().Devices.Take(definition.Devices.Count).Select(device => device.Name)];

    private DeviceDefinition Placed(DeviceDefinition there, string name)
    {
        var words = _devices.Where(device => device.Name == name).SelectMany(device => device.Words).ToList();
        if (words.Count == 0) return LeadsTo(there) is not { } where ? there : throw NotNamed(there, name, where);
        var (leads, others) = WordsOf(there);
        var kind = DeviceKind.Of(there);
        var here = Bare(there);
        var isNamed = false;
        foreach (var word in words)
        {
            var (property, value) = Words.Pair(word);
            if (kind.KindOf(here, property) is not null && !leads.Contains(property) && !others.Contains(property)) throw new MachineException($"the guest knows the {property} of its device {name}, which stays as it is; leave {property} out");
            isNamed |= leads.Contains(property);
            here = WithMtu(With(kind, here, name, (property, value)), there);
        }
        if (!isNamed) throw NotNamed(there, name, LeadsTo(there) ?? "nothing");
        here = new MachineDefinition { Devices = [here] }.MapPaths(Path.GetFullPath).Devices[0];
        return Fit(there, here, name);
    }

    private static DeviceDefinition With(DeviceKind kind, DeviceDefinition device, string name, (string Property, string? Value) said)
    {
        try
        {
            return kind.With(device, said.Property, said.Value);
        }
        catch (MachineException refused)
        {
            throw new MachineException($"{name}: {refused.Message}", refused);
        }
    }

    // What is copied can only be so, and only who copies it knows what stands on it.
    private static DeviceDefinition Fit(DeviceDefinition there, DeviceDefinition here, string name)
    {
        if (here is SerialDevice { To: ConsoleTarget.Memory or ConsoleTarget.Own } or ConsoleDevice { To: ConsoleTarget.Memory or ConsoleTarget.Own } or NetworkDevice { Link: NetworkLink.Own })
            throw new MachineException($"{name}: that is for programs that run a machine themselves; name a path, or what a host has");
        // What such a network keeps of the guest's connections is a part of the machine's state.
        if (there is NetworkDevice former && here is NetworkDevice card && former.Link is NetworkLink.User != card.Link is NetworkLink.User)
            throw new MachineException($"the card {name} is {(former.Link is NetworkLink.User ? "" : "not ")}on a network of its own (user), and stays so on its way; plug it elsewhere before, or when it is here ('lamina set')");
        if ((there, here) is not (DiskDevice { ReadOnly: false } before, DiskDevice disk)) return here;
        if (before.IsRemote && !disk.IsRemote) throw new MachineException($"the disk {name} is an NBD export, which is not copied; name where it is reached from here, like {name},path=nbd://HOST/EXPORT");
        if (disk.IsRemote) return before.IsRemote ? disk : throw new MachineException($"the disk {name} is a file where the machine comes from, and is copied to a file; name one that is not there yet");
        if (disk.Format is ImageFormat.Raw) throw new MachineException($"the disk {name} is copied to an image of the format qcow2; leave format=raw out");
        return disk with { Format = ImageFormat.Qcow2, Backing = [] };
    }

    // Words that say where a device of the kind leads, and others that are the host's affair.
    private static (string[] Leads, string[] Others) WordsOf(DeviceDefinition device) => device switch
    {
        DiskDevice => (["path"], ["format", "cache", "direct", "aio", "on-full", "backing", "tls", "reconnect", "rate", "iops", "burst"]),
        NetworkDevice => (["link", "interface", "path", "host", "allow", "isolated", "dns"], ["bridge", "vlan", "subnet", "ipv6", "hostname", "boot", "publish", "plugged", "rate", "packets", "burst"]),
        ShareDevice => (["path"], ["ro"]),
        SerialDevice or ConsoleDevice => (["to"], ["when-full", "at-end"]),
        _ => (["path"], []),
    };

    /// <summary>What a device leads to on its host; null where that is nothing.</summary>
    internal static string? LeadsTo(DeviceDefinition device) => device switch
    {
        DiskDevice disk => disk.Path,
        NetworkDevice { Link: NetworkLink.User { HostPorts: not null } } => "ports of its host",
        NetworkDevice { Link: NetworkLink.User { DnsServers.Count: > 0 } } => "name servers of its own choice",
        NetworkDevice { Link: NetworkLink.User { Allowed.Count: > 0 } } => "addresses of its own choice",
        NetworkDevice card => CarriedCheck.WhyNot(card) is null ? null : LinkOf(card.Link),
        _ => CarriedCheck.WhyNot(device),
    };

    // All that reaches the host is gone from it.
    private static DeviceDefinition Bare(DeviceDefinition device) => device switch
    {
        DiskDevice disk => disk with { Path = "", Format = null, Direct = false, Aio = AioMode.Auto, Backing = [], Tls = null, Reconnect = null, Size = null },
        CdromDevice drive => drive with { Path = "" },
        FloppyDevice drive => drive with { Path = "" },
        ShareDevice share => share with { Path = "" },
        SerialDevice serial => serial with { To = new ConsoleTarget.Stdio() },
        ConsoleDevice console => console with { To = new ConsoleTarget.Null() },
        ChannelDevice channel => channel with { Path = "" },
        VsockDevice vsock => vsock with { Path = "" },
        NetworkDevice card => card with
        {
            Link = card.Link switch
            {
                NetworkLink.User user => user with { HostPorts = null, DnsServers = [], Allowed = user.Allowed is null ? null : [] },
                NetworkLink.Switch shared => new NetworkLink.Switch("") { Mtu = shared.Mtu },
                NetworkLink.Socket socket => new NetworkLink.Socket("") { Mtu = socket.Mtu },
                NetworkLink.Tap => new NetworkLink.Tap(),
                _ => new NetworkLink.User(),
            },
        },
        _ => throw new MachineException($"a {device.Kind} leads nowhere; leave it out"),
    };

    // The guest was told it.
    private static DeviceDefinition WithMtu(DeviceDefinition here, DeviceDefinition there)
    {
        if (here is not NetworkDevice card || there is not NetworkDevice before) return here;
        var mtu = before.Link switch { NetworkLink.User user => user.Mtu, NetworkLink.Switch shared => shared.Mtu, NetworkLink.Socket socket => socket.Mtu, _ => NetworkLink.UsualMtu };
        return card with
        {
            Link = card.Link switch { NetworkLink.User user => user with { Mtu = mtu }, NetworkLink.Switch shared => shared with { Mtu = mtu }, NetworkLink.Socket socket => socket with { Mtu = mtu }, var tap => tap },
        };
    }

    private MachineDefinition Published(MachineDefinition machine)
    {
        if (_published.Count == 0) return machine;
        var first = machine.DevicesOf<NetworkDevice>().FirstOrDefault(card => card.Link is NetworkLink.User) ?? throw new MachineException("ports are published by a network card of the kind user, and the machine that comes has none; leave --publish out");
        return machine with { Devices = [.. machine.Devices.Select(device => ReferenceEquals(device, first) ? first with { Link = (NetworkLink.User)first.Link with { Published = _published } } : device)] };
    }

    private static string LinkOf(NetworkLink link) => link switch
    {
        NetworkLink.Tap tap => tap.Interface is { } name ? $"the interface {name}" : "an interface",
        NetworkLink.Switch shared => $"the switch {shared.Path}",
        NetworkLink.Socket socket => $"the program at {socket.Path}",
        NetworkLink.Own => "a network of a program's own",
        _ => throw new UnreachableException(),
    };

    private static MachineException NotNamed(DeviceDefinition device, string name, string where)
    {
        var example = device switch
        {
            DiskDevice { IsRemote: true } => "path=nbd://HOST/EXPORT",
            ShareDevice => "path=FOLDER",
            NetworkDevice { Link: NetworkLink.Tap } => "interface=NAME",
            NetworkDevice { Link: NetworkLink.Switch or NetworkLink.Socket } or ChannelDevice or VsockDevice => "path=SOCKET",
            NetworkDevice => "link=user",
            SerialDevice or ConsoleDevice => "to=null",
            _ => "path=FILE",
        };
        return new MachineException($"the {device.Kind} {name} leads to {where} where the machine comes from, and it is not said where it leads here; add --device {name},{example} to what takes the machine in ('lamina receive')");
    }
}
