// What a Debian guest gets beside its packages.
using System.Formats.Tar;
using Lamina.Images.Debian;
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
}
