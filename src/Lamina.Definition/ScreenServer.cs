// Where a machine's screen can be looked at: over VNC, at a TCP port or a Unix socket, and by WebSocket at a TCP port. As words:
// vnc[=WHERE][,websocket[=ADDRESS:PORT]][,origin=ORIGIN][,tls=FOLDER][,password-file=PATH], the last of which takes all that follows.
using System.Net;

namespace Lamina.Definition;

/// <summary>A place at which a screen is served.</summary>
public sealed record ScreenServer
{
    private const string Kind = "vnc", Unix = "unix:", Password = "password-file=", Web = "websocket", OriginIs = "origin=", TlsIs = "tls=";

    /// <summary>The port that the first screen of a host has by custom.</summary>
    public const int UsualPort = 5900;

    /// <summary>The port that the first screen of a host has for WebSocket by custom.</summary>
    public const int UsualWebSocketPort = 5700;

    /// <summary>A TCP port; 0 picks one. Null for a socket.</summary>
    public IPEndPoint? Address { get; init; }

    /// <summary>The path of a Unix socket; null for a port.</summary>
    public string? Path { get; init; }

    /// <summary>A TCP port for viewers in browsers, which speak WebSocket; 0 picks one. Null for none.</summary>
    public IPEndPoint? WebSocket { get; init; }

    /// <summary>The origin (scheme, host and port) of the pages that may look by WebSocket, beside those that come from this host's own addresses; null for none.</summary>
    public string? Origin { get; init; }

    /// <summary>A folder with the certificate by which the screen is served over TLS alone (cert.pem, key.pem); null for no TLS.</summary>
    public string? Tls { get; init; }

    /// <summary>The certificate's file, and that of its key, both in PEM; none where there is no TLS.</summary>
    public IReadOnlyList<string> TlsFiles => Tls is { } folder ? [System.IO.Path.Combine(folder, "cert.pem"), System.IO.Path.Combine(folder, "key.pem")] : [];

    /// <summary>A file whose first line is the password, of which VNC takes eight characters; null where none is asked for.</summary>
    public string? PasswordFile { get; init; }

    /// <summary>The place alone.</summary>
    public string Where => Path is { } path ? $"{Unix}{path}" : $"{Address}";

    /// <summary>Reads the words.</summary>
    /// <exception cref="MachineException">They are none.</exception>
    public static ScreenServer Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var (place, more) = Split(text);
        var equals = place.IndexOf('=', StringComparison.Ordinal);
        if ((equals < 0 ? place : place[..equals]) != Kind) throw Refuse(text);
        var read = new ScreenServer();
        if (equals < 0) read = read with { Address = new IPEndPoint(IPAddress.Loopback, UsualPort) };
        else if (!place[(equals + 1)..].StartsWith(Unix, StringComparison.Ordinal)) read = read with { Address = ReadAddress(place[(equals + 1)..]) ?? throw Refuse(text) };
        else read = place.Length > equals + 1 + Unix.Length ? read with { Path = place[(equals + 1 + Unix.Length)..] } : throw Refuse(text);
        while (more is not null)
        {
            // A path may have commas in it.
            if (more.StartsWith(Password, StringComparison.Ordinal)) return more.Length > Password.Length ? read with { PasswordFile = more[Password.Length..] } : throw Refuse(text);
            (var word, more) = Split(more);
            if (word == Web && read.WebSocket is null) read = read with { WebSocket = new IPEndPoint(IPAddress.Loopback, UsualWebSocketPort) };
            else if (word.StartsWith(Web + "=", StringComparison.Ordinal) && read.WebSocket is null) read = read with { WebSocket = ReadAddress(word[(Web.Length + 1)..]) ?? throw Refuse(text) };
            else if (word.StartsWith(OriginIs, StringComparison.Ordinal) && read.Origin is null) read = read with { Origin = word[OriginIs.Length..] };
            else if (word.StartsWith(TlsIs, StringComparison.Ordinal) && word.Length > TlsIs.Length && read.Tls is null) read = read with { Tls = word[TlsIs.Length..] };
            else throw Refuse(text);
        }
        return read;
    }

    /// <summary>The words that <see cref="Parse"/> reads.</summary>
    public override string ToString() =>
        $"{Kind}={Where}{(WebSocket is { } web ? $",{Web}={web}" : "")}{(Origin is { } origin ? $",{OriginIs}{origin}" : "")}{(Tls is { } tls ? $",{TlsIs}{tls}" : "")}{(PasswordFile is { } file ? $",{Password}{file}" : "")}";

    /// <summary>Refuses what does not fit together.</summary>
    /// <exception cref="MachineException">Why, as a sentence.</exception>
    internal void Check()
    {
        // A program may have made it.
        _ = Parse(ToString());
        if (Origin is { } origin)
        {
            if (WebSocket is null) throw new MachineException("display: an origin is for viewers in browsers; add websocket, or leave the origin out");
            if (!Uri.TryCreate(origin, UriKind.Absolute, out var page) || page.Scheme is not ("http" or "https") || page.GetLeftPart(UriPartial.Authority) != origin.ToLowerInvariant() || page.UserInfo.Length > 0)
                throw new MachineException($"display: '{origin}' is no origin of pages; write https://HOST or http://HOST:PORT");
        }
        foreach (var address in Ports)
            if (!IPAddress.IsLoopback(address.Address) && PasswordFile is null)
                throw new MachineException($"whoever reaches {address} would see the screen and type; give it a password (display: {this},password-file=PATH), or an address of this host alone, such as 127.0.0.1:{address.Port}");
    }

    /// <summary>The TCP ports at which it is served.</summary>
    public IEnumerable<IPEndPoint> Ports => new[] { Address, WebSocket }.OfType<IPEndPoint>();

    private static (string Word, string? More) Split(string text)
    {
        var comma = text.IndexOf(',', StringComparison.Ordinal);
        return comma < 0 ? (text, null) : (text[..comma], text[(comma + 1)..]);
    }

    private static IPEndPoint? ReadAddress(string text)
    {
        var colon = text.LastIndexOf(':');
        return colon > 0 && Definition.Address.TryRead(text[..colon], out var address) && Definition.Address.TryReadPort(text[(colon + 1)..], out var port) ? new IPEndPoint(address, port) : null;
    }

    private static MachineException Refuse(string text) => new($"display: '{text}' is no place for a screen; write it like vnc, vnc=127.0.0.1:5901, vnc=[::1]:0, vnc=unix:/srv/web/screen, with ,websocket=127.0.0.1:5700, ,origin=https://HOST, ,tls=FOLDER and ,password-file=PATH (the last) behind it; or none");
}
