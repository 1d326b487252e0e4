// The clocks of a machine as part of its saved state. All that devices and vCPUs remember of time is in these clocks, so they go on where
// they stood, however long the machine lay on a disk and whatever its next host's own clocks show.
namespace Lamina.Core.Time;

/// <summary>A machine's clocks at one moment.</summary>
/// <param name="Nanoseconds"><see cref="IMachineClock.NowNanoseconds"/>.</param>
/// <param name="Tsc"><see cref="IMachineClock.ReadTsc"/>.</param>
/// <param name="TscHz"><see cref="IMachineClock.TscHz"/>: what the guest was told, which it is never told again.</param>
/// <param name="WallClock">The host's wall clock, from which follows for how long the machine stood still.</param>
public sealed record SavedClock(long Nanoseconds, ulong Tsc, ulong TscHz, DateTimeOffset WallClock);
