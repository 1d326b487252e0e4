// The 8259A pair's ports and bits. Sources: Intel 8259A data sheet (231468), Intel ICH9 data sheet for the pair,
// its cascade on input 2 and the edge/level control registers.
namespace Lamina.Devices.Chipset;

/// <summary>Constants of the interrupt controller pair of a PC.</summary>
public static class Pic8259Spec
{
    /// <summary>First port of the master, the slave and the edge/level control registers; each has two ports.</summary>
    public const ushort MasterPort = 0x20, SlavePort = 0xa0, EdgeLevelPort = 0x4d0;

    /// <summary>Ports in each range.</summary>
    public const int Length = 2;

    /// <summary>Inputs of the pair, and the master's input that the slave takes.</summary>
    public const int Inputs = 16, CascadeInput = 2;

    /// <summary>The level of a spurious interrupt (data sheet, "Interrupt sequence").</summary>
    internal const int SpuriousLevel = 7;

    /// <summary>ICW1: bit 4 marks it, bit 0 announces ICW4.</summary>
    internal const byte Icw1 = 0x10, Icw1NeedsIcw4 = 1;

    /// <summary>ICW4: automatic end of interrupt, special fully nested mode.</summary>
    internal const byte Icw4AutoEoi = 2, Icw4SpecialNested = 0x10;

    /// <summary>OCW3: bit 3 marks it. Special mask mode (5, 6), poll (2), register select (0, 1).</summary>
    internal const byte Ocw3 = 8, Ocw3Poll = 4, Ocw3ReadSelect = 2, Ocw3ReadService = 1, Ocw3MaskSelect = 0x40, Ocw3SpecialMask = 0x20;

    /// <summary>OCW2, bits 5 to 7: rotate, specific, end of interrupt.</summary>
    internal const int RotateInAutoEoiClear = 0, Eoi = 1, SpecificEoi = 3, RotateInAutoEoiSet = 4, RotateOnEoi = 5, SetPriority = 6, RotateOnSpecificEoi = 7;

    /// <summary>The inputs that may be level triggered; 0, 1, 2, 8 and 13 are always edges (ICH9, ELCR1 and ELCR2).</summary>
    internal const ushort EdgeLevelWritable = 0xdef8;
}
