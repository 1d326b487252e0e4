// What is known of a node of the host's file systems: values only.
using Lamina.Host.Interop;

namespace Lamina.Host.Io;

/// <summary>A time to give to a file.</summary>
/// <param name="Seconds">Since 1970.</param>
/// <param name="Nanoseconds">The rest, below 10^9.</param>
/// <param name="IsNow">The host's present time instead.</param>
public readonly record struct HostFileTime(long Seconds, long Nanoseconds, bool IsNow = false);

/// <summary>Figures of a file system, as statvfs(3) has them.</summary>
public readonly record struct HostFileSystem(ulong BlockSize, ulong FragmentSize, ulong Blocks, ulong Free, ulong Available, ulong Files, ulong FreeFiles, ulong LongestName);

/// <summary>What makes a node the same as another one.</summary>
/// <param name="Mount">The mount through which it was found (STATX_MNT_ID, Linux 5.8); 0 where the kernel does not say.</param>
/// <param name="Device">Its device.</param>
/// <param name="Inode">Its number there, which others had before and will have after it.</param>
/// <param name="Birth">When it was made, in nanoseconds since 1970; 0 where the file system does not say.</param>
public readonly record struct HostIdentity(ulong Mount, ulong Device, ulong Inode, long Birth);

/// <summary>Attributes of a node, as statx(2) has them.</summary>
public readonly unsafe record struct HostStatus
{
    private const int Length = 256;
    private const uint OthersWrite = 0b010_010; // write permission of the group and of others, stat(2)

    /// <summary>What makes it the same file.</summary>
    public HostIdentity Identity { get; private init; }

    /// <summary>Type and permissions.</summary>
    public uint Mode { get; private init; }

    /// <summary>How many names it has.</summary>
    public uint Links { get; private init; }

    /// <summary>Its owner.</summary>
    public uint User { get; private init; }

    /// <summary>Its group.</summary>
    public uint Group { get; private init; }

    /// <summary>Which device it stands for, where it is a device file.</summary>
    public (uint Major, uint Minor) Device { get; private init; }

    /// <summary>Its length in bytes.</summary>
    public ulong Size { get; private init; }

    /// <summary>Its space in units of 512 bytes.</summary>
    public ulong Blocks { get; private init; }

    /// <summary>A good length for reads and writes.</summary>
    public uint BlockSize { get; private init; }

    /// <summary>When it was read, changed, and changed in its attributes.</summary>
    public (HostFileTime Access, HostFileTime Change, HostFileTime Status) Times { get; private init; }

    /// <summary>Its type alone: S_IFMT's bits.</summary>
    public uint Type => Mode & Libc.S_IFMT;

    /// <summary>Whether it is a regular file.</summary>
    public bool IsFile => Type == Libc.S_IFREG;

    /// <summary>Whether it is a folder.</summary>
    public bool IsFolder => Type == Libc.S_IFDIR;

    /// <summary>Whether the user whose rights this process has owns it, and nobody else may write to it.</summary>
    public bool IsOnlyOurs => User == Libc.geteuid() && (Mode & OthersWrite) == 0;

    internal static int Of(int descriptor, byte* path, int flags, out HostStatus status)
    {
        // struct statx, linux/stat.h.
        var raw = stackalloc byte[Length];
        status = default;
        var result = HostNode.Result(Libc.statx(descriptor, path, flags, Libc.STATX_BASIC_STATS | Libc.STATX_BTIME | Libc.STATX_MNT_ID, raw));
        if (result < 0) return result;
        var birth = (*(uint*)raw & Libc.STATX_BTIME) != 0 ? Time(raw + 80) : default;
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
            Device = (*(uint*)(raw + 128), *(uint*)(raw + 132)),
            Identity = new HostIdentity((*(uint*)raw & Libc.STATX_MNT_ID) != 0 ? *(ulong*)(raw + 144) : 0, (ulong)*(uint*)(raw + 136) << 32 | *(uint*)(raw + 140), *(ulong*)(raw + 32),
                unchecked(birth.Seconds * 1_000_000_000 + birth.Nanoseconds)),
        };
        return 0;
    }

    private static HostFileTime Time(byte* raw) => new(*(long*)raw, *(uint*)(raw + 8));
}
