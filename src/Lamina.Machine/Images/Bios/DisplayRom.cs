// A display's own firmware: SeaBIOS' VGA BIOS for the standard VGA, by which boot loaders and DOS draw. It is read once, when the machine
// is made, as the firmware is.
using Lamina.Core.Logging;

namespace Lamina.Images.Bios;

/// <summary>The firmware of the standard VGA.</summary>
internal static class DisplayRom
{
    /// <summary>What its file is called in Debian's package.</summary>
    internal const string FileName = "vgabios-stdvga.bin";

    /// <summary>Reads it.</summary>
    /// <param name="firmware">What the machine begins with.</param>
    /// <param name="log">Told where there is none.</param>
    /// <exception cref="MachineException">The file is unreadable, or no option ROM.</exception>
    internal static byte[]? Find(string firmware, ILog? log)
    {
        if (FirmwareStore.DisplayPathOf(firmware) is not { } path)
        {
            log.Warn(LogEvent.Firmware, $"there is no {FileName} beside the firmware, so that nothing is shown on the screen until an operating system has a driver of its own");
            return null;
        }
        return OptionRom.Read("display's firmware", path);
    }
}
