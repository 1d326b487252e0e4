// Images of the x87 and vector state, on the host CPU and in the engine.
using Lamina.Tests.Engine.Conformance.Cases;
using Lamina.Tests.Engine.Conformance.Guest;
using Xunit;

namespace Lamina.Tests.Engine.Conformance;

public sealed class StateImageTests
{
    [Theory]
    [MemberData(nameof(RandomCaseTests.Runs), MemberType = typeof(RandomCaseTests))]
    public void Saved_and_restored_state_agrees_with_the_host_cpu(string profileName, string modeName)
    {
        var mode = Enum.Parse<CodeMode>(modeName);
        var profile = GuestProfile.All.First(candidate => candidate.Name == profileName);
        using var run = new CaseRun(profile);
        var generator = new StateImageGenerator(run.Components, profile.Model.InstructionSet);
        var cases = profile.Cases / 4;

        run.Do(cases, 0x1a6e, (test, seed, _) => generator.Generate(test, seed, mode));

        // Most cases use VEX somewhere, which real mode does not know.
        Assert.True(run.Ended > cases / (profile.Mode == GuestMode.Real ? 16 : 2), $"only {run.Ended} of {cases} cases ran to their end");
    }
}
