// What a machine is, changed by "lamina set": at once where it runs and can take it, else for its next start; and what is said where that cannot be.
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Lamina.Backends.Disk;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class SetCommandTests : KeptMachines
{
    [Fact]
    public async Task A_card_that_only_a_PC_has_makes_the_machine_one_and_its_cable_is_pulled_while_it_runs()
    {
        await CreateAsync("web", Guest.Halts, "--net", "user,model=e1000e");
        Expect(0, await RunAsync("start", "web"));
        using (var inspected = await InspectAsync("web")) Assert.Equal(("8086:10d3", "true"), (Text(Part(inspected, "network0"), "identity"), Text(Part(inspected, "network0"), "link is up")));

        Assert.Equal("web: in force now: plugged of network0, rate of network0\n", (await RunAsync("set", "web", "--device", "network0,plugged=off,rate=1M")).Output);
        using (var inspected = await InspectAsync("web")) Assert.Equal("false", Text(Part(inspected, "network0"), "link is up"));
    }

    [Fact]
    public async Task A_disk_with_a_size_is_made_at_the_next_start()
    {
        await CreateAsync("web", Guest.Halts);
        Expect(0, await RunAsync("start", "web"));
        string[] words = ["set", "web", "--disk", $"{Folder.File("one.qcow2")},size=1M", "--disk", $"{Folder.File("other.raw")},size=1M"];

        Assert.Equal("web: takes effect at the next start: disk0, disk1\n", (await RunAsync(words)).Output);
        Assert.False(File.Exists(Folder.File("one.qcow2")));
        Expect(0, await RunAsync("kill", "web"));
        Expect(0, await RunAsync("start", "web"));

        Assert.Equal((DiskFormat.Qcow2, DiskFormat.Raw), (DiskTools.Inspect(Folder.File("one.qcow2")).Format, DiskTools.Inspect(Folder.File("other.raw"), DiskFormat.Raw).Format));
    }

    [Fact]
    public async Task What_a_machine_that_is_off_becomes_is_kept_for_its_next_start()
    {
        await CreateAsync("web", Guest.Halts, "--cpus", "1");
        var written = "// mine\n" + (await File.ReadAllTextAsync(Home("web", "machine.json"), TestContext.Current.CancellationToken)).Replace("\"engine\"", "/* slow */ \"engine\"", StringComparison.Ordinal);
        await File.WriteAllTextAsync(Home("web", "machine.json"), written, TestContext.Current.CancellationToken);
        Expect(0, await RunAsync("disk", "create", Folder.File("data.qcow2"), "16M"));

        var outcome = await RunAsync("set", "web", "--cpus", "2", "--disk", Folder.File("data.qcow2"), "--timeout", "5m");

        Assert.Equal((0, "web: takes effect at the next start: cpus, timeout, disk0\n", ""), (outcome.ExitCode, outcome.Output, outcome.Errors));
        var changed = await File.ReadAllTextAsync(Home("web", "machine.json"), TestContext.Current.CancellationToken);
        Assert.StartsWith("// mine\n", changed, StringComparison.Ordinal);
        Assert.Contains("/* slow */ \"engine\"", changed, StringComparison.Ordinal);
        Assert.Contains("\"format\": \"qcow2\"", changed, StringComparison.Ordinal);
        using (var inspected = await InspectAsync("web"))
        {
            var definition = inspected.RootElement.GetProperty("definition");
            Assert.Equal((2, "300s"), (definition.GetProperty("cpus").GetInt32(), definition.GetProperty("timeout").GetString()));
        }
        Assert.Equal("web: nothing is other than it was\n", (await RunAsync("set", "web", "--cpus", "2", "--disk", Folder.File("data.qcow2"))).Output);
        Assert.Equal("web: takes effect at the next start: timeout, disk0 (removed)\n", (await RunAsync("set", "web", "--remove", "disk0", "--unset", "timeout")).Output);
        Expect(0, await RunAsync("start", "web"));
        using var running = await InspectAsync("web");
        Assert.Equal(2, running.RootElement.GetProperty("status").GetProperty("cpus").GetInt32());
    }

    [Fact]
    public async Task Ports_come_and_go_at_once_and_stay_over_a_restart()
    {
        var (first, second) = (HostProcess.FreePort(), HostProcess.FreePort());
        await CreateAsync("web", Guest.Halts, "--publish", $"{first}:80");
        Expect(0, await RunAsync("start", "web"));
        Assert.True(Answers(first));
        Assert.False(Answers(second));

        Assert.Equal("web: in force now: publish of network0\nweb: takes effect at the next start: cpus\n", (await RunAsync("set", "web", "--publish", $"{second}:81", "--unpublish", $"{first}", "--cpus", "2")).Output);

        Assert.False(Answers(first));
        Assert.True(Answers(second));
        Assert.Contains($"127.0.0.1:{second}", (await RunAsync("ps")).Output, StringComparison.Ordinal);
        // What waits is not told again by who changes something else.
        Assert.Equal("web: in force now: plugged of network0\n", (await RunAsync("set", "web", "--device", "network0,plugged=off")).Output);
        using (var inspected = await InspectAsync("web")) Assert.Equal("false", Text(Part(inspected, "network0"), "link is up"));
        Expect(0, await RunAsync("restart", "--timeout", "0", "web"));
        Assert.True(Answers(second));
        Assert.Equal("web: in force now: plugged of network0\n", (await RunAsync("set", "web", "--device", "network0,plugged=")).Output);
        using (var inspected = await InspectAsync("web")) Assert.Equal("true", Text(Part(inspected, "network0"), "link is up"));
    }

    [Fact]
    public async Task What_waits_for_the_next_start_is_seen_until_then_and_what_became_of_a_change_is_told_as_JSON()
    {
        await CreateAsync("web", Guest.Halts, "--memory", "64M", "--memory-most", "128M");
        Expect(0, await RunAsync("start", "web"));
        var before = await RunAsync("ps");
        Assert.Equal((0, ""), (before.ExitCode, before.Errors));

        using (var told = JsonDocument.Parse((await RunAsync("set", "web", "--json", "--memory", "96M", "--cpus", "2")).Output))
        {
            Assert.Equal(("web", true, false), (told.RootElement.GetProperty("name").GetString(), told.RootElement.GetProperty("running").GetBoolean(), told.RootElement.GetProperty("made").GetBoolean()));
            Assert.Equal(("memory", "cpus"), (Texts(told.RootElement, "inForce"), Texts(told.RootElement, "atNextStart")));
        }
        Assert.Equal("lamina: web takes at its next start: cpus\n", (await RunAsync("ps")).Errors);
        Assert.Equal("cpus", Texts((await ListAsync()).EnumerateArray().Single(), "atNextStart"));
        using (var inspected = await InspectAsync("web")) Assert.Equal("cpus", Texts(inspected.RootElement, "atNextStart"));
        // What somebody wrote into the file waits as well.
        var definition = await File.ReadAllTextAsync(Home("web", "machine.json"), TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Home("web", "machine.json"), definition.Replace("\"96M\"", "\"80M\"", StringComparison.Ordinal), TestContext.Current.CancellationToken);
        Assert.Equal("memory,cpus", Texts((await ListAsync()).EnumerateArray().Single(), "atNextStart"));

        Expect(0, await RunAsync("restart", "--timeout", "0", "web"));

        Assert.Equal("", (await RunAsync("ps")).Errors);
        Assert.False((await ListAsync()).EnumerateArray().Single().TryGetProperty("atNextStart", out _));

        static string Texts(JsonElement of, string name) => string.Join(',', of.GetProperty(name).EnumerateArray().Select(text => text.GetString()));
    }

    [Fact]
    public async Task Memory_is_given_and_taken_at_once_between_the_least_and_the_most()
    {
        await CreateAsync("web", Guest.Halts, "--memory", "64M", "--memory-most", "128M");
        Expect(0, await RunAsync("start", "web"));
        using (var inspected = await InspectAsync("web")) Assert.Equal("67108864", Text(Part(inspected, "balloon0"), "target bytes"));

        Assert.Equal("web: in force now: memory\n", (await RunAsync("set", "web", "--memory", "96M")).Output);

        using (var inspected = await InspectAsync("web"))
        {
            Assert.Equal("33554432", Text(Part(inspected, "balloon0"), "target bytes"));
            Assert.Equal(96 << 20, inspected.RootElement.GetProperty("status").GetProperty("memory").GetInt64());
        }
        Expect(2, await RunAsync("set", "web", "--memory", "256M"), "lamina: a machine that can have 128M of memory at most (memory-most) cannot have 256M; raise memory-most as well, or give it less memory");
        Assert.Equal("web: takes effect at the next start: memory, memory-most\n", (await RunAsync("set", "web", "--memory", "256M", "--memory-most", "1G")).Output);
    }

    [Fact]
    public async Task What_cannot_be_is_one_sentence_and_changes_nothing()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var (free, busy) = (HostProcess.FreePort(), ((IPEndPoint)taken.LocalEndpoint).Port);
        await CreateAsync("web", Guest.Halts, "--memory", "64M", "--balloon");
        var before = await File.ReadAllTextAsync(Home("web", "machine.json"), TestContext.Current.CancellationToken);

        Expect(2, await RunAsync("set", "web"), "lamina: there is nothing to set; name what is to be other, like --memory 2G");
        Expect(2, await RunAsync("set", "nope", "--cpus", "2"), "lamina: there is no machine nope*");
        Expect(2, await RunAsync("set", "web", "--cpus", "0"), "lamina: a machine cannot have 0 CPUs; give it at least one");
        Expect(2, await RunAsync("set", "web", "--memory", "lots"), "lamina: --memory: 'lots' is not a size; write it like*");
        Expect(2, await RunAsync("set", "web", "--remove", "network1"), "lamina: --remove: the machine has no device network1; did you mean network0?");
        Expect(2, await RunAsync("set", "web", "--device", "network0,plugged=maybe"), "lamina: --device: plugged: 'maybe' is not possible; use on or off");
        Expect(2, await RunAsync("set", "web", "--device", "network0,colour=red"), "lamina: --device: * has no option \"colour=red\"; there are *");
        Expect(2, await RunAsync("set", "web", "--unpublish", "8080"), "lamina: --unpublish: the machine publishes no TCP port 127.0.0.1:8080");
        Expect(2, await RunAsync("set", "web", "--unset", "memroy"), "lamina: --unset: a machine has no property memroy; did you mean memory?");
        Expect(2, await RunAsync("set", "web", "--unset", "kernel"), "lamina: it does not say what the machine boots*");
        Expect(2, await RunAsync("set", "web", "--disk", Folder.File("none.qcow2")), $"lamina: there is no disk image {Folder.File("none.qcow2")}; make one with 'lamina disk create', or by size=SIZE");
        Expect(2, await RunAsync("set", "web", "--net", "none"), "lamina: --net: none removes no card; use --remove with its name, like --remove network0");
        Expect(0, await RunAsync("start", "web"));
        // The memory was there, and goes back with the port that is not.
        Expect(1, await RunAsync("set", "web", "--memory", "32M", "--publish", $"{free}:80", "--publish", $"{busy}:81"), $"lamina: *{busy}*");
        Assert.False(Answers(free));
        using (var inspected = await InspectAsync("web")) Assert.Equal("0", Text(Part(inspected, "balloon0"), "target bytes"));
        Assert.Equal(before, await File.ReadAllTextAsync(Home("web", "machine.json"), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_definition_that_is_wrong_is_told_with_its_line()
    {
        await CreateAsync("web", Guest.Halts);
        await File.WriteAllTextAsync(Home("web", "machine.json"), "{\n  \"kernel\": \"k\",\n  \"cpus\": \"two\"\n}", TestContext.Current.CancellationToken);

        Expect(2, await RunAsync("set", "web", "--cpus", "2"), "lamina: *machine.json, line 3: \"cpus\" is a number*");
    }

    [Fact]
    public async Task Changes_at_once_lose_nothing()
    {
        await CreateAsync("web", Guest.Halts);
        Expect(0, await RunAsync("start", "web"));
        var ports = Enumerable.Range(0, 4).Select(_ => HostProcess.FreePort()).ToArray();

        foreach (var outcome in await Task.WhenAll(ports.Select(port => RunAsync("set", "web", "--publish", $"{port}:80")))) Expect(0, outcome);

        Assert.All(ports, port => Assert.True(Answers(port)));
        using var inspected = await InspectAsync("web");
        Assert.Equal(4, inspected.RootElement.GetProperty("definition").GetProperty("devices")[0].GetProperty("publish").GetArrayLength());
    }

    [Fact]
    public async Task Names_of_devices_and_properties_are_completed()
    {
        await CreateAsync("web", Guest.Halts);

        Assert.Contains("network0", await SuggestAsync("lamina set web --remove "), StringComparison.Ordinal);
        Assert.Contains("network0,", await SuggestAsync("lamina set web --device "), StringComparison.Ordinal);
        Assert.Contains("stop-timeout", await SuggestAsync("lamina set web --unset "), StringComparison.Ordinal);
        Assert.Contains("web", await SuggestAsync("lamina set "), StringComparison.Ordinal);

        async Task<string> SuggestAsync(string line) => (await RunAsync($"[suggest:{line.Length}]", line)).Output;
    }

    private async Task<JsonDocument> InspectAsync(string name) => JsonDocument.Parse((await RunAsync("inspect", name)).Output);

    private static JsonElement Part(JsonDocument inspected, string device) => inspected.RootElement.GetProperty("parts").GetProperty("devices").GetProperty(device);

    // A value of a part, wherever below it that stands.
    private static string? Text(JsonElement part, string name) => part.TryGetProperty(name, out var value) ? value.ToString().ToLowerInvariant()
        : part.EnumerateObject().Where(inner => inner.Value.ValueKind == JsonValueKind.Object).Select(inner => Text(inner.Value, name)).FirstOrDefault(found => found is not null);

    private static bool Answers(int port)
    {
        using var client = new TcpClient();
        try
        {
            client.Connect(IPAddress.Loopback, port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
