// Copies of machines that run: each goes on where the first one was, by itself, and so does the first.
using Lamina.Backends.Disk;
using Lamina.Images;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class ForkCommandTests : KeptMachines
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private async Task<string> InAsync(string machine, string script)
    {
        var outcome = await RunAsync("exec", "--wait", "2m", machine, "--", "sh", "-c", script);
        Assert.True(outcome.ExitCode == 0, outcome.Errors);
        return outcome.Output.Trim();
    }

    private async Task<string[]> ForkAsync(params string[] words)
    {
        var outcome = await RunAsync(["fork", .. words]);
        Assert.True(outcome.ExitCode == 0, outcome.Errors);
        return [.. outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Order()];
    }

    [Fact]
    public async Task Copies_of_a_guest_and_their_copies_have_what_it_had_and_an_identity_of_their_own()
    {
        Image image;
        try
        {
            image = await ImageStore.OfUser().FindOrBuildAsync("tiny", new Progress<ImageProgress>(), Token);
        }
        catch (ImageException cannot)
        {
            Assert.Skip($"the image tiny cannot be had here: {cannot.Message}");
            return;
        }
        Expect(0, await RunAsync("create", "web", "--kernel", image.KernelPath, "--initrd", image.InitrdPath!, "--cmdline", image.CommandLine, "--engine", "translator", "--net", "user", "--publish", "127.0.0.1:0:80"));
        Expect(0, await RunAsync("start", "web"));
        var sum = await InAsync("web", "head -c 10000000 /dev/urandom >/tmp/x; (while :; do date >/tmp/beat; sleep 0.1; done) >/dev/null 2>&1 & md5sum </tmp/x");

        Assert.Equal(["web-1", "web-2"], await ForkAsync("--count", "2", "web"));
        Assert.Equal(["grandchild"], await ForkAsync("web-1", "grandchild"));

        string[] all = ["web", "web-1", "web-2", "grandchild"];
        foreach (var machine in all)
        {
            Assert.Equal("running", await StateAsync(machine));
            Assert.Equal(sum, await InAsync(machine, "md5sum </tmp/x"));
            // What runs in it goes on.
            Assert.Equal("", await InAsync(machine, "rm /tmp/beat; while [ ! -s /tmp/beat ]; do sleep 0.1; done"));
            Assert.InRange(long.Parse(await InAsync(machine, "date +%s")), DateTimeOffset.UtcNow.ToUnixTimeSeconds() - 60, DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 1);
            if (machine != "web") Assert.Equal(machine, await InAsync(machine, "hostname"));
            Assert.False(Directory.Exists(Home(machine, "forked")));
        }
        var drawn = await Task.WhenAll(all.Select(machine => InAsync(machine, "head -c 16 /dev/urandom | md5sum")));
        Assert.Equal(all.Length, drawn.Distinct().Count());
        var ports = (await ListAsync()).EnumerateArray().Select(machine => machine.GetProperty("status").GetProperty("published")[0].GetString()).ToList();
        Assert.Equal(all.Length, ports.Distinct().Count());
        // What one writes none of the others sees.
        foreach (var machine in all) await InAsync(machine, $"echo {machine} >/tmp/x");
        foreach (var machine in all) Assert.Equal(machine, await InAsync(machine, "cat /tmp/x"));
        Assert.Empty(Directory.EnumerateDirectories(Home("web", "snapshots")));
    }

    [Fact]
    public async Task Copies_have_a_disk_of_their_own_on_what_stood_on_the_first_ones()
    {
        await CreateWithDiskAsync("web");
        Expect(0, await RunAsync("start", "web"));
        await PrintedAsync("web", "up");

        Assert.Equal(["copy", "other"], await ForkAsync("web", "copy", "other"));

        foreach (var machine in (string[])["web", "copy", "other"])
        {
            Assert.Equal("running", await StateAsync(machine));
            Assert.Equal("layer-1.qcow2", DiskTools.Inspect(Home(machine, "disk.qcow2")).BackingFile);
            Expect(0, await RunAsync("suspend", machine));
            Expect(0, await RunAsync("start", machine));
            Expect(0, await RunAsync("kill", machine));
        }
        // The first one may go, and each of them boots.
        Expect(0, await RunAsync("rm", "web"));
        Expect(0, await RunAsync("start", "copy"));
        await PrintedAsync("copy", "up");
    }

    [Fact]
    public async Task A_suspended_machine_is_forked_too_and_stays_suspended()
    {
        await CreateWithDiskAsync("web");
        Expect(0, await RunAsync("start", "web"));
        await PrintedAsync("web", "up");
        Expect(0, await RunAsync("suspend", "web"));

        Assert.Equal(["web-1"], await ForkAsync("web"));

        Assert.Equal(("suspended", "running"), (await StateAsync("web"), await StateAsync("web-1")));
        Expect(0, await RunAsync("start", "web"));
    }

    [Fact]
    public async Task Wrong_use_is_one_sentence_each()
    {
        await CreateWithDiskAsync("web");
        await CreateAsync("other", Guest.Halts);

        Expect(2, await RunAsync("fork", "web"), "lamina: the machine web does not run; start it first, or copy it as it is with 'lamina clone web NEW'");
        Expect(1, await RunAsync("fork", "web", "other"), "lamina: there is a machine other already*");
        Expect(2, await RunAsync("fork", "web", "Not A Name"), "lamina: 'Not A Name' cannot be a machine's name*");
        Expect(2, await RunAsync("fork", "nope"), "lamina: there is no machine nope*");
        Expect(2, await RunAsync("fork", "--count", "0", "web"), "lamina: --count is 1 to 256*");
        Expect(2, await RunAsync("fork", "--count", "2", "web", "a"), "lamina: names say how many copies*");
        Expect(2, await RunAsync("fork", "web", "a", "a"), "lamina: two copies cannot have one name*");
        Assert.Equal(2, (await ListAsync()).GetArrayLength());
        Assert.Empty(Directory.EnumerateDirectories(Home("web", "snapshots")));
    }
}
