// A Unix socket that whoever comes first listens on, and others connect to. A lock on a file beside it (HostLock) decides
// who may listen and ends with its process, so that a socket that was left behind is known as such.
using System.Net.Sockets;
using Lamina.Backends.Work;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Backends.Net.Switch;

/// <summary>A path for a socket.</summary>
internal sealed class UnixSocketPath
{
    private readonly string _path;

    /// <exception cref="HostException">There can be no socket at the path.</exception>
    internal UnixSocketPath(string path)
    {
        _path = Path.GetFullPath(path);
        SocketFile.Check(_path);
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
    internal HostLock? TryLock()
    {
        try
        {
            return HostLock.TryTake($"{_path}.lock");
        }
        catch (HostException)
        {
            // A folder that is gone is what is wrong, and not the lock.
            SocketFile.Check(_path);
            throw;
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
