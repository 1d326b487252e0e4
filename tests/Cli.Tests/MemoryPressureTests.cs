// Machines whose memory sums to twice what they may take of the host together, each of which fills its own in turn: balloons take from those
// that do not need it, and none is ended for it. Control groups bound the test, so that the host is not what runs short.
using System.Globalization;
using Lamina.Images;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

[Trait("Category", "Long")]
[Collection("Figures")]
public sealed class MemoryPressureTests : IAsyncDisposable
{
    private static readonly string[] Names = ["m1", "m2", "m3", "m4"];

    private readonly LimitedMachines _machines = new();

    public ValueTask DisposeAsync() => _machines.DisposeAsync();

    [Fact]
    public async Task Machines_of_twice_the_memory_that_there_is_touch_it_in_turn_and_none_is_ended()
    {
        Succeeds(await _machines.RunAsync("pool", "create", "box", "--memory-limit", "4G"));
        foreach (var name in Names)
        {
            await StartAsync(name, "--memory", "2G", "--memory-least", "256M", "--pool", "box", "--disk", _machines.Disk(name, 3L << 30));
        }

        for (var round = 0; round < 2; round++)
        {
            foreach (var name in Names)
            {
                // What it reads it keeps, as a guest does with memory that is of no other use.
                Succeeds(await _machines.RunAsync("exec", "--wait", "2m", name, "--", "sh", "-c", "dd if=/dev/vda of=/dev/null bs=1M count=1700"));
                var taken = new List<string>();
                foreach (var other in Names)
                {
                    var (has, without) = (await CounterAsync(other, "memory_resident_bytes") >> 20, await CounterAsync(other, "balloon_taken_bytes") >> 20);
                    taken.Add(string.Create(CultureInfo.InvariantCulture, $"{other} has {has} MiB of the host's and does without {without}"));
                }
                TestContext.Current.SendDiagnosticMessage($"round {round + 1}, {name}: {string.Join("; ", taken)}");
            }
        }

        var times = 0L;
        foreach (var name in Names)
        {
            Assert.Equal("running", (await _machines.AskAsync(name, new { @do = "status" })).GetProperty("state").GetString());
            times += await CounterAsync(name, "balloon_times_taken");
        }
        Assert.True(times > 0);
    }

    // Version 2 holds it back instead.
    [Fact]
    public async Task A_machine_that_the_kernel_ends_for_a_limit_says_so()
    {
        Succeeds(await _machines.RunAsync("pool", "create", "box", "--memory-limit", "512M"));
        await StartAsync("m1", "--memory", "2G", "--pool", "box");
        Assert.SkipUnless((await _machines.AskAsync("m1", new { @do = "limits" })).GetProperty("kept-by").GetProperty("memory").GetString() == "cgroup v1", "no limit ends a process here");

        _ = await _machines.RunAsync("exec", "--wait", "2m", "m1", "--", "sh", "-c", "mount -o remount,size=95% /tmp; dd if=/dev/urandom of=/tmp/part bs=1M count=50; while cat /tmp/part >>/tmp/big; do :; done");

        Assert.Contains("was ended by the host's kernel: the machine, or a pool that it is in, had reached its memory limit", (await _machines.RunAsync("wait", "m1")).Errors, StringComparison.Ordinal);
    }

    private async Task StartAsync(string name, params string[] words)
    {
        Succeeds(await _machines.MakeAsync(name, [.. await TinyImage.WordsAsync(), .. words]));
        Succeeds(await _machines.RunAsync("start", name));
        Assert.SkipUnless((await _machines.AskAsync(name, new { @do = "limits" })).GetProperty("kept-by").TryGetProperty("memory", out _), "there are no control groups for memory here");
    }

    private async Task<long> CounterAsync(string name, string counter) =>
        (await _machines.AskAsync(name, new { @do = "counters" })).EnumerateArray().Single(one => one.GetProperty("name").GetString() == counter).GetProperty("value").GetInt64();

    private static void Succeeds(Outcome outcome) => Assert.True(outcome.ExitCode == 0, outcome.Errors);
}
