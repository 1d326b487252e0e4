// "lamina doctor" through the real program, and how a report is printed.
using System.Text.Json;
using Lamina.Cli.Verbs;
using Lamina.Doctor;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class DoctorCommandTests
{
    private static readonly HostReport s_report = new("kvm",
    [
        new HostCheck("kvm", HostCheckStatus.Good, "works", Value: 3e9),
        new HostCheck("tap", HostCheckStatus.Missing, "there is \"none\"", "sudo modprobe tun"),
    ]);

    [Fact]
    public async Task It_reports_on_this_host()
    {
        var outcome = await LaminaProgram.RunAsync(["doctor"]);

        Assert.Equal(0, outcome.ExitCode);
        foreach (var name in (string[])["kvm", "translator", "auto", "memory", "overcommit", "disk", "tap", "user-namespaces", "cgroups"])
            Assert.Contains($"\n{name} ", $"\n{outcome.Output}", StringComparison.Ordinal);
    }

    [Fact]
    public async Task Its_JSON_names_the_engine_that_a_run_uses()
    {
        using var report = JsonDocument.Parse((await LaminaProgram.RunAsync(["doctor", "--json"])).Output);

        var engine = report.RootElement.GetProperty("engine").GetString();
        Assert.Contains(engine, (string[])["kvm", "translator"]);
        Assert.Equal($"chooses {engine}", report.RootElement.GetProperty("checks").EnumerateArray().Single(check => check.GetProperty("name").GetString() == "auto").GetProperty("finding").GetString());
    }

    [Fact]
    public void The_table_has_the_remedy_below_what_is_missing() => Assert.Equal("""
        kvm  good     works
        tap  missing  there is "none"
                      → sudo modprobe tun

        """, DoctorVerb.Table(s_report));

    [Fact]
    public void The_JSON_holds_every_field()
    {
        using var json = JsonDocument.Parse(DoctorVerb.Json(s_report with { AutoEngine = null }));

        Assert.Equal(JsonValueKind.Null, json.RootElement.GetProperty("engine").ValueKind);
        var checks = json.RootElement.GetProperty("checks");
        Assert.Equal(("good", 3e9), (checks[0].GetProperty("status").GetString(), checks[0].GetProperty("value").GetDouble()));
        Assert.Equal(("missing", "there is \"none\"", "sudo modprobe tun"),
            (checks[1].GetProperty("status").GetString(), checks[1].GetProperty("finding").GetString(), checks[1].GetProperty("remedy").GetString()));
    }

    [Theory]
    [InlineData("--engine", "translator", "--cpus", "33", "the translator runs at most 32 virtual CPUs a machine, not 33")]
    [InlineData("--engine", "qemu", "--cpus", "1", "there are auto, kvm and translator")]
    [InlineData("--irqchip", "host", "--cpus", "1", "--irqchip: there is no 'host'; there are auto, kernel, split and user")]
    [InlineData("--engine", "auto", "--cpus", "256", "at most 255 CPUs, not 256")]
    public async Task An_engine_that_cannot_be_is_refused_in_a_sentence(string engine, string name, string cpus, string count, string words)
    {
        using var folder = new TemporaryFolder();
        var kernel = Guest.In(folder, Guest.Halts);

        var outcome = await LaminaProgram.RunAsync(["run", "--kernel", kernel, engine, name, cpus, count]);

        Assert.Equal(2, outcome.ExitCode);
        Assert.Contains(words, Assert.Single(outcome.ErrorLines), StringComparison.Ordinal);
    }
}
