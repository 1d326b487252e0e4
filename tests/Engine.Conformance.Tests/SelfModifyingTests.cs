// Code that changes itself, on the host CPU and in the engine.
using Lamina.Tests.Engine.Conformance.Cases;
using Lamina.Tests.Engine.Conformance.Guest;
using Xunit;

namespace Lamina.Tests.Engine.Conformance;

public sealed class SelfModifyingTests
{
    [Theory]
    [MemberData(nameof(RandomCaseTests.Runs), MemberType = typeof(RandomCaseTests))]
    public void Stores_into_code_take_effect_at_once(string profileName, string modeName)
    {
        var mode = Enum.Parse<CodeMode>(modeName);
        var profile = GuestProfile.All.First(candidate => candidate.Name == profileName);
        using var run = new CaseRun(profile);
        var generator = new SelfModifyingGenerator { MayReadFlags = profile.Settings.Precise };
        var cases = profile.Cases / 4;

        run.Do(cases, 0x5e1f, (test, seed, _) => generator.Generate(test, seed, mode));

        Assert.True(run.Ended > cases / 2, $"only {run.Ended} of {cases} cases ran to their end");
    }
}
