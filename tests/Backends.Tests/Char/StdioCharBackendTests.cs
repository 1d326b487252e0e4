using System.Collections.Concurrent;
using System.IO.Pipes;
using System.Runtime.InteropServices;
using System.Text;
using Lamina.Backends.Char;
using Lamina.Host.Io;
using Lamina.Host.Terminals;
using Xunit;

namespace Lamina.Tests.Backends.Char;

public class StdioCharBackendTests
{
    private static int Descriptor(SafeHandle handle) => (int)handle.DangerousGetHandle();

    /// <summary>A backend between two pipes.</summary>
    private sealed class Pipes : IDisposable
    {
        public Pipes(StdioOptions? options = null)
        {
            Backend = new StdioCharBackend((options ?? new StdioOptions()) with
            {
                Input = Descriptor(_input.ClientSafePipeHandle),
                Output = Descriptor(_output.ClientSafePipeHandle),
            });
        }

        private readonly AnonymousPipeServerStream _input = new(PipeDirection.Out);
        private readonly AnonymousPipeServerStream _output = new(PipeDirection.In);

        public StdioCharBackend Backend { get; }

        public Stream Keyboard => _input;

        public Stream Screen => _output;

        public void Dispose()
        {
            Backend.Dispose();
            _input.Dispose();
            _output.Dispose();
        }
    }

    /// <summary>A backend at a terminal, and the person before it.</summary>
    private sealed class Person : IDisposable
    {
        private readonly PseudoTerminal _pair = PseudoTerminal.Create();

        public Person(Action? quit = null) =>
            Backend = new StdioCharBackend(new StdioOptions { Input = _pair.Descriptor, Output = _pair.Descriptor, Quit = quit });

        public StdioCharBackend Backend { get; }

        public void Type(ReadOnlySpan<byte> keys) => Assert.Equal(keys.Length, HostIo.Write(_pair.Controller, keys));

        public string See(int length)
        {
            var seen = "";
            while (seen.Length < length) seen += Waiting.Read(_pair.Controller, length - seen.Length);
            return seen;
        }

        public void Resize(ushort columns, ushort rows) => _pair.Resize(columns, rows);

        public void Dispose()
        {
            Backend.Dispose();
            _pair.Dispose();
        }
    }

    private static string Read(Stream stream, int length)
    {
        var bytes = new byte[length];
        stream.ReadExactly(bytes);
        return Encoding.ASCII.GetString(bytes);
    }

    [Fact]
    public void A_device_that_throws_is_told_of_in_a_sentence()
    {
        using var said = new BlockingCollection<string>();
        using var pipes = new Pipes(new StdioOptions { Failed = said.Add });
        pipes.Backend.Attach(new BrokenReceiver());

        pipes.Keyboard.Write("x"u8);

        Assert.True(said.TryTake(out var sentence, Waiting.Limit));
        Assert.Equal("the thread char-stdin stopped: the device is broken", sentence);
    }

    [Fact]
    public void Pipes_pass_everything_unchanged()
    {
        var receiver = new TestReceiver();
        using var pipes = new Pipes();
        pipes.Backend.Attach(receiver);

        pipes.Keyboard.Write("in\u0001x\u0001h\u0003"u8);
        pipes.Backend.Write("out\n"u8);

        Assert.Equal("out\n", Read(pipes.Screen, 4));
        Waiting.Until(() => receiver.Text == "in\u0001x\u0001h\u0003");
        Assert.Null(pipes.Backend.Terminal);
    }

    [Fact]
    public void A_pipe_is_read_no_faster_than_the_guest_takes()
    {
        var receiver = new TestReceiver { Room = 0 };
        using var pipes = new Pipes();
        pipes.Backend.Attach(receiver);
        var bytes = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(0, 100_000)));
        var typing = Waiting.Run(() => pipes.Keyboard.Write(bytes));
        Waiting.Until(() => receiver.Offers > 0);
        Assert.True(typing.IsAlive); // neither the pipe nor the backend holds that much

        receiver.Room = int.MaxValue;
        pipes.Backend.ReadyToReceive();

        Waiting.Until(() => receiver.Text.Length == bytes.Length);
        Assert.Equal(Encoding.ASCII.GetString(bytes), receiver.Text);
    }

    [Fact]
    public void The_end_of_input_ends_nothing_else()
    {
        var receiver = new TestReceiver();
        using var pipes = new Pipes();
        pipes.Backend.Attach(receiver);
        pipes.Keyboard.Write("last"u8);
        pipes.Keyboard.Close();
        Waiting.Until(() => receiver.Text == "last");

        pipes.Backend.Write("still here"u8);

        Assert.Equal("still here", Read(pipes.Screen, 10));
    }

    [Fact]
    public void The_end_of_input_is_passed_on_where_that_is_asked_for()
    {
        var receiver = new TestReceiver();
        using var pipes = new Pipes(new StdioOptions { EndMark = 4 });
        pipes.Backend.Attach(receiver);

        pipes.Keyboard.Write("last\n"u8);
        pipes.Keyboard.Close();

        Waiting.Until(() => receiver.Text == "last\n\u0004");
    }

    [Fact]
    public void What_asks_a_terminal_something_goes_to_none_and_nothing_else_is_taken_out()
    {
        var pipes = new Pipes();
        foreach (var part in (string[])["a\u001b[6", "nb\u001b[31mc\u001b\u001b[c\u001b[?6nd\u001b", "Ze\u001b[6", "\u001b[5nf\u001b[>"])
            pipes.Backend.Write(Encoding.ASCII.GetBytes(part));
        const string left = "ab\u001b[31mc\u001bde\u001b[6f\u001b[>";

        pipes.Backend.Dispose();

        Assert.Equal(left, Read(pipes.Screen, left.Length));
        pipes.Dispose();
    }

    [Fact]
    public void A_terminal_is_asked_what_the_guest_asks()
    {
        using var person = new Person();
        person.Backend.Attach(new TestReceiver());

        person.Backend.Write("\u001b[6n"u8);

        Assert.Equal("\u001b[6n", person.See(4));
    }

    [Fact]
    public void A_closed_output_ends_nothing_else()
    {
        var receiver = new TestReceiver();
        using var pipes = new Pipes();
        pipes.Backend.Attach(receiver);
        pipes.Screen.Close();
        for (var i = 0; i < 100; i++) pipes.Backend.Write(new byte[50_000]);
        pipes.Keyboard.Write("in"u8);

        Waiting.Until(() => receiver.Text == "in");
        Waiting.Until(() => pipes.Backend.Lost > 0);
    }

    [Fact]
    public void A_reader_that_stands_still_holds_the_guest_back_and_loses_nothing()
    {
        var receiver = new TestReceiver();
        using var pipes = new Pipes();
        pipes.Backend.Attach(receiver);
        var all = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(0, 300_000)));
        var sent = 0;
        var part = 1;
        while (part != 0) sent += part = pipes.Backend.Write(all.AsSpan(sent));
        Assert.InRange(sent, 1 << 20, all.Length - 1);

        var reading = Waiting.Run(() => Assert.Equal(Encoding.ASCII.GetString(all), Read(pipes.Screen, all.Length)));
        while (sent < all.Length)
        {
            Waiting.Until(() => receiver.Calls != 0);
            receiver.Calls = 0;
            sent += pipes.Backend.Write(all.AsSpan(sent));
        }

        Assert.True(reading.Join(Waiting.Limit));
        Assert.Equal(0, pipes.Backend.Lost);
    }

    [Fact]
    public void Where_output_is_to_be_dropped_nobody_is_held_back_and_it_is_counted()
    {
        using var pipes = new Pipes(new StdioOptions { Drops = true, IsHurried = () => true });

        Assert.Equal(3 << 20, pipes.Backend.Write(new byte[3 << 20]));

        Assert.InRange(pipes.Backend.Lost, 1 << 20, 2 << 20);
    }

    [Fact]
    public void The_last_output_is_out_when_the_backend_is_disposed()
    {
        var pipes = new Pipes();
        pipes.Backend.Write(new byte[30_000]);
        var reading = Waiting.Run(() => Read(pipes.Screen, 30_000));

        pipes.Backend.Dispose();

        Assert.True(reading.Join(Waiting.Limit));
        pipes.Dispose();
    }

    [Fact]
    public void At_a_terminal_every_key_reaches_the_guest_and_nothing_is_echoed()
    {
        var receiver = new TestReceiver();
        using var person = new Person();
        person.Backend.Attach(receiver);
        Assert.True(person.Backend.Terminal!.IsRaw);

        person.Type("a\r\n\u0003\u001a\u001c\u0013\u0004\u007f"u8);
        Waiting.Until(() => receiver.Text == "a\r\n\u0003\u001a\u001c\u0013\u0004\u007f");
        person.Backend.Write("b\nc"u8);

        Assert.Equal("b\nc", person.See(3));
    }

    [Fact]
    public void The_terminal_is_as_it_was_afterwards()
    {
        using var person = new Person();
        person.Backend.Attach(new TestReceiver());

        person.Backend.Dispose();
        person.Type("x\n"u8);

        Assert.False(person.Backend.Terminal!.IsRaw);
        Assert.Equal("x\r\n", person.See(3)); // echoed, as a terminal does by itself
    }

    [Fact]
    public void Ctrl_A_X_asks_for_the_end_even_while_the_guest_takes_nothing()
    {
        using var asked = new ManualResetEventSlim();
        using var person = new Person(asked.Set);
        person.Backend.Attach(new TestReceiver { Room = 0 });
        var pasted = new byte[1000];
        Array.Fill(pasted, (byte)'p');
        for (var i = 0; i < 100; i++) person.Type(pasted);

        person.Type("\u0001x"u8);

        Waiting.Wait(asked);
    }

    [Fact]
    public void The_end_may_be_made_where_it_was_asked_for()
    {
        using var ended = new ManualResetEventSlim();
        Person? person = null;
        person = new Person(() =>
        {
            person!.Backend.Dispose();
            ended.Set();
        });
        person.Backend.Attach(new TestReceiver());

        person.Type("\u0001X"u8);

        Waiting.Wait(ended);
        person.Dispose();
    }

    [Fact]
    public void Ctrl_A_H_helps_and_the_guest_sees_nothing_of_it()
    {
        var receiver = new TestReceiver();
        using var person = new Person();
        person.Backend.Attach(receiver);

        person.Type("a\u0001hb"u8);

        Assert.Equal(StdioCharBackend.Help, person.See(StdioCharBackend.Help.Length));
        Waiting.Until(() => receiver.Text == "ab");
    }

    [Fact]
    public void Ctrl_A_twice_sends_it_once_and_other_keys_behind_it_are_dropped()
    {
        var receiver = new TestReceiver();
        using var person = new Person();
        person.Backend.Attach(receiver);

        person.Type("\u0001"u8);
        person.Type("\u0001b\u0001qc"u8);

        Waiting.Until(() => receiver.Text == "\u0001bc");
    }

    [Fact]
    public void The_terminals_size_is_told()
    {
        using var person = new Person();
        person.Resize(132, 43);

        Assert.Equal(((ushort)132, (ushort)43), person.Backend.Terminal!.Size);
    }

    [Fact]
    public void A_changed_size_is_told_by_signal()
    {
        using var person = new Person();
        using var resized = new ManualResetEventSlim();
        person.Backend.Terminal!.Resized += resized.Set;

        using var kill = System.Diagnostics.Process.Start("kill", ["-WINCH", Environment.ProcessId.ToString()]);
        kill.WaitForExit();

        Waiting.Wait(resized);
    }

    [Fact]
    public void What_is_no_terminal_is_none()
    {
        using var pipe = new AnonymousPipeServerStream(PipeDirection.Out);

        Assert.Null(Terminal.TryOpen(Descriptor(pipe.SafePipeHandle)));
        Assert.Null(Terminal.TryOpen(-1));
    }
}
