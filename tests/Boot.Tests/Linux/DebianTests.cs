// A whole Debian, as "lamina run debian" runs it: its services, ssh, its package manager, its disk. Installing it takes minutes and
// a package source, so this runs on request.
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
        stored.SetSeed(new Seed { HostName = "web-1", User = "alice", Keys = Seed.ReadKeys(await SshGuest.CreateKeyAsync(_folder)), UserData = "#!/bin/sh\necho once >>/var/once\n"u8.ToArray() });
        await using var machine = Machine.Create(Spec(stored));
        stored.SetStarted();
        var started = TimeProvider.System.GetTimestamp();
        var run = machine.RunAsync(Cancellation);
        var guest = new SshGuest(_folder, "alice", machine.Published.Single().Host.Port);

        await guest.WaitAsync("true");
        output.WriteLine($"ssh after {TimeProvider.System.GetElapsedTime(started).TotalSeconds:0.0} s");
        Assert.Equal("running", await guest.DoAsync("systemctl is-system-running --wait"));
        Assert.Equal("", await guest.DoAsync("systemctl --failed --quiet"));
        Assert.Equal("web-1", await guest.DoAsync("hostname"));
        Assert.Equal("once", await guest.DoAsync("sudo cat /var/once"));
        await guest.DoAsync("echo kept >kept && sync");

        var update = await guest.AskAsync("sudo apt-get update -q -o APT::Update::Error-Mode=any");
        if (update.ExitCode == 0)
        {
            await guest.DoAsync("sudo apt-get install -qy --no-install-recommends hello >apt.log 2>&1");
            Assert.Equal("Hello, world!", await guest.DoAsync("hello"));
        }

        await guest.AskAsync("sudo reboot");
        await guest.WaitAsync("test $(cut -d. -f1 /proc/uptime) -lt 60 && systemctl is-system-running --wait");
        Assert.Equal("kept", await guest.DoAsync("cat kept"));
        Assert.Equal("once", await guest.DoAsync("sudo cat /var/once"));
        await guest.AskAsync("sudo poweroff");
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
}
