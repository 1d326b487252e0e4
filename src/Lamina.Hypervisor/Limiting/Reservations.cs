// What is reserved on this host by a user's machines, read from their definitions and pools, under a lock that whoever starts such a machine
// holds until it runs.
using System.Diagnostics;
using Lamina.Doctor;
using Lamina.Host.Io;
using Lamina.Hypervisor.Pools;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Limiting;

/// <summary>Takes reservations.</summary>
internal static class Reservations
{
    private const string Lock = ".reservations";

    // As long as a machine takes to start on a slow host.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2), LookAgain = TimeSpan.FromMilliseconds(5);

    /// <summary>Finds out whether what a machine reserves can be had.</summary>
    /// <returns>What is held until the machine runs or has failed to; null where it reserves nothing.</returns>
    /// <exception cref="MachineException">It cannot be had, with the figures.</exception>
    internal static IDisposable? Take(MachineStore store, Reserving asks, IReadOnlyList<Pool> chain)
    {
        if (!Admission.Concerns(asks.Definition, chain)) return null;
        var begin = Stopwatch.GetTimestamp();
        HostLock? held;
        while ((held = HostLock.TryTake(Path.Combine(store.Folder, Lock))) is null)
        {
            if (Stopwatch.GetElapsedTime(begin) > Patience) throw new MachineException(MachineError.Busy, $"another machine with a reservation has been starting for {Patience.TotalSeconds:0} s; try again when it runs");
            Thread.Sleep(LookAgain);
        }
        try
        {
            var running = store.List().Where(machine => machine.IsRunning && machine.Definition is not null).Select(machine => new Reserving(machine.Name, machine.Definition!)).ToList();
            Admission.Check(asks, running, new PoolStore(store).List(), new HostCapacity((ulong)Environment.ProcessorCount * 100, HostTotals.Memory ?? ulong.MaxValue));
            return held;
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }
}
