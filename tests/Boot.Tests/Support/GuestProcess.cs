// A guest in a process of its own, which can be killed and made again from a saved machine by the next one. GuestHost is the other end.
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Xunit;

namespace Lamina.Tests.Boot.Support;

internal sealed class GuestProcess : IDisposable
{
    private readonly Process _process;

    private GuestProcess() => _process = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, [GuestHost.Word]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;

    /// <summary>Boots a guest up to its shell's prompt.</summary>
    /// <param name="definition">The machine.</param>
    /// <param name="file">A file for the definition, which is made.</param>
    /// <param name="bash">Whether the shell is bash.</param>
    internal static async Task<GuestProcess> BootAsync(MachineDefinition definition, string file, bool bash)
    {
        await File.WriteAllBytesAsync(file, DefinitionJson.Write(definition));
        return await StartAsync("boot", file, bash ? GuestHost.Bash : "");
    }

    /// <summary>Saves the machine, kills its process where it stands, and goes on in a new one.</summary>
    /// <param name="folder">The saved machine, which is made.</param>
    internal async Task<GuestProcess> MoveAsync(string folder)
    {
        var commands = await AskAsync("save", folder);
        Dispose();
        return await StartAsync("restore", folder, commands);
    }

    /// <summary>Sends the machine to a new process while it runs, and ends the old one.</summary>
    /// <param name="socket">A socket between the two, which is made.</param>
    /// <param name="place">What its disks' names end in there.</param>
    /// <returns>The new one, and for how long the guest stood still.</returns>
    internal async Task<(GuestProcess Process, TimeSpan StoodStill)> MigrateAsync(string socket, string place)
    {
        var next = new GuestProcess();
        try
        {
            var arrives = next.AskAsync("receive", socket, place);
            while (!File.Exists(socket) && !arrives.IsCompleted) await Task.Yield();
            var went = (await AskAsync("migrate", socket)).Split(' ');
            await arrives;
            Assert.Equal("True", went[2]);
            await next.AskAsync("commands", went[0]);
            Dispose();
            return (next, TimeSpan.FromMilliseconds(double.Parse(went[1], CultureInfo.InvariantCulture)));
        }
        catch
        {
            next.Dispose();
            throw;
        }
    }

    /// <summary>Types a command, which must exit with 0, and returns what it printed.</summary>
    internal Task<string> DoAsync(string command) => AskAsync("do", command);

    /// <summary>Types a line.</summary>
    internal Task TypeAsync(string line) => AskAsync("type", line);

    /// <summary>Returns when the guest has done so many more requests of its disks.</summary>
    internal Task AdvanceAsync(int requests) => AskAsync("advance", requests.ToString(CultureInfo.InvariantCulture));

    /// <summary>Waits for the machine's end.</summary>
    internal async Task<MachineEnd> EndAsync() => Enum.Parse<MachineEnd>(await AskAsync("end"));

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            _process.WaitForExit();
        }
        _process.Dispose();
    }

    private static async Task<GuestProcess> StartAsync(params string[] words)
    {
        var started = new GuestProcess();
        try
        {
            await started.AskAsync(words);
            return started;
        }
        catch
        {
            started.Dispose();
            throw;
        }
    }

    private async Task<string> AskAsync(params string[] words)
    {
        await _process.StandardInput.WriteLineAsync(JsonSerializer.Serialize(words));
        await _process.StandardInput.FlushAsync();
        var line = await _process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken) ?? throw new InvalidOperationException($"the guest's process ended at \"{words[0]}\"");
        var answer = JsonSerializer.Deserialize<string[]>(line)!;
        Assert.True(answer[0] == GuestHost.Done, answer[1]);
        return answer[1];
    }
}
