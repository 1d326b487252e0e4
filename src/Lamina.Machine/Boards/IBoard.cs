// A board: where things lie, the chipset that is always there, and the places into which devices are put. Whatever can be added to a
// machine of any kind (disks, networks, shared folders) is a part and not a board's; see Parts.
using Lamina.Boot;
using Lamina.Control;
using Lamina.Core.Bus;
using Lamina.Core.Char;
using Lamina.Core.Display;
using Lamina.Core.Engine;
using Lamina.Core.Entropy;
using Lamina.Core.Input;
using Lamina.Core.Memory;
using Lamina.Core.Time;
using Lamina.Core.Units;
using Lamina.Devices.Chipset;
using Lamina.Devices.Chipset.Ps2;
using Lamina.Devices.Virtio;
using Lamina.Life;
using Lamina.Parts;

namespace Lamina.Boards;

/// <summary>What a board finds when it is wired.</summary>
internal sealed record BoardContext
{
    /// <summary>Gets the chipset's parts.</summary>
    internal required UnitTree Units { get; init; }

    /// <summary>Where RAM lies.</summary>
    internal required MemoryMap Map { get; init; }

    /// <summary>How many CPUs it has.</summary>
    internal required int Cpus { get; init; }

    /// <summary>The machine's clock.</summary>
    internal required IMachineClock Clock { get; init; }

    /// <summary>The engine's side of the machine.</summary>
    internal required IEngineMachine Engine { get; init; }

    /// <summary>The interrupt controllers, which are on their buses.</summary>
    internal required InterruptControllers Controllers { get; init; }

    /// <summary>Input/output ports.</summary>
    internal required Bus Ports { get; init; }

    /// <summary>Guest-physical addresses that are not RAM.</summary>
    internal required Bus Mmio { get; init; }

    /// <summary>Who is told what the guest asks the machine for.</summary>
    internal required IHardwareEvents Events { get; init; }

    /// <summary>Makes the logs of devices.</summary>
    internal required MachineLog Log { get; init; }

    /// <summary>The machine's memory, in which devices that have some of their own put it.</summary>
    internal required GuestMemory Memory { get; init; }

    /// <summary>Where devices take random numbers from.</summary>
    internal required IEntropySource Entropy { get; init; }

    /// <summary>What virtio devices need of the machine.</summary>
    internal required VirtioOptions Virtio { get; init; }

    /// <summary>The channel of the first serial port.</summary>
    internal required ICharBackend Serial { get; init; }

    /// <summary>The port by which the guest ends the machine with an exit code; null for none.</summary>
    internal ushort? DebugExitPort { get; init; }

    /// <summary>Puts that port there, where it is wanted. The last of a board's own devices, which it is not to lie over.</summary>
    /// <exception cref="MachineException">It is another device's.</exception>
    internal void AddDebugExit()
    {
        if (DebugExitPort is not { } port) return;
        try
        {
            Units.AddAside("chipset/debug exit", new DebugExit(Events.DebugExit)).MapPorts(Ports, port);
        }
        catch (ArgumentException e)
        {
            throw new MachineException($"the debug exit port 0x{port:x} is used by another device of the machine; choose another one, such as 0x{DebugExitSpec.DefaultPort:x}", e);
        }
    }

    /// <summary>Whether the machine begins with firmware of the user's, which expects more of a chipset than kernels do.</summary>
    internal bool HasFirmware { get; init; }
}

/// <summary>A kind of machine.</summary>
internal interface IBoard
{
    /// <summary>Its name, for messages.</summary>
    string Name { get; }

    /// <summary>Where memory lies, and what booting is about.</summary>
    BootLayout Layout { get; }

    /// <summary>The most vCPUs that it has room for.</summary>
    int MaximumCpus { get; }

    /// <summary>The most virtio devices that it has room for.</summary>
    int VirtioPlaces { get; }

    /// <summary>The firmware tables of a machine.</summary>
    /// <param name="map">Where its RAM lies.</param>
    /// <param name="cpus">How many vCPUs it has.</param>
    /// <param name="virtioDevices">How many virtio devices it has.</param>
    FirmwareTables Describe(MemoryMap map, int cpus, int virtioDevices);

    /// <summary>How firmware calls a device when it is told from what to boot: a path of Open Firmware's.</summary>
    /// <param name="bus">How the device is connected; null for a floppy drive.</param>
    /// <param name="place">The place, from 0, in the order in which devices are added to that bus.</param>
    string BootPathOf(DriveBus? bus, int place);

    /// <summary>The same of a network card in one of the places for devices; null where firmware boots by none.</summary>
    string? NetworkBootPathOf(int place) => null;

    /// <summary>The name by which SeaBIOS asks for the firmware of a network card; null where it has none.</summary>
    string? NetworkRomOf(NetworkModel model) => null;

    /// <summary>
    /// The name by which SeaBIOS asks its configuration device for the firmware of the board's display; null where it has no display. It could as well
    /// read it through the display's expansion ROM register: a file costs the device nothing, and a saved machine has it with the others.
    /// </summary>
    string? DisplayRom => null;

    /// <summary>Puts the chipset together.</summary>
    /// <exception cref="MachineException">A port that was chosen is taken.</exception>
    IWiredBoard Wire(BoardContext context);
}

/// <summary>What a user has before him of a board that is operated by hand.</summary>
/// <param name="Keyboard">Its keyboard.</param>
/// <param name="Pointer">Its mouse.</param>
/// <param name="Typist">Who types at the keyboard for programs.</param>
internal sealed record BoardInput(IKeyboardInput Keyboard, IPointerInput Pointer, Typist Typist);

/// <summary>A board of one machine, with its chipset.</summary>
internal interface IWiredBoard : IPartPlaces
{
    /// <summary>
    /// The machine was reset and is to run a kernel that no firmware loads: does what a firmware would have done to the chipset by then.
    /// </summary>
    void StandInForFirmware()
    {
    }

    /// <summary>Its screen; null where it has none.</summary>
    IScreen? Screen => null;

    /// <summary>How many bytes of the first serial port's output the guest wrote that it could not send.</summary>
    long SerialBytesLost { get; }

    /// <summary>Its keyboard and mouse; null where it has none.</summary>
    BoardInput? Input => null;

    /// <summary>Presses the power button; says whether the guest listens to it.</summary>
    bool PressPowerButton();

    /// <summary>
    /// The machine goes on from a moment from which another one may go on, too: tells the guest, where the board can. Every part has its state; no vCPU runs.
    /// </summary>
    void BecomeAnother()
    {
    }
}
