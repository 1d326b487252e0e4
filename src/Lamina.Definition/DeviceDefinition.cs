// The devices of a machine as data: a closed set of kinds, each a record with a name that is unique in its machine. Kinds with
// more to say have a file of their own; what each property is called in words and files stands beside its record.
namespace Lamina.Definition;

/// <summary>A device.</summary>
public abstract record DeviceDefinition
{
    /// <summary>How long a name may be. RFC 1123, 2.1: names of machines and devices are host names' labels.</summary>
    public const int LongestName = 63;

    /// <summary>Its name in the machine: lower-case letters, digits and hyphens. "" where it is to get one (<see cref="MachineDefinition.Complete"/>).</summary>
    public string Name { get; init; } = "";

    /// <summary>Its kind, as files and sentences call it: "disk".</summary>
    public string Kind => DeviceKind.Of(this).Name;

    /// <summary>Whether a text can be the name of a machine or a device.</summary>
    public static bool IsName(string name) =>
        name is { Length: > 0 and <= LongestName } && name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-') && name[0] != '-' && name[^1] != '-';

    /// <summary>The property that every device has.</summary>
    internal static Property<T> NameProperty<T>() where T : DeviceDefinition => new("name", ValueKind.Text, "NAME", "its name in the machine")
    {
        Read = (device, text) => IsName(Property.Needed("name", text))
            ? device with { Name = text! }
            : throw new MachineException($"name: '{text}' cannot be a device's name; use lower-case letters, digits and hyphens, up to {LongestName}"),
        Write = device => device.Name.Length == 0 ? [] : [device.Name],
    };
}

/// <summary>A memory balloon: memory that the guest frees goes back to the host.</summary>
public sealed record BalloonDevice : DeviceDefinition
{
    /// <summary>What there is to say.</summary>
    public static Shape<BalloonDevice> Shape { get; } = new("a balloon", NameProperty<BalloonDevice>());
}

/// <summary>A source of entropy. Every machine has one.</summary>
public sealed record RngDevice : DeviceDefinition
{
    /// <summary>What there is to say.</summary>
    public static Shape<RngDevice> Shape { get; } = new("a source of entropy", NameProperty<RngDevice>());
}
