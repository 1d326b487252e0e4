// Converts between the machine clock's nanoseconds and the ticks of an oscillator without overflow or drift.
namespace Lamina.Devices.Chipset;

internal static class TickMath
{
    internal const long NanosecondsPerSecond = 1_000_000_000;

    /// <summary>The shortest time between two expiries that one programming of a periodic timer may cause on the host.</summary>
    /// <remarks>A guest may ask for a period of a microsecond; the host's timer thread must survive that.</remarks>
    internal const long ShortestPeriod = 50_000;

    /// <summary>Whole ticks of <paramref name="hertz"/> in a time; negative times count as none.</summary>
    internal static long Ticks(long nanoseconds, ulong hertz)
    {
        if (nanoseconds <= 0) return 0;
        // Seconds and what is left of one in 64 bits: for all oscillators and for decades. Guests read these clocks all the time.
        var (seconds, rest) = Math.DivRem((ulong)nanoseconds, NanosecondsPerSecond);
        return hertz <= uint.MaxValue && seconds <= int.MaxValue
            ? (long)(seconds * hertz + rest * hertz / NanosecondsPerSecond)
            : (long)UInt128.Min((UInt128)(ulong)nanoseconds * hertz / NanosecondsPerSecond, long.MaxValue);
    }

    /// <summary>The first nanosecond at which that many ticks are over; saturates.</summary>
    internal static long Nanoseconds(ulong ticks, ulong hertz) =>
        (long)UInt128.Min(((UInt128)ticks * NanosecondsPerSecond + hertz - 1) / hertz, long.MaxValue);

    /// <summary>A deadline that saturates instead of wrapping.</summary>
    internal static long After(long now, long delay) => delay > long.MaxValue - now ? long.MaxValue : now + delay;
}
