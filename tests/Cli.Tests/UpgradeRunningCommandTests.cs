// lamina upgrade-running: a machine that runs goes on in a new process, with all that it has open; and what becomes of it where that fails.
using System.Diagnostics;
using System.Text.Json;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class UpgradeRunningCommandTests : TwoStores
{
    private const string Boot = "cat /proc/sys/kernel/random/boot_id; cat /sys/class/net/eth0/address; kill -0 $(cat /tmp/pid) && echo works; head -n1 /dev/vda; cat /tmp/x";

    [Fact]
    public async Task A_machine_goes_on_in_a_new_process_with_all_that_it_has()
    {
        await StartTinyWithDiskAsync("web");
        await LetWorkAsync();
        Expect(0, await RunAsync("set", "web", "--publish", "127.0.0.1:0:80"));
        var before = await StatusAsync();
        var boot = await InAsync(RunAsync, "web", Boot);
        Assert.Contains("works\non the disk\nin memory", boot, StringComparison.Ordinal);

        // By the same program it stays.
        var same = await RunAsync("upgrade-running", "web");
        Assert.Equal((0, "web runs by this program already\n", ""), (same.ExitCode, same.Output, same.Errors));
        Assert.Equal(ProcessOf(before), ProcessOf(await StatusAsync()));

        for (var round = 0; round < 2; round++)
        {
            var former = ProcessOf(await StatusAsync());
            var went = await RunAsync("upgrade-running", "--force", "-v", "web");
            Assert.True(went.ExitCode == 0, went.Errors);
            TestContext.Current.TestOutputHelper?.WriteLine(went.Errors);
            Assert.Contains("web stood still for ", went.Errors, StringComparison.Ordinal);
            var after = await StatusAsync();
            Assert.NotEqual(former, ProcessOf(after));
            await EndedAsync(former);
            Assert.Equal("running", await KnownStateAsync("web"));
            Assert.Equal(before.GetProperty("started").GetString(), after.GetProperty("started").GetString());
            Assert.Single(after.GetProperty("published").EnumerateArray());
            Assert.Equal(boot, await InAsync(RunAsync, "web", Boot));
        }

        // What its console printed goes on.
        Expect(0, await RunAsync("exec", "web", "--", "sh", "-c", "echo said afterwards >/dev/console"));
        await PrintedAsync("web", "said afterwards");
        Assert.Contains("tiny guest", (await RunAsync("logs", "web")).Output, StringComparison.Ordinal);

        // It is written down, goes on and starts anew as any machine.
        Expect(0, await RunAsync("suspend", "web"));
        Expect(0, await RunAsync("start", "web"));
        Assert.Equal(boot, await InAsync(RunAsync, "web", Boot));
        Expect(0, await RunAsync("restart", "web"));
        Assert.Equal("on the disk", await InAsync(RunAsync, "web", "head -n1 /dev/vda"));
    }

    [Fact]
    public async Task Another_program_takes_a_machine_without_being_forced()
    {
        Assert.SkipUnless(LaminaProgram.IsNative, "a program that is native code is one file, and can be made another one");
        await CreateAsync("quiet", Guest.Halts);
        Expect(0, await RunAsync("start", "quiet"));
        await PrintedAsync("quiet", "up");
        var programs = Directory.CreateDirectory(Folder.File("newer")).FullName;
        var newer = Path.Combine(programs, "lamina");
        File.Copy(LaminaProgram.File, newer);
        await File.AppendAllBytesAsync(newer, new byte[1], Token);

        var former = ProcessOf(await StatusAsync("quiet"));
        var went = await HostProcess.RunAsync(newer, ["upgrade-running", "--all"], Environment);
        Assert.Equal((0, "", ""), (went.ExitCode, went.Output, went.Errors));
        Assert.NotEqual(former, ProcessOf(await StatusAsync("quiet")));
        Assert.Equal(newer, File.ResolveLinkTarget($"/proc/{ProcessOf(await StatusAsync("quiet"))}/exe", returnFinalTarget: false)?.FullName);
        Assert.Equal("quiet runs by this program already\n", (await HostProcess.RunAsync(newer, ["upgrade-running", "quiet"], Environment)).Output);

        // And back, of a program that is not there any more.
        File.Delete(newer);
        Expect(0, await RunAsync("upgrade-running", "quiet"));
        Assert.Equal("running", await KnownStateAsync("quiet"));
        Assert.False(File.Exists(Home("quiet", "former-program")));
    }

    [Fact]
    public async Task A_paused_machine_stays_paused_and_what_does_not_run_is_named()
    {
        await CreateAsync("quiet", Guest.Halts);
        Expect(2, await RunAsync("upgrade-running", "quiet"), "lamina: the machine quiet is not running; *");
        Expect(2, await RunAsync("upgrade-running", "nobody"), "lamina: there is no machine nobody*");
        Expect(2, await RunAsync("upgrade-running"), "lamina: which machine? *");
        Expect(0, await RunAsync("start", "quiet"));
        await PrintedAsync("quiet", "up");
        Expect(0, await RunAsync("pause", "quiet"));
        var former = ProcessOf(await StatusAsync("quiet"));
        // One that fails keeps it from no other.
        Expect(2, await RunAsync("upgrade-running", "--force", "nobody", "quiet"), "lamina: there is no machine nobody*");
        Assert.NotEqual(former, ProcessOf(await StatusAsync("quiet")));
        Assert.Equal("paused", await KnownStateAsync("quiet"));
        Expect(0, await RunAsync("resume", "quiet"));
        Assert.Equal("running", await KnownStateAsync("quiet"));
    }

    [Fact]
    public async Task What_keeps_the_new_process_from_it_leaves_the_machine_where_it_was()
    {
        await CreateWithDiskAsync("web");
        Expect(0, await RunAsync("start", "web"));
        await PrintedAsync("web", "up");
        var former = ProcessOf(await StatusAsync());

        // It cannot be started.
        Directory.Delete(Home("web", "run", "root"));
        await File.WriteAllTextAsync(Home("web", "run", "root"), "", Token);
        Expect(1, await RunAsync("upgrade-running", "--force", "web"), "lamina: the machine web goes on as it was: *run/root is a file, and no folder; *");
        File.Delete(Home("web", "run", "root"));
        Assert.Equal((former, "running"), (ProcessOf(await StatusAsync()), await KnownStateAsync("web")));

        // It does not find a disk.
        File.Move(Home("web", "base.qcow2"), Folder.File("away"));
        Expect(1, await RunAsync("upgrade-running", "--force", "web"), "lamina: the machine web goes on as it was: *base.qcow2*");
        File.Move(Folder.File("away"), Home("web", "base.qcow2"));
        Assert.Equal((former, "running"), (ProcessOf(await StatusAsync()), await KnownStateAsync("web")));

        Expect(0, await RunAsync("upgrade-running", "--force", "web"));
        Assert.NotEqual(former, ProcessOf(await StatusAsync()));
    }

    [Fact]
    public async Task What_no_process_can_open_any_more_is_suspended_and_goes_on_when_it_is_mended()
    {
        await StartTinyWithDiskAsync("web");
        await LetWorkAsync();
        var boot = await InAsync(RunAsync, "web", Boot);
        File.Delete(Home("web", "run", "console.log"));
        Directory.CreateDirectory(Home("web", "run", "console.log"));

        Expect(1, await RunAsync("upgrade-running", "--force", "web"), "lamina: this program could not go on with the machine web (*console.log*), nor could the one that it had; it is suspended, and 'lamina start web' goes on there when that is mended");
        Assert.Equal("suspended", await KnownStateAsync("web"));

        Directory.Delete(Home("web", "run", "console.log"));
        Expect(0, await RunAsync("start", "web"));
        Assert.Equal(boot, await InAsync(RunAsync, "web", Boot));
    }

    [Fact]
    public async Task Kills_in_any_moment_leave_one_process_or_none_and_no_disk_behind()
    {
        var seed = System.Environment.TickCount;
        var random = new Random(seed);
        await StartTinyWithDiskAsync("web");
        // In any moment of as long as it takes here.
        var begin = Stopwatch.GetTimestamp();
        Expect(0, await RunAsync("upgrade-running", "--force", "web"));
        var length = (int)Stopwatch.GetElapsedTime(begin).TotalMilliseconds;
        for (var trial = 0; trial < 6; trial++)
        {
            Assert.Equal("", await InAsync(RunAsync, "web", $"echo trial {trial} | dd of=/dev/vda bs=4k conv=notrunc,fsync 2>/dev/null"));
            var (former, boot) = (ProcessOf(await StatusAsync()), await InAsync(RunAsync, "web", "cat /proc/sys/kernel/random/boot_id"));
            using var upgrade = Start(["upgrade-running", "--force", "web"]);
            var (victim, moment) = (random.Next(3), random.Next(length));
            var isKilled = !upgrade.HasEndedWithin(TimeSpan.FromMilliseconds(moment));
            if (isKilled)
            {
                if (victim == 0) HostProcess.Kill(former);
                else if (victim == 1) upgrade.Kill();
                else foreach (var child in HostProcess.ChildrenOf(upgrade.Id)) HostProcess.Kill(child);
            }
            Assert.True(upgrade.HasEndedWithin(TimeSpan.FromMinutes(3)), "the upgrade hangs");
            var said = $"seed {seed}, trial {trial}: {victim} after {moment} of {length} ms";
            // Whoever takes it over yet is awaited.
            string state;
            while ((state = await StateAsync("web")) is not ("running" or "killed" or "suspended")) Token.ThrowIfCancellationRequested();
            var started = await RunAsync("start", "web");
            Assert.True(started.ExitCode == 0 || (await KnownStateAsync("web")) == "running", $"{said}: {state}: {started.Errors}");
            Assert.Equal($"trial {trial}", await InAsync(RunAsync, "web", "head -n1 /dev/vda"));
            // Who asked for it has nothing of the machine.
            if (!isKilled || victim == 1) Assert.Equal((said, boot), (said, await InAsync(RunAsync, "web", "cat /proc/sys/kernel/random/boot_id")));
            // Those that had it before, or were to have it, have ended, or do so soon.
            var process = ProcessOf(await StatusAsync());
            Assert.True(SpinWait.SpinUntil(() => ProcessesOf("web").All(one => one == process), TimeSpan.FromMinutes(3)), $"{said}: {string.Join(", ", ProcessesOf("web"))} are there, and it runs in {process}");
            Assert.Equal([process], ProcessesOf("web"));
        }
    }

    private async Task LetWorkAsync() =>
        Assert.Equal("", await InAsync(RunAsync, "web", "echo on the disk | dd of=/dev/vda bs=4k conv=notrunc 2>/dev/null; echo in memory >/tmp/x; (while :; do dd if=/dev/urandom of=/tmp/load bs=64k count=16 2>/dev/null; done) >/dev/null 2>&1 & echo $! >/tmp/pid"));

    // On a busy host a process may take longer to answer than a list waits for it.
    private async Task<string> KnownStateAsync(string name)
    {
        while (true)
        {
            if (await StateAsync(name) is not "silent" and var state) return state;
            Token.ThrowIfCancellationRequested();
        }
    }

    private async Task<JsonElement> StatusAsync(string name = "web")
    {
        using var inspected = JsonDocument.Parse((await RunAsync("inspect", name)).Output);
        return inspected.RootElement.GetProperty("status").Clone();
    }

    private static int ProcessOf(JsonElement status) => status.GetProperty("pid").GetInt32();

    // By their words.
    private int[] ProcessesOf(string name) => [.. Directory.EnumerateDirectories("/proc").Select(folder => int.TryParse(Path.GetFileName(folder), out var number) ? number : 0).Where(number => number > 0 && WordsOf(number).Contains($"\0machine-process\0{Path.GetDirectoryName(Home(name))}\0{name}\0", StringComparison.Ordinal))];

    private static string WordsOf(int process)
    {
        try
        {
            return File.ReadAllText($"/proc/{process}/cmdline");
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    // It ends by itself when another one has its machine.
    private static async Task EndedAsync(int process)
    {
        while (Directory.Exists($"/proc/{process}"))
        {
            Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }
}
