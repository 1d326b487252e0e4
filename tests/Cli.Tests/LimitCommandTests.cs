// Shares and limits of machines that are kept, through the real program and the socket of a machine: what is in force, what changes while it
// runs, and what is refused. Figures are bounded from above alone, which holds on any host; LimitFigureTests has those of both sides.
using System.Diagnostics;
using System.Text.Json;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class LimitCommandTests : IAsyncLifetime
{
    private readonly LimitedMachines _machines = new();

    public ValueTask InitializeAsync() => default;

    public ValueTask DisposeAsync() => _machines.DisposeAsync();

    [Fact]
    public async Task A_cap_holds_from_the_start_on_and_changes_while_the_machine_runs()
    {
        await _machines.StartAsync("web", "--cpu-cap", "20%");
        var share = await _machines.InspectAsync("web", "cpu share");
        Assert.Equal("20%", share.GetProperty("cap").GetString());
        Assert.Matches("^(cgroup v[12]|the machine's own metering)$", share.GetProperty("cap is kept by").GetString());

        // It takes a fifth of a second in no less than one, less what was saved up.
        Assert.InRange(await TakeAsync(TimeSpan.FromMilliseconds(200)), TimeSpan.FromMilliseconds(700), TimeSpan.MaxValue);
        await _machines.AskAsync("web", new { @do = "limits", cpu_cap = "40%" });
        Assert.InRange(await TakeAsync(TimeSpan.FromMilliseconds(400)), TimeSpan.FromMilliseconds(700), TimeSpan.MaxValue);
        var lifted = await _machines.AskAsync("web", new { @do = "limits", cpu_cap = "none", cpu_weight = 50 });

        Assert.False(lifted.TryGetProperty("cpu-cap", out _));
        Assert.Equal("50", lifted.GetProperty("cpu-weight").GetString());
    }

    // Its process is locked by then.
    [Fact]
    public async Task A_machine_sees_what_its_pool_leaves_it_of_the_hosts_memory()
    {
        Assert.Equal(0, (await _machines.RunAsync("pool", "create", "box", "--memory-limit", "1G")).ExitCode);
        await _machines.StartAsync("web", "--memory", "256M", "--memory-least", "64M", "--pool", "box");
        Assert.SkipUnless((await _machines.AskAsync("web", new { @do = "limits" })).GetProperty("kept-by").TryGetProperty("memory", out _), "there are no control groups for memory here");

        var keeper = await _machines.InspectAsync("web", "balloon keeper");

        Assert.InRange(keeper.GetProperty("host has in all").GetUInt64(), 1ul, 1ul << 30);
        Assert.InRange(keeper.GetProperty("host has left").GetUInt64(), 1ul, (1ul << 30) - 1);
    }

    [Fact]
    public async Task The_machine_answers_at_once_however_little_its_guest_may_have()
    {
        await _machines.StartAsync("web", "--cpu-cap", "1%");

        for (var i = 0; i < 50; i++) await _machines.AskAsync("web", new { @do = "status" });

        // Capped like its guest the process would have taken minutes to start.
        Assert.Equal("running", (await _machines.AskAsync("web", new { @do = "status" })).GetProperty("state").GetString());
    }

    [Fact]
    public async Task Limits_of_devices_change_while_the_machine_runs_all_of_a_request_or_nothing()
    {
        await _machines.StartAsync("web", "--net", "user,rate=1M,burst=2s");
        Assert.Equal("""{"rate":"1M","burst":"2s"}""", Of(await _machines.AskAsync("web", new { @do = "limits" })));

        Assert.Equal("""{"rate":"3M","packets":"100","burst":"2s"}""", Of(await _machines.AskAsync("web", new { @do = "limits", device = "network0", rate = "3M", packets = 100 })));
        Assert.Equal(3ul << 20, (await _machines.InspectAsync("web", "devices/network0/device/limit of sending")).GetProperty("bytes a second").GetUInt64());
        Assert.Equal("packets: 'x' is not a number; write it like 1000, or none", await _machines.RefusedAsync("web", new { @do = "limits", device = "network0", rate = "4M", packets = "x" }));
        Assert.StartsWith("a network of this kind has no option \"iops=5\"", await _machines.RefusedAsync("web", new { @do = "limits", device = "network0", iops = 5 }), StringComparison.Ordinal);
        Assert.StartsWith("what the device serial0 moves cannot be limited", await _machines.RefusedAsync("web", new { @do = "limits", device = "serial0", rate = "1M" }), StringComparison.Ordinal);
        Assert.StartsWith("the machine has no device disk7; it has ", await _machines.RefusedAsync("web", new { @do = "limits", device = "disk7", rate = "1M" }), StringComparison.Ordinal);

        Assert.Equal("""{"rate":"3M","packets":"100","burst":"2s"}""", Of(await _machines.AskAsync("web", new { @do = "limits" })));

        static string Of(JsonElement limits) => limits.GetProperty("devices").GetProperty("network0").GetRawText();
    }

    [Fact]
    public async Task A_processor_that_the_host_has_not_is_refused_at_the_start_and_later()
    {
        await _machines.CreateAsync("web", "--cpu-pin", "1000-1023");
        var refused = await _machines.RunAsync("start", "web");
        Assert.Equal(1, refused.ExitCode);
        Assert.StartsWith("lamina: cpu-pin: the host's processor 1000 is not there, or not for this process; it may run on ", Assert.Single(refused.ErrorLines), StringComparison.Ordinal);

        await _machines.StartAsync("other");
        Assert.StartsWith("cpu-pin: the host's processor 1023 is not there", await _machines.RefusedAsync("other", new { @do = "limits", cpu_pin = "1023" }), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Reservations_that_cannot_be_had_are_refused_with_the_figures_and_had_when_there_is_room()
    {
        var all = Environment.ProcessorCount * 100;
        await _machines.StartAsync("a", "--cpu-reserve", "60%");
        await _machines.RunAsync("pool", "create", "rest", "--cpu-reserve", $"{all - 100}%");
        await _machines.CreateAsync("b", "--cpu-reserve", "50%");

        if (all > 100)
        {
            Refused(await _machines.RunAsync("start", "b"), $"lamina: cpu-reserve: 50% of processors cannot be reserved: the host has {all}%, of which pools and running machines reserve {all - 40}%; reserve less, or end something that reserves");
            await _machines.RunAsync("pool", "rm", "rest");
        }
        Assert.Equal(0, (await _machines.RunAsync("kill", "a")).ExitCode);
        Assert.Equal(0, (await _machines.RunAsync("start", "b")).ExitCode);
        await _machines.CreateAsync("c", "--memory-reserve", "1024T");
        Assert.StartsWith("lamina: memory-reserve: 1 PiB of memory cannot be reserved: the host has ", Assert.Single((await _machines.RunAsync("start", "c")).ErrorLines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pools_are_made_changed_shown_and_removed_and_machines_lie_in_them()
    {
        Assert.Equal(0, (await _machines.RunAsync("pool", "create", "outer", "--cpu-cap", "300%")).ExitCode);
        Assert.Equal(0, (await _machines.RunAsync("pool", "create", "inner", "--parent", "outer", "--memory-limit", "8G")).ExitCode);
        await _machines.StartAsync("web", "--pool", "inner");

        Assert.Equal("inner", (await _machines.AskAsync("web", new { @do = "limits" })).GetProperty("pool").GetString());
        Assert.Equal("inner  1 of 1 running  parent=outer memory-limit=8G\nouter  0 of 0 running  cpu-cap=300%\n", (await _machines.RunAsync("pool", "list")).Output);
        Assert.Equal(0, (await _machines.RunAsync("pool", "set", "outer", "--cpu-cap", "none", "--cpu-weight", "50")).ExitCode);
        Assert.Equal("{\n  \"cpu-weight\": 50\n}\n", (await _machines.RunAsync("pool", "show", "outer")).Output);
        Refused(await _machines.RunAsync("pool", "set", "outer", "--parent", "inner"), "lamina: the pool outer would be a part of itself; give outer another parent");
        Assert.StartsWith("lamina: the machine web is in the pool inner; take it out first", Assert.Single((await _machines.RunAsync("pool", "rm", "inner")).ErrorLines), StringComparison.Ordinal);
        await _machines.CreateAsync("lost", "--pool", "iner");
        Refused(await _machines.RunAsync("start", "lost"), "lamina: there is no pool iner; did you mean inner?");
    }

    [Fact]
    public async Task A_memory_limit_is_in_force_and_changes_and_one_that_would_end_the_machine_is_refused()
    {
        await _machines.StartAsync("web", "--memory", "64M", "--memory-limit", "512M");
        var limits = await _machines.AskAsync("web", new { @do = "limits" });
        Assert.Equal("512M", limits.GetProperty("memory-limit").GetString());
        Assert.SkipUnless(limits.GetProperty("kept-by").TryGetProperty("memory", out _), "there are no control groups for memory here");

        Assert.Equal("400M", (await _machines.AskAsync("web", new { @do = "limits", memory_limit = "400M" })).GetProperty("memory-limit").GetString());
        Assert.StartsWith("a memory limit of 100 MiB (memory-limit) is too little for a guest with 64 MiB", await _machines.RefusedAsync("web", new { @do = "limits", memory_limit = "100M" }), StringComparison.Ordinal);

        // Kept as well, by "set".
        Assert.Equal("web: in force now: memory-limit\n", (await _machines.RunAsync("set", "web", "--memory-limit", "600M")).Output);
        Assert.Equal("600M", (await _machines.AskAsync("web", new { @do = "limits" })).GetProperty("memory-limit").GetString());
        Refused(await _machines.RunAsync("set", "web", "--memory-limit", "100M"), "lamina: a memory limit of 100 MiB (memory-limit) is too little for a guest with 64 MiB and what its process needs beside; let it be 256M at least, or give the guest less memory");
        Assert.Equal("web: in force now: memory-limit\n", (await _machines.RunAsync("set", "web", "--unset", "memory-limit")).Output);
        Assert.False((await _machines.AskAsync("web", new { @do = "limits" })).TryGetProperty("memory-limit", out _));
    }

    private static void Refused(Outcome outcome, string sentence)
    {
        Assert.NotEqual(0, outcome.ExitCode);
        Assert.Equal(sentence, Assert.Single(outcome.ErrorLines));
    }

    // Until the virtual CPUs took so much more than before.
    private async Task<TimeSpan> TakeAsync(TimeSpan processorTime)
    {
        var end = await _machines.UsedAsync("web") + processorTime;
        var begin = Stopwatch.GetTimestamp();
        while (await _machines.UsedAsync("web") < end) TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
        return Stopwatch.GetElapsedTime(begin);
    }
}
