// The micro machine's firmware tables: what its wiring has, told in ACPI's words, and for kernels without ACPI in those of the MP table and
// of Linux's command line.
using Lamina.Acpi;
using Lamina.Boot;
using Lamina.Devices.Chipset;
using Lamina.Devices.Virtio.Mmio;

namespace Lamina.Micro;

/// <summary>Describes the micro machine.</summary>
internal static class MicroTables
{
    /// <summary>The tables for a number of vCPUs and of virtio devices.</summary>
    internal static FirmwareTables Create(int cpus, int virtioDevices)
    {
        var machine = Describe(cpus, virtioDevices);
        var tables = AcpiTableSet.Create(machine);
        var acpi = tables.At(MicroLayout.Boot.AcpiTables, BootLayout.AcpiTablesEnd - MicroLayout.Boot.AcpiTables);
        var processors = new FirmwareTable(BootLayout.MultiProcessorTable, MultiProcessorTable.Create(machine, BootLayout.MultiProcessorTable), "the MP table");
        return new FirmwareTables([acpi, processors], acpi.Address, [.. machine.VirtioDevices.Select(device => $"{device.Length}@0x{device.Address:x}:{device.Gsi}")])
        {
            Files = TableLoader.Files(tables),
        };
    }

    private static AcpiDescription Describe(int cpus, int virtioDevices) => new()
    {
        ApicIds = [.. Enumerable.Range(0, cpus).Select(i => (uint)i)],
        LocalApic = LocalApicSpec.DefaultBase,
        LocalApicVersion = LocalApicSpec.VersionNumber,
        IoApic = IoApicSpec.BaseAddress,
        IoApicVersion = IoApicSpec.VersionNumber,
        IoApicId = IoApicSpec.Id,
        PowerManagement = new PowerManagementDescription(
            AcpiPmSpec.BasePort + AcpiPmSpec.EventOffset, AcpiPmSpec.BasePort + AcpiPmSpec.ControlOffset,
            AcpiPmSpec.BasePort + AcpiPmSpec.TimerOffset, AcpiPmSpec.BasePort + AcpiPmSpec.GeneralOffset, AcpiPmSpec.SciGsi, AcpiPmSpec.SleepTypeOff),
        ResetPort = AcpiPmSpec.BasePort + AcpiPmSpec.ResetOffset,
        ResetValue = AcpiPmSpec.ResetValue,
        SerialPorts = [new SerialDescription(MicroLayout.Com1, MicroLayout.Com1Irq)],
        RtcPort = CmosRtcSpec.Port,
        RtcIrq = MicroLayout.RtcIrq,
        CenturyRegister = CmosRtcSpec.CenturyRegister,
        PvPanicPort = PvPanicSpec.Port,
        Generation = new GenerationDescription(MicroLayout.Generation, MicroLayout.GenerationEvent),
        VirtioDevices =
        [
            .. Enumerable.Range(0, virtioDevices).Select(slot => new VirtioMmioDescription(
                (uint)MicroLayout.VirtioWindowOf(slot), (uint)VirtioMmio.WindowLength, (uint)MicroLayout.VirtioGsiOf(slot))),
        ],
    };
}
