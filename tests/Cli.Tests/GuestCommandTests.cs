// Commands and files in the guest of a machine that runs, through the real program and the real agent of the image "tiny"; and machines
// that run one command and are gone with it.
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using Lamina.Images;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class GuestCommandTests : IClassFixture<TinyMachine>, IDisposable
{
    private readonly TinyMachine _machine;
    private readonly TemporaryFolder _folder = new();

    public GuestCommandTests(TinyMachine machine)
    {
        _machine = machine;
        machine.Need();
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task The_exit_code_and_both_streams_are_the_commands()
    {
        var outcome = await ExecAsync("sh", "-c", "echo out; echo err >&2; exit 7");

        Assert.Equal((7, "out\n", "err\n"), (outcome.ExitCode, outcome.Output, outcome.Errors));
    }

    // The host's name servers are read while its process is locked, and by a user of its own where root started it. The guest has its address a moment after its agent answers.
    [Fact]
    public async Task A_guest_asks_for_names()
    {
        var outcome = await ExecAsync("sh", "-c", "timeout 60 sh -c 'until [ -s /etc/resolv.conf ]; do sleep 0.1; done'; timeout 20 nslookup lamina.invalid 2>&1 | grep -c '^Server:'");

        Assert.Equal((0, "1\n", ""), (outcome.ExitCode, outcome.Output, outcome.Errors));
    }

    // The guest has its address a moment after its agent answers.
    [Fact]
    public async Task Its_addresses_are_listed_and_inspected_but_for_those_that_reach_it_from_nowhere_in_the_table()
    {
        string all;
        do all = await AddressesAsync(TinyMachine.Name);
        while (!all.Contains("\"10.0.2.15\"", StringComparison.Ordinal));

        Assert.Contains("\"lo\":[\"127.0.0.1\"", all, StringComparison.Ordinal);
        var table = (await RunAsync("ps")).Output.Split('\n');
        Assert.Contains("  ADDRESSES", table[0], StringComparison.Ordinal);
        Assert.StartsWith("10.0.2.15", Assert.Single(table, line => line.StartsWith(TinyMachine.Name + " ", StringComparison.Ordinal))[table[0].IndexOf("ADDRESSES", StringComparison.Ordinal)..], StringComparison.Ordinal);
        Assert.DoesNotContain(table, line => line.Contains("127.0.0.1", StringComparison.Ordinal) || line.Contains("fe80", StringComparison.Ordinal));
        using (var inspected = JsonDocument.Parse((await RunAsync("inspect", TinyMachine.Name)).Output)) Assert.Contains("\"10.0.2.15\"", Compact(inspected.RootElement.GetProperty("addresses")), StringComparison.Ordinal);

        // Those of a guest that stands still are those that it told last.
        Assert.Equal(0, (await RunAsync("pause", TinyMachine.Name)).ExitCode);
        Assert.Contains("\"10.0.2.15\"", await AddressesAsync(TinyMachine.Name), StringComparison.Ordinal);
        Assert.Equal(0, (await RunAsync("resume", TinyMachine.Name)).ExitCode);
    }

    [Theory]
    [InlineData(137, "", "sh", "-c", "kill -9 $$")]
    [InlineData(127, "lamina: the guest cannot run nope: No such file or directory\n", "nope")]
    [InlineData(126, "lamina: the guest cannot run /etc/passwd: Permission denied\n", "/etc/passwd")]
    public async Task What_ends_otherwise_has_a_shells_exit_code(int code, string errors, params string[] words)
    {
        var outcome = await ExecAsync(words);

        Assert.Equal((code, "", errors), (outcome.ExitCode, outcome.Output, outcome.Errors));
    }

    [Fact]
    public async Task User_folder_and_environment_are_as_asked()
    {
        var outcome = await RunAsync("exec", "--user", "nobody", "--workdir", "/tmp", "--env", "A=b c", "--env", "LAMINA_HOME", TinyMachine.Name, "--", "sh", "-c", "id -un; id -G; pwd; echo \"$A\"; echo $LAMINA_HOME; echo $HOME");

        Assert.Equal($"nobody\n65534\n/tmp\nb c\n{_machine.Environment["LAMINA_HOME"]}\n/\n", outcome.Output);
    }

    [Theory]
    [InlineData("the guest has no user nope", "--user", "nope")]
    [InlineData("the guest's folder /nope cannot be entered: No such file or directory", "--workdir", "/nope")]
    public async Task A_user_or_folder_that_there_is_not_is_one_sentence(string sentence, params string[] options)
    {
        var outcome = await RunAsync(["exec", .. options, TinyMachine.Name, "--", "true"]);

        Assert.Equal((126, $"lamina: {sentence}\n"), (outcome.ExitCode, outcome.Errors));
    }

    [Fact]
    public async Task Ten_megabytes_go_in_and_come_back()
    {
        var bytes = RandomNumberGenerator.GetBytes(10_000_000);
        await File.WriteAllBytesAsync(_folder.File("in"), bytes, TestContext.Current.CancellationToken);

        var outcome = await ShellAsync($"\"$LAMINA\" exec -i {TinyMachine.Name} -- cat <in >out && \"$LAMINA\" exec {TinyMachine.Name} -- cat <in | wc -c");

        Assert.Equal((0, "0"), (outcome.ExitCode, outcome.Output.Trim()));
        Assert.Equal(Convert.ToHexString(SHA256.HashData(bytes)), Convert.ToHexString(SHA256.HashData(await File.ReadAllBytesAsync(_folder.File("out"), TestContext.Current.CancellationToken))));
    }

    [Fact]
    public async Task A_stream_that_nobody_reads_ends_its_command()
    {
        var outcome = await ShellAsync($"{{ \"$LAMINA\" exec {TinyMachine.Name} -- sh -c 'while :; do echo y; done'; echo $? >code; }} | head -n 1; cat code");

        Assert.Equal("y\n141\n", outcome.Output);
    }

    [Fact]
    public async Task Signals_are_passed_on()
    {
        using var exec = Start("exec", TinyMachine.Name, "--", "sh", "-c", "trap 'echo got; exit 5' TERM; echo up; while :; do sleep 0.1; done");
        await exec.SaidAsync("up");

        exec.Signal(PosixSignal.SIGTERM);

        var outcome = await exec.EndAsync();
        Assert.Equal((5, "up\ngot\n"), (outcome.ExitCode, outcome.Output));
    }

    [Fact]
    public async Task With_the_client_its_command_is_gone()
    {
        using (var exec = Start("exec", TinyMachine.Name, "--", "sh", "-c", "echo up; exec tail -f /dev/null")) await exec.SaidAsync("up");

        while ((await ExecAsync("pidof", "tail")).ExitCode == 0) TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
    }

    [Fact]
    public async Task What_a_command_leaves_in_the_background_is_not_waited_for()
    {
        var outcome = await ExecAsync("sh", "-c", "sleep 1000 & echo done");

        Assert.Equal((0, "done\n"), (outcome.ExitCode, outcome.Output));
    }

    [Fact]
    public async Task Several_commands_run_at_once()
    {
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 6).Select(number => ExecAsync("sh", "-c", $"sleep 0.2; exit {number}")));

        Assert.Equal([0, 1, 2, 3, 4, 5], outcomes.Select(outcome => outcome.ExitCode));
    }

    [Fact]
    public async Task A_terminal_has_a_size_and_a_name()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/script"), "script (util-linux) is not installed on this host");

        // Input that does not end: at its end script types an end of file, which, where the terminal is raw by then, is a key (NUL) that the guest echoes.
        var outcome = await ShellAsync($"mkfifo keys; exec 3<>keys; script -qec 'stty rows 31 cols 77; \"$LAMINA\" exec -i -t {TinyMachine.Name} -- sh -c \"tty; stty size; exit 4\"' /dev/null <&3; echo $?");

        Assert.Equal("/dev/pts/0\n31 77\n4\n", outcome.Output.Replace("\r", "", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_terminal_that_there_is_not_is_refused()
    {
        var outcome = await RunAsync("exec", "-t", TinyMachine.Name, "--", "true");

        Assert.Equal((2, "lamina: --terminal needs a terminal to type at, and the standard input is none; leave it out\n"), (outcome.ExitCode, outcome.Errors));
    }

    [Fact]
    public async Task A_shell_runs_what_it_reads()
    {
        using var shell = HostProcess.Start(LaminaProgram.File, ["shell", TinyMachine.Name], _machine.Environment, keepsInput: true);
        await shell.TypeAsync("pwd; exit 3\n");

        var outcome = await shell.EndAsync();
        Assert.Equal((3, "/root\n"), (outcome.ExitCode, outcome.Output));
    }

    [Fact]
    public async Task Files_are_copied_both_ways()
    {
        Directory.CreateDirectory(_folder.File("site/inner"));
        await File.WriteAllBytesAsync(_folder.File("site/inner/big"), RandomNumberGenerator.GetBytes(3_000_000), TestContext.Current.CancellationToken);
        File.CreateSymbolicLink(_folder.File("site/link"), "inner/big");
        File.SetUnixFileMode(_folder.File("site/inner/big"), UnixFileMode.UserRead | UnixFileMode.UserExecute);

        // Into a folder that there is, and under a name that there is not.
        var outcome = await ShellAsync($"""
            set -e
            "$LAMINA" cp site {TinyMachine.Name}:/tmp
            "$LAMINA" cp site {TinyMachine.Name}:/tmp/other
            "$LAMINA" exec {TinyMachine.Name} -- sh -c 'cd /tmp; sha256sum <site/link; sha256sum <other/inner/big; stat -c %a:%u other/inner/big; readlink other/link'
            "$LAMINA" cp {TinyMachine.Name}:/tmp/other back
            "$LAMINA" cp {TinyMachine.Name}:/tmp/other/inner/big .
            sha256sum <back/link; sha256sum <big; stat -c %a back/inner/big; readlink back/link
            tar -c site | "$LAMINA" cp - {TinyMachine.Name}:/tmp
            "$LAMINA" cp {TinyMachine.Name}:/tmp/site - | tar -x -O site/inner/big | sha256sum
            """);

        var sum = Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(_folder.File("site/inner/big"), TestContext.Current.CancellationToken)));
        Assert.Equal("", outcome.Errors);
        Assert.Equal($"{sum}  -\n{sum}  -\n500:0\ninner/big\n{sum}  -\n{sum}  -\n500\ninner/big\n{sum}  -\n", outcome.Output);
    }

    [Theory]
    [InlineData(2, "*nope does not exist", "nope", TinyMachine.Name + ":/srv")]
    [InlineData(1, "/nope/x cannot be copied: tar: *nope*", TinyMachine.Name + ":/nope/x", ".")]
    [InlineData(1, "/etc/hosts cannot be copied to /nope/x: tar: *nope*", "/etc/hosts", TinyMachine.Name + ":/nope/x")]
    [InlineData(1, "the guest has no folder /nope/", "/etc/hosts", TinyMachine.Name + ":/nope/")]
    [InlineData(2, "one of both is to be in a guest; write it like web:/srv", "/etc/hosts", "/tmp")]
    [InlineData(2, "one of both is to be on this host; copy to it first, and from it then", "a:/x", "b:/y")]
    [InlineData(1, "/dev/null is a device, a pipe or a socket of this host's; copy files and folders, or an archive by -", "/dev/null", TinyMachine.Name + ":/tmp")]
    [InlineData(2, "'web:' says no path in the guest; write it like web:/srv", "/etc/hosts", "web:")]
    public async Task A_copy_that_cannot_be_is_one_sentence(int code, string sentence, string from, string to)
    {
        var outcome = await RunAsync("cp", from, to);

        Assert.Equal(code, outcome.ExitCode);
        Assert.Matches($"^lamina: {string.Join(".*", sentence.Split('*').Select(System.Text.RegularExpressions.Regex.Escape))}$", Assert.Single(outcome.ErrorLines));
    }

    [Fact]
    public async Task A_paused_machine_is_named_and_its_clock_is_right_again_when_it_goes_on()
    {
        Assert.Equal(0, (await ExecAsync("date", "-s", "2001-01-01 00:00:00")).ExitCode);
        Assert.Equal(0, (await RunAsync("pause", TinyMachine.Name)).ExitCode);
        Assert.Contains("is paused, and its agent with it", (await ExecAsync("true")).Errors, StringComparison.Ordinal);

        Assert.Equal(0, (await RunAsync("resume", TinyMachine.Name)).ExitCode);

        while ((await ExecAsync("date", "+%Y")).Output == "2001\n") TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
        Assert.Equal($"{DateTime.UtcNow.Year}\n", (await ExecAsync("date", "+%Y")).Output);
    }

    [Fact]
    public async Task A_throw_away_machine_ends_with_its_commands_exit_code()
    {
        var outcome = await ThrowAwayAsync(["tiny", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]);

        Assert.Equal((7, "out\n", "err\n"), (outcome.ExitCode, outcome.Output, outcome.Errors));
    }

    [Fact]
    public async Task What_stands_behind_the_dashes_is_the_guests_whatever_it_looks_like()
    {
        Assert.Equal("-h --rm tiny -- x\n", (await ExecAsync("echo", "-h", "--rm", "tiny", "--", "x")).Output);
        var outcome = await RunAsync("exec", "--nope", TinyMachine.Name, "--", "ls", "-l");
        Assert.Equal((2, "lamina: there is no option '--nope'; 'lamina exec --help' shows what there is\n"), (outcome.ExitCode, outcome.Errors));
        Assert.Equal((2, "lamina: what to run is missing; write it behind --, like 'lamina exec web -- uname -a'\n"), await EndAsync(RunAsync("exec", TinyMachine.Name, "--")));
    }

    [Fact]
    public async Task A_kernel_of_ones_own_runs_a_command_too()
    {
        var image = ImageStore.OfUser().Find("tiny")!;

        var outcome = await ThrowAwayAsync(["--kernel", image.KernelPath, "--initrd", image.InitrdPath!, "--cmdline", image.CommandLine, "--", "sh", "-c", "exit 6"]);

        Assert.Equal((6, "", ""), (outcome.ExitCode, outcome.Output, outcome.Errors));
    }

    [Theory]
    [InlineData("--rm runs a command in a machine that is gone with it; write the command behind --, like 'lamina run --rm tiny -- uname -a'", "--rm", "tiny")]
    [InlineData("'x' is one word too many; 'lamina run --rm IMAGE -- COMMAND' runs a command", "tiny", "--", "x")]
    [InlineData("--copy-in is for a machine that runs a command; add --rm, and the command behind --", "--copy-in", "a:/b", "tiny")]
    [InlineData("--name is not for a machine that runs one command and is gone with it; leave out --name or --rm", "--rm", "--name", "web", "debian", "--", "x")]
    [InlineData("--copy-in: 'nope' does not say what to copy where to; write it like sources:/srv", "--rm", "--copy-in", "nope", "tiny", "--", "x")]
    [InlineData("--copy-in: /nope does not exist", "--rm", "--copy-in", "/nope:/srv", "tiny", "--", "x")]
    [InlineData("--copy-out: 'result:.' does not say what to copy where to; write it like /srv/result:result", "--rm", "--copy-out", "result:.", "tiny", "--", "x")]
    public async Task Words_that_do_not_go_together_are_one_sentence(string sentence, params string[] words)
    {
        Assert.Equal((2, $"lamina: {sentence}\n"), await EndAsync(LaminaProgram.RunAsync(["run", .. words])));
    }

    [Fact]
    public async Task Files_go_into_a_throw_away_machine_and_come_out()
    {
        await File.WriteAllTextAsync(_folder.File("in"), "some words", TestContext.Current.CancellationToken);

        var outcome = await ThrowAwayAsync(["--copy-in", $"{_folder.File("in")}:/tmp/words", "--copy-out", $"/tmp/count:{_folder.File("count")}", "tiny", "--", "sh", "-c", "wc -c </tmp/words >/tmp/count; exit 1"]);

        Assert.Equal((1, ""), (outcome.ExitCode, outcome.Errors));
        Assert.Equal("10\n", await File.ReadAllTextAsync(_folder.File("count"), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_throw_away_machine_that_ends_before_its_command_is_told_of()
    {
        var outcome = await ThrowAwayAsync(["tiny", "--", "poweroff", "-f"]);

        Assert.Equal((1, "lamina: the machine ended before the command did\n"), (outcome.ExitCode, outcome.Errors));
    }

    [Fact]
    public async Task A_guest_that_does_not_listen_to_the_power_button_is_asked_by_its_agent()
    {
        Assert.Equal(0, (await ExecAsync("rmmod", "button")).ExitCode);

        Assert.Equal(0, (await RunAsync("stop", TinyMachine.Name)).ExitCode);

        // Not of another test's machine.
        using (var list = JsonDocument.Parse((await RunAsync("ps", "--all", "--json")).Output))
        {
            var machine = list.RootElement.EnumerateArray().Single(one => one.GetProperty("name").GetString() == TinyMachine.Name);
            Assert.Equal("off", machine.GetProperty("state").GetString());
            Assert.DoesNotContain("the plug was pulled", machine.GetProperty("lastEnd").GetString(), StringComparison.Ordinal);
        }
        Assert.Equal(0, (await RunAsync("start", TinyMachine.Name)).ExitCode);
        Assert.Equal(0, (await RunAsync("exec", "--wait", "2m", TinyMachine.Name, "--", "true")).ExitCode);
    }

    // An agent that stands still takes connections, by its kernel, and says nothing; the answer is waited for ten seconds.
    [Fact]
    public async Task An_agent_that_does_not_answer_is_one_sentence()
    {
        await CreateSilentAsync("silent");
        Assert.Equal(0, (await RunAsync("exec", "--wait", "2m", "silent", "--", "sh", "-c", "{ sleep 0.3; kill -STOP $(pidof lamina-agent | tr ' ' '\\n' | sort -n | head -n 1); } >/dev/null 2>&1 &")).ExitCode);

        Outcome outcome;
        do outcome = await RunAsync("exec", "silent", "--", "true");
        while (outcome.ExitCode == 0);

        Assert.Equal((1, "lamina: the guest's agent has not answered for 10s; the guest hangs or is very busy ('lamina console' shows it)\n"), (outcome.ExitCode, outcome.Errors));
        // It is listed as any other, without addresses.
        Assert.Equal("{}", await AddressesAsync("silent"));
        Assert.Equal(0, (await RunAsync("kill", "silent")).ExitCode);
    }

    private async Task<string> AddressesAsync(string name)
    {
        using var list = JsonDocument.Parse((await RunAsync("ps", "--json")).Output);
        return Compact(list.RootElement.EnumerateArray().Single(machine => machine.GetProperty("name").GetString() == name).GetProperty("addresses"));
    }

    private static string Compact(JsonElement value) => JsonSerializer.Serialize(value);

    private async Task CreateSilentAsync(string name)
    {
        var image = ImageStore.OfUser().Find("tiny")!;
        Assert.Equal(0, (await RunAsync("create", name, "--kernel", image.KernelPath, "--initrd", image.InitrdPath!, "--cmdline", image.CommandLine, "--engine", "translator")).ExitCode);
        Assert.Equal(0, (await RunAsync("start", name)).ExitCode);
    }

    private static async Task<(int, string)> EndAsync(Task<Outcome> running) => (await running) is var outcome ? (outcome.ExitCode, outcome.Errors) : default;

    private Task<Outcome> ExecAsync(params string[] words) => RunAsync(["exec", TinyMachine.Name, "--", .. words]);

    private Task<Outcome> RunAsync(params string[] words) => LaminaProgram.RunAsync(words, _machine.Environment);

    [Fact]
    public async Task What_runs_in_the_guest_goes_on_after_a_suspension_and_its_clock_is_right()
    {
        Assert.Equal(0, (await ExecAsync("sh", "-c", "(i=0; while :; do i=$((i + 1)); echo $i >/tmp/count; sleep 0.1; done) >/dev/null 2>&1 & echo $! >/tmp/counts")).ExitCode);
        var before = await CountAsync();

        Assert.Equal((0, ""), Told(await RunAsync("suspend", TinyMachine.Name)));
        await Task.Delay(TimeSpan.FromSeconds(2), TestContext.Current.CancellationToken);
        Assert.Equal((0, ""), Told(await RunAsync("start", TinyMachine.Name)));

        while (await CountAsync() <= before) TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
        while (long.Parse((await ExecAsync("date", "+%s")).Output) is var seconds && Math.Abs(DateTimeOffset.UtcNow.ToUnixTimeSeconds() - seconds) > 1) TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
        Assert.Equal(0, (await ExecAsync("sh", "-c", "kill $(cat /tmp/counts)")).ExitCode);

        static (int, string) Told(Outcome outcome) => (outcome.ExitCode, outcome.Errors);
        async Task<int> CountAsync() => int.TryParse((await ExecAsync("cat", "/tmp/count")).Output, out var count) ? count : 0;
    }

    [Fact]
    public async Task Throw_away_machines_go_on_from_one_template_with_randomness_and_a_clock_of_their_own()
    {
        // A cache of the test's own, with the user's images.
        var cache = Path.Combine(_folder.Path, "lamina");
        Directory.CreateDirectory(cache);
        Directory.CreateSymbolicLink(Path.Combine(cache, "images"), Path.Combine(Folders.UserFolders.Cache!, "images"));
        var templates = Path.Combine(cache, "templates");
        string[] words = ["run", "--rm", "--engine", "translator", "tiny", "--", "sh", "-c", "head -c 16 /dev/urandom | od -An -tx1; date +%s; exit 7"];

        var said = new List<string[]>();
        for (var i = 0; i < 4; i++)
        {
            var outcome = await LaminaProgram.RunAsync(words, new Dictionary<string, string?> { ["XDG_CACHE_HOME"] = _folder.Path, ["LAMINA_HOME"] = null });
            Assert.Equal((7, ""), (outcome.ExitCode, outcome.Errors));
            said.Add(outcome.Output.Split('\n'));
            Assert.InRange(long.Parse(said[i][1]), DateTimeOffset.UtcNow.ToUnixTimeSeconds() - 60, DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 1);
            var template = Assert.Single(Directory.EnumerateDirectories(templates));
            // One that is damaged is made anew.
            if (i == 2) await File.WriteAllTextAsync(Path.Combine(template, "state"), "nonsense", TestContext.Current.CancellationToken);
        }
        Assert.Equal(4, said.Select(lines => lines[0]).Distinct().Count());
    }

    private static Task<Outcome> ThrowAwayAsync(string[] words) => LaminaProgram.RunAsync(["run", "--rm", "--engine", "translator", .. words]);

    private HostProcess Start(params string[] words) => LaminaProgram.Start(words, _machine.Environment);

    private Task<Outcome> ShellAsync(string script) =>
        HostProcess.RunAsync("/bin/sh", ["-c", script], new Dictionary<string, string?>(_machine.Environment) { ["LAMINA"] = LaminaProgram.File }, _folder.Path);
}
