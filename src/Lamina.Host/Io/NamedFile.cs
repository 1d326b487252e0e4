// Files that a user names and a machine reads, opened without waiting: a name may be that of a pipe which nobody writes to, a folder, a
// device, a socket. What is behind it is looked at when it is open. (A file on a network that hangs holds whoever touches it, in
// the kernel; nothing here can help that.)
using System.Runtime.InteropServices;
using Lamina.Host.Interop;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Host.Io;

/// <summary>What lies behind a name.</summary>
public enum NamedKind
{
    /// <summary>An ordinary file.</summary>
    File,

    /// <summary>A folder.</summary>
    Folder,

    /// <summary>A block device.</summary>
    BlockDevice,

    /// <summary>A character device: a terminal, /dev/zero.</summary>
    CharacterDevice,

    /// <summary>A pipe with a name, or one of the shell's.</summary>
    Pipe,

    /// <summary>A socket.</summary>
    Socket,
}

/// <summary>Opens files by name.</summary>
public static unsafe class NamedFile
{
    // struct statx: stx_mode lies at 28; the whole is 256 bytes.
    private const int StatxLength = 256, StatxMode = 28;
    private const int Piece = 1 << 16;

    /// <summary>What lies at a path, links followed; null where there is nothing, or the host does not say.</summary>
    public static NamedKind? KindOf(string path)
    {
        var stat = stackalloc byte[StatxLength];
        return Libc.statx(Libc.AT_FDCWD, path, 0, Libc.STATX_TYPE, stat) == 0 ? KindOf(stat) : null;
    }

    /// <summary>What it is, for sentences: "a folder".</summary>
    public static string Describe(NamedKind kind) => kind switch
    {
        NamedKind.File => "a file",
        NamedKind.Folder => "a folder",
        NamedKind.BlockDevice => "a block device",
        NamedKind.CharacterDevice => "a character device",
        NamedKind.Pipe => "a pipe",
        _ => "a socket",
    };

    /// <summary>Opens what lies at a path for reading, whatever it is, without waiting.</summary>
    /// <exception cref="FileNotFoundException">There is nothing.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    /// <exception cref="HostException">It cannot be opened.</exception>
    public static SafeFileHandle OpenToRead(string path, out NamedKind kind)
    {
        var descriptor = Libc.open(path, Libc.O_RDONLY | Libc.O_CLOEXEC | Libc.O_NONBLOCK | Libc.O_NOCTTY, 0);
        if (descriptor < 0)
        {
            throw Marshal.GetLastPInvokeError() switch
            {
                Libc.ENOENT or Libc.ENOTDIR => new FileNotFoundException($"there is no file {path}"),
                Libc.EACCES or Libc.EPERM => new UnauthorizedAccessException($"{path} may not be read"),
                _ => HostException.FromErrno($"cannot open {path}"),
            };
        }
        var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        var stat = stackalloc byte[StatxLength];
        if (Libc.statx(descriptor, "", Libc.AT_EMPTY_PATH, Libc.STATX_TYPE, stat) == 0)
        {
            kind = KindOf(stat);
            return handle;
        }
        var failure = HostException.FromErrno($"cannot examine {path}");
        handle.Dispose();
        throw failure;
    }

    /// <summary>Reads a pipe or character device that <see cref="OpenToRead"/> opened to its end.</summary>
    /// <param name="handle">It.</param>
    /// <param name="limit">The most bytes.</param>
    /// <param name="silence">How long nothing may come.</param>
    /// <returns>Its bytes; null where it did not end within the limit.</returns>
    /// <exception cref="TimeoutException">Nothing came for too long.</exception>
    /// <exception cref="HostException">The host reports an error.</exception>
    public static byte[]? ReadToEnd(SafeFileHandle handle, long limit, TimeSpan silence)
    {
        using var kept = new MemoryStream();
        var piece = new byte[Piece];
        while (true)
        {
            var wait = new Libc.PollFd { fd = (int)handle.DangerousGetHandle(), events = Libc.POLLIN };
            var ready = Libc.poll(&wait, 1, (int)silence.TotalMilliseconds);
            if (ready == 0) throw new TimeoutException();
            nint count;
            fixed (byte* into = piece) count = ready < 0 ? -1 : Libc.read(wait.fd, into, (nuint)piece.Length);
            if (count == 0) return kept.ToArray();
            if (count > 0)
            {
                if (kept.Length + count >= limit) return null;
                kept.Write(piece, 0, (int)count);
            }
            else if (Marshal.GetLastPInvokeError() is not (Libc.EINTR or Libc.EAGAIN)) throw HostException.FromErrno("cannot read from it");
        }
    }

    private static NamedKind KindOf(byte* statx) => (*(ushort*)(statx + StatxMode) & Libc.S_IFMT) switch
    {
        Libc.S_IFDIR => NamedKind.Folder,
        Libc.S_IFBLK => NamedKind.BlockDevice,
        Libc.S_IFCHR => NamedKind.CharacterDevice,
        Libc.S_IFIFO => NamedKind.Pipe,
        Libc.S_IFSOCK => NamedKind.Socket,
        _ => NamedKind.File,
    };
}
