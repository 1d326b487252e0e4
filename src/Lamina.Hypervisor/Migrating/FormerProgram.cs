// The program that a machine's process runs, which may have been replaced on the disk since: it is held open, so that it can be started again.
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Migrating;

/// <summary>A program that runs.</summary>
internal sealed class FormerProgram : IDisposable
{
    private const int Piece = 1 << 20;

    private readonly FileStream _content;
    private readonly string _process;

    private FormerProgram(string process, FileStream content) => (_process, _content) = (process, content);

    /// <summary>The one of who has a machine; null where the host does not tell.</summary>
    internal static FormerProgram? Of(MachineHome home)
    {
        try
        {
            // What the process says of itself is not asked.
            return HostLock.Holders(home.Lock) is [var number] && $"/proc/{number}/exe" is var path ? new FormerProgram(path, new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete)) : null;
        }
        catch (Exception none) when (none is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Whether a file holds the same program.</summary>
    internal bool IsSameAs(string path)
    {
        if (HostPath.Identity(path) is { } file && file == HostPath.Identity(_process)) return true;
        using var other = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        if (other.Length != _content.Length) return false;
        var (one, two) = (new byte[Piece], new byte[Piece]);
        for (_content.Position = 0; ;)
        {
            var count = _content.ReadAtLeast(one, Piece, throwOnEndOfStream: false);
            if (other.ReadAtLeast(two, Piece, throwOnEndOfStream: false) != count || !one.AsSpan(0, count).SequenceEqual(two.AsSpan(0, count))) return false;
            if (count < Piece) return true;
        }
    }

    /// <summary>Where it can be started while the process is there: its own place where it is yet there, else a copy in a machine's folder.</summary>
    /// <exception cref="IOException">There is no space for it.</exception>
    internal string Keep(MachineHome home)
    {
        if (File.ResolveLinkTarget(_process, returnFinalTarget: false) is { Exists: true } file && HostPath.Identity(file.FullName) == HostPath.Identity(_process)) return file.FullName;
        var path = Path.Combine(home.Folder, "former-program");
        _ = HostFiles.TryUnlink(path);
        using (var copy = HostFiles.CreatePrivate(path, FileMode.CreateNew))
        {
            _content.Position = 0;
            _content.CopyTo(copy);
        }
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        return path;
    }

    /// <inheritdoc/>
    public void Dispose() => _content.Dispose();
}
