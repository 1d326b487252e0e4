// A floppy drive of a machine, as data: the disk in it is write-protected.
namespace Lamina.Definition;

/// <summary>A floppy drive with a disk in it, which is only read.</summary>
public sealed record FloppyDevice : DeviceDefinition
{
    /// <summary>The disk in it: a raw image of 360K, 720K, 1.2M, 1.44M or 2.88M.</summary>
    public string Path { get; init; } = "";

    /// <summary>What there is to say.</summary>
    public static Shape<FloppyDevice> Shape { get; } = new("a floppy drive",
    [
        NameProperty<FloppyDevice>(),
        Property.Path<FloppyDevice>("path", "the disk in it, a raw image of 360K, 720K, 1.2M, 1.44M or 2.88M, which is only read", floppy => floppy.Path.Length == 0 ? null : floppy.Path, (floppy, path) => floppy with { Path = path }),
    ]);

    /// <summary>Reads <c>PATH[,option…]</c>; a comma in a path is written twice.</summary>
    /// <exception cref="MachineException">The text is no floppy drive.</exception>
    public static FloppyDevice Parse(string text) => Words.Split(text)[0].Length == 0
        ? throw new MachineException("a floppy drive needs the path of the disk in it; write it like boot.img")
        : Words.Read(Shape, "path", new FloppyDevice(), text);

    /// <inheritdoc/>
    public override string ToString() => Words.Write(Shape, "path", this);
}
