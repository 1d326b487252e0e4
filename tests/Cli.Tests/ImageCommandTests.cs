// "lamina image" with a package manager of our own making: every way in which a fetch ends.
using System.Runtime.InteropServices;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class ImageCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly FakeApt _apt;

    public ImageCommandTests() => _apt = new FakeApt(_folder);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task An_image_is_built_listed_and_removed()
    {
        var build = await Lamina("image", "build", "tiny");
        Assert.Equal(0, build.ExitCode);
        Assert.StartsWith("tiny 6.1.9-1, ", build.Output, StringComparison.Ordinal);
        Assert.Contains("lamina: Fetching linux-image-6.1-test (2.0 MB)", build.ErrorLines);

        var list = await Lamina("image", "list");
        Assert.Matches(@"\ntiny +6\.1\.9-1 .*/lamina/images/tiny/6\.1\.9-1-r", list.Output);
        var image = Directory.EnumerateDirectories(Path.Combine(_apt.Images, "tiny")).Single(path => Path.GetFileName(path) != "current");
        Assert.Equal("not really a kernel\n", File.ReadAllText(Path.Combine(image, "kernel")));
        Assert.Contains(Cpio.Read(File.ReadAllBytes(Path.Combine(image, "initrd.cpio"))), entry => entry.Name == "lib/modules/6.1-test/kernel/drivers/virtio-rng.ko");
        Assert.Contains("\"version\": \"1:1.35.0-4+deb12u1\"", File.ReadAllText(Path.Combine(image, "manifest.json")), StringComparison.Ordinal);

        var remove = await Lamina("image", "rm");
        Assert.Equal((0, $"removed {image}\n"), (remove.ExitCode, remove.Output));
        Assert.Contains("not built yet", (await Lamina("image", "list")).Output, StringComparison.Ordinal);
        Assert.Equal((0, "lamina: tiny is not built, so there was nothing to remove\n"), await Lamina("image", "rm", "tiny") is var again ? (again.ExitCode, again.Errors) : default);
    }

    [Fact]
    public async Task The_cache_is_below_the_home_folder_where_nothing_else_is_said()
    {
        var outcome = await LaminaProgram.RunAsync(["image", "build"], With(("XDG_CACHE_HOME", null), ("HOME", _folder.File("home"))));

        Assert.Equal(0, outcome.ExitCode);
        Assert.True(Directory.Exists(_folder.File("home/.cache/lamina/images/tiny")));
    }

    [Fact]
    public Task A_host_without_apt_is_told_what_is_missing() =>
        Fails(With(("PATH", _folder.Folder("empty"))), "fetched with apt-get, which is not in this host's PATH", "--kernel");

    [Fact]
    public async Task A_host_without_mmdebstrap_is_told_what_to_install()
    {
        var outcome = await LaminaProgram.RunAsync(["image", "build", "debian"], With(("PATH", _folder.Folder("empty"))));

        Assert.Equal(1, outcome.ExitCode);
        Assert.Matches("^lamina: the image debian needs programs that this host lacks; install them: apt-get install mmdebstrap [a-z0-9 ]+$", Assert.Single(outcome.ErrorLines));
    }

    [Fact]
    public async Task What_mmdebstrap_complains_of_is_told()
    {
        _folder.Script("bin/mmdebstrap", "#!/bin/sh\necho 'I: automatically chosen mode: root' >&2\necho 'E: no keyring for bookworm' >&2\nexit 1\n");
        foreach (var name in (string[])["mke2fs", "gpg", "fakeroot", "fakechroot"]) _folder.Script($"bin/{name}", "#!/bin/sh\n");

        var outcome = await LaminaProgram.RunAsync(["image", "build", "debian"], _apt.Environment);

        Assert.Equal(1, outcome.ExitCode);
        Assert.Equal("lamina: Debian could not be installed: no keyring for bookworm", outcome.ErrorLines[^1]);
    }

    [Fact]
    public Task An_empty_path_finds_nothing_in_the_current_folder() => Fails(With(("PATH", "")), "which is not in this host's PATH");

    [Fact]
    public Task No_network_is_told_in_apts_words()
    {
        _apt.Behave("echo 'E: Failed to fetch http://deb.example/linux.deb  Could not connect to deb.example:80 (1.2.3.4). - connect (111: Connection refused)' >&2; exit 100");
        _folder.Script("bin/apt-get", File.ReadAllText(_folder.File("bin/apt-get")).Replace("echo \"E: no such list\" >&2; exit 100", "echo 'E: Failed to fetch http://deb.example/InRelease  Connection refused' >&2; exit 100", StringComparison.Ordinal));
        return Fails(_apt.Environment, "could not be fetched: Failed to fetch http://deb.example/InRelease Connection refused");
    }

    [Fact]
    public Task A_source_without_the_package_is_told()
    {
        _folder.Script("bin/apt-cache", "#!/bin/sh\nexit 100\n");
        _folder.Script("bin/apt-get", "#!/bin/sh\nexit 0\n");
        return Fails(_apt.Environment, "package sources have no linux-image-cloud-amd64");
    }

    [Fact]
    public Task A_full_disk_is_told()
    {
        _apt.Behave("echo 'E: Write error - write (28: No space left on device)' >&2; exit 100");
        _folder.Script("bin/apt-get", File.ReadAllText(_folder.File("bin/apt-get")).Replace("E: no such list", "E: Write error - write (28: No space left on device)", StringComparison.Ordinal));
        return Fails(_apt.Environment, "no space is left for the image", "XDG_CACHE_HOME");
    }

    [Fact]
    public Task A_damaged_package_is_told()
    {
        _folder.Script("bin/dpkg-deb", "#!/bin/sh\necho \"dpkg-deb: error: '$2' is not a Debian format archive\" >&2; exit 2\n");
        return Fails(_apt.Environment, "could not be unpacked", "is not a Debian format archive");
    }

    [Fact]
    public Task A_cache_that_is_a_file_is_told()
    {
        File.WriteAllText(_folder.File("file"), "");
        return Fails(With(("XDG_CACHE_HOME", _folder.File("file"))), "XDG_CACHE_HOME", leavesStore: false);
    }

    [Fact]
    public Task A_cache_on_a_read_only_file_system_is_told() =>
        // procfs: folders there are made by nobody, root included.
        Fails(With(("XDG_CACHE_HOME", "/proc/self")), "XDG_CACHE_HOME", leavesStore: false);

    [Fact]
    public Task A_user_without_a_home_is_told() => Fails(With(("XDG_CACHE_HOME", null), ("HOME", null)), "neither HOME nor XDG_CACHE_HOME", leavesStore: false);

    [Theory]
    [InlineData(PosixSignal.SIGINT, 130)]
    [InlineData(PosixSignal.SIGTERM, 143)]
    [InlineData(PosixSignal.SIGHUP, 129)]
    public async Task A_signal_during_the_fetch_ends_it_and_leaves_nothing(PosixSignal signal, int code)
    {
        _apt.Behave("echo $$ >\"$0.pid\"; exec /bin/sleep 600");
        using var build = LaminaProgram.Start(["image", "build"], _apt.Environment);
        await build.SaidAsync("Fetching linux-image");
        while (!File.Exists(_folder.File("bin/apt-get.pid"))) await Task.Yield();

        build.Signal(signal);
        var outcome = await build.EndAsync();

        Assert.Equal(code, outcome.ExitCode);
        Assert.DoesNotContain("Exception", outcome.Errors, StringComparison.Ordinal);
        Assert.Equal([".tiny.lock"], Directory.EnumerateFileSystemEntries(_apt.Images).Select(Path.GetFileName));
        var fetcher = File.ReadAllText(_folder.File("bin/apt-get.pid")).Trim();
        Assert.False(Directory.Exists($"/proc/{fetcher}") && !File.ReadAllText($"/proc/{fetcher}/stat").Contains(") Z ", StringComparison.Ordinal), "apt-get goes on");
    }

    [Fact]
    public async Task After_an_interrupted_fetch_the_next_one_succeeds()
    {
        _apt.Behave("exec /bin/sleep 600");
        using (var build = LaminaProgram.Start(["image", "build"], _apt.Environment))
        {
            await build.SaidAsync("Fetching linux-image");
            // SIGKILL: nothing can be cleaned up.
            System.Diagnostics.Process.GetProcessById(build.Id).Kill(entireProcessTree: true);
            await build.EndAsync();
        }
        Assert.True(Directory.Exists(Path.Combine(_apt.Images, ".scratch-tiny")));
        _apt.Behave();

        Assert.Equal(0, (await Lamina("image", "build")).ExitCode);
        Assert.Equal([".tiny.lock", "tiny"], Directory.EnumerateFileSystemEntries(_apt.Images).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Two_first_uses_at_once_fetch_once()
    {
        var runs = await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => LaminaProgram.RunAsync(["run"], _apt.Environment)));

        Assert.All(runs, run => Assert.Equal(2, run.ExitCode));
        Assert.Equal(4, _apt.Downloads);
    }

    [Theory]
    [InlineData("--memory", "1M")]
    [InlineData("--cpus", "1000")]
    [InlineData("--net", "user,mtu=1")]
    [InlineData("--gdb", "x")]
    [InlineData("--share", "/nonexistent:a")]
    public async Task Nothing_is_fetched_for_a_machine_that_cannot_be(params string[] words)
    {
        Assert.Equal(2, (await Lamina(["run", .. words])).ExitCode);

        Assert.Equal(0, _apt.Downloads);
    }

    private Task<Outcome> Lamina(params string[] words) => LaminaProgram.RunAsync(words, _apt.Environment);

    private Dictionary<string, string?> With(params (string Name, string? Value)[] changes)
    {
        var environment = _apt.Environment;
        foreach (var (name, value) in changes) environment[name] = value;
        return environment;
    }

    private async Task Fails(Dictionary<string, string?> environment, string sentence, string advice = "", bool leavesStore = true)
    {
        var outcome = await LaminaProgram.RunAsync(["image", "build"], environment);

        Assert.Equal(1, outcome.ExitCode);
        Assert.Empty(outcome.Output);
        var line = outcome.ErrorLines[^1];
        Assert.StartsWith("lamina: ", line, StringComparison.Ordinal);
        Assert.Contains(sentence, line, StringComparison.Ordinal);
        Assert.Contains(advice, line, StringComparison.Ordinal);
        if (leavesStore) Assert.Equal([".tiny.lock"], Directory.EnumerateFileSystemEntries(_apt.Images).Select(Path.GetFileName));
    }
}
