// How much memory a guest is to do without while the host runs short, and when it gets it back: a rule over figures, which knows no guest,
// no host and no clock. Every machine follows it by itself; that the host has little, all of them see.
using Lamina.Host;

namespace Lamina.Life;

/// <summary>What the rule looks at, in bytes.</summary>
/// <param name="HostFree">What the host, or the control groups that the process is in, can still give.</param>
/// <param name="HostTotal">What it has in all.</param>
/// <param name="Memory">The guest's memory.</param>
/// <param name="Least">What the guest is to have at least.</param>
/// <param name="Actual">What the guest does without now.</param>
/// <param name="GuestAvailable">What the guest says its programs could still get; null where it does not say.</param>
internal readonly record struct BalloonFigures(ulong HostFree, ulong HostTotal, ulong Memory, ulong Least, ulong Actual, ulong? GuestAvailable);

/// <summary>The rule.</summary>
internal static class BalloonPolicy
{
    // Parts of the host's memory: below the first the guest gives, above the second it gets. Between the two all stays as it is.
    private const ulong ShortPart = 6, PlentyPart = 3;

    // A guest keeps a sixteenth of its memory available, and some in any case, so that what it gives is never what its programs need.
    private const ulong SparePart = 16, LeastSpare = 32ul << 20;

    // It gets back a sixteenth of its memory at once, and gives no more than a quarter.
    private const ulong GetPart = 16, GivePart = 4;

    /// <summary>Whether the host is so far from running short that a look now and then does.</summary>
    internal static bool IsEasy(ulong free, ulong total) => free > total / 2;

    /// <summary>What the guest is to do without.</summary>
    /// <param name="now">The figures.</param>
    /// <param name="target">What it was asked to do without.</param>
    internal static ulong Next(BalloonFigures now, ulong target)
    {
        var most = now.Memory - Math.Min(now.Memory, now.Least);
        var spare = Math.Max(now.Memory / SparePart, LeastSpare);
        // The guest first: one that has too little gets it back whatever the host has.
        if (now.GuestAvailable < spare) return Pages(Math.Min(most, target - Math.Min(target, spare - now.GuestAvailable.Value)));
        if (now.HostFree < now.HostTotal / ShortPart)
        {
            var wanted = Math.Min(now.HostTotal / ShortPart - now.HostFree, now.Memory / GivePart);
            // What it was asked for and has not given yet is on its way.
            var underWay = target - Math.Min(target, now.Actual);
            var can = now.GuestAvailable is { } available ? available - spare - Math.Min(available - spare, underWay) : now.Memory / GetPart;
            return Pages(Math.Min(most, target + Math.Min(wanted - Math.Min(wanted, underWay), can)));
        }
        return now.HostFree > now.HostTotal / PlentyPart ? Pages(Math.Min(most, target - Math.Min(target, now.Memory / GetPart))) : Math.Min(most, target);
    }

    private static ulong Pages(ulong bytes) => bytes & ~(ulong)(HostReservation.PageSize - 1);
}
