// Tests that do the same hundreds of times say how far they are, to whoever runs them with -diagnostics.
using Xunit;

namespace Lamina.Tests.Boot.Support;

internal static class LongRun
{
    private const int Every = 50;

    /// <summary>Says how far a test is, now and then.</summary>
    internal static void Tell(int done, int all, string what)
    {
        if (done % Every == 0) TestContext.Current.SendDiagnosticMessage("{0} of {1} {2}", done, all, what);
    }
}
