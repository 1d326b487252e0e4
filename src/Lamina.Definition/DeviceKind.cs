// The kinds of devices there are, by the names that files use. A new kind is a record with its table, and a line here.
namespace Lamina.Definition;

/// <summary>A kind of device: its name and its table, whatever its type.</summary>
public sealed class DeviceKind
{
    private readonly Type _type;
    private readonly Func<DeviceDefinition, string, string?, DeviceDefinition> _with;
    private readonly Func<DeviceDefinition, string, ValueKind?> _kindOf;
    private readonly Func<DeviceDefinition, IEnumerable<WrittenProperty>> _write;
    private readonly Func<DeviceDefinition, Func<string, string>, DeviceDefinition> _mapPaths;

    private DeviceKind(string name, Type type, DeviceDefinition empty, IReadOnlyList<(string, ValueKind, string, string)> properties, Access access)
    {
        (Name, _type, Empty, Properties) = (name, type, empty, properties);
        (_with, _kindOf, _write, _mapPaths) = (access.With, access.KindOf, access.Write, access.MapPaths);
    }

    private sealed record Access(Func<DeviceDefinition, string, string?, DeviceDefinition> With, Func<DeviceDefinition, string, ValueKind?> KindOf,
        Func<DeviceDefinition, IEnumerable<WrittenProperty>> Write, Func<DeviceDefinition, Func<string, string>, DeviceDefinition> MapPaths);

    /// <summary>All kinds.</summary>
    public static IReadOnlyList<DeviceKind> All { get; } =
    [
        Make("disk", new DiskDevice(), DiskDevice.Shape),
        Make("cdrom", new CdromDevice(), CdromDevice.Shape),
        Make("floppy", new FloppyDevice(), FloppyDevice.Shape),
        Make("network", new NetworkDevice(), NetworkDevice.Shape),
        Make("share", new ShareDevice(), ShareDevice.Shape),
        Make("serial", new SerialDevice(), SerialDevice.Shape),
        Make("console", new ConsoleDevice(), ConsoleDevice.Shape),
        Make("channel", new ChannelDevice(), ChannelDevice.Shape),
        Make("vsock", new VsockDevice(), VsockDevice.Shape),
        Make("balloon", new BalloonDevice(), BalloonDevice.Shape),
        Make("rng", new RngDevice(), RngDevice.Shape),
    ];

    /// <summary>Its name.</summary>
    public string Name { get; }

    /// <summary>A device of this kind of which nothing is said.</summary>
    public DeviceDefinition Empty { get; }

    /// <summary>Its properties, each with its kind of values, what may be said, and what it means.</summary>
    public IReadOnlyList<(string Name, ValueKind Kind, string Syntax, string Meaning)> Properties { get; }

    /// <summary>The kind of a device.</summary>
    public static DeviceKind Of(DeviceDefinition device) => All.First(kind => kind._type == device.GetType());

    /// <summary>The kind of a name; null where there is none.</summary>
    public static DeviceKind? Find(string name) => All.FirstOrDefault(kind => kind.Name == name);

    /// <summary><see cref="Shape{T}.With"/>.</summary>
    public DeviceDefinition With(DeviceDefinition device, string name, string? text) => _with(device, name, text);

    /// <summary>What a property's values look like; null where there is no such property.</summary>
    public ValueKind? KindOf(DeviceDefinition device, string name) => _kindOf(device, name);

    /// <summary><see cref="Shape{T}.Write"/>.</summary>
    public IEnumerable<WrittenProperty> Write(DeviceDefinition device) => _write(device);

    /// <summary><see cref="Shape{T}.MapPaths"/>.</summary>
    public DeviceDefinition MapPaths(DeviceDefinition device, Func<string, string> map) => _mapPaths(device, map);

    private static DeviceKind Make<T>(string name, T empty, Shape<T> shape) where T : DeviceDefinition =>
        new(name, typeof(T), empty, [.. shape.Properties.Select(property => (property.Name, property.Kind, property.Syntax, property.Meaning))], new Access(
            (device, property, text) => shape.With((T)device, property, text),
            (device, property) => shape.Find((T)device, property)?.Kind,
            device => shape.Write((T)device),
            (device, map) => shape.MapPaths((T)device, map)));
}
