// Whether this host's time may be read by its processors' time-stamp counter. The kernel has looked into it: it chooses the counter as its
// clock only where that ticks at one rate and is the same on all processors, and says so. A hypervisor's clock is the counter's, too, where
// the hypervisor promises the same; then the kernel lets programs work it out for themselves, which is told from a call by its time.
using Lamina.Host.Interop;

namespace Lamina.Host.Time;

/// <summary>Whether time may be read by the counter.</summary>
public static unsafe class CounterTrust
{
    private const string Source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    private const int Tries = 64;

    /// <summary>Asks this host.</summary>
    /// <param name="counter">Its counter.</param>
    /// <param name="read">The text of a file of the host's kernel, or null.</param>
    public static bool Holds(TimeStampCounter counter, Func<string, string?> read) =>
        Holds(TimeStampCounter.IsInvariant, read(Source), () => (Least(counter, ByLibrary), Least(counter, ByKernel)));

    /// <summary>Judges.</summary>
    /// <param name="isInvariant">The processor says that the counter ticks at one rate.</param>
    /// <param name="source">The name of the kernel's clock; null where it cannot be read.</param>
    /// <param name="ticks">The least ticks of asking for the time, as programs do and by a system call.</param>
    internal static bool Holds(bool isInvariant, string? source, Func<(ulong Library, ulong Kernel)> ticks) => isInvariant && source?.Trim() switch
    {
        "tsc" => true,
        "kvm-clock" or "hyperv_clocksource_tsc_page" => ticks() is var (library, kernel) && library < kernel / 4 * 3,
        _ => false,
    };

    private static ulong Least(TimeStampCounter counter, Action ask)
    {
        var least = ulong.MaxValue;
        for (var i = 0; i < Tries; i++)
        {
            var before = counter.ReadInOrder();
            ask();
            least = Math.Min(least, counter.ReadInOrder() - before);
        }
        return least;
    }

    private static void ByLibrary() => _ = HostTime.MonotonicNanoseconds;

    private static void ByKernel()
    {
        Libc.Timespec now;
        _ = Libc.clock_gettime(Libc.SYS_clock_gettime, Libc.CLOCK_MONOTONIC, &now);
    }
}
