// Many machines of the image "tiny" on one host, through the real program: started all at once, at rest, stopped by one command; and
// machines that run one command each and are gone, one after another. A few every time, a hundred in the long tests, which also say what
// one of them takes of the host.
using System.Diagnostics;
using System.Globalization;
using Lamina.Images;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

[Collection("Figures")]
public sealed class ManyMachinesTests : KeptMachines
{
    private const string Patience = "10m";

    // Ten minutes, as a host at rest is looked at, once what the starts left to do is done.
    private static readonly TimeSpan Settling = TimeSpan.FromMinutes(1), Rest = TimeSpan.FromMinutes(10);

    [Fact]
    public Task Three_throw_away_machines_one_after_another_end_as_their_commands_do() => ThrowAwayAsync(3);

    [Fact, Trait("Category", "Long")]
    public Task A_hundred_throw_away_machines_one_after_another_end_as_their_commands_do() => ThrowAwayAsync(100);

    [Fact]
    public async Task Four_machines_that_are_started_at_once_lose_nothing_and_are_stopped_by_one_command()
    {
        var names = await StartAsync(4);
        await AnswerAsync(names);

        await StopAllAsync(names);
    }

    [Fact, Trait("Category", "Long")]
    public async Task Thirty_machines_that_are_started_at_once_lose_nothing()
    {
        var names = await StartAsync(30);
        await AnswerAsync(names);

        await StopAllAsync(names);
    }

    [Fact, Trait("Category", "Long")]
    public async Task A_hundred_machines_at_rest_are_all_alive_after_ten_minutes()
    {
        var names = await StartAsync(100);
        await AnswerAsync(names);

        // They are to do nothing for that long, and what is looked at is that they do.
        await Task.Delay(Settling, TestContext.Current.CancellationToken);
        var processes = await ProcessesAsync();
        Assert.Equal(names.Length, processes.Length);
        var (before, began) = (processes.Select(CpuTime).ToArray(), Stopwatch.GetTimestamp());
        await Task.Delay(Rest, TestContext.Current.CancellationToken);
        var time = Stopwatch.GetElapsedTime(began);

        Assert.Equal(processes, await ProcessesAsync());
        Say("CPU at rest, % of one", processes.Select((process, index) => 100 * (CpuTime(process) - before[index]) / time), "0.00");
        Say("memory (PSS), MiB", processes.Select(process => (double)ProportionalMemory(process) / (1 << 20)), "0.0");
        await AnswerAsync(names);
        await StopAllAsync(names);
    }

    private static async Task ThrowAwayAsync(int count)
    {
        _ = await TinyImage.NeedAsync();
        var times = new List<double>();
        for (var i = 0; i < count; i++)
        {
            var began = Stopwatch.GetTimestamp();
            var outcome = await LaminaProgram.RunAsync(["run", "--rm", "--engine", "translator", "tiny", "--", "sh", "-c", "exit 7"]);
            Assert.True(outcome is { ExitCode: 7, Output: "", Errors: "" }, $"number {i + 1} ended with {outcome.ExitCode}: {outcome.Output}{outcome.Errors}");
            times.Add(Stopwatch.GetElapsedTime(began).TotalSeconds);
        }
        Say($"{count} × run --rm, s", times, "0.00");
    }

    // Machines that one command starts.
    private async Task<string[]> StartAsync(int count)
    {
        var boots = await TinyImage.WordsAsync();
        string[] names = [.. Enumerable.Range(1, count).Select(number => $"m{number}")];
        foreach (var name in names)
            Expect(0, await RunAsync(["create", name, .. boots, "--memory", "96M", "--engine", "translator"]));
        var began = Stopwatch.GetTimestamp();
        using var start = Start(["start", .. names]);
        Assert.True(start.HasEndedWithin(TimeSpan.FromMinutes(10)), $"{count} machines are not started after ten minutes");
        Expect(0, await start.EndAsync());
        Tell($"{count} machines were started in {Stopwatch.GetElapsedTime(began).TotalSeconds:0.0} s");
        return names;
    }

    // Each runs a command that no other does.
    private async Task AnswerAsync(string[] names)
    {
        var began = Stopwatch.GetTimestamp();
        foreach (var name in names)
        {
            using var exec = Start(["exec", "--wait", Patience, name, "--", "echo", name]);
            Assert.True(exec.HasEndedWithin(TimeSpan.FromMinutes(11)), $"{name} does not answer");
            var outcome = await exec.EndAsync();
            Assert.Equal((0, $"{name}\n", ""), (outcome.ExitCode, outcome.Output, outcome.Errors));
        }
        Tell($"all {names.Length} had answered after {Stopwatch.GetElapsedTime(began).TotalSeconds:0.0} s");
    }

    private async Task StopAllAsync(string[] names)
    {
        var began = Stopwatch.GetTimestamp();
        using var stop = Start(["stop", "--timeout", Patience, "--all"]);
        Assert.True(stop.HasEndedWithin(TimeSpan.FromMinutes(11)), "they are not stopped");
        Expect(0, await stop.EndAsync());
        Tell($"stop --all took {Stopwatch.GetElapsedTime(began).TotalSeconds:0.0} s");
        var ends = (await ListAsync()).EnumerateArray().Select(machine => (machine.GetProperty("state").GetString(), machine.GetProperty("lastEnd").GetString())).ToArray();
        Assert.Equal(Enumerable.Repeat(((string?)"off", (string?)"the guest powered off"), names.Length), ends);
    }

    private async Task<int[]> ProcessesAsync() =>
        [.. (await ListAsync()).EnumerateArray().Where(machine => machine.GetProperty("state").GetString() == "running").Select(machine => machine.GetProperty("status").GetProperty("pid").GetInt32())];

    private static TimeSpan CpuTime(int process)
    {
        using var at = Process.GetProcessById(process);
        return at.TotalProcessorTime;
    }

    // What a process has, and its part of what several have. proc(5), smaps_rollup.
    private static long ProportionalMemory(int process)
    {
        var line = File.ReadLines($"/proc/{process}/smaps_rollup").Single(line => line.StartsWith("Pss:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) << 10;
    }

    private static void Say(string what, IEnumerable<double> figures, string format)
    {
        var sorted = figures.Order().ToArray();
        string Text(double figure) => figure.ToString(format, CultureInfo.InvariantCulture);
        Tell($"{what}: least {Text(sorted[0])}, median {Text(sorted[sorted.Length / 2])}, most {Text(sorted[^1])}, sum {Text(sorted.Sum())}");
    }

    private static void Tell(FormattableString text) => TestContext.Current.SendDiagnosticMessage(FormattableString.Invariant(text));
}
