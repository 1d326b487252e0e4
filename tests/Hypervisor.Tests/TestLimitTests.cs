// A test that waits for what does not come, in a process that is looked at.
using System.Diagnostics;
using Xunit;

namespace Lamina.Tests.Hypervisor;

public sealed class TestLimitTests
{
    // How the test stands still in that process.
    private const string Variable = "LAMINA_TEST_STANDS_STILL";

    [Fact]
    public async Task A_test_that_stands_still_fails_by_its_name()
    {
        switch (Environment.GetEnvironmentVariable(Variable))
        {
            case "by its token":
                await Task.Delay(Timeout.Infinite, TestContext.Current.CancellationToken);
                break;
            case "for good":
                Thread.Sleep(Timeout.Infinite);
                break;
            default:
                Assert.Matches(@"A_test_that_stands_still_fails_by_its_name \[FAIL\](?s:.*)It has not ended for 00:00:01 and is cancelled(?s:.*)Failed: 1", await RunAsync("by its token", "1 600"));
                Assert.Matches(@"A_test_that_stands_still_fails_by_its_name \[FAIL\]\n *It has not ended for 00:00:02, though it was cancelled; the program ends", await RunAsync("for good", "1 1"));
                break;
        }
    }

    private static async Task<string> RunAsync(string how, string limit)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, ["-noLogo", "-noColor", "-method", $"*.{nameof(A_test_that_stands_still_fails_by_its_name)}"]) { RedirectStandardOutput = true };
        (start.Environment[Variable], start.Environment[TestLimitAttribute.Variable]) = (how, limit);
        start.Environment.Remove("LAMINA_TEST_ALL");
        start.Environment.Remove("LAMINA_FUZZ_CASES");
        using var process = Process.Start(start)!;
        try
        {
            var said = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.Equal(1, process.ExitCode);
            return said;
        }
        finally
        {
            if (!process.HasExited) process.Kill(entireProcessTree: true);
        }
    }
}
