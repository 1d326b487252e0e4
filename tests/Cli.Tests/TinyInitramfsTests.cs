using System.Security.Cryptography;
using Lamina.Images;
using Lamina.Images.Agent;
using Lamina.Images.Tiny;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class TinyInitramfsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_guest_finds_what_it_starts_with()
    {
        var entries = Entries(["bin/sh", "sbin/poweroff"]).ToDictionary(entry => entry.Name);

        Assert.Equal(0x81edu, entries["init"].Mode);
        Assert.StartsWith("#!/bin/busybox sh\n", entries["init"].Text, StringComparison.Ordinal);
        Assert.Equal("busybox", entries["bin/busybox"].Text);
        Assert.Equal("/bin/busybox", entries["bin/sh"].Text);
        Assert.Equal((0x2180u, 5u, 1u), (entries["dev/console"].Mode, entries["dev/console"].Major, entries["dev/console"].Minor));
        Assert.Contains("6.1.9-1", entries["etc/motd"].Text, StringComparison.Ordinal);
        Assert.Contains("kernel/drivers/virtio_mmio.ko: kernel/drivers/virtio.ko", entries["lib/modules/6.1-test/modules.dep"].Text, StringComparison.Ordinal);
        Assert.Contains("alias acpi*:LNRO0005:* virtio_mmio", entries["lib/modules/6.1-test/modules.alias"].Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_entry_comes_after_its_folder_and_once()
    {
        HashSet<string> seen = [];
        foreach (var entry in Entries(["bin/sh", "bin/sh", "usr/bin/env"]))
        {
            var parent = Path.GetDirectoryName(entry.Name)!;
            Assert.True(parent.Length == 0 || seen.Contains(parent), $"{entry.Name} comes before {parent}");
            Assert.True(seen.Add(entry.Name), $"{entry.Name} comes twice");
        }
    }

    [Theory]
    [InlineData("../etc/passwd")]
    [InlineData("/bin/x")]
    [InlineData("bin/../x")]
    [InlineData("bin/")]
    [InlineData("opt/x")]
    [InlineData("linuxrc")]
    [InlineData("")]
    public void An_applet_in_an_odd_place_gets_no_link(string applet) =>
        Assert.DoesNotContain(Entries([applet]), entry => entry.Text == "/bin/busybox");

    // The kernel asks it for ciphers that there are not, twice each time, as it starts.
    [Fact]
    public void The_kernel_does_not_find_what_fetches_modules_until_the_guest_says_where_it_is()
    {
        var entries = Entries(["sbin/modprobe"]).ToDictionary(entry => entry.Name);

        Assert.False(entries.ContainsKey("sbin/modprobe"));
        Assert.Equal("/bin/busybox", entries["usr/sbin/modprobe"].Text);
        Assert.Contains("\necho /usr/sbin/modprobe 2>/dev/null >/proc/sys/kernel/modprobe\n", entries["init"].Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Our_helper_stands_where_an_applet_of_that_name_would()
    {
        var helper = Assert.Single(Entries(["sbin/linuxrc"]), entry => entry.Name == "sbin/linuxrc");

        Assert.Contains("trap 'poweroff -f' USR2", helper.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void The_recipes_number_grows_with_the_recipe()
    {
        // What an image contains changed: raise TinyInitramfs.Recipe, then put the new pair here.
        var entries = Entries(["bin/sh"]);

        var digest = Convert.ToHexStringLower(SHA256.HashData(entries.SelectMany(entry => System.Text.Encoding.UTF8.GetBytes($"{entry.Name} {entry.Mode:x} {Convert.ToHexString(entry.Content)}\n")).ToArray()))[..16];

        Assert.Equal("6 c48c70ac711caeff", $"{TinyInitramfs.Recipe} {digest}");
    }

    private IReadOnlyList<CpioEntry> Entries(string[] applets)
    {
        if (!Directory.Exists(_folder.File("packages"))) _ = new FakeApt(_folder);
        var modules = TinyInitramfs.CollectModules(_folder.File("packages/kernel/lib/modules/6.1-test"));
        using var stream = new MemoryStream();
        TinyInitramfs.Write(stream, new TinyContents("6.1-test", "6.1.9-1", "busybox"u8.ToArray(), applets, modules, GuestAgent.Source), DateTimeOffset.UnixEpoch);
        return Cpio.Read(stream.ToArray());
    }
}
