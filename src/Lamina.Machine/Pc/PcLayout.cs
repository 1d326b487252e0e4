// Where things lie in the machine pc: guest-physical addresses, ports, PCI devices and interrupt numbers, all in this one place.
// The ACPI tables, the wiring and what stands in for firmware read it; nothing here is behaviour. docs/pc.md shows it.
using Lamina.Acpi;
using Lamina.Boot;
using Lamina.Devices.Display;
using Lamina.Devices.Pci;

namespace Lamina.Pc;

/// <summary>The fixed addresses and interrupt numbers of pc.</summary>
internal static class PcLayout
{
    internal const int MaximumCpus = 255;

    /// <summary>RAM and the first MiB, which is RAM but for the display's window; what an operating system may use of it is said by the memory map.</summary>
    internal static readonly BootLayout Boot = new()
    {
        MinimumMemory = 16ul << 20,
        PhysicalAddressBits = 46,
        HoleStart = 0xE000_0000,
        DisplayWindow = new(VgaSpec.Window, VgaSpec.WindowLength),
        SerialPort = Com1,
        Ebda = 0x9_FC00,
        AcpiTables = 0xE_0000,
    };

    // The first serial port: IBM's COM1.
    internal const ushort Com1 = 0x3F8;
    internal const int Com1Irq = 4, KeyboardIrq = 1, MouseIrq = 12, RtcIrq = 8, TimerIrq = 0;

    // The floppy controller's.
    internal const int FloppyIrq = 6;

    // Those of the two IDE channels.
    internal static readonly int[] IdeIrqs = [14, 15];

    // PCI devices: the chipset's are at their places (I440fxSpec), the display behind them. The others are for parts.
    internal const int DisplayDevice = 2;
    internal const int FirstPlace = 3, Places = PciBus.Devices - FirstPlace;

    // AHCI has the last place, where a machine has one.
    internal const int AhciDevice = PciBus.Devices - 1;

    // Where PCI devices are put: ports, and the hole below the I/O APIC. A guest may put them elsewhere.
    internal const ushort PciPorts = 0xC000;
    internal static readonly PciWindow PciMemory = new(0xE000_0000, 0xFEBF_FFFF);

    // Firmware that gives devices their places does so from 2 GiB on, or from the end of RAM.
    private const ulong LowestPlace = 2ul << 30;

    /// <summary>All that is neither RAM nor another device's below 4 GiB: where operating systems are told that PCI devices may be.</summary>
    internal static PciWindow PciWindowOf(MemoryMap map) => PciMemory with { First = Math.Max(LowestPlace, map.LowEnd) };

    // Above RAM as much again as 36 bits of address have room for, at a multiple of it.
    private const ulong WideLength = 32ul << 30;

    /// <summary>Where PCI devices may be put above RAM; null where RAM leaves no room for them.</summary>
    internal static PciWindow? WideMemory(MemoryMap map)
    {
        var start = (map.Ram[^1].End + WideLength - 1) / WideLength * WideLength;
        return start + WideLength <= 1ul << Boot.PhysicalAddressBits ? new PciWindow(start, start + WideLength - 1) : null;
    }

    // Where the generation ID lies, a page of its own that no PCI device is given, and its general-purpose event.
    internal const ulong Generation = 0xFEC1_0000;
    internal const int GenerationEvent = 1;

    // Where the power management blocks are put.
    internal const ushort PowerPorts = 0x600, SmBusPorts = 0x700;

    // What S5 is in PM1 control: firmware writes it without tables, too.
    internal const byte SoftOffType = 0;

    /// <summary>Where firmware leads PIRQ A to D, and the ISA interrupts that they may be led to.</summary>
    internal static readonly byte[] Routes = [10, 10, 11, 11], RouteChoices = [5, 10, 11];
}
