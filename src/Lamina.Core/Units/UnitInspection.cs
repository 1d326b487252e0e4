// One look at the parts of a machine: which there are, by the tree of units, and what each says of itself. It has two halves, because
// some parts (vCPUs' registers) can be looked at while no vCPU runs only, and the rest should not stop any.
using Lamina.Core.Inspection;
using Lamina.Core.State;

namespace Lamina.Core.Units;

/// <summary>A look at a machine's parts, or at those below a name.</summary>
public sealed class UnitInspection
{
    private readonly List<(object Part, string Name, InspectNode Node)> _parts = [];

    internal UnitInspection(IEnumerable<(string Name, object Part)> units, string path)
    {
        Root = new InspectNode("machine");
        var seen = new Dictionary<object, string>(ReferenceEqualityComparer.Instance);
        foreach (var (name, part) in units)
        {
            if (!Concerns(name, path)) continue;
            var node = Root;
            foreach (var piece in name.Split('/')) node = node.Below(piece);
            node.Kind = KindOf(part);
            // A part may have more than one name, for each place in the order of dependencies that it needs.
            if (seen.TryAdd(part, name)) _parts.Add((part, name, node));
            else node.Say("same as", seen[part]);
        }
    }

    /// <summary>What was seen.</summary>
    public InspectNode Root { get; }

    /// <summary>Whether there is something to look at for which the vCPUs have to be parked.</summary>
    public bool NeedsParked => _parts.Exists(part => part.Part is IInspectedParked);

    /// <summary>Looks at what needs parked vCPUs, which they are.</summary>
    public void LookParked() => Look(parked: true);

    /// <summary>Looks at everything else, and asks what parts count.</summary>
    public void Look()
    {
        Look(parked: false);
        foreach (var (part, name, node) in _parts)
            if (part is ICounted counted) Guard(node, () => SayCounters(node, name, counted));
    }

    private void Look(bool parked)
    {
        foreach (var (part, _, node) in _parts)
            if (part is IInspected inspected && part is IInspectedParked == parked) Guard(node, () => inspected.Inspect(node));
    }

    private static void SayCounters(InspectNode node, string name, ICounted counted)
    {
        var counters = new CounterList();
        counters.Ask(name, counted);
        if (counters.All.Count == 0) return;
        var below = node.Below("counters");
        foreach (var counter in counters.All)
        {
            if (counter.Of is { } of) below.Below(counter.Name).Say(of, counter.Value);
            else below.Say(counter.Name, counter.Value);
        }
    }

    // A part that fails to say what it is in does not keep the others from it, nor the machine from running.
    private static void Guard(InspectNode node, Action say)
    {
        try
        {
            say();
        }
        catch (Exception failure)
        {
            node.Say("error", $"{failure.GetType().Name}: {failure.Message}");
        }
    }

    // A part is of interest where it lies below the path, or the path leads into it.
    private static bool Concerns(string name, string path) => path.Length == 0 || name == path
        || name.StartsWith(path + "/", StringComparison.Ordinal) || path.StartsWith(name + "/", StringComparison.Ordinal);

    private static string KindOf(object part) => part is ISavedUnit saved ? saved.Kind.Name : part.GetType().Name;
}
