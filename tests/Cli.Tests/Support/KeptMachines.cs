// Machines that are kept, in a folder of the test's own, and the real program that makes and runs them: what tests of its verbs share.
using System.Text.Json;
using System.Text.RegularExpressions;
using Xunit;

namespace Lamina.Tests.Cli.Support;

public abstract class KeptMachines : IAsyncLifetime
{
    private protected TemporaryFolder Folder { get; } = new();

    public ValueTask InitializeAsync() => default;

    public async ValueTask DisposeAsync()
    {
        foreach (var machine in (await ListAsync()).EnumerateArray()) await RunAsync("kill", machine.GetProperty("name").GetString()!);
        Folder.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected string Home(string name, params string[] file) => Path.Combine([Folder.Path, "home", "machines", name, .. file]);

    private protected Dictionary<string, string?> Environment => new() { ["LAMINA_HOME"] = Folder.File("home") };

    private protected Task<Outcome> RunAsync(params string[] words) => LaminaProgram.RunAsync(words, Environment);

    private protected HostProcess Start(string[] words, bool keepsInput = false) => HostProcess.Start(LaminaProgram.File, words, Environment, keepsInput: keepsInput);

    private protected async Task CreateAsync(string name, byte[] guest, params string[] words)
    {
        var outcome = await RunAsync(["create", name, "--kernel", Guest.In(Folder, guest), "--engine", "translator", .. words]);
        Assert.Equal((0, $"{name}\n", ""), (outcome.ExitCode, outcome.Output, outcome.Errors));
    }

    // As a machine of an image with a disk has it.
    /// <summary>Starts a machine of the image tiny, which the translator runs.</summary>
    private protected async Task StartTinyAsync(string name, params string[] words)
    {
        Expect(0, await RunAsync(["create", name, .. await TinyImage.WordsAsync(), "--engine", "translator", .. words]));
        Expect(0, await RunAsync("start", name));
    }

    /// <summary>Runs a script in a guest, when its agent is there; what it prints.</summary>
    private protected Task<string> InAsync(string machine, string script) => InAsync(RunAsync, machine, script);

    private protected static async Task<string> InAsync(Func<string[], Task<Outcome>> run, string machine, string script)
    {
        var outcome = await run(["exec", "--wait", "2m", machine, "--", "sh", "-c", script]);
        Assert.True(outcome.ExitCode == 0, outcome.Errors);
        return outcome.Output.Trim();
    }

    private protected async Task CreateWithDiskAsync(string name)
    {
        await CreateAsync(name, Guest.Halts);
        File.Copy(Folder.File("guest"), Home(name, "kernel"));
        Expect(0, await RunAsync("disk", "create", Home(name, "base.qcow2"), "16M"));
        Expect(0, await RunAsync("disk", "create", "--backing", "base.qcow2", Home(name, "disk.qcow2")));
        await File.WriteAllTextAsync(Home(name, "machine.json"), "{ \"image\": \"some\", \"engine\": \"translator\" }", TestContext.Current.CancellationToken);
    }

    private protected async Task<JsonElement> ListAsync()
    {
        var outcome = await RunAsync("ps", "--all", "--json");
        Assert.Equal((0, ""), (outcome.ExitCode, outcome.Errors));
        using var list = JsonDocument.Parse(outcome.Output);
        return list.RootElement.Clone();
    }

    private protected async Task<string> StateAsync(string name) => (await ListAsync()).EnumerateArray().Single(machine => machine.GetProperty("name").GetString() == name).GetProperty("state").GetString()!;

    private protected async Task<string> GenerationAsync(string name)
    {
        var outcome = await RunAsync("inspect", name, "chipset/generation");
        Assert.Equal((0, ""), (outcome.ExitCode, outcome.Errors));
        using var json = JsonDocument.Parse(outcome.Output);
        return json.RootElement.GetProperty("id").GetString()!;
    }

    // Its log is written by a thread of its own.
    private protected async Task PrintedAsync(string name, string text)
    {
        while (!(await RunAsync("logs", name)).Output.Contains(text, StringComparison.Ordinal)) TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
    }

    // A sentence may end, and begin, in a star: anything.
    private protected static void Expect(int code, Outcome outcome, string? sentence = null)
    {
        Assert.True(code == outcome.ExitCode, $"exit code {outcome.ExitCode}, not {code}: {outcome.Errors}");
        if (sentence is null) return;
        var line = Assert.Single(outcome.ErrorLines);
        Assert.True(Regex.IsMatch(line, $"^{string.Join(".*", sentence.Split('*').Select(Regex.Escape))}$"), $"{line}\nis not as\n{sentence}");
    }
}
