// Machines that are what a file says, by "lamina apply": made, changed, left alone; and what is said where that cannot be.
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class ApplyCommandTests : KeptMachines
{
    [Fact]
    public async Task A_machine_is_made_changed_live_and_for_its_next_start_and_left_alone()
    {
        _ = Guest.In(Folder, Guest.Halts);
        await WriteAsync("""{ "name": "web", "kernel": "guest", "engine": "translator", "memory": "64M", "memory-most": "128M", "devices": [ { "kind": "network" } ] }""");

        Assert.Equal("web: made\n", await ApplyAsync());
        Assert.Equal("web: nothing to do\n", await ApplyAsync());
        Expect(0, await RunAsync("start", "web"));
        await PrintedAsync("web", "up");
        Assert.Equal("web: nothing to do\n", await ApplyAsync());

        await WriteAsync("""
            {
              "name": "web", "kernel": "guest", "engine": "translator", "memory": "96M", "memory-most": "128M",
              "cpus": 2,
              "devices": [ { "kind": "network", "plugged": false } ],
            }
            """);
        Assert.Equal("web: in force now: memory, plugged of network0\nweb: takes effect at the next start: cpus\n", await ApplyAsync());
        Assert.Equal("web: nothing to do\n", await ApplyAsync());
        Expect(0, await RunAsync("kill", "web"));
        await WriteAsync("""{ "name": "web", "kernel": "guest", "engine": "translator" }""");
        Assert.Equal("web: takes effect at the next start: memory, memory-most, cpus, network0 (removed)\n", await ApplyAsync());
        Expect(0, await RunAsync("start", "web"));

        Assert.Equal("two: made\n", (await RunAsync("apply", "--name", "two", Folder.File("web.json"))).Output);
        Assert.Equal("""{"name":"three","made":true,"running":false,"inForce":[],"atNextStart":[]}""", Compact(await RunAsync("apply", "--json", "--name", "three", Folder.File("web.json"))));
        Assert.Equal("""{"name":"three","made":false,"running":false,"inForce":[],"atNextStart":[]}""", Compact(await RunAsync("apply", "--json", "--name", "three", Folder.File("web.json"))));
        Expect(0, await RunAsync("start", "two"));
    }

    [Fact]
    public async Task A_disks_format_is_found_out_once_whatever_its_guest_writes()
    {
        _ = Guest.In(Folder, Guest.Halts);
        Expect(0, await RunAsync("disk", "create", "--format", "raw", Folder.File("data.raw"), "1M"));
        await WriteAsync("""{ "name": "web", "kernel": "guest", "engine": "translator", "devices": [ { "kind": "disk", "path": "data.raw" } ] }""");
        Assert.Equal("web: made\n", await ApplyAsync());
        Expect(0, await RunAsync("disk", "create", "--backing", "/etc/passwd", Folder.File("evil.qcow2")));
        await using (var disk = File.OpenWrite(Folder.File("data.raw"))) await disk.WriteAsync(await File.ReadAllBytesAsync(Folder.File("evil.qcow2"), TestContext.Current.CancellationToken), TestContext.Current.CancellationToken);

        Assert.Equal("web: nothing to do\n", await ApplyAsync());

        Assert.Contains("\"format\": \"raw\"", await File.ReadAllTextAsync(Home("web", "machine.json"), TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{ \"name\": \"web\",\n \"memroy\": \"1G\" }", "line 2: a machine has no property \"memroy\"; did you mean \"memory\"?")]
    [InlineData("{ \"name\": \"web\",\n\n \"devices\": [ { \"kind\": \"disk\", \"colour\": 1 } ] }", "line 3: a disk has no property \"colour\"*")]
    [InlineData("{ \"name\": \"web\"", "line 1: this is no JSON*")]
    [InlineData("{ \"name\": \"a b\" }", "line 1: name: 'a b' cannot be a name*")]
    [InlineData("{ \"name\": \"web\", \"kernel\": \"guest\", \"cpus\": 0 }", "a machine cannot have 0 CPUs; give it at least one")]
    public async Task What_is_wrong_is_told_with_the_file_and_the_line(string text, string sentence)
    {
        await WriteAsync(text);

        Expect(2, await RunAsync("apply", Folder.File("web.json")), $"lamina: {Folder.File("web.json")}, {sentence}");
        Assert.Empty((await ListAsync()).EnumerateArray());
    }

    [Fact]
    public async Task What_cannot_be_applied_is_one_sentence()
    {
        _ = Guest.In(Folder, Guest.Halts);
        await WriteAsync("""{ "kernel": "guest" }""");
        var path = Folder.File("web.json");
        Expect(2, await RunAsync("apply", path), $"lamina: {path} does not say which machine it is; write \"name\": \"web\", or give it a --name");
        Expect(2, await RunAsync("apply", "--name", "a b", path), "lamina: 'a b' cannot be a machine's name*");
        Expect(2, await RunAsync("apply", Folder.File("none.json")), $"lamina: {Folder.File("none.json")} cannot be read: it does not exist; name a file with a machine's definition");
        Expect(2, await RunAsync("apply", Folder.Path), $"lamina: {Folder.Path} cannot be read: it is a folder; name a file with a machine's definition");
        using (var made = System.Diagnostics.Process.Start("mkfifo", [Folder.File("pipe")])) await made.WaitForExitAsync(TestContext.Current.CancellationToken);
        Expect(2, await RunAsync("apply", Folder.File("pipe")), $"lamina: {Folder.File("pipe")} cannot be read: it is a pipe from which nothing came for 10 s; name a file with a machine's definition");
        Expect(2, await RunAsync("import", Folder.File("pipe")), $"lamina: {Folder.File("pipe")} cannot be read: it is a pipe from which nothing came for 10 s; name what 'lamina export' wrote");
        Expect(1, await RunAsync("image", "import", Folder.File("pipe"), "--name", "mine"), $"lamina: {Folder.File("pipe")} is a pipe, which cannot hold a disk; name a file or a block device");
        Expect(2, await RunAsync("apply", "--name", "web", "--disk-size", "4G", path), "lamina: --disk-size is for an image with a disk, such as debian, and not for a kernel of your own");
        Expect(0, await RunAsync("apply", "--name", "web", path));
        Expect(2, await RunAsync("apply", "--name", "web", "--hostname", "x", path), "lamina: --hostname is for a machine that is made, and web is there already");
        await WriteAsync("""{ "image": "debian" }""");
        Expect(2, await RunAsync("apply", "--name", "web", path), $"lamina: the machine web was made of no image, and not of debian, as {path} has it; give it another name, or remove that machine with 'lamina rm web'");
        await WriteAsync("""{ "image": "tiny", "kernel": "guest" }""");
        Expect(2, await RunAsync("apply", "--name", "two", path), $"lamina: {path}: there is either an \"image\" to boot or a \"kernel\"; leave out tiny or {Folder.File("guest")}");
        await WriteAsync("""{ "cpus": 2 }""");
        Expect(2, await RunAsync("apply", "--name", "two", path), $"lamina: {path} does not say what the machine boots; write \"image\": \"debian\", \"kernel\": \"bzImage\" or \"firmware\": \"seabios\"");
    }

    private Task WriteAsync(string text) => File.WriteAllTextAsync(Folder.File("web.json"), text, TestContext.Current.CancellationToken);

    private async Task<string> ApplyAsync()
    {
        var outcome = await RunAsync("apply", Folder.File("web.json"));
        Assert.Equal((0, ""), (outcome.ExitCode, outcome.Errors));
        return outcome.Output;
    }

    private static string Compact(Outcome outcome) => outcome.Output.Replace("\n", "", StringComparison.Ordinal).Replace(" ", "", StringComparison.Ordinal);
}
