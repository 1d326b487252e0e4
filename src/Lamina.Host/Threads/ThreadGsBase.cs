// The calling thread's GS base, by the kernel: it keeps what it sets, whatever else it allows.
using Lamina.Host.Interop;

namespace Lamina.Host.Threads;

/// <summary>The GS base of threads, which neither the C library nor .NET uses.</summary>
public static class ThreadGsBase
{
    /// <summary>arch_prctl(2): its number, and what it is asked for.</summary>
    public const int SystemCall = 158, SetGs = 0x1001;

    /// <summary>Sets the calling thread's.</summary>
    /// <exception cref="HostException">The host refuses.</exception>
    public static void Set(ulong address)
    {
        if (Libc.arch_prctl(SystemCall, SetGs, address) != 0) throw HostException.FromErrno("cannot set a thread's GS base");
    }
}
