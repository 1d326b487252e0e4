// Runs of PUSH and POP, on the host CPU and in the engine.
using System.Text;
using Lamina.Conformance.Cases;
using Lamina.Conformance.Guest;
using Xunit;

namespace Lamina.Conformance;

public sealed class StackRunTests
{
    private const int MaxReported = 10;

    public static TheoryData<string> Profiles => [.. GuestProfile.All.Where(profile => profile.Runs(CodeMode.Long)).Select(profile => profile.Name)];

    [Theory]
    [MemberData(nameof(Profiles))]
    public void Runs_of_push_and_pop_agree_with_the_host_cpu(string profileName)
    {
        using var runner = new CaseRunner(GuestProfile.All.First(candidate => candidate.Name == profileName));
        var report = new StringBuilder();
        var found = 0;
        runner.Found = mismatch =>
        {
            if (found++ < MaxReported) report.AppendLine(mismatch.Text).AppendLine(mismatch.Case);
        };
        var ended = 0;
        runner.Seen = (_, host) => ended += host.Vector == 3 ? 1 : 0;
        var cases = RunLength.Cases / 2;
        for (var i = 0L; i < cases; i++) StackRunGenerator.Generate(runner.Next(), CaseRandom.SeedOf(RunLength.Seed ^ 0x57ac, i));
        runner.Flush();
        Assert.True(found == 0, $"{found} of {runner.Compared} cases differ (seed {RunLength.Seed}):\n{report}");
        Assert.True(ended > cases / 3 && ended < cases, $"{ended} of {cases} cases ran to their end");
    }
}
