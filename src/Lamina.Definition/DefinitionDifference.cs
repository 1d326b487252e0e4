// What is different between two definitions: which properties of the machine, which devices. Who changes a machine while it runs, who writes a
// changed definition and who says what was changed all go by it.
namespace Lamina.Definition;

/// <summary>A device of one definition or of two.</summary>
/// <param name="Name">Its name, or the one that it gets (disk0).</param>
/// <param name="Before">What it was; null for one that is new.</param>
/// <param name="After">What it is; null for one that is gone.</param>
public sealed record DeviceChange(string Name, DeviceDefinition? Before, DeviceDefinition? After)
{
    /// <summary>Its place in the first definition's list; -1 for one that is new.</summary>
    internal int Index { get; init; } = -1;

    /// <summary>Whether it is other than it was.</summary>
    public bool IsChange => Before is null || After is null || !DefinitionDifference.Same(Before, After);

    /// <summary>What is other, as words for a sentence: "disk data", "disk data (removed)", "publish of network0".</summary>
    public IEnumerable<string> Words => !IsChange ? [] : After is null ? [$"{this} (removed)"] : Before is null ? [$"{this}"] : DefinitionDifference.Differing(Before, After).Select(property => $"{property} of {this}");

    /// <summary>What it is called in a sentence: "disk0", "disk data".</summary>
    public override string ToString() => (After ?? Before)!.Kind is var kind && Name.StartsWith(kind, StringComparison.Ordinal) ? Name : $"{kind} {Name}";
}

/// <summary>What is different between two definitions.</summary>
public sealed class DefinitionDifference
{
    private DefinitionDifference(IReadOnlyList<string> properties, IReadOnlyList<DeviceChange> devices) => (Properties, Devices) = (properties, devices);

    /// <summary>The names of the machine's properties that differ, in the table's order.</summary>
    public IReadOnlyList<string> Properties { get; }

    /// <summary>All devices of either, with what became of them: those of the second definition in its order, then those that are gone.</summary>
    public IReadOnlyList<DeviceChange> Devices { get; }

    /// <summary>Whether devices of one kind follow one another in another order, which the guest sees.</summary>
    public bool IsReordered => Devices.Where(device => device is { Before: not null, After: not null }).GroupBy(device => device.After!.Kind)
        .Any(kind => kind.Zip(kind.Skip(1)).Any(pair => pair.First.Index > pair.Second.Index));

    /// <summary>Whether they are the same.</summary>
    public bool IsNone => Properties.Count == 0 && Devices.All(device => !device.IsChange) && !IsReordered;

    /// <summary>What differs, as words for a sentence.</summary>
    public IReadOnlyList<string> Words => [.. Properties, .. Devices.SelectMany(device => device.Words), .. IsReordered ? ["the order of devices"] : Array.Empty<string>()];

    /// <summary>Compares two definitions. A device is the same where it is as it was, or has the name that it had.</summary>
    public static DefinitionDifference Between(MachineDefinition before, MachineDefinition after)
    {
        ArgumentNullException.ThrowIfNull(before);
        ArgumentNullException.ThrowIfNull(after);
        var properties = MachineShape.Shape.Properties.Where(property => !property.Write(before).SequenceEqual(property.Write(after))).Select(property => property.Name).ToList();
        var (old, now) = (before.Devices, after.Devices);
        var (oldNames, names) = (before.Complete().Devices, after.Complete().Devices);
        var left = Enumerable.Range(0, old.Count).ToList();
        var found = new int?[now.Count];
        // One that is as it was is found first, wherever it stands now.
        for (var i = 0; i < now.Count; i++) found[i] = Take(at => Same(old[at], now[i]));
        for (var i = 0; i < now.Count; i++) found[i] ??= Take(at => oldNames[at].Name == names[i].Name && old[at].GetType() == now[i].GetType());
        return new DefinitionDifference(properties,
        [
            .. now.Select((device, i) => new DeviceChange(names[i].Name, found[i] is { } at ? old[at] : null, device) { Index = found[i] ?? -1 }),
            .. left.Select(at => new DeviceChange(oldNames[at].Name, old[at], null) { Index = at }),
        ]);

        int? Take(Func<int, bool> fits)
        {
            var at = left.FindIndex(index => fits(index));
            if (at < 0) return null;
            var index = left[at];
            left.RemoveAt(at);
            return index;
        }
    }

    /// <summary>Whether two devices are the same, property by property.</summary>
    public static bool Same(DeviceDefinition one, DeviceDefinition other)
    {
        ArgumentNullException.ThrowIfNull(one);
        ArgumentNullException.ThrowIfNull(other);
        return one.GetType() == other.GetType() && !Differing(one, other).Any();
    }

    // The names of the properties in which two devices of one kind differ.
    internal static IEnumerable<string> Differing(DeviceDefinition one, DeviceDefinition other)
    {
        var kind = DeviceKind.Of(one);
        var (first, second) = (kind.Write(one).ToDictionary(property => property.Name), kind.Write(other).ToDictionary(property => property.Name));
        return kind.Properties.Select(property => property.Name).Distinct().Where(name => first.GetValueOrDefault(name) is var a && second.GetValueOrDefault(name) is var b
            && !(a?.Values ?? []).SequenceEqual(b?.Values ?? []));
    }
}
