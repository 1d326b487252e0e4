// The tree of units: names, and the order in which parts are asked.
using Lamina.Core.State;
using Lamina.Core.Units;
using Xunit;

namespace Lamina.Tests.Core;

public sealed class UnitTreeTests
{
    private readonly List<string> _told = [];

    [Fact]
    public void Who_uses_others_is_reset_paused_and_given_up_before_them_and_resumes_after_them()
    {
        var tree = new UnitTree();
        tree.Add("memory", new Part("memory", _told));
        tree.Add("devices/disk", new Part("disk", _told));

        tree.Reset();
        tree.Pause();
        tree.Resume();
        tree.Dispose();

        Assert.Equal(["reset disk", "reset memory", "pause disk", "pause memory", "resume memory", "resume disk", "dispose disk", "dispose memory"], _told);
        Assert.Empty(tree.Names);
    }

    [Fact]
    public void A_name_is_given_once()
    {
        var tree = new UnitTree();
        tree.Add("devices/disk", new Part("one", _told));

        var refused = Assert.Throws<ArgumentException>(() => tree.Add("devices/disk", new Part("two", _told)));

        Assert.Contains("devices/disk", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_part_that_is_removed_takes_what_lies_below_its_name_with_it_and_no_other()
    {
        var tree = new UnitTree();
        tree.Add("devices/disk1", new Part("disk1", _told));
        tree.Add("devices/disk", new Part("disk", _told));
        tree.Add("devices/disk/worker", new Part("worker", _told));

        tree.Remove("devices/disk");

        Assert.Equal(["dispose worker", "dispose disk"], _told);
        Assert.Equal(["devices/disk1"], tree.Names);
    }

    [Fact]
    public void A_part_that_fails_to_end_keeps_no_other_from_it()
    {
        var tree = new UnitTree();
        tree.Add("first", new Part("first", _told));
        tree.Add("second", new Part("second", _told, fails: true));

        Assert.Throws<AggregateException>(tree.Dispose);

        Assert.Equal(["dispose second", "dispose first"], _told);
    }

    [Fact]
    public void A_state_without_a_part_is_taken_up_where_machines_of_older_programs_had_not_that_part_and_refused_else()
    {
        var tree = new UnitTree();
        tree.Add("old", new Saved("old"));
        tree.Add("later", new Later());
        var saved = tree.Save();

        tree.Load(saved);
        tree.Load([.. saved.Where(unit => unit.Name != "later")]);
        var refused = Assert.Throws<StateException>(() => tree.Load([.. saved.Where(unit => unit.Name != "old")]));

        Assert.Equal("the saved state is of a machine without old", refused.Message);
    }

    private class Saved(string name) : ISavedUnit
    {
        public SavedKind Kind => new(name, 1);

        public void Save(SavedFields fields)
        {
        }

        public void Load(SavedFields fields)
        {
        }
    }

    private sealed class Later() : Saved("later"), ILaterUnit;

    private sealed class Part(string name, List<string> told, bool fails = false) : IResettable, IPausable, IDisposable
    {
        public void Reset() => told.Add($"reset {name}");

        public void Pause() => told.Add($"pause {name}");

        public void Resume() => told.Add($"resume {name}");

        public void Dispose()
        {
            told.Add($"dispose {name}");
            if (fails) throw new InvalidOperationException(name);
        }
    }
}
