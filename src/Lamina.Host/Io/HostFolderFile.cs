// An open file or folder out of a HostFolder, and what is known of files. Answers are values, as there.
using Lamina.Host.Interop;

namespace Lamina.Host.Io;

/// <summary>A time to give to a file.</summary>
/// <param name="Seconds">Since 1970.</param>
/// <param name="Nanoseconds">The rest, below 10^9.</param>
/// <param name="IsNow">The host's present time instead.</param>
public readonly record struct HostFileTime(long Seconds, long Nanoseconds, bool IsNow = false);

/// <summary>Figures of a file system, as statvfs(3) has them.</summary>
public readonly record struct HostFileSystem(ulong BlockSize, ulong FragmentSize, ulong Blocks, ulong Free, ulong Available, ulong Files, ulong FreeFiles, ulong LongestName);

/// <summary>Attributes of a file, as statx(2) has them.</summary>
public readonly unsafe record struct HostStatus
{
    private const int Length = 256;
    private const uint OthersWrite = 0b010_010; // write permission of the group and of others, stat(2)

    /// <summary>Its device and its number there: what makes it the same file.</summary>
    public (ulong Device, ulong Inode) Identity { get; private init; }

    /// <summary>Type and permissions.</summary>
    public uint Mode { get; private init; }

    /// <summary>How many names it has.</summary>
    public uint Links { get; private init; }

    /// <summary>Its owner.</summary>
    public uint User { get; private init; }

    /// <summary>Its group.</summary>
    public uint Group { get; private init; }

    /// <summary>Its length in bytes.</summary>
    public ulong Size { get; private init; }

    /// <summary>Its space in units of 512 bytes.</summary>
    public ulong Blocks { get; private init; }

    /// <summary>A good length for reads and writes.</summary>
    public uint BlockSize { get; private init; }

    /// <summary>When it was read, changed, and changed in its attributes.</summary>
    public (HostFileTime Access, HostFileTime Change, HostFileTime Status) Times { get; private init; }

    /// <summary>Whether it is a regular file.</summary>
    public bool IsFile => (Mode & Libc.S_IFMT) == Libc.S_IFREG;

    /// <summary>Whether it is a folder.</summary>
    public bool IsFolder => (Mode & Libc.S_IFMT) == Libc.S_IFDIR;

    /// <summary>Whether the user whose rights this process has owns it, and nobody else may write to it.</summary>
    public bool IsOnlyOurs => User == Libc.geteuid() && (Mode & OthersWrite) == 0;

    internal static int Of(int descriptor, out HostStatus status)
    {
        // struct statx, linux/stat.h.
        var raw = stackalloc byte[Length];
        byte empty = 0;
        status = default;
        var result = HostFolder.Result(Libc.statx(descriptor, &empty, Libc.AT_EMPTY_PATH, Libc.STATX_BASIC_STATS, raw));
        if (result < 0) return result;
        status = new HostStatus
        {
            BlockSize = *(uint*)(raw + 4),
            Links = *(uint*)(raw + 16),
            User = *(uint*)(raw + 20),
            Group = *(uint*)(raw + 24),
            Mode = *(ushort*)(raw + 28),
            Size = *(ulong*)(raw + 40),
            Blocks = *(ulong*)(raw + 48),
            Times = (Time(raw + 64), Time(raw + 112), Time(raw + 96)),
            Identity = ((ulong)*(uint*)(raw + 136) << 32 | *(uint*)(raw + 140), *(ulong*)(raw + 32)),
        };
        return 0;
    }

    private static HostFileTime Time(byte* raw) => new(*(long*)raw, *(uint*)(raw + 8));
}

/// <summary>An open file or folder.</summary>
public sealed unsafe class HostFolderFile : IDisposable
{
    private readonly int _descriptor;

    internal HostFolderFile(int descriptor) => _descriptor = descriptor;

    /// <summary>Its attributes.</summary>
    public int Status(out HostStatus status) => HostStatus.Of(_descriptor, out status);

    /// <summary>Reads. How many bytes.</summary>
    public int Read(ulong offset, Span<byte> into)
    {
        fixed (byte* start = into) return HostFolder.Result(Libc.pread(_descriptor, start, (nuint)into.Length, (long)offset));
    }

    /// <summary>Writes. How many bytes.</summary>
    public int Write(ulong offset, ReadOnlySpan<byte> from)
    {
        fixed (byte* start = from) return HostFolder.Result(Libc.pwrite(_descriptor, start, (nuint)from.Length, (long)offset));
    }

    /// <summary>Sets the length.</summary>
    public int SetLength(ulong length) => HostFolder.Result(Libc.ftruncate(_descriptor, (long)length));

    /// <summary>Returns when what was written is durable.</summary>
    public int Sync(bool dataOnly) => HostFolder.Result(dataOnly ? Libc.fdatasync(_descriptor) : Libc.fsync(_descriptor));

    /// <summary>fallocate(2).</summary>
    public int Allocate(int mode, ulong offset, ulong length) => HostFolder.Result(Libc.fallocate(_descriptor, mode, (long)offset, (long)length));

    /// <summary>lseek(2) to data or to a hole. The place, or a negative error number.</summary>
    public long Seek(ulong offset, int whence)
    {
        var place = Libc.lseek(_descriptor, (long)offset, whence);
        return place >= 0 ? place : HostFolder.Result(-1);
    }

    /// <summary>Reads entries of a folder (struct linux_dirent64, getdents64(2)). How many bytes.</summary>
    /// <param name="offset">Where to begin: 0, or an entry's d_off.</param>
    /// <param name="into">Where to.</param>
    public int ReadEntries(ulong offset, Span<byte> into)
    {
        if (Libc.lseek(_descriptor, (long)offset, Libc.SEEK_SET) < 0) return HostFolder.Result(-1);
        fixed (byte* start = into) return HostFolder.Result(Libc.getdents64(_descriptor, start, (nuint)into.Length));
    }

    /// <inheritdoc/>
    public void Dispose() => _ = Libc.close(_descriptor);
}
