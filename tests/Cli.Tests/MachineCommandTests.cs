// Machines that are kept and run in processes of their own, through the real program: made, started, looked at, typed to, stopped,
// renamed, removed; and what is said where that cannot be.
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class MachineCommandTests : KeptMachines
{
    [Fact]
    public async Task A_disk_that_has_a_size_is_made_at_the_first_start()
    {
        var disk = Folder.File("new.qcow2");
        await CreateAsync("one", Guest.Halts, "--disk", $"{disk},size=16M");
        Expect(0, await RunAsync("start", "one"));
        await PrintedAsync("one", "up");
        Expect(0, await RunAsync("kill", "one"));
        var made = await File.ReadAllBytesAsync(disk, TestContext.Current.CancellationToken);
        Assert.Equal("QFI"u8.ToArray(), made[..3]);

        Expect(0, await RunAsync("start", "one"));
        Expect(0, await RunAsync("kill", "one"));
        Assert.Equal(made.Length, new FileInfo(disk).Length);
        Expect(0, await RunAsync("rm", "one"));
        Assert.True(File.Exists(disk));
    }

    [Fact]
    public async Task A_machine_is_made_started_paused_stopped_and_removed()
    {
        await CreateAsync("web", Guest.Halts);
        Assert.Equal("new", await StateAsync("web"));

        Expect(0, await RunAsync("start", "web"));
        Assert.Equal("running", await StateAsync("web"));
        await PrintedAsync("web", "up");
        // It has no agent that would tell any.
        Assert.Empty((await ListAsync())[0].GetProperty("addresses").EnumerateObject());
        Expect(0, await RunAsync("pause", "web"));
        Assert.Equal("paused", await StateAsync("web"));
        Expect(2, await RunAsync("pause", "web"), "lamina: a machine that is paused cannot be paused");
        Expect(0, await RunAsync("resume", "web"));
        Assert.Equal("running", await StateAsync("web"));

        Expect(0, await RunAsync("stop", "web"), "lamina: web: its guest did not power off, so the plug was pulled");
        Assert.Equal("off", await StateAsync("web"));
        Assert.Contains("the plug was pulled", (await RunAsync("ps", "-a", "--json")).Output, StringComparison.Ordinal);
        Assert.Equal("up\n", (await RunAsync("logs", "web")).Output.Replace("\r", "", StringComparison.Ordinal));

        Expect(0, await RunAsync("rename", "web", "old"));
        Expect(0, await RunAsync("rm", "old"));
        Assert.Empty((await ListAsync()).EnumerateArray());
    }

    [Fact]
    public async Task Several_machines_are_started_and_stopped_by_one_command()
    {
        foreach (var name in (string[])["a", "b", "c"]) await CreateAsync(name, Guest.Halts);

        Expect(0, await RunAsync("start", "a", "b", "c"));
        Assert.Equal(["running", "running", "running"], await Task.WhenAll(StateAsync("a"), StateAsync("b"), StateAsync("c")));
        Expect(2, await RunAsync("stop"), "lamina: which machine? name it, or take each that runs by --all");
        Expect(2, await RunAsync("kill", "--all", "a"), "lamina: --all is each machine that runs; leave out it or the names");
        Expect(0, await RunAsync("kill", "b"));
        Expect(0, await RunAsync("stop", "--timeout", "0", "--all"));
        Assert.Equal(["off", "off", "off"], await Task.WhenAll(StateAsync("a"), StateAsync("b"), StateAsync("c")));
    }

    [Fact]
    public async Task A_guest_that_lets_the_button_pass_since_it_is_starting_is_asked_again()
    {
        await CreateAsync("web", Guest.PowersOffWhenAskedAgain);
        Expect(0, await RunAsync("start", "web"));
        await PrintedAsync("web", "up");

        var stop = await RunAsync("stop", "--timeout", "1h", "web");

        Expect(0, stop);
        Assert.Equal("", stop.Errors);
    }

    [Fact]
    public async Task A_machine_outlives_who_started_it_and_ends_by_itself()
    {
        await CreateAsync("job", Guest.Writes(0xf4, 0x10), "--debug-exit", "0xf4");

        Expect(0, await RunAsync("start", "job"));

        Expect(33, await RunAsync("wait", "job"));
        Assert.Equal("off", await StateAsync("job"));
    }

    [Fact]
    public async Task What_is_typed_at_a_console_reaches_the_guest_and_its_answer_everybody_who_looks()
    {
        await CreateAsync("web", Guest.Echoes);
        Expect(0, await RunAsync("start", "web"));
        using var looks = Start(["console", "web"], keepsInput: true);
        await looks.SaidAsync("up");
        // What was printed by now is history.
        using var types = Start(["console", "web", "--history", "0"], keepsInput: true);

        await types.TypeAsync("hello\n");

        await types.SaidAsync("hello");
        await looks.SaidAsync("hello");
        Expect(0, await RunAsync("kill", "web"));
        Assert.Contains("web has ended: the plug was pulled", (await looks.EndAsync()).Errors, StringComparison.Ordinal);
        Assert.DoesNotContain("up", (await types.EndAsync()).Output, StringComparison.Ordinal);
        Assert.Contains("hello", (await RunAsync("logs", "web")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_process_that_was_killed_is_told_of_and_the_machine_starts_again()
    {
        await CreateAsync("web", Guest.Halts);
        Expect(0, await RunAsync("start", "web"));
        using (var status = JsonDocument.Parse((await RunAsync("inspect", "web")).Output))
        using (var kill = System.Diagnostics.Process.GetProcessById(status.RootElement.GetProperty("status").GetProperty("pid").GetInt32()))
        {
            Assert.Contains("calls", status.RootElement.GetProperty("status").GetProperty("locked-by").EnumerateArray().Select(word => word.GetString()));
            kill.Kill();
            await kill.WaitForExitAsync(TestContext.Current.CancellationToken);
        }

        Assert.Equal("killed", await StateAsync("web"));
        Expect(1, await RunAsync("wait", "web"), "lamina: the machine web has no end of its own: its process (*) was killed");
        Expect(2, await RunAsync("pause", "web"), "lamina: the machine web is not running; start it with 'lamina start web'");
        Expect(0, await RunAsync("start", "web"));
        Assert.Equal("running", await StateAsync("web"));
    }

    [Fact]
    public async Task Events_are_told_up_to_the_end()
    {
        await CreateAsync("web", Guest.Halts);
        Expect(0, await RunAsync("start", "web"));
        using var events = Start(["events", "web"]);
        // The watch has begun when its first event is there.
        var paused = false;
        while (!paused)
        {
            await RunAsync("pause", "web");
            await RunAsync("resume", "web");
            paused = events.Output.Contains("\"event\":\"paused\"", StringComparison.Ordinal);
        }

        Expect(0, await RunAsync("kill", "web"));

        var last = (await events.EndAsync()).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1];
        Assert.Contains("\"event\":\"ended\"", last, StringComparison.Ordinal);
        Assert.Contains("\"end\":\"stopped\"", last, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_person_can_type_requests_at_the_control_socket()
    {
        await CreateAsync("web", Guest.Halts);
        Expect(0, await RunAsync("start", "web"));
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(Home("web", "run", "control.sock")), TestContext.Current.CancellationToken);
        await using var stream = new NetworkStream(socket);
        using var lines = new StreamReader(stream);

        Assert.Contains("\"machine\":\"web\"", await lines.ReadLineAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Equal("{\"id\":7,\"ok\":true}", await AskAsync("{\"do\":\"pause\",\"id\":7}"));
        Assert.Contains("\"state\":\"paused\"", await AskAsync("{\"do\":\"status\"}"), StringComparison.Ordinal);
        Assert.Equal("{\"id\":\"x\",\"error\":\"state\",\"message\":\"a machine that is paused cannot be paused\"}", await AskAsync("{\"do\":\"pause\",\"id\":\"x\"}"));
        Assert.Equal("{\"error\":\"request\",\"message\":\"this is no JSON; write one object a line, like {\\\"do\\\":\\\"status\\\"}\"}", await AskAsync("pause"));
        Assert.Contains("there is no \\\"fly\\\"; there are status, pause", await AskAsync("{\"do\":\"fly\"}"), StringComparison.Ordinal);
        Assert.Contains("\\\"pause\\\" takes no \\\"softly\\\"", await AskAsync("{\"do\":\"pause\",\"softly\":true}"), StringComparison.Ordinal);
        Assert.Contains("whole number", await AskAsync("{\"do\":\"balloon\",\"bytes\":-1}"), StringComparison.Ordinal);
        Assert.Contains("a text is not UTF-8", await AskAsync("{\"do\":\"\\ud800\"}"), StringComparison.Ordinal);
        Assert.Contains("\"ok\":{", await AskAsync("{\"do\":\"inspect\",\"path\":\"vcpus/0\"}"), StringComparison.Ordinal);
        Assert.Equal("{\"ok\":true}", await AskAsync("{\"do\":\"stop\"}"));
        Assert.Null(await lines.ReadLineAsync(TestContext.Current.CancellationToken));

        async Task<string?> AskAsync(string request)
        {
            await stream.WriteAsync(Encoding.UTF8.GetBytes(request + "\n"), TestContext.Current.CancellationToken);
            return await lines.ReadLineAsync(TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task A_request_without_an_end_is_refused_and_the_machine_goes_on()
    {
        await CreateAsync("web", Guest.Halts);
        Expect(0, await RunAsync("start", "web"));
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(Home("web", "run", "control.sock")), TestContext.Current.CancellationToken);
        await using var stream = new NetworkStream(socket);
        using var lines = new StreamReader(stream);
        await lines.ReadLineAsync(TestContext.Current.CancellationToken);

        await stream.WriteAsync(new byte[80 * 1024], TestContext.Current.CancellationToken);

        Assert.Contains("a request has at most 65536 bytes", await lines.ReadLineAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Equal("running", await StateAsync("web"));
    }

    [Fact]
    public async Task As_many_programs_may_be_connected_as_it_says_and_one_more_is_hung_up_on()
    {
        await CreateAsync("web", Guest.Halts);
        Expect(0, await RunAsync("start", "web"));
        var connected = new List<Socket>();
        try
        {
            for (var i = 0; i < 64; i++) Assert.NotEqual(0, await GreetedAsync());

            Assert.Equal(0, await GreetedAsync());
        }
        finally
        {
            foreach (var socket in connected) socket.Dispose();
        }
        while (await StateAsync("web") != "running") TestContext.Current.CancellationToken.ThrowIfCancellationRequested();

        async Task<int> GreetedAsync()
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            connected.Add(socket);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(Home("web", "run", "control.sock")), TestContext.Current.CancellationToken);
            try
            {
                return await socket.ReceiveAsync(new byte[256], TestContext.Current.CancellationToken);
            }
            catch (SocketException reset) when (reset.SocketErrorCode == SocketError.ConnectionReset)
            {
                return 0;
            }
        }
    }

    [Fact(Timeout = 300_000)]
    public async Task Who_hangs_up_while_waiting_for_an_agent_leaves_the_place_to_others()
    {
        await CreateAsync("web", Guest.Halts);
        Expect(0, await RunAsync("start", "web"));
        // As many as may be connected at once.
        for (var i = 0; i < 64; i++)
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(Home("web", "run", "control.sock")), TestContext.Current.CancellationToken);
            await socket.SendAsync("{\"do\":\"agent\",\"timeout\":\"1h\"}\n"u8.ToArray(), TestContext.Current.CancellationToken);
        }

        while (await StateAsync("web") != "running") TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
    }

    [Fact]
    public async Task What_cannot_be_is_one_sentence()
    {
        await CreateAsync("web", Guest.Halts);
        await CreateAsync("other", Guest.Halts);
        var long300 = new string('a', 300);

        Expect(2, await RunAsync("start", "nope"), "lamina: there is no machine nope; 'lamina ps -a' shows those that there are");
        Expect(2, await RunAsync("start", "wab"), "lamina: there is no machine wab; did you mean web?");
        Expect(2, await RunAsync("start", "a b"), "lamina: 'a b' cannot be a machine's name; use lower-case letters, digits and hyphens, up to 63");
        Expect(2, await RunAsync("create", long300, "--kernel", Folder.File("guest")), $"lamina: '{long300[..40]}…' cannot be a machine's name; use lower-case letters, digits and hyphens, up to 63");
        Expect(1, await RunAsync("create", "web", "--kernel", Folder.File("guest")), "lamina: there is a machine web already; choose another name, or remove that one with 'lamina rm web'");
        Expect(2, await RunAsync("stop", "web"), "lamina: the machine web is not running; start it with 'lamina start web'");
        Expect(1, await RunAsync("rename", "web", "other"), "lamina: there is a machine other already; choose another name");
        Expect(0, await RunAsync("start", "web"));
        Expect(1, await RunAsync("start", "web"), "lamina: the machine web is running already*");
        Expect(1, await RunAsync("rename", "web", "third"), "lamina: the machine web is running; stop it first, then rename it");
        Expect(1, await RunAsync("rm", "web"), "lamina: the machine web is running; stop it first ('lamina stop web')");
        Expect(2, await RunAsync("console", "web", "--device", "serial9"), "lamina: the machine has no console serial9 that can be looked at");
        Expect(0, await RunAsync("rm", "--force", "web"));
    }

    [Fact]
    public async Task A_guest_without_an_agent_is_told_of()
    {
        await CreateAsync("web", Guest.Halts);
        Expect(2, await RunAsync("exec", "web", "--", "true"), "lamina: the machine web is not running; start it with 'lamina start web'");
        Expect(0, await RunAsync("start", "web"));

        Expect(2, await RunAsync("exec", "--wait", "50ms", "web", "--", "true"), "lamina: no agent has answered in the guest of web for 50ms: it is still starting (--wait gives it longer), or has none; the images tiny and debian have one, and docs/agent.md says how another guest gets it");
        Expect(2, await RunAsync("cp", "--wait", "50ms", "web:/etc/hosts", "."), "lamina: no agent has answered in the guest of web for 50ms*");
        using var exec = Start(["exec", "--wait", "10m", "web", "--", "true"]);
        Expect(0, await RunAsync("kill", "web"));
        Assert.NotEqual(0, (await exec.EndAsync()).ExitCode);
    }

    [Fact]
    public async Task A_machine_that_cannot_run_says_why_and_can_be_mended()
    {
        await CreateAsync("web", Guest.Halts);
        File.Move(Folder.File("guest"), Folder.File("away"));
        Expect(2, await RunAsync("start", "web"), $"lamina: *{Folder.File("guest")}*");
        Assert.Equal("new", await StateAsync("web"));

        File.Move(Folder.File("away"), Folder.File("guest"));
        var whole = await File.ReadAllTextAsync(Home("web", "machine.json"), TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Home("web", "machine.json"), whole.Replace("\"kernel\"", "\"kernal\"", StringComparison.Ordinal), TestContext.Current.CancellationToken);
        Expect(2, await RunAsync("start", "web"), "lamina: *machine.json, line 2: a machine has no property \"kernal\"; did you mean \"kernel\"?*");
        Assert.Equal("damaged", await StateAsync("web"));

        await File.WriteAllTextAsync(Home("web", "machine.json"), whole, TestContext.Current.CancellationToken);
        Expect(0, await RunAsync("start", "web"));
    }

    [Fact]
    public async Task SIGTERM_to_its_process_ends_a_machine_in_order()
    {
        await CreateAsync("web", Guest.Halts, "--stop-timeout", "100ms");
        Expect(0, await RunAsync("start", "web"));
        using var status = JsonDocument.Parse((await RunAsync("inspect", "web")).Output);

        using (var kill = System.Diagnostics.Process.Start("kill", $"{status.RootElement.GetProperty("status").GetProperty("pid").GetInt32()}")) await kill.WaitForExitAsync(TestContext.Current.CancellationToken);

        Expect(130, await RunAsync("wait", "web"));
        Assert.Equal("off", await StateAsync("web"));
        Assert.Contains("SIGTERM: the guest is asked to power off", (await RunAsync("logs", "--process", "web")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_killed_program_left_is_removed()
    {
        await CreateAsync("web", Guest.Halts);
        Directory.CreateDirectory(Home("half", ""));
        await File.WriteAllTextAsync(Home("half", "kernel"), "x", TestContext.Current.CancellationToken);

        Assert.Equal($"would remove {Path.TrimEndingDirectorySeparator(Home("half", ""))}\n", (await RunAsync("prune", "--dry-run")).Output);
        Assert.Equal($"removed {Path.TrimEndingDirectorySeparator(Home("half", ""))}\n", (await RunAsync("prune")).Output);
        Assert.Equal("", (await RunAsync("prune")).Output);
        Assert.Equal("new", await StateAsync("web"));
    }
}
