// The PCI bus in the DSDT: its windows, the links through which its interrupts are led, and which device is wired to which of them.
// ACPI 6.5, 6.2.13 (_PRT) and 6.2.2, 6.2.12, 6.2.16 (_CRS, _PRS, _SRS); PCI Firmware Specification 3.0, 4.1 (what the root's _CRS says).
namespace Lamina.Acpi;

/// <summary>Makes the terms of \_SB that a PCI bus needs.</summary>
internal static class PciRoot
{
    /// <summary>The ISA bridge, below which what is at fixed ports has its place.</summary>
    internal const string IsaPath = "\\_SB.PCI0.ISA";

    // Inputs of the router, and pins of a device.
    private const int Links = 4, Pins = 4, Devices = 32;

    // 6.3.7: present, decoding and working; or present only.
    private const byte Working = 0x0B, SwitchedOff = 0x09;

    private const byte RouteOff = 0x80;

    /// <summary>The bus and its links.</summary>
    internal static byte[][] Create(PciRootDescription pci) => [Root(pci), .. Enumerable.Range(0, Links).Select(link => Link(pci, link))];

    private static byte[] Root(PciRootDescription pci) => Aml.Device("PCI0",
        Aml.Name("_HID", Aml.EisaId("PNP0A03")),
        Aml.Name("_UID", Aml.Integer(0)),
        Aml.Name("_BBN", Aml.Integer(0)),
        Aml.Name("_CRS", Aml.ResourceTemplate(
        [
            // The mechanism's own ports are the root's and are passed on to nobody; it stands between the two windows.
            Aml.BusNumbers(0, 0),
            Aml.Io(pci.ConfigurationPorts, 8),
            Aml.PortWindow(0, (ushort)(pci.ConfigurationPorts - 1)),
            Aml.PortWindow((ushort)(pci.ConfigurationPorts + 8), ushort.MaxValue),
            Aml.MemoryWindow((uint)pci.Memory.First, (uint)pci.Memory.Last),
            .. pci.WideMemory is { } wide ? [Aml.WideMemoryWindow(wide.First, wide.Last)] : Array.Empty<byte[]>(),
        ])),
        Aml.Name("_PRT", Aml.Package([.. from device in Enumerable.Range(1, Devices - 1) from pin in Enumerable.Range(0, Pins) select Wire(pci, device, pin)])),
        Aml.Device("ISA",
            Aml.Name("_ADR", Aml.Integer(pci.IsaBridge)),
            Aml.PciConfigurationRegion("PIRQ", pci.RouteRegisters, Links),
            Aml.ByteFields("PIRQ", [.. Enumerable.Range(0, Links).Select(RegisterOf)])));

    // Any function of the device; the pin; the link, and of it the first resource.
    private static byte[] Wire(PciRootDescription pci, int device, int pin) =>
        Aml.Package(Aml.Integer((ulong)device << 16 | 0xFFFF), Aml.Integer((ulong)pin), Aml.NamePath(LinkOf((pci.InputOf(device) + pin) % Links)), Aml.Integer(0));

    private static byte[] Link(PciRootDescription pci, int link)
    {
        var register = Aml.NamePath($"{IsaPath}.{RegisterOf(link)}");
        var (choice, isOff) = (Aml.LevelInterrupt([.. pci.Interrupts.Select(irq => (uint)irq)]), Aml.And(register, Aml.Integer(RouteOff)));
        // A resource template is a buffer; its four bytes of the number have a name in the method.
        const string number = "GSIN";
        return Aml.Device(LinkOf(link),
            Aml.Name("_HID", Aml.EisaId("PNP0C0F")),
            Aml.Name("_UID", Aml.Integer((ulong)link + 1)),
            Aml.Name("_PRS", Aml.ResourceTemplate(choice)),
            Aml.Method("_STA", 0, Aml.If(isOff, Aml.Return(Aml.Integer(SwitchedOff))), Aml.Return(Aml.Integer(Working))),
            Aml.Method("_DIS", 0, Aml.Or(register, Aml.Integer(RouteOff), register)),
            Aml.Method("_CRS", 0,
                Aml.Store(Aml.ResourceTemplate(Aml.LevelInterrupt(0)), Aml.Local(0)),
                Aml.CreateDWordField(Aml.Local(0), Aml.LevelInterruptNumber, number),
                Aml.Store(Aml.And(register, Aml.Integer(15)), Aml.NamePath(number)),
                Aml.Return(Aml.Local(0))),
            Aml.Method("_SRS", 1,
                Aml.CreateDWordField(Aml.Argument(0), Aml.LevelInterruptNumber, number),
                Aml.Store(Aml.NamePath(number), register)));
    }

    private static string LinkOf(int link) => $"LNK{(char)('A' + link)}";

    private static string RegisterOf(int link) => $"PRQ{(char)('A' + link)}";
}
