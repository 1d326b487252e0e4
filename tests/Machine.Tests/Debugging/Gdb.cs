// GDB as a user runs it, for the tests that drive it.
using System.Diagnostics;
using Xunit;

namespace Lamina.Tests.Machines.Debugging;

internal static class Gdb
{
    /// <summary>Skips a test where the host has no GDB.</summary>
    internal static void SkipWithout() =>
        Assert.SkipUnless(Environment.GetEnvironmentVariable("PATH")!.Split(':').Any(folder => File.Exists(Path.Combine(folder, "gdb"))), "gdb is not installed");

    /// <summary>Has it carry out commands; gives all it says.</summary>
    internal static async Task<string> RunAsync(IEnumerable<string> commands)
    {
        var cancellation = TestContext.Current.CancellationToken;
        var start = new ProcessStartInfo("gdb", ["-nx", "-batch", .. commands.SelectMany(command => new[] { "-ex", command })])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        using var gdb = Process.Start(start)!;
        gdb.StandardInput.Close();
        var (output, errors) = (gdb.StandardOutput.ReadToEndAsync(cancellation), gdb.StandardError.ReadToEndAsync(cancellation));
        await gdb.WaitForExitAsync(cancellation);
        return await output + await errors;
    }
}
