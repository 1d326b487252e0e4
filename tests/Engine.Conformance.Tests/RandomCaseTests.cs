// Random cases on the host CPU and in the engine. A run is its seed and its length: LAMINA_CONFORMANCE_SEED and
// LAMINA_CONFORMANCE_CASES choose others than the short standard one.
using System.Text;
using Iced.Intel;
using Lamina.Conformance.Cases;
using Lamina.Conformance.Guest;
using Xunit;

namespace Lamina.Conformance;

public sealed class RandomCaseTests
{
    public static TheoryData<string, string> Runs
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var profile in GuestProfile.All)
                foreach (var mode in Enum.GetValues<CodeMode>())
                    if (profile.Runs(mode) && RunLength.Includes($"{profile.Name}/{mode}")) data.Add(profile.Name, mode.ToString());
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
            if (found++ < RunLength.Reported) report.AppendLine(mismatch.Text).AppendLine(mismatch.Case);
        };
        for (var i = 0L; i < RunLength.Cases; i++) generator.Generate(runner.Next(), CaseRandom.SeedOf(RunLength.Seed, i), mode);
        runner.Flush();
        Assert.True(found == 0, $"{found} of {runner.Compared} cases differ (seed {RunLength.Seed}):\n{report}");
        // Half of the cases end in faults that real mode does not have, or use what it does not know.
        Assert.True(runner.Compared > RunLength.Cases / (profile.Mode == GuestMode.Real ? 4 : 2), $"only {runner.Compared} of {RunLength.Cases} cases could be compared");
    }

    [Theory]
    [InlineData("Long")]
    [InlineData("Flat32")]
    [InlineData("Based32")]
    [InlineData("Based16")]
    public void Every_instruction_with_a_flipped_bit_agrees_with_the_host_cpu(string modeName)
    {
        var mode = Enum.Parse<CodeMode>(modeName);
        using var runner = new CaseRunner(GuestProfile.All[0]);
        var generator = new CaseGenerator();
        var report = new StringBuilder();
        var found = 0;
        runner.Found = mismatch =>
        {
            if (found++ < RunLength.Reported) report.AppendLine(mismatch.Text).AppendLine(mismatch.Case);
        };
        Code[] codes = [.. InstructionTable.All(mode switch { CodeMode.Long => 64, CodeMode.Based16 => 16, _ => 32 })];
        for (var i = 0L; i < RunLength.Flipped; i++) generator.Generate(runner.Next(), CaseRandom.SeedOf(RunLength.Seed ^ 0xf11b, i), mode, codes[i % codes.Length], mutate: true);
        runner.Flush();
        Assert.True(found == 0, $"{found} of {runner.Compared} cases differ (seed {RunLength.Seed}):\n{report}");
    }

    [Theory]
    [InlineData("Long")]
    [InlineData("Flat32")]
    [InlineData("Based32")]
    [InlineData("Based16")]
    public void Every_instruction_agrees_with_the_host_cpu(string modeName)
    {
        const int casesEach = 2;
        var mode = Enum.Parse<CodeMode>(modeName);
        using var runner = new CaseRunner(GuestProfile.All[0]);
        var generator = new CaseGenerator();
        var report = new StringBuilder();
        runner.Found = mismatch => report.AppendLine(mismatch.Text).AppendLine(mismatch.Case);
        var index = 0L;
        foreach (var code in InstructionTable.All(mode switch { CodeMode.Long => 64, CodeMode.Based16 => 16, _ => 32 }))
            for (var i = 0; i < casesEach; i++) generator.Generate(runner.Next(), CaseRandom.SeedOf(RunLength.Seed ^ 0xa11, index++), mode, code);
        runner.Flush();
        Assert.True(report.Length == 0, $"seed {RunLength.Seed}:\n{report}");
        Assert.True(runner.Compared > 3000, $"only {runner.Compared} cases could be compared");
    }
}
