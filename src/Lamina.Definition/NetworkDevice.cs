// Network cards and what they are plugged into, as data. Opening a link is the machine's work.
using System.Globalization;

namespace Lamina.Definition;

/// <summary>What a network card is plugged into.</summary>
public abstract record NetworkLink
{
    private NetworkLink()
    {
    }

    /// <summary>The bounds of a longest packet, and what it is where nothing is said. RFC 8200, 5: IPv6 needs 1280.</summary>
    public const int LeastMtu = 1280, MostMtu = 65520, UsualMtu = 1500;

    /// <summary>A network of its own that reaches the outside through this process, without privilege.</summary>
    public sealed record User : NetworkLink
    {
        /// <summary>The guest's IPv4 network as ADDRESS/LENGTH; null for the usual one.</summary>
        public System.Net.IPNetwork? Subnet { get; init; }

        /// <summary>Whether there is IPv6.</summary>
        public bool Ipv6 { get; init; } = true;

        /// <summary>The longest packet in bytes.</summary>
        public int Mtu { get; init; } = UsualMtu;

        /// <summary>The name that DHCP gives the guest, or null.</summary>
        public string? HostName { get; init; }

        /// <summary>What DHCP names as the file to boot from the network, such as a URL for iPXE; or null.</summary>
        public string? BootFile { get; init; }

        /// <summary>The servers that names are asked of; empty for the host's own.</summary>
        public IReadOnlyList<System.Net.IPEndPoint> DnsServers { get; init; } = [];

        /// <summary>Whether names are forwarded; null: unless <see cref="Allowed"/> restricts the guest.</summary>
        public bool? Dns { get; init; }

        /// <summary>Ports of the host's that lead to the guest.</summary>
        public IReadOnlyList<PublishedPort> Published { get; init; } = [];

        /// <summary>Ports of the host's loopback address that the guest reaches at the gateway's address; null for none, empty for all.</summary>
        public IReadOnlyList<int>? HostPorts { get; init; }

        /// <summary>All that the guest may connect to besides <see cref="HostPorts"/>; null for everything outside.</summary>
        public IReadOnlyList<AllowedDestination>? Allowed { get; init; }
    }

    /// <summary>A tap interface of the host's.</summary>
    /// <param name="Interface">Its name; where there is none of that name it is made and goes with the machine. Null: the host chooses.</param>
    /// <param name="Bridge">A bridge of the host's to add it to, or null.</param>
    public sealed record Tap(string? Interface = null, string? Bridge = null) : NetworkLink;

    /// <summary>A switch that machines of this host share; whoever comes first runs it for all.</summary>
    /// <param name="Path">The Unix socket by which they find it.</param>
    public sealed record Switch(string Path) : NetworkLink
    {
        /// <summary>For <see cref="Vlan"/>: every frame with its tag.</summary>
        public const int Trunk = -1;

        /// <summary>Which of its networks: 1 to 4094, 0 for frames without a tag, or <see cref="Trunk"/>. IEEE 802.1Q, 9.6.</summary>
        public int Vlan { get; init; }

        /// <summary>The longest packet in bytes.</summary>
        public int Mtu { get; init; } = UsualMtu;
    }

    /// <summary>Another program that takes frames at a Unix socket, each behind its length in four bytes: passt, QEMU.</summary>
    /// <param name="Path">The socket, on which the program listens.</param>
    public sealed record Socket(string Path) : NetworkLink
    {
        /// <summary>The longest packet in bytes.</summary>
        public int Mtu { get; init; } = UsualMtu;
    }

    /// <summary>A network that the program which runs the machine gives it under the device's name.</summary>
    public sealed record Own : NetworkLink;
}

/// <summary>Kinds of network cards.</summary>
public enum NetworkModel
{
    /// <summary>A virtio network device.</summary>
    Virtio,

    /// <summary>Intel's 82540EM, which systems since about 2002 know.</summary>
    E1000,

    /// <summary>Intel's 82574L, which systems since about 2009 know.</summary>
    E1000e,
}

/// <summary>A network card.</summary>
public sealed record NetworkDevice : DeviceDefinition
{
    /// <summary>The most pairs of queues.</summary>
    public const int MostQueues = 8;

    private const int LongestHostName = 63, LongestBootFile = 127, LargestVlan = 4094;

    /// <summary>What it is plugged into.</summary>
    public NetworkLink Link { get; init; } = new NetworkLink.User();

    /// <summary>What the guest sees: a virtio device, or on a machine that has PCI a card that operating systems for PCs know.</summary>
    public NetworkModel Model { get; init; }

    /// <summary>Its address as 02:00:00:00:00:01; null for one that is made up.</summary>
    public string? Mac { get; init; }

    /// <summary>Whether the cable is in the card; where it is not, the guest sees a link that is down.</summary>
    public bool Plugged { get; init; } = true;

    /// <summary>How many pairs of queues it has, 1 to 8.</summary>
    public int Queues { get; init; } = 1;

    /// <summary>How much it may move in each direction.</summary>
    public RateLimit Limit { get; init; } = new();

    /// <summary>What there is to say.</summary>
    public static Shape<NetworkDevice> Shape { get; } = new("a network of this kind",
    [
        NameProperty<NetworkDevice>(),
        new Property<NetworkDevice>("link", ValueKind.Text, "user|tap|switch|socket", "what the card is plugged into: a network of its own without privilege, an interface of the host's, a switch that machines share, another program")
        {
            Read = (card, text) => card with { Link = ReadLink(Property.Needed("link", text)) },
            Write = card => [NameOf(card.Link)],
        },
        On<NetworkLink.Tap>(Property.Text<NetworkLink.Tap>("interface", "NAME", "the interface; made where it does not exist", tap => tap.Interface, (tap, name) => tap with { Interface = name }) with { IsShort = true }),
        On<NetworkLink.Switch>(Property.Path<NetworkLink.Switch>("path", "the switch's socket", shared => shared.Path, (shared, path) => shared with { Path = path }) with { IsShort = true }),
        On<NetworkLink.Socket>(Property.Path<NetworkLink.Socket>("path", "the program's socket", socket => socket.Path, (socket, path) => socket with { Path = path }) with { IsShort = true }),
        Property.Choice<NetworkDevice, NetworkModel>("model", "what card it is: virtio (the default), or on a machine of the type pc e1000 or e1000e, Intel's 82540EM and 82574L, which other operating systems know", [("virtio", NetworkModel.Virtio), ("e1000", NetworkModel.E1000), ("e1000e", NetworkModel.E1000e)],
            card => card.Model == default ? null : card.Model, (card, model) => card with { Model = model }),
        new Property<NetworkDevice>("mac", ValueKind.Text, "ADDRESS", "the card's address, as 02:00:00:00:00:01")
        {
            Read = (card, text) => card with { Mac = Address.FormatMac(Address.ReadMac(Property.Needed("mac", text))) },
            Write = card => card.Mac is { } mac ? [mac] : [],
        },
        Property.Switch<NetworkDevice>("plugged", "whether the cable is in the card: off is a link that is down; on by default", usual: true, card => card.Plugged, (card, on) => card with { Plugged = on }),
        Property.Number<NetworkDevice>("queues", "pairs of queues of a virtio card, 1 by default", (1, MostQueues), card => card.Queues == 1 ? null : card.Queues, (card, count) => card with { Queues = (int)count }),
        On<NetworkLink.Tap>(Property.Text<NetworkLink.Tap>("bridge", "NAME", "a bridge of the host's to add the interface to", tap => tap.Bridge, (tap, name) => tap with { Bridge = name })),
        On<NetworkLink.Switch>(new Property<NetworkLink.Switch>("vlan", ValueKind.Text, "N|trunk", "which of the switch's networks: 1 to 4094, or trunk for every frame with its tag")
        {
            Read = (shared, text) => shared with { Vlan = ReadVlan(Property.Needed("vlan", text)) },
            Write = shared => shared.Vlan switch { 0 => [], NetworkLink.Switch.Trunk => ["trunk"], var id => [id.ToString(CultureInfo.InvariantCulture)] },
        }),
        On<NetworkLink.User>(Mtu<NetworkLink.User>(link => link.Mtu, (link, mtu) => link with { Mtu = mtu })),
        On<NetworkLink.Switch>(Mtu<NetworkLink.Switch>(link => link.Mtu, (link, mtu) => link with { Mtu = mtu })),
        On<NetworkLink.Socket>(Mtu<NetworkLink.Socket>(link => link.Mtu, (link, mtu) => link with { Mtu = mtu })),
        .. UserProperties().Select(On),
        .. RateLimit.Properties<NetworkDevice>("packets", "frames", " in each direction", card => card.Limit, (card, limit) => card with { Limit = limit }),
    ]);

    /// <summary>Reads a card: <c>user</c>, <c>tap[=NAME]</c>, <c>switch=PATH</c> or <c>socket=PATH</c>, with options behind commas; or <c>none</c>.</summary>
    /// <returns>The card; null for <c>none</c>.</returns>
    /// <exception cref="MachineException">The text is none; the message says what is wrong.</exception>
    public static NetworkDevice? Parse(string text)
    {
        if (text == "none") return null;
        if (Words.Split(text)[0].Length == 0) throw NoNetwork(text);
        var card = Words.Read(Shape, "link", new NetworkDevice(), text);
        return card.Link is NetworkLink.Switch { Path: "" } or NetworkLink.Socket { Path: "" } ? throw NoNetwork(text) : card;
    }

    /// <inheritdoc/>
    public override string ToString() => Words.Write(Shape, "link", this);

    private static NetworkLink ReadLink(string text) => Words.Pair(text) switch
    {
        ("user", null) => new NetworkLink.User(),
        ("own", null) => new NetworkLink.Own(),
        ("tap", not "") and var (_, name) => new NetworkLink.Tap(name),
        ("switch", not "") and var (_, path) => new NetworkLink.Switch(path ?? ""),
        ("socket", not "") and var (_, path) => new NetworkLink.Socket(path ?? ""),
        _ => throw NoNetwork(text),
    };

    private static MachineException NoNetwork(string text) => new($"\"{text}\" is no network; use user, tap, tap=NAME, switch=PATH, socket=PATH or none");

    private static string NameOf(NetworkLink link) => link switch
    {
        NetworkLink.User => "user",
        NetworkLink.Tap => "tap",
        NetworkLink.Switch => "switch",
        NetworkLink.Socket => "socket",
        _ => "own",
    };

    private static int ReadVlan(string text) => text == "trunk" ? NetworkLink.Switch.Trunk
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var id) && id is >= 1 and <= LargestVlan ? id
        : throw new MachineException($"vlan: '{text}' is not possible; use 1 to {LargestVlan}, or trunk for every frame with its tag");

    private static Property<T> Mtu<T>(Func<T, int> get, Func<T, int, T> set) =>
        Property.Number<T>("mtu", $"the longest packet in bytes, {NetworkLink.UsualMtu} by default", (NetworkLink.LeastMtu, NetworkLink.MostMtu), link => get(link) == NetworkLink.UsualMtu ? null : get(link), (link, mtu) => set(link, (int)mtu));

    // A property of a link is one of the card that is plugged into such a link.
    private static Property<NetworkDevice> On<TLink>(Property<TLink> property) where TLink : NetworkLink => new(property.Name, property.Kind, property.Syntax, property.Meaning)
    {
        Choices = property.Choices,
        IsPath = property.IsPath,
        IsShort = property.IsShort,
        AppliesTo = card => card.Link is TLink,
        Read = (card, text) => card with { Link = property.Read((TLink)card.Link, text) },
        Write = card => property.Write((TLink)card.Link),
    };

    private static IEnumerable<Property<NetworkLink.User>> UserProperties() =>
    [
        new("hostname", ValueKind.Text, "NAME", "the name that DHCP gives the guest")
        {
            // RFC 1123, 2.1.
            Read = (user, text) => Property.Needed("hostname", text) is { Length: <= LongestHostName } name && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.') && name[0] != '-'
                ? user with { HostName = name }
                : throw new MachineException($"hostname: '{text}' is not possible; a host name has up to {LongestHostName} letters, digits, dots and hyphens"),
            Write = user => user.HostName is { } name ? [name] : [],
        },
        new("boot", ValueKind.Text, "URL", "what DHCP names as the file that a guest boots from the network, as http://10.0.2.2:8080/start.ipxe for iPXE")
        {
            // RFC 2131, 2: the field has 128 bytes, the last of which is zero.
            Read = (user, text) => Property.Needed("boot", text) is { Length: <= LongestBootFile } file && file.All(c => c is > ' ' and <= '~')
                ? user with { BootFile = file }
                : throw new MachineException($"boot: '{text}' is not possible; what a guest boots from the network is a URL or a file's name of up to {LongestBootFile} characters of ASCII without spaces"),
            Write = user => user.BootFile is { } file ? [file] : [],
        },
        new("subnet", ValueKind.Text, "NETWORK", "the guest's IPv4 network, as 10.0.2.0/24")
        {
            Read = (user, text) => user with { Subnet = Address.ReadSubnet(Property.Needed("subnet", text)) },
            Write = user => user.Subnet is { } subnet ? [subnet.ToString()] : [],
        },
        Property.Switch<NetworkLink.User>("ipv6", "whether there is IPv6; on by default", usual: true, user => user.Ipv6, (user, on) => user with { Ipv6 = on }),
        Property.List<NetworkLink.User>("dns", "ADDRESS[:PORT]|on|off", "a name server to ask (repeatable), or whether names are forwarded at all",
            user => [.. user.Dns is { } on ? [on ? "on" : "off"] : Array.Empty<string>(), .. user.DnsServers.Select(Address.FormatServer)],
            (user, text) => text is "on" or "off" ? user with { Dns = text == "on" } : user with { DnsServers = [.. user.DnsServers, Address.ReadServer(Property.Needed("dns", text))] }),
        Property.List<NetworkLink.User>("host", "PORT", "a port of the host's loopback that the guest reaches at the gateway (repeatable); \"host\" alone: all",
            user => user.HostPorts is { } ports ? ports.Count == 0 ? [null] : ports.Select<int, string?>(port => port.ToString(CultureInfo.InvariantCulture)) : [],
            (user, text) => user with { HostPorts = text is null ? [] : [.. user.HostPorts ?? [], Address.ReadPort("host", Property.Needed("host", text))] }),
        Property.Flag<NetworkLink.User>("isolated", "the guest reaches nothing but what allow and host name", user => user.Allowed is { Count: 0 }, (user, _) => user with { Allowed = user.Allowed ?? [] }),
        Property.List<NetworkLink.User>("allow", "ADDRESS[/LENGTH][:PORT]", "what the guest may reach, and nothing else; repeatable", user => (user.Allowed ?? []).Select(Address.FormatAllowed),
            (user, text) => user with { Allowed = [.. user.Allowed ?? [], Address.ReadAllowed(Property.Needed("allow", text))] }),
        Property.List<NetworkLink.User>("publish", "[ADDRESS:]HOST:GUEST[/udp]", "a port of the host's that leads to one of the guest's; repeatable", user => user.Published.Select(port => port.ToString()),
            (user, text) => user with { Published = [.. user.Published, PublishedPort.Parse(Property.Needed("publish", text))] }),
    ];
}
