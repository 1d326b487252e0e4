// Firmware that is asked for by a name: fetched once through the host's package manager and kept beside the images, in the same way.
using Lamina.Folders;

namespace Lamina.Images.Bios;

/// <summary>The firmware of a user.</summary>
public static class FirmwareStore
{
    /// <summary>The store of the user: below $XDG_CACHE_HOME/lamina, or ~/.cache/lamina.</summary>
    /// <exception cref="ImageException">The user has neither.</exception>
    public static ImageStore OfUser() => new(Path.Combine(UserFolders.Cache ?? throw new ImageException("there is no folder for firmware: neither HOME nor XDG_CACHE_HOME names one"), "firmware"), [new SeaBios(), new Ovmf(), new NetworkRoms()]);

    /// <summary>The file with a display's firmware for a machine that begins with this firmware: beside it, or else what was fetched with SeaBIOS; null where there is none.</summary>
    /// <param name="firmware">As for <see cref="PathOf"/>.</param>
    public static string? DisplayPathOf(string firmware)
    {
        foreach (var named in (string[])[firmware, BootSource.SeaBios])
        {
            try
            {
                if (Path.Combine(Path.GetDirectoryName(Path.GetFullPath(PathOf(named)))!, DisplayRom.FileName) is var path && File.Exists(path)) return path;
            }
            catch (MachineException)
            {
                // It was not fetched.
            }
        }
        return null;
    }

    /// <summary>What the firmware of network cards is called in the store.</summary>
    public const string NetworkRoms = "ipxe";

    /// <summary>The files with the firmware of the network cards of a machine that boots from the network, by their model; none where it boots otherwise.</summary>
    /// <exception cref="MachineException">It was not fetched yet.</exception>
    public static IEnumerable<(NetworkModel Model, string Path)> CardPathsOf(MachineDefinition machine)
    {
        ArgumentNullException.ThrowIfNull(machine);
        if (machine.Boot.From != BootMedium.Network) return [];
        try
        {
            var folder = OfUser().Find(NetworkRoms)?.Folder ?? throw new MachineException(MachineError.File, $"the firmware of network cards, {NetworkRoms}, has not been fetched yet; \"lamina run --boot network\" fetches it");
            return machine.DevicesOf<NetworkDevice>().Select(card => card.Model).Distinct().Select(model => (model, Path.Combine(folder, Bios.NetworkRoms.FileOf(model))));
        }
        catch (ImageException wrong)
        {
            throw new MachineException(MachineError.File, wrong.Message, wrong);
        }
    }

    /// <summary>The file with the variables that a machine begins with whose firmware keeps some: beside the firmware; null where there is none.</summary>
    /// <param name="firmware">As for <see cref="PathOf"/>.</param>
    public static string? VariablesPathOf(string firmware)
    {
        try
        {
            return Firmware.FirmwareImage.VariablesPathOf(PathOf(firmware));
        }
        catch (MachineException)
        {
            // It was not fetched.
            return null;
        }
    }

    /// <summary>The file of what a definition names: a path is one, a name leads to what was fetched.</summary>
    /// <param name="firmware">A path, or <see cref="BootSource.SeaBios"/>.</param>
    /// <exception cref="MachineException">It is a name, and nothing of it was fetched yet.</exception>
    public static string PathOf(string firmware)
    {
        if (!BootSource.IsFirmwareName(firmware)) return firmware;
        try
        {
            return OfUser().Find(firmware)?.KernelPath ?? throw new MachineException(MachineError.File, $"the firmware {firmware} has not been fetched yet; \"lamina run --firmware {firmware}\" fetches it");
        }
        catch (ImageException wrong)
        {
            throw new MachineException(MachineError.File, wrong.Message, wrong);
        }
    }
}
