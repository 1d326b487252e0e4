// The program's end of a guest's console, through the real serial port.
using System.Net.Sockets;
using Lamina.Core.Logging;
using Xunit;
using static Lamina.Tests.Machines.Life.TestMachines;

namespace Lamina.Tests.Machines.Life;

public sealed class SerialConsoleTests : IDisposable
{
    private readonly KernelFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task What_the_guest_writes_can_be_waited_for_piece_by_piece()
    {
        await using var machine = Create(Spec(_folder), Do(vcpu => Print(vcpu, "boot\r\nlogin: "), vcpu => Print(vcpu, "grün")));
        var run = machine.RunAsync(Token);

        Assert.Equal("boot\r\nlogin: ", await machine.Serial.ReadUntilAsync("login: ", Token));
        Assert.EndsWith("n", await machine.Serial.ReadUntilAsync("n", Token), StringComparison.Ordinal);
        await machine.StopAsync(Token);
        await run;
    }

    [Fact]
    public async Task Input_of_any_length_reaches_the_guest_whole_and_in_order()
    {
        var text = string.Concat(Enumerable.Range(0, 2000).Select(i => $"{i},"));
        await using var machine = Create(Spec(_folder), Echo);
        var run = machine.RunAsync(Token);
        await machine.Serial.ReadUntilAsync(">", Token);

        var typing = machine.Serial.WriteLineAsync(text, Token);

        Assert.Equal(text + "\n", await machine.Serial.ReadUntilAsync("\n", Token));
        await typing;
        await machine.StopAsync(Token);
        await run;

        static IEnumerable<FakeStep> Echo(FakeVcpu vcpu)
        {
            vcpu.Out(Com1 + 2, 1);
            vcpu.Out(Com1, (byte)'>');
            while (true)
            {
                if ((vcpu.In(Com1 + 5) & 1) != 0) vcpu.Out(Com1, vcpu.In(Com1));
                yield return FakeStep.Continue;
            }
        }
    }

    [Fact]
    public async Task Waiting_for_what_never_comes_ends_with_the_machine()
    {
        await using var machine = Create(Spec(_folder), Do(vcpu => Print(vcpu, "bye"), PowerOff));
        var wait = machine.Serial.ReadUntilAsync("login", Token);

        await machine.RunAsync(Token);

        Assert.Contains("login", (await Assert.ThrowsAsync<MachineException>(() => wait)).Message, StringComparison.Ordinal);
        Assert.Equal("bye", machine.Serial.Text);
    }

    [Fact]
    public async Task Waiting_can_be_cancelled()
    {
        using var source = new CancellationTokenSource();
        await using var machine = Create(Spec(_folder), Forever);
        var wait = machine.Serial.ReadUntilAsync("login", source.Token);

        await source.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => wait);
    }

    [Fact]
    public async Task Output_beyond_the_capacity_drops_the_oldest()
    {
        await using var machine = Create(Spec(_folder).With(new SerialDevice { To = new ConsoleTarget.Memory(100) }), Do(vcpu => Print(vcpu, new string('a', 1000) + "end"), PowerOff));

        await machine.RunAsync(Token);

        Assert.InRange(machine.Serial.Text.Length, 50, 100);
        Assert.EndsWith("aend", machine.Serial.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_console_that_is_not_kept_cannot_be_read()
    {
        await using var machine = Create(Spec(_folder).With(new SerialDevice { To = new ConsoleTarget.Null() }), Forever);

        Assert.Throws<InvalidOperationException>(() => machine.Serial);
    }

    [Fact]
    public async Task Output_to_a_file_is_there_when_the_machine_has_ended()
    {
        await using var machine = Create(Spec(_folder).With(new SerialDevice { To = new ConsoleTarget.File(_folder.In("log")) }), Do(vcpu => Print(vcpu, "hello\n"), PowerOff));

        await machine.RunAsync(Token);

        Assert.Equal("hello\n", File.ReadAllText(_folder.In("log")));
    }

    [Fact]
    public async Task An_exception_on_a_consoles_thread_ends_the_machine_with_a_sentence_and_not_the_process()
    {
        // Every write to this file finds its disk full, which is reported on the console's thread.
        var hooks = new MachineHooks { Log = Log.To(_ => throw new InvalidOperationException("the report is broken"), LogLevel.Warning) };
        await using var machine = Create(Spec(_folder).With(new SerialDevice { To = new ConsoleTarget.File("/dev/full") }), hooks, Do(vcpu => Print(vcpu, "hello\n")));

        var result = await machine.RunAsync(Token);

        Assert.Equal((MachineEnd.Failed, "the thread char-file stopped: the report is broken"), (result.End, result.Message));
    }

    [Fact]
    public void A_file_that_cannot_be_written_is_refused_in_a_sentence() =>
        Assert.Contains("none", Assert.Throws<MachineException>(() => Create(Spec(_folder).With(new SerialDevice { To = new ConsoleTarget.File(_folder.In("none/log")) }), Forever)).Message, StringComparison.Ordinal);

    [Fact]
    public async Task A_Unix_socket_carries_the_console_and_is_gone_with_the_machine()
    {
        var path = _folder.In("console");
        var machine = Create(Spec(_folder).With(new SerialDevice { To = new ConsoleTarget.Unix(path) }), Do(vcpu => Print(vcpu, "hello\n")));
        var run = machine.RunAsync(Token);
        using var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await client.ConnectAsync(new UnixDomainSocketEndPoint(path), Token);
        await using var stream = new NetworkStream(client);
        using var reader = new StreamReader(stream);

        Assert.Equal("hello", await reader.ReadLineAsync(Token));

        await machine.DisposeAsync();
        await run;
        Assert.False(File.Exists(path));
    }

    [Fact]
    public async Task A_channel_of_the_caller_s_own_is_used_and_disposed()
    {
        var channel = new Backends.Char.MemoryCharBackend();
        await using var machine = Create(Spec(_folder).With(new SerialDevice { Name = "mine", To = new ConsoleTarget.Own() }),
            new MachineHooks { Channels = new Dictionary<string, Core.Char.ICharBackend> { ["mine"] = channel } }, Do(vcpu => Print(vcpu, "hello"), PowerOff));

        await machine.RunAsync(Token);

        Assert.Equal("hello", channel.Text);
        await Assert.ThrowsAsync<EndOfStreamException>(() => channel.WaitForTextAsync("more", Token));
    }

    [Fact]
    public void A_channel_of_the_caller_s_own_that_is_not_there_is_told_by_the_device_s_name() =>
        Assert.Contains("serial0", Assert.Throws<MachineException>(() => Create(Spec(_folder).With(new SerialDevice { To = new ConsoleTarget.Own() }), Forever)).Message, StringComparison.Ordinal);
}
