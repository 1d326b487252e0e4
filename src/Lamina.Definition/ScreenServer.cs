// Where a machine's screen can be looked at: over VNC, at a TCP port or a Unix socket. As words: vnc[=WHERE][,password-file=PATH].
using System.Net;

namespace Lamina.Definition;

/// <summary>A place at which a screen is served.</summary>
public sealed record ScreenServer
{
    private const string Kind = "vnc", Unix = "unix:", Password = "password-file=";

    /// <summary>The port that the first screen of a host has by custom.</summary>
    public const int UsualPort = 5900;

    /// <summary>A TCP port; 0 picks one. Null for a socket.</summary>
    public IPEndPoint? Address { get; init; }

    /// <summary>The path of a Unix socket; null for a port.</summary>
    public string? Path { get; init; }

    /// <summary>A file whose first line is the password, of which VNC takes eight characters; null where none is asked for.</summary>
    public string? PasswordFile { get; init; }

    /// <summary>The place alone.</summary>
    public string Where => Path is { } path ? $"{Unix}{path}" : $"{Address}";

    /// <summary>Reads the words.</summary>
    /// <exception cref="MachineException">They are none.</exception>
    public static ScreenServer Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var comma = text.IndexOf(',', StringComparison.Ordinal);
        var (place, more) = comma < 0 ? (text, null) : (text[..comma], text[(comma + 1)..]);
        var equals = place.IndexOf('=', StringComparison.Ordinal);
        if ((equals < 0 ? place : place[..equals]) != Kind || more?.StartsWith(Password, StringComparison.Ordinal) == false || more?.Length == Password.Length) throw Refuse(text);
        var read = new ScreenServer { PasswordFile = more?[Password.Length..] };
        if (equals < 0) return read with { Address = new IPEndPoint(IPAddress.Loopback, UsualPort) };
        var where = place[(equals + 1)..];
        if (where.StartsWith(Unix, StringComparison.Ordinal)) return where.Length > Unix.Length ? read with { Path = where[Unix.Length..] } : throw Refuse(text);
        var colon = where.LastIndexOf(':');
        return colon > 0 && Definition.Address.TryRead(where[..colon], out var address) && Definition.Address.TryReadPort(where[(colon + 1)..], out var port) ? read with { Address = new IPEndPoint(address, port) } : throw Refuse(text);
    }

    /// <summary>The words that <see cref="Parse"/> reads.</summary>
    public override string ToString() => $"{Kind}={Where}{(PasswordFile is { } file ? $",{Password}{file}" : "")}";

    private static MachineException Refuse(string text) => new($"display: '{text}' is no place for a screen; write it like vnc, vnc=127.0.0.1:5901, vnc=[::1]:0, vnc=unix:/srv/web/screen, or with ,password-file=PATH behind it; or none");
}
