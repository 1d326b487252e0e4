// The micro machine's firmware tables: what its wiring has, told in ACPI's words.
using Lamina.Acpi;
using Lamina.Boot;
using Lamina.Devices.Chipset;
using Lamina.Devices.Virtio.Mmio;

namespace Lamina.Micro;

/// <summary>Describes the micro machine.</summary>
internal static class MicroTables
{
    /// <summary>The tables for a number of vCPUs and of virtio devices.</summary>
    internal static FirmwareTables Create(int cpus, int virtioDevices) => AcpiTables.Create(new AcpiDescription
    {
        ApicIds = [.. Enumerable.Range(0, cpus).Select(i => (uint)i)],
        LocalApic = LocalApicSpec.DefaultBase,
        IoApic = IoApicSpec.BaseAddress,
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
        VirtioDevices =
        [
            .. Enumerable.Range(0, virtioDevices).Select(slot => new VirtioMmioDescription(
                (uint)(MicroLayout.VirtioMmio + ((ulong)slot * MicroLayout.VirtioMmioStride)), (uint)VirtioMmio.WindowLength, (uint)MicroLayout.VirtioGsiOf(slot))),
        ],
    }, MicroLayout.Boot.AcpiTables, BootLayout.AcpiTablesEnd - MicroLayout.Boot.AcpiTables);
}
