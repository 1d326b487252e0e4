// Random cases on the host CPU and in the engine. A run is its seed and its length: LAMINA_CONFORMANCE_SEED and
// LAMINA_CONFORMANCE_CASES choose others than the short standard one.
using Iced.Intel;
using Lamina.Tests.Engine.Conformance.Cases;
using Lamina.Tests.Engine.Conformance.Guest;
using Xunit;

namespace Lamina.Tests.Engine.Conformance;

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
        using var run = new CaseRun(profile);
        var generator = new CaseGenerator();

        run.Do(profile.Cases, 0, (test, seed, _) => generator.Generate(test, seed, mode));

        // Half of the cases end in faults that real mode does not have, or use what it does not know.
        Assert.True(run.Compared > profile.Cases / (profile.Mode == GuestMode.Real ? 4 : 2), $"only {run.Compared} of {profile.Cases} cases could be compared");
    }

    [Theory]
    [InlineData("Long")]
    [InlineData("Flat32")]
    [InlineData("Based32")]
    [InlineData("Based16")]
    public void Every_instruction_with_a_flipped_bit_agrees_with_the_host_cpu(string modeName)
    {
        var mode = Enum.Parse<CodeMode>(modeName);
        using var run = new CaseRun(GuestProfile.All[0]);
        var generator = new CaseGenerator();
        var codes = CodesOf(mode);

        run.Do(RunLength.Flipped, 0xf11b, (test, seed, number) => generator.Generate(test, seed, mode, codes[number % codes.Length], mutate: true));
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
        using var run = new CaseRun(GuestProfile.All[0]);
        var generator = new CaseGenerator();
        var codes = CodesOf(mode);

        run.Do(codes.Length * casesEach, 0xa11, (test, seed, number) => generator.Generate(test, seed, mode, codes[number / casesEach]));

        Assert.True(run.Compared > 3000, $"only {run.Compared} cases could be compared");
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public void An_operand_over_the_last_address_agrees_with_the_host_cpu(string profileName, string modeName)
    {
        var profile = GuestProfile.All.First(candidate => candidate.Name == profileName);
        var mode = Enum.Parse<CodeMode>(modeName);
        using var run = new CaseRun(profile);
        var generator = new CaseGenerator();
        var codes = CodesOf(mode).Where(InstructionTable.Wraps).ToArray();

        // A prime number: a short run meets all kinds of codes, too.
        run.Do(profile.Cases, 0x3a9, (test, seed, number) => generator.Generate(test, seed, mode, codes[number * 7919 % codes.Length], wraps: true));

        // Real mode knows no VEX, and faults where addresses wrap.
        Assert.True(run.Ended > profile.Cases / (profile.Mode == GuestMode.Real ? 40 : 10), $"only {run.Ended} of {profile.Cases} cases ran to their end");
    }

    private static Code[] CodesOf(CodeMode mode) => [.. InstructionTable.All(mode switch { CodeMode.Long => 64, CodeMode.Based16 => 16, _ => 32 })];
}
