// What .NET's file API leaves out: making a folder's entries durable, second names for files.
using Lamina.Host.Interop;

namespace Lamina.Host;

/// <summary>Files on the host.</summary>
public static class HostFiles
{
    /// <summary>Waits until a folder's entries (created, renamed, removed names) are on the disk.</summary>
    /// <exception cref="HostException">The folder cannot be opened or the disk reports an error.</exception>
    public static void SyncDirectory(string path)
    {
        var descriptor = Libc.open(path, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC, 0);
        if (descriptor < 0) throw HostException.FromErrno($"cannot open the folder {path}");
        try
        {
            if (Libc.fsync(descriptor) != 0) throw HostException.FromErrno($"cannot write the folder {path} to the disk");
        }
        finally
        {
            _ = Libc.close(descriptor);
        }
    }

    /// <summary>Gives a file a second name. False where that cannot be: on another file system, or one without hard links.</summary>
    public static bool TryLink(string existing, string name) => Libc.link(existing, name) == 0;
}
