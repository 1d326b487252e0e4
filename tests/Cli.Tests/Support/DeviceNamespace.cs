// The program in namespaces of its own, where a test changes what the host's devices and networks are without touching the host's.
using Xunit;

namespace Lamina.Tests.Cli.Support;

internal static class DeviceNamespace
{
    internal static async Task SkipWithoutAsync()
    {
        var trial = await HostProcess.RunAsync("unshare", ["--mount", "--net", "--map-root-user", "mount", "-t", "tmpfs", "none", "/dev"]);
        Assert.SkipUnless(trial.ExitCode == 0, $"this host makes no mount and network namespaces: {trial.Errors}");
    }

    /// <summary>Runs a guest that ends at once with 33, after a command of the shell that changes what is there.</summary>
    internal static Task<Outcome> RunAsync(TemporaryFolder folder, string change, params string[] words) => HostProcess.RunAsync("unshare",
        ["--mount", "--net", "--map-root-user", "sh", "-c", $"{change} && exec \"$@\"", "sh", LaminaProgram.File, "run", "--kernel", Guest.In(folder, Guest.Writes(0xf4, 0x10)), "--debug-exit", "0xf4", .. words]);
}
