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

    /// <summary>A symbolic link, where links are not followed.</summary>
    Link,
}

/// <summary>Opens files by name.</summary>
public static unsafe class NamedFile
{
    // struct statx: stx_mode lies at 28; the whole is 256 bytes.
    private const int StatxLength = 256, StatxMode = 28;
    private const int Piece = 1 << 16;

    /// <summary>How long nothing may come from a pipe: whoever writes to it (a program that unpacks something) may think for a while; a pipe that nobody writes to is a mistake.</summary>
    public static TimeSpan LongestSilence { get; } = TimeSpan.FromSeconds(10);

    // How long a wait for a pipe is before it is seen that nobody wants it any more.
    private static readonly TimeSpan LongestLook = TimeSpan.FromMilliseconds(100);

    /// <summary>What lies at a path; null where there is nothing, or the host does not say.</summary>
    /// <param name="path">The path.</param>
    /// <param name="followsLink">Whether a link at its end is followed, which else is what lies there.</param>
    public static NamedKind? KindOf(string path, bool followsLink = true)
    {
        var stat = stackalloc byte[StatxLength];
        return Libc.statx(Libc.AT_FDCWD, path, followsLink ? 0 : Libc.AT_SYMLINK_NOFOLLOW, Libc.STATX_TYPE, stat) == 0 ? KindOf(stat) : null;
    }

    /// <summary>What it is, for sentences: "a folder".</summary>
    public static string Describe(NamedKind kind) => kind switch
    {
        NamedKind.File => "a file",
        NamedKind.Folder => "a folder",
        NamedKind.BlockDevice => "a block device",
        NamedKind.CharacterDevice => "a character device",
        NamedKind.Pipe => "a pipe",
        NamedKind.Link => "a link",
        _ => "a socket",
    };

    /// <summary>Opens what lies at a path for reading, whatever it is, without waiting.</summary>
    /// <param name="path">The path.</param>
    /// <param name="kind">What it is.</param>
    /// <param name="followsLink">Whether a link at the path's end is followed, which else cannot be opened.</param>
    /// <exception cref="FileNotFoundException">There is nothing.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    /// <exception cref="HostException">It cannot be opened.</exception>
    public static SafeFileHandle OpenToRead(string path, out NamedKind kind, bool followsLink = true) =>
        Open(path, Libc.O_RDONLY | (followsLink ? 0 : Libc.O_NOFOLLOW), "read", out kind);

    /// <summary>Opens an ordinary file for reading that whoever left it there may have chosen to do harm with: nothing else than a file is opened, no link is followed, and nothing is waited for.</summary>
    /// <exception cref="FileNotFoundException">There is nothing.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    /// <exception cref="HostException">It is no ordinary file, or cannot be opened.</exception>
    public static SafeFileHandle OpenFile(string path)
    {
        var handle = OpenToRead(path, out var kind, followsLink: false);
        return kind == NamedKind.File ? handle : throw Refuse(handle, path, kind);
    }

    /// <summary>Opens an ordinary file to read and write it, with the same care: no link is followed, and nothing is made.</summary>
    /// <exception cref="FileNotFoundException">There is nothing.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be written.</exception>
    /// <exception cref="HostException">It is no ordinary file, or cannot be opened.</exception>
    public static SafeFileHandle OpenFileToWrite(string path)
    {
        // A folder is nothing to write to, and said to be one.
        if (KindOf(path, followsLink: false) is not (null or NamedKind.File) and { } other) throw new HostException($"{path} is {Describe(other)}, and no file");
        return Open(path, Libc.O_RDWR | Libc.O_NOFOLLOW, "written", out var kind) is var handle && kind == NamedKind.File ? handle : throw Refuse(handle, path, kind);
    }

    /// <summary>Holds a socket's name, so that one connects to what was found there and nothing else: at the path <see cref="PathOf"/> of what is returned.</summary>
    /// <returns>Null where there is none: nothing, or something else, a link to a socket elsewhere too.</returns>
    /// <exception cref="UnauthorizedAccessException">It may not be reached.</exception>
    public static SafeFileHandle? HoldSocket(string path)
    {
        var descriptor = Libc.open(path, Libc.O_PATH | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, 0);
        if (descriptor < 0) return Marshal.GetLastPInvokeError() is Libc.EACCES or Libc.EPERM ? throw new UnauthorizedAccessException($"{path} may not be reached") : null;
        var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        var stat = stackalloc byte[StatxLength];
        if (Libc.statx(descriptor, "", Libc.AT_EMPTY_PATH, Libc.STATX_TYPE, stat) == 0 && KindOf(stat) == NamedKind.Socket) return handle;
        handle.Dispose();
        return null;
    }

    /// <summary>A path that leads to what is open. proc_pid_fd(5).</summary>
    public static string PathOf(SafeFileHandle handle)
    {
        ArgumentNullException.ThrowIfNull(handle);
        return $"/proc/self/fd/{handle.DangerousGetHandle()}";
    }

    /// <summary>Reads an ordinary file whole, as <see cref="OpenFile"/> opens it.</summary>
    /// <param name="path">The path.</param>
    /// <param name="most">The most bytes that it may have.</param>
    /// <exception cref="FileNotFoundException">There is nothing.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    /// <exception cref="HostException">It is no ordinary file, is larger, or cannot be read.</exception>
    public static byte[] ReadFile(string path, int most)
    {
        using var handle = OpenFile(path);
        var length = RandomAccess.GetLength(handle);
        if (length > most) throw new HostException($"{path} has {length} bytes, and at most {most} are taken");
        var content = new byte[length];
        var count = 0;
        while (count < content.Length && RandomAccess.Read(handle, content.AsSpan(count), count) is > 0 and var more) count += more;
        return content[..count];
    }

    /// <summary>Reads a pipe or character device that <see cref="OpenToRead"/> opened to its end.</summary>
    /// <param name="handle">It.</param>
    /// <param name="limit">The most bytes.</param>
    /// <param name="silence">How long nothing may come.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Its bytes; null where it did not end within the limit.</returns>
    /// <exception cref="TimeoutException">Nothing came for too long.</exception>
    /// <exception cref="OperationCanceledException">The wait was ended.</exception>
    /// <exception cref="HostException">The host reports an error.</exception>
    public static byte[]? ReadToEnd(SafeFileHandle handle, long limit, TimeSpan silence, CancellationToken cancellationToken = default)
    {
        var silent = TimeSpan.Zero;
        using var kept = new MemoryStream();
        var piece = new byte[Piece];
        while (true)
        {
            var wait = new Libc.PollFd { fd = (int)handle.DangerousGetHandle(), events = Libc.POLLIN };
            var look = silence - silent < LongestLook ? silence - silent : LongestLook;
            var ready = Libc.poll(&wait, 1, (int)Math.Ceiling(look.TotalMilliseconds));
            cancellationToken.ThrowIfCancellationRequested();
            if (ready == 0)
            {
                if ((silent += look) >= silence) throw new TimeoutException();
                continue;
            }
            silent = TimeSpan.Zero;
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

    /// <summary>Opens what a user names to be read from its beginning on: a file, or a pipe, for whose first bytes it waits <see cref="LongestSilence"/>.</summary>
    /// <exception cref="FileNotFoundException">There is nothing.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    /// <exception cref="HostException">It is a folder or a socket, nothing came, or it cannot be opened; the message is the end of a sentence, as <see cref="HostFiles.Reason"/> has it.</exception>
    public static FileStream OpenStream(string path)
    {
        var handle = OpenToRead(path, out var kind);
        try
        {
            if (kind is NamedKind.Folder or NamedKind.Socket) throw new HostException($"it is {Describe(kind)}");
            if (kind is NamedKind.Pipe or NamedKind.CharacterDevice)
            {
                var wait = new Libc.PollFd { fd = (int)handle.DangerousGetHandle(), events = Libc.POLLIN };
                if (Libc.poll(&wait, 1, (int)LongestSilence.TotalMilliseconds) == 0) throw new HostException($"it is a pipe from which nothing came for {LongestSilence.TotalSeconds:0} s");
                if (Libc.fcntl(wait.fd, Libc.F_SETFL, 0) != 0) throw HostException.FromErrno($"cannot open {path}");
            }
            return new FileStream(handle, FileAccess.Read, bufferSize: 0);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Reads what a user names whole, as <see cref="OpenStream"/> opens it; null where it has more than so many bytes.</summary>
    public static byte[]? ReadStream(string path, int most)
    {
        using var stream = OpenStream(path);
        using var kept = new MemoryStream();
        var piece = new byte[Piece];
        while (stream.Read(piece) is > 0 and var count)
        {
            if (kept.Length + count > most) return null;
            kept.Write(piece, 0, count);
        }
        return kept.ToArray();
    }

    private static SafeFileHandle Open(string path, int how, string done, out NamedKind kind)
    {
        var descriptor = Libc.open(path, how | Libc.O_CLOEXEC | Libc.O_NONBLOCK | Libc.O_NOCTTY, 0);
        if (descriptor < 0)
        {
            throw Marshal.GetLastPInvokeError() switch
            {
                Libc.ELOOP when (how & Libc.O_NOFOLLOW) != 0 => new HostException($"{path} is {Describe(NamedKind.Link)}, and no file"),
                Libc.ENOENT or Libc.ENOTDIR => new FileNotFoundException($"there is no file {path}"),
                Libc.EACCES or Libc.EPERM => new UnauthorizedAccessException($"{path} may not be {done}"),
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

    private static HostException Refuse(SafeFileHandle handle, string path, NamedKind kind)
    {
        handle.Dispose();
        return new HostException($"{path} is {Describe(kind)}, and no file");
    }

    private static NamedKind KindOf(byte* statx) => (*(ushort*)(statx + StatxMode) & Libc.S_IFMT) switch
    {
        Libc.S_IFDIR => NamedKind.Folder,
        Libc.S_IFBLK => NamedKind.BlockDevice,
        Libc.S_IFCHR => NamedKind.CharacterDevice,
        Libc.S_IFIFO => NamedKind.Pipe,
        Libc.S_IFSOCK => NamedKind.Socket,
        Libc.S_IFLNK => NamedKind.Link,
        _ => NamedKind.File,
    };
}
