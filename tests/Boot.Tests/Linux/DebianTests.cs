// A whole Debian, as "lamina run debian" runs it: its services, ssh, its package manager, its disk. Installing it takes minutes and
// a package source, so this runs on request.
using System.Text;
using Lamina.Images;
using Lamina.Hypervisor.Stored;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class DebianTests(ITestOutputHelper output) : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(4);

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-debian-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_whole_Debian_runs_installs_packages_reboots_and_powers_off()
    {
        AllTests.SkipUnlessAsked("a whole Debian is installed and booted, which takes minutes and a package source");
        var image = await DebianImage.GetAsync();
        using var stored = new MachineStore(Path.Combine(_folder, "machines")).Open("web-1", DebianImage.Name, () => image);
        stored.SetSeed(new Seed { HostName = "web-1", User = "alice", Keys = Seed.ReadKeys(await CreateKeyAsync()), UserData = "#!/bin/sh\necho once >>/var/once\n"u8.ToArray() });
        await using var machine = Machine.Create(Spec(stored));
        stored.SetStarted();
        var started = TimeProvider.System.GetTimestamp();
        var run = machine.RunAsync(Cancellation);
        var port = machine.Published.Single().Host.Port;

        await WaitForSshAsync(port, "true");
        output.WriteLine($"ssh after {TimeProvider.System.GetElapsedTime(started).TotalSeconds:0.0} s");
        Assert.Equal("running", await DoAsync(port, "systemctl is-system-running --wait"));
        Assert.Equal("", await DoAsync(port, "systemctl --failed --quiet"));
        Assert.Equal("web-1", await DoAsync(port, "hostname"));
        Assert.Equal("once", await DoAsync(port, "sudo cat /var/once"));
        await DoAsync(port, "echo kept >kept && sync");

        var update = await AskAsync(port, "sudo apt-get update -q -o APT::Update::Error-Mode=any");
        if (update.ExitCode == 0)
        {
            await DoAsync(port, "sudo apt-get install -qy --no-install-recommends hello >apt.log 2>&1");
            Assert.Equal("Hello, world!", await DoAsync(port, "hello"));
        }

        await AskAsync(port, "sudo reboot");
        await WaitForSshAsync(port, "test $(cut -d. -f1 /proc/uptime) -lt 60 && systemctl is-system-running --wait");
        Assert.Equal("kept", await DoAsync(port, "cat kept"));
        Assert.Equal("once", await DoAsync(port, "sudo cat /var/once"));
        await AskAsync(port, "sudo poweroff");
        Assert.Equal(MachineEnd.PoweredOff, (await run.WaitAsync(Patience, Cancellation)).End);
        Assert.SkipUnless(update.ExitCode == 0, $"all but the package manager was tested: there is no package source here ({string.Join(' ', update.Errors)})");
    }

    private static MachineDefinition Spec(StoredMachine stored) => new()
    {
        Engine = TestEngine.Default,
        MemoryBytes = stored.Definition.MemoryBytes,
        Boot = new BootSource { KernelPath = stored.KernelPath, InitrdPath = stored.InitrdPath, CommandLine = stored.Definition.Boot.CommandLine },
        Devices = [stored.Disk!, stored.SeedDisk!, NetworkDevice.Parse("user,publish=0:22")!],
    };

    private async Task<string> CreateKeyAsync()
    {
        Assert.SkipWhen(HostCommand.Find("ssh") is null, "ssh is not installed; apt-get install openssh-client");
        var made = await HostCommand.Find("ssh-keygen")!.RunAsync(["-q", "-t", "ed25519", "-N", "", "-f", "key"], _folder, null, Cancellation);
        Assert.Equal(0, made.ExitCode);
        return Path.Combine(_folder, "key");
    }

    private Task<CommandResult> AskAsync(int port, string command) => HostCommand.Find("ssh")!.RunAsync(
        ["-q", "-i", "key", "-p", $"{port}", "-o", "ConnectTimeout=10", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "alice@127.0.0.1", command],
        _folder, null, Cancellation);

    private async Task<string> DoAsync(int port, string command)
    {
        var answer = await AskAsync(port, command);
        var text = new StringBuilder().AppendJoin('\n', answer.Output).ToString();
        Assert.True(answer.ExitCode == 0, $"\"{command}\" exited with {answer.ExitCode}: {text} {string.Join('\n', answer.Errors)}");
        return text;
    }

    private async Task WaitForSshAsync(int port, string command)
    {
        var started = TimeProvider.System.GetTimestamp();
        while ((await AskAsync(port, command)).ExitCode != 0)
        {
            Assert.True(TimeProvider.System.GetElapsedTime(started) < Patience, "the guest does not answer by ssh");
            await Task.Delay(TimeSpan.FromMilliseconds(300), Cancellation);
        }
    }
}
