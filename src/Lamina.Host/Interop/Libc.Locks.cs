// What a process forbids itself: Landlock's and seccomp's calls, which the C library does not wrap. Sources: landlock(7), seccomp(2),
// include/uapi/linux/landlock.h, seccomp.h and filter.h.
using System.Runtime.InteropServices;

namespace Lamina.Host.Interop;

internal static unsafe partial class Libc
{
    internal const int PR_SET_NO_NEW_PRIVS = 38;
    internal const long SYS_seccomp = 317, SYS_landlock_create_ruleset = 444, SYS_landlock_add_rule = 445, SYS_landlock_restrict_self = 446;
    internal const int LANDLOCK_CREATE_RULESET_VERSION = 1, LANDLOCK_RULE_PATH_BENEATH = 1;
    internal const int SECCOMP_SET_MODE_FILTER = 1, SECCOMP_FILTER_FLAG_TSYNC = 1;
    internal const int RLIMIT_CORE = 4, SIGSYS = 31;

    [StructLayout(LayoutKind.Sequential)]
    internal struct LandlockRuleset
    {
        public ulong HandledFiles, HandledNet, Scoped;
    }

    [StructLayout(LayoutKind.Sequential, Pack = 1)]
    internal struct LandlockPathBeneath
    {
        public ulong Allowed;
        public int Parent;
    }

    /// <summary>One instruction of a filter: sock_filter.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal readonly record struct FilterInstruction(ushort Code, byte True, byte False, uint Value);

    /// <summary>sock_fprog.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct FilterProgram
    {
        public ushort Length;
        public FilterInstruction* Instructions;
    }

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    internal static partial long syscall(long number, nint a, nint b, nint c, nint d);
}
