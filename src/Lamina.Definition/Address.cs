// Addresses of networks in words: ports, destinations, servers, cards. What .NET reads loosely is read strictly here.
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Lamina.Definition;

/// <summary>A port of the host's that leads to one of the guest's.</summary>
/// <param name="Host">Where the host listens; port 0 picks one.</param>
/// <param name="GuestPort">The guest's port.</param>
/// <param name="IsUdp">UDP rather than TCP.</param>
public sealed record PublishedPort(IPEndPoint Host, int GuestPort, bool IsUdp = false)
{
    /// <summary>Reads <c>[ADDRESS:]HOST:GUEST[/udp]</c>; an IPv6 address stands in brackets, and without an address it is 127.0.0.1.</summary>
    /// <exception cref="MachineException">The text is none.</exception>
    public static PublishedPort Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        var (ports, protocol) = slash < 0 ? (text, "tcp") : (text[..slash], text[(slash + 1)..]);
        var last = ports.LastIndexOf(':');
        var middle = last < 1 ? -1 : ports.LastIndexOf(':', last - 1);
        var address = middle < 0 ? "127.0.0.1" : ports[..middle];
        if (last < 1 || protocol is not ("tcp" or "udp")
            || !Address.TryReadPort(ports[(middle + 1)..last], out var host) || !Address.TryReadPort(ports[(last + 1)..], out var guest) || guest == 0
            || !Address.TryRead(address, out var listen))
            throw new MachineException($"\"{text}\" is no published port; write [ADDRESS:]HOST:GUEST[/udp], as 8080:80, 0.0.0.0:2222:22 or [::1]:5353:53/udp");
        return new PublishedPort(new IPEndPoint(listen, host), guest, protocol == "udp");
    }

    /// <summary>The text that <see cref="Parse"/> reads.</summary>
    public override string ToString() => $"{Host}:{GuestPort}{(IsUdp ? "/udp" : "")}";
}

/// <summary>Where a guest may connect to.</summary>
/// <param name="Network">The addresses.</param>
/// <param name="Port">The port, or null for every one and for echo requests.</param>
public sealed record AllowedDestination(IPNetwork Network, int? Port = null);

/// <summary>Reads and writes addresses.</summary>
public static class Address
{
    /// <summary>How many bytes of an address of Lamina's (<see cref="MakeMac"/>) are one's own.</summary>
    public const int OwnLength = 3;

    private const int DnsPort = 53, MacLength = 6;

    private static ReadOnlySpan<byte> Prefix => [0x02, 0x4c, 0x41];

    /// <summary>Reads a card's address.</summary>
    /// <exception cref="MachineException">It is none, or a group's.</exception>
    public static byte[] ReadMac(string text)
    {
        var bytes = text.Split(':').Select(part => part.Length == 2 && byte.TryParse(part, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value) ? value : (byte?)null).ToArray();
        if (bytes.Length != MacLength || bytes.Contains(null)) throw new MachineException($"\"{text}\" is no network card's address; write six bytes as 02:00:00:00:00:01");
        if ((bytes[0] & 1) != 0 || bytes.All(value => value == 0)) throw new MachineException($"{text} cannot be a network card's address; its first byte must be even, and not all may be 0");
        return [.. bytes.Select(value => value!.Value)];
    }

    /// <summary>An address of Lamina's: one that is locally administered (IEEE 802, 8.4), and no group's.</summary>
    /// <param name="own">Its last three bytes.</param>
    public static string MakeMac(ReadOnlySpan<byte> own) => own.Length == OwnLength ? FormatMac([.. Prefix, .. own]) : throw new ArgumentException($"an address has {OwnLength} bytes of its own, not {own.Length}", nameof(own));

    /// <summary>A card's address as text.</summary>
    public static string FormatMac(IEnumerable<byte> mac) => string.Join(':', mac.Select(value => value.ToString("x2", CultureInfo.InvariantCulture)));

    /// <summary>Reads an IPv4 network.</summary>
    internal static IPNetwork ReadSubnet(string text) => IPNetwork.TryParse(text, out var network) && network.BaseAddress.AddressFamily == AddressFamily.InterNetwork
        ? network.PrefixLength is >= 8 and <= 27 ? network : throw new MachineException($"{text} is no network for a guest; use one of a length from 8 to 27, as 10.0.2.0/24")
        : throw new MachineException($"subnet: '{text}' is not a network; write a network as 10.0.2.0/24");

    /// <summary>Reads ADDRESS[/LENGTH][:PORT], an IPv6 address with a port in brackets.</summary>
    internal static AllowedDestination ReadAllowed(string destination)
    {
        var (text, port) = SplitPort(destination);
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (TryRead(slash < 0 ? text : text[..slash], out var address))
        {
            var length = address.AddressFamily == AddressFamily.InterNetwork ? 32 : 128;
            var isWhole = slash < 0 || (int.TryParse(text[(slash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var given) && given <= length && (length = given) >= 0);
            if (isWhole && port is null) return new AllowedDestination(Mask(address, length));
            if (isWhole && TryReadPort(port!, out var number)) return new AllowedDestination(Mask(address, length), number);
        }
        throw new MachineException($"\"{destination}\" is no destination; write ADDRESS[/LENGTH][:PORT], as 192.0.2.0/24:443 or [2001:db8::1]:22");
    }

    /// <summary>The text that <see cref="ReadAllowed"/> reads.</summary>
    internal static string FormatAllowed(AllowedDestination destination)
    {
        var (address, length) = (destination.Network.BaseAddress, destination.Network.PrefixLength);
        return destination.Port is not { } port ? $"{address}/{length}" : address.AddressFamily == AddressFamily.InterNetwork ? $"{address}/{length}:{port}" : $"[{address}]/{length}:{port}";
    }

    /// <summary>Reads ADDRESS[:PORT].</summary>
    internal static IPEndPoint ReadServer(string server)
    {
        var (text, port) = SplitPort(server);
        var number = DnsPort;
        if (!TryRead(text, out var address) || (port is not null && (!TryReadPort(port, out number) || number == 0)))
            throw new MachineException($"\"{server}\" is no name server; write an address, as 192.0.2.53, or on or off");
        return new IPEndPoint(address, number);
    }

    /// <summary>The text that <see cref="ReadServer"/> reads.</summary>
    internal static string FormatServer(IPEndPoint server) => server.Port == DnsPort ? $"{server.Address}" : $"{server}";

    /// <summary>Reads a port that is not 0.</summary>
    internal static int ReadPort(string name, string text) => TryReadPort(text, out var port) && port != 0 ? port : throw new MachineException($"{name}: '{text}' is no port; use 1 to 65535");

    /// <summary>Reads a port.</summary>
    public static bool TryReadPort(string text, out int port) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port <= ushort.MaxValue;

    /// <summary>Reads an address; .NET also takes addresses of fewer than four numbers, and brackets and ports of its own.</summary>
    internal static bool TryRead(string text, out IPAddress address)
    {
        var inner = text.StartsWith('[') && text.EndsWith(']') ? text[1..^1] : text;
        return IPAddress.TryParse(inner, out address!) && (address.AddressFamily == AddressFamily.InterNetworkV6 ? !inner.Contains('[') && inner.Contains(':') : inner.Count(c => c == '.') == 3);
    }

    private static (string Text, string? Port) SplitPort(string text)
    {
        var colon = text.LastIndexOf(':');
        // An address of IPv6's has colons of its own: its port is one only behind a bracket.
        var isPort = colon >= 0 && (text.IndexOf(':', StringComparison.Ordinal) == colon || text[colon - 1] == ']' || text[..colon].Contains("]/", StringComparison.Ordinal));
        return isPort ? (text[..colon], text[(colon + 1)..]) : (text, null);
    }

    // Bits behind the length are zeros, whatever was written.
    private static IPNetwork Mask(IPAddress address, int length)
    {
        var bytes = address.GetAddressBytes();
        for (var bit = length; bit < bytes.Length * 8; bit++) bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        return new IPNetwork(new IPAddress(bytes), length);
    }
}
