// Where what leads to a host leads on the one that a machine comes to. Whoever takes the machine in says so, by its devices' names and in the words that "lamina set" changes them
// by. Of what a device had of its former host nothing comes along, and what nobody names here is refused, so that who sends a machine has no say in what it reaches. A machine that goes
// on later on the same host, from a snapshot, is given other places by the same words; what nobody names stays as it was.
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

    /// <summary>Whether nothing is named.</summary>
    public bool IsNone => _devices.Count == 0 && _published.Count == 0;

    /// <summary>Refuses names of devices that a machine does not have.</summary>
    /// <param name="definitions">What it is, and what it will be at its next start.</param>
    /// <exception cref="MachineException">It does not have one.</exception>
    internal void Require(params IReadOnlyList<MachineDefinition> definitions)
    {
        var names = definitions.SelectMany(NamesOf).Distinct().ToList();
        if (_devices.FirstOrDefault(device => !names.Contains(device.Name)) is { Name: { } unknown })
            throw new MachineException($"the machine has no device {unknown}; {(names.Count == 0 ? "it has none that lead anywhere" : $"it has {Property.Enumerate(names)}")}");
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

    /// <summary>A definition of this host, with what is named here as it is named; the rest stays as it was.</summary>
    /// <exception cref="MachineException">Something cannot be so; the sentence says what to say.</exception>
    internal MachineDefinition Change(MachineDefinition before)
    {
        var names = NamesOf(before);
        var after = Published(before with { Devices = [.. before.Devices.Select((device, index) => WordsFor(names[index]) is { Count: > 0 } words ? Fit(device, Worded(device, device, names[index], words), names[index]) : device)] });
        MachineCheck.Check(after);
        return after;
    }

    /// <summary>The names of the devices that lead elsewhere by it.</summary>
    internal IReadOnlyList<string> Changed(MachineDefinition machine)
    {
        var names = NamesOf(machine);
        var card = _published.Count == 0 ? -1 : Array.FindIndex([.. machine.Devices], device => device is NetworkDevice { Link: NetworkLink.User });
        return [.. _devices.Select(device => device.Name).Concat(card < 0 ? [] : [names[card]]).Distinct()];
    }

    /// <summary>The disks that are files of their hosts, which the machine writes: they are copied along.</summary>
    internal static IEnumerable<DiskDevice> Copied(MachineDefinition definition) => definition.Complete().DevicesOf<DiskDevice>().Where(disk => !disk.ReadOnly && !disk.IsRemote);

    private static List<string> NamesOf(MachineDefinition definition) => [.. definition.Complete().Devices.Take(definition.Devices.Count).Select(device => device.Name)];

    private DeviceDefinition Placed(DeviceDefinition there, string name)
    {
        var words = WordsFor(name);
        if (words.Count == 0) return LeadsTo(there) is not { } where ? there : throw NotNamed(there, name, where);
        var leads = WordsOf(there).Leads;
        var here = Worded(there, Bare(there), name, words);
        return words.Any(word => leads.Contains(Words.Pair(word).Key)) ? Fit(there, here, name) : throw NotNamed(there, name, LeadsTo(there) ?? "nothing");
    }

    private List<string> WordsFor(string name) => [.. _devices.Where(device => device.Name == name).SelectMany(device => device.Words)];

    // What is given, with what the words say.
    private static DeviceDefinition Worded(DeviceDefinition there, DeviceDefinition here, string name, IReadOnlyList<string> words)
    {
        var (leads, others) = WordsOf(there);
        var kind = DeviceKind.Of(there);
        foreach (var word in words)
        {
            var (property, value) = Words.Pair(word);
            if (kind.KindOf(here, property) is not null && !leads.Contains(property) && !others.Contains(property)) throw new MachineException($"the guest knows the {property} of its device {name}, which stays as it is; leave {property} out");
            here = WithMtu(With(kind, here, name, (property, value)), there);
        }
        return here;
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
        here = new MachineDefinition { Devices = [here] }.MapPaths(Path.GetFullPath).Devices[0];
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
        var first = machine.DevicesOf<NetworkDevice>().FirstOrDefault(card => card.Link is NetworkLink.User) ?? throw new MachineException("ports are published by a network card of the kind user, and the machine has none; leave --publish out");
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
