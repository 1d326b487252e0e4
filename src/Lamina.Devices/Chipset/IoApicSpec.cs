// The I/O APIC's registers and bits. Sources: Intel 82093AA data sheet (290566); the EOI register and version 0x20 from
// the ICH9 data sheet, register EOIR.
namespace Lamina.Devices.Chipset;

/// <summary>Constants of the I/O APIC.</summary>
public static class IoApicSpec
{
    /// <summary>Where a PC has the first one, and how much of the address space it takes.</summary>
    public const ulong BaseAddress = 0xfec0_0000, Length = 0x1000;

    /// <summary>Inputs, which are GSIs 0 to 23.</summary>
    public const int Inputs = 24;

    /// <summary>The ID that the MADT must give, and that the guest finds. Local APICs may have the same one: IDs of I/O APICs are not destinations.</summary>
    public const byte Id = 0;

    /// <summary>Offsets in the window: index, data, end of interrupt.</summary>
    internal const ulong Select = 0, Window = 0x10, EndOfInterrupt = 0x40;

    /// <summary>Indirect registers; from <see cref="Redirection"/> on two for each input.</summary>
    internal const int IdRegister = 0, VersionRegister = 1, ArbitrationRegister = 2, Redirection = 0x10;

    /// <summary>A version with an EOI register, as the version register and the MP table say it.</summary>
    public const byte VersionNumber = 0x20;

    /// <summary>The version, and the highest entry's number in bits 16 to 23.</summary>
    internal const uint Version = VersionNumber | (Inputs - 1) << 16;

    /// <summary>The ID's place in its register.</summary>
    internal const int IdShift = 24;

    /// <summary>Redirection entry, low half (data sheet, 3.2.4).</summary>
    internal const ulong Vector = 0xff, DeliveryStatus = 1 << 12, RemoteIrr = 1 << 14, LevelTriggered = 1 << 15, Masked = 1 << 16;

    /// <summary>The rest of the entry: where the mode, the destination mode and the destination are.</summary>
    internal const int ModeShift = 8, ModeMask = 7, LogicalShift = 11, DestinationShift = 56;

    /// <summary>Bits a guest can write: all but delivery status, remote IRR and the reserved ones.</summary>
    internal const ulong Writable = 0xff00_0000_0001_afff;
}
