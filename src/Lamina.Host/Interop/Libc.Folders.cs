// Declarations for work below an open folder: openat2 and the *at family; see Libc.cs.
using System.Runtime.InteropServices;

namespace Lamina.Host.Interop;

internal static unsafe partial class Libc
{
    internal const int O_WRONLY = 1, O_ACCMODE = 3, O_TRUNC = 0x200, O_APPEND = 0x400, O_NONBLOCK = 0x800, O_NOFOLLOW = 0x20000, O_PATH = 0x200000;
    internal const ulong RESOLVE_NO_MAGICLINKS = 2, RESOLVE_NO_SYMLINKS = 4, RESOLVE_BENEATH = 8;
    internal const int EPERM = 1, EBADF = 9, ENOMEM = 12, EEXIST = 17, ENOTDIR = 20, EISDIR = 21, ENFILE = 23, ENAMETOOLONG = 36, ENOSYS = 38, ELOOP = 40;
    internal const int AT_REMOVEDIR = 0x200;
    internal const uint STATX_BASIC_STATS = 0x7ff;
    internal const int S_IFLNK = 0xa000;
    internal const long UTIME_NOW = 0x3fff_ffff, UTIME_OMIT = 0x3fff_fffe;
    private const long SYS_openat2 = 437, SYS_getdents64 = 217;

    /// <summary>struct open_how.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct OpenHow
    {
        internal ulong flags;
        internal ulong mode;
        internal ulong resolve;
    }

    /// <summary>struct statvfs on x86-64.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct StatVfs
    {
        internal ulong f_bsize, f_frsize, f_blocks, f_bfree, f_bavail, f_files, f_ffree, f_favail, f_fsid, f_flag, f_namemax;
        internal fixed int f_spare[6];
    }

    internal static int openat2(int dirfd, byte* pathname, OpenHow* how) => (int)syscall4(SYS_openat2, dirfd, (nint)pathname, (nint)how, sizeof(OpenHow));

    internal static int getdents64(int fd, byte* dirp, nuint count) => (int)syscall4(SYS_getdents64, fd, (nint)dirp, (nint)count, 0);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long syscall4(long number, nint a, nint b, nint c, nint d);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int mkdirat(int dirfd, byte* pathname, uint mode);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int unlinkat(int dirfd, byte* pathname, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int renameat2(int olddirfd, byte* oldpath, int newdirfd, byte* newpath, uint flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int symlinkat(byte* target, int newdirfd, byte* linkpath);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int linkat(int olddirfd, byte* oldpath, int newdirfd, byte* newpath, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint readlinkat(int dirfd, byte* pathname, byte* buf, nuint bufsiz);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int chmod(string pathname, uint mode);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int fchownat(int dirfd, byte* pathname, uint owner, uint group, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int utimensat(int dirfd, byte* pathname, Timespec* times, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int fstatvfs(int fd, StatVfs* buf);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int statx(int dirfd, byte* pathname, int flags, uint mask, byte* statxbuf);
}
