// What the host lets this process have: open files, and the length of a file. getrlimit(2). Who starts machines or writes files has the
// process take what it may have, and find an error where it may not, before anything depends on it.
using Lamina.Host.Interop;

namespace Lamina.Host.Io;

/// <summary>The process's limits.</summary>
public static unsafe class HostLimits
{
    /// <summary>How many files a process may have open unless somebody says otherwise.</summary>
    public const int UsualDescriptors = Libc.UsualDescriptors;

    /// <summary>Raises the limit of open files as far as this process may, and says what it is.</summary>
    public static int RaiseDescriptors()
    {
        Libc.RLimit limit;
        if (Libc.getrlimit(Libc.RLIMIT_NOFILE, &limit) != 0) return Libc.UsualDescriptors;
        var raised = limit with { rlim_cur = limit.rlim_max };
        if (limit.rlim_cur < limit.rlim_max && Libc.setrlimit(Libc.RLIMIT_NOFILE, &raised) == 0) limit = raised;
        return (int)Math.Min(limit.rlim_cur, int.MaxValue);
    }

    /// <summary>A file that may not become longer (ulimit -f) is an error from now on, as a full disk is, instead of a signal that ends the process.</summary>
    public static void IgnoreFileSizeSignal()
    {
        var ignore = new Libc.SigAction { Handler = Libc.SIG_IGN };
        _ = Libc.sigaction(Libc.SIGXFSZ, &ignore, null);
    }
}
