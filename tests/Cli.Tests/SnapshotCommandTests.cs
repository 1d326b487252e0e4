// Snapshots of machines that run, are off or are suspended, and machines that are put back to one, through the real program.
using System.Text.Json;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class SnapshotCommandTests : KeptMachines
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private async Task<string[]> LinesAsync(string machine) =>
        [.. (await RunAsync("snapshot", "list", machine)).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(1).Select(line => line.Split("  20")[0].TrimEnd())];

    private async Task<JsonElement> ShownAsync(string machine, string snapshot)
    {
        var outcome = await RunAsync("snapshot", "show", machine, snapshot);
        Assert.Equal((0, ""), (outcome.ExitCode, outcome.Errors));
        using var json = JsonDocument.Parse(outcome.Output);
        return json.RootElement.Clone();
    }

    private async Task<string> PrintedByAsync(string name) => (await RunAsync("logs", name)).Output.Replace("\r", "", StringComparison.Ordinal);

    [Fact]
    public async Task A_machine_that_runs_goes_on_and_can_be_put_back_to_where_it_was()
    {
        await CreateWithDiskAsync("web");
        Expect(0, await RunAsync("start", "web"));
        await PrintedAsync("web", "up");
        var generations = new HashSet<string> { await GenerationAsync("web") };

        var taken = await RunAsync("snapshot", "create", "--description", "first words", "web", "first");
        Assert.Equal((0, "first\n", ""), (taken.ExitCode, taken.Output, taken.Errors));
        Assert.Equal("running", await StateAsync("web"));
        Expect(0, await RunAsync("snapshot", "create", "web", "second"));
        Assert.Equal(["first", "  second *"], await LinesAsync("web"));
        var first = await ShownAsync("web", "first");
        Assert.Equal((true, "layer-1.qcow2", "first words", true), (first.GetProperty("memory").GetBoolean(), first.GetProperty("layer").GetString(), first.GetProperty("description").GetString(), first.GetProperty("stood-still-ms").GetDouble() > 0));
        Assert.Equal("layer-1.qcow2", Lamina.Backends.Disk.DiskTools.Inspect(Home("web", "layer-2.qcow2")).BackingFile);
        Expect(1, await RunAsync("snapshot", "restore", "web", "first"), "lamina: the machine web is running*stop it first*");
        Expect(0, await RunAsync("kill", "web"));

        Expect(0, await RunAsync("snapshot", "restore", "web", "first"));
        Assert.Equal("suspended", await StateAsync("web"));
        Expect(2, await RunAsync("snapshot", "rm", "web", "first"), "lamina: the machine web was put back to first and goes on there at its next start; start it first*");
        for (var i = 0; i < 2; i++)
        {
            Expect(0, await RunAsync("start", "web"));
            Assert.Equal("running", await StateAsync("web"));
            Assert.True(generations.Add(await GenerationAsync("web")));
            Expect(0, await RunAsync("kill", "web"));
            Assert.Equal("off", await StateAsync("web"));
            // It stays, and can be gone back to once more.
            Expect(0, await RunAsync("snapshot", "restore", "web", "first"));
        }
        // It began once.
        Assert.Equal("up\n", await PrintedByAsync("web"));
        Assert.Equal(["first *", "  second"], await LinesAsync("web"));
        Expect(0, await RunAsync("start", "web"));
        Expect(0, await RunAsync("snapshot", "create", "web", "third"));
        Assert.Equal(["first", "  second", "  third *"], await LinesAsync("web"));
        // With the image that it has got meanwhile; it is the same machine.
        var generation = await GenerationAsync("web");
        Expect(0, await RunAsync("suspend", "web"));
        Expect(0, await RunAsync("start", "web"));
        Assert.Equal(generation, await GenerationAsync("web"));

        // What nothing is based on any more goes with the last that needed it.
        Expect(0, await RunAsync("snapshot", "rm", "web", "second"));
        Assert.False(File.Exists(Home("web", "layer-2.qcow2")));
        Expect(0, await RunAsync("snapshot", "rm", "web", "first"));
        Assert.Equal(["third *"], await LinesAsync("web"));
        Assert.True(File.Exists(Home("web", "layer-1.qcow2")));
        Expect(0, await RunAsync("kill", "web"));
        Expect(0, await RunAsync("disk", "check", Home("web", "disk.qcow2")));
    }

    [Fact]
    public async Task A_machine_that_is_off_boots_from_its_snapshot_with_the_definition_that_it_had()
    {
        await CreateWithDiskAsync("web");
        Expect(0, await RunAsync("snapshot", "create", "web", "clean"));
        Assert.False((await ShownAsync("web", "clean")).GetProperty("memory").GetBoolean());
        Expect(0, await RunAsync("set", "web", "--memory", "96M"));
        Expect(0, await RunAsync("snapshot", "create", "web", "larger"));

        var difference = await RunAsync("snapshot", "diff", "web", "larger");
        Assert.Equal((0, "definition: memory\n"), (difference.ExitCode, difference.Output));
        Expect(0, await RunAsync("snapshot", "restore", "--start", "web", "clean"));

        await PrintedAsync("web", "up");
        Assert.DoesNotContain("96M", await File.ReadAllTextAsync(Home("web", "machine.json"), Token), StringComparison.Ordinal);
        Expect(0, await RunAsync("kill", "web"));
        var same = await RunAsync("snapshot", "diff", "web", "clean", "clean");
        Assert.Equal("clean and clean are the same\n", same.Output);
    }

    [Fact]
    public async Task A_suspended_machine_stays_suspended_and_its_snapshot_goes_on_too()
    {
        await CreateWithDiskAsync("web");
        Expect(0, await RunAsync("start", "web"));
        await PrintedAsync("web", "up");
        Expect(0, await RunAsync("suspend", "web"));

        Expect(0, await RunAsync("snapshot", "create", "web", "asleep"));
        Assert.Equal("suspended", await StateAsync("web"));
        Expect(0, await RunAsync("start", "web"));
        Expect(0, await RunAsync("kill", "web"));
        Expect(0, await RunAsync("snapshot", "restore", "--start", "web", "asleep"));

        Assert.Equal("running", await StateAsync("web"));
        Assert.Equal("up\n", await PrintedByAsync("web"));
    }

    [Fact]
    public async Task A_snapshot_whose_memory_is_compressed_takes_less_room_and_is_gone_on_from_like_any_other()
    {
        await CreateWithDiskAsync("web");
        Expect(0, await RunAsync("start", "web"));
        await PrintedAsync("web", "up");
        Expect(2, await RunAsync("snapshot", "create", "--disk-only", "--compress", "web", "none"), "lamina: there is no memory where the disk alone is kept; leave out --disk-only or --compress");

        Expect(0, await RunAsync("snapshot", "create", "web", "plain"));
        Expect(0, await RunAsync("snapshot", "create", "--compress", "web", "small"));

        Assert.Equal((false, true), ((await ShownAsync("web", "plain")).GetProperty("compressed").GetBoolean(), (await ShownAsync("web", "small")).GetProperty("compressed").GetBoolean()));
        Assert.Equal((true, false, true), (File.Exists(Home("web", "snapshots", "plain", "memory")), File.Exists(Home("web", "snapshots", "small", "memory")), File.Exists(Home("web", "snapshots", "small", "memory-packed"))));
        Expect(0, await RunAsync("kill", "web"));
        Expect(0, await RunAsync("snapshot", "diff", "web", "plain", "small"));
        Expect(0, await RunAsync("snapshot", "restore", "web", "small"));
        // Of one that is to go on there.
        Expect(0, await RunAsync("snapshot", "create", "web", "further"));
        Assert.True((await ShownAsync("web", "further")).GetProperty("compressed").GetBoolean());
        Expect(0, await RunAsync("start", "web"));
        Assert.Equal("running", await StateAsync("web"));
        Expect(0, await RunAsync("snapshot", "create", "web", "plain-again"));
        Expect(0, await RunAsync("kill", "web"));

        Expect(0, await RunAsync("snapshot", "restore", "--start", "web", "further"));
        Assert.Equal("running", await StateAsync("web"));
        // It began once.
        Assert.Equal("up\n", await PrintedByAsync("web"));
        Expect(0, await RunAsync("kill", "web"));
        Expect(0, await RunAsync("snapshot", "restore", "web", "small"));
        await using (var damaged = File.OpenWrite(Home("web", "snapshots", "small", "memory-packed")))
        {
            damaged.Position = damaged.Length - 1;
            damaged.WriteByte(0x55);
            damaged.WriteByte(0x55);
        }
        Expect(2, await RunAsync("start", "web"), "lamina: the saved machine cannot be used: *memory-packed is damaged: it is not as long as its pieces");
    }

    [Fact]
    public async Task Of_the_memory_of_a_snapshot_what_is_other_can_be_kept_and_what_it_is_other_than_can_go()
    {
        await CreateWithDiskAsync("web");
        Expect(0, await RunAsync("start", "web"));
        await PrintedAsync("web", "up");
        Expect(2, await RunAsync("snapshot", "create", "--incremental", "--compress", "web", "none"), "lamina: what is other than in another memory is not compressed; leave out --compress or --incremental*");
        Expect(2, await RunAsync("snapshot", "create", "--disk-only", "--incremental", "web", "none"), "lamina: there is no memory where the disk alone is kept; leave out --disk-only or --incremental");

        Expect(0, await RunAsync("snapshot", "create", "--incremental", "web", "first"), "lamina: the memory of first is kept whole, since there is no snapshot before it whose memory is not compressed");
        Expect(0, await RunAsync("snapshot", "create", "--compress", "web", "between"));
        Expect(0, await RunAsync("snapshot", "create", "--incremental", "web", "second"));
        Expect(0, await RunAsync("snapshot", "create", "--incremental", "web", "third"));

        Assert.Equal((false, true, true), ((await ShownAsync("web", "first")).GetProperty("incremental").GetBoolean(), (await ShownAsync("web", "second")).GetProperty("incremental").GetBoolean(), (await ShownAsync("web", "third")).GetProperty("incremental").GetBoolean()));
        Assert.True((await ShownAsync("web", "second")).GetProperty("bytes").GetInt64() < (await ShownAsync("web", "between")).GetProperty("bytes").GetInt64() + (await ShownAsync("web", "first")).GetProperty("bytes").GetInt64());
        Expect(0, await RunAsync("kill", "web"));
        Expect(0, await RunAsync("snapshot", "diff", "web", "first", "third"));
        Expect(0, await RunAsync("snapshot", "rm", "web", "first", "second"));
        Expect(0, await RunAsync("snapshot", "restore", "web", "third"));
        // Of one that is to go on there.
        Expect(0, await RunAsync("snapshot", "create", "web", "fourth"));
        Assert.True((await ShownAsync("web", "fourth")).GetProperty("incremental").GetBoolean());
        Expect(0, await RunAsync("snapshot", "restore", "--start", "web", "fourth"));
        Assert.Equal("running", await StateAsync("web"));
        // It can be kept whole again, and be what others are based on.
        Expect(0, await RunAsync("snapshot", "create", "web", "whole"));
        Expect(0, await RunAsync("snapshot", "create", "--incremental", "web", "further"));
        Assert.Equal((false, true), ((await ShownAsync("web", "whole")).GetProperty("incremental").GetBoolean(), (await ShownAsync("web", "further")).GetProperty("incremental").GetBoolean()));
        // It began once.
        Assert.Equal("up\n", await PrintedByAsync("web"));
        Expect(0, await RunAsync("kill", "web"));
        Expect(0, await RunAsync("snapshot", "restore", "web", "fourth"));
        File.Delete(Home("web", "snapshots", "fourth", "memory-changes"));
        Expect(2, await RunAsync("start", "web"), "lamina: the saved machine cannot be used: *memory-changes: it does not exist");
    }

    [Fact]
    public async Task Of_a_machine_that_runs_the_disk_alone_can_be_kept()
    {
        await CreateWithDiskAsync("web");
        Expect(0, await RunAsync("start", "web"));
        await PrintedAsync("web", "up");

        Expect(0, await RunAsync("snapshot", "create", "--disk-only", "web", "disk"));
        Assert.False((await ShownAsync("web", "disk")).GetProperty("memory").GetBoolean());
        Expect(0, await RunAsync("kill", "web"));
        Expect(0, await RunAsync("snapshot", "restore", "--start", "web", "disk"));

        while (await PrintedByAsync("web") != "up\nup\n") Token.ThrowIfCancellationRequested();
    }

    [Fact]
    public async Task A_renamed_machine_has_its_snapshots_and_a_copy_has_none_and_needs_none_of_them()
    {
        await CreateWithDiskAsync("web");
        Expect(0, await RunAsync("start", "web"));
        await PrintedAsync("web", "up");
        Expect(0, await RunAsync("snapshot", "create", "web", "first"));
        Expect(0, await RunAsync("kill", "web"));

        Expect(0, await RunAsync("clone", "web", "copy"));
        Expect(0, await RunAsync("rename", "web", "old"));
        Expect(0, await RunAsync("snapshot", "restore", "--start", "old", "first"));
        Assert.Equal("up\n", await PrintedByAsync("old"));
        Expect(0, await RunAsync("kill", "old"));
        Expect(0, await RunAsync("rm", "old"));

        Assert.Empty(await LinesAsync("copy"));
        Expect(0, await RunAsync("start", "copy"));
        await PrintedAsync("copy", "up");
    }

    [Fact]
    public async Task Wrong_use_is_one_sentence_each_and_changes_nothing()
    {
        await CreateWithDiskAsync("web");
        Expect(0, await RunAsync("snapshot", "create", "web", "first"));

        Expect(2, await RunAsync("snapshot", "create", "nope"), "lamina: there is no machine nope*");
        Expect(2, await RunAsync("snapshot", "create", "web", "No Name"), "lamina: 'No Name' cannot be a snapshot's name*");
        Expect(1, await RunAsync("snapshot", "create", "web", "first"), "lamina: the machine web has a snapshot first already*");
        Expect(2, await RunAsync("snapshot", "create", "-d", "two\nlines", "web"), "lamina: a description is one line*");
        Expect(2, await RunAsync("snapshot", "restore", "web", "frist"), "lamina: the machine web has no snapshot frist; did you mean first?");
        Expect(2, await RunAsync("snapshot", "rm", "web", "other"), "lamina: the machine web has no snapshot other*");
        Expect(2, await RunAsync("snapshot", "diff", "web", "first"), "lamina: the snapshot first is the first*");
        await CreateAsync("bare", Guest.Halts);
        Expect(2, await RunAsync("snapshot", "create", "--disk-only", "bare"), "lamina: the machine bare has no disk of its own*");
        Expect(0, await RunAsync("disk", "create", Folder.File("data.raw"), "1M", "--format", "raw"));
        await CreateAsync("data", Guest.Halts, "--disk", Folder.File("data.raw") + ",format=raw");
        Expect(2, await RunAsync("snapshot", "create", "data"), $"lamina: the machine data writes to the disk {Folder.File("data.raw")}, which is not its own*");
        Assert.Equal(["first *"], await LinesAsync("web"));
    }

    [Theory]
    [InlineData("snapshot.json", "{ \"format\": 9 }", "*is of format 9, and this program knows up to 3*")]
    [InlineData("snapshot.json", "nonsense", "*snapshot.json is damaged*")]
    [InlineData("snapshot.json", "{ \"format\": 1, \"taken\": \"2026-01-01T00:00:00Z\", \"machine\": \"/tmp/x\", \"memory\": true, \"layer\": \"../../x\" }", "*snapshot.json is damaged*")]
    [InlineData("state", "nonsense", "lamina: the saved machine cannot be used: *state is no state of a machine")]
    [InlineData("machine.json", "{ \"memory\": 7 }", "*")]
    public async Task A_damaged_snapshot_is_a_sentence_and_the_machine_stays_as_it_is(string file, string content, string sentence)
    {
        await CreateWithDiskAsync("web");
        Expect(0, await RunAsync("start", "web"));
        await PrintedAsync("web", "up");
        Expect(0, await RunAsync("snapshot", "create", "web", "first"));
        Expect(0, await RunAsync("suspend", "web"));
        await File.WriteAllTextAsync(Home("web", "snapshots", "first", file), content, Token);

        Expect(2, await RunAsync("snapshot", "restore", "web", "first"), sentence);

        Assert.Equal("suspended", await StateAsync("web"));
        Expect(0, await RunAsync("start", "web"));
        Expect(0, await RunAsync("snapshot", "rm", "web", "first"));
        Assert.Equal("up\n", await PrintedByAsync("web"));
    }

    [Fact]
    public async Task A_damaged_snapshot_is_shown_as_that_and_hides_no_other()
    {
        await CreateWithDiskAsync("web");
        foreach (var name in (string[])["first", "second"]) Expect(0, await RunAsync("snapshot", "create", "web", name));
        await File.WriteAllTextAsync(Home("web", "snapshots", "first", "snapshot.json"), "{", Token);
        var why = $"{Home("web", "snapshots", "first", "snapshot.json")} is damaged; the snapshot cannot be used, and 'lamina snapshot rm' removes it";

        var list = await RunAsync("snapshot", "list", "web");
        Assert.Equal((0, ""), (list.ExitCode, list.Errors));
        Assert.Matches($@"(?m)^first +[-0-9]+ [:0-9]+ +damaged +[0-9.]+ [KM]?i?B +{System.Text.RegularExpressions.Regex.Escape(why)}$", list.Output);
        Assert.Matches(@"(?m)^  second \* +[-0-9]+ [:0-9]+ +boots ", list.Output);
        using var json = JsonDocument.Parse((await RunAsync("snapshot", "list", "--json", "web")).Output);
        Assert.Equal([("first", why), ("second", null)], json.RootElement.EnumerateArray().Select(one => (one.GetProperty("name").GetString()!, one.TryGetProperty("damage", out var damage) ? damage.GetString() : null)).Order());
        var first = await ShownAsync("web", "first");
        Assert.Equal((why, false), (first.GetProperty("damage").GetString(), first.TryGetProperty("definition", out _)));
        Assert.True((await ShownAsync("web", "second")).TryGetProperty("definition", out _));
        Expect(2, await RunAsync("snapshot", "restore", "web", "first"), $"lamina: {why}");

        Expect(0, await RunAsync("snapshot", "rm", "web", "first"));
        Assert.Equal(["second *"], await LinesAsync("web"));
        Expect(0, await RunAsync("snapshot", "restore", "--start", "web", "second"));
        await PrintedAsync("web", "up");
    }

    // Whoever asks goes away while the machine stands still, before the images were exchanged and after.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_program_that_dies_in_the_middle_leaves_a_machine_that_goes_on(bool exchanged)
    {
        await CreateWithDiskAsync("web");
        Expect(0, await RunAsync("start", "web"));
        await PrintedAsync("web", "up");
        using (var socket = new System.Net.Sockets.Socket(System.Net.Sockets.AddressFamily.Unix, System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Unspecified))
        {
            await socket.ConnectAsync(new System.Net.Sockets.UnixDomainSocketEndPoint(Home("web", "run", "control.sock")), Token);
            using var reader = new StreamReader(new System.Net.Sockets.NetworkStream(socket));
            await reader.ReadLineAsync(Token);
            await socket.SendAsync("{\"do\":\"snapshot\",\"layer\":\"layer-1.qcow2\"}\n"u8.ToArray(), Token);
            Assert.Equal("{\"ok\":true}", await reader.ReadLineAsync(Token));
            Assert.Equal("{\"ok\":true}", await reader.ReadLineAsync(Token));
            if (exchanged)
            {
                Assert.True(Lamina.Host.HostFiles.TryLink(Home("web", "disk.qcow2"), Home("web", "layer-1.qcow2")));
                File.Move(Home("web", "run", "snapshot.qcow2"), Home("web", "disk.qcow2"), overwrite: true);
            }
        }

        while (await StateAsync("web") != "running") Token.ThrowIfCancellationRequested();
        Assert.False(File.Exists(Home("web", "run", "snapshot.qcow2")));
        Expect(0, await RunAsync("snapshot", "create", "web", "after"));
        Assert.Equal(exchanged ? "layer-2.qcow2" : "layer-1.qcow2", (await ShownAsync("web", "after")).GetProperty("layer").GetString());
        Expect(0, await RunAsync("kill", "web"));
        Expect(0, await RunAsync("snapshot", "restore", "--start", "web", "after"));
        Assert.Equal("up\n", await PrintedByAsync("web"));
    }
}
