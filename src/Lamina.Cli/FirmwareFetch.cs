// Firmware for machines that boot from their own disks: when "lamina run" and "lamina create" take it though nobody names it, and that it
// is here before a machine begins.
using System.CommandLine;
using Lamina.Backends.Disk;
using Lamina.Cli.Verbs;
using Lamina.Images.Bios;

namespace Lamina.Cli;

/// <summary>Chooses and fetches firmware.</summary>
internal static class FirmwareFetch
{
    /// <summary>
    /// Whether the words are for a machine that begins with firmware: they name it, or they name nothing to boot but the network, or nothing, and there is a floppy disk, or a disc in a CD drive,
    /// or a boot loader on the first disk, which is the one that firmware boots.
    /// </summary>
    /// <exception cref="UsageException">Words do not go together.</exception>
    public static bool IsAsked(ParseResult parsed, RunOptions options)
    {
        if (parsed.GetValue(options.Kernel) is not null) return false;
        var image = parsed.GetValue(options.Image);
        if (parsed.GetValue(options.Firmware) is null && (image is not null || parsed.GetValue(options.Rm) || !BootsByItself(options.Apply(parsed, new MachineDefinition())))) return false;
        if (image is not null) throw new UsageException($"there is either an image to boot or firmware that boots from the disks; leave out '{image}' or {options.Firmware.Name}");
        if (parsed.GetValue(options.Rm)) throw new UsageException($"--rm needs an image with an agent, such as tiny or debian, and not {options.Firmware.Name}");
        RunSource.RefuseDiskWords(parsed, options, "a machine that boots from its own disks");
        if (RunOptions.AreGiven(parsed, options.Root, options.Initrd, options.CommandLine, options.Modules).FirstOrDefault() is { } given) throw new UsageException($"{given} is for a kernel that is loaded directly; name it with --kernel");
        return true;
    }

    /// <summary>Sees to it that the firmware that a machine begins with is here.</summary>
    /// <exception cref="Images.ImageException">It cannot be fetched.</exception>
    public static void Ensure(MachineDefinition machine)
    {
        if (machine.FirmwareToBoot is { } firmware && BootSource.IsFirmwareName(firmware) && FirmwareStore.OfUser().Find(firmware) is null)
            ImageBuild.Run(FirmwareStore.OfUser(), (store, progress, cancellation) => store.FindOrBuildAsync(firmware, progress, cancellation));
        if (machine.Boot.From == BootMedium.Network && FirmwareStore.OfUser().Find(FirmwareStore.NetworkRoms) is null)
            ImageBuild.Run(FirmwareStore.OfUser(), (store, progress, cancellation) => store.FindOrBuildAsync(FirmwareStore.NetworkRoms, progress, cancellation));
    }

    private static bool BootsByItself(MachineDefinition machine) =>
        machine.Boot.From == BootMedium.Network || machine.DevicesOf<FloppyDevice>().Any() || machine.DevicesOf<CdromDevice>().Any(cdrom => cdrom.Path.Length > 0) || machine.DevicesOf<DiskDevice>().FirstOrDefault() is { } first && IsBootable(first);

    // What cannot be read is said by the machine that opens it.
    private static bool IsBootable(DiskDevice disk)
    {
        // Its server may take one client only, which is the machine.
        if (disk.IsRemote) return true;
        try
        {
            return BootSector.IsOn(new DiskOptions
            {
                Path = disk.Path,
                Format = disk.Format switch { ImageFormat.Raw => DiskFormat.Raw, ImageFormat.Qcow2 => DiskFormat.Qcow2, _ => null },
                Backing = disk.Backing,
                TrustsBacking = disk.TrustsBacking,
            });
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
