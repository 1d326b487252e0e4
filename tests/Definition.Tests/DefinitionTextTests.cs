// Texts of definitions that persons wrote, changed where they have to be other and nowhere else.
using System.Text;
using Lamina.Definition;
using Xunit;

namespace Lamina.Tests.Definition;

public sealed class DefinitionTextTests
{
    private const string Written = """
        // The machine at home.
        {
          "image": "debian", /* as it came */ "cpus": 2, // two are enough
          "memory": "1G",   // with the balloon
          // Everything that it has:
          "devices": [
            // The way in.
            { "kind": "network", "publish": ["8080:80"], "link": "user" }, // one card
            {
              "kind": "disk",
              "path": "data.qcow2", // relative
              "cache": "writethrough"
            },
          ],
        }
        """;

    public static TheoryData<string, Func<MachineDefinition, MachineDefinition>, string, string> Changes => new()
    {
        { "a value", machine => machine with { MemoryBytes = 2ul << 30 }, "\"memory\": \"1G\",   // with", "\"memory\": \"2G\",   // with" },
        { "a property that was not said", machine => machine with { NoReboot = true }, "// with the balloon\n", "// with the balloon\n  \"no-reboot\": true,\n" },
        { "a property that is said no more", machine => machine with { MemoryBytes = MachineDefinition.UsualMemory }, "  \"memory\": \"1G\",   // with the balloon\n", "" },
        { "a property inside a line", machine => machine with { Cpus = 1 }, " \"cpus\": 2, // two are enough", " // two are enough" },
        { "a list", machine => WithCard(machine, card => Publishing(card, "8080:80", "[::1]:53:53/udp")), "\"publish\": [\"8080:80\"]", "\"publish\": [\"127.0.0.1:8080:80\", \"[::1]:53:53/udp\"]" },
        { "a device's property that was not said", machine => WithCard(machine, card => card with { Plugged = false }), "\"link\": \"user\" }", "\"link\": \"user\", \"plugged\": false }" },
        { "a device's last property", machine => WithDisk(machine, disk => disk with { Cache = default }), "// relative\n      \"cache\": \"writethrough\"\n", "// relative\n" },
        { "one behind a device's last", machine => WithDisk(machine, disk => disk with { ReadOnly = true }), "\"cache\": \"writethrough\"\n", "\"cache\": \"writethrough\",\n      \"ro\": true\n" },
        { "a new device", machine => machine.With(new ShareDevice { Path = "/a,b", Tag = "ä\"" }), "    },\n  ],", "    },\n    { \"kind\": \"share\", \"path\": \"/a,b\", \"tag\": \"ä\\\"\" },\n  ]," },
        { "a device that is gone", machine => machine.Without<NetworkDevice>(), "    { \"kind\": \"network\", \"publish\": [\"8080:80\"], \"link\": \"user\" }, // one card\n", "" },
    };

    [Theory]
    [MemberData(nameof(Changes))]
    public void What_changes_is_changed_and_nothing_else(string what, Func<MachineDefinition, MachineDefinition> change, string from, string to)
    {
        Assert.Contains(from, Written, StringComparison.Ordinal);

        var changed = Change(Written, change);

        var expected = Written.Replace(from, to, StringComparison.Ordinal);
        if (what == "a device's last property") expected = expected.Replace("\"data.qcow2\", //", "\"data.qcow2\" //", StringComparison.Ordinal);
        Assert.Equal(expected, changed);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("{ \"cpus\": 2 }")]
    [InlineData("{\n\t\"cpus\": 2\n}\n")]
    [InlineData("\ufeff{ \"devices\": [] /* none */ }")]
    [InlineData("{ \"devices\": [ { \"kind\": \"disk\", \"path\": \"a\" } ] } // the end")]
    [InlineData("{ \"devices\": [ { \"kind\": \"rng\" }, { \"kind\": \"disk\", \"path\": \"a\" }, { \"kind\": \"disk\", \"path\": \"b\" } ], \"cpus\": 1, }")]
    [InlineData("{ \"cpus\" : /* b */ 2 /* c */ , /* d */ \"memory\" : \"1G\" // e\n}")]
    public void Any_text_can_be_made_to_say_any_definition(string text)
    {
        MachineDefinition[] all =
        [
            new(),
            new() { Cpus = 3, MemoryBytes = 1ul << 30, Boot = new BootSource { CommandLine = "a \"b\" \\ ä" } },
            new() { Devices = [new DiskDevice { Path = "b" }, new NetworkDevice { Link = new NetworkLink.Switch("/s") { Vlan = 3 } }] },
            new() { Cpus = 2, Devices = [new DiskDevice { Path = "b", ReadOnly = true, Backing = ["x", "y"] }, new BalloonDevice(), new RngDevice()] },
        ];
        foreach (var first in all)
            foreach (var second in all)
            {
                var once = Change(text, _ => first);
                var twice = Change(once, _ => second);

                Assert.True(DefinitionDifference.Between(Read(once), first) is { Properties.Count: 0 } one && one.Devices.All(device => !device.IsChange), once);
                Assert.True(DefinitionDifference.Between(Read(twice), second) is { Properties.Count: 0 } two && two.Devices.All(device => !device.IsChange), twice);
            }
    }

    [Fact]
    public void Differences_are_told_by_names()
    {
        var before = new MachineDefinition { Devices = [new DiskDevice { Path = "a" }, new DiskDevice { Path = "b" }, new NetworkDevice { Name = "lan" }] };
        var after = before with { Cpus = 2, Devices = [new DiskDevice { Path = "b" }, new NetworkDevice { Name = "lan", Plugged = false }, new ShareDevice { Name = "src", Path = "/", Tag = "t" }] };

        var difference = DefinitionDifference.Between(before, after);

        Assert.Equal(["cpus", "plugged of network lan", "share src", "disk0 (removed)"], difference.Words);
        Assert.True(DefinitionDifference.Between(after, after with { Devices = [.. after.Devices] }).IsNone);
        var swapped = DefinitionDifference.Between(before, before with { Devices = [before.Devices[1], before.Devices[0], before.Devices[2]] });
        Assert.Equal(["the order of devices"], swapped.Words);
    }

    [Theory]
    [InlineData("{ \"\\u001b[2J\": 1 }", "a machine has no property \"?[2J\"")]
    [InlineData("{ \"a\\nb\": 1, \"a\\nb\": 1 }", "\"a?b\" is said twice")]
    [InlineData("{ \"memory\": \"\\u0007\\u009b2J\" }", "'??2J'")]
    [InlineData("{ \"devices\": [ { \"kind\": \"\\r\" } ] }", "there is no kind of device \"?\"")]
    public void What_a_text_says_does_nothing_to_the_terminal_that_it_is_shown_on(string text, string said)
    {
        var refused = Assert.Throws<MachineException>(() => Read(text));

        Assert.Contains(said, refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(refused.Message, char.IsControl);
    }

    [Fact]
    public void Of_a_long_text_that_is_wrong_the_beginning_is_shown() =>
        Assert.InRange(Assert.Throws<MachineException>(() => Read($"{{ \"{new string('x', 100_000)}\": 1 }}")).Message.Length, 1000, 2100);

    private static MachineDefinition Read(string text) => DefinitionJson.Read(Encoding.UTF8.GetBytes(text));

    private static string Change(string text, Func<MachineDefinition, MachineDefinition> change) => Encoding.UTF8.GetString(DefinitionText.Change(Encoding.UTF8.GetBytes(text), Read(text), change(Read(text))));

    private static MachineDefinition WithCard(MachineDefinition machine, Func<NetworkDevice, NetworkDevice> change) => machine with { Devices = [.. machine.Devices.Select(device => device is NetworkDevice card ? change(card) : device)] };

    private static MachineDefinition WithDisk(MachineDefinition machine, Func<DiskDevice, DiskDevice> change) => machine with { Devices = [.. machine.Devices.Select(device => device is DiskDevice disk ? change(disk) : device)] };

    private static NetworkDevice Publishing(NetworkDevice card, params string[] ports) => card with { Link = (NetworkLink.User)card.Link with { Published = [.. ports.Select(PublishedPort.Parse)] } };
}
