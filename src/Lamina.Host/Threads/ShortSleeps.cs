// The sleeps of one thread that are often over before the host has put it to sleep and woken it again: two CPUs of a guest that wait for one
// another's interrupts. After a sleep that was short the thread looks for its wake-up as long as another one would take, and after a
// long one it does not, so that a guest at rest, and a host whose processors are all busy, pay nothing. KVM polls by the same rule (halt_poll_ns).
// What disks' queues do is Work/Polling of Lamina.Backends; waiting until something holds is ThreadSignal.
using Lamina.Host.Time;

namespace Lamina.Host.Threads;

/// <summary>Puts one thread to sleep, or lets it look.</summary>
public sealed class ShortSleeps
{
    /// <summary>The longest look, in nanoseconds; what takes longer is slept through.</summary>
    public const long Most = 50_000;

    private const long First = 10_000;
    private const int PausesPerLook = 1;

    private readonly Func<long> _now;
    private readonly bool _alone;

    /// <summary>For a thread of this host.</summary>
    public ShortSleeps()
        : this(static () => HostTime.MonotonicNanoseconds, Environment.ProcessorCount == 1)
    {
    }

    /// <summary>By a clock of nanoseconds; alone on the host's one processor there is nothing to look for.</summary>
    public ShortSleeps(Func<long> now, bool alone = false) => (_now, _alone) = (now, alone);

    /// <summary>How long the next sleep begins with a look, in nanoseconds.</summary>
    public long Look { get; private set; }

    /// <summary>Returns once the place is unparked, as <see cref="ThreadParker.Park"/>.</summary>
    /// <param name="place">The calling thread's.</param>
    public void Park(ThreadParker place)
    {
        if (_alone)
        {
            place.Park();
            return;
        }
        var began = _now();
        if (Look > 0 && LookFor(place, began + Look)) return;
        place.Park();
        Look = _now() - began <= Most ? Math.Clamp(Look * 2, First, Most) : 0;
    }

    private bool LookFor(ThreadParker place, long until)
    {
        do
        {
            if (place.TakeSignal()) return true;
            Thread.SpinWait(PausesPerLook);
        }
        while (_now() < until);
        return false;
    }
}
