// Calls and returns, on the host CPU and in the engine.
using Lamina.Tests.Engine.Conformance.Cases;
using Lamina.Tests.Engine.Conformance.Guest;
using Xunit;

namespace Lamina.Tests.Engine.Conformance;

public sealed class CallTests
{
    public static TheoryData<string, string> Runs
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var profile in GuestProfile.All)
                foreach (var mode in (CodeMode[])[CodeMode.Long, CodeMode.Flat32])
                    if (profile.Runs(mode)) data.Add(profile.Name, mode.ToString());
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public void Calls_and_returns_agree_with_the_host_cpu(string profileName, string modeName)
    {
        var profile = GuestProfile.All.First(candidate => candidate.Name == profileName);
        using var run = new CaseRun(profile);
        var mode = Enum.Parse<CodeMode>(modeName);
        var cases = profile.Cases / 2;

        run.Do(cases, 0xca11, (test, seed, _) => CallGenerator.Generate(test, seed, mode));

        Assert.True(run.Ended > cases / 2, $"only {run.Ended} of {cases} cases ran to their end");
    }
}
