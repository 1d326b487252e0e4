// The states of all parts of a machine: each by its name and kind, none left out.
using Lamina.Core.State;
using Lamina.Core.Units;
using Xunit;

namespace Lamina.Tests.Core.State;

public sealed class SavedTreeTests
{
    private sealed class Part(string kind = "counter", int version = 1) : ISavedUnit
    {
        internal int Value;

        internal List<Part>? Order { get; init; }

        internal bool Refuses { get; init; }

        public SavedKind Kind => new(kind, version);

        public void Save(SavedFields fields)
        {
            if (Refuses) throw new StateException("has a guest's finger in it");
            fields.Value(1, ref Value);
        }

        public void Load(SavedFields fields)
        {
            fields.Value(1, ref Value);
            Order?.Add(this);
        }
    }

    private static UnitTree Tree(params (string Name, Part Part)[] parts)
    {
        var tree = new UnitTree();
        foreach (var (name, part) in parts) tree.Add(name, part);
        return tree;
    }

    private static string Refused(UnitTree tree, IReadOnlyList<SavedUnit> saved) => Assert.Throws<StateException>(() => tree.Load(saved)).Message;

    [Fact]
    public void Every_part_gets_its_own_state_in_the_order_of_dependencies()
    {
        var saved = Tree(("first", new Part { Value = 1 }), ("second", new Part { Value = 2 })).Save();
        var order = new List<Part>();
        Part first = new() { Order = order }, second = new() { Order = order };

        Tree(("first", first), ("second", second)).Load([.. saved.Reverse()]);

        Assert.Equal((1, 2), (first.Value, second.Value));
        Assert.Equal([first, second], order);
    }

    [Fact]
    public void A_part_that_cannot_be_saved_is_named()
    {
        var tree = Tree(("clock", new Part()));
        tree.Add("devices/odd", new object());

        Assert.Equal("devices/odd cannot be saved: there is no form for its state", Assert.Throws<StateException>(() => tree.Save()).Message);
        Assert.Contains("devices/odd cannot be loaded", Refused(tree, Tree(("clock", new Part())).Save()), StringComparison.Ordinal);
        Assert.Equal("key cannot be saved: it has a guest's finger in it", Assert.Throws<StateException>(() => Tree(("key", new Part { Refuses = true })).Save()).Message);
    }

    [Fact]
    public void A_part_beside_the_machine_is_in_no_saved_state()
    {
        var tree = new UnitTree();
        tree.Add("counter", new Part { Value = 3 });
        tree.AddAside("socket", new object());

        var saved = tree.Save();

        Assert.Equal(["counter"], saved.Select(unit => unit.Name));
        tree.Load(saved);
        tree.Remove("socket");
        tree.Add("socket", new Part());
        Assert.Equal(["counter", "socket"], tree.Save().Select(unit => unit.Name));
    }

    [Fact]
    public void A_state_of_another_machine_is_refused_by_name()
    {
        var saved = Tree(("disk", new Part())).Save();

        Assert.Contains("of a machine without net", Refused(Tree(("disk", new Part()), ("net", new Part())), saved), StringComparison.Ordinal);
        Assert.Contains("has disk, and this machine has not", Refused(Tree(), saved), StringComparison.Ordinal);
        Assert.Contains("disk cannot be loaded: it is a meter, and the state is of a counter", Refused(Tree(("disk", new Part("meter"))), saved), StringComparison.Ordinal);
        Assert.Contains("has disk twice", Refused(Tree(("disk", new Part())), [.. saved, .. saved]), StringComparison.Ordinal);
    }

    [Fact]
    public void A_newer_state_is_refused_and_an_older_one_is_not()
    {
        var newer = Tree(("disk", new Part(version: 3))).Save();

        Assert.Contains("is saved in version 3, and this program knows up to 2", Refused(Tree(("disk", new Part(version: 2))), newer), StringComparison.Ordinal);
        Tree(("disk", new Part(version: 4))).Load(newer);
    }

    [Fact]
    public void A_damaged_state_is_refused_by_name()
    {
        var saved = Tree(("disk", new Part { Value = 70_000 })).Save();

        Assert.Contains("disk cannot be loaded: it is cut off", Refused(Tree(("disk", new Part())), [saved[0] with { Fields = saved[0].Fields[..^1] }]), StringComparison.Ordinal);
    }
}
