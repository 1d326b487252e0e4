// Declarations for files that hold disks: positional input and output, holes, locks, block devices; see Libc.cs.
using System.Runtime.InteropServices;
using Lamina.Host.Io;

namespace Lamina.Host.Interop;

internal static unsafe partial class Libc
{
    internal const int O_CREAT = 0x40, O_EXCL = 0x80, O_DIRECT = 0x4000;
    internal const int ENXIO = 6, EINVAL = 22, EFBIG = 27, ENOSPC = 28, EROFS = 30, EOPNOTSUPP = 95, EDQUOT = 122;
    internal const int SEEK_END = 2, SEEK_DATA = 3, SEEK_HOLE = 4;
    internal const int FALLOC_FL_KEEP_SIZE = 1, FALLOC_FL_PUNCH_HOLE = 2, FALLOC_FL_ZERO_RANGE = 16;
    internal const int IOV_MAX = 1024;
    internal const int F_OFD_GETLK = 36, F_OFD_SETLK = 37;
    internal const short F_RDLCK = 0, F_WRLCK = 1, F_UNLCK = 2, SEEK_SET = 0;
    internal const int RWF_NOWAIT = 8;
    internal const int S_IFBLK = 0x6000, S_IFREG = 0x8000, S_IFDIR = 0x4000, S_IFCHR = 0x2000;
    internal const int AT_EMPTY_PATH = 0x1000;
    internal const uint STATX_INO = 0x100;

    // linux/fs.h
    internal const nuint BLKGETSIZE64 = 0x80081272, BLKSSZGET = 0x1268, BLKPBSZGET = 0x127b, BLKDISCARD = 0x1277, BLKZEROOUT = 0x127f;

    /// <summary>struct flock on x86-64.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Flock
    {
        internal short l_type;
        internal short l_whence;
        internal long l_start;
        internal long l_len;
        internal int l_pid;
    }

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint pread(int fd, byte* buf, nuint count, long offset);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint pwrite(int fd, byte* buf, nuint count, long offset);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint preadv(int fd, IoVector* iov, int iovcnt, long offset);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint preadv2(int fd, IoVector* iov, int iovcnt, long offset, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint pwritev(int fd, IoVector* iov, int iovcnt, long offset);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int fdatasync(int fd);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int fallocate(int fd, int mode, long offset, long len);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial long lseek(int fd, long offset, int whence);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int fcntl(int fd, int cmd, Flock* arg);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int ioctl(int fd, nuint request, ulong* argument);
}
