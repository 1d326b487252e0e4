// The program where a system keeps such: what is put there works, is replaced by a later one and removed without a rest, and what there
// is besides stays.
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class InstallTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task What_is_installed_runs_and_is_gone_again_with_its_folders()
    {
        var prefix = _folder.Folder("prefix");
        Directory.CreateDirectory(Path.Combine(prefix, "bin"));
        await File.WriteAllTextAsync(Path.Combine(prefix, "bin/other"), "stays", TestContext.Current.CancellationToken);

        var installed = await LaminaProgram.RunAsync(["install", "--prefix", prefix]);

        Assert.Equal(0, installed.ExitCode);
        Assert.Contains($"{prefix}/bin is not in PATH", installed.Errors, StringComparison.Ordinal);
        var program = Path.Combine(prefix, "bin/lamina");
        var version = await LaminaProgram.RunAsync(["--version"]);
        Assert.Equal(version.Output, (await HostProcess.RunAsync(program, ["--version"])).Output);
        Assert.Contains("_lamina", await File.ReadAllTextAsync(Path.Combine(prefix, "share/bash-completion/completions/lamina"), TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Contains($"ExecStart=\"{program}\" start %i\n", await File.ReadAllTextAsync(Path.Combine(prefix, "lib/systemd/system/lamina@.service"), TestContext.Current.CancellationToken), StringComparison.Ordinal);

        // The installed program knows where it is.
        var removed = await HostProcess.RunAsync(program, ["uninstall"]);

        Assert.Equal((0, ""), (removed.ExitCode, removed.Errors));
        Assert.Equal([Path.Combine(prefix, "bin"), Path.Combine(prefix, "bin/other")], Directory.EnumerateFileSystemEntries(prefix, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal));
        var again = await LaminaProgram.RunAsync(["uninstall", "--prefix", prefix]);
        Assert.Equal((2, $"lamina: lamina is not installed below {prefix}; --prefix says where it is\n"), (again.ExitCode, again.Errors));
    }

    [Fact]
    public async Task A_later_version_takes_away_what_it_has_no_more()
    {
        var prefix = _folder.Folder("prefix");
        Assert.Equal(0, (await LaminaProgram.RunAsync(["install", "--prefix", prefix])).ExitCode);
        var (list, old) = (Path.Combine(prefix, "share/lamina/installed"), Path.Combine(prefix, "share/man/man1/lamina-fly.1"));
        await File.AppendAllTextAsync(list, "share/man/man1/lamina-fly.1\n", TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(old, "", TestContext.Current.CancellationToken);

        Assert.Equal(0, (await LaminaProgram.RunAsync(["install", "--prefix", prefix])).ExitCode);

        Assert.False(File.Exists(old));
        Assert.DoesNotContain("lamina-fly", await File.ReadAllTextAsync(list, TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Equal(0, (await LaminaProgram.RunAsync(["uninstall", "--prefix", prefix])).ExitCode);
        Assert.Empty(Directory.EnumerateFileSystemEntries(prefix));
    }

    [Theory]
    [InlineData("../../outside")]
    [InlineData("/outside")]
    [InlineData("")]
    public async Task A_damaged_list_removes_nothing_elsewhere(string line)
    {
        var prefix = _folder.Folder("a/b/prefix");
        Directory.CreateDirectory(Path.Combine(prefix, "share/lamina"));
        await File.WriteAllTextAsync(_folder.File("a/outside"), "stays", TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(prefix, "share/lamina/installed"), $"bin/lamina\n{line}\n", TestContext.Current.CancellationToken);

        var outcome = await LaminaProgram.RunAsync(["uninstall", "--prefix", prefix]);

        Assert.Equal(1, outcome.ExitCode);
        Assert.Contains("is damaged", Assert.Single(outcome.ErrorLines), StringComparison.Ordinal);
        Assert.True(File.Exists(_folder.File("a/outside")));
    }

    [Fact]
    public async Task A_folder_in_which_systemd_starts_nothing_is_refused()
    {
        var outcome = await LaminaProgram.RunAsync(["install", "--prefix", _folder.File("it's")]);

        Assert.Equal((2, $"lamina: --prefix: '{_folder.File("it's")}' has quotes, backslashes or control characters, and systemd starts no program there; name another folder\n"), (outcome.ExitCode, outcome.Errors));
        Assert.False(Path.Exists(_folder.File("it's")));
    }

    [Fact]
    public async Task Where_nothing_can_be_written_one_sentence_says_so()
    {
        await File.WriteAllTextAsync(_folder.File("file"), "", TestContext.Current.CancellationToken);

        var outcome = await LaminaProgram.RunAsync(["install", "--prefix", _folder.File("file/prefix")]);

        Assert.Equal(1, outcome.ExitCode);
        _ = Assert.Single(outcome.ErrorLines);
    }

    [Fact]
    public async Task Manual_pages_are_what_man_understands()
    {
        if (!File.Exists("/usr/bin/groff")) Assert.Skip("groff is not installed, which would look at the manual pages; apt-get install groff-base");
        var prefix = _folder.Folder("prefix");
        Assert.Equal(0, (await LaminaProgram.RunAsync(["install", "--prefix", prefix])).ExitCode);
        var pages = Directory.GetFiles(Path.Combine(prefix, "share/man/man1"));
        Assert.Contains(pages, page => page.EndsWith("/lamina-run.1", StringComparison.Ordinal));

        foreach (var page in pages)
        {
            var shown = await HostProcess.RunAsync("/usr/bin/groff", ["-man", "-ww", "-Tascii", page]);
            Assert.True(shown.ExitCode == 0 && !shown.ErrorLines.Any(line => !line.Contains("can't find special character", StringComparison.Ordinal)), $"{page}: {shown.Errors}");
        }
        Assert.Contains("--memory SIZE", (await HostProcess.RunAsync("/usr/bin/groff", ["-man", "-Tascii", "-P-cbou", pages.Single(page => page.EndsWith("/lamina-run.1", StringComparison.Ordinal))])).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Systemd_takes_the_units_as_they_are()
    {
        if (!File.Exists("/usr/bin/systemd-analyze")) Assert.Skip("systemd-analyze is not installed, which would look at the units; apt-get install systemd");
        var prefix = _folder.Folder("a prefix, 100%");
        Assert.Equal(0, (await LaminaProgram.RunAsync(["install", "--prefix", prefix])).ExitCode);

        foreach (var kind in (string[])["system", "user"])
        {
            var verdict = await HostProcess.RunAsync("/usr/bin/systemd-analyze", ["--man=no", kind == "user" ? "--user" : "--system", "verify", Path.Combine(prefix, $"lib/systemd/{kind}/lamina@.service")], new Dictionary<string, string?> { ["XDG_RUNTIME_DIR"] = _folder.Path });
            Assert.DoesNotContain(verdict.ErrorLines, line => line.Contains("lamina@", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task A_machine_starts_with_the_host_where_systemd_is_asked_to()
    {
        _ = _folder.Script("bin/systemctl", $"#!/bin/sh\necho \"$*\" >>{_folder.File("asked")}\n");
        Assert.Equal(0, (await RunAsync("create", "web", "--kernel", Guest.In(_folder, Guest.Halts))).ExitCode);

        Assert.Equal(0, (await RunAsync("enable", "web")).ExitCode);
        Assert.Equal(0, (await RunAsync("disable", "web", "gone")).ExitCode);

        var user = Environment.IsPrivilegedProcess ? "" : "--user ";
        Assert.Equal([$"{user}cat lamina@.service", $"{user}enable lamina@web.service", $"{user}disable lamina@web.service lamina@gone.service"], await File.ReadAllLinesAsync(_folder.File("asked"), TestContext.Current.CancellationToken));
        var outcome = await RunAsync("enable", "nope");
        Assert.Equal((2, "lamina: there is no machine nope; 'lamina ps -a' shows those that there are\n"), (outcome.ExitCode, outcome.Errors));
    }

    [Theory]
    [InlineData("#!/bin/sh\necho 'No files found for lamina@.service.' >&2\nexit 1\n", "lamina: systemd does not know lamina@.service, by which machines start (No files found for lamina@.service); install the program first: 'lamina install'")]
    [InlineData("#!/bin/sh\ncase \"$*\" in *cat*) ;; *) echo 'System has not been booted with systemd.' >&2; exit 1; esac\n", "lamina: systemd refuses: System has not been booted with systemd")]
    [InlineData(null, "lamina: there is no systemctl here, so nothing starts machines with the host; have what starts your host's programs run 'lamina start NAME'")]
    public async Task Without_systemd_a_sentence_says_so(string? systemctl, string sentence)
    {
        _ = _folder.Folder("bin");
        if (systemctl is not null) _ = _folder.Script("bin/systemctl", systemctl);
        Assert.Equal(0, (await RunAsync("create", "web", "--kernel", Guest.In(_folder, Guest.Halts))).ExitCode);

        var outcome = await RunAsync("enable", "web");

        Assert.Equal((1, sentence), (outcome.ExitCode, Assert.Single(outcome.ErrorLines)));
    }

    private Task<Outcome> RunAsync(params string[] words) => LaminaProgram.RunAsync(words, new Dictionary<string, string?>
    {
        ["LAMINA_HOME"] = _folder.File("home"),
        ["PATH"] = _folder.File("bin"),
    });
}
