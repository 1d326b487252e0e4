// Runs of PUSH and POP, on the host CPU and in the engine.
using Lamina.Conformance.Cases;
using Lamina.Conformance.Guest;
using Xunit;

namespace Lamina.Conformance;

public sealed class StackRunTests
{
    public static TheoryData<string> Profiles => [.. GuestProfile.All.Where(profile => profile.Runs(CodeMode.Long)).Select(profile => profile.Name)];

    [Theory]
    [MemberData(nameof(Profiles))]
    public void Runs_of_push_and_pop_agree_with_the_host_cpu(string profileName)
    {
        using var run = new CaseRun(GuestProfile.All.First(candidate => candidate.Name == profileName));
        var cases = RunLength.Cases / 2;

        run.Do(cases, 0x57ac, (test, seed, _) => StackRunGenerator.Generate(test, seed));

        Assert.True(run.Ended > cases / 3 && run.Ended < cases, $"{run.Ended} of {cases} cases ran to their end");
    }
}
