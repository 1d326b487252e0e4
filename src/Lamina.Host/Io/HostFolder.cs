// A folder of the host's whose inside somebody else walks through: every name is resolved by the kernel below the open
// folder, through no symbolic link and no "..", whatever is renamed or replaced meanwhile (openat2(2), RESOLVE_BENEATH).
// Answers are values: 0 or more, or the negative of an error number, as the kernel gives them. Paths are relative, of
// bytes, without a NUL; the empty path is the folder itself.
using System.Runtime.InteropServices;
using Lamina.Host.Interop;

namespace Lamina.Host.Io;

/// <summary>A place in a folder tree: the folder, and the last name.</summary>
public readonly ref struct HostName(ReadOnlySpan<byte> folder, ReadOnlySpan<byte> name)
{
    /// <summary>The path of the folder.</summary>
    public ReadOnlySpan<byte> Folder { get; } = folder;

    /// <summary>A name in it.</summary>
    public ReadOnlySpan<byte> Name { get; } = name;
}

/// <summary>A folder tree that cannot be left.</summary>
public sealed unsafe class HostFolder : IDisposable
{
    /// <summary>Error numbers that callers give themselves.</summary>
    public const int PermissionDenied = -Libc.EPERM, NotFound = -Libc.ENOENT, BadHandle = -Libc.EBADF, Invalid = -Libc.EINVAL,
        NotSupported = -Libc.ENOSYS, ReadOnly = -Libc.EROFS, NoMemory = -Libc.ENOMEM, TooManyOpen = -Libc.ENFILE, IoError = -Libc.EIO;

    private const ulong Resolve = Libc.RESOLVE_BENEATH | Libc.RESOLVE_NO_SYMLINKS | Libc.RESOLVE_NO_MAGICLINKS;

    // What a guest may choose of open(2)'s flags.
    private const int GuestFlags = Libc.O_ACCMODE | Libc.O_TRUNC | Libc.O_APPEND;

    // Set-user-ID and set-group-ID bits are not made on the host for a guest.
    private const uint ModeBits = 0b1_111_111_111;
    private const int LongestPath = 4096;

    private readonly int _root;

    private HostFolder(int root) => _root = root;

    /// <summary>Opens a folder.</summary>
    /// <exception cref="HostException">It cannot be opened, or the kernel is too old.</exception>
    public static HostFolder Open(string path)
    {
        var root = Libc.open(path, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC, 0);
        if (root < 0) throw HostException.FromErrno($"cannot open the folder {path}");
        var folder = new HostFolder(root);
        if (folder.Status([], out _) != -Libc.ENOSYS) return folder;
        folder.Dispose();
        throw new HostException("a shared folder, and an archive of code, need Linux 5.6 or later on the host");
    }

    /// <summary>Attributes of what lies at a path; a symbolic link's own.</summary>
    public int Status(ReadOnlySpan<byte> path, out HostStatus status)
    {
        status = default;
        var at = OpenPath(path, Libc.O_PATH | Libc.O_NOFOLLOW);
        return at < 0 ? at : Close(at, HostStatus.Of(at, out status));
    }

    /// <summary>Opens a regular file or a folder; nothing else, since opening that may have effects.</summary>
    /// <param name="path">Which.</param>
    /// <param name="flags">open(2)'s; all but access mode, O_TRUNC and O_APPEND are left out.</param>
    /// <param name="file">The open file.</param>
    public int Open(ReadOnlySpan<byte> path, int flags, out HostFolderFile? file)
    {
        file = null;
        // First looked at without opening it, then opened without following or waiting, then looked at again.
        var found = Status(path, out var status);
        if (found < 0) return found;
        if (!status.IsFile && !status.IsFolder) return PermissionDenied;
        var descriptor = OpenPath(path, (flags & GuestFlags) | Libc.O_NOFOLLOW | Libc.O_NONBLOCK | (status.IsFolder ? Libc.O_DIRECTORY : 0));
        return descriptor < 0 ? descriptor : Keep(descriptor, out file);
    }

    /// <summary>Makes and opens a regular file; an existing one is opened unless the flags have O_EXCL.</summary>
    public int Create(HostName at, int flags, uint mode, out HostFolderFile? file)
    {
        file = null;
        var folder = OpenPath(at.Folder, Libc.O_PATH | Libc.O_DIRECTORY);
        if (folder < 0) return folder;
        var how = (flags & (GuestFlags | Libc.O_EXCL)) | Libc.O_CREAT | Libc.O_NOFOLLOW | Libc.O_NONBLOCK;
        var descriptor = OpenBelow(folder, at.Name, how, mode & ModeBits);
        _ = Libc.close(folder);
        return descriptor < 0 ? descriptor : Keep(descriptor, out file);
    }

    /// <summary>Makes a folder.</summary>
    public int CreateFolder(HostName at, uint mode) => Below(at, (folder, name) => Libc.mkdirat(folder, name, mode & ModeBits));

    /// <summary>Removes a name.</summary>
    public int Remove(HostName at, bool isFolder) => Below(at, (folder, name) => Libc.unlinkat(folder, name, isFolder ? Libc.AT_REMOVEDIR : 0));

    /// <summary>Makes a symbolic link, which nobody follows here.</summary>
    public int CreateLink(HostName at, ReadOnlySpan<byte> target)
    {
        var text = Terminated(target);
        return Below(at, (folder, name) =>
        {
            fixed (byte* start = text) return Libc.symlinkat(start, folder, name);
        });
    }

    /// <summary>Renames, with renameat2(2)'s flags.</summary>
    public int Rename(HostName from, HostName to, uint flags)
    {
        var target = OpenPath(to.Folder, Libc.O_PATH | Libc.O_DIRECTORY);
        if (target < 0) return target;
        var name = Terminated(to.Name);
        return Close(target, Below(from, (folder, old) =>
        {
            fixed (byte* start = name) return Libc.renameat2(folder, old, target, start, flags);
        }));
    }

    /// <summary>Gives a file a further name.</summary>
    public int HardLink(HostName existing, HostName at)
    {
        var target = OpenPath(at.Folder, Libc.O_PATH | Libc.O_DIRECTORY);
        if (target < 0) return target;
        var name = Terminated(at.Name);
        return Close(target, Below(existing, (folder, old) =>
        {
            fixed (byte* start = name) return Libc.linkat(folder, old, target, start, 0);
        }));
    }

    /// <summary>Reads a symbolic link. How many bytes.</summary>
    public int ReadLink(ReadOnlySpan<byte> path, Span<byte> target)
    {
        var at = OpenPath(path, Libc.O_PATH | Libc.O_NOFOLLOW);
        if (at < 0) return at;
        byte empty = 0;
        fixed (byte* start = target) return Close(at, Result(Libc.readlinkat(at, &empty, start, (nuint)target.Length)));
    }

    /// <summary>Changes the permissions.</summary>
    public int SetMode(ReadOnlySpan<byte> path, uint mode)
    {
        var at = OpenPath(path, Libc.O_PATH | Libc.O_NOFOLLOW);
        // The descriptor stands for the very file that was found; a symbolic link has no permissions to change.
        return at < 0 ? at : Close(at, Result(Libc.chmod($"/proc/self/fd/{at}", mode & ModeBits)));
    }

    /// <summary>Changes the owner; uint.MaxValue leaves one as it is.</summary>
    public int SetOwner(ReadOnlySpan<byte> path, uint user, uint group)
    {
        var at = OpenPath(path, Libc.O_PATH | Libc.O_NOFOLLOW);
        if (at < 0) return at;
        byte empty = 0;
        return Close(at, Result(Libc.fchownat(at, &empty, user, group, Libc.AT_EMPTY_PATH)));
    }

    /// <summary>Changes the times of access and change; null leaves one as it is.</summary>
    public int SetTimes(ReadOnlySpan<byte> path, HostFileTime? access, HostFileTime? change)
    {
        var at = OpenPath(path, Libc.O_PATH | Libc.O_NOFOLLOW);
        if (at < 0) return at;
        var times = stackalloc Libc.Timespec[] { Time(access), Time(change) };
        byte empty = 0;
        return Close(at, Result(Libc.utimensat(at, &empty, times, Libc.AT_EMPTY_PATH)));
    }

    /// <summary>What the file system below a path has.</summary>
    public int FileSystem(ReadOnlySpan<byte> path, out HostFileSystem system)
    {
        system = default;
        var at = OpenPath(path, Libc.O_PATH | Libc.O_NOFOLLOW);
        if (at < 0) return at;
        Libc.StatVfs raw;
        var result = Result(Libc.fstatvfs(at, &raw));
        if (result == 0) system = new HostFileSystem(raw.f_bsize, raw.f_frsize, raw.f_blocks, raw.f_bfree, raw.f_bavail, raw.f_files, raw.f_ffree, raw.f_namemax);
        return Close(at, result);
    }

    /// <inheritdoc/>
    public void Dispose() => _ = Libc.close(_root);

    internal static int Result(nint result) => result >= 0 ? (int)result : -Marshal.GetLastPInvokeError();

    private delegate int NameCall(int folder, byte* name);

    private int Below(HostName at, NameCall call)
    {
        if (at.Name.IsEmpty || at.Name.Contains((byte)'/') || at.Name.SequenceEqual("."u8) || at.Name.SequenceEqual(".."u8)) return Invalid;
        var folder = OpenPath(at.Folder, Libc.O_PATH | Libc.O_DIRECTORY);
        if (folder < 0) return folder;
        fixed (byte* name = Terminated(at.Name)) return Close(folder, Result(call(folder, name)));
    }

    private int OpenPath(ReadOnlySpan<byte> path, int flags) => OpenBelow(_root, path.IsEmpty ? "."u8 : path, flags, 0);

    private static int OpenBelow(int folder, ReadOnlySpan<byte> path, int flags, uint mode)
    {
        if (path.Length >= LongestPath) return -Libc.ENAMETOOLONG;
        var how = new Libc.OpenHow { flags = (uint)(flags | Libc.O_CLOEXEC), mode = mode, resolve = Resolve };
        // Holds: the text ends with a NUL and lives until the call is over.
        fixed (byte* start = Terminated(path)) return Result(Libc.openat2(folder, start, &how));
    }

    private static int Keep(int descriptor, out HostFolderFile? file)
    {
        file = null;
        var result = HostStatus.Of(descriptor, out var status);
        if (result == 0 && !status.IsFile && !status.IsFolder) result = PermissionDenied;
        if (result < 0) return Close(descriptor, result);
        file = new HostFolderFile(descriptor);
        return 0;
    }

    private static int Close(int descriptor, int result)
    {
        _ = Libc.close(descriptor);
        return result;
    }

    private static byte[] Terminated(ReadOnlySpan<byte> text)
    {
        var bytes = new byte[text.Length + 1];
        text.CopyTo(bytes);
        return bytes;
    }

    private static Libc.Timespec Time(HostFileTime? time) => time is { } given
        ? new Libc.Timespec { tv_sec = given.Seconds, tv_nsec = given.IsNow ? Libc.UTIME_NOW : Math.Min(given.Nanoseconds, 999_999_999) }
        : new Libc.Timespec { tv_nsec = Libc.UTIME_OMIT };
}
