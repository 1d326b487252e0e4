// The firmware tables of pc: what its wiring has, told in ACPI's words, and for kernels without ACPI in those of the MP table.
using Lamina.Acpi;
using Lamina.Boot;
using Lamina.Devices.Chipset;
using Lamina.Devices.Chipset.I440fx;
using Lamina.Devices.Chipset.Ps2;
using Lamina.Devices.Pci;

namespace Lamina.Pc;

/// <summary>Describes pc.</summary>
internal static class PcTables
{
    /// <summary>The tables for a machine; what is on its PCI bus says itself who it is.</summary>
    internal static FirmwareTables Create(MemoryMap map, int cpus)
    {
        var machine = Describe(map, cpus);
        var tables = AcpiTableSet.Create(machine);
        var acpi = tables.At(PcLayout.Boot.AcpiTables, BootLayout.AcpiTablesEnd - PcLayout.Boot.AcpiTables);
        var processors = new FirmwareTable(BootLayout.MultiProcessorTable, MultiProcessorTable.Create(machine, BootLayout.MultiProcessorTable), "the MP table");
        return new FirmwareTables([acpi, processors], acpi.Address, []) { Files = TableLoader.Files(tables) };
    }

    /// <summary>What the tables say.</summary>
    internal static AcpiDescription Describe(MemoryMap map, int cpus) => new()
    {
        ApicIds = [.. Enumerable.Range(0, cpus).Select(i => (uint)i)],
        LocalApic = LocalApicSpec.DefaultBase,
        LocalApicVersion = LocalApicSpec.VersionNumber,
        IoApic = IoApicSpec.BaseAddress,
        IoApicVersion = IoApicSpec.VersionNumber,
        IoApicId = IoApicSpec.Id,
        PowerManagement = new PowerManagementDescription(
            PcLayout.PowerPorts + AcpiPmSpec.EventOffset, PcLayout.PowerPorts + AcpiPmSpec.ControlOffset,
            PcLayout.PowerPorts + AcpiPmSpec.TimerOffset, PcLayout.PowerPorts + AcpiPmSpec.GeneralOffset, AcpiPmSpec.SciGsi, PcLayout.SoftOffType),
        HandOver = new HandOverDescription(ApmPortsSpec.Port, ApmPortsSpec.AcpiEnable, ApmPortsSpec.AcpiDisable),
        ResetPort = ResetPortsSpec.ResetControlPort,
        ResetValue = ResetPortsSpec.ResetControlValue,
        SerialPorts = [new SerialDescription(PcLayout.Com1, PcLayout.Com1Irq)],
        RtcPort = CmosRtcSpec.Port,
        RtcIrq = PcLayout.RtcIrq,
        CenturyRegister = CmosRtcSpec.CenturyRegister,
        HasDisplay = true,
        Keyboard = new KeyboardDescription(I8042Spec.DataPort, I8042Spec.CommandPort, PcLayout.KeyboardIrq, PcLayout.MouseIrq),
        PvPanicPort = PvPanicSpec.Port,
        Generation = new GenerationDescription(PcLayout.Generation, PcLayout.GenerationEvent),
        Pci = new PciRootDescription(
            PciConfigurationSpec.AddressPort, PcLayout.PciWindowOf(map), PcLayout.WideMemory(map), I440fxSpec.IsaDevice << 16, I440fxSpec.PirqRoute, PcLayout.RouteChoices, PirqRouter.InputOf)
        {
            Routes = PcLayout.Routes,
        },
    };
}
