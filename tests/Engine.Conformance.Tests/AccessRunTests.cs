// Runs of PUSH and POP, and groups of accesses by the same register, on the host CPU and in the engine.
using Lamina.Tests.Engine.Conformance.Cases;
using Lamina.Tests.Engine.Conformance.Guest;
using Xunit;

namespace Lamina.Tests.Engine.Conformance;

public sealed class AccessRunTests
{
    public static TheoryData<string> Profiles => [.. GuestProfile.All.Where(profile => profile.Runs(CodeMode.Long)).Select(profile => profile.Name)];

    [Theory]
    [MemberData(nameof(Profiles))]
    public void Runs_of_push_and_pop_agree_with_the_host_cpu(string profileName)
    {
        var profile = GuestProfile.All.First(candidate => candidate.Name == profileName);
        using var run = new CaseRun(profile);
        var cases = profile.Cases / 2;

        run.Do(cases, 0x57ac, (test, seed, _) => StackRunGenerator.Generate(test, seed));

        Assert.True(run.Ended > cases / 3 && run.Ended < cases, $"{run.Ended} of {cases} cases ran to their end");
    }

    [Theory]
    [MemberData(nameof(Profiles))]
    public void Groups_of_accesses_by_one_register_agree_with_the_host_cpu(string profileName)
    {
        var profile = GuestProfile.All.First(candidate => candidate.Name == profileName);
        using var run = new CaseRun(profile);
        var cases = profile.Cases;

        run.Do(cases, 0x6309, (test, seed, _) => AccessGroupGenerator.Generate(test, seed));

        Assert.True(run.Ended > cases / 5 && run.Ended < cases, $"{run.Ended} of {cases} cases ran to their end");
    }
}
