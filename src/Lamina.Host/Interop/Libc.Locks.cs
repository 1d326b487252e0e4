// What a process forbids itself: Landlock's and seccomp's calls, which the C library does not wrap. Sources: landlock(7), seccomp(2),
// include/uapi/linux/landlock.h, seccomp.h and filter.h.
using System.Runtime.InteropServices;

namespace Lamina.Host.Interop;

internal static unsafe partial class Libc
{
    internal const int PR_SET_NO_NEW_PRIVS = 38;
    internal const int PR_CAPBSET_DROP = 24, PR_CAP_AMBIENT = 47, PR_CAP_AMBIENT_RAISE = 2, CAP_SYS_CHROOT = 18;
    internal const nint CLONE_VM = 0x100, CLONE_FILES = 0x400, CLONE_VFORK = 0x4000, CLONE_NEWNS = 0x2_0000, CLONE_NEWUTS = 0x400_0000, CLONE_NEWIPC = 0x800_0000, CLONE_NEWUSER = 0x1000_0000, CLONE_NEWPID = 0x2000_0000, CLONE_NEWNET = 0x4000_0000;
    internal const nint MS_NOSUID = 2, MS_NODEV = 4, MS_NOEXEC = 8, MS_BIND = 0x1000, MS_REC = 0x4000, MS_UNBINDABLE = 0x2_0000, MS_SLAVE = 0x8_0000, MNT_DETACH = 2;
    internal const ulong MOUNT_ATTR_RDONLY = 1, MOUNT_ATTR_NOSUID = 2, MOUNT_ATTR_NODEV = 4, MOUNT_ATTR_NOEXEC = 8;
    internal const int AT_RECURSIVE = 0x8000, MountAttributesLength = 32, SIGCHLD = 17, SIG_SETMASK = 2, __WALL = 0x4000_0000, WNOHANG = 1;
    internal const long SYS_seccomp = 317, SYS_landlock_create_ruleset = 444, SYS_landlock_add_rule = 445, SYS_landlock_restrict_self = 446, SYS_rt_tgsigqueueinfo = 297;
    internal const int LANDLOCK_CREATE_RULESET_VERSION = 1, LANDLOCK_RULE_PATH_BENEATH = 1, LANDLOCK_RESTRICT_SELF_TSYNC = 8;
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

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int waitpid(int pid, int* wstatus, int options);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int pipe2(int* pipefd, int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int chroot(string path);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int chdir(string path);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int setgroups(nuint size, uint* list);

    /// <summary>Of every thread, which the C library sees to.</summary>
    [LibraryImport("libc", SetLastError = true)]
    internal static partial int setresgid(uint rgid, uint egid, uint sgid);

    /// <summary>Of every thread, which the C library sees to.</summary>
    [LibraryImport("libc", SetLastError = true)]
    internal static partial int setresuid(uint ruid, uint euid, uint suid);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int lchown(string path, uint owner, uint group);

    [LibraryImport("libc")]
    internal static partial uint getegid();

    /// <summary>With a null buffer it makes one, which free(3) gives back.</summary>
    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial byte* realpath(string path, byte* resolved);
}
