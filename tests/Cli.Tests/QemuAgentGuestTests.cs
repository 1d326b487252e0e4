// QEMU's own guest agent, in a system that was made elsewhere and knows nothing of Lamina: Debian's package in a Debian of mmdebstrap's, imported as
// an image. What Lamina's agent does in its own images, that one does there, through the real program. Installing it takes a package source and
// booting it a minute, so this runs on request.
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Lamina.Images;
using Lamina.Images.Debian;
using Lamina.Tests.Boot.Support;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

[Trait("Category", "Long")]
public sealed class QemuAgentGuestTests : KeptMachines
{
    private const string Name = "foreign", Suite = "bookworm", DiskSize = "1500M";
    private const string Packages = "systemd-sysv,udev,dbus,qemu-guest-agent,linux-image-cloud-amd64,iproute2";

    // Whoever sets the clock from without sets it to a later time than this, of September 2001.
    private const long Past = 1_000_000_000;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Commands_copies_addresses_still_file_systems_the_clock_and_the_power_are_the_foreign_agents()
    {
        AllTests.SkipUnlessAsked("a Debian with QEMU's agent is installed and booted, which takes minutes and a package source");
        Expect(0, await RunAsync("image", "import", await InstallAsync(), "--name", Name));
        Expect(0, await RunAsync("create", Name, Name, "--engine", "translator", "--memory", "512M"));
        Expect(0, await RunAsync("start", Name));
        Expect(0, await RunAsync("exec", "--wait", "5m", Name, "--", "true"));
        Assert.Equal("no\n", (await ExecAsync(0, "ls /usr/lib/lamina/agent /sbin/lamina-agent >/dev/null 2>&1 && echo yes || echo no")).Output);

        await CommandsAsync();
        await CopiesAsync();
        await AddressesAsync();
        await ClockAsync();
        await SnapshotAsync();
        Expect(0, await RunAsync("stop", Name));
        Assert.Equal("off", await StateAsync(Name));
    }

    private async Task CommandsAsync()
    {
        var both = await ExecAsync(7, "echo out; echo err >&2; exit 7");
        Assert.Equal(("out\n", "err\n"), (both.Output, both.Errors));
        Assert.Equal(137, (await RunAsync("exec", Name, "--", "sh", "-c", "kill -9 $$")).ExitCode);
        Assert.Equal(127, (await RunAsync("exec", Name, "--", "nope")).ExitCode);
        Assert.Equal("nobody\n/var\nb c\n", (await RunAsync("exec", "--user", "nobody", "--workdir", "/var", "--env", "A=b c", Name, "--", "sh", "-c", "id -un; pwd; echo \"$A\"")).Output);
        var reads = await HostProcess.RunAsync("/bin/sh", ["-c", $"head -c 300000 /dev/zero | '{LaminaProgram.File}' exec -i {Name} -- sh -c 'wc -c; echo end'"], Environment);
        Assert.Equal("300000\nend\n", reads.Output);
        // What a command leaves in the guest's /tmp goes with it; there is that of this one.
        await ExecAsync(0, "until [ \"$(ls -d /tmp/lamina-* | wc -l)\" = 1 ]; do sleep 0.1; done");
    }

    private async Task CopiesAsync()
    {
        var bytes = RandomNumberGenerator.GetBytes(3 << 20);
        Directory.CreateDirectory(Folder.File("tree/below"));
        await File.WriteAllBytesAsync(Folder.File("tree/below/big"), bytes, Cancellation);
        Expect(0, await RunAsync("cp", Folder.File("tree"), $"{Name}:/root/"));
        Assert.StartsWith(Convert.ToHexStringLower(SHA256.HashData(bytes)), (await ExecAsync(0, "sha256sum </root/tree/below/big")).Output, StringComparison.Ordinal);
        Expect(0, await RunAsync("cp", $"{Name}:/root/tree", Folder.File("back")));
        Assert.Equal(bytes, await File.ReadAllBytesAsync(Folder.File("back/below/big"), Cancellation));
    }

    private async Task AddressesAsync()
    {
        // The guest has its address a moment after its agent answers.
        string told;
        do
        {
            told = (await ListAsync()).EnumerateArray().Single().GetProperty("addresses").GetRawText();
            Cancellation.ThrowIfCancellationRequested();
        }
        while (!told.Contains("\"10.0.2.15\"", StringComparison.Ordinal));
        Assert.Contains("\"127.0.0.1\"", told, StringComparison.Ordinal);
        Assert.Contains(" 10.0.2.15", (await RunAsync("ps")).Output, StringComparison.Ordinal);
    }

    private async Task ClockAsync()
    {
        await ExecAsync(0, $"date -s @{Past}");
        Assert.InRange(await DateAsync(), Past, Past + 1_000_000);
        Expect(0, await RunAsync("pause", Name));
        Expect(0, await RunAsync("resume", Name));
        while (await DateAsync() < Past + 100_000_000) Cancellation.ThrowIfCancellationRequested();

        async Task<long> DateAsync() => long.Parse((await ExecAsync(0, "date +%s")).Output, CultureInfo.InvariantCulture);
    }

    // What the guest has written and not yet brought to its disk is in the snapshot, as its file systems were still.
    private async Task SnapshotAsync()
    {
        await ExecAsync(0, "echo early >/root/said");
        Expect(0, await RunAsync("snapshot", "create", Name, "still", "--disk-only"));
        using (var shown = JsonDocument.Parse((await RunAsync("snapshot", "show", Name, "still")).Output)) Assert.True(shown.RootElement.GetProperty("stilled").GetBoolean());
        await ExecAsync(0, "echo late >/root/said; sync");
        Expect(0, await RunAsync("kill", Name));
        Expect(0, await RunAsync("snapshot", "restore", Name, "still"));
        Expect(0, await RunAsync("start", Name));
        Expect(0, await RunAsync("exec", "--wait", "5m", Name, "--", "true"));
        Assert.Equal("early\n", (await ExecAsync(0, "cat /root/said")).Output);
    }

    private async Task<Outcome> ExecAsync(int code, string script)
    {
        var outcome = await RunAsync("exec", Name, "--", "sh", "-c", script);
        Assert.True(outcome.ExitCode == code, $"exit code {outcome.ExitCode}, not {code}: {outcome.Errors}");
        return outcome;
    }

    private async Task<string> InstallAsync()
    {
        Assert.SkipUnless(System.Environment.IsPrivilegedProcess, "a system is installed with files of its own users, which needs root");
        var (mmdebstrap, mke2fs) = (HostCommand.Find("mmdebstrap"), HostCommand.Find("mke2fs", "/usr/sbin", "/sbin"));
        Assert.SkipWhen(mmdebstrap is null || mke2fs is null, "mmdebstrap or mke2fs is not installed; apt-get install mmdebstrap e2fsprogs");
        var sources = await DebianSources.OfHostAsync(Suite, Cancellation);
        Assert.SkipWhen(sources.Lines.Count == 0, "this host has no package sources of Debian's");
        var root = Folder.File("root");
        var result = await mmdebstrap!.RunAsync(["--variant=minbase", "--format=directory", $"--include={Packages}", .. sources.Options.Select(option => $"--aptopt={option}"), Suite, root, .. sources.Lines], Folder.Path, null, Cancellation);
        Assert.SkipUnless(result.ExitCode == 0, $"the system cannot be installed here: {string.Join(' ', result.Errors.TakeLast(3))}");
        await File.WriteAllTextAsync(Path.Combine(root, "etc/fstab"), "/dev/vda / ext4 defaults 0 1\n", Cancellation);
        await File.WriteAllTextAsync(Path.Combine(root, "etc/systemd/network/card.network"), "[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n", Cancellation);
        File.CreateSymbolicLink(Path.Combine(root, "etc/systemd/system/multi-user.target.wants/systemd-networkd.service"), "/lib/systemd/system/systemd-networkd.service");
        var made = await mke2fs!.RunAsync(["-q", "-t", "ext4", "-d", root, Folder.File("foreign.raw"), DiskSize], Folder.Path, null, Cancellation);
        Assert.True(made.ExitCode == 0, string.Join('\n', made.Errors));
        return Folder.File("foreign.raw");
    }
}
