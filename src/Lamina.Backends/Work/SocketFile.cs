// The file of a Unix socket that this process listens at, by which programs of the host find it. Whoever removes it, or the folder in
// which it lies, takes nothing from those who are connected; but nobody comes any more, and the one who listens is told nothing. Here
// that can be found out. It does not listen by itself.
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
    // The host's kernel keeps the file as long as the socket lives, so that no other has its number.
    private readonly string? _identity;

    /// <param name="path">Where a socket was just bound.</param>
    internal SocketFile(string path) => (Path, _identity) = (path, HostPath.Identity(path));

    /// <summary>The path.</summary>
    public string Path { get; }

    /// <summary>Whether who connects to the path comes here.</summary>
    public bool IsThere => HostPath.Identity(Path) is { } found && found == _identity;

    /// <summary>Removes it.</summary>
    internal void Delete()
    {
        if (IsThere) File.Delete(Path);
    }
}
