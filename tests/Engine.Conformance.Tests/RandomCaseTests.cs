// Random cases on the host CPU and in the engine. A run is its seed and its length: LAMINA_CONFORMANCE_SEED and
// LAMINA_CONFORMANCE_CASES choose others than the short standard one.
using Iced.Intel;
using Lamina.Engines.X86.Decode;
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
        var generator = new CaseGenerator(run.Instructions);

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
        var generator = new CaseGenerator(run.Instructions);
        var codes = CodesOf(run, mode);

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
        var generator = new CaseGenerator(run.Instructions);
        var codes = CodesOf(run, mode);

        run.Do(codes.Length * casesEach, 0xa11, (test, seed, number) => generator.Generate(test, seed, mode, codes[number / casesEach]));

        Assert.True(run.Compared > codes.Length * casesEach * 9 / 10, $"only {run.Compared} of {codes.Length * casesEach} cases could be compared");
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public void An_operand_over_the_last_address_agrees_with_the_host_cpu(string profileName, string modeName)
    {
        var profile = GuestProfile.All.First(candidate => candidate.Name == profileName);
        var mode = Enum.Parse<CodeMode>(modeName);
        using var run = new CaseRun(profile);
        var generator = new CaseGenerator(run.Instructions);
        var codes = CodesOf(run, mode).Where(InstructionTable.Wraps).ToArray();

        // A prime number: a short run meets all kinds of codes, too.
        run.Do(profile.Cases, 0x3a9, (test, seed, number) => generator.Generate(test, seed, mode, codes[number * 7919 % codes.Length], wraps: true));

        // Outside 64-bit mode what goes over the last address faults, but for operands under an opmask; real mode knows none.
        var masks = profile.Mode != GuestMode.Real && (profile.Model.InstructionSet.Offered & Extensions.Avx512F) != 0;
        Assert.True(run.Ended > profile.Cases / (mode == CodeMode.Long || masks ? 10 : 100), $"only {run.Ended} of {profile.Cases} cases ran to their end");
    }

    private static Code[] CodesOf(CaseRun run, CodeMode mode) => [.. run.Instructions.All(mode switch { CodeMode.Long => 64, CodeMode.Based16 => 16, _ => 32 })];
}
