// A machine on its way, and kill -9 in a random moment of whoever carries it, of whoever takes it in, or of either machine's process: it runs in one place
// afterwards or can be started in one, and has what its guest was told is on the disk.
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed partial class MigrationKillTests : TwoStores
{
    private const string All = "LAMINA_TEST_ALL", Name = "web";

    // About what a migration takes, so that the moment lies anywhere in it, or behind it.
    private const int LongestMilliseconds = 900;

    // Stores a growing number on the disk, and says so when it is there.
    private const string Load = "i=0; while :; do i=$((i+1)); printf '%-512s' \"$i\" | dd of=/dev/vda bs=512 conv=notrunc,fsync oflag=direct 2>/dev/null; echo \"kept TRIAL $i \" >/dev/console; done";

    private Dictionary<string, string?>[] Stores => [Environment, There];

    [Fact]
    public Task Four_kills_lose_nothing() => KillAsync(4, System.Environment.TickCount);

    [Fact, Trait("Category", "Long")]
    public Task Three_hundred_kills_lose_nothing()
    {
        Assert.SkipUnless(System.Environment.GetEnvironmentVariable(All) is "1", $"it takes a quarter of an hour; ./test --all runs it ({All}=1)");
        return KillAsync(300, System.Environment.TickCount);
    }

    private async Task KillAsync(int trials, int seed)
    {
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        var random = new Random(seed);
        await StartTinyWithDiskAsync(Name);
        var (at, most) = (0, 0);
        try
        {
            for (var trial = 1; trial <= trials; trial++)
            {
                var victim = (Victim)random.Next(5);
                var moment = random.Next(LongestMilliseconds);
                var said = $"seed {seed}, trial {trial}: {victim} after {moment} ms";
                await LoadAsync(at, trial);
                await MigrateAsync(at, trial, victim, moment);
                at = await FindAsync(said);
                var kept = int.Parse(await InAsync(words => RunInAsync(at, words), Name, "kill $(cat /tmp/load) 2>/dev/null; head -c 512 /dev/vda"), CultureInfo.InvariantCulture);
                var heard = await LastKeptAsync(trial);
                Assert.True(kept >= heard, $"{said}: {kept} is on the disk, {heard} was said to be");
                most = Math.Max(most, heard);
                await ForgetAsync(1 - at, said);
            }
            Assert.NotEqual(0, most);
        }
        finally
        {
            await ClearThereAsync();
        }
    }

    private enum Victim
    {
        None,
        Sender,
        Receiver,
        Source,
        Target,
    }

    private Task<Outcome> RunInAsync(int side, params string[] words) => LaminaProgram.RunAsync(words, Stores[side]);

    private async Task LoadAsync(int at, int trial) =>
        await InAsync(words => RunInAsync(at, words), Name, $"kill $(cat /tmp/load) 2>/dev/null; ({Load.Replace("TRIAL", $"{trial}", StringComparison.Ordinal)}) >/dev/null 2>&1 & echo $! >/tmp/load");

    private async Task MigrateAsync(int from, int trial, Victim victim, int moment)
    {
        var socket = Folder.File($"in {trial}");
        var source = await ProcessOfAsync(from);
        using var receiver = await ReceiveAsync(Stores[1 - from], socket);
        using var sender = HostProcess.Start(LaminaProgram.File, ["migrate", Name, $"unix:{socket}"], Stores[from]);
        if (!sender.HasEndedWithin(TimeSpan.FromMilliseconds(moment)))
        {
            switch (victim)
            {
                case Victim.Sender: sender.Kill(); break;
                case Victim.Receiver: receiver.Kill(); break;
                case Victim.Source: HostProcess.Kill(source); break;
                case Victim.Target: foreach (var child in HostProcess.ChildrenOf(receiver.Id)) HostProcess.Kill(child); break;
            }
        }
        // One that nobody has come to waits on.
        Assert.True(sender.HasEndedWithin(TimeSpan.FromMinutes(3)), "whoever sends it hangs");
        if (victim == Victim.Sender) receiver.Signal(System.Runtime.InteropServices.PosixSignal.SIGTERM);
        if (!receiver.HasEndedWithin(TimeSpan.FromSeconds(30))) receiver.Signal(System.Runtime.InteropServices.PosixSignal.SIGTERM);
        Assert.True(receiver.HasEndedWithin(TimeSpan.FromMinutes(3)), "whoever takes it in hangs");
    }

    // Where it runs, or after this does.
    private async Task<int> FindAsync(string said)
    {
        var states = new string?[2];
        // Processes may be ending.
        do
        {
            Token.ThrowIfCancellationRequested();
            for (var side = 0; side < 2; side++) states[side] = await StateInAsync(side);
        }
        while (states is ["running", "running"] && await IsEndingAsync());
        said = $"{said}: {states[0] ?? "none"} here and {states[1] ?? "none"} there";
        Assert.False(states is ["running", "running"], said);
        for (var side = 0; side < 2; side++)
        {
            if (states[side] != "running") continue;
            if (states[1 - side] is not null) Assert.True((await RunInAsync(1 - side, "start", Name)).ExitCode != 0, $"{said}: it starts a second time");
            return side;
        }
        var started = new List<int>();
        for (var side = 0; side < 2; side++)
            if (states[side] is not null && (await RunInAsync(side, "start", Name)).ExitCode == 0) started.Add(side);
        Assert.True(started.Count <= 1, $"{said}: it starts in both places");
        if (started is [var only]) return only;
        // Given, and not confirmed: the one who knows where it is says that it may begin anew.
        for (var side = 0; side < 2; side++)
            if (states[side] == "gone" && (await RunInAsync(side, "start", "--cold", Name)).ExitCode == 0) return side;
        Assert.Fail($"{said}: it starts nowhere");
        return -1;
    }

    // A process that was given away ends within moments.
    private async Task<bool> IsEndingAsync()
    {
        for (var look = 0; look < 100; look++)
            if (await StateInAsync(0) != "running" || await StateInAsync(1) != "running") return true;
        return false;
    }

    private async Task<string?> StateInAsync(int side)
    {
        var listed = await RunInAsync(side, "ps", "--all", "--json");
        Assert.Equal((0, ""), (listed.ExitCode, listed.Errors));
        using var list = JsonDocument.Parse(listed.Output);
        foreach (var machine in list.RootElement.EnumerateArray())
            if (machine.GetProperty("name").GetString() == Name) return machine.GetProperty("state").GetString();
        return null;
    }

    private async Task ForgetAsync(int side, string said)
    {
        if (await StateInAsync(side) is not { } state) return;
        var removed = await RunInAsync(side, "rm", Name);
        Assert.True(removed.ExitCode == 0, $"{said}: {state}: {removed.Errors}");
    }

    // The last number that its guest was told is on the disk, by what it said in either place.
    private async Task<int> LastKeptAsync(int trial)
    {
        var last = 0;
        for (var side = 0; side < 2; side++)
        {
            if (await StateInAsync(side) is null) continue;
            foreach (Match match in KeptRegex().Matches((await RunInAsync(side, "logs", Name)).Output))
                if (int.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture) == trial) last = Math.Max(last, int.Parse(match.Groups[2].ValueSpan, CultureInfo.InvariantCulture));
        }
        return last;
    }

    private async Task<int> ProcessOfAsync(int side)
    {
        using var inspected = JsonDocument.Parse((await RunInAsync(side, "inspect", Name)).Output);
        return inspected.RootElement.GetProperty("status").GetProperty("pid").GetInt32();
    }

    [GeneratedRegex("kept ([0-9]+) ([0-9]+) ")]
    private static partial Regex KeptRegex();
}
