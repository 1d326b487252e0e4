// A display's own firmware: SeaBIOS' VGA BIOS for the standard VGA, by which boot loaders and DOS draw. It is read once, when the machine
// is made, as the firmware is.
using Lamina.Boot;
using Lamina.Core.Logging;

namespace Lamina.Images.Bios;

/// <summary>The firmware of the standard VGA.</summary>
internal static class DisplayRom
{
    /// <summary>What its file is called in Debian's package.</summary>
    internal const string FileName = "vgabios-stdvga.bin";

    // An option ROM has its length in blocks of 512 bytes behind its signature; more of them do not lie between 0xC0000 and 0xE0000.
    private const int Longest = 128 << 10, Block = 512;

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
        using var file = BootFile.Open("display's firmware", path, Longest + 1, $"is no option ROM, which has at most {Sizes.Text(Longest)}");
        var bytes = file.Head((int)file.Length);
        return bytes.Length >= Block && bytes is [0x55, 0xaa, var blocks, ..] && blocks * Block <= bytes.Length ? bytes
            : throw new MachineException(MachineError.File, $"{path} is no option ROM: it does not begin with 55h AAh and its length");
    }
}
