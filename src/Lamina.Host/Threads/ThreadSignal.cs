// Where threads wait until something holds that others bring about: a count of changes that the kernel lets them sleep on (futex). .NET's
// own waits give the processor away by sched_yield before they sleep, which on a busy host costs the rest of a time slice,
// milliseconds; here a thread looks for a few microseconds at most, and only while that pays, then sleeps and is woken.
// For one thread that is told to go on, with deadlines, see ThreadParker.
using System.Runtime.CompilerServices;
using Lamina.Host.Interop;

namespace Lamina.Host.Threads;

/// <summary>Tells threads that wait that something changed.</summary>
/// <param name="plainChanges">
/// What is looked at may be changed by a plain store before <see cref="Signal"/>, without a barrier: whoever waits pays instead, by having all
/// processors of the process finish their stores before it sleeps (membarrier(2)).
/// </param>
public sealed unsafe class ThreadSignal(bool plainChanges = false)
{
    // About three microseconds, and how often no look is taken after one in vain.
    private const int Looks = 32, PausesPerLook = 8, MostDoubt = 64;

    private static readonly bool Alone = Environment.ProcessorCount == 1;

    // The count of changes, and how many threads wait. Pinned, because the kernel knows it by its address.
    private readonly int[] _words = GC.AllocateArray<int>(2, pinned: true);

    // Hints only: races of the threads that wait do no harm.
    private int _doubt, _skips;

    /// <summary>How many threads wait.</summary>
    public int Waiting => Volatile.Read(ref _words[1]);

    /// <summary>Returns once something holds. It is looked at by this thread, at first and after each <see cref="Signal"/>.</summary>
    /// <param name="holds">Whether it does; any number of times.</param>
    /// <param name="of">What is looked at.</param>
    public void WaitUntil<T>(Func<T, bool> holds, T of)
    {
        if (holds(of) || LookFor(holds, of)) return;
        Interlocked.Increment(ref _words[1]);
        // Whoever changes it from here on sees that somebody waits; what was changed before is seen here.
        if (plainChanges) Interlocked.MemoryBarrierProcessWide();
        while (true)
        {
            var seen = Volatile.Read(ref _words[0]);
            Interlocked.MemoryBarrier();
            if (holds(of)) break;
            // Holds: the array is pinned. A change after it was seen, or a signal of the host's, ends the sleep; then it is looked at again.
            fixed (int* address = _words)
                _ = Libc.futex(Libc.SYS_futex, address, Libc.FUTEX_WAIT_BITSET | Libc.FUTEX_PRIVATE_FLAG, (uint)seen, null, null, Libc.FUTEX_BITSET_MATCH_ANY);
        }
        Interlocked.Decrement(ref _words[1]);
    }

    /// <summary>
    /// Lets all that wait look again, after what they look at was changed: by an interlocked operation, or with a full barrier behind it, so
    /// that whoever is not counted yet sees it; with plain changes by any volatile store. Any thread; a system call only where one sleeps.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Signal()
    {
        if (Volatile.Read(ref _words[1]) != 0) Wake();
    }

    private void Wake()
    {
        Interlocked.Increment(ref _words[0]);
        fixed (int* address = _words) _ = Libc.futex(Libc.SYS_futex, address, Libc.FUTEX_WAKE | Libc.FUTEX_PRIVATE_FLAG, int.MaxValue, null, null, 0);
    }

    // Where all processors have others to run, looks are in vain and are given up; now and then one is tried.
    private bool LookFor<T>(Func<T, bool> holds, T of)
    {
        if (Alone) return false;
        if (_skips > 0)
        {
            _skips--;
            return false;
        }
        for (var i = 0; i < Looks; i++)
        {
            Thread.SpinWait(PausesPerLook);
            if (!holds(of)) continue;
            _doubt /= 2;
            return true;
        }
        _skips = _doubt = Math.Min(_doubt * 2 + 1, MostDoubt);
        return false;
    }
}
