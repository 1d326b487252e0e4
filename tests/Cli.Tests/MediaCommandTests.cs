// Discs of CD drives, changed by "lamina media" while a machine runs whose process may open no files, and kept for its next start.
using System.Text.Json;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class MediaCommandTests : KeptMachines
{
    private string Disc(string name, int sectors)
    {
        var path = Folder.File(name);
        File.WriteAllBytes(path, new byte[sectors * 2048]);
        return path;
    }

    private async Task<string> BytesAsync(string drive)
    {
        using var inspected = JsonDocument.Parse((await RunAsync("inspect", "web")).Output);
        var part = inspected.RootElement.GetProperty("parts").GetProperty("devices").GetProperty(drive);
        return part.GetProperty("medium").GetBoolean() ? part.GetProperty("bytes").ToString() : "none";
    }

    [Fact]
    public async Task A_disc_is_changed_while_the_machine_runs()
    {
        var (first, second) = (Disc("first.iso", 10), Disc("second.iso", 20));
        await CreateAsync("web", Guest.Halts, "--cdrom", first);
        Expect(0, await RunAsync("start", "web"));
        Assert.Equal("20480", await BytesAsync("cdrom0"));

        Assert.Equal("web: in force now: path of cdrom0\n", (await RunAsync("media", "web", second)).Output);
        Assert.Equal("40960", await BytesAsync("cdrom0"));
        Assert.Equal("web: in force now: path of cdrom0\n", (await RunAsync("media", "web", "cdrom0", "--eject")).Output);
        Assert.Equal("none", await BytesAsync("cdrom0"));
        Assert.Equal("web: in force now: path of cdrom0\n", (await RunAsync("set", "web", "--device", $"cdrom0,path={first}")).Output);
        Assert.Equal("20480", await BytesAsync("cdrom0"));

        var refused = await RunAsync("media", "web", Folder.File("missing.iso"));
        Assert.NotEqual(0, refused.ExitCode);
        Assert.Contains("there is no disc image", refused.Errors, StringComparison.Ordinal);
        Assert.Equal("20480", await BytesAsync("cdrom0"));
        Expect(0, await RunAsync("media", "web", second));
        Expect(0, await RunAsync("restart", "--timeout", "0", "web"));
        Assert.Equal("40960", await BytesAsync("cdrom0"));
    }

    [Theory]
    [InlineData("which disc?", "media", "web")]
    [InlineData("no CD drive cdrom3", "media", "web", "cdrom3", "x.iso")]
    [InlineData("leave out it or the disc", "media", "web", "cdrom0", "x.iso", "--eject")]
    public async Task What_cannot_be_meant_is_refused_in_a_sentence(string sentence, params string[] words)
    {
        await CreateAsync("web", Guest.Halts, "--cdrom", "none");

        var refused = await RunAsync(words);

        Assert.NotEqual(0, refused.ExitCode);
        Assert.Contains(sentence, refused.Errors, StringComparison.Ordinal);
    }
}
