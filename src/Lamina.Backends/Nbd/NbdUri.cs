// Where an NBD export is, as nbdinfo, nbdcopy and qemu-img write it: nbd://HOST:PORT/EXPORT and its kin, by doc/uri.md of the NetworkBlockDevice project. Of the TLS
// parameters there is tls-hostname; which certificates are used is said beside it, by a folder.
using System.Globalization;
using Lamina.Host;

namespace Lamina.Backends.Nbd;

/// <summary>An NBD export's place.</summary>
public sealed record NbdUri
{
    private const string HostNameKey = "tls-hostname", SocketKey = "socket";

    private NbdUri()
    {
    }

    /// <summary>The host's name or address; "" for a socket of this host's file system.</summary>
    public string HostName { get; private init; } = "";

    /// <summary>The TCP port.</summary>
    public int Port { get; private init; }

    /// <summary>The socket's path; null for a host.</summary>
    public string? SocketPath { get; private init; }

    /// <summary>The export's name; "" is the usual one.</summary>
    public string Export { get; private init; } = "";

    /// <summary>Whether TLS must be spoken.</summary>
    public bool IsSecure { get; private init; }

    /// <summary>The name that the server's certificate must have.</summary>
    public string CertificateName { get; private init; } = "";

    /// <summary>The text that it was read from.</summary>
    public string Text { get; private init; } = "";

    /// <summary>Whether a text is meant as such a place, and is no file's path.</summary>
    /// <param name="text">The text.</param>
    public static bool Is(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text.StartsWith("nbd", StringComparison.Ordinal) && text.Contains("://", StringComparison.Ordinal);
    }

    /// <summary>Reads one.</summary>
    /// <param name="text">It.</param>
    /// <exception cref="HostException">It is none; the message is a sentence.</exception>
    public static NbdUri Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var at = text.IndexOf("://", StringComparison.Ordinal);
        var (isSecure, isUnix) = (at < 0 ? "" : text[..at]) switch
        {
            "nbd" => (false, false),
            "nbds" => (true, false),
            "nbd+unix" => (false, true),
            "nbds+unix" => (true, true),
            _ => throw Refuse(text, "it begins with none of nbd://, nbds://, nbd+unix:// and nbds+unix://"),
        };
        var rest = text[(at + 3)..];
        if (rest.Contains('#', StringComparison.Ordinal)) throw Refuse(text, "it has a fragment; write # as %23");
        var (place, query) = Cut(rest, '?');
        var (authority, path) = Cut(place, '/');
        var uri = new NbdUri { Text = text, IsSecure = isSecure, Export = Decode(text, path ?? "") };
        if (System.Text.Encoding.UTF8.GetByteCount(uri.Export) > NbdSpec.LongestString) throw Refuse(text, $"the export's name is longer than {NbdSpec.LongestString} bytes");
        string? socket = null, certificate = null;
        foreach (var pair in (query ?? "").Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var (key, value) = Cut(pair, '=');
            if (key == SocketKey && isUnix && socket is null) socket = Decode(text, value ?? "");
            else if (key == HostNameKey && isSecure && certificate is null) certificate = Decode(text, value ?? "");
            else throw Refuse(text, $"'{key}' is not possible there");
        }
        if (isUnix)
        {
            if (authority.Length != 0) throw Refuse(text, "a socket has no host; write nbd+unix:///EXPORT?socket=PATH");
            if (socket is not ['/', ..]) throw Refuse(text, "the socket's path is missing, or does not begin with /; write nbd+unix:///EXPORT?socket=/PATH");
            return uri with { SocketPath = socket, CertificateName = certificate ?? "localhost" };
        }
        var (name, port) = Endpoint(text, authority);
        return uri with { HostName = name, Port = port, CertificateName = certificate ?? name };
    }

    /// <inheritdoc/>
    public override string ToString() => Text;

    // [ADDRESS], [ADDRESS]:PORT, HOST or HOST:PORT.
    private static (string Name, int Port) Endpoint(string text, string authority)
    {
        if (authority.Contains('@', StringComparison.Ordinal)) throw Refuse(text, "it names a user, and NBD has none");
        string name, rest;
        if (authority is ['[', ..])
        {
            var end = authority.IndexOf(']', StringComparison.Ordinal);
            if (end < 0) throw Refuse(text, "a ] is missing");
            (name, rest) = (authority[1..end], authority[(end + 1)..]);
        }
        else
        {
            var colon = authority.IndexOf(':', StringComparison.Ordinal);
            (name, rest) = colon < 0 ? (authority, "") : (authority[..colon], authority[colon..]);
        }
        if (name.Length == 0) throw Refuse(text, "the host is missing");
        if (rest is "" or ":") return (Decode(text, name), NbdSpec.Port);
        return rest[0] == ':' && int.TryParse(rest.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and <= ushort.MaxValue
            ? (Decode(text, name), port)
            : throw Refuse(text, $"'{rest}' is no port");
    }

    private static (string Before, string? Behind) Cut(string text, char at) => text.IndexOf(at, StringComparison.Ordinal) is >= 0 and var index ? (text[..index], text[(index + 1)..]) : (text, null);

    // RFC 3986, 2.1.
    private static string Decode(string text, string part)
    {
        for (var i = part.IndexOf('%', StringComparison.Ordinal); i >= 0; i = part.IndexOf('%', i + 1))
            if (i + 2 >= part.Length || !char.IsAsciiHexDigit(part[i + 1]) || !char.IsAsciiHexDigit(part[i + 2])) throw Refuse(text, "a % is no escape; write it %25");
        var decoded = Uri.UnescapeDataString(part);
        return decoded.Contains('\0', StringComparison.Ordinal) ? throw Refuse(text, "it holds a zero byte") : decoded;
    }

    private static HostException Refuse(string text, string why) => new($"'{text}' is no place of an NBD export: {why}") { IsOfTheName = true };
}
