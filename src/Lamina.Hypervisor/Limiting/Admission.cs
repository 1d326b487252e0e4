// Whether what a machine reserves of the host can be had: decided when it starts, from the definitions of the machines that run and of the
// pools. Nobody keeps a list: whoever starts a machine that reserves something holds a lock until it runs, so that the next one sees it.
using Lamina.Hypervisor.Pools;

namespace Lamina.Hypervisor.Limiting;

/// <summary>What a host has to give.</summary>
/// <param name="CpuPercent">Its processors, in percent of one.</param>
/// <param name="MemoryBytes">Its memory.</param>
internal sealed record HostCapacity(ulong CpuPercent, ulong MemoryBytes);

/// <summary>A machine that reserves something, or may.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Definition">What it is.</param>
internal sealed record Reserving(string Name, MachineDefinition Definition);

/// <summary>Decides on reservations.</summary>
internal static class Admission
{
    private sealed record Kind(string Property, Func<MachineDefinition, ulong> OfMachine, Func<PoolDefinition, ulong> OfPool, Func<HostCapacity, ulong> OfHost, Func<ulong, string> Format, string What);

    private static readonly Kind[] Kinds =
    [
        new("cpu-reserve", machine => (ulong)(machine.CpuReserve ?? 0), pool => (ulong)(pool.CpuReserve ?? 0), host => host.CpuPercent, percent => $"{percent}%", "processors"),
        new("memory-reserve", machine => machine.MemoryReserve ?? 0, pool => pool.MemoryReserve ?? 0, host => host.MemoryBytes, ByteSize.Format, "memory"),
    ];

    /// <summary>Whether a machine reserves anything, or is in a pool that does.</summary>
    internal static bool Concerns(MachineDefinition machine, IReadOnlyList<Pool> chain) => Kinds.Any(kind => kind.OfMachine(machine) != 0 || chain.Any(pool => kind.OfPool(pool.Definition) != 0));

    /// <summary>Refuses a machine whose reservation cannot be had.</summary>
    /// <param name="asks">The machine that is to start.</param>
    /// <param name="running">Those that run.</param>
    /// <param name="pools">All pools.</param>
    /// <param name="host">What there is.</param>
    /// <exception cref="MachineException">It cannot; with the figures.</exception>
    internal static void Check(Reserving asks, IReadOnlyList<Reserving> running, IReadOnlyList<Pool> pools, HostCapacity host)
    {
        foreach (var kind in Kinds)
        {
            var asked = kind.OfMachine(asks.Definition);
            var others = running.Where(other => other.Name != asks.Name).ToList();
            // From the machine's own pool upwards: the first that reserves something has to have room, and nobody above sees a difference then.
            var place = asks.Definition.Pool;
            for (; place is not null && pools.First(pool => pool.Name == place) is var pool; place = pool.Definition.Parent)
            {
                if (kind.OfPool(pool.Definition) is not (> 0 and var reserved)) continue;
                if (asked != 0) Require(kind, asked, reserved, Inside(kind, pool.Name, others, pools), $"the pool {pool.Name} reserves", "its running machines");
                asked = 0;
            }
            // A pool's own reservation is held whether its machines run or not.
            var held = Inside(kind, null, others, pools);
            if (asked != 0) Require(kind, asked, kind.OfHost(host), held, "the host has", "pools and running machines");
            else if (kind.OfMachine(asks.Definition) != 0 && held > kind.OfHost(host)) throw new MachineException(MachineError.Busy, $"{kind.Property}: pools and running machines reserve {kind.Format(held)} of {kind.What}, and the host has {kind.Format(kind.OfHost(host))}; reserve less");
        }
    }

    private static void Require(Kind kind, ulong asked, ulong whole, ulong held, string who, string others)
    {
        if (held <= whole && asked <= whole - held) return;
        throw new MachineException(MachineError.Busy, $"{kind.Property}: {kind.Format(asked)} of {kind.What} cannot be reserved: {who} {kind.Format(whole)}, of which {others} reserve {kind.Format(held)}; reserve less, or end something that reserves");
    }

    // What is reserved by what is right inside a pool, or the host.
    private static ulong Inside(Kind kind, string? place, IReadOnlyList<Reserving> running, IReadOnlyList<Pool> pools)
    {
        ulong sum = 0;
        foreach (var machine in running)
            if (machine.Definition.Pool == place) sum += kind.OfMachine(machine.Definition);
        foreach (var pool in pools)
            if (pool.Definition.Parent == place) sum += kind.OfPool(pool.Definition) is > 0 and var own ? own : Inside(kind, pool.Name, running, pools);
        return sum;
    }
}
