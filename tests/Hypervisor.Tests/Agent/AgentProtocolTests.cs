// The host's side of the agent's protocol against a guest that says what no agent says: each ends in a sentence, and nothing is kept
// beyond its bounds.
using System.Text;
using Lamina.Hypervisor.Agent;
using Xunit;

namespace Lamina.Tests.Hypervisor.Agent;

public sealed class AgentProtocolTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_command_and_what_belongs_to_it_goes_as_texts()
    {
        var (agent, connection) = await FakeAgent.GreetedAsync();
        using var owned = agent;
        agent.Say('S', 1, 0, 0, 0);
        var command = new AgentCommand { Words = ["ls", "-l", ""], Environment = ["A=b"], User = "alice", Folder = "/srv", Terminal = (24, 80) };

        await using var process = await AgentProcess.StartAsync(connection, command, Cancellation);

        var (kind, payload) = await agent.HearAsync();
        Assert.Equal(('x', "als\0a-l\0a\0eA=b\0ualice\0d/srv\0t24x80\0"), (kind, Encoding.UTF8.GetString(payload)));
    }

    [Theory]
    [InlineData("a\0b", "cannot hold a zero byte")]
    [InlineData(null, "at most 65536 bytes")]
    public async Task A_command_that_no_guest_takes_is_refused(string? word, string sentence)
    {
        var (agent, connection) = await FakeAgent.GreetedAsync();
        using var owned = agent;

        var refused = await Assert.ThrowsAsync<AgentException>(() => AgentProcess.StartAsync(connection, new AgentCommand { Words = [word ?? new string('x', 70_000)] }, Cancellation));

        Assert.Contains(sentence, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Streams_are_carried_and_the_end_is_told()
    {
        var (agent, process) = await FakeAgent.RunningAsync();
        using var owned = agent;
        await using var ours = process;
        var (output, errors) = (new MemoryStream(), new MemoryStream());
        var carried = process.CarryAsync(new MemoryStream("in"u8.ToArray()), output, errors, Cancellation);

        Assert.Equal(('i', "in"), Text(await agent.HearAsync()));
        Assert.Equal(('i', ""), Text(await agent.HearAsync()));
        agent.Say('O', "out"u8.ToArray());
        Assert.Equal(('c', "\0\x3\0\0\0"), Text(await agent.HearAsync()));
        agent.Say('E', "err"u8.ToArray());
        Assert.Equal(('c', "\x1\x3\0\0\0"), Text(await agent.HearAsync()));
        agent.Say('E');
        agent.Say('O');
        agent.Say('X', 0, 7);

        Assert.Equal(7, (await carried).ExitCode);
        Assert.Equal(("out", "err"), (Encoding.UTF8.GetString(output.ToArray()), Encoding.UTF8.GetString(errors.ToArray())));
    }

    [Fact]
    public async Task A_signal_is_the_end_as_shells_have_it()
    {
        var (agent, process) = await FakeAgent.RunningAsync();
        using var owned = agent;
        await using var ours = process;
        var carried = process.CarryAsync(null, Stream.Null, Stream.Null, Cancellation);
        await process.SignalAsync(15, Cancellation);
        Assert.Contains(('s', "\xf"), new[] { Text(await agent.HearAsync()), Text(await agent.HearAsync()) });

        agent.Say('X', 1, 15);

        Assert.Equal(143, (await carried).ExitCode);
    }

    [Fact]
    public async Task No_more_is_sent_than_the_guest_takes()
    {
        var (agent, process) = await FakeAgent.RunningAsync();
        using var owned = agent;
        await using var ours = process;
        var carried = process.CarryAsync(new MemoryStream(new byte[AgentSpec.Window + 10]), Stream.Null, Stream.Null, Cancellation);
        var taken = 0;
        while (taken < AgentSpec.Window) taken += (await agent.HearAsync()).Payload.Length;
        Assert.Equal(AgentSpec.Window, taken);

        agent.Say('C', 4, 0, 0, 0);
        Assert.Equal(4, (await agent.HearAsync()).Payload.Length);
        agent.Say('C', 6, 0, 0, 0);
        Assert.Equal(6, (await agent.HearAsync()).Payload.Length);
        Assert.Equal(('i', ""), Text(await agent.HearAsync()));
        agent.Say('X', 0, 0);
        Assert.Equal(0, (await carried).ExitCode);
    }

    [Theory]
    [InlineData('C', new byte[] { 1, 0, 0, 0 }, "it took more than there was")]
    [InlineData('C', new byte[] { 1 }, "a frame of the kind 67 with 1 bytes")]
    [InlineData('X', new byte[] { 1 }, "a frame of the kind 88 with 1 bytes")]
    [InlineData('Z', new byte[] { }, "a frame of the kind 90 with 0 bytes")]
    [InlineData('F', new byte[] { }, "a failure without a reason")]
    [InlineData('F', new byte[] { 1, (byte)'a', 27, (byte)'b' }, "a?b")]
    public async Task What_no_agent_says_ends_the_conversation(char kind, byte[] payload, string sentence)
    {
        var (agent, process) = await FakeAgent.RunningAsync();
        using var owned = agent;
        await using var ours = process;

        agent.Say(kind, payload);

        var failure = await Assert.ThrowsAsync<AgentException>(() => process.CarryAsync(null, Stream.Null, Stream.Null, Cancellation));
        Assert.Contains(sentence, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_frame_that_is_too_long_is_not_waited_for()
    {
        var (agent, process) = await FakeAgent.RunningAsync();
        using var owned = agent;
        await using var ours = process;

        agent.Say('O', AgentSpec.MostPayload + 1, []);

        var failure = await Assert.ThrowsAsync<AgentException>(() => process.CarryAsync(null, Stream.Null, Stream.Null, Cancellation));
        Assert.Contains("a frame of 65537 bytes", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_guest_that_sends_more_than_its_window_is_hung_up_on()
    {
        var (agent, process) = await FakeAgent.RunningAsync();
        using var owned = agent;
        await using var ours = process;
        var never = new TaskCompletionSource();
        var carried = process.CarryAsync(null, new StuckStream(never.Task), Stream.Null, Cancellation);

        for (var i = 0; i < 5; i++) agent.Say('O', new byte[AgentSpec.MostPayload]);

        var failure = await Assert.ThrowsAsync<AgentException>(() => carried);
        Assert.Contains("more output than it may send", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Output_behind_the_end_of_output_is_refused()
    {
        var (agent, process) = await FakeAgent.RunningAsync();
        using var owned = agent;
        await using var ours = process;
        agent.Say('O');
        agent.Say('O', 1);

        var failure = await Assert.ThrowsAsync<AgentException>(() => process.CarryAsync(null, Stream.Null, Stream.Null, Cancellation));
        Assert.Contains("output behind its end", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_guest_that_hangs_up_is_told_of()
    {
        var (agent, process) = await FakeAgent.RunningAsync();
        using var owned = agent;
        await using var ours = process;

        agent.HangUp();

        var failure = await Assert.ThrowsAsync<AgentException>(() => process.CarryAsync(null, Stream.Null, Stream.Null, Cancellation));
        Assert.Contains("hung up", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_output_that_takes_no_more_ends_the_conversation()
    {
        var (agent, process) = await FakeAgent.RunningAsync();
        using var owned = agent;
        await using var ours = process;
        agent.Say('O', 1);

        await Assert.ThrowsAsync<IOException>(() => process.CarryAsync(null, new StuckStream(Task.FromException(new IOException("full"))), Stream.Null, Cancellation));
    }

    [Theory]
    [InlineData(2, "speaks version 2 of its protocol and not 1")]
    [InlineData(0, "speaks version 0 of its protocol and not 1")]
    public async Task An_agent_of_another_version_is_named(byte version, string sentence)
    {
        using var agent = FakeAgent.Create();
        agent.Say('H', version, 0, 0, 0);

        var failure = await Assert.ThrowsAsync<AgentException>(() => AgentConnection.OpenAsync(agent.Host, Cancellation));

        Assert.Contains(sentence, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_agent_that_does_not_greet_is_not_waited_for_without_end()
    {
        using var agent = FakeAgent.Create();

        var failure = await Assert.ThrowsAsync<AgentException>(() => AgentConnection.OpenAsync(agent.Host, TimeSpan.FromMilliseconds(20), Cancellation));

        Assert.Contains("has not answered for 20ms", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_input_that_cannot_be_read_ends_the_conversation()
    {
        var (agent, process) = await FakeAgent.RunningAsync();
        using var owned = agent;
        await using var ours = process;

        await Assert.ThrowsAsync<IOException>(() => process.CarryAsync(new UnreadableStream(), Stream.Null, Stream.Null, Cancellation));
    }

    [Fact]
    public async Task A_sentence_of_the_guests_is_cut()
    {
        var (agent, process) = await FakeAgent.RunningAsync();
        using var owned = agent;
        await using var ours = process;

        agent.Say('F', [1, .. Enumerable.Repeat((byte)'x', 10_000)]);

        var failure = await Assert.ThrowsAsync<AgentException>(() => process.CarryAsync(null, Stream.Null, Stream.Null, Cancellation));
        Assert.Equal(AgentSpec.LongestSentence, failure.Message.Length);
    }

    [Fact]
    public void The_guests_side_has_the_same_numbers()
    {
        using var header = new StreamReader(typeof(Machine).Assembly.GetManifestResourceStream("Lamina.Images.Agent.agent.h")!);
        var text = header.ReadToEnd();

        Assert.Contains($"AGENT_VERSION = {AgentSpec.Version},", text, StringComparison.Ordinal);
        Assert.Contains($"AGENT_PORT = {AgentSpec.Port},", text, StringComparison.Ordinal);
        Assert.Contains($"MOST_PAYLOAD = {AgentSpec.MostPayload / 1024} * 1024,", text, StringComparison.Ordinal);
        Assert.Contains($"WINDOW = {AgentSpec.Window / 1024} * 1024,", text, StringComparison.Ordinal);
        foreach (var kind in Enum.GetValues<AgentFrame>()) Assert.Contains($"{kind.ToString().ToUpperInvariant()} = '{(char)kind}'", text, StringComparison.Ordinal);
        foreach (var (kind, name) in (ReadOnlySpan<(AgentFailure, string)>)[(AgentFailure.BadRequest, "BAD_REQUEST"), (AgentFailure.NotFound, "NOT_FOUND"), (AgentFailure.NotRunnable, "NOT_RUNNABLE"), (AgentFailure.Refused, "REFUSED")])
            Assert.Contains($"{name} = {(int)kind}", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Acts_are_answered_or_refused()
    {
        var (agent, connection) = await FakeAgent.GreetedAsync();
        using var owned = agent;
        await using var ours = connection;
        agent.Say('K', "lo 127.0.0.1\n"u8.ToArray());
        Assert.Equal("lo 127.0.0.1\n", await connection.AddressesAsync(Cancellation));
        agent.Say('F', [4, .. "no"u8]);
        Assert.Equal("no", (await Assert.ThrowsAsync<AgentException>(() => connection.SetClockAsync(DateTimeOffset.UnixEpoch.AddSeconds(5).AddTicks(3), Cancellation))).Message);

        Assert.Equal('a', (await agent.HearAsync()).Kind);
        Assert.Equal(('k', "\x5\0\0\0\0\0\0\0\x2c\x1\0\0"), Text(await agent.HearAsync()));
    }

    private static (char, string) Text((char Kind, byte[] Payload) frame) => (frame.Kind, Encoding.Latin1.GetString(frame.Payload));

    private sealed class UnreadableStream : MemoryStream
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => throw new IOException("unreadable");
    }

    // An output whose every write is as the task is.
    private sealed class StuckStream(Task task) : MemoryStream
    {
        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => await task.WaitAsync(cancellationToken);
    }
}
