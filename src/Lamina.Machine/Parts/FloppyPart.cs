// A floppy drive and the disk in it, which is only read.
using Lamina.Backends.Disk;
using Lamina.Core.Block;
using Lamina.Devices.Floppy;

namespace Lamina.Parts;

/// <summary>A floppy drive.</summary>
internal sealed class FloppyPart : IPart
{
    private readonly FloppyDevice _definition;
    private readonly IBlockBackend _disk;

    internal FloppyPart(FloppyDevice floppy, int index, OpenContext context) =>
        (_definition, _disk) = (floppy, context.Units.AddAside($"backends/floppy {index}", DiskImages.Open(OptionsOf(floppy))));

    /// <inheritdoc/>
    public string Name => _definition.Name;

    /// <summary>Refuses disks that there are not, and those of which no floppy drive makes anything.</summary>
    internal static void Check(MachineDefinition machine)
    {
        foreach (var floppy in machine.DevicesOf<FloppyDevice>())
        {
            if (!Path.Exists(floppy.Path)) throw new MachineException(MachineError.File, $"there is no floppy disk image {floppy.Path}");
            if (FloppyShape.Of(DiskTools.Inspect(floppy.Path, DiskFormat.Raw).Size) is null)
                throw new MachineException(MachineError.File, $"the floppy disk image {floppy.Path} has not the length of any floppy disk: 360K, 720K, 1.2M, 1.44M or 2.88M; give it as a disk, or name another one");
        }
    }

    /// <inheritdoc/>
    public void Attach(string name, IPartPlaces places, PartContext context) => places.Add(name, new FloppyDrive(_disk, context.Log.Of(name)));

    private static DiskOptions OptionsOf(FloppyDevice floppy) => new() { Path = floppy.Path, Format = DiskFormat.Raw, ReadOnly = true };
}
