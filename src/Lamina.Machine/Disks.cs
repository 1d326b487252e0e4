// Opens the disks of a machine. They belong to the stack of units: a disk is closed after the device that uses it.
using Lamina.Backends.Disk;
using Lamina.Core.Block;
using Lamina.Core.Units;
using Lamina.Host.Io;

namespace Lamina;

/// <summary>A disk that is open, with what was asked of it.</summary>
internal sealed record OpenDisk(DiskSpec Spec, IBlockBackend Backend);

/// <summary>Opens disks.</summary>
internal static class Disks
{
    /// <summary>Opens all disks of a spec.</summary>
    /// <param name="disks">What to open.</param>
    /// <param name="report">Told of what goes wrong later; or null.</param>
    /// <param name="units">Give them back at the end.</param>
    /// <exception cref="IOException">One cannot be used; the message is a sentence.</exception>
    /// <exception cref="MachineException">One is given twice, or asks for what cannot be.</exception>
    internal static IReadOnlyList<OpenDisk> Open(IReadOnlyList<DiskSpec> disks, Action<string>? report, UnitTree units)
    {
        foreach (var disk in disks) disk.Check();
        var twice = disks.Where(disk => !disk.ReadOnly && !disk.Temporary)
            .FirstOrDefault(disk => disks.Any(other => !ReferenceEquals(disk, other) && HostPath.Identity(disk.Path) is { } identity && identity == HostPath.Identity(other.Path)));
        if (twice is not null) throw new MachineException($"the disk {twice.Path} is given twice; a machine can share an image with itself only where both are read only");
        return [.. disks.Select((disk, index) => new OpenDisk(disk, units.Add($"backends/disk {index}", Open(disk, report))))];
    }

    private static IBlockBackend Open(DiskSpec disk, Action<string>? report)
    {
        var options = new DiskOptions
        {
            Path = disk.Path,
            Format = disk.Format,
            ReadOnly = disk.ReadOnly,
            Direct = disk.Direct,
            Aio = disk.Aio,
            Cache = disk.Cache,
            Backing = disk.Backing,
            TrustsBacking = disk.TrustsBacking,
            Report = report,
        };
        return disk.Temporary ? DiskImages.OpenTemporary(options) : DiskImages.Open(options);
    }
}
