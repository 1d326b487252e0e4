// The host's ends of a guest's sockets, with real Unix sockets at one side and a guest of the test's at the other.
using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;
using Lamina.Backends.Vsock;
using Lamina.Core.Inspection;
using Lamina.Core.Sockets;
using Lamina.Host;
using Xunit;

namespace Lamina.Tests.Backends.Vsock;

public sealed class UnixSocketHostTests : IDisposable
{
    private readonly TestFolder _folder = new();
    private readonly BlockingCollection<string> _said = [];
    private readonly Guest _guest = new();
    private readonly UnixSocketHost _host;

    public UnixSocketHostTests()
    {
        _host = new UnixSocketHost(Path, _said.Add) { Patience = Waiting.Limit };
        _host.Attach(_guest);
    }

    private string Path => _folder["guest.vsock"];

    public void Dispose()
    {
        _host.Dispose();
        _folder.Dispose();
        _said.Dispose();
    }

    private sealed class Guest : ISocketGuest
    {
        private readonly SemaphoreSlim _changes = new(0);

        public List<(uint Port, IHostStream Stream)> Asked { get; } = [];

        public bool Refuses { get; set; }

        public bool IsBroken { get; set; }

        public bool Connect(uint port, IHostStream stream)
        {
            if (IsBroken) throw new InvalidOperationException("the device is broken");
            if (Refuses) return false;
            lock (Asked) Asked.Add((port, stream));
            Ready();
            return true;
        }

        public void Ready() => _changes.Release();

        /// <summary>Waits, from change to change, until something is so.</summary>
        public void Until(Func<bool> condition)
        {
            while (!condition()) Assert.True(_changes.Wait(Waiting.Limit, TestContext.Current.CancellationToken), "nothing changed");
        }

        public (uint Port, IHostStream Stream) First()
        {
            Until(() =>
            {
                lock (Asked) return Asked.Count != 0;
            });
            return Asked[0];
        }
    }

    private static Socket Client(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = (int)Waiting.Limit.TotalMilliseconds };
        socket.Connect(new UnixDomainSocketEndPoint(path));
        return socket;
    }

    private static string Read(Socket socket, int length)
    {
        var bytes = new byte[length];
        var done = 0;
        while (done < length && socket.Receive(bytes, done, length - done, SocketFlags.None) is var count && count > 0) done += count;
        return Encoding.ASCII.GetString(bytes, 0, done);
    }

    private static byte[] Take(IHostStream stream)
    {
        var bytes = new byte[stream.Available];
        Assert.Equal(bytes.Length, stream.Read(bytes));
        return bytes;
    }

    [Fact]
    public void A_program_connects_to_a_port_of_the_guests()
    {
        using var client = Client(Path);
        client.Send("CONNECT 52\nhello"u8);
        var (port, stream) = _guest.First();
        _guest.Until(() => stream.Available == 5);

        stream.Accept(1073741825);
        stream.Write("guest"u8);

        Assert.Equal(52u, port);
        Assert.Equal("hello"u8.ToArray(), Take(stream));
        Assert.Equal("OK 1073741825\nguest", Read(client, 19));
        _guest.Until(() => stream.Unsent == 0);
    }

    [Fact]
    public void Programs_that_say_nothing_are_so_many_and_others_wait_for_them()
    {
        const int most = 64;
        var silent = Enumerable.Range(0, most).Select(_ => Client(Path)).ToList();
        Waiting.Until(() => Silent == most);
        using var late = Client(Path);
        late.Send("CONNECT 52\n"u8);

        // One that is let in would be asked for at once: this one is, when another has said what it wants.
        silent[0].Send("CONNECT 7\n"u8);
        _guest.Until(() =>
        {
            lock (_guest.Asked) return _guest.Asked.Count == 2;
        });
        Assert.Equal([7u, 52u], _guest.Asked.Select(asked => asked.Port));
        Assert.InRange(Silent, most - 1, most);
        silent.ForEach(client => client.Dispose());
    }

    // How many have connected and not said what they want.
    private long Silent
    {
        get
        {
            var node = new InspectNode("sockets");
            _host.Inspect(node);
            return (long)node["clients that have not said what they want"]!;
        }
    }

    [Fact]
    public void A_device_that_throws_is_told_of_in_a_sentence()
    {
        _guest.IsBroken = true;
        using var client = Client(Path);

        client.Send("CONNECT 52\n"u8);

        Assert.True(_said.TryTake(out var sentence, Waiting.Limit));
        Assert.Equal("the thread vsock stopped: the device is broken", sentence);
    }

    [Theory]
    [InlineData("CONNECT x\n")]
    [InlineData("CONNECT 4294967296\n")]
    [InlineData("CONNECT -1\n")]
    [InlineData("GET / HTTP/1.1\n")]
    [InlineData("CONNECT 11111111111111111111111111111111111")]
    public void A_program_that_asks_for_something_else_is_hung_up_on(string words)
    {
        using var client = Client(Path);

        client.Send(Encoding.ASCII.GetBytes(words));

        Assert.Equal("", ReadEnd(client));
        Assert.Empty(_guest.Asked);
    }

    [Fact]
    public void A_program_that_the_guest_cannot_serve_is_hung_up_on()
    {
        _guest.Refuses = true;
        using var client = Client(Path);

        client.Send("CONNECT 52\n"u8);

        Assert.Equal("", ReadEnd(client));
    }

    // A connection that is closed with bytes unread ends by a reset.
    private static string ReadEnd(Socket client)
    {
        try
        {
            return Read(client, 1);
        }
        catch (SocketException reset) when (reset.SocketErrorCode == SocketError.ConnectionReset)
        {
            return "";
        }
    }

    [Fact]
    public void The_guest_connects_to_what_listens_beside_the_socket()
    {
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint($"{Path}_80"));
        listener.Listen();

        using var stream = _host.Connect(80);
        using var program = listener.Accept();
        stream!.Write("to the host"u8);
        stream.EndWrite();
        program.Send("to the guest"u8);
        program.Shutdown(SocketShutdown.Send);

        Assert.Equal("to the host", Read(program, 100));
        _guest.Until(() => stream.Available == 12);
        Assert.False(stream.IsAtEnd);
        Assert.Equal("to the guest"u8.ToArray(), Take(stream));
        _guest.Until(() => stream.IsAtEnd);
        Assert.False(stream.IsBroken);
    }

    [Fact]
    public void A_port_where_nobody_listens_is_refused()
    {
        Assert.Null(_host.Connect(81));

        File.WriteAllText($"{Path}_82", "");
        Assert.Null(_host.Connect(82));
    }

    [Fact]
    public void What_the_guest_does_not_read_waits_with_the_sender()
    {
        using var client = Client(Path);
        client.Send("CONNECT 52\n"u8);
        var (_, stream) = _guest.First();
        var sent = new byte[1 << 20];
        Random.Shared.NextBytes(sent);
        var sender = Waiting.Run(() =>
        {
            for (var at = 0; at < sent.Length;) at += client.Send(sent.AsSpan(at));
            client.Shutdown(SocketShutdown.Send);
        });

        var received = new List<byte>();
        while (received.Count < sent.Length)
        {
            _guest.Until(() => stream.Available > 0);
            Assert.InRange(stream.Available, 1, 128 * 1024);
            received.AddRange(Take(stream));
        }

        Assert.Equal(sent, received.ToArray());
        Assert.True(sender.Join(Waiting.Limit));
    }

    [Fact]
    public void A_program_that_is_gone_breaks_the_stream_when_it_is_written_to()
    {
        var client = Client(Path);
        client.Send("CONNECT 52\n"u8);
        var (_, stream) = _guest.First();
        client.Dispose();
        _guest.Until(() => stream.IsAtEnd);

        stream.Write(new byte[1000]);

        _guest.Until(() => stream.IsBroken);
        Assert.Equal(0, stream.Unsent);
        stream.Write(new byte[1000]);
        stream.Dispose();
        stream.Dispose();
    }

    [Fact]
    public void A_path_that_is_in_use_is_refused_and_one_that_was_left_behind_is_not()
    {
        var refusal = Assert.Throws<HostException>(() => new UnixSocketHost(Path));
        Assert.Contains("in use", refusal.Message, StringComparison.Ordinal);

        _host.Dispose();
        Assert.False(File.Exists(Path));
        using (var left = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)) left.Bind(new UnixDomainSocketEndPoint(_folder["left.vsock"]));
        using var again = new UnixSocketHost(_folder["left.vsock"]);
    }
}
