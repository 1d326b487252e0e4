// Two stores of machines, as two hosts or two users have them, between which machines go.
using Lamina.Images;
using Xunit;

namespace Lamina.Tests.Cli.Support;

public abstract class TwoStores : KeptMachines
{
    private protected static CancellationToken Token => TestContext.Current.CancellationToken;

    // Another user's, or another host's.
    private protected Dictionary<string, string?> There => new() { ["LAMINA_HOME"] = Folder.File("there") };

    private protected string ThereHome(string name, params string[] file) => Path.Combine([Folder.Path, "there", "machines", name, .. file]);

    private protected Task<Outcome> RunThereAsync(params string[] words) => LaminaProgram.RunAsync(words, There);

    private protected async Task StartTinyWithDiskAsync(string name, params string[] words)
    {
        Expect(0, await RunAsync(["create", name, .. await TinyImage.WordsAsync(), "--engine", "translator", "--memory", "128M", .. words.Contains("--net") ? words : [.. words, "--net", "user"]]));
        // As a machine of an image with a disk has it.
        Expect(0, await RunAsync("disk", "create", Home(name, "base.qcow2"), "16M"));
        Expect(0, await RunAsync("disk", "create", "--backing", "base.qcow2", Home(name, "disk.qcow2")));
        Expect(0, await RunAsync("start", name));
    }

    private protected Task<HostProcess> ReceiveAsync(string socket, params string[] words) => ReceiveAsync(There, socket, words);

    // Ready when its socket is there.
    private protected static async Task<HostProcess> ReceiveAsync(Dictionary<string, string?> store, string socket, params string[] words)
    {
        var receiver = HostProcess.Start(LaminaProgram.File, ["receive", $"unix:{socket}", .. words], store);
        while (!File.Exists(socket))
        {
            Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
        return receiver;
    }

    private protected async Task ClearThereAsync()
    {
        if (!Directory.Exists(ThereHome("."))) return;
        foreach (var folder in Directory.EnumerateDirectories(ThereHome("."))) await RunThereAsync("kill", Path.GetFileName(folder));
    }
}
