// What a machine clock offers beyond the devices' contract when the guest's time-stamp counter is the host's plus an
// offset: an engine that lets the guest execute RDTSC natively needs the offset itself, not a reading.
namespace Lamina.Core.Time;

/// <summary>A machine clock whose guest TSC is the host's RDTSC plus <see cref="TscOffset"/>.</summary>
public interface IHostTscClock : IMachineClock
{
    /// <summary>
    /// Added to the host's RDTSC it gives the guest's. It changes only when the clock resumes after a pause, so an engine
    /// reads it again each time it starts to run a vCPU.
    /// </summary>
    long TscOffset { get; }
}
