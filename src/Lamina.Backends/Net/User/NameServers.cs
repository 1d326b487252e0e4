// The name servers that a user-mode network forwards to: the ones it was given, or the host's own, which may change while
// a machine runs (resolv.conf(5)).
using System.Net;
using System.Net.Sockets;
using Lamina.Backends.Net.Wire;

namespace Lamina.Backends.Net.User;

/// <summary>Finds name servers.</summary>
internal sealed class NameServers
{
    private const long RereadMilliseconds = 5000;
    private const int MostServers = 3, LongestFile = 64 * 1024;

    private readonly Func<long> _now;
    private readonly string _path;
    private readonly bool _given;
    private IReadOnlyList<IPEndPoint> _servers;
    private long _rereadAt = long.MinValue;
    private int _next;

    /// <summary>Uses the servers given, or else those of a file.</summary>
    /// <param name="given">Servers; empty for the file's.</param>
    /// <param name="now">Monotonic milliseconds.</param>
    /// <param name="path">The file.</param>
    internal NameServers(IReadOnlyList<IPEndPoint> given, Func<long> now, string path = "/etc/resolv.conf") =>
        (_servers, _given, _now, _path) = (given, given.Count != 0, now, path);

    /// <summary>The server to ask; null where there is none.</summary>
    internal IPEndPoint? Current
    {
        get
        {
            if (!_given && _now() >= _rereadAt)
            {
                _servers = Read(_path);
                _rereadAt = _now() + RereadMilliseconds;
            }
            return _servers.Count == 0 ? null : _servers[_next % _servers.Count];
        }
    }

    /// <summary>Tells that a server did not answer; the next one is asked from now on.</summary>
    internal void Failed(IPEndPoint server)
    {
        if (server.Equals(Current)) _next = (_next + 1) % Math.Max(1, _servers.Count);
    }

    /// <summary>The servers that a file names, at most as many as the C library asks; the loopback where it names none.</summary>
    internal static IReadOnlyList<IPEndPoint> Read(string path)
    {
        var lines = new List<string>();
        try
        {
            using var file = new StreamReader(path);
            if (file.BaseStream.Length < LongestFile)
                while (file.ReadLine() is { } line) lines.Add(line);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            // As if it were empty.
        }
        var servers = new List<IPEndPoint>();
        foreach (var line in lines)
        {
            var words = line.Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
            if (words.Length >= 2 && words[0] == "nameserver" && servers.Count < MostServers && IPAddress.TryParse(words[1], out var address)
                && address.AddressFamily is AddressFamily.InterNetwork or AddressFamily.InterNetworkV6)
                servers.Add(new IPEndPoint(address, Udp.Dns));
        }
        return servers.Count == 0 ? [new IPEndPoint(IPAddress.Loopback, Udp.Dns)] : servers;
    }
}
