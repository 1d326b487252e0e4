// Where things lie in the micro machine: guest-physical addresses, ports and interrupt numbers, all in this one place.
// The boot loaders, the ACPI tables and the wiring read it; nothing here is behaviour.
namespace Lamina.Micro;

/// <summary>The micro machine's fixed addresses and interrupt numbers.</summary>
internal static class MicroLayout
{
    // RAM. Below 1 MiB it is RAM throughout; what an operating system may use of it is said by the memory map.
    internal const ulong MinimumMemory = 16ul << 20;
    internal const int PhysicalAddressBits = 46;
    internal const ulong HoleStart = 0xC000_0000;
    internal const ulong HoleEnd = 0x1_0000_0000;
    internal const ulong MaximumMemory = (1ul << PhysicalAddressBits) - (HoleEnd - HoleStart);
    internal const int MaximumCpus = 255;

    // The first MiB.
    internal const ulong BiosDataArea = 0x400;
    internal const ulong Gdt = 0x500;
    internal const ulong BootInfo = 0x1000;             // one page of hvm_start_info or the Multiboot information
    internal const ulong SetupData = 0x2000;            // one page of Linux setup_data
    internal const ulong BootParams = 0x7000;           // the zero page
    internal const ulong Stack = 0x8000;                // grows down from its end
    internal const ulong StackEnd = 0x9000;
    internal const ulong PageTables = 0x9000;           // PML4, PDPT and four page directories
    internal const ulong BootStrings = 0x1_0000;        // command line, then module lists and strings
    internal const ulong BootStringsEnd = 0x6_0000;
    internal const ulong Ebda = 0x9_FC00;
    internal const ulong EbdaLength = 0x400;
    internal const ulong AcpiTables = 0xE_0000;         // the RSDP first: ACPI 6.5, 5.2.5.1 has it searched here
    internal const ulong AcpiTablesEnd = 0x10_0000;
    internal const ulong HighMemory = 0x10_0000;

    // Memory-mapped devices, in the hole. The interrupt controllers and the ports say for themselves where a PC has them.
    internal const ulong VirtioMmio = 0xFEB0_0000;
    internal const ulong VirtioMmioStride = 0x1000;

    // The first serial port: IBM's COM1.
    internal const ushort Com1 = 0x3F8;
    internal const int Com1Irq = 4, KeyboardIrq = 1, RtcIrq = 8, TimerIrq = 0;

    // Global system interrupts of the virtio slots: the I/O APIC's pins behind those of ISA devices, which slots beyond
    // their number share.
    internal const int VirtioGsi = 16, VirtioGsis = 8, VirtioSlots = 32;

    /// <summary>The interrupt of a virtio slot.</summary>
    internal static int VirtioGsiOf(int slot) => VirtioGsi + slot % VirtioGsis;
}
