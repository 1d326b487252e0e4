// The chipset of a PC of 1996: host bridge 82441FX (440FX), ISA bridge 82371SB (PIIX3), power management of the 82371AB (PIIX4). Sources:
// Intel's data sheets 290549, 290550 and 290562, as far as firmware and kernels use them: edk2 OvmfPkg/Include/IndustryStandard/
// I440FxPiix4.h, Linux drivers/pci/quirks.c, arch/x86/pci/irq.c, drivers/i2c/busses/i2c-piix4.c, and what SeaBIOS writes.
using Lamina.Devices.Pci;

namespace Lamina.Devices.Chipset.I440fx;

/// <summary>Identities and registers.</summary>
public static class I440fxSpec
{
    /// <summary>Where on bus 0 its functions are: host bridge; of the ISA bridge's device that itself, IDE and power management.</summary>
    public const int HostDevice = 0, IsaDevice = 1, IdeFunction = 1, PowerFunction = 3;

    /// <summary>PIRQ route control registers A to D of the ISA bridge: bit 7 disconnects, bits 0 to 3 name an ISA interrupt.</summary>
    public const int PirqRoute = 0x60, Pirqs = 4;

    /// <summary>A route that leads nowhere.</summary>
    public const byte RouteOff = 0x80;

    /// <summary>Base of the power management registers (bits 6 to 15), and what switches them on.</summary>
    public const int PowerBase = 0x40, PowerMiscellaneous = 0x80;

    /// <summary>Bit 0 of <see cref="PowerMiscellaneous"/>.</summary>
    public const byte PowerEnable = 1;

    /// <summary>The ports of the power management registers.</summary>
    public const int PowerLength = 64;

    /// <summary>Base of the SMBus registers (bits 4 to 15), and host configuration, whose bit 0 switches them on.</summary>
    public const int SmBusBase = 0x90, SmBusConfiguration = 0xd2;

    /// <summary>The ports of the SMBus registers.</summary>
    public const int SmBusLength = 16;

    // Who made the board; SeaBIOS looks at the host bridge's for the machine that it knows.
    internal static readonly (ushort Vendor, ushort Device) Board = (0x1af4, 0x1100);

    internal static readonly PciIdentity Host = new(0x8086, 0x1237, 0x06_0000) { Revision = 2, Subsystem = Board };
    internal static readonly PciIdentity Isa = new(0x8086, 0x7000, 0x06_0100) { Subsystem = Board };
    internal static readonly PciIdentity Ide = new(0x8086, 0x7010, 0x01_0180) { Subsystem = Board };
    internal static readonly PciIdentity Power = new(0x8086, 0x7113, 0x06_8000) { Revision = 3, Subsystem = Board };

    // Host bridge: the attributes of the parts of the last 256 KiB of the first MiB, the first of which says that there is RAM; and SMRAM's.
    internal const int MemoryAttributes = 0x59, SmRam = 0x72;
    internal const byte MemoryAttributesAtReset = 0x10, SmRamAtReset = 2;

    // Power management: what device activity wakes; bit 1 of byte 0x5B says that management mode is set up already, so that firmware
    // leaves it alone: there is none.
    internal const int DeviceActivity = 0x58;
    internal const uint DeviceActivityAtReset = 0x0200_0000;
    internal const int SmBusRevision = 0xd6;
}
