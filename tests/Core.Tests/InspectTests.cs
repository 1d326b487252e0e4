// What parts say when they are looked at: bounded, clean and unmistakable whatever they say, and never at the price of the others.
using System.Text.Json;
using Lamina.Core.Inspection;
using Lamina.Core.Units;
using Xunit;

namespace Lamina.Tests.Core;

public sealed class InspectTests
{
    private sealed class Part(Action<InspectNode> say) : IInspected
    {
        public void Inspect(InspectNode node) => say(node);
    }

    private sealed class ParkedPart(Action<InspectNode> say) : IInspectedParked, ICounted
    {
        public void Inspect(InspectNode node) => say(node);

        public void Count(CounterList counters) => counters.Total("part_turns", 7, "turns", of: "left");
    }

    private sealed class Silent;

    [Fact]
    public void Values_read_as_text_and_as_JSON()
    {
        var node = new InspectNode("machine");
        var disk = node.Below("disk", "a disk");
        disk.Say("bytes", ulong.MaxValue);
        disk.Say("change", -1);
        disk.Say("read only", false);
        disk.SayHex("address", 0x1f);
        disk.Say("nothing", (string?)null);

        Assert.Equal("disk: a disk\n  bytes: 18446744073709551615\n  change: -1\n  read only: no\n  address: 0x1f\n", node.ToString());
        using var json = JsonDocument.Parse(node.ToJson());
        var read = json.RootElement.GetProperty("disk");
        Assert.Equal(("a disk", ulong.MaxValue, "0x1f"), (read.GetProperty("kind").GetString(), read.GetProperty("bytes").GetUInt64(), read.GetProperty("address").GetString()));
    }

    [Theory]
    [InlineData("\u001b[2Jgone", "\\u001b[2Jgone")]
    [InlineData("line\nline", "line\\u000aline")]
    [InlineData("ärger \ud83d\ude00", "ärger \ud83d\ude00")]
    public void Texts_drive_no_terminal_and_can_be_written(string said, string told)
    {
        var node = new InspectNode("machine");

        node.Say("text", said);

        Assert.Equal(told, node["text"]);
        using var json = JsonDocument.Parse(node.ToJson());
        Assert.Equal(told, json.RootElement.GetProperty("text").GetString());
    }

    [Fact]
    public void Half_a_pair_of_surrogates_is_replaced()
    {
        var node = new InspectNode("machine");

        node.Say("text", "half " + '\ud83d' + " a pair");

        Assert.Equal("half \ufffd a pair", node["text"]);
        using var json = JsonDocument.Parse(node.ToJson());
    }

    [Fact]
    public void Texts_and_lists_are_bounded()
    {
        var node = new InspectNode("machine");

        node.Say("text", new string('x', 1 << 20));
        node.Each("item", Enumerable.Range(0, 1000).ToArray(), (of, item) => of.Say("value", item), most: 3);

        Assert.InRange(((string)node["text"]!).Length, 100, 2000);
        Assert.Equal(3, node.Nodes.Count());
        Assert.Equal(997L, node["item: not told"]);
    }

    [Fact]
    public void Names_do_not_collide()
    {
        var node = new InspectNode("machine");

        node.Say("value", 1);
        node.Say("value", 2);
        node.Say("kind", 3);
        node.Say("a/b", 4);
        node.Kind = "a machine";

        Assert.Equal((1L, 2L, 4L), (node["value"], node["value 2"], node["a-b"]));
        using var json = JsonDocument.Parse(node.ToJson());
        // The node's own word for what it is stands beside the value of that name.
        Assert.Equal(["kind", "value", "value 2", "kind ", "a-b"], json.RootElement.EnumerateObject().Select(one => one.Name));
    }

    // Waiting for each would take minutes; that long nobody is waited for here.
    [Fact(Timeout = 60_000)]
    public async Task A_lock_that_is_held_for_long_is_told_and_not_waited_for()
    {
        var gate = new Lock();
        using var held = new ManualResetEvent(false);
        using var goes = new ManualResetEvent(false);
        var holder = Task.Run(() =>
        {
            lock (gate)
            {
                held.Set();
                goes.WaitOne();
            }
        }, TestContext.Current.CancellationToken);
        held.WaitOne();
        var node = new InspectNode("machine");

        for (var i = 0; i < 1000; i++) node.Below($"part {i}").Locked(gate, () => Assert.Fail("the lock is another's"));

        Assert.All(node.Nodes, part => Assert.Equal(true, part["busy"]));
        goes.Set();
        await holder;
    }

    [Fact]
    public void A_tree_tells_every_part_once_and_those_that_fail_do_not_keep_the_others_from_it()
    {
        using var tree = new UnitTree();
        tree.AddAside("silent", new Silent());
        tree.AddAside("group/fails", new Part(_ => throw new InvalidOperationException("a bug")));
        var twice = tree.AddAside("group/one", new Part(node => node.Say("value", 1)));
        tree.AddAside("group/two", twice);
        tree.AddAside("cpu", new ParkedPart(node => node.Say("register", 2)));

        var look = tree.Inspect();
        Assert.True(look.NeedsParked);
        look.LookParked();
        Assert.Null(look.Root.Find("group/one")!["value"]);
        look.Look();

        Assert.Equal("Silent", look.Root.Find("silent")!.Kind);
        Assert.Equal("InvalidOperationException: a bug", look.Root.Find("group/fails")!["error"]);
        Assert.Equal((1L, "group/one", 2L), (look.Root.Find("group/one")!["value"], look.Root.Find("group/two")!["same as"], look.Root.Find("cpu")!["register"]));
        Assert.Equal(7L, look.Root.Find("cpu/counters/part_turns")!["left"]);
        Assert.False(tree.Inspect("group").NeedsParked);
    }
}
