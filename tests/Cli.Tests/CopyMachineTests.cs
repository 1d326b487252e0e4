// Machines made of others, through the real program: they run beside one another on what they share, locked.
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class CopyMachineTests : KeptMachines
{
    [Fact]
    public async Task A_machine_and_its_clones_run_at_once_on_what_they_share()
    {
        await CreateWithDiskAsync("web");
        Expect(0, await RunAsync("start", "web"));
        Expect(1, await RunAsync("clone", "web", "two"), "lamina: the machine web is running, and its disk changes meanwhile; stop it first ('lamina stop web'), then clone it");
        Expect(0, await RunAsync("kill", "web"));
        // What a guest would have written.
        Expect(0, await RunAsync("disk", "resize", "--backing", Home("web", "base.qcow2"), Home("web", "disk.qcow2"), "32M"));

        var outcome = await RunAsync("clone", "web", "two");

        Assert.Equal((0, "two\n", ""), (outcome.ExitCode, outcome.Output, outcome.Errors));
        Expect(0, await RunAsync("clone", "two", "three"));
        Expect(1, await RunAsync("clone", "web", "three"), "lamina: there is a machine three already; choose another name, or remove that one with 'lamina rm three'");
        Expect(2, await RunAsync("clone", "wab", "four"), "lamina: there is no machine wab; did you mean web?");
        Expect(2, await RunAsync("clone", "web", "a b"), "lamina: 'a b' cannot be a machine's name; use lower-case letters, digits and hyphens, up to 63");
        Expect(0, await RunAsync("start", "web", "two", "three"));
        foreach (var name in (string[])["web", "two", "three"]) await PrintedAsync(name, "up");
        Expect(0, await RunAsync("rm", "--force", "web"));
        Expect(0, await RunAsync("restart", "--timeout", "0", "two"));
        Assert.Equal("running", await StateAsync("three"));
    }

    [Fact]
    public async Task A_disk_that_is_made_at_the_next_start_is_an_empty_one_of_the_copys()
    {
        await CreateAsync("web", Guest.Halts, "--disk", $"{Folder.File("data.img")},size=1M");

        Expect(0, await RunAsync("clone", "web", "two"));
        Expect(0, await RunAsync("export", "web", Folder.File("web.tar.gz")));
        Expect(0, await RunAsync("import", Folder.File("web.tar.gz"), "three"));

        Assert.False(File.Exists(Folder.File("data.img")));
        Expect(0, await RunAsync("start", "web", "two", "three"));
        Assert.Equal(1 << 20, new FileInfo(Folder.File("data.img")).Length);
        foreach (var name in (string[])["web", "two", "three"]) await PrintedAsync(name, "up");
    }

    [Fact]
    public async Task Ports_that_both_have_are_said()
    {
        await CreateAsync("web", Guest.Halts, "--publish", "8080:80");

        var outcome = await RunAsync("clone", "web", "two");

        Assert.Equal((0, "two\n", "lamina: two publishes 127.0.0.1:8080 as web does, and one of them can run at a time; 'lamina set two --unpublish 127.0.0.1:8080 --publish …' gives it another\n"), (outcome.ExitCode, outcome.Output, outcome.Errors));
        Expect(0, await RunAsync("set", "two", "--unpublish", "127.0.0.1:8080", "--publish", "0:80"));
        Expect(0, await RunAsync("start", "two"));
    }

    [Fact]
    public async Task A_machine_is_carried_by_a_file_and_by_a_pipe()
    {
        await CreateWithDiskAsync("web");

        var exported = await RunAsync("export", "web", Folder.File("web.tar.gz"));
        Assert.Equal((0, Folder.File("web.tar.gz") + "\n", ""), (exported.ExitCode, exported.Output, exported.Errors));
        Assert.Equal("two\n", (await RunAsync("import", Folder.File("web.tar.gz"), "two")).Output);
        var piped = await HostProcess.RunAsync("sh", ["-c", "\"$1\" export web - | \"$1\" import - three", "sh", LaminaProgram.File], Environment);
        Assert.Equal((0, "three\n", ""), (piped.ExitCode, piped.Output, piped.Errors));
        Expect(0, await RunAsync("start", "two", "three"));
        await PrintedAsync("three", "up");

        Expect(1, await RunAsync("import", Folder.File("web.tar.gz")), "lamina: there is a machine web already; choose another name, or remove that one with 'lamina rm web'");
        Expect(2, await RunAsync("import", Folder.File("guest"), "four"), "lamina: this is no whole exported machine: it is cut, or no archive of a machine at all");
        Expect(2, await RunAsync("import", Folder.File("none"), "four"), $"lamina: {Folder.File("none")} cannot be read: it does not exist; name what 'lamina export' wrote");
        Expect(2, await RunAsync("import", Folder.File("web.tar.gz"), "a b"), "lamina: 'a b' cannot be a machine's name*");
        Expect(2, await RunAsync("export", "web", Folder.File("web.tar.gz")), $"lamina: {Folder.File("web.tar.gz")} exists already; remove it, or choose another name");
        Expect(2, await RunAsync("export", "web", Folder.File("no/web.tar.gz")), $"lamina: the folder {Folder.File("no")} does not exist; make it, or choose another name");
        Expect(1, await RunAsync("export", "two", Folder.File("two.tar.gz")), "lamina: the machine two is running, and its disk changes meanwhile; stop it first ('lamina stop two'), then export it");
        Assert.Empty(Directory.EnumerateDirectories(Folder.Path, ".lamina-export-*"));
        Assert.Equal(["three", "two", "web"], (await ListAsync()).EnumerateArray().Select(machine => machine.GetProperty("name").GetString()));
    }
}
