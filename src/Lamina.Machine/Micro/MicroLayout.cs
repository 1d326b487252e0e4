// Where things lie in the micro machine: guest-physical addresses, ports and interrupt numbers, all in this one place.
// The ACPI tables and the wiring read it; nothing here is behaviour.
using Lamina.Boot;

namespace Lamina.Micro;

/// <summary>The micro machine's fixed addresses and interrupt numbers.</summary>
internal static class MicroLayout
{
    internal const int MaximumCpus = 255;

    /// <summary>RAM and the first MiB, which is RAM throughout; what an operating system may use of it is said by the memory map.</summary>
    internal static readonly BootLayout Boot = new()
    {
        MinimumMemory = 16ul << 20,
        PhysicalAddressBits = 46,
        HoleStart = 0xC000_0000,
        SerialPort = Com1,
        Ebda = 0x9_FC00,
        AcpiTables = 0xE_0000,
    };

    // Memory-mapped devices, in the hole. The interrupt controllers and the ports say for themselves where a PC has them.
    internal const ulong VirtioMmio = 0xFEB0_0000;
    internal const ulong VirtioMmioStride = 0x1000;

    // A page of its own behind the I/O APIC, and the general-purpose event.
    internal const ulong Generation = 0xFEC1_0000;
    internal const int GenerationEvent = 1;

    // The first serial port: IBM's COM1.
    internal const ushort Com1 = 0x3F8;
    internal const int Com1Irq = 4, KeyboardIrq = 1, RtcIrq = 8, TimerIrq = 0;

    // Global system interrupts of the virtio slots: the I/O APIC's pins behind those of ISA devices, which slots beyond
    // their number share.
    internal const int VirtioGsi = 16, VirtioGsis = 8, VirtioSlots = 32;

    /// <summary>Where the registers of a virtio slot lie.</summary>
    internal static ulong VirtioWindowOf(int slot) => VirtioMmio + ((ulong)slot * VirtioMmioStride);

    /// <summary>The interrupt of a virtio slot.</summary>
    internal static int VirtioGsiOf(int slot) => VirtioGsi + slot % VirtioGsis;
}
