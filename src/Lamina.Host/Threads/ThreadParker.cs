// Puts one thread to sleep until another wakes it or a moment comes: a futex with a latch, since neither .NET's events
// nor its timed waits know deadlines finer than a millisecond. Timer threads and queue workers sleep in these.
using System.Runtime.InteropServices;
using Lamina.Host.Interop;
using Lamina.Host.Time;

namespace Lamina.Host.Threads;

/// <summary>A place for one thread to sleep in. A wake-up that comes while it is awake is kept (once) for the next sleep.</summary>
public sealed unsafe class ThreadParker
{
    private const int Awake = 0, Signalled = 1, Asleep = -1;

    // Pinned, because the kernel knows it by its address.
    private readonly int[] _word = GC.AllocateArray<int>(1, pinned: true);

    /// <summary>Takes the wake-up that is kept for the next sleep, which then stands for that sleep. False: there is none. Only the thread that sleeps here.</summary>
    public bool TakeSignal() => Volatile.Read(ref _word[0]) == Signalled && Interlocked.CompareExchange(ref _word[0], Awake, Signalled) == Signalled;

    /// <summary>Sleeps until <see cref="Unpark"/>. Only ever one thread at a time.</summary>
    public void Park() => ParkUntil(long.MaxValue);

    /// <summary>Sleeps until <see cref="Unpark"/> or a moment.</summary>
    /// <param name="deadline">Nanoseconds as of <see cref="HostTime.MonotonicNanoseconds"/>; <see cref="long.MaxValue"/> is never.</param>
    /// <returns>Whether it was woken; false: the moment has come.</returns>
    public bool ParkUntil(long deadline)
    {
        ref var word = ref _word[0];
        if (Interlocked.CompareExchange(ref word, Asleep, Awake) == Signalled)
        {
            // A full barrier, so that what the waker changed before is seen by whoever looks after this returns.
            Interlocked.Exchange(ref word, Awake);
            return true;
        }
        var until = new Libc.Timespec { tv_sec = Math.Max(deadline, 0) / 1_000_000_000, tv_nsec = Math.Max(deadline, 0) % 1_000_000_000 };
        while (true)
        {
            // Holds: the array is pinned, and a deadline that is absolute makes an interrupted wait repeatable.
            fixed (int* address = _word)
            {
                var result = Libc.futex(Libc.SYS_futex, address, Libc.FUTEX_WAIT_BITSET | Libc.FUTEX_PRIVATE_FLAG, unchecked((uint)Asleep),
                    deadline == long.MaxValue ? null : &until, null, Libc.FUTEX_BITSET_MATCH_ANY);
                if (result != 0 && Marshal.GetLastPInvokeError() == Libc.ETIMEDOUT) return Interlocked.Exchange(ref word, Awake) == Signalled;
            }
            if (Interlocked.CompareExchange(ref word, Awake, Signalled) == Signalled) return true;
        }
    }

    /// <summary>Wakes the thread that sleeps, or the next one to sleep. Any thread; a system call only where one sleeps.</summary>
    public void Unpark()
    {
        if (Interlocked.Exchange(ref _word[0], Signalled) != Asleep) return;
        fixed (int* address = _word) _ = Libc.futex(Libc.SYS_futex, address, Libc.FUTEX_WAKE | Libc.FUTEX_PRIVATE_FLAG, 1, null, null, 0);
    }
}
