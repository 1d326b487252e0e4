// Device files, signals to single threads, random numbers.
using System.Runtime.InteropServices;

namespace Lamina.Host.Interop;

internal static unsafe partial class Libc
{
    internal const int ENOENT = 2, EACCES = 13;
    internal const int SA_RESTART = 0x1000_0000;
    internal const long SYS_gettid = 186, SYS_tgkill = 234, SYS_userfaultfd = 323;

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int ioctl(int fd, nuint request, void* argp);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint getrandom(byte* buf, nuint buflen, uint flags);

    /// <summary>gettid(2).</summary>
    [LibraryImport("libc", EntryPoint = "syscall")]
    internal static partial long gettid(long number);

    /// <summary>arch_prctl(2).</summary>
    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    internal static partial long arch_prctl(long number, int operation, ulong address);

    /// <summary>tgkill(2), which the C library does not wrap everywhere.</summary>
    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    internal static partial long tgkill(long number, long tgid, long tid, long sig);
}
