// Landlock: a thread, and every process that it starts, can reach the files below some paths and no others, and no TCP port at all where
// that is said. It takes no privilege and cannot be undone. It holds for one thread and what that starts: a process is locked as a whole
// before its program begins (ConfinedProcess), or thread by thread (Enter). Source: landlock(7), landlock_restrict_self(2); the numbers are those
// of include/uapi/linux/landlock.h.
using Lamina.Host.Interop;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Host.Locks;

/// <summary>What may be done below a path.</summary>
[Flags]
public enum PathRights
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>Files are read, folders listed.</summary>
    Read = 1,

    /// <summary>Files are executed.</summary>
    Execute = 2,

    /// <summary>Files that are there are written and made shorter.</summary>
    Write = 4,

    /// <summary>Files, folders, sockets, pipes and links are made, removed and renamed.</summary>
    Change = 8,

    /// <summary>Devices are controlled: ioctl(2).</summary>
    Control = 16,

    /// <summary>Devices are made: mknod(2).</summary>
    Nodes = 32,
}

/// <summary>A path and what may be done below it.</summary>
public readonly record struct PathRule(string Path, PathRights Rights);

/// <summary>The lock.</summary>
public static unsafe class PathLock
{
    private const ulong ExecuteFile = 1 << 0, WriteFile = 1 << 1, ReadFile = 1 << 2, ReadFolder = 1 << 3, Truncate = 1 << 14, ControlDevice = 1 << 15, Refer = 1 << 13;

    // To remove folders and files; to make devices (which no kept machine may), folders, files, sockets, pipes and symbolic links.
    private const ulong Remove = (1 << 4) | (1 << 5), MakeDevices = (1 << 6) | (1 << 11), Make = (1 << 7) | (1 << 8) | (1 << 9) | (1 << 10) | (1 << 12);

    private const ulong OfFiles = ExecuteFile | WriteFile | ReadFile | Truncate | ControlDevice;
    private const ulong TcpBind = 1 << 0, TcpConnect = 1 << 1;
    private const ulong AbstractSockets = 1 << 0, Signals = 1 << 1;

    // From this version on rules are laid on all threads at once.
    private const int KnowsThreads = 8;

    /// <summary>The kernel's version of Landlock; 0 where it has none.</summary>
    public static int Version => (int)Math.Max(0, Libc.syscall(Libc.SYS_landlock_create_ruleset, 0, 0, Libc.LANDLOCK_CREATE_RULESET_VERSION, 0));

    /// <summary>Makes a set of rules, for whoever is to be locked by it. Paths that are not there give no right.</summary>
    /// <param name="rules">What may be reached.</param>
    /// <param name="mayUseTcp">Whether TCP ports may be used.</param>
    /// <param name="isOfThreads">Whether threads are locked by it one by one: then one could send another no signal, if it said anything of signals.</param>
    /// <returns>Its descriptor.</returns>
    /// <exception cref="HostException">The kernel has no Landlock, or refuses.</exception>
    internal static SafeFileHandle MakeRules(IEnumerable<PathRule> rules, bool mayUseTcp, bool isOfThreads = false)
    {
        var version = Version;
        if (version == 0) throw new HostException("the kernel has no Landlock");
        var handled = Handled(version);
        var ruleset = new Libc.LandlockRuleset { HandledFiles = handled, HandledNet = version >= 4 && !mayUseTcp ? TcpBind | TcpConnect : 0, Scoped = version < 6 ? 0 : isOfThreads ? AbstractSockets : AbstractSockets | Signals };
        var size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
        var descriptor = (int)Libc.syscall(Libc.SYS_landlock_create_ruleset, (nint)(&ruleset), size, 0, 0);
        if (descriptor < 0) throw HostException.FromErrno("cannot make a set of rules for Landlock");
        var made = new SafeFileHandle(descriptor, ownsHandle: true);
        try
        {
            foreach (var rule in rules) Add(descriptor, rule, handled);
            return made;
        }
        catch
        {
            made.Dispose();
            throw;
        }
    }

    /// <summary>Locks this process for good, with every thread that it has and will have.</summary>
    /// <param name="rules">What may be reached.</param>
    /// <param name="mayUseTcp">Whether TCP ports may be used.</param>
    /// <exception cref="HostException">The kernel has no Landlock, or refuses, or a thread cannot be locked; others may be by then.</exception>
    public static void Enter(IEnumerable<PathRule> rules, bool mayUseTcp)
    {
        var isAtOnce = Version >= KnowsThreads;
        using var made = MakeRules(rules, mayUseTcp, !isAtOnce);
        NoNewPrivileges();
        if (!isAtOnce) ThreadRestriction.Enter(made);
        else if (Libc.syscall(Libc.SYS_landlock_restrict_self, (nint)made.DangerousGetHandle(), Libc.LANDLOCK_RESTRICT_SELF_TSYNC, 0, 0) != 0) throw HostException.FromErrno("cannot restrict this process by Landlock");
    }

    /// <summary>No program that the calling thread or what it starts executes gains privileges by it. prctl(2), PR_SET_NO_NEW_PRIVS.</summary>
    public static void NoNewPrivileges()
    {
        if (Libc.prctl(Libc.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) throw HostException.FromErrno("cannot give up new privileges");
    }

    private static void Add(int ruleset, PathRule rule, ulong handled)
    {
        var path = Libc.open(rule.Path, Libc.O_PATH | Libc.O_CLOEXEC, 0);
        if (path < 0) return;
        try
        {
            var allowed = Bits(rule.Rights) & handled & (Directory.Exists(rule.Path) ? ulong.MaxValue : OfFiles);
            if (allowed == 0) return;
            var beneath = new Libc.LandlockPathBeneath { Allowed = allowed, Parent = path };
            if (Libc.syscall(Libc.SYS_landlock_add_rule, ruleset, Libc.LANDLOCK_RULE_PATH_BENEATH, (nint)(&beneath), 0) != 0) throw HostException.FromErrno($"cannot let {rule.Path} through Landlock");
        }
        finally
        {
            _ = Libc.close(path);
        }
    }

    /// <summary>A rule's bits below a folder, for landlock_add_rule.</summary>
    internal static ulong OfFolder(PathRights rights) => Bits(rights) & Handled(Version);

    private static ulong Handled(int version) => ExecuteFile | WriteFile | ReadFile | ReadFolder | Remove | MakeDevices | Make
        | (version >= 2 ? Refer : 0) | (version >= 3 ? Truncate : 0) | (version >= 5 ? ControlDevice : 0);

    private static ulong Bits(PathRights rights) =>
        (rights.HasFlag(PathRights.Read) ? ReadFile | ReadFolder : 0) | (rights.HasFlag(PathRights.Execute) ? ExecuteFile : 0) | (rights.HasFlag(PathRights.Write) ? WriteFile | Truncate : 0)
        | (rights.HasFlag(PathRights.Nodes) ? MakeDevices : 0)
        | (rights.HasFlag(PathRights.Change) ? Remove | Make | Refer : 0) | (rights.HasFlag(PathRights.Control) ? ControlDevice : 0);
}
