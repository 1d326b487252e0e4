// The configuration space of a PCI function with a type 0 header. Sections are those of the PCI Local Bus Specification 3.0.
namespace Lamina.Devices.Pci;

/// <summary>Offsets in configuration space, and bits there. 6.1, 6.2.</summary>
public static class PciSpec
{
    /// <summary>The bytes of a function's configuration space that mechanism 1 reaches.</summary>
    public const int SpaceLength = 256;

    /// <summary>Vendor, and device behind it, 16 bits each; a vendor of all ones says that there is no function.</summary>
    public const int Vendor = 0x00;

    /// <summary>COMMAND and STATUS, 16 bits each.</summary>
    public const int Command = 0x04, Status = 0x06;

    /// <summary>Revision; the class code's three bytes follow it.</summary>
    public const int Revision = 0x08;

    /// <summary>The kind of header, and in bit 7 whether the device has more functions than one.</summary>
    public const int HeaderType = 0x0e;

    /// <summary>The six base address registers, 32 bits each.</summary>
    public const int FirstBar = 0x10, Bars = 6, BarLength = 4;

    /// <summary>Vendor and device of the board that carries it.</summary>
    public const int SubsystemVendor = 0x2c;

    /// <summary>Where the list of capabilities begins.</summary>
    public const int CapabilityPointer = 0x34;

    /// <summary>Which interrupt its pin leads to, as firmware tells drivers; and the pin, 1 for INTA to 4, 0 for none.</summary>
    public const int InterruptLine = 0x3c, InterruptPin = 0x3d;

    /// <summary>COMMAND: it answers at ports, in memory; it may write to memory; its interrupt pin is off (6.2.2).</summary>
    public const ushort AnswersPorts = 1, AnswersMemory = 2, BusMaster = 4, PinOff = 1 << 10;

    /// <summary>The kinds of a base address register: bit 0 for ports; bits 1 and 2 of one for memory, bit 3 where reading has no side effects (6.2.5.1).</summary>
    public const uint BarIsPorts = 1, BarIs64Bits = 4, BarIsPrefetchable = 8;

    /// <summary>What of a register for ports, for memory is no address.</summary>
    public const uint PortsBarFlags = 3, MemoryBarFlags = 15;

    /// <summary>Bit 7 of <see cref="HeaderType"/>.</summary>
    public const byte MoreFunctions = 0x80;

    // COMMAND's other bits that software may keep: parity and system errors, which nothing here reports.
    internal const ushort CommandWritable = AnswersPorts | AnswersMemory | BusMaster | 1 << 6 | 1 << 8 | PinOff;

    // STATUS: the pin is asserted; there are capabilities (6.2.3).
    internal const ushort StatusInterrupt = 1 << 3, StatusCapabilities = 1 << 4;

    // The first byte that belongs to the function itself.
    internal const int FirstOwn = 0x40;

    // Capabilities (appendix H; 6.8.1 and 6.8.2 for messages).
    internal const byte MessageCapability = 0x05, VendorCapability = 0x09, MessageTableCapability = 0x11;

    // 6.8.1.3: message control of MSI. Which message is which bit of the enabled ones is told by how many are.
    internal const ushort MsiEnable = 1, Msi64Bits = 1 << 7, MsiMasks = 1 << 8;
    internal const int MsiWantedShift = 1, MsiGivenShift = 4, MsiCountMask = 7, MsiLength = 0x18;
    internal const int MsiControl = 2, MsiAddress = 4, MsiData = 12, MsiMask = 16, MsiPending = 20;

    // 6.8.2: message control of MSI-X, the places of its two tables, and an entry of the first.
    internal const ushort MsiXEnable = 1 << 15, MsiXMaskAll = 1 << 14;
    internal const int MsiXLength = 12, MsiXControl = 2, MsiXTable = 4, MsiXPending = 8, MostMsiXVectors = 2048;
    internal const int EntryLength = 16, EntryData = 8, EntryControl = 12;
    internal const uint EntryMasked = 1;
}
