// A Unix socket that whoever comes first listens on, and others connect to. A lock on a file beside it (flock(2)) decides
// who may listen and ends with its process, so that a socket that was left behind is known as such.
using System.Net.Sockets;
using System.Text;
using Lamina.Backends.Work;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Backends.Net.Switch;

/// <summary>A path for a socket.</summary>
internal sealed class UnixSocketPath
{
    // sun_path of sockaddr_un, with its terminating zero. unix(7).
    private const int LongestPath = 107;

    private const int WouldBlock = 11; // errno(3): EWOULDBLOCK

    private readonly string _path;

    /// <exception cref="HostException">There can be no socket at the path.</exception>
    internal UnixSocketPath(string path)
    {
        _path = Path.GetFullPath(path);
        if (Encoding.UTF8.GetByteCount(_path) > LongestPath) throw new HostException($"the socket path {_path} is too long; choose one of at most {LongestPath} bytes");
        if (!Directory.Exists(Path.GetDirectoryName(_path))) throw NoFolder(null);
        if (Path.Exists(_path) && !HostPath.IsSocket(_path)) throw new HostException($"{_path} exists and is not a socket; choose another path or remove it");
    }

    /// <summary>The socket's file, while this process listens.</summary>
    internal SocketFile? Bound { get; private set; }

    /// <inheritdoc/>
    public override string ToString() => _path;

    /// <summary>Connects; null where nobody listens.</summary>
    /// <exception cref="HostException">It is not allowed, or the process has no descriptor left.</exception>
    internal Socket? TryConnect()
    {
        var socket = NewSocket();
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(_path));
            return socket;
        }
        catch (SocketException refused)
        {
            socket.Dispose();
            return refused.SocketErrorCode == SocketError.AccessDenied
                ? throw new HostException($"cannot connect to the socket {_path}: it belongs to another user", refused)
                : null;
        }
    }

    /// <summary>Takes the right to listen; null where somebody has it.</summary>
    /// <exception cref="HostException">The lock's file cannot be made.</exception>
    internal FileStream? TryLock()
    {
        try
        {
            return new FileStream($"{_path}.lock", new FileStreamOptions
            {
                Mode = FileMode.OpenOrCreate,
                Access = FileAccess.ReadWrite,
                Share = FileShare.None,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            });
        }
        catch (UnauthorizedAccessException refused)
        {
            throw new HostException($"cannot make the file {_path}.lock; choose a folder that you may write", refused);
        }
        catch (DirectoryNotFoundException gone)
        {
            throw NoFolder(gone);
        }
        catch (IOException busy) when (busy.HResult == WouldBlock)
        {
            return null;
        }
        catch (IOException failure)
        {
            throw new HostException($"cannot make the file {_path}.lock: {HostFiles.Reason(failure, $"{_path}.lock")}", failure);
        }
    }

    /// <summary>Listens, for the owner alone; the lock must be held.</summary>
    /// <exception cref="HostException">The host refuses it.</exception>
    internal Socket Listen()
    {
        var listener = NewSocket();
        try
        {
            if (HostPath.IsSocket(_path)) File.Delete(_path);
            listener.Bind(new UnixDomainSocketEndPoint(_path));
            // Nobody can connect before it listens, so nobody slips in before the mode is right.
            File.SetUnixFileMode(_path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            listener.Listen(64);
            Bound = new SocketFile(_path);
            return listener;
        }
        catch (Exception failure) when (failure is SocketException or IOException or UnauthorizedAccessException)
        {
            listener.Dispose();
            throw new HostException($"cannot listen at the socket {_path}: {failure.Message}", failure);
        }
    }

    /// <summary>Removes the socket's file; the lock must be held.</summary>
    internal void Delete()
    {
        Bound?.Delete();
        Bound = null;
    }

    private HostException NoFolder(Exception? failure) => new($"the folder of the socket {_path} does not exist; make it first", failure);

    private Socket NewSocket()
    {
        try
        {
            return new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        }
        catch (SocketException refused)
        {
            throw new HostException($"cannot make a socket for {_path}: {refused.Message}; raise the limit on open files (ulimit -n)", refused);
        }
    }
}
