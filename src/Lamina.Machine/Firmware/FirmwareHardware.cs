// What a machine has that begins with firmware of the user's, on whatever board: its ROM, the device that it asks what machine it is in, and
// its debug port.
using Lamina.Boot;
using Lamina.Control;
using Lamina.Core.Bus;
using Lamina.Core.Memory;
using Lamina.Core.Units;
using Lamina.Devices.Firmware;

namespace Lamina.Firmware;

/// <summary>Firmware and its devices.</summary>
internal sealed class FirmwareHardware
{
    private readonly FirmwareRom _rom;

    /// <summary>Puts it into a machine.</summary>
    /// <param name="units">Gets its parts.</param>
    /// <param name="memory">The machine's.</param>
    /// <param name="mmio">The machine's.</param>
    /// <param name="ports">The machine's.</param>
    /// <param name="image">The firmware.</param>
    /// <param name="items">What it is told.</param>
    /// <param name="log">Makes the logs of its devices.</param>
    /// <param name="variables">Keeps its variables, which it takes over; null where they end with the machine.</param>
    internal FirmwareHardware(UnitTree units, GuestMemory memory, Bus mmio, Bus ports, FirmwareImage image, FwCfgItems items, MachineLog log, VariablesFile? variables)
    {
        _rom = units.Add("firmware/rom", new FirmwareRom(memory, image));
        if ((variables?.Content ?? image.Variables) is { } content) units.Add("firmware/variables", new FlashChip(memory, mmio, "firmware variables", FirmwareRom.End - (ulong)(image.Bytes.Length + content.Length), content, variables));
        units.Add("firmware/configuration", new FwCfg(items, memory, log.Of("firmware/configuration"))).MapPorts(ports);
        units.AddAside("firmware/log", new FirmwareLog(log.Of("firmware/log"))).MapPorts(ports);
    }

    /// <summary>What a machine with firmware begins with: nothing in memory, and its CPUs as they are after RESET.</summary>
    internal static BootPlan Plan(FirmwareImage image, MemoryMap map) => new(map) { Description = $"the firmware {image.Name}", Enter = static _ => { } };

    /// <summary>Puts memory to where the firmware begins. All of RAM is zero.</summary>
    internal void Renew() => _rom.Renew();
}
