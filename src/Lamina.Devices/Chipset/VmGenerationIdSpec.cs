// The virtual machine's generation ID. Source: Microsoft, "Virtual Machine Generation ID", August 2012.
namespace Lamina.Devices.Chipset;

/// <summary>
/// Constants of the generation ID. The DSDT names the device with _HID <see cref="HardwareId"/>, _CID and _DDN <see cref="Name"/>, and ADDR, a package of the
/// address's lower and upper 32 bits; the method of its general-purpose event notifies the device with <see cref="Changed"/>.
/// </summary>
public static class VmGenerationIdSpec
{
    /// <summary>The ID's length in bytes, and that of the page that it has for itself, since that must be mapped cacheable.</summary>
    public const int Length = 16, WindowLength = 4096;

    /// <summary>The ACPI hardware ID, which is the vendor's: four letters and four hexadecimal digits.</summary>
    public const string HardwareId = "LMNA0001";

    /// <summary>What drivers know it by.</summary>
    public const string Name = "VM_Gen_Counter";

    /// <summary>The same within the eight characters that ACPI has for it.</summary>
    public const string ShortName = "VMGENCTR";

    /// <summary>The notification's value when the ID has changed.</summary>
    public const byte Changed = 0x80;
}
