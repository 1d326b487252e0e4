// What the firmware tables tell of a machine: values that the machine's wiring fills in, so that the tables know no device.
namespace Lamina.Acpi;

/// <summary>A virtio-mmio device: one register window and one level-triggered interrupt.</summary>
internal readonly record struct VirtioMmioDescription(uint Address, uint Length, uint Gsi);

/// <summary>The fixed hardware of ACPI 6.5, 4.8: ports of the PM1 event, PM1 control and PM timer blocks.</summary>
/// <param name="EventBlock">PM1a_EVT_BLK, 4 bytes.</param>
/// <param name="ControlBlock">PM1a_CNT_BLK, 2 bytes.</param>
/// <param name="TimerBlock">PM_TMR_BLK, 4 bytes.</param>
/// <param name="GeneralBlock">GPE0_BLK, 4 bytes: 16 events.</param>
/// <param name="Sci">The GSI of the system control interrupt: level, active high.</param>
/// <param name="SoftOffType">SLP_TYP for S5.</param>
internal sealed record PowerManagementDescription(ushort EventBlock, ushort ControlBlock, ushort TimerBlock, ushort GeneralBlock, byte Sci, byte SoftOffType);

/// <summary>A serial port as the DSDT names it.</summary>
internal readonly record struct SerialDescription(ushort Port, int Irq);

/// <summary>A keyboard controller with a keyboard and a mouse: its ports, and the interrupts of both.</summary>
internal readonly record struct KeyboardDescription(ushort DataPort, ushort CommandPort, int KeyboardIrq, int MouseIrq);

/// <summary>How the operating system takes power management over: a port, and what is written there to take it and to give it back.</summary>
internal readonly record struct HandOverDescription(ushort Port, byte Enable, byte Disable);

/// <summary>Where the virtual machine's generation ID lies, and the general-purpose event that tells of its change.</summary>
internal readonly record struct GenerationDescription(ulong Address, int Event);

/// <summary>What a PCI bus's devices may be placed in.</summary>
/// <param name="First">The first address.</param>
/// <param name="Last">The last one.</param>
internal readonly record struct PciWindow(ulong First, ulong Last);

/// <summary>A PCI bus behind the PIRQ router of an ISA bridge.</summary>
/// <param name="ConfigurationPorts">Mechanism 1's ports, eight of them.</param>
/// <param name="Memory">The window below 4 GiB.</param>
/// <param name="WideMemory">The one above; null where it has none.</param>
/// <param name="IsaBridge">The bridge's device and function, 16 bits each.</param>
/// <param name="RouteRegisters">The first of the router's four registers in the bridge's configuration space.</param>
/// <param name="Interrupts">The ISA interrupts that they may name: level, active high.</param>
/// <param name="InputOf">The router's input to which a device's pin INTA is wired; its other pins lead to the next ones.</param>
internal sealed record PciRootDescription(ushort ConfigurationPorts, PciWindow Memory, PciWindow? WideMemory, uint IsaBridge, byte RouteRegisters, IReadOnlyList<byte> Interrupts, Func<int, int> InputOf)
{
    /// <summary>Where firmware leads the router's inputs.</summary>
    internal required IReadOnlyList<byte> Routes { get; init; }
}

/// <summary>All of it.</summary>
internal sealed record AcpiDescription
{
    internal required IReadOnlyList<uint> ApicIds { get; init; }
    internal required ulong LocalApic { get; init; }
    internal required byte LocalApicVersion { get; init; }
    internal required ulong IoApic { get; init; }
    internal required byte IoApicVersion { get; init; }
    internal required byte IoApicId { get; init; }
    internal required PowerManagementDescription PowerManagement { get; init; }
    internal required ushort ResetPort { get; init; }
    internal required byte ResetValue { get; init; }
    internal required IReadOnlyList<SerialDescription> SerialPorts { get; init; }
    internal required ushort RtcPort { get; init; }
    internal required int RtcIrq { get; init; }
    internal required byte CenturyRegister { get; init; }
    internal ushort? PvPanicPort { get; init; }
    /// <summary>Whether there is a VGA.</summary>
    internal bool HasDisplay { get; init; }

    internal KeyboardDescription? Keyboard { get; init; }
    internal HandOverDescription? HandOver { get; init; }
    internal GenerationDescription? Generation { get; init; }
    internal PciRootDescription? Pci { get; init; }
    internal IReadOnlyList<VirtioMmioDescription> VirtioDevices { get; init; } = [];
}
