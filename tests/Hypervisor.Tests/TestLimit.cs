// How long a test may take: longer than any does on a busy host. One that stands still fails by its name: what it waits for by its own token is cancelled; where that does not end it, the program ends, and says
// which test it was.
using System.Collections.Concurrent;
using System.Globalization;
using System.Reflection;
using Xunit;
using Xunit.v3;

[assembly: Lamina.Tests.Hypervisor.TestLimit]

namespace Lamina.Tests.Hypervisor;

/// <summary>Bounds each test of the project.</summary>
[AttributeUsage(AttributeTargets.Assembly)]
public sealed class TestLimitAttribute : BeforeAfterTestAttribute
{
    /// <summary>Two numbers of seconds in place of the usual ones.</summary>
    internal const string Variable = "LAMINA_TEST_LIMIT";

    // Those that change things at random take as long as they are told to.
    private static readonly bool s_isBounded = Environment.GetEnvironmentVariable("LAMINA_FUZZ_CASES") is null && Environment.GetEnvironmentVariable("LAMINA_TEST_ALL") != "1";

    private static readonly (TimeSpan Limit, TimeSpan Grace) s_times = Environment.GetEnvironmentVariable(Variable)?.Split(' ') is [var limit, var grace]
        ? (TimeSpan.FromSeconds(double.Parse(limit, CultureInfo.InvariantCulture)), TimeSpan.FromSeconds(double.Parse(grace, CultureInfo.InvariantCulture)))
        : (TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(2));

    private readonly ConcurrentDictionary<string, Timer> _running = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public override void Before(MethodInfo methodUnderTest, IXunitTest test)
    {
        if (!s_isBounded) return;
        var (context, isCancelled) = (TestContext.Current, false);
        _running[test.UniqueID] = new Timer(
            _ =>
            {
                if (isCancelled)
                {
                    Console.WriteLine($"    {test.TestDisplayName} [FAIL]\n      It has not ended for {s_times.Limit + s_times.Grace}, though it was cancelled; the program ends with it.");
                    Environment.Exit(1);
                }
                isCancelled = true;
                context.TestOutputHelper?.WriteLine($"It has not ended for {s_times.Limit} and is cancelled.");
                context.CancelCurrentTest();
            },
            null, s_times.Limit, s_times.Grace);
    }

    /// <inheritdoc/>
    public override void After(MethodInfo methodUnderTest, IXunitTest test)
    {
        if (_running.TryRemove(test.UniqueID, out var timer)) timer.Dispose();
    }
}
