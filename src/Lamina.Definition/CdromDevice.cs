// A CD drive of a machine, as data: what is in it is read only, and may be changed while the machine runs.
namespace Lamina.Definition;

/// <summary>A CD and DVD drive.</summary>
public sealed record CdromDevice : DeviceDefinition
{
    /// <summary>The disc in it: an ISO image, or a block device of the host; "" for none.</summary>
    public string Path { get; init; } = "";

    /// <summary>How it is connected.</summary>
    public DriveBus Bus { get; init; } = DriveBus.Ide;

    /// <summary>What there is to say.</summary>
    public static Shape<CdromDevice> Shape { get; } = new("a CD drive",
    [
        NameProperty<CdromDevice>(),
        Property.Path<CdromDevice>("path", "the disc in it, an ISO image; none where it is left out", cdrom => cdrom.Path.Length == 0 ? null : cdrom.Path, (cdrom, path) => cdrom with { Path = path }),
        Property.Choice<CdromDevice, DriveBus>("bus", "how it is connected: ide (the default), or sata (AHCI)", [("ide", DriveBus.Ide), ("sata", DriveBus.Sata)],
            cdrom => cdrom.Bus == DriveBus.Ide ? null : cdrom.Bus, (cdrom, bus) => cdrom with { Bus = bus }),
    ]);

    /// <summary>Reads <c>PATH[,option…]</c>; a comma in a path is written twice, and none stands for an empty drive.</summary>
    /// <exception cref="MachineException">The text is no CD drive.</exception>
    public static CdromDevice Parse(string text) => Words.Split(text)[0] switch
    {
        "" => throw new MachineException("a CD drive needs the path of the disc in it; write it like install.iso, or none for an empty drive"),
        "none" => Words.Read(Shape, "path", new CdromDevice(), text) with { Path = "" },
        _ => Words.Read(Shape, "path", new CdromDevice(), text),
    };

    /// <inheritdoc/>
    public override string ToString() => Path.Length == 0 ? Words.Write(Shape, "path", this with { Path = "none" }) : Words.Write(Shape, "path", this);
}
