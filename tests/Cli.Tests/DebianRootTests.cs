// What a Debian guest gets beside its packages.
using System.Formats.Tar;
using Lamina.Images.Debian;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class DebianRootTests
{
    private readonly Dictionary<string, (TarEntry Entry, string Text)> _entries = [];

    public DebianRootTests()
    {
        using var archive = new MemoryStream();
        DebianRoot.Write(archive, "agent"u8.ToArray(), "label", ["Acquire::Check-Date \"false\";"]);
        archive.Position = 0;
        using var tar = new TarReader(archive);
        while (tar.GetNextEntry() is { } entry)
        {
            using var reader = entry.DataStream is { } data ? new StreamReader(data) : null;
            _entries.Add(entry.Name, (entry, reader?.ReadToEnd() ?? ""));
        }
    }

    [Fact]
    public void Everything_belongs_to_root_and_nobody_else_may_write_it() => Assert.All(_entries.Values, file =>
    {
        Assert.Equal((0, 0), (file.Entry.Uid, file.Entry.Gid));
        if (file.Entry.EntryType == TarEntryType.RegularFile) Assert.Equal(default, file.Entry.Mode & (UnixFileMode.GroupWrite | UnixFileMode.OtherWrite));
    });

    [Fact]
    public void The_root_file_system_is_found_by_its_label_and_grows() =>
        Assert.Equal("LABEL=label / ext4 errors=remount-ro,x-systemd.growfs 0 1\n", _entries["etc/fstab"].Text);

    [Fact]
    public void Settings_of_apts_reach_the_guest() => Assert.Equal("Acquire::Check-Date \"false\";\n", _entries["etc/apt/apt.conf.d/90host"].Text);

    [Fact]
    public void What_a_unit_starts_is_there_and_can_be_executed()
    {
        var unit = _entries["etc/systemd/system/lamina-seed.service"].Text;
        Assert.Contains("ExecStart=/usr/lib/lamina/seed\n", unit, StringComparison.Ordinal);
        Assert.True(_entries["usr/lib/lamina/seed"].Entry.Mode.HasFlag(UnixFileMode.OtherExecute));
        Assert.Contains("ExecStart=/var/lib/lamina/script\n", _entries["etc/systemd/system/lamina-script.service"].Text, StringComparison.Ordinal);
        Assert.Contains("state=/var/lib/lamina\n", _entries["usr/lib/lamina/seed"].Text, StringComparison.Ordinal);
    }

    [Fact]
    public void The_agent_is_started_early()
    {
        Assert.Equal("agent", _entries["usr/lib/lamina/agent"].Text);
        Assert.Contains("ExecStart=/usr/lib/lamina/agent --foreground\n", _entries["etc/systemd/system/lamina-agent.service"].Text, StringComparison.Ordinal);
        Assert.Equal("../lamina-agent.service", _entries["etc/systemd/system/sysinit.target.wants/lamina-agent.service"].Entry.LinkName);
    }

    [Fact]
    public void Links_lead_to_units() => Assert.All(_entries.Values.Where(file => file.Entry.EntryType == TarEntryType.SymbolicLink),
        link => Assert.EndsWith($"/{Path.GetFileName(link.Entry.Name)}", link.Entry.LinkName, StringComparison.Ordinal));

    [Fact]
    public void The_initial_RAM_disk_reaches_the_disk()
    {
        var modules = _entries["usr/share/initramfs-tools/modules.d/lamina"].Text.Split('\n');

        Assert.All((string[])["virtio_mmio", "virtio_blk", "ext4"], module => Assert.Contains(module, modules));
    }

    [Fact]
    public async Task A_copied_machine_gets_an_identity_of_its_own_once()
    {
        using var folder = new TemporaryFolder();
        Prepare(folder, "lamina-copy: 0123456789abcdef\nlocal-hostname: two\n");

        Assert.Equal((0, ""), await RunIdentityAsync(folder));

        var id = await ReadAsync(folder, "etc/machine-id");
        Assert.Matches("^[0-9a-f]{32}\n$", id);
        Assert.Equal("two\n", await ReadAsync(folder, "etc/hostname"));
        Assert.Equal(["sshd_config"], Directory.EnumerateFiles(folder.File("root/etc/ssh")).Select(path => Path.GetFileName(path)));
        Assert.False(File.Exists(folder.File("root/var/lib/systemd/random-seed")));

        await File.WriteAllTextAsync(folder.File("root/etc/ssh/ssh_host_rsa_key"), "new", TestContext.Current.CancellationToken);
        Assert.Equal((0, ""), await RunIdentityAsync(folder));
        Assert.Equal((id, "new"), (await ReadAsync(folder, "etc/machine-id"), await ReadAsync(folder, "etc/ssh/ssh_host_rsa_key")));

        // A copy of the copy is another machine again.
        Prepare(folder, "lamina-copy: fedcba9876543210\nlocal-hostname: three\n");
        await File.WriteAllTextAsync(folder.File("root/etc/machine-id"), id, TestContext.Current.CancellationToken);
        Assert.Equal((0, ""), await RunIdentityAsync(folder));
        Assert.NotEqual(id, await ReadAsync(folder, "etc/machine-id"));
    }

    [Theory]
    [InlineData("local-hostname: web\n")]
    [InlineData("lamina-copy: 0123\nlocal-hostname: web\n")]
    [InlineData("public-keys:\n  - \"ssh-rsa A lamina-copy: 0123456789abcdef\"\n")]
    [InlineData("")]
    public async Task A_machine_that_is_no_copy_keeps_its_identity(string settings)
    {
        using var folder = new TemporaryFolder();
        Prepare(folder, settings);

        Assert.Equal((0, ""), await RunIdentityAsync(folder));

        Assert.Equal(("old\n", "old"), (await ReadAsync(folder, "etc/machine-id"), await ReadAsync(folder, "etc/ssh/ssh_host_rsa_key")));
    }

    [Fact]
    public async Task The_name_is_there_from_the_first_moment_and_the_guests_to_change_later()
    {
        using var folder = new TemporaryFolder();
        Prepare(folder, "local-hostname: web\n");

        Assert.Equal((0, ""), await RunIdentityAsync(folder));
        Assert.Equal("web\n", await ReadAsync(folder, "etc/hostname"));

        Directory.CreateDirectory(folder.File("root/var/lib/lamina"));
        await File.WriteAllTextAsync(folder.File("root/var/lib/lamina/instance"), "lamina-1\n", TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(folder.File("root/etc/hostname"), "other\n", TestContext.Current.CancellationToken);
        Assert.Equal((0, ""), await RunIdentityAsync(folder));
        Assert.Equal("other\n", await ReadAsync(folder, "etc/hostname"));
    }

    // A guest's root as the script finds it, programs that stand in for the guest's, and a seed disk: a sector of zeros, then its text.
    private void Prepare(TemporaryFolder folder, string settings)
    {
        foreach (var inner in (string[])["bin", "root/etc/ssh", "root/var/lib/systemd"]) Directory.CreateDirectory(folder.File(inner));
        File.WriteAllText(folder.File("identity"), _entries["usr/lib/lamina/identity"].Text);
        File.WriteAllText(folder.File("seed"), new string('\0', 512) + "instance-id: lamina-1\n" + settings + new string('\0', 512));
        File.WriteAllText(folder.File("root/etc/machine-id"), "old\n");
        File.WriteAllText(folder.File("root/etc/ssh/ssh_host_rsa_key"), "old");
        File.WriteAllText(folder.File("root/etc/ssh/sshd_config"), "");
        File.WriteAllText(folder.File("root/var/lib/systemd/random-seed"), "old");
        foreach (var (name, script) in ((string, string)[])[("blkid", $"#!/bin/sh\necho '{folder.File("seed")}'\n"), ("hostname", "#!/bin/sh\n")])
        {
            File.WriteAllText(folder.File($"bin/{name}"), script);
            File.SetUnixFileMode(folder.File($"bin/{name}"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    private static async Task<(int, string)> RunIdentityAsync(TemporaryFolder folder)
    {
        var path = $"{folder.File("bin")}:{Environment.GetEnvironmentVariable("PATH")}";
        var outcome = await HostProcess.RunAsync("/bin/sh", [folder.File("identity"), folder.File("root")], new Dictionary<string, string?> { ["PATH"] = path });
        return (outcome.ExitCode, outcome.Errors);
    }

    private static Task<string> ReadAsync(TemporaryFolder folder, string file) => File.ReadAllTextAsync(folder.File($"root/{file}"), TestContext.Current.CancellationToken);
}
