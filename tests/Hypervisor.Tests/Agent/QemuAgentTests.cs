// QEMU's agent: what is asked of it, and a guest in its place that says what none says. And a client's request that is carried out by it.
using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Lamina.Hypervisor.Agent;
using Lamina.Hypervisor.Agent.Qemu;
using Xunit;

namespace Lamina.Tests.Hypervisor.Agent;

public sealed class QemuAgentTests : IDisposable
{
    private readonly FakeQemuAgent _guest = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _guest.Dispose();

    [Fact]
    public async Task What_was_said_before_is_passed_over()
    {
        _guest.Say("{\"return\": 1}\n{\"half");
        _guest.Say([0xff]);
        _guest.Say("{\"return\": 12345678}\nno json\n");
        _guest.Answers = command => command == "guest-info" ? "{\"return\": {\"version\": \"10\"}}\n" : null;

        Assert.Equal("10", (await AskAsync("guest-info")).GetProperty("version").GetString());
        Assert.Equal(JsonValueKind.Object, (await AskAsync("guest-ping")).ValueKind);
    }

    [Fact]
    public async Task A_refusal_is_a_sentence_without_what_terminals_take_for_commands()
    {
        _guest.Answers = _ => "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no \\u001b[2J\"}}\n";

        Assert.Equal("the guest's QEMU agent refuses guest-ping: no ?[2J", (await Assert.ThrowsAsync<AgentException>(() => AskAsync("guest-ping"))).Message);

        // Both still speak of the same.
        _guest.Answers = _ => null;
        await AskAsync("guest-ping");
    }

    public static TheoryData<string> Nonsense =>
    [
        "no json\n", "[]\n", "{}\n", "{\"error\": 1}\n", "{\"error\": {\"desc\": 5}}\n", "\n", new string('[', 100) + "\n", "{\"return\": \"" + new string('x', QemuAgent.LongestLine) + "\"}\n",
    ];

    [Theory]
    [MemberData(nameof(Nonsense))]
    public async Task What_is_no_answer_ends_in_a_sentence_and_the_next_is_answered(string line)
    {
        _guest.Answers = _ => line;

        Assert.Contains("says what no agent says", (await Assert.ThrowsAsync<AgentException>(() => AskAsync("guest-ping"))).Message, StringComparison.Ordinal);

        _guest.Answers = _ => null;
        await AskAsync("guest-ping");
    }

    [Fact]
    public async Task One_that_does_not_answer_is_given_up_and_a_late_answer_is_taken_for_nothing_else()
    {
        _guest.Answers = _ => "";
        Assert.Equal("the guest's QEMU agent has not answered guest-ping for 20ms", (await Assert.ThrowsAsync<AgentException>(() => _guest.Agent.AskAsync("guest-ping", null, TimeSpan.FromMilliseconds(20), Cancellation))).Message);
        Assert.False(await _guest.Agent.AnswersAsync(TimeSpan.FromMilliseconds(20), Cancellation));

        _guest.Say("{\"return\": \"late\"}\n");
        _guest.Answers = _ => "{\"return\": \"own\"}\n";

        Assert.Equal("own", (await AskAsync("guest-ping")).GetString());
    }

    [Fact]
    public async Task One_that_talks_without_end_is_given_up()
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        _guest.Answers = _ => "";
        var talks = Task.Run(() => { while (!over.IsCancellationRequested) _guest.Say(new string('x', 100_000)); }, Cancellation);

        try
        {
            await Assert.ThrowsAsync<AgentException>(() => _guest.Agent.AskAsync("guest-ping", null, TimeSpan.FromMilliseconds(50), Cancellation));
        }
        finally
        {
            await over.CancelAsync();
            await talks;
        }
    }

    [Fact]
    public async Task A_command_has_its_streams_and_its_exit_code()
    {
        var (end, output, errors) = await RunAsync(new AgentCommand { Words = ["sh", "-c", "echo $A; pwd; echo err >&2; exit 7"], Environment = ["A=b c"], Folder = "/" });

        Assert.Equal((new AgentEnd(false, 7), "b c\n/\n", "err\n"), (end, Encoding.UTF8.GetString(output), errors));
    }

    [Fact]
    public async Task Input_and_output_longer_than_any_line_are_whole()
    {
        var bytes = RandomNumberGenerator.GetBytes(1_000_000);

        var (end, output, errors) = await RunAsync(new AgentCommand { Words = ["cat"], Folder = "/" }, bytes);

        Assert.Equal((0, ""), (end.ExitCode, errors));
        Assert.Equal(Convert.ToHexString(SHA256.HashData(bytes)), Convert.ToHexString(SHA256.HashData(output)));
    }

    // The command ends while its output waits for room, which comes while its errors are looked for.
    [Fact]
    public async Task Room_that_comes_while_the_other_stream_is_read_does_not_end_the_output()
    {
        const int length = 2 * AgentSpec.Window;
        var (isFull, isHeld) = (false, false);
        var asksForErrors = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _guest.Answers = command =>
        {
            // Of the command alone: the folder's shell comes before the files are opened.
            if (command == "guest-exec-status" && !isFull && _guest.Commands.Contains("guest-file-open", StringComparer.Ordinal)) return "{\"return\": {\"exited\": false}}\n";
            if (command != "guest-file-read" || !_guest.HasToldEnd || isHeld) return null;
            isHeld = true;
            asksForErrors.SetResult();
            return "";
        };
        await using var client = Client();
        await using var connection = await AgentConnection.OpenAsync(client.Host, Cancellation);
        await connection.SendAsync(AgentFrame.Run, new AgentCommand { Words = ["head", "-c", $"{length}", "/dev/zero"], Folder = "/" }.ToPayload(), Cancellation);
        Assert.Equal(AgentFrame.Started, (await connection.ReceiveAsync(Cancellation)).Kind);
        await connection.SendAsync(AgentFrame.Input, default, Cancellation);
        var received = 0;
        while (received < AgentSpec.Window) received += await OutputAsync() ?? throw new InvalidOperationException("it ended before its output was full");
        isFull = true;

        await asksForErrors.Task.WaitAsync(Cancellation);
        var room = new byte[5];
        BinaryPrimitives.WriteInt32LittleEndian(room.AsSpan(1), length);
        await connection.SendAsync(AgentFrame.Credit, room, Cancellation);
        await client.HeededAsync();
        _guest.Say("{\"return\": {\"count\": 0, \"buf-b64\": \"\", \"eof\": true}}\n");
        while (await OutputAsync() is { } more) received += more;

        Assert.Equal(length, received);

        // Null at the end.
        async Task<int?> OutputAsync()
        {
            while (true)
            {
                var (kind, payload) = await connection.ReceiveAsync(Cancellation);
                if (kind == AgentFrame.Output) return payload.Length;
                if (kind == AgentFrame.Ended) return null;
                Assert.Equal(AgentFrame.Errors, kind);
            }
        }
    }

    [Theory]
    [InlineData(127, "nope")]
    [InlineData(126, "/etc/passwd")]
    public async Task What_cannot_be_run_has_a_shells_exit_code(int code, string word)
    {
        var (end, _, errors) = await RunAsync(new AgentCommand { Words = [word], Folder = "/" });

        Assert.Equal(code, end.ExitCode);
        Assert.NotEmpty(errors);
    }

    [Fact]
    public async Task A_user_that_there_is_not_is_told_of()
    {
        var (end, _, errors) = await RunAsync(new AgentCommand { Words = ["true"], User = "nope" });

        Assert.Equal((126, "lamina: the guest has no user nope\n"), (end.ExitCode, errors));
    }

    [Fact]
    public async Task A_user_without_a_folder_begins_at_the_root()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root runs commands as another user");

        var (end, output, errors) = await RunAsync(new AgentCommand { Words = ["sh", "-c", "id -un; pwd"], User = "nobody" });

        Assert.Equal((0, "nobody\n/\n", ""), (end.ExitCode, Encoding.UTF8.GetString(output), errors));
    }

    [Fact]
    public async Task A_folder_that_there_is_not_is_told_of()
    {
        var (end, _, errors) = await RunAsync(new AgentCommand { Words = ["true"], Folder = "/nope" });

        Assert.Equal(126, end.ExitCode);
        Assert.Contains("/nope", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nothing_of_a_command_stays()
    {
        var (_, output, _) = await RunAsync(new AgentCommand { Words = ["readlink", "/proc/self/fd/0"], Folder = "/" });

        var folder = Path.GetDirectoryName(Encoding.UTF8.GetString(output).TrimEnd('\n'))!;
        Assert.StartsWith("/tmp/lamina-", folder, StringComparison.Ordinal);
        await UntilAsync(() => !Directory.Exists(folder));
    }

    [Fact]
    public async Task Signals_reach_the_command()
    {
        await using var client = Client();
        await using var process = await AgentProcess.StartAsync(await AgentConnection.OpenAsync(client.Host, Cancellation), new AgentCommand { Words = ["sleep", "1000"], Folder = "/" }, Cancellation);
        var carried = process.CarryAsync(null, Stream.Null, Stream.Null, Cancellation);
        // It runs when it is asked about.
        await UntilAsync(() => _guest.Commands.Contains("guest-exec-status", StringComparer.Ordinal) && _guest.Commands.Count(command => command == "guest-file-open") == 2);

        await process.SignalAsync(15, Cancellation);

        Assert.Equal(143, (await carried).ExitCode);
    }

    [Theory]
    [InlineData("guest-exec", "{\"return\": {\"pid\": -1}}\n")]
    [InlineData("guest-exec", "{\"return\": []}\n")]
    [InlineData("guest-exec-status", "{\"return\": {}}\n")]
    [InlineData("guest-exec-status", "{\"return\": {\"exited\": true}}\n")]
    [InlineData("guest-exec-status", "{\"return\": {\"exited\": true, \"exitcode\": 0, \"out-data\": \"!\"}}\n")]
    [InlineData("guest-exec-status", "{\"return\": {\"exited\": true, \"exitcode\": 0, \"out-data\": \"L2V0Yw==\"}}\n")]
    [InlineData("guest-file-open", "{\"return\": \"x\"}\n")]
    [InlineData("guest-file-read", "{\"return\": {\"buf-b64\": \"!\"}}\n")]
    public async Task An_agent_that_lies_ends_the_command_with_a_sentence(string command, string answer)
    {
        _guest.Answers = asked => asked == command ? answer : null;

        await Assert.ThrowsAsync<AgentException>(() => RunAsync(new AgentCommand { Words = ["true"], Folder = "/" }));
    }

    [Fact]
    public async Task A_terminal_is_refused()
    {
        var refused = await Assert.ThrowsAsync<AgentException>(() => RunAsync(new AgentCommand { Words = ["true"], Terminal = (24, 80) }));

        Assert.Contains("which has no terminals", refused.Message, StringComparison.Ordinal);
        Assert.Equal(126, refused.ExitCode);
    }

    [Fact]
    public async Task The_clock_power_addresses_and_still_file_systems_are_asked_of_it()
    {
        _guest.Answers = command => command switch
        {
            "guest-network-get-interfaces" => "{\"return\": [{\"name\": \"lo\"}, 5, {\"name\": \"eth0\", \"ip-addresses\": [{\"ip-address\": \"10.0.2.15\"}, {\"ip-address\": 1}, {\"ip-address\": \"fe80::1\\u0007\"}]}]}\n",
            "guest-fsfreeze-freeze" => "{\"return\": 2}\n",
            "guest-shutdown" => "",
            _ => null,
        };

        await AskedAsync(connection => connection.SetClockAsync(DateTimeOffset.UnixEpoch, Cancellation));
        await AskedAsync(connection => connection.PingAsync(Cancellation));
        await AskedAsync(connection => connection.PowerAsync(reboots: false, Cancellation));
        await AskedAsync(async connection => Assert.Equal("eth0 10.0.2.15\neth0 fe80::1?\n", await connection.AddressesAsync(Cancellation)));
        await AskedAsync(async connection => Assert.Equal("2", await connection.FreezeAsync(Cancellation)));
        await Assert.ThrowsAsync<AgentException>(() => AskedAsync(connection => connection.ReseedAsync(new byte[1], Cancellation)));

        Assert.Equal(["guest-set-time", "guest-ping", "guest-shutdown", "guest-network-get-interfaces", "guest-fsfreeze-freeze", "guest-fsfreeze-thaw"], _guest.Commands);
    }

    [Fact]
    public async Task Of_interfaces_and_their_addresses_so_many_are_told_and_what_no_frame_holds_is_refused()
    {
        const int most = 256;
        Say(Enumerable.Range(0, most + 1).Select(number => Interface($"e{number}", 1)));
        await AskedAsync(async connection => Assert.Equal(most, Lines(await connection.AddressesAsync(Cancellation))));
        Say([Interface("e", most + 1)]);
        await AskedAsync(async connection => Assert.Equal(most, Lines(await connection.AddressesAsync(Cancellation))));
        Say(Enumerable.Range(0, most).Select(_ => Interface(new string('e', 100), 1)));
        await AskedAsync(async connection => Assert.Contains("too many addresses", (await Assert.ThrowsAsync<AgentException>(() => connection.AddressesAsync(Cancellation))).Message, StringComparison.Ordinal));

        void Say(IEnumerable<string> interfaces) => _guest.Answers = command => command == "guest-network-get-interfaces" ? $"{{\"return\": [{string.Join(',', interfaces)}]}}\n" : null;
        static string Interface(string name, int addresses) => $"{{\"name\": \"{name}\", \"ip-addresses\": [{string.Join(',', Enumerable.Repeat("{\"ip-address\": \"10.0.2.15\"}", addresses))}]}}";
        static int Lines(string text) => text.Count(letter => letter == '\n');
    }

    private static async Task UntilAsync(Func<bool> isSo)
    {
        while (!isSo())
        {
            Cancellation.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    private Task<JsonElement> AskAsync(string command) => _guest.Agent.AskAsync(command, null, QemuAgent.Patience, Cancellation);

    private async Task AskedAsync(Func<AgentConnection, Task> ask)
    {
        await using var client = Client();
        await using (var connection = await AgentConnection.OpenAsync(client.Host, Cancellation)) await ask(connection);
        await client.Served;
    }

    private async Task<(AgentEnd End, byte[] Output, string Errors)> RunAsync(AgentCommand command, byte[]? input = null)
    {
        await using var client = Client();
        await using var process = await AgentProcess.StartAsync(await AgentConnection.OpenAsync(client.Host, Cancellation), command, Cancellation);
        var (output, errors) = (new MemoryStream(), new MemoryStream());
        var end = await process.CarryAsync(input is null ? null : new MemoryStream(input), output, errors, Cancellation);
        return (end, output.ToArray(), Encoding.UTF8.GetString(errors.ToArray()));
    }

    private ServedClient Client() => new(_guest.Agent);

    // A client whose request is carried out by the agent.
    private sealed class ServedClient : IAsyncDisposable
    {
        private readonly FakeAgent _ends = FakeAgent.Create();

        internal ServedClient(QemuAgent agent)
        {
            var connection = AgentConnection.Serve(_ends.Guest);
            Served = QemuSession.RunAsync(connection, agent, Cancellation);
        }

        internal Stream Host => _ends.Host;

        internal Task Served { get; }

        internal Task HeededAsync() => _ends.HeededAsync();

        public async ValueTask DisposeAsync()
        {
            _ends.Host.Dispose();
            await Served;
            _ends.Dispose();
        }
    }
}
