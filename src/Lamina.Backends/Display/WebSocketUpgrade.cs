// The request of HTTP by which a browser goes on by WebSocket (RFC 6455, section 4.2), and what is answered. A request that is none gets one
// line that says what is wrong. Whichever page a browser shows may ask, in its user's name and without his knowledge: so pages say from where
// they are (section 10.2), and only those of this host's own addresses, or of the origin that was allowed, get through.
using System.Net;
using System.Security.Cryptography;
using System.Text;

namespace Lamina.Backends.Display;

/// <summary>Answers requests for WebSocket.</summary>
internal static class WebSocketUpgrade
{
    /// <summary>The longest request, in bytes.</summary>
    internal const int LongestRequest = 8192;

    private const int KeyLength = 16;
    private const string Protocol = "binary", Version = "13", Local = "localhost";

    // Section 1.3.
    private const string AcceptsBy = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

    // What noVNC asks for where nobody says anything else, and the plain one.
    private static readonly string[] Paths = ["/", "/websockify"];

    /// <summary>Reads a request and answers it.</summary>
    /// <param name="stream">Where it comes from.</param>
    /// <param name="origin">The origin of pages that may beside this host's own; or null.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The subprotocol that was agreed on; null for none.</returns>
    /// <exception cref="RfbException">It is no request that can be granted; it was answered.</exception>
    internal static async Task<string?> AnswerAsync(Stream stream, string? origin, CancellationToken cancellationToken)
    {
        var head = await ReadAsync(stream, cancellationToken).ConfigureAwait(false);
        var refused = head is null ? new Refusal(400, "Bad Request", "this is no request of HTTP's, or one that is too long") : Check(head, origin);
        if (refused is not null)
        {
            var text = $"HTTP/1.1 {refused.Status} {refused.Reason}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: {Encoding.UTF8.GetByteCount(refused.Sentence) + 1}\r\n{refused.More}\r\n{refused.Sentence}\n";
            await stream.WriteAsync(Encoding.UTF8.GetBytes(text), cancellationToken).ConfigureAwait(false);
            throw new RfbException($"it gets no WebSocket ({refused.Status}: {refused.Sentence})");
        }
        var protocol = head!.List("Sec-WebSocket-Protocol").Contains(Protocol) ? Protocol : null;
        var accept = Convert.ToBase64String(Hash(head.One("Sec-WebSocket-Key") + AcceptsBy));
        await stream.WriteAsync(Encoding.ASCII.GetBytes(
            $"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n{(protocol is null ? "" : $"Sec-WebSocket-Protocol: {protocol}\r\n")}\r\n"), cancellationToken).ConfigureAwait(false);
        return protocol;
    }

    // The protocol wants this function; nothing is kept secret by it.
    private static byte[] Hash(string text) => SHA1.HashData(Encoding.ASCII.GetBytes(text));

    // A browser says nothing more until it was answered, so a request ends what was read.
    private static async Task<Head?> ReadAsync(Stream stream, CancellationToken cancellationToken)
    {
        var (buffer, length) = (new byte[LongestRequest], 0);
        while (length < buffer.Length)
        {
            var count = await stream.ReadAsync(buffer.AsMemory(length), cancellationToken).ConfigureAwait(false);
            if (count == 0) throw new IOException("the viewer went");
            length += count;
            // Methods are of capital letters.
            if (buffer[0] is < (byte)'A' or > (byte)'Z') return null;
            var end = buffer.AsSpan(0, length).IndexOf("\r\n\r\n"u8);
            if (end >= 0) return end + 4 == length ? Head.Parse(Encoding.Latin1.GetString(buffer, 0, end)) : null;
        }
        return null;
    }

    private static Refusal? Check(Head head, string? origin)
    {
        if (head.Method != "GET") return new Refusal(405, "Method Not Allowed", "the screen is asked for by GET") { More = "Allow: GET\r\n" };
        var path = head.Target.Split('?')[0];
        if (!Paths.Contains(path)) return new Refusal(404, "Not Found", $"the screen is at {string.Join(" and at ", Paths)}");
        if (!head.List("Upgrade").Contains("websocket", StringComparer.OrdinalIgnoreCase) || !head.List("Connection").Contains("upgrade", StringComparer.OrdinalIgnoreCase) || !head.List("Sec-WebSocket-Version").Contains(Version))
            return new Refusal(426, "Upgrade Required", "here is a machine's screen for viewers that speak WebSocket, such as noVNC") { More = $"Upgrade: websocket\r\nSec-WebSocket-Version: {Version}\r\n" };
        var key = new byte[KeyLength + 2];
        if (head.One("Sec-WebSocket-Key") is not { } text || !Convert.TryFromBase64String(text, key, out var length) || length != KeyLength || head.One("Host") is not { } host)
            return new Refusal(400, "Bad Request", "a request for WebSocket has a key of 16 bytes and a host");
        // What is no browser says no origin, and could say any.
        if (head.List("Origin").Count == 0) return null;
        return IsAllowed(head.One("Origin"), host, origin) ? null : new Refusal(403, "Forbidden", "pages of this origin may not see the screen; the option origin= of the display allows one");
    }

    // By an address, or localhost, nobody can have been led here who wanted elsewhere; a name may lead anywhere.
    private static bool IsAllowed(string? from, string host, string? allowed)
    {
        if (from is null || !Uri.TryCreate(from, UriKind.Absolute, out var page) || page.Scheme is not ("http" or "https")) return false;
        if (allowed is not null && Uri.TryCreate(allowed, UriKind.Absolute, out var other) && (page.Scheme, page.IdnHost, page.Port) == (other.Scheme, other.IdnHost, other.Port)) return true;
        return Uri.TryCreate($"http://{host}", UriKind.Absolute, out var own) && own.IdnHost == page.IdnHost && (own.IdnHost == Local || IPAddress.TryParse(own.IdnHost, out _));
    }

    private sealed record Refusal(int Status, string Reason, string Sentence)
    {
        internal string More { get; init; } = "";
    }

    // A request's first line and its fields (RFC 9112, sections 3 and 5).
    private sealed record Head(string Method, string Target, ILookup<string, string> Fields)
    {
        internal static Head? Parse(string text)
        {
            var lines = text.Split("\r\n");
            if (lines[0].Split(' ') is not [var method, ['/', ..] target, "HTTP/1.1"]) return null;
            var fields = new List<(string Name, string Value)>();
            foreach (var line in lines[1..])
            {
                var colon = line.IndexOf(':', StringComparison.Ordinal);
                if (colon <= 0 || line.AsSpan(0, colon).ContainsAny(" \t") || line.AsSpan().ContainsAnyInRange('\0', '\b') || line.AsSpan().ContainsAny('\r', '\n')) return null;
                fields.Add((line[..colon], line[(colon + 1)..].Trim(' ', '\t')));
            }
            return new Head(method, target, fields.ToLookup(field => field.Name, field => field.Value, StringComparer.OrdinalIgnoreCase));
        }

        /// <summary>A field that there may be once; null where there is none, or several.</summary>
        internal string? One(string name) => Fields[name].ToArray() is [{ Length: > 0 } value] ? value : null;

        /// <summary>A field that is a list.</summary>
        internal List<string> List(string name) => [.. Fields[name].SelectMany(value => value.Split(',', StringSplitOptions.TrimEntries))];
    }
}
