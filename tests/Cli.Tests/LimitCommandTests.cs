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

    // Until the virtual CPUs took so much more than before.
    private async Task<TimeSpan> TakeAsync(TimeSpan processorTime)
    {
        var end = await _machines.UsedAsync("web") + processorTime;
        var begin = Stopwatch.GetTimestamp();
        while (await _machines.UsedAsync("web") < end) TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
        return Stopwatch.GetElapsedTime(begin);
    }
}
