// The file of a Unix socket that this process listens at, by which programs of the host find it. Whoever removes it, or the folder in
// which it lies, takes nothing from those who are connected; but nobody comes any more, and the one who listens is told nothing. Here
// that can be found out. It does not listen by itself.
using System.Text;
using System.Net.Sockets;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Backends.Work;

/// <summary>Something that programs of the host connect to at a path.</summary>
public interface IListener
{
    /// <summary>The socket's file; null while it listens nowhere.</summary>
    SocketFile? Socket { get; }
}

/// <summary>A socket's name among the host's files.</summary>
public sealed class SocketFile
{
    // sun_path of sockaddr_un, with its terminating zero. unix(7).
    private const int LongestPath = 107;

    // The host's kernel keeps the file as long as the socket lives, so that no other has its number.
    private readonly string? _identity;

    /// <param name="path">Where a socket was just bound.</param>
    internal SocketFile(string path) => (Path, _identity) = (path, HostPath.Identity(path));

    /// <summary>The path.</summary>
    public string Path { get; }

    /// <summary>Refuses a path at which there can be no socket, before anything is made.</summary>
    /// <exception cref="HostException">Why, as a sentence.</exception>
    public static void Check(string path)
    {
        var full = System.IO.Path.GetFullPath(path);
        var wrong = Encoding.UTF8.GetByteCount(full) > LongestPath ? $"the socket path {full} is too long; choose one of at most {LongestPath} bytes"
            : !Directory.Exists(System.IO.Path.GetDirectoryName(full)) ? $"the folder of the socket {full} does not exist; make it first"
            : System.IO.Path.Exists(full) && !HostPath.IsSocket(full) ? $"{full} exists and is not a socket; choose another path or remove it"
            : null;
        if (wrong is not null) throw new HostException(wrong) { IsOfTheName = true };
    }

    /// <summary>Removes a socket that a process left behind.</summary>
    /// <exception cref="HostException">Somebody listens there.</exception>
    internal static void RemoveStale(string path)
    {
        if (!HostPath.IsSocket(path)) return;
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException refused) when (refused.SocketErrorCode == SocketError.ConnectionRefused)
        {
            File.Delete(path);
            return;
        }
        catch (SocketException)
        {
            // Anything else (its line is full, it is not ours) means that somebody listens.
        }
        throw new HostException($"the socket {path} is in use by another process; choose another path or end that process");
    }

    /// <summary>Whether who connects to the path comes here.</summary>
    public bool IsThere => HostPath.Identity(Path) is { } found && found == _identity;

    /// <summary>Removes it.</summary>
    internal void Delete()
    {
        if (IsThere) File.Delete(Path);
    }
}
