// What .NET does not tell of a path.
using System.Runtime.InteropServices;
using Lamina.Host.Interop;

namespace Lamina.Host.Io;

/// <summary>Questions about paths.</summary>
public static unsafe class HostPath
{
    // struct statx: stx_mode lies at 28; the whole is 256 bytes.
    private const int StatxLength = 256, StatxLinks = 16, StatxMode = 28, StatxInode = 32, StatxSize = 40, StatxBlocks = 48, StatxModified = 112, StatxDevice = 136, SpaceUnit = 512;

    /// <summary>Whether a socket lies at a path (links are not followed).</summary>
    public static bool IsSocket(string path) => IsOf(path, Libc.S_IFSOCK);

    /// <summary>Whether a file with contents lies at a path (links are not followed), and no pipe, socket or device.</summary>
    public static bool IsRegular(string path) => IsOf(path, Libc.S_IFREG);

    private static bool IsOf(string path, uint type)
    {
        var buffer = stackalloc byte[StatxLength];
        return Libc.statx(Libc.AT_FDCWD, path, Libc.AT_SYMLINK_NOFOLLOW, Libc.STATX_TYPE, buffer) == 0
            && (*(ushort*)(buffer + StatxMode) & Libc.S_IFMT) == type;
    }

    /// <summary>A text that is equal for two names of one file, links followed; null where there is none.</summary>
    public static string? Identity(string path)
    {
        var buffer = stackalloc byte[StatxLength];
        return Libc.statx(Libc.AT_FDCWD, path, 0, Libc.STATX_TYPE | Libc.STATX_INO, buffer) == 0 ? Identity(buffer) : null;
    }

    /// <summary>How many bytes of its file system a file takes; 0 where there is none.</summary>
    public static ulong SpaceOf(string path)
    {
        _ = Space(path, out var bytes, out _);
        return bytes;
    }

    /// <summary>The same, or its part of it where the file has more names than that.</summary>
    public static ulong ShareOfSpace(string path)
    {
        return Space(path, out var bytes, out var names) ? bytes / Math.Max(1, names) : 0;
    }

    private static bool Space(string path, out ulong bytes, out uint names)
    {
        var statx = stackalloc byte[StatxLength];
        var isThere = Libc.statx(Libc.AT_FDCWD, path, 0, Libc.STATX_BASIC_STATS, statx) == 0;
        (bytes, names) = isThere ? (*(ulong*)(statx + StatxBlocks) * SpaceUnit, *(uint*)(statx + StatxLinks)) : default;
        return isThere;
    }

    /// <summary>A text that is equal for an open file as long as nobody writes to it, whatever its names: its file system, number, length and the time of its last change. Null where the host cannot tell.</summary>
    public static string? Version(SafeHandle file)
    {
        ArgumentNullException.ThrowIfNull(file);
        var statx = stackalloc byte[StatxLength];
        if (Libc.statx((int)file.DangerousGetHandle(), "", Libc.AT_EMPTY_PATH, Libc.STATX_BASIC_STATS, statx) != 0) return null;
        return $"{*(uint*)(statx + StatxDevice):x}.{*(uint*)(statx + StatxDevice + 4):x}-{*(ulong*)(statx + StatxInode):x}-{*(ulong*)(statx + StatxSize):x}-{*(ulong*)(statx + StatxModified):x}.{*(uint*)(statx + StatxModified + sizeof(ulong)):x}";
    }

    internal static string Identity(byte* statx) => $"{*(uint*)(statx + StatxDevice)}:{*(uint*)(statx + StatxDevice + 4)}:{*(ulong*)(statx + StatxInode)}";

    /// <summary>Whether there is nothing at a path. What may not be looked at is left to whoever opens it, who knows why.</summary>
    public static bool IsGone(string path)
    {
        try
        {
            _ = File.GetAttributes(path);
            return false;
        }
        catch (Exception failure) when (failure is FileNotFoundException or DirectoryNotFoundException)
        {
            return true;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return false;
        }
    }
}
