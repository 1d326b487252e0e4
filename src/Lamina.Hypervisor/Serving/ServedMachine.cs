// A machine as its process serves it: the machine, the consoles that others may look at, and what there is to say of the process.
using Lamina.Host.Io;
using Lamina.Hypervisor.Agent.Qemu;
using Lamina.Hypervisor.Consoles;
using Lamina.Hypervisor.Contract;
using Lamina.Hypervisor.Limiting;
using Lamina.Hypervisor.Locking;
using Lamina.Hypervisor.Stored;

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
    private HeardAddresses? _addresses;
    private MachineDefinition? _definition;

    /// <summary>All that it is by now, with what its process adds and the limits that are in force. Whoever changes it waits for <see cref="Changing"/>.</summary>
    internal required MachineDefinition Definition
    {
        get => Volatile.Read(ref _definition)!;
        set => Volatile.Write(ref _definition, value);
    }

    /// <summary>Held by who changes the definition.</summary>
    internal SemaphoreSlim Changing { get; } = new(1, 1);

    /// <summary>What changes it while it runs.</summary>
    internal LiveChange Changes => LazyInitializer.EnsureInitialized(ref _changes, () => new LiveChange(Machine, Kept, Groups.Memory, Handed, Changing, change => Definition = change(Definition)));

    /// <summary>What its guest says of its addresses.</summary>
    internal HeardAddresses Addresses => LazyInitializer.EnsureInitialized(ref _addresses, () => new HeardAddresses(asked => AgentRelay.AddressesAsync(this, asked), TimeProvider.System));

    /// <summary>Files that were opened for it.</summary>
    internal HandedFiles Handed { get; } = new();

    /// <summary>Where its state is written when it is suspended: a folder that is not there.</summary>
    internal required string SuspendTo { get; init; }

    /// <summary>Where its state and the new image of its disk are put for a snapshot.</summary>
    internal required (string State, string Disk) SnapshotTo { get; init; }

    /// <summary>Held by who uses <see cref="SnapshotTo"/>: the one before may be there yet, its memory under way to the disk, where whoever asked it has gone.</summary>
    internal SemaphoreSlim Snapshots { get; } = new(1, 1);

    /// <summary>The disks that it writes.</summary>
    internal required HeldDisks Disks { get; init; }

    /// <summary>The lock of its folder.</summary>
    internal required HostLock? Held { get; init; }

    /// <summary>Has nobody connect any more; set by who listens.</summary>
    internal Action StopsListening { get; set; } = () => { };

    /// <summary>Called when another process has the machine.</summary>
    internal required Action HandedOver { get; init; }

    /// <summary>Whether another process has it, and what is in its folder.</summary>
    internal bool IsHandedOver { get; set; }

    /// <summary>Its folder, as its process knows it.</summary>
    internal required string Folder { get; init; }

    /// <summary>Processes that wait to be copies of it, and who makes them of it one after another.</summary>
    internal ForkPool Forks { get; } = new();

    /// <summary>The number of its process, as others know it.</summary>
    internal required int ProcessId { get; init; }

    /// <summary>What its process is locked by.</summary>
    internal required LockReport Locked { get; set; }

    /// <summary>QEMU's agent in the guest, where the machine has the channel that would lead to one.</summary>
    internal QemuAgent? Qemu { get; init; }

    /// <summary>The control groups that it is in.</summary>
    internal required LimitGroups Groups { get; init; }

    /// <summary>The machine in a few words.</summary>
    internal MachineStatus Status => new()
    {
        State = Machine.State,
        Holds = Machine.Holds,
        ProcessId = ProcessId,
        Started = Started,
        Engine = Machine.EngineDescription,
        Boot = Machine.BootDescription,
        Cpus = Definition.Cpus,
        MemoryBytes = Definition.MemoryBytes,
        Published = [.. Machine.Published.Select(port => port.ToString())],
        Consoles = [.. Consoles.Select(console => console.Device)],
        GdbPort = Machine.GdbPort,
        Display = Machine.Display,
        DisplayWebSocket = Machine.DisplayWebSocket,
        LockedBy = Locked.InForce,
        NotLockedBy = [.. Locked.Gaps.Select(gap => gap.ToString())],
    };

    /// <inheritdoc/>
    public void Dispose()
    {
        Forks.Dispose();
        Handed.Dispose();
        Changing.Dispose();
        Snapshots.Dispose();
    }
}
