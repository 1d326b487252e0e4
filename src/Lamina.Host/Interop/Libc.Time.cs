// Clocks, sleeping threads and their wake-ups.
using System.Runtime.InteropServices;

namespace Lamina.Host.Interop;

internal static unsafe partial class Libc
{
    internal const int CLOCK_MONOTONIC = 1;
    internal const int PR_SET_TIMERSLACK = 29;
    internal const long SYS_futex = 202, SYS_clock_gettime = 228;
    internal const int FUTEX_WAKE = 1, FUTEX_WAIT_BITSET = 9, FUTEX_PRIVATE_FLAG = 128;
    internal const uint FUTEX_BITSET_MATCH_ANY = uint.MaxValue;
    internal const int ETIMEDOUT = 110;

    /// <summary>struct timespec.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Timespec
    {
        internal long tv_sec;
        internal long tv_nsec;
    }

    // Answered by the vDSO in some tens of nanoseconds without blocking, so the collector need not be let in meanwhile.
    [LibraryImport("libc"), SuppressGCTransition]
    internal static partial int clock_gettime(int clockid, Timespec* tp);

    /// <summary>The same by the kernel, whatever the C library would do.</summary>
    [LibraryImport("libc", EntryPoint = "syscall"), SuppressGCTransition]
    internal static partial long clock_gettime(long number, int clockid, Timespec* tp);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int prctl(int option, nuint arg2, nuint arg3, nuint arg4, nuint arg5);

    /// <summary>futex(2), which the C library does not wrap.</summary>
    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    internal static partial long futex(long number, int* uaddr, int futex_op, uint val, Timespec* timeout, int* uaddr2, uint val3);
}
