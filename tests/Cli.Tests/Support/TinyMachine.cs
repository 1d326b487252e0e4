// One machine of the image "tiny" that is kept and runs, for all tests of a class, through the real program: its folder is the class's own,
// the image is the user's. Tests are skipped, with the builder's reason, where the image cannot be had.
using Lamina.Images;
using Xunit;

namespace Lamina.Tests.Cli.Support;

public sealed class TinyMachine : IAsyncLifetime
{
    private readonly TemporaryFolder _folder = new();
    private string? _reason;

    public const string Name = "web";

    internal Dictionary<string, string?> Environment => new() { ["LAMINA_HOME"] = _folder.File("home") };

    internal string File(string name) => _folder.File(name);

    public async ValueTask InitializeAsync()
    {
        try
        {
            var image = await ImageStore.OfUser().FindOrBuildAsync("tiny", new Progress<ImageProgress>(), CancellationToken.None);
            Succeeds(await LaminaProgram.RunAsync(["create", Name, "--kernel", image.KernelPath, "--initrd", image.InitrdPath!, "--cmdline", image.CommandLine, "--engine", "translator"], Environment));
        }
        catch (ImageException cannot)
        {
            _reason = cannot.Message;
            return;
        }
        Succeeds(await LaminaProgram.RunAsync(["start", Name], Environment));
        Succeeds(await LaminaProgram.RunAsync(["exec", "--wait", "2m", Name, "--", "true"], Environment));
    }

    public async ValueTask DisposeAsync()
    {
        await LaminaProgram.RunAsync(["kill", Name], Environment);
        _folder.Dispose();
    }

    /// <summary>Skips the test where there is no image.</summary>
    internal void Need() => Assert.SkipWhen(_reason is not null, $"the image tiny cannot be had here: {_reason}");

    private static void Succeeds(Outcome outcome) => Assert.True(outcome.ExitCode == 0, outcome.Errors);
}
