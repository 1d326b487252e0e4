// How many descriptors this process may have: for those who would like to keep many. getrlimit(2).
using Lamina.Host.Interop;

namespace Lamina.Host.Io;

/// <summary>The process's descriptors.</summary>
public static unsafe class HostDescriptors
{
    /// <summary>Raises the limit as far as this process may, and says what it is.</summary>
    public static int RaiseLimit()
    {
        Libc.RLimit limit;
        if (Libc.getrlimit(Libc.RLIMIT_NOFILE, &limit) != 0) return Libc.UsualDescriptors;
        var raised = limit with { rlim_cur = limit.rlim_max };
        if (limit.rlim_cur < limit.rlim_max && Libc.setrlimit(Libc.RLIMIT_NOFILE, &raised) == 0) limit = raised;
        return (int)Math.Min(limit.rlim_cur, int.MaxValue);
    }
}
