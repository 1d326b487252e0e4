// Reads a network card and a published port from words, as the command line and definition files write them:
// KIND[=VALUE][,KEY[=VALUE]…] and [ADDRESS:]HOST:GUEST[/udp].
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Lamina.Backends.Net.Switch;
using Lamina.Backends.Net.User;

namespace Lamina.Networks;

/// <summary>Networks in words.</summary>
public static class NetworkWords
{
    private const int DnsPort = 53;

    /// <summary>
    /// Reads a card: <c>user</c>, <c>tap[=NAME]</c>, <c>switch=PATH</c> or <c>socket=PATH</c> with options; or <c>none</c>.
    /// </summary>
    /// <returns>The card; null for <c>none</c>.</returns>
    /// <exception cref="MachineException">The text is none; the message says what is wrong.</exception>
    public static NetworkSpec? Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var words = text.Split(',').Select(Word.Read).ToList();
        if (words is [{ Key: "none", Value: null }]) return null;
        var card = new NetworkSpec(words[0] switch
        {
            { Key: "user", Value: null } => new NetworkTarget.User(),
            { Key: "tap", Value: not "" } tap => new NetworkTarget.Tap(tap.Value),
            { Key: "switch", Value: { Length: > 0 } path } => new NetworkTarget.Switch(path, VlanMembership.Untagged),
            { Key: "socket", Value: { Length: > 0 } path } => new NetworkTarget.Socket(path),
            _ => throw new MachineException($"\"{text}\" is no network; use user, tap, tap=NAME, switch=PATH, socket=PATH or none"),
        });
        foreach (var word in words.Skip(1))
        {
            card = word.Key switch
            {
                "mac" => card with { Mac = Networks.NetworkBackends.Format(Networks.NetworkBackends.ReadMac(word.Needed())) },
                "queues" => card with { Queues = word.Number() },
                _ => card with { Target = Read(card.Target, word) },
            };
        }
        return card;
    }

    /// <summary>Reads a published port: <c>[ADDRESS:]HOST:GUEST[/udp]</c>; an IPv6 address stands in brackets, and without an address it is 127.0.0.1.</summary>
    /// <exception cref="MachineException">The text is none.</exception>
    public static PublishedPort ParsePublished(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        var (ports, protocol) = slash < 0 ? (text, "tcp") : (text[..slash], text[(slash + 1)..]);
        var last = ports.LastIndexOf(':');
        var middle = last < 1 ? -1 : ports.LastIndexOf(':', last - 1);
        var address = middle < 0 ? "127.0.0.1" : ports[..middle];
        if (last < 1 || protocol is not ("tcp" or "udp")
            || !TryReadPort(ports[(middle + 1)..last], out var host) || !TryReadPort(ports[(last + 1)..], out var guest) || guest == 0
            || !TryReadAddress(address, out var listen))
            throw new MachineException($"\"{text}\" is no published port; write [ADDRESS:]HOST:GUEST[/udp], as 8080:80, 0.0.0.0:2222:22 or [::1]:5353:53/udp");
        return new PublishedPort(new IPEndPoint(listen, host), guest, protocol == "udp");
    }

    private static NetworkTarget Read(NetworkTarget target, Word word) => (target, word.Key) switch
    {
        (NetworkTarget.User user, _) => new NetworkTarget.User(Read(user.Options, word)),
        (NetworkTarget.Tap tap, "bridge") => tap with { Bridge = word.Needed() },
        (NetworkTarget.Switch shared, "vlan") => shared with { Vlan = ReadVlan(word) },
        (NetworkTarget.Switch shared, "mtu") => shared with { Mtu = word.Number() },
        (NetworkTarget.Socket socket, "mtu") => socket with { Mtu = word.Number() },
        _ => throw word.Refuse(),
    };

    private static VlanMembership ReadVlan(Word word) => word.Needed() == "trunk"
        ? VlanMembership.Trunk
        : int.TryParse(word.Value, NumberStyles.None, CultureInfo.InvariantCulture, out var id) && id is >= 1 and <= 4094
            ? new VlanMembership(id)
            : throw new MachineException($"vlan={word.Value}: use 1 to 4094, or trunk for every frame with its tag");

    private static UserNetOptions Read(UserNetOptions options, Word word) => word.Key switch
    {
        "mtu" => options with { Mtu = word.Number() },
        "hostname" => options with { HostName = word.HostName() },
        "ipv6" => options with { Network6 = word.Switch() ? options.Network6 : null },
        "subnet" => options with { Network4 = word.Network(AddressFamily.InterNetwork) },
        "host" => options with { HostPorts = word.Value is null ? [] : [.. options.HostPorts ?? [], word.Port()] },
        "allow" => options with { Allowed = [.. options.Allowed ?? [], ReadAllowed(word)] },
        "isolated" when word.Value is null => options with { Allowed = options.Allowed ?? [] },
        "dns" when word.Value is "on" or "off" => options with { Dns = word.Switch() },
        "dns" => options with { DnsServers = [.. options.DnsServers, ReadServer(word)] },
        _ => throw word.Refuse(),
    };

    // ADDRESS[/LENGTH][:PORT], an IPv6 one with a port in brackets.
    private static AllowedDestination ReadAllowed(Word word)
    {
        var (text, port) = SplitPort(word.Needed());
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (TryReadAddress(slash < 0 ? text : text[..slash], out var address))
        {
            var length = address.AddressFamily == AddressFamily.InterNetwork ? 32 : 128;
            var isWhole = slash < 0 || (int.TryParse(text[(slash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var given) && given <= length && (length = given) >= 0);
            var network = isWhole ? Mask(address, length) : default;
            if (isWhole && (port is null || TryReadPort(port, out _))) return new AllowedDestination(network, port is null ? null : int.Parse(port, CultureInfo.InvariantCulture));
        }
        throw new MachineException($"\"{word.Value}\" is no destination; write ADDRESS[/LENGTH][:PORT], as 192.0.2.0/24:443 or [2001:db8::1]:22");
    }

    // Bits behind the length are zeros, whatever was written.
    private static IPNetwork Mask(IPAddress address, int length)
    {
        var bytes = address.GetAddressBytes();
        for (var bit = length; bit < bytes.Length * 8; bit++) bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        return new IPNetwork(new IPAddress(bytes), length);
    }

    private static IPEndPoint ReadServer(Word word)
    {
        var (text, port) = SplitPort(word.Needed());
        var number = DnsPort;
        if (!TryReadAddress(text, out var address) || (port is not null && (!TryReadPort(port, out number) || number == 0)))
            throw new MachineException($"\"{word.Value}\" is no name server; write an address, as 192.0.2.53, or on or off");
        return new IPEndPoint(address, number);
    }

    private static (string Text, string? Port) SplitPort(string text)
    {
        var colon = text.LastIndexOf(':');
        // An address of IPv6's has colons of its own: its port is one only behind a bracket.
        var isPort = colon >= 0 && (text.IndexOf(':', StringComparison.Ordinal) == colon || text[colon - 1] == ']' || text[..colon].Contains("]/", StringComparison.Ordinal));
        return isPort ? (text[..colon], text[(colon + 1)..]) : (text, null);
    }

    private static bool TryReadAddress(string text, out IPAddress address)
    {
        var inner = text.StartsWith('[') && text.EndsWith(']') ? text[1..^1] : text;
        // .NET also takes addresses of fewer than four numbers, and brackets and ports of its own.
        return IPAddress.TryParse(inner, out address!) && (address.AddressFamily == AddressFamily.InterNetworkV6 ? !inner.Contains('[') && inner.Contains(':') : inner.Count(c => c == '.') == 3);
    }

    private static bool TryReadPort(string text, out int port) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port <= ushort.MaxValue;

    // KEY or KEY=VALUE.
    private sealed record Word(string Key, string? Value)
    {
        internal static Word Read(string text)
        {
            var equals = text.IndexOf('=', StringComparison.Ordinal);
            return equals < 0 ? new Word(text, null) : new Word(text[..equals], text[(equals + 1)..]);
        }

        internal MachineException Refuse() => new($"a network of this kind has no option \"{(Value is null ? Key : $"{Key}={Value}")}\"");

        internal string Needed() => Value is null or "" ? throw new MachineException($"the network option {Key} needs a value: {Key}=…") : Value;

        internal int Number() => int.TryParse(Needed(), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : throw new MachineException($"{Key}={Value}: {Value} is no number");

        internal int Port() => TryReadPort(Needed(), out var port) && port != 0 ? port : throw new MachineException($"{Key}={Value}: {Value} is no port; use 1 to 65535");

        internal bool Switch() => Needed() switch
        {
            "on" => true,
            "off" => false,
            _ => throw new MachineException($"{Key}={Value}: use on or off"),
        };

        // RFC 1123, 2.1.
        internal string HostName() => Needed() is { Length: <= 63 } name && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.') && name[0] != '-'
            ? name
            : throw new MachineException($"{Key}={Value}: a host name has up to 63 letters, digits, dots and hyphens");

        internal IPNetwork Network(AddressFamily family) => IPNetwork.TryParse(Needed(), out var network) && network.BaseAddress.AddressFamily == family
            ? network
            : throw new MachineException($"{Key}={Value}: write a network as 10.0.2.0/24");
    }
}
