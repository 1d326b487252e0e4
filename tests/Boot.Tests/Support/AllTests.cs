// Tests that take long or fetch more than the rest are run on request only.
using Xunit;

namespace Lamina.Tests.Boot.Support;

internal static class AllTests
{
    private const string Variable = "LAMINA_TEST_ALL";

    /// <summary>Whether everything was asked for.</summary>
    internal static bool AreAsked => Environment.GetEnvironmentVariable(Variable) == "1";

    /// <summary>Skips the test unless everything was asked for.</summary>
    internal static void SkipUnlessAsked(string why) => Assert.SkipUnless(AreAsked, WhyNot(why));

    /// <summary>What a test says that was not asked for.</summary>
    internal static string WhyNot(string why) => $"{why}; ./test --all runs it ({Variable}=1)";
}
