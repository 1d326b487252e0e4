// Random cases on the host CPU and in the engine. A run is its seed and its length: LAMINA_CONFORMANCE_SEED and
// LAMINA_CONFORMANCE_CASES choose others than the short standard one.
using System.Text;
using Lamina.Conformance.Cases;
using Lamina.Conformance.Guest;
using Xunit;

namespace Lamina.Conformance;

public sealed class RandomCaseTests
{
    private const int MaxReported = 25;

    public static TheoryData<string, string> Runs
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var profile in GuestProfile.All)
                foreach (var mode in Enum.GetValues<CodeMode>())
                    if (!profile.Supervisor || mode == CodeMode.Long) data.Add(profile.Name, mode.ToString());
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public void The_engine_agrees_with_the_host_cpu(string profileName, string modeName)
    {
        var profile = GuestProfile.All.First(candidate => candidate.Name == profileName);
        var mode = Enum.Parse<CodeMode>(modeName);
        using var runner = new CaseRunner(profile);
        var generator = new CaseGenerator();
        var report = new StringBuilder();
        var found = 0;
        runner.Found = mismatch =>
        {
            if (found++ < MaxReported) report.AppendLine(mismatch.Text).AppendLine(mismatch.Case);
        };
        for (var i = 0L; i < RunLength.Cases; i++) generator.Generate(runner.Next(), CaseRandom.SeedOf(RunLength.Seed, i), mode);
        runner.Flush();
        Assert.True(found == 0, $"{found} of {runner.Compared} cases differ (seed {RunLength.Seed}):\n{report}");
        Assert.True(runner.Compared > RunLength.Cases / 2, $"only {runner.Compared} of {RunLength.Cases} cases could be compared");
    }
}
