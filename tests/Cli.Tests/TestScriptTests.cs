// ./test itself, in a house with compilers, package managers and test programs made of shell scripts: what it says and how it ends.
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class TestScriptTests : IDisposable
{
    // What tests use where it is there, and what the script itself is made of.
    private static readonly string[] Wanted = ["cpio", "shellcheck", "kill", "script", "qemu-img", "nbdkit", "nbdinfo", "strace", "qemu-system-x86_64", "socat", "iasl"];
    private static readonly string[] Own =
    [
        "awk", "basename", "bash", "cat", "dirname", "env", "find", "grep", "head", "mktemp", "nproc", "readlink", "rm", "sed", "sh", "sleep", "sort", "tail", "timeout", "tr", "uname", "xargs",
    ];

    private readonly TemporaryFolder _folder = new();

    public TestScriptTests()
    {
        var house = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(house!.FullName, "Lamina.slnx"))) house = house.Parent;
        _folder.Script("house/test", File.ReadAllText(Path.Combine(house.FullName, "test")));
        _folder.Script("house/lamina", "#!/bin/sh\n");
        _folder.Script("house/.build/app/lamina", "#!/bin/sh\n");
        File.WriteAllText(_folder.File("house/.build/app/kind"), "native\n");
        _folder.Folder("bin");
        foreach (var name in Own) File.CreateSymbolicLink(_folder.File($"bin/{name}"), new[] { $"/usr/bin/{name}", $"/bin/{name}" }.First(File.Exists));
        foreach (var name in Wanted) _folder.Script($"bin/{name}", "#!/bin/sh\n");
        _folder.Script("bin/dotnet", "#!/bin/sh\n");
        _folder.Script("bin/apt-get", "#!/bin/sh\nexit 1\n");
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task The_host_and_all_that_runs_is_shown_and_the_end_is_one_line_of_numbers()
    {
        Project("One.Tests", total: 7);
        Project("Two.Tests", total: 5, notRun: 2);

        var outcome = await RunAsync();

        Assert.Equal((0, ""), (outcome.ExitCode, outcome.Errors));
        var lines = outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.StartsWith("host: ", lines[0], StringComparison.Ordinal);
        Assert.StartsWith("host: ", lines[1], StringComparison.Ordinal);
        Assert.Equal("building the tests, and beside them the program", lines[2]);
        foreach (var shown in (string[])["^built the tests \\(", "^built the program \\(", "^run   One.Tests$", "^run   Two.Tests$", "^ok    One.Tests: 7 \\(", "^ok    Two.Tests: 3 \\(", "^ok    form of the C# sources$", "^ok    shell scripts$", "^ok    no paths of one machine$"])
            Assert.Single(lines, line => System.Text.RegularExpressions.Regex.IsMatch(line, shown));
        Assert.Equal("13 passed, 0 failed, 0 skipped", lines[^1]);
    }

    [Fact]
    public async Task A_project_alone_runs_without_the_other_checks()
    {
        Project("One.Tests", total: 7);
        Project("Two.Tests", total: 5);

        var outcome = await RunAsync("Two.Tests");

        Assert.Equal(0, outcome.ExitCode);
        Assert.DoesNotContain("One.Tests", outcome.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("form of", outcome.Output, StringComparison.Ordinal);
        Assert.EndsWith("\n5 passed, 0 failed, 0 skipped\n", outcome.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Equal_reasons_of_skips_are_one_line_with_their_number()
    {
        Project("One.Tests", total: 9, skips: [("House.One.FirstTests.A_thing(number: 1)", "no network"), ("House.One.FirstTests.A_thing(number: 2)", "no network"), ("House.One.SecondTests.Another", "no network")]);
        Project("Two.Tests", total: 4, skips: [("House.Two.ThirdTests.A", "took 17 of 3.5 s"), ("House.Two.ThirdTests.B", "took 2 of 1 s")]);

        var outcome = await RunAsync("One.Tests", "Two.Tests");

        Assert.Equal(0, outcome.ExitCode);
        var skips = outcome.Output.Split('\n').Where(line => line.StartsWith("skip", StringComparison.Ordinal)).ToArray();
        Assert.Equal(2, skips.Length);
        Assert.Contains("skip  3 × no network (FirstTests, SecondTests)", skips);
        // Measured numbers make no reasons of their own.
        Assert.Contains(skips, line => line is "skip  2 × took 17 of 3.5 s (ThirdTests)");
        Assert.EndsWith("\n8 passed, 0 failed, 5 skipped\n", outcome.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public async Task What_the_nested_test_runs_is_promised_only_where_it_ran(bool isThere, bool isSkipped)
    {
        const string reason = "the nested test runs it";
        Project("One.Tests", total: 2, skips: [("House.OneTests.A", reason)]);
        if (isThere) Project("Nested.Tests", total: 1, skips: isSkipped ? [("House.NestedTests.A", "no KVM")] : []);

        var outcome = await RunAsync();

        Assert.Equal(0, outcome.ExitCode);
        Assert.Contains($"skip  1 × {reason}{(isThere && !isSkipped ? "" : "; it did not run")} (OneTests)\n", outcome.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_test_that_fails_is_shown_and_ends_it_with_1()
    {
        Project("One.Tests", total: 3, failed: 1, skips: [("House.OneTests.Skipped", "no network")]);
        Project("Two.Tests", total: 2);

        var outcome = await RunAsync("One.Tests", "Two.Tests");

        Assert.Equal(1, outcome.ExitCode);
        Assert.Matches("FAIL  One.Tests: 1 of 3 \\([0-9]+ s, exit code 1\\)\n", outcome.Output);
        Assert.Contains("    House.One.Bad [FAIL]\n      Assert.True() Failure\n", outcome.Output, StringComparison.Ordinal);
        foreach (var passed in (string[])["House.One.Good", "no news"]) Assert.DoesNotContain(passed, outcome.Output, StringComparison.Ordinal);
        // Skips are told once, below.
        Assert.DoesNotContain("[SKIP]", outcome.Output, StringComparison.Ordinal);
        Assert.EndsWith("\n3 passed, 1 failed, 1 skipped\n", outcome.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("exit 139", "exit code 139")]
    [InlineData("echo '   One.Tests  Total: 3, Errors: 0, Failed: 0, Skipped: 0, Not Run: 0, Time: 0.1s'; exit 134", "exit code 134")]
    public async Task A_test_program_that_crashes_is_a_failure(string script, string said)
    {
        _folder.Script(ProgramOf("One.Tests"), $"#!/bin/sh\n{script}\n");

        var outcome = await RunAsync("One.Tests");

        Assert.Equal(1, outcome.ExitCode);
        Assert.Contains(said, outcome.Output, StringComparison.Ordinal);
        Assert.Contains(" 1 failed, ", outcome.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_the_tests_cannot_be_built_nothing_runs()
    {
        Project("One.Tests", total: 3);
        _folder.Script("bin/dotnet", "#!/bin/sh\necho 'Some.cs(1,2): error CS1002: ; expected [Some.csproj]'\nexit 1\n");

        var outcome = await RunAsync("One.Tests");

        Assert.Equal(1, outcome.ExitCode);
        Assert.Contains("Some.cs(1,2): error CS1002: ; expected\nFAIL  the build of the tests\n", outcome.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("run   One.Tests", outcome.Output, StringComparison.Ordinal);
        Assert.EndsWith("\n0 passed, 1 failed, 0 skipped\n", outcome.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_to_be_installed_is_said_before_it_is()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root can install packages");
        Project("One.Tests", total: 3);
        foreach (var missing in (string[])["cpio", "qemu-img"]) File.Delete(_folder.File($"bin/{missing}"));
        // It goes on when that has been said.
        _folder.Script("bin/apt-get", $"#!/bin/sh\necho \"$*\" >>'{_folder.File("asked")}'\nuntil [ -e '{_folder.File("said")}' ]; do sleep 0.1; done\n");
        using var run = HostProcess.Start(_folder.File("house/test"), ["One.Tests"], Tools);

        await run.SaidAsync("installing, for tests that use them: cpio qemu-utils (apt-get)\n");
        File.WriteAllText(_folder.File("said"), "");
        var outcome = await run.EndAsync();

        Assert.Equal(0, outcome.ExitCode);
        Assert.Equal(["install -qy cpio qemu-utils"], File.ReadAllLines(_folder.File("asked")));
        Assert.DoesNotContain("not installed", outcome.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_cannot_be_installed_is_said_and_the_rest_runs()
    {
        Project("One.Tests", total: 3);
        File.Delete(_folder.File("bin/cpio"));

        var outcome = await RunAsync("One.Tests");

        Assert.Equal(0, outcome.ExitCode);
        Assert.Contains("not installed, so some tests will be skipped: cpio (as root: apt-get install cpio)\n", outcome.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--long", "test: there is no option '--long'; --all runs the long tests too\n")]
    [InlineData("None.Tests", "test: there is no project tests/None.Tests\n")]
    public async Task A_word_that_means_nothing_ends_it_with_2(string word, string sentence)
    {
        var outcome = await RunAsync(word);

        Assert.Equal((2, "", sentence), (outcome.ExitCode, outcome.Output, outcome.Errors));
    }

    private Dictionary<string, string?> Tools => new() { ["PATH"] = _folder.File("bin") };

    private Task<Outcome> RunAsync(params string[] words) => HostProcess.RunAsync(_folder.File("house/test"), words, Tools);

    private static string ProgramOf(string name) => $"house/tests/{name}/bin/Release/net10.0/{name}";

    // A test program that prints what those of xunit do.
    private void Project(string name, int total, int failed = 0, int notRun = 0, params (string Test, string Reason)[] skips)
    {
        var said = string.Concat(skips.Select(skip => $"    {skip.Test} [SKIP]\n      {skip.Reason}\n"));
        if (failed > 0) said += "    House.One.Good [PASS]\n      Output:\n        no news\n    House.One.Bad [FAIL]\n      Assert.True() Failure\n";
        _folder.Script(ProgramOf(name), $$"""
            #!/bin/sh
            cat <<'END'
            {{said}}=== TEST EXECUTION SUMMARY ===
               {{name}}  Total: {{total}}, Errors: 0, Failed: {{failed}}, Skipped: {{skips.Length}}, Not Run: {{notRun}}, Time: 0.123s
            END
            exit {{(failed > 0 ? 1 : 0)}}

            """);
    }
}
