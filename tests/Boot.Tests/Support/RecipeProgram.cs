// Programs that recipes of test images run: with output kept for the sentence that says why one failed.
using Lamina.Images;

namespace Lamina.Tests.Boot.Support;

internal static class RecipeProgram
{
    /// <summary>Runs a program to its end.</summary>
    /// <exception cref="ImageException">It is not there, or fails.</exception>
    internal static async Task RunAsync(string name, string folder, string[] arguments, CancellationToken cancellationToken)
    {
        var program = HostCommand.Find(name, "/usr/sbin", "/sbin") ?? throw new ImageException($"{name} is not installed on this host");
        var result = await program.RunAsync(arguments, folder, null, cancellationToken);
        if (result.ExitCode != 0) throw new ImageException($"{name} failed: {string.Join("; ", result.Errors)}");
    }
}
