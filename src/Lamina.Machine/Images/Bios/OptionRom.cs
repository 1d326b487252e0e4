// The firmware of a device, which a machine's own firmware carries out before it boots. It is read once, when the machine is made, as the firmware is.
using Lamina.Boot;

namespace Lamina.Images.Bios;

/// <summary>Reads option ROMs.</summary>
internal static class OptionRom
{
    // An option ROM has its length in blocks of 512 bytes behind its signature; more of them do not lie between 0xC0000 and 0xE0000.
    private const int Longest = 128 << 10, Block = 512;

    /// <summary>Reads one.</summary>
    /// <param name="what">What it is, for a sentence.</param>
    /// <param name="path">Its file.</param>
    /// <exception cref="MachineException">The file is unreadable, or no option ROM.</exception>
    internal static byte[] Read(string what, string path)
    {
        using var file = BootFile.Open(what, path, Longest + 1, $"is no option ROM, which has at most {Sizes.Text(Longest)}");
        var bytes = file.Head((int)file.Length);
        return bytes.Length >= Block && bytes is [0x55, 0xaa, var blocks, ..] && blocks * Block <= bytes.Length ? bytes
            : throw new MachineException(MachineError.File, $"{path} is no option ROM: it does not begin with 55h AAh and its length");
    }
}
