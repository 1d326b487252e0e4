// What people get wrong about machines that are kept, and what hosts refuse: each is one sentence that says what to do, the exit code is not 0, and nothing is lost.
using System.Diagnostics;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class WrongUseTests : KeptMachines
{
    private static readonly string[] NamingVerbs = ["create", "clone", "rename", "export", "set", "start", "stop", "kill", "restart", "pause", "resume", "wait", "inspect", "logs", "events", "stats", "console", "send-key", "type", "exec", "shell", "cp", "apply", "import", "rm"];

    [Fact]
    public async Task A_name_that_cannot_be_is_refused_by_every_verb()
    {
        await CreateAsync("web", Guest.Halts);
        Expect(0, await RunAsync("export", "web", Folder.File("web.tar.gz")));
        await File.WriteAllTextAsync(Folder.File("web.json"), "{ \"kernel\": \"guest\" }", TestContext.Current.CancellationToken);

        foreach (var (name, shown) in ((string, string)[])[("a b", "a b"), (new string('n', 300), new string('n', 40) + "…")])
            foreach (var verb in NamingVerbs)
                Expect(2, await RunAsync(WordsOf(verb, name)), $"lamina: '{shown}' cannot be a machine's name; use lower-case letters, digits and hyphens, up to 63");
        Assert.Equal(["web"], Directory.EnumerateDirectories(Path.GetDirectoryName(Home("web"))!).Select(path => Path.GetFileName(path)));
    }

    [Fact]
    public async Task A_machine_that_there_is_not_is_told_by_every_verb_that_needs_one()
    {
        foreach (var verb in NamingVerbs.Except(["create", "apply", "import"]))
            Expect(2, await RunAsync(WordsOf(verb, "nope", second: false)), "lamina: there is no machine nope; 'lamina ps -a' shows those that there are");
    }

    [Fact]
    public async Task A_machine_that_runs_is_told_by_every_verb_that_needs_it_off_and_one_that_is_off_by_the_others()
    {
        await CreateAsync("web", Guest.Halts);
        foreach (var verb in (string[])["stop", "kill", "pause", "resume", "events", "stats", "console", "send-key", "type", "exec", "shell", "cp"])
            Expect(2, await RunAsync(WordsOf(verb, "web")), "lamina: the machine web is not running; start it with 'lamina start web'");
        Expect(0, await RunAsync("start", "web"));
        foreach (var verb in (string[])["start", "rename", "clone", "export", "rm"])
            Expect(1, await RunAsync(WordsOf(verb, "web", second: false)), "lamina: the machine web is running*");
        Assert.Equal("running", await StateAsync("web"));
    }

    [Fact]
    public async Task A_socket_path_that_is_too_long_is_told_before_there_is_a_machine()
    {
        var home = Folder.Folder(new string('x', 100));
        var outcome = await LaminaProgram.RunAsync(["create", "web", "--kernel", Guest.In(Folder, Guest.Halts)], new Dictionary<string, string?> { ["LAMINA_HOME"] = home });

        Expect(1, outcome, $"lamina: the socket path {home}/machines/web/run/control.sock is too long; choose a folder for machines (LAMINA_HOME), or a name, so that it has at most 107 bytes");
        Assert.Empty(Directory.EnumerateDirectories(home + "/machines"));
        // One that was carried there.
        await CreateAsync("web", Guest.Halts);
        Directory.Move(Home("web"), home + "/machines/web");
        var start = await LaminaProgram.RunAsync(["start", "web"], new Dictionary<string, string?> { ["LAMINA_HOME"] = home });
        Expect(1, start, $"lamina: the socket path {home}/machines/web/run/control.sock is too long; *");
    }

    [Fact]
    public async Task A_full_disk_loses_nothing()
    {
        var trial = await HostProcess.RunAsync("unshare", ["--mount", "--map-root-user", "mount", "-t", "tmpfs", "none", "/mnt"]);
        Assert.SkipUnless(trial.ExitCode == 0, $"this host makes no mount namespaces: {trial.Errors}");
        _ = Guest.In(Folder, Guest.Halts);
        await CreateAsync("other", Guest.Halts);
        Expect(0, await RunAsync("export", "other", Folder.File("other.tar.gz")));
        var script = Folder.Script("fill", """
            mount -t tmpfs -o size=1m none "$1" || exit 99
            cd "$1"
            export LAMINA_HOME="$1/home"
            "$3" create web --kernel "$2/guest" --engine translator >/dev/null || exit 98
            cp home/machines/web/machine.json before
            dd if=/dev/zero of=fill bs=4k 2>/dev/null
            for words in "create two --kernel $2/guest" "clone web three" "import $2/other.tar.gz" "start web" "export web $1/web.tar.gz" "set web --cpus 2 --cmdline $(head -c 8000 /dev/zero | tr '\0' x)"; do
              "$3" $words 2>err
              echo "$? $(wc -l <err) $words" | cut -c1-20
              cat err >&2
            done
            cmp before home/machines/web/machine.json && ls home/machines && ls
            rm fill
            "$3" start web && "$3" kill web && echo usable
            """.Replace("2>err", "2>\"$2/err\"", StringComparison.Ordinal).Replace("<err", "<\"$2/err\"", StringComparison.Ordinal).Replace("cat err", "cat \"$2/err\"", StringComparison.Ordinal));

        var outcome = await HostProcess.RunAsync("unshare", ["--mount", "--map-root-user", "sh", script, Folder.Folder("small"), Folder.Path, LaminaProgram.File]);

        Assert.Equal(["1 1 create two --kern", "1 1 clone web three", "1 1 import " + Folder.File("other.tar.gz"), "1 1 start web", "1 1 export web " + Folder.Path, "1 1 set web --cpus 2", "web", "before", "fill", "home", "usable"], outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries), Starts);
        Assert.All(outcome.ErrorLines, line => Assert.Contains("No space left on device", line, StringComparison.Ordinal));

        static bool Starts(string expected, string actual) => expected.StartsWith(actual, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Another_users_folder_is_told_of()
    {
        Assert.SkipUnless(System.Environment.UserName == "root", "only root can be another user");
        var trial = await HostProcess.RunAsync("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", LaminaProgram.File, "--version"]);
        Assert.SkipUnless(trial.ExitCode == 0, $"another user cannot run the program here: {trial.Errors}");
        await CreateAsync("web", Guest.Halts);
        File.SetUnixFileMode(Folder.Path, (UnixFileMode)0b111_001_001);
        File.SetUnixFileMode(Folder.File("home"), (UnixFileMode)0b111_000_000);

        foreach (var verb in (string[])["ps", "start", "set", "rm", "clone", "prune", "inspect"]) Expect(1, await AsNobodyAsync(verb), $"lamina: the machine*{Folder.File("home")}/machines belongs to another user; ask that user, or name a folder of your own in LAMINA_HOME");

        // A machine of another's in a folder of one's own.
        File.SetUnixFileMode(Folder.File("home"), (UnixFileMode)0b111_111_111);
        File.SetUnixFileMode(Folder.File("home/machines"), (UnixFileMode)0b111_111_111);
        Expect(1, await AsNobodyAsync("start"), $"lamina: the machine web in {Folder.File("home")}/machines belongs to another user; *");

        Task<Outcome> AsNobodyAsync(string verb) => HostProcess.RunAsync("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", LaminaProgram.File, .. verb is "ps" or "prune" ? (string[])[verb] : WordsOf(verb, "web", second: false)], Environment, "/");
    }

    [Fact]
    public async Task A_process_that_does_not_answer_changes_nothing_and_can_be_ended()
    {
        await CreateAsync("web", Guest.Halts);
        Expect(0, await RunAsync("start", "web"));
        using var status = System.Text.Json.JsonDocument.Parse((await RunAsync("inspect", "web")).Output);
        var before = await File.ReadAllTextAsync(Home("web", "machine.json"), TestContext.Current.CancellationToken);
        using (var stop = Process.Start("kill", ["-STOP", $"{status.RootElement.GetProperty("status").GetProperty("pid").GetInt32()}"])) await stop.WaitForExitAsync(TestContext.Current.CancellationToken);

        Expect(1, await RunAsync("set", "web", "--publish", "0:80"), "lamina: the process of the machine web has not answered for 10 s, and nothing was changed; 'lamina kill web' ends it");

        Assert.Equal(before, await File.ReadAllTextAsync(Home("web", "machine.json"), TestContext.Current.CancellationToken));
        Assert.Equal("silent", await StateAsync("web"));
        Expect(0, await RunAsync("kill", "web"));
        Expect(0, await RunAsync("start", "web"));
    }

    // A verb with its words; of those that take two names the second, which is the new one, or the first.
    private string[] WordsOf(string verb, string name, bool second = true) => verb switch
    {
        "create" => [verb, name, "--kernel", Folder.File("guest")],
        "clone" or "rename" => second ? [verb, "web", name] : [verb, name, "other"],
        "export" => [verb, name, Folder.File("new.tar.gz")],
        "import" => [verb, Folder.File("web.tar.gz"), name],
        "apply" => [verb, "--name", name, Folder.File("web.json")],
        "set" => [verb, name, "--cpus", "2"],
        "send-key" or "type" => [verb, name, "a"],
        "exec" => [verb, name, "--", "true"],
        "cp" => [verb, $"{name}:/etc/hosts", Folder.Path],
        _ => [verb, name],
    };
}
