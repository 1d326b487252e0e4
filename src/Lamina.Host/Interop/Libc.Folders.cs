// Declarations for work below an open folder: the *at family; see Libc.cs.
using System.Runtime.InteropServices;

namespace Lamina.Host.Interop;

internal static unsafe partial class Libc
{
    internal const int O_ACCMODE = 3, O_TRUNC = 0x200, O_SYNC = 0x101000, O_NOFOLLOW = 0x20000, O_PATH = 0x200000, O_TMPFILE = 0x410000;
    internal const int EPERM = 1, EBADF = 9, ENOMEM = 12, EEXIST = 17, ENOTDIR = 20, EISDIR = 21, ENFILE = 23, EMFILE = 24, ERANGE = 34, ENAMETOOLONG = 36, ENOSYS = 38, ELOOP = 40, ESTALE = 116;
    internal const int AT_REMOVEDIR = 0x200, AT_SYMLINK_FOLLOW = 0x400, AT_NO_AUTOMOUNT = 0x800;
    internal const uint STATX_BASIC_STATS = 0x7ff, STATX_BTIME = 0x800, STATX_MNT_ID = 0x1000;
    internal const int S_IFIFO = 0x1000, S_IFLNK = 0xa000;
    internal const int RWF_APPEND = 0x10;

    // struct statfs on x86-64 has 120 bytes.
    internal const int StatFsWords = 15;
    internal const long OVERLAYFS_SUPER_MAGIC = 0x794c7630;
    internal const long UTIME_NOW = 0x3fff_ffff, UTIME_OMIT = 0x3fff_fffe;
    private const long SYS_getdents64 = 217;

    // What a process may have open unless somebody says otherwise, and the number of that limit.
    internal const int UsualDescriptors = 1024, RLIMIT_NOFILE = 7;

    /// <summary>struct rlimit on x86-64.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct RLimit
    {
        internal ulong rlim_cur, rlim_max;
    }

    /// <summary>struct statvfs on x86-64.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct StatVfs
    {
        internal ulong f_bsize, f_frsize, f_blocks, f_bfree, f_bavail, f_files, f_ffree, f_favail, f_fsid, f_flag, f_namemax;
        internal fixed int f_spare[6];
    }

    internal static int getdents64(int fd, byte* dirp, nuint count) => (int)syscall4(SYS_getdents64, fd, (nint)dirp, (nint)count, 0);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long syscall4(long number, nint a, nint b, nint c, nint d);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int mkdirat(int dirfd, byte* pathname, uint mode);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int unlinkat(int dirfd, byte* pathname, int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int unlink(string pathname);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int renameat2(int olddirfd, byte* oldpath, int newdirfd, byte* newpath, uint flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int symlinkat(byte* target, int newdirfd, byte* linkpath);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int linkat(int olddirfd, byte* oldpath, int newdirfd, byte* newpath, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint readlinkat(int dirfd, byte* pathname, byte* buf, nuint bufsiz);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int getrlimit(int resource, RLimit* rlim);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int setrlimit(int resource, RLimit* rlim);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int openat(int dirfd, byte* pathname, int flags, uint mode);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int mknodat(int dirfd, byte* pathname, uint mode, ulong dev);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int chmod(byte* pathname, uint mode);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int truncate(byte* path, long length);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int syncfs(int fd);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int fstatfs(int fd, long* buf);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint pwritev2(int fd, nint* iov, int iovcnt, long offset, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint getxattr(byte* path, byte* name, byte* value, nuint size);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int setxattr(byte* path, byte* name, byte* value, nuint size, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint listxattr(byte* path, byte* list, nuint size);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int removexattr(byte* path, byte* name);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int fchownat(int dirfd, byte* pathname, uint owner, uint group, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int utimensat(int dirfd, byte* pathname, Timespec* times, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int fstatvfs(int fd, StatVfs* buf);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int statx(int dirfd, byte* pathname, int flags, uint mask, byte* statxbuf);
}
