// A guest that is reached by ssh at a published port, as its user reaches it, with a key of the test's own.
using System.Text;
using Lamina.Images;
using Xunit;

namespace Lamina.Tests.Boot.Support;

internal sealed class SshGuest(string folder, string user, int port)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(6);

    /// <summary>Makes a key in a folder and returns its path.</summary>
    internal static async Task<string> CreateKeyAsync(string folder)
    {
        Assert.SkipWhen(HostCommand.Find("ssh") is null, "ssh is not installed; apt-get install openssh-client");
        var made = await HostCommand.Find("ssh-keygen")!.RunAsync(["-q", "-t", "ed25519", "-N", "", "-f", "key"], folder, null, TestContext.Current.CancellationToken);
        Assert.Equal(0, made.ExitCode);
        return Path.Combine(folder, "key");
    }

    /// <summary>Runs a command and returns what came of it.</summary>
    internal Task<CommandResult> AskAsync(string command) => HostCommand.Find("ssh")!.RunAsync(
        ["-q", "-i", "key", "-p", $"{port}", "-o", "ConnectTimeout=10", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", $"{user}@127.0.0.1", command],
        folder, null, TestContext.Current.CancellationToken);

    /// <summary>Runs a command, which must exit with 0, and returns what it printed.</summary>
    internal async Task<string> DoAsync(string command)
    {
        var answer = await AskAsync(command);
        var text = new StringBuilder().AppendJoin('\n', answer.Output).ToString();
        Assert.True(answer.ExitCode == 0, $"\"{command}\" exited with {answer.ExitCode}: {text} {string.Join('\n', answer.Errors)}");
        return text;
    }

    /// <summary>Waits until a command exits with 0.</summary>
    internal async Task WaitAsync(string command)
    {
        var started = TimeProvider.System.GetTimestamp();
        while ((await AskAsync(command)).ExitCode != 0)
        {
            Assert.True(TimeProvider.System.GetElapsedTime(started) < Patience, "the guest does not answer by ssh");
            await Task.Delay(TimeSpan.FromMilliseconds(300), TestContext.Current.CancellationToken);
        }
    }
}
