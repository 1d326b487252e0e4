// "lamina run --display text" at a terminal, through the real program.
using System.Diagnostics;
using System.Text;
using Lamina.Host.Io;
using Lamina.Host.Terminals;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli.TextScreens;

public sealed class TextDisplayTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly PseudoTerminal _pair = PseudoTerminal.Create();
    private string _seen = "";

    public void Dispose()
    {
        _pair.Dispose();
        _folder.Dispose();
    }

    private Process Start(byte[] guest)
    {
        _pair.Resize(80, 25);
        var start = new ProcessStartInfo("/bin/sh", ["-c", $"exec '{LaminaProgram.File}' run --machine pc --engine translator --kernel '{Guest.In(_folder, guest)}' --display text <{_pair.Path} >{_pair.Path} 2>'{_folder.File("errors")}'"]);
        start.Environment["LAMINA_HOME"] = _folder.File("home");
        return Process.Start(start)!;
    }

    // Where nothing comes, it is typed again: a guest that has not turned its keyboard on yet hears nothing.
    private void See(string text, string? typed = null)
    {
        var buffer = new byte[4096];
        while (!_seen.Contains(text, StringComparison.Ordinal))
        {
            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
            if (HostIo.Wait((_pair.Controller, HostPoll.Readable), (-1, HostPoll.None), 100).First != HostPoll.None) _seen += Encoding.UTF8.GetString(buffer, 0, Math.Max(0, HostIo.Read(_pair.Controller, buffer)));
            else if (typed is not null) Type(typed);
        }
        _seen = _seen[(_seen.IndexOf(text, StringComparison.Ordinal) + text.Length)..];
    }

    private void Type(string keys) => HostIo.Write(_pair.Controller, Encoding.UTF8.GetBytes(keys));

    [Fact]
    public async Task Keys_reach_the_guest_and_what_it_shows_the_terminal_which_is_put_back()
    {
        using var program = Start(Guest.ShowsKeys);
        See("\e[?1049h");
        See("▲", "a");
        See("40mH", "\e[A");
        Type("\u0001h");
        See("Ctrl-A X ends the machine");
        Type("\u0001x");
        See("\e[?1049l");
        await program.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(130, program.ExitCode);
        using var stty = Process.Start(new ProcessStartInfo("stty", ["-F", _pair.Path, "-a"]) { RedirectStandardOutput = true })!;
        Assert.Contains(" icanon", await stty.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_cannot_be_is_one_sentence()
    {
        var kernel = Guest.In(_folder, Guest.Halts);
        foreach (var (words, why) in ((string[], string)[])
        [
            (["--machine", "pc", "--display", "text"], "lamina: --display text shows the screen in a terminal, and there is none here*"),
            (["--machine", "pc", "--display", "text=xy"], "lamina: --display: there is no keyboard layout 'xy'; there are us, gb, de, fr*"),
            (["--machine", "pc", "--display", "text", "--serial", "stdio"], "lamina: this terminal shows the screen (--display text)*"),
            (["--display", "text"], "lamina: a display is of a machine of the kind pc; add --machine pc*"),
            (["--machine", "pc", "--display", "texts"], "lamina: *'texts' is no place for a screen*"),
        ])
        {
            var outcome = await LaminaProgram.RunAsync(["run", "--kernel", kernel, .. words], new Dictionary<string, string?> { ["LAMINA_HOME"] = _folder.File("home") });
            Assert.Equal(2, outcome.ExitCode);
            Assert.Contains(why.Trim('*').Split('*')[^1], outcome.Errors, StringComparison.Ordinal);
        }
    }
}
