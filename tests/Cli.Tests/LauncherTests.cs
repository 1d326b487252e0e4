// ./lamina itself, in a copy of the house with compilers made of shell scripts: when it builds, what it leaves, what it says.
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
        Linker(works: true);
    }

    private string Build => _folder.File("house/.build");

    private int Builds => File.Exists(_folder.File("builds")) ? File.ReadAllLines(_folder.File("builds")).Length : 0;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task The_first_use_builds_and_the_second_does_not()
    {
        var first = await Lamina("run", "two words");
        var second = await Lamina("run", "two words");

        Assert.Equal((0, "version 1: run,two words,\n"), (first.ExitCode, first.Output));
        Assert.StartsWith("lamina: building (once; again only when a source changes)", first.ErrorLines[0], StringComparison.Ordinal);
        Assert.Matches("^lamina: built in [0-9]+ s: native code$", first.ErrorLines[^1]);
        Assert.Equal((0, "version 1: run,two words,\n", ""), (second.ExitCode, second.Output, second.Errors));
        Assert.Equal(1, Builds);
    }

    [Fact]
    public async Task A_later_build_says_how_long_the_last_one_took()
    {
        var first = await Lamina();
        File.WriteAllText(_folder.File("house/src/Lamina.Cli/Program.cs"), "2");

        var second = await Lamina();

        Assert.Equal("lamina: building (once; again only when a source changes); this takes a minute or two", first.ErrorLines[0]);
        Assert.Matches("^lamina: building \\(once; again only when a source changes\\); it took [0-9]+ s last time$", second.ErrorLines[0]);
    }

    [Fact]
    public async Task A_user_whose_home_is_not_there_can_build_and_run()
    {
        var missing = _folder.File("no-home");
        // Each part is built in its own folder.
        Compile(before: "[[ $HOME == /* && -d $HOME ]] || exit 1", program: "printf '#!/bin/sh\necho \"$HOME\"\n' >\"$out/lamina\"");

        var outcome = await HostProcess.RunAsync("/bin/sh", ["-c", "cd \"$1\" && ./lamina", "sh", _folder.File("house")], Environment.With("HOME", missing));

        Assert.Equal((0, missing + "\n"), (outcome.ExitCode, outcome.Output));
        Assert.False(Directory.Exists(missing));
    }

    [Fact]
    public async Task What_is_being_done_is_said_while_it_is_done()
    {
        // The compiler goes on when each step has been said.
        Compile(before: $$"""
            step() { until [[ -e '{{_folder.Path}}/said'$1 ]]; do sleep 0.1; done; }
            step 0; echo '  Restored src/Lamina.Cli/Lamina.Cli.csproj (in 2 sec).'
            step 1; echo '  Lamina.Core -> bin/Lamina.Core.dll'
            step 2; echo '  Generating native code'
            step 3
            """);
        File.WriteAllText(Path.Combine(_folder.Folder("house/src/Lamina.Core"), "Lamina.Core.csproj"), "");
        File.WriteAllText(_folder.File("house/src/Lamina.Cli/Lamina.Cli.csproj"), "");
        using var build = HostProcess.Start(_folder.File("house/lamina"), ["x"], Environment);

        string[] steps = ["fetching packages", "compiling, 0 of 2 parts done", "compiling, 1 of 2 parts done", "making native code"];
        for (var step = 0; step < steps.Length; step++)
        {
            await build.SaidAsync($"lamina: {steps[step]}\n");
            File.WriteAllText(_folder.File($"said{step}"), "");
        }
        var outcome = await build.EndAsync();

        Assert.Equal((0, "version 1: x,\n"), (outcome.ExitCode, outcome.Output));
        Assert.Equal(steps, outcome.ErrorLines[1..^1].Select(line => line["lamina: ".Length..]));
    }

    [Theory]
    [InlineData(true, "-p:PublishAot=true")]
    [InlineData(false, "-p:PublishReadyToRun=true")]
    public async Task Every_processor_builds_and_what_audits_say_is_no_error(bool linker, string kind)
    {
        Linker(linker);

        await Lamina();

        var words = Assert.Single(File.ReadAllLines(_folder.File("builds"))).Split(' ');
        Assert.Contains(kind, words);
        Assert.Contains("-maxcpucount", words);
        Assert.Contains("-p:UseSharedCompilation=true", words);
        Assert.Contains("-p:NuGetAudit=false", words);
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
    public async Task Completion_builds_nothing()
    {
        var before = await Lamina("[suggest:7]", "lamina ");
        await Lamina();
        File.WriteAllText(_folder.File("house/src/Lamina.Cli/Program.cs"), "2");
        var after = await Lamina("[suggest:7]", "lamina ");

        Assert.Equal((1, "", ""), (before.ExitCode, before.Output, before.Errors));
        Assert.Equal((0, "version 1: [suggest:7],lamina ,\n", ""), (after.ExitCode, after.Output, after.Errors));
        Assert.Equal(1, Builds);
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

    [Theory]
    [InlineData("src/Lamina.Cli/obj/project.assets.json")]
    [InlineData("src/Lamina.Cli/bin/Debug/lamina")]
    [InlineData("src/.idea/workspace.xml")]
    [InlineData("src/Lamina.Cli/Lamina.Cli.csproj.user")]
    [InlineData("src/Lamina.Cli/.Program.cs.swp")]
    [InlineData("src/Lamina.Cli/Program.cs~")]
    public async Task What_compilers_and_editors_leave_is_no_source(string file)
    {
        await Lamina();
        _folder.Folder($"house/{Path.GetDirectoryName(file)}");
        File.WriteAllText(_folder.File($"house/{file}"), "");

        await Lamina();

        Assert.Equal(1, Builds);
    }

    [Fact]
    public async Task A_source_that_was_only_touched_is_not_built_again()
    {
        await Lamina();
        File.SetLastWriteTimeUtc(_folder.File("house/src/Lamina.Cli/Program.cs"), DateTime.UtcNow);

        Assert.Empty((await Lamina()).Errors);
        Assert.Equal(1, Builds);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Build, "looked-*"));
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
            Assert.Equal("src/Lamina.Cli/Program.cs(1,2): error CS1002: ; expected", Assert.Single(outcome.ErrorLines, line => !line.StartsWith("lamina: ", StringComparison.Ordinal)));
            Assert.StartsWith("lamina: the build failed", outcome.ErrorLines[^1], StringComparison.Ordinal);
        }
        Assert.Single(Directory.EnumerateDirectories(Build, "app-*"));
    }

    [Fact]
    public async Task Without_a_linker_the_program_is_built_for_the_runtime_and_anew_when_one_came()
    {
        Linker(works: false);

        var without = await Lamina("x");
        var again = await Lamina("x");
        Linker(works: true);
        var with = await Lamina("x");

        Assert.Equal((0, "version 1: x,\n"), (without.ExitCode, without.Output));
        Assert.Matches("^lamina: built in [0-9]+ s: ReadyToRun code, because native code wants a linker: apt-get install gcc libc6-dev$", without.ErrorLines[^1]);
        Assert.Empty(again.Errors);
        Assert.EndsWith("native code", with.ErrorLines[^1], StringComparison.Ordinal);
        Assert.Equal(2, Builds);
    }

    [Theory]
    [InlineData("PublishAot", "ReadyToRun code, because the compiler for native code cannot be had from NuGet", 2)]
    [InlineData("PublishAot PublishReadyToRun", "portable code, because the compiler for ReadyToRun code cannot be had from NuGet", 3)]
    public async Task Where_a_compiler_cannot_be_had_the_build_goes_on_without_it(string missing, string said, int builds)
    {
        Compile(before: $"for kind in {missing}; do [[ $* != *$kind=true* ]] || {{ echo 'error NU1102: Unable to find package'; exit 1; }}; done");

        var outcome = await Lamina("x");

        Assert.Equal((0, "version 1: x,\n"), (outcome.ExitCode, outcome.Output));
        Assert.EndsWith(said, outcome.ErrorLines[^1], StringComparison.Ordinal);
        Assert.Equal(builds, Builds);
    }

    [Fact]
    public async Task Where_the_native_compiler_fails_the_runtime_does()
    {
        Compile(before: "[[ $* != *PublishAot=true* ]] || { echo 'error MSB3073: The command \"ilc\" exited with code 137.'; exit 1; }");

        var outcome = await Lamina("x");

        Assert.Equal("version 1: x,\n", outcome.Output);
        Assert.Contains("ReadyToRun code, because making native code failed", outcome.ErrorLines[^1], StringComparison.Ordinal);
        Assert.Contains("137", File.ReadAllText(_folder.File("house/.build/log.native")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("CS1002")]
    [InlineData("IL3050")]
    public async Task What_is_wrong_with_the_sources_is_not_worked_around(string error)
    {
        Compile($"echo 'Program.cs(1,2): error {error}: wrong'; exit 1");

        Assert.Equal(1, (await Lamina()).ExitCode);
        Assert.Equal(1, Builds);
    }

    [Fact]
    public async Task Without_a_network_the_program_that_was_built_before_is_used()
    {
        Compile("echo 'error NU1301: Unable to load the service index'; exit 1");
        var first = await Lamina("x");
        Compile();
        await Lamina();
        Compile("echo 'error NU1301: Unable to load the service index'; exit 1");
        File.WriteAllText(_folder.File("house/src/Lamina.Cli/Program.cs"), "2");

        var second = await Lamina("x");

        Assert.Equal((1, ""), (first.ExitCode, first.Output));
        Assert.StartsWith("lamina: the packages that a build needs cannot be had", first.ErrorLines[^1], StringComparison.Ordinal);
        Assert.Equal((0, "version 1: x,\n"), (second.ExitCode, second.Output));
        Assert.Matches("^lamina: the sources have changed, but .*; the program that was built before is used$", second.ErrorLines[^1]);
    }

    [Fact]
    public async Task Without_the_SDK_the_program_that_was_built_before_is_used()
    {
        await Lamina();
        File.WriteAllText(_folder.File("house/src/Lamina.Cli/Program.cs"), "2");

        var outcome = await HostProcess.RunAsync(_folder.File("house/lamina"), ["x"], Environment.With("PATH", ToolsWithoutDotnet()));

        Assert.Equal((0, "version 1: x,\n"), (outcome.ExitCode, outcome.Output));
        Assert.Contains("but the .NET 10 SDK is missing", Assert.Single(outcome.ErrorLines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_permission_to_write_the_program_that_was_built_before_is_used()
    {
        const string nobody = "65534";
        Assert.SkipUnless(System.Environment.IsPrivilegedProcess, "only root can run as another user");
        await Lamina();
        File.SetUnixFileMode(_folder.Path, (UnixFileMode)0b111_101_101);
        File.WriteAllText(_folder.File("house/src/Lamina.Cli/Program.cs"), "2");

        var outcome = await HostProcess.RunAsync("setpriv", ["--reuid", nobody, "--regid", nobody, "--clear-groups", _folder.File("house/lamina"), "x"], Environment);

        Assert.Equal((0, "version 1: x,\n"), (outcome.ExitCode, outcome.Output));
        Assert.Contains("but cannot write to", Assert.Single(outcome.ErrorLines), StringComparison.Ordinal);
        Assert.Equal(1, Builds);
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
        Compile("sleep 600 & echo $! >\"$0.child\"; echo $$ >\"$0.pid\"; wait");
        using (var process = HostProcess.Start(_folder.File("house/lamina"), [], Environment))
        {
            await process.SaidAsync("building");
            // The file is there before the number is in it.
            while (!File.Exists(_folder.File("bin/dotnet.pid")) || File.ReadAllText(_folder.File("bin/dotnet.pid")).Length == 0) await Task.Yield();
            process.Signal(signal);
            Assert.Equal(code, (await process.EndAsync()).ExitCode);
        }
        await GoneAsync("bin/dotnet.pid");
        await GoneAsync("bin/dotnet.child");
        Assert.Equal(["lock", "log", "unfinished"], Directory.EnumerateFileSystemEntries(Build).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Compile();

        Assert.Equal("version 1: x,\n", (await Lamina("x")).Output);
    }

    [Fact]
    public async Task What_an_interrupted_compiler_was_writing_is_not_used()
    {
        const string half = "house/.build/artifacts/obj/lamina.o";
        await Lamina();
        _folder.Folder("house/.build/artifacts/obj");
        File.WriteAllText(_folder.File(half), "");
        File.WriteAllText(_folder.File("house/src/Lamina.Cli/Program.cs"), "2");
        await Lamina();
        Assert.True(File.Exists(_folder.File(half)));

        // As a build leaves it that was killed.
        File.WriteAllText(_folder.File("house/.build/unfinished"), "");
        File.WriteAllText(_folder.File("house/src/Lamina.Cli/Program.cs"), "3");
        var outcome = await Lamina("x");

        Assert.Equal("version 3: x,\n", outcome.Output);
        Assert.False(File.Exists(_folder.File(half)));
        Assert.False(File.Exists(_folder.File("house/.build/unfinished")));
    }

    [Fact]
    public async Task The_compiler_of_a_killed_build_is_waited_for()
    {
        Compile("echo $$ >\"$0.pid\"; exec sleep 600");
        using var killed = HostProcess.Start(_folder.File("house/lamina"), [], Environment);
        await killed.SaidAsync("building");
        while (!File.Exists(_folder.File("bin/dotnet.pid")) || File.ReadAllText(_folder.File("bin/dotnet.pid")).Length == 0) await Task.Yield();
        killed.Signal((PosixSignal)9);
        Compile();

        using var next = HostProcess.Start(_folder.File("house/lamina"), ["x"], Environment);
        await next.SaidAsync("waiting for another build");
        System.Diagnostics.Process.GetProcessById(int.Parse(File.ReadAllText(_folder.File("bin/dotnet.pid")))).Kill();

        Assert.Equal("version 1: x,\n", (await next.EndAsync()).Output);
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

    // Until the process whose number a file holds has ended.
    private async Task GoneAsync(string file)
    {
        var state = $"/proc/{File.ReadAllText(_folder.File(file)).Trim()}/stat";
        for (var tries = 0; tries < 600 && File.Exists(state) && !File.ReadAllText(state).Contains(") Z", StringComparison.Ordinal); tries++) await Task.Delay(100);
        Assert.True(!File.Exists(state) || File.ReadAllText(state).Contains(") Z", StringComparison.Ordinal));
    }

    // A C compiler that makes programs, or one that lacks what it needs for that.
    private void Linker(bool works)
    {
        foreach (var name in (string[])["gcc", "clang"]) _folder.Script($"bin/{name}", $"#!/bin/sh\nexit {(works ? 0 : 1)}\n");
        _folder.Script("bin/apt-get", "#!/bin/sh\nexit 1\n");
    }

    // Sets what "dotnet publish" does.
    private void Compile(string? instead = null, string before = ":", string program = "printf '#!/bin/sh\\nprintf \"version '$(cat \"$2/Program.cs\")': \"; printf \"%%s,\" \"$@\"; echo\\n' >\"$out/lamina\"") => _folder.Script("bin/dotnet", $$"""
        #!/bin/bash
        echo "$*" >>'{{_folder.File("builds")}}'
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
        foreach (var name in (string[])["bash", "find", "readlink", "flock", "mkdir", "rm", "mv", "stty", "grep", "sort", "xargs", "sha256sum"])
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
