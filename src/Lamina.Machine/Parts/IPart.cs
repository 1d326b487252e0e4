// A part of a machine: a device that any board can carry, with what it is connected to on the host. A kind of part is one class here
// and one line in PartCatalog; docs/adding-a-device.md walks through one.
using Lamina.Backends.Work;
using Lamina.Consoles;
using Lamina.Control;
using Lamina.Core.Limits;
using Lamina.Core.Memory;
using Lamina.Core.Time;
using Lamina.Core.Units;
using Lamina.Core.Work;
using Lamina.Devices.Ata;
using Lamina.Devices.Floppy;
using Lamina.Devices.Pci;
using Lamina.Devices.Virtio;
using Lamina.Life;

namespace Lamina.Parts;

/// <summary>What a part finds when the host's side of it is opened, before there is any hardware.</summary>
/// <param name="Definition">The whole definition, in which each device has a name.</param>
/// <param name="Hooks">What the program connects the machine with.</param>
/// <param name="Log">Takes what the user must be told.</param>
/// <param name="Units">Get what is opened; it is given up after the devices.</param>
/// <param name="Calls">Whom channels and sockets tell of what happens to them.</param>
internal sealed record OpenContext(MachineDefinition Definition, MachineHooks Hooks, MachineLog Log, UnitTree Units, ConsoleCalls Calls);

/// <summary>What a part finds when its device is made.</summary>
/// <param name="Definition">The whole definition.</param>
/// <param name="Log">Takes what the user must be told.</param>
/// <param name="Units">Get what the device needs beside the board's place for it.</param>
/// <param name="Memory">Guest memory.</param>
/// <param name="Workers">Makes threads that work for devices.</param>
/// <param name="Full">Watches over disks that wait for space.</param>
/// <param name="Events">Who is told what the machine cannot go on for.</param>
internal sealed record PartContext(MachineDefinition Definition, MachineLog Log, UnitTree Units, GuestMemory Memory, IWorkerFactory Workers, FullDisks Full, IHardwareEvents Events)
{
    /// <summary>The machine's clock.</summary>
    internal required IMachineClock Clock { get; init; }

    /// <summary>A gate in front of a device's backend.</summary>
    internal FlowGate Gate(RateLimit limit) => new(Clock, limit.ToFlow());
}

/// <summary>Limits as gates have them.</summary>
internal static class RateLimits
{
    /// <summary>The limit of a definition.</summary>
    internal static FlowLimit ToFlow(this RateLimit limit) => new(limit.BytesPerSecond, limit.OperationsPerSecond, (long)limit.Burst.TotalNanoseconds);
}

/// <summary>Where a board takes what parts have made. What is put there is the board's to give up.</summary>
internal interface IPartPlaces
{
    /// <summary>Puts a virtio device into the next place.</summary>
    /// <param name="name">Its name in the tree of units.</param>
    /// <param name="device">The device.</param>
    void Add(string name, IVirtioDevice device);

    /// <summary>Puts a PCI function into the next place.</summary>
    /// <param name="name">Its name in the tree of units.</param>
    /// <param name="create">Makes it.</param>
    void Add(string name, Func<PciWires, PciFunction> create);

    /// <summary>Connects a drive to the next place of a controller.</summary>
    /// <param name="name">Its name in the tree of units.</param>
    /// <param name="bus">The kind of controller, which the board has: who checks the definition knows it.</param>
    /// <param name="drive">The drive.</param>
    void Add(string name, DriveBus bus, AtaDrive drive);

    /// <summary>Connects a floppy drive to the next place of a controller, which the board has likewise.</summary>
    /// <param name="name">Its name in the tree of units.</param>
    /// <param name="drive">The drive.</param>
    void Add(string name, FloppyDrive drive);
}

/// <summary>A device and what it is connected to, which is open.</summary>
internal interface IPart
{
    /// <summary>The device's name in the definition.</summary>
    string Name { get; }

    /// <summary>What limits what it moves, once its device is made; none where nothing does.</summary>
    IReadOnlyList<FlowGate> Gates => [];

    /// <summary>What listens for programs of the host, where it does.</summary>
    IListener? Listener => null;

    /// <summary>Makes the device and gives it to the board. Once, before the machine starts.</summary>
    /// <param name="name">The device's name in the tree of units.</param>
    /// <param name="places">Where it goes.</param>
    /// <param name="context">What it finds.</param>
    void Attach(string name, IPartPlaces places, PartContext context);

    /// <summary>The machine starts: what comes from outside may begin to flow.</summary>
    void Start()
    {
    }

    /// <summary>The machine is gone, and all of the part with it: says what its user has to know.</summary>
    void Conclude(MachineLog log)
    {
    }
}
