// kill -9 in random moments, of the program in each of its verbs and of machines' processes: every folder can be used afterwards, what was
// acknowledged is there, and the next verb is right about what became of it.
using System.Diagnostics;
using System.Text.Json;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class KillTests : KeptMachines
{
    private const string All = "LAMINA_TEST_ALL";

    // About what a verb takes, so that the moment lies anywhere in it, or behind it.
    private const int LongestMilliseconds = 900;

    private readonly HashSet<string> _names = [];
    private int _made;

    [Fact]
    public Task Ten_kills_lose_nothing() => KillAsync(10, System.Environment.TickCount);

    [Fact, Trait("Category", "Long")]
    public Task Two_hundred_kills_lose_nothing()
    {
        Assert.SkipUnless(System.Environment.GetEnvironmentVariable(All) is "1", $"it takes some minutes; ./test --all runs it ({All}=1)");
        return KillAsync(200, System.Environment.TickCount);
    }

    private async Task KillAsync(int kills, int seed)
    {
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        var random = new Random(seed);
        await CreateWithDiskAsync("first");
        _names.Add("first");
        for (var killed = 0; killed < kills;)
        {
            var (words, holds) = Choose(random);
            var said = $"seed {seed}, kill {killed}: {string.Join(' ', words)}";
            if (words[0] == "process") await KillProcessAsync(words[1]);
            else if (await RunOrKillAsync(words, TimeSpan.FromMilliseconds(random.Next(LongestMilliseconds))) is { } outcome)
            {
                // Refused it may be, by what an earlier kill left half done or running; acknowledged is done.
                Assert.True(outcome.ExitCode != 0 || await holds(), $"{said} is not done");
                Assert.True(outcome.ExitCode == 0 || outcome.ErrorLines.Length == 1, $"{said}: {outcome.Errors}");
                continue;
            }
            killed++;
            await CheckAsync(said);
        }
        foreach (var name in _names)
        {
            await RunAsync("kill", name);
            Expect(0, await RunAsync("start", name));
            await PrintedAsync(name, "up");
            Expect(0, await RunAsync("kill", name));
            Expect(0, await RunAsync("rm", name));
        }
        Assert.Empty(Directory.EnumerateDirectories(Folder.File("home/machines")));
    }

    // A verb, and whether its effect is there.
    private (string[] Words, Func<Task<bool>> Holds) Choose(Random random)
    {
        var some = _names.Order(StringComparer.Ordinal).ElementAt(random.Next(_names.Count));
        var (fresh, file, cpus) = ($"m{++_made}", Folder.File($"{_made}.tar.gz"), random.Next(1, 8));
        var exported = Directory.EnumerateFiles(Folder.Path, "*.tar.gz").FirstOrDefault();
        return random.Next(10) switch
        {
            0 => (["create", fresh, "--kernel", Folder.File("guest"), "--engine", "translator"], () => IsThereAsync(fresh)),
            1 => (["clone", some, fresh], () => IsThereAsync(fresh)),
            2 => (["rename", some, fresh], async () => await IsThereAsync(fresh) && !await IsThereAsync(some)),
            3 when _names.Count > 3 => (["rm", "--force", some], async () => !await IsThereAsync(some)),
            4 => (["export", some, file], () => Task.FromResult(File.Exists(file))),
            5 when exported is not null => (["import", exported, fresh], () => IsThereAsync(fresh)),
            6 => (["start", some], async () => await StateAsync(some) == "running"),
            7 => (["stop", "--timeout", "0", some], async () => await StateAsync(some) is "off" or "killed"),
            8 => (["process", some], () => Task.FromResult(true)),
            _ => (["set", some, "--cpus", $"{cpus}"], async () => CpusOf(await File.ReadAllBytesAsync(Home(some, "machine.json"), TestContext.Current.CancellationToken)) == cpus),
        };
    }

    // Null where it was killed.
    private async Task<Outcome?> RunOrKillAsync(string[] words, TimeSpan after)
    {
        using var process = Start(words);
        if (process.HasEndedWithin(after))
        {
            var outcome = await process.EndAsync();
            await ReadNamesAsync();
            return outcome;
        }
        process.Kill();
        Assert.True(process.HasEndedWithin(TimeSpan.FromMinutes(1)));
        return null;
    }

    private async Task KillProcessAsync(string name)
    {
        if (await StateAsync(name) != "running") return;
        using var inspected = JsonDocument.Parse((await RunAsync("inspect", name)).Output);
        if (!inspected.RootElement.TryGetProperty("status", out var status)) return;
        using var process = Process.GetProcessById(status.GetProperty("pid").GetInt32());
        process.Kill();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal("killed", await StateAsync(name));
        Assert.Contains("was killed", (await RunAsync("wait", name)).Errors, StringComparison.Ordinal);
    }

    private async Task CheckAsync(string said)
    {
        foreach (var machine in (await ListAsync()).EnumerateArray())
            Assert.True(machine.GetProperty("state").GetString() is not "damaged", $"{said}: {machine}");
        Expect(0, await RunAsync("prune"));
        await ReadNamesAsync();
        Assert.NotEmpty(_names);
        // What is no machine and could not be cleared away is being made or removed by nobody.
        Assert.Equal(_names.Order(StringComparer.Ordinal), Directory.EnumerateDirectories(Folder.File("home/machines")).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal));
    }

    private async Task ReadNamesAsync()
    {
        _names.Clear();
        foreach (var machine in (await ListAsync()).EnumerateArray()) _names.Add(machine.GetProperty("name").GetString()!);
    }

    private async Task<bool> IsThereAsync(string name)
    {
        await ReadNamesAsync();
        return _names.Contains(name);
    }

    private static int CpusOf(byte[] definition)
    {
        using var json = JsonDocument.Parse(definition, new JsonDocumentOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip });
        return json.RootElement.TryGetProperty("cpus", out var cpus) ? cpus.GetInt32() : 1;
    }
}
