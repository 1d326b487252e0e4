// Images of the x87 and vector state, on the host CPU and in the engine.
using System.Text;
using Lamina.Conformance.Cases;
using Lamina.Conformance.Guest;
using Xunit;

namespace Lamina.Conformance;

public sealed class StateImageTests
{
    [Theory]
    [MemberData(nameof(RandomCaseTests.Runs), MemberType = typeof(RandomCaseTests))]
    public void Saved_and_restored_state_agrees_with_the_host_cpu(string profileName, string modeName)
    {
        var mode = Enum.Parse<CodeMode>(modeName);
        var profile = GuestProfile.All.First(candidate => candidate.Name == profileName);
        using var runner = new CaseRunner(profile);
        var generator = new StateImageGenerator(runner.Components);
        var report = new StringBuilder();
        var found = 0;
        runner.Found = mismatch =>
        {
            if (found++ < RunLength.Reported) report.AppendLine(mismatch.Text).AppendLine(mismatch.Case);
        };
        var ended = 0;
        runner.Seen = (_, host) => ended += host.Vector == 3 ? 1 : 0;
        var cases = RunLength.Cases / 4;
        for (var i = 0L; i < cases; i++) generator.Generate(runner.Next(), CaseRandom.SeedOf(RunLength.Seed ^ 0x1a6e, i), mode);
        runner.Flush();
        Assert.True(found == 0, $"{found} of {runner.Compared} cases differ (seed {RunLength.Seed}):\n{report}");
        // Most cases use VEX somewhere, which real mode does not know.
        Assert.True(ended > cases / (profile.Mode == GuestMode.Real ? 16 : 2), $"only {ended} of {cases} cases ran to their end");
    }
}
