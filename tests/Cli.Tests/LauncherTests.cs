// ./lamina itself, in a copy of the house with a compiler made of a shell script: when it builds, what it leaves, what it says.
using System.Runtime.InteropServices;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class LauncherTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public LauncherTests()
    {
        _folder.Folder("house/src/Lamina.Cli");
        File.WriteAllText(_folder.File("house/src/Lamina.Cli/Program.cs"), "1");
        foreach (var name in (string[])["global.json", "Directory.Build.props", "Directory.Packages.props"]) File.WriteAllText(_folder.File($"house/{name}"), "");
        var launcher = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(launcher!.FullName, "Lamina.slnx"))) launcher = launcher.Parent;
        _folder.Script("house/lamina", File.ReadAllText(Path.Combine(launcher.FullName, "lamina")));
        Compile();
    }

    private string Build => _folder.File("house/.build");

    private int Builds => File.Exists(_folder.File("builds")) ? File.ReadAllLines(_folder.File("builds")).Length : 0;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task The_first_use_builds_and_the_second_does_not()
    {
        var first = await Lamina("run", "two words");
        var second = await Lamina("run", "two words");

        Assert.Equal((0, "version 1: run,two words,\n", "lamina: building (once; again only when a source changes)\n"), (first.ExitCode, first.Output, first.Errors));
        Assert.Equal((0, "version 1: run,two words,\n", ""), (second.ExitCode, second.Output, second.Errors));
        Assert.Equal(1, Builds);
    }

    [Theory]
    [InlineData("src/Lamina.Cli/Program.cs")]
    [InlineData("src/Lamina.Cli/New.cs")]
    [InlineData("Directory.Build.props")]
    [InlineData("global.json")]
    public async Task A_source_that_changed_is_built_even_with_an_old_date(string source)
    {
        await Lamina();
        File.WriteAllText(_folder.File($"house/{source}"), "2");
        File.SetLastWriteTimeUtc(_folder.File($"house/{source}"), DateTime.UnixEpoch);

        Assert.Contains("building", (await Lamina()).Errors, StringComparison.Ordinal);
        Assert.Empty((await Lamina()).Errors);
        Assert.Equal(2, Builds);
    }

    [Fact]
    public async Task A_source_that_is_gone_is_noticed()
    {
        File.WriteAllText(_folder.File("house/src/Lamina.Cli/Old.cs"), "");
        await Lamina();
        File.Delete(_folder.File("house/src/Lamina.Cli/Old.cs"));

        await Lamina();

        Assert.Equal(2, Builds);
    }

    [Fact]
    public async Task Output_of_a_development_build_is_no_source()
    {
        _folder.Folder("house/src/Lamina.Cli/obj");
        await Lamina();
        File.WriteAllText(_folder.File("house/src/Lamina.Cli/obj/project.assets.json"), "");

        await Lamina();

        Assert.Equal(1, Builds);
    }

    [Fact]
    public async Task The_house_may_be_anywhere_and_be_called_through_a_link()
    {
        File.CreateSymbolicLink(_folder.File("link"), _folder.File("house/lamina"));

        var outcome = await HostProcess.RunAsync(_folder.File("link"), ["x"], Environment, "/");

        Assert.Equal("version 1: x,\n", outcome.Output);
    }

    [Fact]
    public async Task A_build_that_fails_shows_the_compilers_errors_and_tries_again_next_time()
    {
        await Lamina();
        Compile($"echo '{_folder.File("house")}/src/Lamina.Cli/Program.cs(1,2): error CS1002: ; expected [{_folder.File("house")}/src/Lamina.Cli/Lamina.Cli.csproj]'; echo '    1 Warning(s)'; exit 1");
        File.WriteAllText(_folder.File("house/src/Lamina.Cli/Program.cs"), "2");

        for (var round = 0; round < 2; round++)
        {
            var outcome = await Lamina();

            Assert.Equal((1, ""), (outcome.ExitCode, outcome.Output));
            Assert.Equal("src/Lamina.Cli/Program.cs(1,2): error CS1002: ; expected", outcome.ErrorLines[1]);
            Assert.StartsWith("lamina: the build failed", outcome.ErrorLines[2], StringComparison.Ordinal);
            Assert.Equal(3, outcome.ErrorLines.Length);
        }
        Assert.Single(Directory.EnumerateDirectories(Build, "app-*"));
    }

    [Fact]
    public async Task Where_the_ahead_of_time_compiler_cannot_be_had_the_build_goes_on_without_it()
    {
        Compile(before: "[[ $* != *PublishReadyToRun=true* ]] || { echo 'error NU1102: Unable to find package microsoft.netcore.app.Crossgen2.linux-x64'; exit 1; }");

        var outcome = await Lamina("x");

        Assert.Equal((0, "version 1: x,\n"), (outcome.ExitCode, outcome.Output));
        Assert.Single(outcome.ErrorLines);
        Assert.Equal(2, Builds);
    }

    [Fact]
    public async Task Without_the_SDK_one_line_says_what_to_install()
    {
        var path = Environment.With("PATH", ToolsWithoutDotnet());

        var outcome = await HostProcess.RunAsync(_folder.File("house/lamina"), [], path);

        Assert.Equal(1, outcome.ExitCode);
        Assert.Contains("the .NET 10 SDK is missing; install it", Assert.Single(outcome.ErrorLines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_runtime_without_the_SDK_is_the_same()
    {
        Compile("echo 'The application build does not exist.'; echo 'No .NET SDKs were found.'; exit 145");

        Assert.Contains("the .NET 10 SDK is missing; install it", (await Lamina()).ErrorLines[^1], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(PosixSignal.SIGINT, 130)]
    [InlineData(PosixSignal.SIGTERM, 143)]
    [InlineData(PosixSignal.SIGHUP, 129)]
    public async Task An_interrupted_build_leaves_nothing_half_made(PosixSignal signal, int code)
    {
        Compile("echo $$ >\"$0.pid\"; exec sleep 600");
        using (var process = HostProcess.Start(_folder.File("house/lamina"), [], Environment))
        {
            await process.SaidAsync("building");
            while (!File.Exists(_folder.File("bin/dotnet.pid"))) await Task.Yield();
            process.Signal(signal);
            Assert.Equal(code, (await process.EndAsync()).ExitCode);
        }
        Assert.Equal(["lock", "log"], Directory.EnumerateFileSystemEntries(Build).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Compile();

        Assert.Equal("version 1: x,\n", (await Lamina("x")).Output);
    }

    [Fact]
    public async Task What_a_killed_build_left_is_removed_by_the_next()
    {
        _folder.Folder("house/.build/app-1-1");
        File.WriteAllText(_folder.File("house/.build/new-1.stamp"), "");

        await Lamina();

        Assert.Single(Directory.EnumerateDirectories(Build, "app-*"));
        Assert.Empty(Directory.EnumerateFileSystemEntries(Build, "new-*"));
    }

    [Fact]
    public async Task First_uses_at_once_build_once()
    {
        Compile(before: "sleep 0.3");

        var uses = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Lamina("x")));

        Assert.All(uses, use => Assert.Equal((0, "version 1: x,\n"), (use.ExitCode, use.Output)));
        Assert.Equal(1, Builds);
    }

    [Fact]
    public async Task A_program_that_still_runs_keeps_its_files()
    {
        // A shell as the program: its own file is mapped while it runs.
        Compile(program: $"cp {new FileInfo("/bin/sh").ResolveLinkTarget(true)?.FullName ?? "/bin/sh"} \"$out/lamina\"");
        using var running = HostProcess.Start(_folder.File("house/lamina"), ["-c", "echo up >&2; sleep 600; :"], Environment);
        await running.SaidAsync("up");
        var inUse = Directory.EnumerateDirectories(Build, "app-*").Single();
        Compile();
        File.WriteAllText(_folder.File("house/src/Lamina.Cli/Program.cs"), "2");

        await Lamina();

        Assert.True(Directory.Exists(inUse));
        Assert.Equal(2, Directory.EnumerateDirectories(Build, "app-*").Count());
    }

    [Fact]
    public async Task A_program_that_dies_leaves_the_terminal_as_it_was()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/script"), "script (bsdutils) is not installed on this host");
        Compile(program: "printf '#!/bin/bash\\nstty raw -echo; kill -9 $$\\n' >\"$out/lamina\"");
        await Lamina();
        const string session = "before=$(stty -g); \"$L\" run; for i in 1 2 3 4 5 6 7 8 9; do [ \"$(stty -g)\" = \"$before\" ] && exec echo restored; sleep 0.2; done; echo raw";

        var outcome = await HostProcess.RunAsync("/usr/bin/script", ["-qec", session, "/dev/null"], Environment.With("L", _folder.File("house/lamina")));

        Assert.Contains("restored", outcome.Output, StringComparison.Ordinal);
    }

    private Dictionary<string, string?> Environment => new() { ["PATH"] = $"{_folder.File("bin")}:/usr/bin:/bin", ["DOTNET_ROOT"] = null };

    private Task<Outcome> Lamina(params string[] words) => HostProcess.RunAsync(_folder.File("house/lamina"), words, Environment);

    // Sets what "dotnet build" does.
    private void Compile(string? instead = null, string before = ":", string program = "printf '#!/bin/sh\\nprintf \"version '$(cat \"$2/Program.cs\")': \"; printf \"%%s,\" \"$@\"; echo\\n' >\"$out/lamina\"") => _folder.Script("bin/dotnet", $$"""
        #!/bin/bash
        echo build >>'{{_folder.File("builds")}}'
        {{instead ?? before}}
        while [[ $1 != --artifacts-path ]]; do [[ $1 != */src/Lamina.Cli ]] || source=$1; shift; done
        out=$2/publish/Lamina.Cli/release
        set -- build "$source"
        mkdir -p "$out"
        {{program}}
        chmod +x "$out/lamina"

        """);

    private string ToolsWithoutDotnet()
    {
        var tools = _folder.Folder("tools");
        foreach (var name in (string[])["bash", "find", "readlink", "flock", "mkdir", "rm", "stty", "grep"])
            File.CreateSymbolicLink(Path.Combine(tools, name), new[] { $"/usr/bin/{name}", $"/bin/{name}" }.First(File.Exists));
        return tools;
    }
}

file static class Environments
{
    public static Dictionary<string, string?> With(this Dictionary<string, string?> environment, string name, string? value)
    {
        environment[name] = value;
        return environment;
    }
}
