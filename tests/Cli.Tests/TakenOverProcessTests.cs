// A guest that took over its machine's process is kept from everything but the machine's folder run/ (docs/security.md). What it leaves
// there for those who have more rights and look at it afterwards, or start the machine again: links, pipes, numbers of other processes, a state that
// asks for more of the host. None of it does anything to anybody else.
using System.Diagnostics;
using System.Text.Json;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class TakenOverProcessTests : KeptMachines
{
    private const long TooLarge = 1L << 40;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Victim => Folder.File("victim");

    [Theory]
    [InlineData("link")]
    [InlineData("pipe")]
    [InlineData("folder")]
    [InlineData("large")]
    public async Task What_is_no_file_of_a_machine_in_its_folder_holds_nobody_up_and_leads_nowhere(string trap)
    {
        await CreateAsync("web", Guest.Halts);
        Directory.CreateDirectory(Home("web", "run"));
        await File.WriteAllTextAsync(Victim, "{ \"pid\": 1 }", Token);
        string[] files = ["run.json", "end.json", "suspended.json", "blocked", "log", "console.log", "console.log.old", "suspended.json.new", "end.json.new", "control.sock", "snapshot.qcow2", "snapshot", "suspended", "working-set", "root"];
        foreach (var file in files) await SetAsync(trap, Home("web", "run", file));

        Assert.Equal("new", await StateAsync("web"));
        foreach (var verb in (string[][])[["logs", "web"], ["logs", "--process", "web"], ["inspect", "web"], ["wait", "web"], ["stop", "web"], ["kill", "web"], ["start", "web"], ["suspend", "web"], ["snapshot", "create", "web", "one"], ["start", "--cold", "web"], ["kill", "web"]])
            Assert.DoesNotContain("internal error", (await RunAsync(verb)).Errors, StringComparison.Ordinal);
        Expect(0, await RunAsync("rm", "web"));

        Assert.Equal("{ \"pid\": 1 }", await File.ReadAllTextAsync(Victim, Token));
        Assert.Equal(["guest", "home", "victim"], Directory.EnumerateFileSystemEntries(Folder.Path).Select(path => Path.GetFileName(path)).Order());
    }

    [Theory]
    [InlineData("a link", "link")]
    [InlineData("a pipe", "pipe")]
    public async Task A_log_that_is_none_is_refused_in_a_sentence(string what, string trap)
    {
        await CreateAsync("web", Guest.Halts);
        Directory.CreateDirectory(Home("web", "run"));
        await File.WriteAllTextAsync(Victim, "mine\n", Token);
        await SetAsync(trap, Home("web", "run", "console.log"));

        Expect(1, await RunAsync("logs", "web"), $"lamina: {Home("web", "run", "console.log")} is {what}, and no file");
        Assert.NotEqual(0, (await RunAsync("start", "web")).ExitCode);

        Assert.Equal("mine\n", await File.ReadAllTextAsync(Victim, Token));
    }

    [Theory]
    [InlineData("less than a strict lock*", "strict", "--lock", "on")]
    [InlineData("no lock*", "on", "--lock", "off")]
    [InlineData("the right to read {folder}, ", "on", "--share", "{folder}:data")]
    [InlineData("the right to read {victim}, ", "on", "--disk", "{victim},format=raw")]
    [InlineData("the network \"user,host=22*", "on", "--net", "user,host=22")]
    [InlineData("the right to read /dev/net/tun, ", "on", "--net", "tap=tap9")]
    [InlineData("a debugger at port 4711*", "on", "--gdb", "4711")]
    public async Task A_state_that_asks_for_more_of_the_host_than_the_machine_had_is_refused(string more, string usual, params string[] words)
    {
        await File.WriteAllBytesAsync(Victim, new byte[1 << 20], Token);
        await CreateAsync("web", Guest.Halts, "--lock", usual);
        if (usual == "strict" && await RunAsync("start", "web") is { ExitCode: not 0 } refused) Assert.Skip($"this host gives no strict lock: {refused.Errors}");
        else if (usual != "strict") Expect(0, await RunAsync("start", "web"));
        await PrintedAsync("web", "up");
        Expect(0, await RunAsync("suspend", "web"));
        await ForgeAsync(Home("web", "run", "suspended"), [.. words.Select(Placed)]);

        Expect(2, await RunAsync("start", "web"), $"lamina: what was kept of the machine web asks for {Placed(more)}which the machine was not started with*'lamina start --cold web'*");

        Expect(0, await RunAsync("start", "--cold", "web"));
    }

    [Fact]
    public async Task A_process_that_does_not_answer_is_ended_whatever_it_says_that_it_is()
    {
        await CreateAsync("web", Guest.Halts);
        await CreateAsync("other", Guest.Halts);
        Expect(0, await RunAsync("start", "web"));
        Expect(0, await RunAsync("start", "other"));
        using var status = JsonDocument.Parse((await RunAsync("inspect", "web")).Output);
        using var process = Process.GetProcessById(status.RootElement.GetProperty("status").GetProperty("pid").GetInt32());
        using var victim = Process.Start("sleep", "1000");
        try
        {
            await SignalAsync("STOP", process.Id);
            await File.WriteAllTextAsync(Home("web", "run", "run.json"), $"{{ \"pid\": {victim.Id}, \"started\": \"2026-01-01T00:00:00Z\" }}", Token);
            File.Delete(Home("web", "run", "control.sock"));
            File.CreateSymbolicLink(Home("web", "run", "control.sock"), Home("other", "run", "control.sock"));

            Assert.Equal("silent", await StateAsync("web"));
            Expect(0, await RunAsync("kill", "web"));

            Assert.False(victim.HasExited);
            Assert.Equal("killed", await StateAsync("web"));
            Assert.Equal("running", await StateAsync("other"));
        }
        finally
        {
            victim.Kill();
            if (!process.HasExited) process.Kill();
        }
    }

    private string Placed(string word) => word.Replace("{folder}", Folder.Path, StringComparison.Ordinal).Replace("{victim}", Victim, StringComparison.Ordinal);

    private async Task SetAsync(string trap, string path)
    {
        switch (trap)
        {
            case "link":
                File.CreateSymbolicLink(path, Victim);
                break;
            case "pipe":
                using (var made = Process.Start("mkfifo", path)) await made.WaitForExitAsync(Token);
                Assert.True(Path.Exists(path));
                break;
            case "folder":
                Directory.CreateDirectory(Path.Combine(path, "inner"));
                break;
            default:
                using (var file = File.Create(path)) file.SetLength(TooLarge);
                break;
        }
    }

    // The definition in a state is what the process says that the machine is: here one with some words more.
    private async Task ForgeAsync(string folder, string[] words)
    {
        await CreateAsync("forged", Guest.Halts, words);
        var asked = DefinitionJson.Read(await File.ReadAllBytesAsync(Home("forged", "machine.json"), Token)).MapPaths(path => Path.GetFullPath(path, Home("forged")));
        var saved = Saving.SavedMachine.Read(folder);
        var definition = saved.Definition with { Lock = asked.Lock, GdbPort = asked.GdbPort, Devices = [.. saved.Definition.Devices.Where(device => device is not NetworkDevice || !asked.DevicesOf<NetworkDevice>().Any()), .. asked.Devices] };
        await File.WriteAllBytesAsync(Path.Combine(folder, "state"), (saved with { Definition = definition }).Encode(), Token);
    }

    private static async Task SignalAsync(string signal, int process)
    {
        using var kill = Process.Start("kill", [$"-{signal}", $"{process}"]);
        await kill.WaitForExitAsync(Token);
    }
}
