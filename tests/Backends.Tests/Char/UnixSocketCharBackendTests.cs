using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;
using Lamina.Backends.Char;
using Lamina.Host;
using Xunit;

namespace Lamina.Tests.Backends.Char;

public class UnixSocketCharBackendTests : IDisposable
{
    private readonly TestFolder _folder = new();

    private string Place => _folder["console.sock"];

    public void Dispose() => _folder.Dispose();

    private Socket Connect()
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 30_000 };
        socket.Connect(new UnixDomainSocketEndPoint(Place));
        return socket;
    }

    private static string Receive(Socket client, int length)
    {
        var bytes = new byte[length];
        for (var done = 0; done < length;)
        {
            var count = client.Receive(bytes, done, length - done, SocketFlags.None);
            if (count == 0) return Encoding.ASCII.GetString(bytes, 0, done);
            done += count;
        }
        return Encoding.ASCII.GetString(bytes);
    }

    [Fact]
    public void The_socket_is_its_owners_alone_and_goes_with_the_backend()
    {
        using (new UnixSocketCharBackend(Place))
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Place));

        Assert.False(Path.Exists(Place));
    }

    [Fact]
    public void A_client_and_the_guest_talk_to_each_other()
    {
        var receiver = new TestReceiver();
        using var backend = new UnixSocketCharBackend(Place);
        backend.Attach(receiver);
        using var client = Connect();

        client.Send("hello"u8);
        backend.Write("world"u8);

        Assert.Equal("world", Receive(client, 5));
        Waiting.Until(() => receiver.Text == "hello");
    }

    [Fact]
    public void A_device_that_throws_is_told_of_in_a_sentence_and_the_client_sees_the_end()
    {
        using var said = new BlockingCollection<string>();
        using var backend = new UnixSocketCharBackend(Place, new OutputOptions { Failed = said.Add });
        backend.Attach(new BrokenReceiver());
        using var client = Connect();

        client.Send("x"u8);

        Assert.Equal("", Receive(client, 1));
        Assert.True(said.TryTake(out var sentence, Waiting.Limit));
        Assert.Equal("the thread char-unix stopped: the device is broken", sentence);
    }

    private static void Send(UnixSocketCharBackend backend, ReadOnlySpan<byte> data)
    {
        while (!data.IsEmpty)
        {
            data = data[backend.Write(data)..];
            Thread.Yield();
        }
    }

    [Fact]
    public void Output_before_a_client_waits_for_it()
    {
        using var backend = new UnixSocketCharBackend(Place);
        backend.Write("early "u8);
        backend.Write("words"u8);

        using var client = Connect();

        Assert.Equal("early words", Receive(client, 11));
    }

    [Fact]
    public void Of_too_much_output_before_a_client_the_latest_is_kept()
    {
        using var backend = new UnixSocketCharBackend(Place);
        var line = new byte[1000];
        for (var i = 0; i < 200; i++)
        {
            Array.Fill(line, (byte)('0' + i % 10));
            backend.Write(line);
        }

        using var client = Connect();
        var received = Receive(client, 64 * 1024);

        Assert.EndsWith(new string('9', 1000), received);
        Assert.Equal(200_000 - 64 * 1024, backend.Lost);
    }

    [Fact]
    public void Clients_follow_one_another()
    {
        var receiver = new TestReceiver();
        using var backend = new UnixSocketCharBackend(Place);
        backend.Attach(receiver);
        for (var i = 0; i < 5; i++)
        {
            using var client = Connect();
            client.Send("x"u8);
            Waiting.Until(() => receiver.Text.Length == i + 1);
            Assert.True(backend.IsConnected);
            backend.Write("y"u8);
            Assert.Equal("y", Receive(client, 1));
            client.Close();
            Waiting.Until(() => !backend.IsConnected);
        }
    }

    [Fact]
    public void A_second_client_has_its_turn_when_the_first_is_gone()
    {
        var changes = 0;
        var receiver = new TestReceiver();
        using var backend = new UnixSocketCharBackend(Place);
        backend.ConnectionChanged += () => Interlocked.Increment(ref changes);
        backend.Attach(receiver);
        using var first = Connect();
        Waiting.Until(() => backend.IsConnected);
        using var second = Connect();
        second.Send("second"u8);

        first.Send("first "u8);
        Waiting.Until(() => receiver.Text == "first ");
        first.Close();

        Waiting.Until(() => receiver.Text == "first second");
        Waiting.Until(() => Volatile.Read(ref changes) == 3);
    }

    [Fact]
    public void What_a_client_sent_and_left_reaches_the_guest_when_it_has_room()
    {
        var receiver = new TestReceiver { Room = 0 };
        using var backend = new UnixSocketCharBackend(Place);
        backend.Attach(receiver);
        using (var client = Connect()) client.Send("command\n"u8);
        Waiting.Until(() => receiver.Offers > 0 && !backend.IsConnected);

        receiver.Room = 100;
        backend.ReadyToReceive();

        Waiting.Until(() => receiver.Text == "command\n");
    }

    [Fact]
    public void Input_waits_for_a_receiver_and_for_its_room()
    {
        using var backend = new UnixSocketCharBackend(Place);
        using var client = Connect();
        var bytes = new byte[30_000];
        Array.Fill(bytes, (byte)'x');
        client.Send(bytes);
        var receiver = new TestReceiver { Room = 10 };
        backend.Attach(receiver);
        Waiting.Until(() => receiver.Text.Length == 10);

        receiver.Room = int.MaxValue;
        backend.ReadyToReceive();

        Waiting.Until(() => receiver.Text.Length == bytes.Length);
    }

    [Fact]
    public void The_last_output_reaches_the_client_before_the_end()
    {
        var backend = new UnixSocketCharBackend(Place);
        using var client = Connect();
        Waiting.Until(() => backend.IsConnected);

        var received = 0;
        var reading = Waiting.Run(() => received = Receive(client, 600_000).Length);

        Send(backend, new byte[500_000]);
        backend.Dispose();
        backend.Dispose();
        backend.Write("late"u8);

        Assert.True(reading.Join(Waiting.Limit));
        Assert.Equal(500_000, received);
    }

    [Fact]
    public void A_client_that_reads_nothing_holds_the_guest_back_until_it_goes()
    {
        var receiver = new TestReceiver();
        using var backend = new UnixSocketCharBackend(Place);
        backend.Attach(receiver);
        using var client = Connect();
        Waiting.Until(() => backend.IsConnected);
        // The socket's own buffers take some, the last of it perhaps behind the refusal.
        Waiting.Until(() =>
        {
            receiver.Calls = 0;
            return backend.Write(new byte[10_000]) < 10_000;
        });
        Assert.Equal(0, backend.Lost);

        client.Close();

        Waiting.Until(() => receiver.Calls != 0);
        Waiting.Until(() => backend.Write(new byte[10_000]) == 10_000);
    }

    [Fact]
    public void A_client_that_is_to_hold_nobody_back_misses_what_it_does_not_read()
    {
        using var backend = new UnixSocketCharBackend(Place, new OutputOptions { Drops = true, IsHurried = () => true });
        using var client = Connect();
        Waiting.Until(() => backend.IsConnected);

        Waiting.Until(() => backend.Write(new byte[10_000]) == 10_000 && backend.Lost > 0);
    }

    [Fact]
    public void A_client_that_reads_nothing_does_not_keep_the_end_from_coming()
    {
        var backend = new UnixSocketCharBackend(Place, new OutputOptions { HurriedPatience = TimeSpan.FromMilliseconds(1), IsHurried = () => true });
        using var client = Connect();
        Waiting.Until(() => backend.IsConnected);
        // Asked for the end, the guest is not held back either.
        Waiting.Until(() => backend.Write(new byte[10_000]) == 10_000 && backend.Lost > 0);

        backend.Dispose();

        Assert.True(backend.Lost > 10_000);
    }

    [Fact]
    public void A_socket_that_a_dead_process_left_is_replaced()
    {
        var dead = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        dead.Bind(new UnixDomainSocketEndPoint(Place + "2"));
        File.Move(Place + "2", Place);
        dead.Dispose();
        Assert.True(Path.Exists(Place));

        using var backend = new UnixSocketCharBackend(Place);
        backend.Write("x"u8);
        using var client = Connect();

        Assert.Equal("x", Receive(client, 1));
    }

    [Fact]
    public void A_path_that_cannot_be_is_told_in_a_sentence()
    {
        File.WriteAllText(_folder["file"], "precious");
        using var first = new UnixSocketCharBackend(Place);

        Assert.Contains("in use", Assert.Throws<HostException>(() => new UnixSocketCharBackend(Place)).Message);
        Assert.Contains("not a socket", Assert.Throws<HostException>(() => new UnixSocketCharBackend(_folder["file"])).Message);
        Assert.Contains("too long", Assert.Throws<HostException>(() => new UnixSocketCharBackend(_folder[new string('x', 120)])).Message);
        Assert.Contains("the folder of the socket", Assert.Throws<HostException>(() => new UnixSocketCharBackend(_folder["no/such"])).Message);
        Assert.Equal("precious", File.ReadAllText(_folder["file"]));
        using var client = Connect();
        Waiting.Until(() => first.IsConnected);
    }
}
