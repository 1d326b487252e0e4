// What a pool says, put in force for the machines that run in it.
using Lamina.Hypervisor.Pools;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Limiting;

/// <summary>Limits of pools.</summary>
public static class PoolLimits
{
    /// <summary>Puts a pool's limits in force; where none of its machines runs, or the host has no control groups for this user, nothing is to be done.</summary>
    /// <param name="machines">The machines' store.</param>
    /// <param name="chain">The pool and those above it, in this order.</param>
    /// <exception cref="IOException">The host refuses.</exception>
    public static void Apply(MachineStore machines, IReadOnlyList<Pool> chain)
    {
        ArgumentNullException.ThrowIfNull(machines);
        ArgumentNullException.ThrowIfNull(chain);
        LimitGroups.Apply(machines, chain);
    }

    /// <summary>Whether the host's kernel ended a machine's process for a memory limit.</summary>
    internal static bool WasEndedForMemory(MachineListing machine)
    {
        try
        {
            var pools = machine.Definition?.Pool is { } pool ? new PoolStore(new MachineStore(Path.GetDirectoryName(machine.Home.Folder)!)).WithParents(pool) : [];
            return LimitGroups.WasEndedForMemory(machine.Home, pools);
        }
        catch (MachineException)
        {
            // A pool that is not there any more tells nothing.
            return false;
        }
    }
}
