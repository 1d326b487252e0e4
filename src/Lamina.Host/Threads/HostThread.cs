// A thread of this process as the host's scheduler sees it: the processor time that it took, which processors it may run on, and how much
// it gives way to others. It is asked and told by any thread.
using System.Runtime.InteropServices;
using Lamina.Host.Interop;

namespace Lamina.Host.Threads;

/// <summary>A thread of the operating system.</summary>
public sealed unsafe class HostThread
{
    /// <summary>The highest number of a processor that a thread can be bound to, and the bounds of <see cref="TrySetNice"/>. sched(7).</summary>
    public const int MostProcessor = 1023, LeastNice = -20, MostNice = 19;

    // A clock of one thread: its number inverted, three bits on, CPUCLOCK_PERTHREAD_MASK and CPUCLOCK_SCHED. include/linux/posix-timers.h.
    private const int PerThreadSchedulerClock = 4 | 2;

    private readonly int _thread = (int)Libc.gettid(Libc.SYS_gettid);
    private long _last;

    /// <summary>Processor time that the thread took so far, in nanoseconds, its guest's included; once it has ended, what was seen last.</summary>
    public long CpuNanoseconds
    {
        get
        {
            Libc.Timespec time = default;
            if (Libc.thread_clock_gettime(~_thread << 3 | PerThreadSchedulerClock, &time) == 0) Volatile.Write(ref _last, time.tv_sec * 1_000_000_000 + time.tv_nsec);
            return Volatile.Read(ref _last);
        }
    }

    /// <summary>Has the thread run on some processors only. sched_setaffinity(2).</summary>
    /// <param name="processors">Their numbers.</param>
    /// <exception cref="HostException">There is none of them for this process.</exception>
    public void RunOn(IReadOnlyList<int> processors)
    {
        var mask = stackalloc ulong[(MostProcessor + 1) / 64];
        new Span<ulong>(mask, (MostProcessor + 1) / 64).Clear();
        foreach (var processor in processors) mask[processor / 64] |= 1ul << processor % 64;
        if (Libc.sched_setaffinity(_thread, (MostProcessor + 1) / 8, mask) != 0) throw HostException.FromErrno($"cannot have a thread run on the processors {string.Join(", ", processors)}");
    }

    /// <summary>Has the thread give way to others, 19 the most and -20 the least. setpriority(2).</summary>
    /// <returns>Whether that is permitted: less takes a privilege.</returns>
    public bool TrySetNice(int nice) => Libc.setpriority(Libc.PRIO_PROCESS, (uint)_thread, nice) == 0;
}
