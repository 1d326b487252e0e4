// Copies of machines that run: each goes on where the first one was, by itself, and so does the first.
using Lamina.Backends.Disk;
using Lamina.Host.Io;
using Lamina.Images;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class ForkCommandTests : KeptMachines
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private async Task<string[]> ForkAsync(params string[] words)
    {
        var outcome = await RunAsync(["fork", .. words]);
        Assert.True(outcome.ExitCode == 0, outcome.Errors);
        return [.. outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Order()];
    }

    private Task StartAsync(string name) => StartTinyAsync(name, "--net", "user", "--publish", "127.0.0.1:0:80");

    // A copy keeps the name that it waited by as a link.
    private string[] Waiting => [.. new DirectoryInfo(Home(".")).EnumerateDirectories(".waiting-*").Where(folder => folder.LinkTarget is null && HostLock.IsTaken(Path.Combine(folder.FullName, "lock"))).Select(folder => folder.FullName)];

    // Copies of "web", of which the last one is a process that had waited: it may still be beginning when a fork comes, which starts another one then.
    private async Task<string[]> ForkUntilOneWaitedAsync()
    {
        string[] copies = [];
        do
        {
            File.WriteAllText(Path.Combine(await WaitsAsync(), "mark"), "");
            copies = [.. copies, $"copy-{copies.Length}"];
            Assert.Equal([copies[^1]], await ForkAsync("--spare", "1", "web", copies[^1]));
        }
        while (!File.Exists(Home(copies[^1], "mark")));
        return copies;
    }

    // A process that waits has written its number by the time that it can be looked for.
    private async Task<string> WaitsAsync()
    {
        while (true)
        {
            foreach (var folder in Waiting)
                if (File.Exists(Path.Combine(folder, "run", "log")) && ProcessOf(folder) > 0) return folder;
            Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    private static int ProcessOf(string folder) =>
        System.Text.RegularExpressions.Regex.Match(File.ReadAllText(Path.Combine(folder, "run", "log")), @"process (\d+):") is { Success: true } line ? int.Parse(line.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture) : 0;

    private int ProcessOfMachine(string name)
    {
        using var record = System.Text.Json.JsonDocument.Parse(File.ReadAllText(Home(name, "run", "run.json")));
        return record.RootElement.GetProperty("pid").GetInt32();
    }

    [Fact]
    public async Task A_process_that_waits_where_it_has_no_root_of_its_own_finds_its_folder_by_the_copys_name()
    {
        await StartTinyAsync("web", "--lock", "off");
        Assert.Equal(["first"], await ForkAsync("--spare", "1", "web", "first"));
        var copy = (await ForkUntilOneWaitedAsync())[^1];

        Assert.Equal(copy, await InAsync(copy, "hostname"));
        Expect(0, await RunAsync("kill", "--all"));
        Expect(0, await RunAsync("start", copy));
        Expect(0, await RunAsync("rm", "--force", copy));
        Expect(0, await RunAsync("prune"));
        Assert.DoesNotContain(new DirectoryInfo(Home(".")).EnumerateFileSystemInfos(".waiting-*"), entry => entry.LinkTarget is not null);
    }

    [Fact]
    public async Task A_process_that_waits_becomes_the_next_copy_and_those_that_are_left_end_with_the_machine()
    {
        await StartAsync("web");
        await InAsync("web", "echo before >/tmp/x");
        Assert.Equal(["first"], await ForkAsync("web", "first"));
        await InAsync("web", "echo after >/tmp/x");

        var copies = await ForkUntilOneWaitedAsync();
        var copy = copies[^1];
        Assert.Equal("after", await InAsync(copy, "cat /tmp/x"));
        Assert.Equal(copy, await InAsync(copy, "hostname"));
        Assert.NotEqual(await InAsync("web", "head -c 16 /dev/urandom | md5sum"), await InAsync(copy, "head -c 16 /dev/urandom | md5sum"));
        string[] generations = [await GenerationAsync("web"), .. await Task.WhenAll(copies.Select(GenerationAsync))];
        Assert.Equal(generations.Length, generations.Distinct().Count());
        // Its network works, though its cable was pulled while it waited; its console has nothing of that time.
        Assert.Equal("1", await InAsync(copy, "cat /sys/class/net/eth0/carrier"));
        Assert.Equal("", (await RunAsync("logs", copy)).Output);
        // It is a machine like any other.
        Assert.Equal([$"{copy}-1"], await ForkAsync("--spare", "0", copy));
        Assert.Equal("after", await InAsync($"{copy}-1", "cat /tmp/x"));
        Expect(0, await RunAsync("suspend", copy));
        Expect(0, await RunAsync("start", copy));
        Assert.Equal("after", await InAsync(copy, "cat /tmp/x"));
        Assert.Empty((await ListAsync()).EnumerateArray().SelectMany(machine => machine.TryGetProperty("atNextStart", out var waiting) ? waiting.EnumerateArray() : []));

        _ = await WaitsAsync();
        Expect(0, await RunAsync("kill", "web"));
        while (Waiting.Length > 0) Token.ThrowIfCancellationRequested();
        Assert.Equal("running", await StateAsync(copy));
    }

    [Fact]
    public async Task A_process_that_waits_may_be_killed_and_a_copy_whose_machine_is_killed_goes_on()
    {
        await StartAsync("web");
        await InAsync("web", "echo here >/tmp/x");
        Assert.Equal(["one"], await ForkAsync("web", "one"));
        using (var process = System.Diagnostics.Process.GetProcessById(ProcessOf(await WaitsAsync()))) process.Kill();
        while (Waiting.Length > 0) Token.ThrowIfCancellationRequested();

        Assert.Equal(["two"], await ForkAsync("--spare", "0", "web", "two"));
        using (var process = System.Diagnostics.Process.GetProcessById(ProcessOfMachine("web"))) process.Kill();

        foreach (var copy in (string[])["one", "two"]) Assert.Equal("here", await InAsync(copy, "cat /tmp/x"));
        Expect(2, await RunAsync("fork", "web"), "lamina: the machine web does not run*");
    }

    [Theory, InlineData(0), InlineData(300), InlineData(3000)]
    public async Task A_machine_that_is_killed_while_it_is_forked_leaves_whole_copies_or_none(int looks)
    {
        await StartAsync("web");
        await InAsync("web", "head -c 50000000 /dev/urandom >/tmp/x");
        var victim = ProcessOfMachine("web");

        var fork = RunAsync("fork", "--spare", "0", "web", "one", "two");
        // At some moment after its folder is there.
        while (!fork.IsCompleted && (!Directory.Exists(Home("one")) || looks-- > 0)) Token.ThrowIfCancellationRequested();
        using (var process = System.Diagnostics.Process.GetProcessById(victim)) process.Kill();
        var outcome = await fork;

        var states = (await ListAsync()).EnumerateArray().ToDictionary(machine => machine.GetProperty("name").GetString()!, machine => machine.GetProperty("state").GetString()!);
        _ = states.Remove("web");
        Assert.All(states.Values, state => Assert.Equal("running", state));
        if (outcome.ExitCode == 0) Assert.Equal(2, states.Count);
        else Assert.Single(outcome.Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries).Distinct());
        foreach (var copy in states.Keys) Assert.Equal("50000000", await InAsync(copy, "wc -c </tmp/x"));
    }

    [Fact]
    public async Task A_machine_that_is_paused_is_a_template()
    {
        await StartAsync("web");
        await InAsync("web", "echo here >/tmp/x");
        Expect(0, await RunAsync("pause", "web"));

        Assert.Equal(["web-1", "web-2"], await ForkAsync("--count", "2", "web"));
        Assert.Equal(["web-3"], await ForkAsync("web"));

        Assert.Equal("paused", await StateAsync("web"));
        foreach (var copy in (string[])["web-1", "web-2", "web-3"]) Assert.Equal("here", await InAsync(copy, "cat /tmp/x; echo there >/tmp/x"));
        Expect(0, await RunAsync("resume", "web"));
        Assert.Equal("here", await InAsync("web", "cat /tmp/x"));
    }

    [Fact]
    public async Task Copies_of_a_guest_and_their_copies_have_what_it_had_and_an_identity_of_their_own()
    {
        await StartAsync("web");
        var sum = await InAsync("web", "head -c 10000000 /dev/urandom >/tmp/x; (while :; do date >/tmp/beat; sleep 0.1; done) >/dev/null 2>&1 & md5sum </tmp/x");

        Assert.Equal(["web-1", "web-2"], await ForkAsync("--count", "2", "web"));
        Assert.Equal(["grandchild"], await ForkAsync("web-1", "grandchild"));

        string[] all = ["web", "web-1", "web-2", "grandchild"];
        foreach (var machine in all)
        {
            Assert.Equal("running", await StateAsync(machine));
            Assert.Equal(sum, await InAsync(machine, "md5sum </tmp/x"));
            // What runs in it goes on.
            Assert.Equal("", await InAsync(machine, "rm /tmp/beat; while [ ! -s /tmp/beat ]; do sleep 0.1; done"));
            Assert.InRange(long.Parse(await InAsync(machine, "date +%s")), DateTimeOffset.UtcNow.ToUnixTimeSeconds() - 60, DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 1);
            if (machine != "web") Assert.Equal(machine, await InAsync(machine, "hostname"));
            Assert.False(Directory.Exists(Home(machine, "forked")));
        }
        var drawn = await Task.WhenAll(all.Select(machine => InAsync(machine, "head -c 16 /dev/urandom | md5sum")));
        Assert.Equal(all.Length, drawn.Distinct().Count());
        var ports = (await ListAsync()).EnumerateArray().Select(machine => machine.GetProperty("status").GetProperty("published")[0].GetString()).ToList();
        Assert.Equal(all.Length, ports.Distinct().Count());
        // What one writes none of the others sees.
        foreach (var machine in all) await InAsync(machine, $"echo {machine} >/tmp/x");
        foreach (var machine in all) Assert.Equal(machine, await InAsync(machine, "cat /tmp/x"));
        Assert.Empty(Directory.EnumerateDirectories(Home("web", "snapshots")));
    }

    [Fact]
    public async Task Copies_have_a_disk_of_their_own_on_what_stood_on_the_first_ones()
    {
        await CreateWithDiskAsync("web");
        Expect(0, await RunAsync("start", "web"));
        await PrintedAsync("web", "up");

        Assert.Equal(["copy", "other"], await ForkAsync("web", "copy", "other"));

        foreach (var machine in (string[])["web", "copy", "other"])
        {
            Assert.Equal("running", await StateAsync(machine));
            Assert.Equal("layer-1.qcow2", DiskTools.Inspect(Home(machine, "disk.qcow2")).BackingFile);
            Expect(0, await RunAsync("suspend", machine));
            Expect(0, await RunAsync("start", machine));
            Expect(0, await RunAsync("kill", machine));
        }
        // The first one may go, and each of them boots.
        Expect(0, await RunAsync("rm", "web"));
        Expect(0, await RunAsync("start", "copy"));
        await PrintedAsync("copy", "up");
    }

    [Fact]
    public async Task A_suspended_machine_is_forked_too_and_stays_suspended()
    {
        await CreateWithDiskAsync("web");
        Expect(0, await RunAsync("start", "web"));
        await PrintedAsync("web", "up");
        Expect(0, await RunAsync("suspend", "web"));

        Assert.Equal(["web-1"], await ForkAsync("web"));

        Assert.Equal(("suspended", "running"), (await StateAsync("web"), await StateAsync("web-1")));
        Expect(0, await RunAsync("start", "web"));
    }

    [Fact]
    public async Task Wrong_use_is_one_sentence_each()
    {
        await CreateWithDiskAsync("web");
        await CreateAsync("other", Guest.Halts);

        Expect(2, await RunAsync("fork", "web"), "lamina: the machine web does not run; start it first, or copy it as it is with 'lamina clone web NEW'");
        Expect(1, await RunAsync("fork", "web", "other"), "lamina: there is a machine other already*");
        Expect(2, await RunAsync("fork", "web", "Not A Name"), "lamina: 'Not A Name' cannot be a machine's name*");
        Expect(2, await RunAsync("fork", "nope"), "lamina: there is no machine nope*");
        Expect(2, await RunAsync("fork", "--count", "0", "web"), "lamina: --count is 1 to 256*");
        Expect(2, await RunAsync("fork", "--spare", "65", "web"), "lamina: --spare is 0 to 64*");
        Expect(2, await RunAsync("fork", "--count", "2", "web", "a"), "lamina: names say how many copies*");
        Expect(2, await RunAsync("fork", "web", "a", "a"), "lamina: two copies cannot have one name*");
        Assert.Equal(2, (await ListAsync()).GetArrayLength());
        Assert.Empty(Directory.EnumerateDirectories(Home("web", "snapshots")));
    }
}
