// Where a board has its memory and where in the first MiB lies what the boot loaders hand over. A board gives one of these;
// loaders, the memory map and the firmware tables read it, so that none of them knows a board.
using Lamina.Core.Memory;

namespace Lamina.Boot;

/// <summary>Guest-physical addresses that booting is about.</summary>
internal sealed record BootLayout
{
    /// <summary>The least memory in bytes that a machine of this board can do with.</summary>
    internal required ulong MinimumMemory { get; init; }

    /// <summary>MAXPHYADDR.</summary>
    internal required int PhysicalAddressBits { get; init; }

    /// <summary>The hole below 4 GiB, in which devices lie; memory goes on behind it.</summary>
    internal required ulong HoleStart { get; init; }

    /// <inheritdoc cref="HoleStart"/>
    internal ulong HoleEnd { get; init; } = 1ul << 32;

    /// <summary>Where a display answers below 1 MiB in place of RAM; null where RAM lies throughout.</summary>
    internal MemoryRange? DisplayWindow { get; init; }

    /// <summary>The most memory in bytes that fits below MAXPHYADDR.</summary>
    internal ulong MaximumMemory => (1ul << PhysicalAddressBits) - (HoleEnd - HoleStart);

    /// <summary>The port of the first serial port, as the BIOS data area says it.</summary>
    internal required ushort SerialPort { get; init; }

    /// <summary>The extended BIOS data area: the end of conventional memory.</summary>
    internal required ulong Ebda { get; init; }

    /// <summary>The ACPI tables' place, the RSDP first: ACPI 6.5, 5.2.5.1 has it searched from 0xE0000 on.</summary>
    internal required ulong AcpiTables { get; init; }

    /// <summary>The first byte behind that place.</summary>
    internal static ulong AcpiTablesEnd => Bios;

    // What follows is the loaders' own choice and the same for every board: it lies in conventional memory.
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
    internal const ulong EbdaLength = 0x400;

    // What a BIOS has at the end of the first MiB, of which kernels may take the last page.
    internal const ulong Bios = 0xF_0000;
    internal const ulong RealModeServices = Bios;
    internal const ulong MultiProcessorTable = Bios + 0x400;
    internal const ulong HighMemory = 0x10_0000;
}
