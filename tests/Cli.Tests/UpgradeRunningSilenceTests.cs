// A program that is to take machines over and says nothing: it holds nobody up for ever, and is not left behind.
using Lamina.Hypervisor.Migrating;
using Lamina.Hypervisor.Running;
using Lamina.Hypervisor.Stored;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class UpgradeRunningSilenceTests : KeptMachines
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_new_program_that_says_nothing_leaves_the_machine_in_the_process_that_it_has()
    {
        await CreateAsync("quiet", Guest.Halts);
        Expect(0, await RunAsync("start", "quiet"));
        await PrintedAsync("quiet", "up");
        var before = (await RunAsync("inspect", "quiet", "chipset/generation")).Output;
        // By its words it is found again.
        var word = $"10{System.Environment.ProcessId}";
        var upgrade = new MachineUpgrade(path => new MachineLauncher("/usr/bin/sh", "-c", $"exec sleep {word}"), "/usr/bin/sh", new MachineStore(Path.GetDirectoryName(Home("quiet"))!));

        var refusal = await Assert.ThrowsAsync<MachineException>(() => upgrade.RunAsync("quiet", force: true, TimeSpan.FromSeconds(1), Token).WaitAsync(TimeSpan.FromMinutes(4), Token));

        Assert.Equal("the machine quiet goes on as it was: the new process has said nothing for 1 s", refusal.Message);
        Assert.Equal(before, (await RunAsync("inspect", "quiet", "chipset/generation")).Output);
        Assert.True(SpinWait.SpinUntil(() => !Silent(word).Any(), TimeSpan.FromMinutes(2)), "the silent process is there yet");
        // It can be handed over all the same.
        Expect(2, await RunAsync("upgrade-running", "--force", "--silence", "0s", "quiet"), "lamina: --silence: '0s' is no time*");
        Expect(0, await RunAsync("upgrade-running", "--force", "--silence", "5m", "quiet"));
        Expect(0, await RunAsync("pause", "quiet"));
    }

    private static IEnumerable<string> Silent(string word) => Directory.EnumerateDirectories("/proc").Where(folder => int.TryParse(Path.GetFileName(folder), out _)).Select(WordsOf).Where(words => words.Contains($"sleep {word}", StringComparison.Ordinal));

    private static string WordsOf(string folder)
    {
        try
        {
            return File.ReadAllText(Path.Combine(folder, "cmdline")).Replace('\0', ' ');
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
