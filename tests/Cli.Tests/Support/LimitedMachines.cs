using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Xunit;

namespace Lamina.Tests.Cli.Support;

/// <summary>Kept machines whose guest runs in circles, each asked at its socket as a program would.</summary>
internal sealed class LimitedMachines : IAsyncDisposable
{
    // CONTRIBUTING.md; the word may say how.
    private static readonly string s_engine = Environment.GetEnvironmentVariable("LAMINA_TEST_ENGINE") is { } asked && asked.StartsWith("kvm", StringComparison.Ordinal) ? "kvm" : "translator";

    private readonly TemporaryFolder _folder = new();
    private readonly List<string> _made = [];

    public Task<Outcome> RunAsync(params string[] words) => LaminaProgram.RunAsync(words, new Dictionary<string, string?> { ["LAMINA_HOME"] = _folder.File("home") });

    public async Task CreateAsync(string name, params string[] words)
    {
        var outcome = await MakeAsync(name, ["--kernel", Guest.In(_folder, Guest.Loops), .. words]);
        Assert.Equal((0, ""), (outcome.ExitCode, outcome.Errors));
    }

    /// <summary>Makes a machine with a guest of its own.</summary>
    public Task<Outcome> MakeAsync(string name, IEnumerable<string> words)
    {
        _made.Add(name);
        return RunAsync(["create", name, "--engine", s_engine, .. words]);
    }

    /// <summary>An empty disk.</summary>
    public string Disk(string name, long length)
    {
        var path = _folder.File($"{name}.raw");
        using var file = File.Create(path);
        file.SetLength(length);
        return path;
    }

    public async Task StartAsync(string name, params string[] words)
    {
        await CreateAsync(name, words);
        var outcome = await RunAsync("start", name);
        Assert.Equal((0, ""), (outcome.ExitCode, outcome.Errors));
    }

    /// <summary>What a request is answered with. Underscores in its names stand for hyphens.</summary>
    public async Task<JsonElement> AskAsync(string name, object request) => (await TalkAsync(name, request)).GetProperty("ok");

    /// <summary>The sentence that a request is refused with.</summary>
    public async Task<string?> RefusedAsync(string name, object request) => (await TalkAsync(name, request)).GetProperty("message").GetString();

    /// <summary>The state of a part.</summary>
    public Task<JsonElement> InspectAsync(string name, string path) => AskAsync(name, new { @do = "inspect", path });

    /// <summary>Processor time that the virtual CPUs took so far.</summary>
    public async Task<TimeSpan> UsedAsync(string name) => TimeSpan.FromMicroseconds(
        (await AskAsync(name, new { @do = "counters" })).EnumerateArray().Single(counter => counter.GetProperty("name").GetString() == "cpu_used_ns").GetProperty("value").GetInt64() / 1000.0);

    public async ValueTask DisposeAsync()
    {
        foreach (var name in _made) await RunAsync("kill", name);
        _folder.Dispose();
    }

    private async Task<JsonElement> TalkAsync(string name, object request)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(Path.Combine(_folder.Path, "home", "machines", name, "run", "control.sock")), TestContext.Current.CancellationToken);
        await using var stream = new NetworkStream(socket);
        using var reader = new StreamReader(stream);
        await reader.ReadLineAsync(TestContext.Current.CancellationToken);
        await stream.WriteAsync(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(request).Replace("cpu_", "cpu-", StringComparison.Ordinal).Replace("memory_", "memory-", StringComparison.Ordinal) + "\n"), TestContext.Current.CancellationToken);
        using var answer = JsonDocument.Parse((await reader.ReadLineAsync(TestContext.Current.CancellationToken))!);
        return answer.RootElement.Clone();
    }
}
