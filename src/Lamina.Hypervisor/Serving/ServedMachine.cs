// A machine as its process serves it: the machine, the consoles that others may look at, and what there is to say of the process.
using Lamina.Hypervisor.Consoles;
using Lamina.Hypervisor.Contract;
using Lamina.Hypervisor.Locking;

namespace Lamina.Hypervisor.Serving;

/// <summary>What sessions ask.</summary>
/// <param name="Name">The machine's name.</param>
/// <param name="Machine">The machine.</param>
/// <param name="Consoles">Its consoles that can be looked at, by the devices' names; the first is the one that is meant where none is named.</param>
/// <param name="Kept">The definition that it was started by, as it is kept.</param>
/// <param name="Started">When its process began.</param>
internal sealed record ServedMachine(string Name, Machine Machine, IReadOnlyList<(string Device, ConsoleHub Hub)> Consoles, MachineDefinition Kept, DateTimeOffset Started) : IDisposable
{
    private LiveChange? _changes;

    /// <summary>All that it is by now, with what its process adds.</summary>
    internal required MachineDefinition Definition { get; set; }

    /// <summary>What changes it while it runs.</summary>
    internal LiveChange Changes => LazyInitializer.EnsureInitialized(ref _changes, () => new LiveChange(Machine, Kept, change => Definition = change(Definition)));

    /// <summary>What its process is locked by.</summary>
    internal required LockReport Locked { get; set; }

    /// <summary>The machine in a few words.</summary>
    internal MachineStatus Status => new()
    {
        State = Machine.State,
        Holds = Machine.Holds,
        ProcessId = Environment.ProcessId,
        Started = Started,
        Engine = Machine.EngineDescription,
        Boot = Machine.BootDescription,
        Cpus = Definition.Cpus,
        MemoryBytes = Definition.MemoryBytes,
        Published = [.. Machine.Published.Select(port => port.ToString())],
        Consoles = [.. Consoles.Select(console => console.Device)],
        GdbPort = Machine.GdbPort,
        LockedBy = Locked.InForce,
    };

    /// <inheritdoc/>
    public void Dispose() => _changes?.Dispose();
}
