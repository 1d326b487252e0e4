// Machines that are written down in the middle of what they do, and go on there at their next start, through the real program.
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class SuspendCommandTests : KeptMachines
{
    [Fact]
    public async Task A_suspended_machine_goes_on_where_it_was_under_another_name_too()
    {
        await CreateAsync("web", Guest.Halts);
        Expect(0, await RunAsync("start", "web"));
        await PrintedAsync("web", "up");

        Expect(0, await RunAsync("suspend", "web"));

        Assert.Equal("suspended", await StateAsync("web"));
        Assert.Contains("it was suspended at ", (await RunAsync("ps", "-a", "--json")).Output, StringComparison.Ordinal);
        Expect(0, await RunAsync("rename", "web", "old"));
        Expect(0, await RunAsync("start", "old"));
        Assert.Equal("running", await StateAsync("old"));
        Assert.False(Directory.Exists(Home("old", "run", "suspended")));
        Expect(0, await RunAsync("suspend", "old"));
        Expect(0, await RunAsync("start", "old"));
        Expect(0, await RunAsync("kill", "old"));
        // It began once.
        Assert.Equal("up\n", await PrintedByAsync("old"));
    }

    [Fact]
    public async Task With_cold_it_begins_anew()
    {
        await CreateAsync("web", Guest.Halts);
        Expect(0, await RunAsync("start", "web"));
        await PrintedAsync("web", "up");
        Expect(0, await RunAsync("suspend", "web"));

        Expect(0, await RunAsync("start", "--cold", "web"));
        while (await PrintedByAsync("web") != "up\nup\n") TestContext.Current.CancellationToken.ThrowIfCancellationRequested();

        Expect(1, await RunAsync("start", "--cold", "web"), "lamina: the machine web is running already*");
    }

    [Fact]
    public async Task What_does_not_fit_a_suspended_machine_any_more_is_one_sentence_and_nothing_is_lost()
    {
        await CreateWithDiskAsync("web");
        Expect(0, await RunAsync("start", "web"));
        await PrintedAsync("web", "up");
        Expect(0, await RunAsync("suspend", "web"));

        Expect(2, await RunAsync("clone", "web", "copy"), "lamina: the machine web is suspended in the middle of what it does*then clone it");
        Expect(2, await RunAsync("export", "web", Folder.File("web.lamina")), "lamina: the machine web is suspended*then export it");
        var disk = Home("web", "disk.qcow2");
        var written = File.GetLastWriteTimeUtc(disk);
        // Later, and as a copy from before would be.
        foreach (var seconds in (int[])[1, -1])
        {
            File.SetLastWriteTimeUtc(disk, written + TimeSpan.FromSeconds(seconds));
            Expect(2, await RunAsync("start", "web"), $"lamina: the disk {disk} was written since the machine web was suspended*'lamina start --cold web'*");
        }
        File.SetLastWriteTimeUtc(disk, written);
        var state = Home("web", "run", "suspended", "state");
        var whole = await File.ReadAllBytesAsync(state, TestContext.Current.CancellationToken);
        await File.WriteAllBytesAsync(state, whole[..^1], TestContext.Current.CancellationToken);
        Expect(2, await RunAsync("start", "web"), "lamina: the saved machine cannot be used: *state is damaged*");
        await File.WriteAllBytesAsync(state, whole, TestContext.Current.CancellationToken);
        Assert.Equal("suspended", await StateAsync("web"));

        Expect(0, await RunAsync("start", "web"));
        Expect(0, await RunAsync("kill", "web"));
        Assert.Equal("up\n", await PrintedByAsync("web"));
    }

    [Fact]
    public async Task What_a_killed_process_left_of_a_suspension_is_no_state()
    {
        await CreateAsync("web", Guest.Halts);
        Directory.CreateDirectory(Home("web", "run", "suspended"));
        Directory.CreateDirectory(Home("web", "run", "suspended.new"));

        Assert.Equal("new", await StateAsync("web"));
        Expect(2, await RunAsync("suspend", "web"), "lamina: the machine web is not running*");
        Expect(0, await RunAsync("start", "web"));
        await PrintedAsync("web", "up");
        Assert.False(Directory.Exists(Home("web", "run", "suspended")));
        Expect(0, await RunAsync("suspend", "web"));
        Assert.Equal("suspended", await StateAsync("web"));
    }

    private async Task<string> PrintedByAsync(string name) => (await RunAsync("logs", name)).Output.Replace("\r", "", StringComparison.Ordinal);
}
