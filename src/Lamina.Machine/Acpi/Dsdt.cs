// The DSDT: sleep state S5 and the devices that cannot be probed. ACPI 6.5, 5.2.11.1, 6.1 (identification), 6.2.2 (_CRS).
using Lamina.Boot;
using Lamina.Devices.Chipset;

namespace Lamina.Acpi;

/// <summary>Makes the DSDT.</summary>
internal static class Dsdt
{
    private const byte Revision = 2;
    private const string GenerationName = "VGEN";

    /// <summary>The table for a description.</summary>
    internal static byte[] Create(AcpiDescription machine)
    {
        // 7.4.2: \_S5 holds SLP_TYPa, SLP_TYPb and two reserved values.
        var softOff = Aml.Integer(machine.PowerManagement.SoftOffType);
        byte[] code =
        [
            .. Aml.Name("\\_S5", Aml.Package(softOff, softOff, Aml.Integer(0), Aml.Integer(0))),
            .. Aml.Scope("\\_SB", [.. Processors(machine), .. machine.Pci is { } pci ? PciRoot.Create(pci) : [], .. VirtioDevices(machine), .. Generation(machine)]),
            .. Aml.Scope(machine.Pci is null ? "\\_SB" : PciRoot.IsaPath, [.. SerialPorts(machine), Rtc(machine), .. Keyboard(machine), .. PvPanic(machine)]),
            .. Events(machine),
        ];
        var table = AcpiTable.Create("DSDT", Revision, AcpiTable.HeaderLength + code.Length);
        table.Copy(AcpiTable.HeaderLength, code);
        return AcpiTable.Seal(table);
    }

    // 8.4: a processor device; its _UID is the one in the MADT.
    private static IEnumerable<byte[]> Processors(AcpiDescription machine) =>
        machine.ApicIds.Select((_, index) => Aml.Device($"C{index:X3}",
            Aml.Name("_HID", Aml.String("ACPI0007")),
            Aml.Name("_UID", Aml.Integer((ulong)index))));

    private static IEnumerable<byte[]> SerialPorts(AcpiDescription machine) =>
        machine.SerialPorts.Select((port, index) => Aml.Device($"COM{index + 1}",
            Aml.Name("_HID", Aml.EisaId("PNP0501")),
            Aml.Name("_UID", Aml.Integer((ulong)index + 1)),
            Aml.Name("_CRS", Aml.ResourceTemplate(Aml.Io(port.Port, 8), Aml.IrqNoFlags(port.Irq)))));

    private static byte[] Rtc(AcpiDescription machine) => Aml.Device("RTC",
        Aml.Name("_HID", Aml.EisaId("PNP0B00")),
        Aml.Name("_CRS", Aml.ResourceTemplate(Aml.Io(machine.RtcPort, 2), Aml.IrqNoFlags(machine.RtcIrq))));

    // The controller is the keyboard's; the mouse has an interrupt alone.
    private static IEnumerable<byte[]> Keyboard(AcpiDescription machine)
    {
        if (machine.Keyboard is not { } keyboard) yield break;
        yield return Aml.Device("KBD",
            Aml.Name("_HID", Aml.EisaId("PNP0303")),
            Aml.Name("_CRS", Aml.ResourceTemplate(Aml.Io(keyboard.DataPort, 1), Aml.Io(keyboard.CommandPort, 1), Aml.IrqNoFlags(keyboard.KeyboardIrq))));
        yield return Aml.Device("MOU",
            Aml.Name("_HID", Aml.EisaId("PNP0F13")),
            Aml.Name("_CRS", Aml.ResourceTemplate(Aml.IrqNoFlags(keyboard.MouseIrq))));
    }

    private static IEnumerable<byte[]> PvPanic(AcpiDescription machine)
    {
        if (machine.PvPanicPort is { } port)
            yield return Aml.Device("PEVT",
                Aml.Name("_HID", Aml.String("QEMU0001")),
                Aml.Name("_CRS", Aml.ResourceTemplate(Aml.Io(port, 1))));
    }

    // Microsoft's specification, "ACPI": which _CID and _DDN there must be, and that ADDR's evaluation is the address in two halves. VMGENCTR is the shorter
    // name that Linux knows as well (drivers/virt/vmgenid.c).
    private static IEnumerable<byte[]> Generation(AcpiDescription machine)
    {
        if (machine.Generation is { } generation)
            yield return Aml.Device(GenerationName,
                Aml.Name("_HID", Aml.String(VmGenerationIdSpec.HardwareId)),
                Aml.Name("_CID", Aml.Package(Aml.String(VmGenerationIdSpec.Name), Aml.String(VmGenerationIdSpec.ShortName))),
                Aml.Name("_DDN", Aml.String(VmGenerationIdSpec.Name)),
                Aml.Name("ADDR", Aml.Package(Aml.Integer((uint)generation.Address), Aml.Integer(generation.Address >> 32))));
    }

    // 5.6.4.1: the method of an edge-triggered event; its status is clear before the method runs.
    private static byte[] Events(AcpiDescription machine) => machine.Generation is { } generation
        ? Aml.Scope("\\_GPE", Aml.Method($"_E{generation.Event:X2}", 0, Aml.Notify($"\\_SB.{GenerationName}", VmGenerationIdSpec.Changed)))
        : [];

    // LNRO0005 is the identifier that Linux's virtio-mmio driver matches; _CCA says that DMA is coherent (6.2.17).
    private static IEnumerable<byte[]> VirtioDevices(AcpiDescription machine) =>
        machine.VirtioDevices.Select((device, index) => Aml.Device($"VR{index:X2}",
            Aml.Name("_HID", Aml.String("LNRO0005")),
            Aml.Name("_UID", Aml.Integer((ulong)index)),
            Aml.Name("_CCA", Aml.Integer(1)),
            Aml.Name("_CRS", Aml.ResourceTemplate(Aml.Memory32Fixed(device.Address, device.Length), Aml.LevelInterrupt(device.Gsi)))));
}
