// What is on a machine's screen, through the real program.
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class ScreenCommandTests : KeptMachines
{
    private async Task StartAsync(byte[] guest, params string[] words)
    {
        await CreateAsync("web", guest, words);
        Expect(0, await RunAsync("start", "web"));
        await PrintedAsync("web", "up");
    }

    [Fact]
    public async Task Text_is_shown_and_a_picture_is_a_PNG_file()
    {
        await StartAsync(Guest.ShowsText, "--machine", "pc");

        var outcome = await RunAsync("screen", "web");
        Expect(0, outcome);
        Assert.Equal(" hello←\n", outcome.Output);

        var file = Folder.File("screen.png");
        Expect(0, await RunAsync("screen", "web", file));
        var bytes = await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken);
        Assert.Equal([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52, 0, 0, 2, 0xd0, 0, 0, 1, 0x90], bytes[..24]);
        Expect(2, await RunAsync("screen", "web", Folder.File("missing/screen.png")), "lamina: *missing/screen.png cannot be written: *");
    }

    [Fact]
    public async Task What_is_waited_for_is_there_or_its_time_is_over()
    {
        await StartAsync(Guest.ShowsText, "--machine", "pc");

        Expect(0, await RunAsync("wait-screen", "web", "--text", "hell"));
        Expect(0, await RunAsync("wait-screen", "web", "--still=100ms", "--timeout", "5m"));
        Expect(124, await RunAsync("wait-screen", "web", "--text", "good bye", "--timeout", "100ms"), "lamina: the screen of web did not show \"good bye\" within 100ms; 'lamina screen web' shows what it shows*");
        Expect(2, await RunAsync("wait-screen", "web"), "lamina: what is to be waited for? say either --text TEXT or --still*");
        Expect(2, await RunAsync("wait-screen", "web", "--text", "a", "--still"), "lamina: what is to be waited for? say either --text TEXT or --still*");
        Expect(2, await RunAsync("wait-screen", "web", "--text", "a", "--timeout", "soon"), "lamina: --timeout is a time, like 500ms, 90s or 5m, and not 'soon'*");
    }

    [Fact]
    public async Task A_wait_ends_with_the_machine()
    {
        await StartAsync(Guest.ShowsText, "--machine", "pc");
        var waits = RunAsync("wait-screen", "web", "--text", "good bye");
        Expect(0, await RunAsync("wait-screen", "web", "--text", "hello"));

        Expect(0, await RunAsync("kill", "web"));

        Expect(2, await waits, "lamina: the machine has ended*");
    }

    [Fact]
    public async Task A_machine_without_a_screen_and_one_whose_screen_is_blank_say_so()
    {
        await StartAsync(Guest.Halts);
        Expect(2, await RunAsync("screen", "web"), "lamina: the machine has no screen; one of the kind pc has (--machine pc)*");
        Expect(2, await RunAsync("wait-screen", "web", "--still"), "lamina: the machine has no screen*");
        Expect(0, await RunAsync("kill", "web"));
        Expect(0, await RunAsync("rm", "web"));

        await StartAsync(Guest.Halts, "--machine", "pc");
        Expect(2, await RunAsync("screen", "web"), "lamina: the screen of web is blank*");
    }
}
