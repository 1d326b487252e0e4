// What shares of processor time come to, measured: within the figures that docs/limits.md promises. It takes a host with the time for it,
// and the processor that it pins its machines to must not be busy with much else.
using System.Diagnostics;
using System.Globalization;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

[Trait("Category", "Long")]
[Collection("Figures")]
public sealed class LimitFigureTests : IAsyncLifetime
{
    private static readonly TimeSpan Measured = TimeSpan.FromSeconds(8), Settled = TimeSpan.FromSeconds(1), Started = TimeSpan.FromSeconds(4);

    private readonly LimitedMachines _machines = new();

    public ValueTask InitializeAsync() => default;

    public ValueTask DisposeAsync() => _machines.DisposeAsync();

    [Theory]
    [InlineData(25, 60)]
    [InlineData(60, 25)]
    public async Task A_cap_is_what_is_taken_within_five_percent_and_a_change_is_in_force_within_a_second(int first, int then)
    {
        await _machines.StartAsync("web", "--cpu-cap", $"{first}%");
        await CapAsync(first);

        await _machines.AskAsync("web", new { @do = "limits", cpu_cap = $"{then}%" });

        await CapAsync(then);
    }

    // A host with no processor to spare cannot give what a cap allows; more than that it never does.
    private async Task CapAsync(int percent)
    {
        var idle = Idle();
        var share = await ShareAsync("web");
        Assert.InRange(share, 0, percent * 1.05);
        Assert.SkipWhen(share < percent * 0.95 && Idle() - idle < Measured / 4, $"the host had no processor time to spare: of a cap of {percent} % its guest got {share:0.0} %");
        Within(percent, share, 0.05);
    }

    // Of all processors together. proc(5): /proc/stat, in hundredths of a second.
    private static TimeSpan Idle() => TimeSpan.FromMilliseconds(10 * double.Parse(File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries)[4], CultureInfo.InvariantCulture));

    [Fact]
    public async Task Weights_of_one_to_three_are_one_to_three_within_ten_percent_and_change_within_a_second()
    {
        await _machines.StartAsync("a", "--cpu-pin", "0", "--cpu-weight", "100");
        await _machines.StartAsync("b", "--cpu-pin", "0", "--cpu-weight", "300");
        Assert.SkipUnless((await _machines.InspectAsync("b", "cpu share")).GetProperty("weight is kept by").GetString()!.StartsWith("cgroup", StringComparison.Ordinal), "there are no control groups here, and nice values are approximate");
        // Machines that were just started do more than run their guests.
        await Task.Delay(Started, TestContext.Current.CancellationToken);
        Within(3, await RatioAsync(), 0.10);

        await _machines.AskAsync("a", new { @do = "limits", cpu_weight = 300 });
        await _machines.AskAsync("b", new { @do = "limits", cpu_weight = 100 });

        Within(1 / 3.0, await RatioAsync(), 0.10);
    }

    [Fact]
    public async Task A_reservation_is_kept_while_others_push()
    {
        await _machines.StartAsync("kept", "--cpu-pin", "0", "--cpu-reserve", "60%");
        Assert.SkipUnless((await _machines.AskAsync("kept", new { @do = "limits" })).GetProperty("kept-by").GetProperty("cpu").GetString()!.StartsWith("cgroup", StringComparison.Ordinal), "there are no control groups here, and a reservation is an admission alone");
        foreach (var name in (string[])["a", "b", "c"]) await _machines.StartAsync(name, "--cpu-pin", "0");

        var share = await ShareAsync("kept");

        TestContext.Current.SendDiagnosticMessage(string.Create(CultureInfo.InvariantCulture, $"60 % were reserved, {share:0.0} % found beside three that push"));
        Assert.InRange(share, 57, double.MaxValue);
    }

    private async Task<double> RatioAsync()
    {
        await Task.Delay(Settled, TestContext.Current.CancellationToken);
        var (a, b) = (await _machines.UsedAsync("a"), await _machines.UsedAsync("b"));
        await Task.Delay(Measured, TestContext.Current.CancellationToken);
        return (await _machines.UsedAsync("b") - b) / (await _machines.UsedAsync("a") - a);
    }

    // In percent of a processor.
    private async Task<double> ShareAsync(string name)
    {
        await Task.Delay(Settled, TestContext.Current.CancellationToken);
        var (begin, used) = (Stopwatch.GetTimestamp(), await _machines.UsedAsync(name));
        await Task.Delay(Measured, TestContext.Current.CancellationToken);
        return 100 * (await _machines.UsedAsync(name) - used) / Stopwatch.GetElapsedTime(begin);
    }

    private static void Within(double expected, double found, double part)
    {
        TestContext.Current.SendDiagnosticMessage(string.Create(CultureInfo.InvariantCulture, $"{expected:0.00} was asked for, {found:0.00} found: {100 * found / expected - 100:+0.0;-0.0} %"));
        Assert.InRange(found, expected * (1 - part), expected * (1 + part));
    }
}
