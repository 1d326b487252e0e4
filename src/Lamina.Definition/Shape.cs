// All properties of a machine or of a kind of device, as one table: reads a property by its name, writes what differs from the
// default, lists what there is. Words.cs and DefinitionJson.cs are the two notations over it.
namespace Lamina.Definition;

/// <summary>A property that was written: its name, its kind, and values as <see cref="Shape{T}.With"/> reads them.</summary>
public sealed record WrittenProperty(string Name, ValueKind Kind, IReadOnlyList<string?> Values, bool IsShort);

/// <summary>What there is to say about a <typeparamref name="T"/>.</summary>
/// <param name="what">What it is, in a sentence: "a disk".</param>
/// <param name="properties">Its properties, in the order in which they are written.</param>
public sealed class Shape<T>(string what, params IReadOnlyList<Property<T>> properties)
{
    /// <summary>What it is, in a sentence.</summary>
    public string What => what;

    /// <summary>The properties.</summary>
    public IReadOnlyList<Property<T>> Properties => properties;

    /// <summary>Says one thing: a property's name, and a value of it or null for the name alone.</summary>
    /// <exception cref="MachineException">There is no such property, or no such value.</exception>
    public T With(T it, string name, string? text)
    {
        var property = Find(it, name);
        return property is null or { Kind: ValueKind.Flag } && (property is null || text is not null)
            ? throw new MachineException($"{what} has no option \"{(text is null ? name : $"{name}={text}")}\"; there are {string.Join(", ", properties.Where(known => known.AppliesTo(it)).Select(known => known.Usage))}")
            : property.Read(it, text);
    }

    /// <summary>The property of a name; null where there is none.</summary>
    public Property<T>? Find(T it, string name) => properties.FirstOrDefault(property => property.Name == name && property.AppliesTo(it));

    /// <summary>All that is not as it is by default, in the table's order.</summary>
    public IEnumerable<WrittenProperty> Write(T it) =>
        from property in properties
        where property.AppliesTo(it)
        let values = property.Write(it)
        where values.Count > 0
        select new WrittenProperty(property.Name, property.Kind, values, property.IsShort);

    /// <summary>Changes every path.</summary>
    public T MapPaths(T it, Func<string, string> map)
    {
        foreach (var property in properties.Where(property => property.IsPath && property.AppliesTo(it)))
            foreach (var path in property.Write(it).OfType<string>()) it = property.Read(it, map(path));
        return it;
    }
}
