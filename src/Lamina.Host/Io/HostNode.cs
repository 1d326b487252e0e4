// A file, folder or whatever else of the host's, held by a descriptor (O_PATH, open(2)): it stays what was found, whatever becomes
// of its name. What is done to it itself is here, what is done to names in it is in HostNode.Names.cs, reading and writing in
// HostOpenNode.cs. Nothing here resolves more than one name, and none through a symbolic link. Answers are values: 0 or more, or
// the negative of an error number, as the kernel gives them. What has no call for such a descriptor goes by /proc/self/fd.
using System.Runtime.InteropServices;
using System.Text;
using Lamina.Host.Interop;

namespace Lamina.Host.Io;

/// <summary>A node of the host's file systems.</summary>
public unsafe partial class HostNode : IDisposable
{
    /// <summary>Error numbers that callers give themselves or look for.</summary>
    public const int PermissionDenied = -Libc.EPERM, NotFound = -Libc.ENOENT, BadHandle = -Libc.EBADF, Exists = -Libc.EEXIST, Invalid = -Libc.EINVAL,
        NoDescriptor = -Libc.EMFILE, NotImplemented = -Libc.ENOSYS, NotSupported = -Libc.EOPNOTSUPP, ReadOnly = -Libc.EROFS, NoMemory = -Libc.ENOMEM, NotFolder = -Libc.ENOTDIR, AFolder = -Libc.EISDIR,
        TooManyLinks = -Libc.ELOOP, TooManyOpen = -Libc.ENFILE, IoError = -Libc.EIO, TooSmall = -Libc.ERANGE, Stale = -Libc.ESTALE;

    // What a caller may choose of open(2)'s flags. O_APPEND is not among them: see HostOpenNode.Append.
    private const int OpenFlags = Libc.O_ACCMODE | Libc.O_TRUNC | Libc.O_SYNC;

    // Set-user-ID and set-group-ID bits are not made on the host for others. A folder may have the latter: it gives no rights away there.
    private const uint ModeBits = 0b1_111_111_111, SetGroupOfFolder = 0b10_000_000_000;

    // "/proc/self/fd/", an int, and a NUL.
    private const int ProcPathLength = 32;

    private readonly uint _type;

    private protected HostNode(int descriptor, uint mode) => (Descriptor, _type) = (descriptor, mode & Libc.S_IFMT);

    private protected int Descriptor { get; }

    private bool IsFolder => _type == Libc.S_IFDIR;

    /// <summary>Opens a folder.</summary>
    /// <exception cref="HostException">It cannot be opened.</exception>
    public static HostNode OpenFolder(string path)
    {
        var descriptor = Libc.open(path, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC, 0);
        return descriptor >= 0 ? new HostNode(descriptor, Libc.S_IFDIR) : throw HostException.FromErrno($"cannot open the folder {path}");
    }

    /// <summary>Its attributes.</summary>
    public int Status(out HostStatus status)
    {
        byte empty = 0;
        return HostStatus.Of(Descriptor, &empty, Libc.AT_EMPTY_PATH, out status);
    }

    /// <summary>Opens a regular file or a folder; nothing else, since opening that may have effects.</summary>
    /// <param name="flags">open(2)'s; all but access mode, O_TRUNC and O_SYNC are left out.</param>
    /// <param name="open">The open file.</param>
    public int Open(int flags, out HostOpenNode? open)
    {
        open = null;
        if (!IsFolder && _type != Libc.S_IFREG) return _type == Libc.S_IFLNK ? TooManyLinks : PermissionDenied;
        var how = (flags & OpenFlags) | Libc.O_CLOEXEC;
        int descriptor;
        fixed (byte* self = IsFolder ? "."u8 : ProcPath(stackalloc byte[ProcPathLength]))
            descriptor = Result(Libc.openat(Descriptor, self, IsFolder ? how | Libc.O_DIRECTORY : how, 0));
        if (descriptor < 0) return descriptor;
        open = new HostOpenNode(descriptor, _type);
        return 0;
    }

    /// <summary>Reads a symbolic link. How many bytes.</summary>
    public int ReadLink(Span<byte> target)
    {
        byte empty = 0;
        fixed (byte* start = target) return Result(Libc.readlinkat(Descriptor, &empty, start, (nuint)target.Length));
    }

    /// <summary>Changes the permissions.</summary>
    public int SetMode(uint mode)
    {
        // A symbolic link has none, and kernels before 6.6 try all the same.
        if (_type == Libc.S_IFLNK) return NotSupported;
        fixed (byte* self = ProcPath(stackalloc byte[ProcPathLength])) return Result(Libc.chmod(self, mode & (IsFolder ? ModeBits | SetGroupOfFolder : ModeBits)));
    }

    /// <summary>Changes the owner; uint.MaxValue leaves one as it is.</summary>
    public int SetOwner(uint user, uint group)
    {
        byte empty = 0;
        return Result(Libc.fchownat(Descriptor, &empty, user, group, Libc.AT_EMPTY_PATH));
    }

    /// <summary>Changes the times of access and change; null leaves one as it is.</summary>
    public int SetTimes(HostFileTime? access, HostFileTime? change)
    {
        byte empty = 0;
        return SetTimes(&empty, access, change, Libc.AT_EMPTY_PATH);
    }

    /// <summary>Sets the length of a regular file.</summary>
    public int SetLength(ulong length)
    {
        fixed (byte* self = ProcPath(stackalloc byte[ProcPathLength])) return Result(Libc.truncate(self, (long)length));
    }

    /// <summary>What its file system has.</summary>
    public int FileSystem(out HostFileSystem system)
    {
        system = default;
        Libc.StatVfs raw;
        var result = Result(Libc.fstatvfs(Descriptor, &raw));
        if (result == 0) system = new HostFileSystem(raw.f_bsize, raw.f_frsize, raw.f_blocks, raw.f_bfree, raw.f_bavail, raw.f_files, raw.f_ffree, raw.f_namemax);
        return result;
    }

    /// <summary>Whether a file keeps its time of birth while it is the same file: overlayfs gives it another one with its first change.</summary>
    public bool KeepsBirth
    {
        get
        {
            // struct statfs begins with the type.
            var raw = stackalloc long[Libc.StatFsWords];
            return Libc.fstatfs(Descriptor, raw) == 0 && raw[0] != Libc.OVERLAYFS_SUPER_MAGIC;
        }
    }

    /// <summary>The bits of a mode that this process leaves out of what it makes; 0 where that cannot be told. umask(2), Umask in proc_pid_status(5).</summary>
    public static uint ModeMask()
    {
        try
        {
            var line = File.ReadLines("/proc/self/status").FirstOrDefault(line => line.StartsWith("Umask:", StringComparison.Ordinal));
            return line is null ? 0 : Convert.ToUInt32(line["Umask:".Length..].Trim(), 8);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            return 0;
        }
    }

    /// <summary>Reads an extended attribute. How many bytes; with no room, how many there are.</summary>
    public int GetAttribute(ReadOnlySpan<byte> name, Span<byte> value)
    {
        fixed (byte* self = ProcPath(stackalloc byte[ProcPathLength]), text = Terminated(name, stackalloc byte[ShortName]), start = value)
            return Result(Libc.getxattr(self, text, start, (nuint)value.Length));
    }

    /// <summary>Sets an extended attribute, with setxattr(2)'s flags.</summary>
    public int SetAttribute(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, int flags)
    {
        fixed (byte* self = ProcPath(stackalloc byte[ProcPathLength]), text = Terminated(name, stackalloc byte[ShortName]), start = value)
            return Result(Libc.setxattr(self, text, start, (nuint)value.Length, flags));
    }

    /// <summary>Removes an extended attribute.</summary>
    public int RemoveAttribute(ReadOnlySpan<byte> name)
    {
        fixed (byte* self = ProcPath(stackalloc byte[ProcPathLength]), text = Terminated(name, stackalloc byte[ShortName])) return Result(Libc.removexattr(self, text));
    }

    /// <summary>Reads the names of the extended attributes, each with a NUL behind it. How many bytes.</summary>
    public int ListAttributes(Span<byte> names)
    {
        fixed (byte* self = ProcPath(stackalloc byte[ProcPathLength]), start = names) return Result(Libc.listxattr(self, start, (nuint)names.Length));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _ = Libc.close(Descriptor);
        GC.SuppressFinalize(this);
    }

    internal static int Result(nint result) => result >= 0 ? (int)result : -Marshal.GetLastPInvokeError();

    private int SetTimes(byte* path, HostFileTime? access, HostFileTime? change, int flags)
    {
        var times = stackalloc Libc.Timespec[] { Time(access), Time(change) };
        return Result(Libc.utimensat(Descriptor, path, times, flags));
    }

    private static Libc.Timespec Time(HostFileTime? time) => time is { } given
        ? new Libc.Timespec { tv_sec = given.Seconds, tv_nsec = given.IsNow ? Libc.UTIME_NOW : Math.Min(given.Nanoseconds, 999_999_999) }
        : new Libc.Timespec { tv_nsec = Libc.UTIME_OMIT };

    private Span<byte> ProcPath(Span<byte> room)
    {
        "/proc/self/fd/"u8.CopyTo(room);
        _ = Descriptor.TryFormat(room["/proc/self/fd/"u8.Length..], out var digits, provider: System.Globalization.CultureInfo.InvariantCulture);
        room["/proc/self/fd/"u8.Length + digits] = 0;
        return room;
    }
}
