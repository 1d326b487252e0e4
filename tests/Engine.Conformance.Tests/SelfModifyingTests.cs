// Code that changes itself, on the host CPU and in the engine.
using System.Text;
using Lamina.Conformance.Cases;
using Lamina.Conformance.Guest;
using Xunit;

namespace Lamina.Conformance;

public sealed class SelfModifyingTests
{
    private const int MaxReported = 10;

    [Theory]
    [MemberData(nameof(RandomCaseTests.Runs), MemberType = typeof(RandomCaseTests))]
    public void Stores_into_code_take_effect_at_once(string profileName, string modeName)
    {
        var mode = Enum.Parse<CodeMode>(modeName);
        var profile = GuestProfile.All.First(candidate => candidate.Name == profileName);
        using var runner = new CaseRunner(profile);
        var generator = new SelfModifyingGenerator { MayReadFlags = profile.Settings.Precise };
        var report = new StringBuilder();
        var found = 0;
        runner.Found = mismatch =>
        {
            if (found++ < MaxReported) report.AppendLine(mismatch.Text).AppendLine(mismatch.Case);
        };
        var ended = 0;
        runner.Seen = (_, host) => ended += host.Vector == 3 ? 1 : 0;
        var cases = RunLength.Cases / 4;
        for (var i = 0L; i < cases; i++) generator.Generate(runner.Next(), CaseRandom.SeedOf(RunLength.Seed ^ 0x5e1f, i), mode);
        runner.Flush();
        Assert.True(found == 0, $"{found} of {runner.Compared} cases differ (seed {RunLength.Seed}):\n{report}");
        Assert.True(ended > cases / 2, $"only {ended} of {cases} cases ran to their end");
    }
}
