// What waits for clients when the process has no descriptor left: it goes on, costs no time, and lets them in later. Run
// alone, since the limit is the process's.
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Text;
using Lamina.Backends.Char;
using Lamina.Backends.Net.Switch;
using Lamina.Backends.Net.User;
using Lamina.Backends.Net.Wire;
using Lamina.Backends.Vsock;
using Lamina.Core.Net;
using Lamina.Core.Sockets;
using Lamina.Host;
using Lamina.Tests.Backends.Net;
using Xunit;

namespace Lamina.Tests.Backends;

[Collection(Alone.Name)]
public sealed class DescriptorTests : IDisposable
{
    private readonly TestFolder _folder = new();
    private readonly List<string> _failures = [];

    private string Path => _folder["socket"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_console_lets_its_client_in_later()
    {
        using var backend = new UnixSocketCharBackend(Path, new OutputOptions { Failed = _failures.Add });
        using var client = NewSocket();

        using (new NoDescriptors())
        {
            client.Connect(new UnixDomainSocketEndPoint(Path));
            AssertQuiet();
            Assert.False(backend.IsConnected);
        }

        Waiting.Until(() => backend.IsConnected);
        backend.Write("hello"u8);
        Assert.Equal("hello", Read(client, 5));
        Assert.Empty(_failures);
    }

    [Fact]
    public void A_vsock_lets_its_client_in_later_and_refuses_its_guest()
    {
        using var host = new UnixSocketHost(Path, _failures.Add);
        host.Attach(new Guest());
        using var client = NewSocket();
        using var listener = NewSocket();
        listener.Bind(new UnixDomainSocketEndPoint(Path + "_7"));
        listener.Listen();
        // What the runtime needs once for sockets that wait.
        var before = host.Connect(7);
        Assert.NotNull(before);

        using (new NoDescriptors())
        {
            client.Connect(new UnixDomainSocketEndPoint(Path));
            client.Send("CONNECT 5\n"u8);
            AssertQuiet();
            Assert.Null(host.Connect(7));
        }

        Assert.Equal("OK 1024\n", Read(client, 8));
        var after = host.Connect(7);
        Assert.NotNull(after);
        after.Dispose();
        before.Dispose();
        Assert.Empty(_failures);
    }

    [Fact]
    public void A_switch_lets_its_client_in_later()
    {
        using var backend = new SwitchBackend(Path, VlanMembership.Untagged);
        backend.Attach(new Card());
        backend.Start();
        using var client = NewSocket();

        using (new NoDescriptors())
        {
            client.Connect(new UnixDomainSocketEndPoint(Path));
            AssertQuiet();
        }

        var frame = new byte[60];
        frame.AsSpan(0, 6).Fill(0xff);
        Waiting.Until(() =>
        {
            backend.Send(frame, default);
            backend.Flush();
            return client.Available >= 4 + frame.Length;
        });
    }

    [Fact]
    public void A_guests_new_connections_fail_alone_and_a_published_port_lets_its_clients_in_later()
    {
        using var server = new HostServer();
        using var lab = new UserLab(new UserNetOptions { HostPorts = [], Published = [new PublishedPort(new IPEndPoint(IPAddress.Loopback, 0), 80)] });
        var guest = TcpGuest.Connect(lab, UserLab.Gateway, server.Port, 40000);
        using var host = server.Accept();
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        LinkTests.SendArp(lab, 2, UserLab.Guest, UserLab.Gateway);
        lab.Card.Frames.Clear();

        using (new NoDescriptors())
        {
            var refused = new TcpGuest(lab, UserLab.Gateway, (ushort)server.Port, 40001);
            refused.SendSyn();
            Assert.True(refused.Take().Has(Tcp.Rst));
            lab.SendUdp(UserLab.Guest, 5000, UserLab.Gateway, (ushort)server.Port, "question"u8);
            Assert.Equal(3, lab.Take(frame => frame.Protocol == IpProtocol.Icmp4).Payload[0]);
            client.Connect(lab.Stack.Published.Opened.Single().Host);
            lab.Settle();
            // What there is goes on.
            guest.SendData("hello"u8);
            Assert.Equal("hello"u8, host.ReceiveExactly(5));
        }

        Assert.Equal(1, lab.Stack.Tcp.Count);
        lab.Pass(1000);
        _ = TcpGuest.Accept(lab, 80);
        Assert.Equal(2, lab.Stack.Tcp.Count);
    }

    [Fact]
    public void A_switch_that_cannot_be_joined_is_told_of_in_a_sentence()
    {
        var path = new UnixSocketPath(Path);
        HostException refused;

        using (new NoDescriptors()) refused = Assert.Throws<HostException>(path.TryConnect);

        Assert.Contains("raise the limit on open files", refused.Message, StringComparison.Ordinal);
    }

    private static Socket NewSocket() => new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = (int)Waiting.Limit.TotalMilliseconds };

    private static string Read(Socket socket, int length)
    {
        var bytes = new byte[length];
        for (var done = 0; done < length;)
        {
            var count = socket.Receive(bytes.AsSpan(done));
            Assert.NotEqual(0, count);
            done += count;
        }
        return Encoding.ASCII.GetString(bytes);
    }

    // A thread that does not wait tries thousands of times, each of which ends with an exception.
    private static void AssertQuiet()
    {
        const int most = 50;
        var tries = 0;
        void Count(object? sender, FirstChanceExceptionEventArgs e)
        {
            if (e.Exception is SocketException) Interlocked.Increment(ref tries);
        }
        AppDomain.CurrentDomain.FirstChanceException += Count;
        Thread.Sleep(400);
        AppDomain.CurrentDomain.FirstChanceException -= Count;
        Assert.InRange(Volatile.Read(ref tries), 1, most);
    }

    private sealed class Guest : ISocketGuest
    {
        public bool Connect(uint port, IHostStream stream)
        {
            stream.Accept(1024);
            return true;
        }

        public void Ready()
        {
        }
    }

    private sealed class Card : INetReceiver
    {
        public NetOffloads Offloads => NetOffloads.None;

        public bool Receive(ReadOnlySpan<byte> frame, in FrameOffload offload) => true;
    }
}

/// <summary>As long as it lives the process can open nothing: at all, or until something is closed. getrlimit(2).</summary>
internal sealed class NoDescriptors : IDisposable
{
    private const int RLIMIT_NOFILE = 7, StandardDescriptors = 3;

    private readonly Limit _before;
    private readonly List<FileStream> _filling = [];
    private (int Workers, int Ports) _least, _most;

    public NoDescriptors(bool isFull = false)
    {
        HaveThreads();
        // The runtime's timers and its waiting for sockets begin with the first one.
        Task.Delay(1).Wait();
        using (var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        using (var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            // A name that is no file's (unix(7)).
            var place = new UnixDomainSocketEndPoint($"\0lamina-{Guid.NewGuid()}");
            listener.Bind(place);
            listener.Listen();
            var accepting = listener.AcceptAsync();
            client.Connect(place);
            accepting.GetAwaiter().GetResult().Dispose();
        }
        Check(getrlimit(RLIMIT_NOFILE, out _before));
        // What is open stays so, and no number below is free, or soon will not be.
        var most = isFull ? Directory.GetFileSystemEntries("/proc/self/fd").Select(path => int.Parse(Path.GetFileName(path), CultureInfo.InvariantCulture)).Max() + 1 : StandardDescriptors;
        Check(setrlimit(RLIMIT_NOFILE, new Limit { Soft = (ulong)most, Hard = _before.Hard }));
        while (isFull)
        {
            try
            {
                _filling.Add(new FileStream("/dev/null", FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
            }
            catch (IOException)
            {
                return;
            }
        }
    }

    public void Dispose()
    {
        Check(setrlimit(RLIMIT_NOFILE, _before));
        foreach (var file in _filling) file.Dispose();
        ThreadPool.SetMaxThreads(_most.Workers, _most.Ports);
        ThreadPool.SetMinThreads(_least.Workers, _least.Ports);
    }

    // A thread cannot begin without descriptors, and the runtime ends where its pool wants another one: it has all that it may have, which wait a while
    // for work before they end, and wants no more. Each of them is begun because the others stand.
    private void HaveThreads()
    {
        ThreadPool.GetMinThreads(out _least.Workers, out _least.Ports);
        ThreadPool.GetMaxThreads(out _most.Workers, out _most.Ports);
        var threads = Math.Max(8, Environment.ProcessorCount);
        Assert.True(ThreadPool.SetMinThreads(threads, _least.Ports));
        using var all = new CountdownEvent(threads);
        var stand = Enumerable.Range(0, threads).Select(_ => Task.Run(() =>
        {
            all.Signal();
            all.Wait();
        })).ToArray();
        Task.WaitAll(stand);
        Assert.True(ThreadPool.SetMaxThreads(threads, _most.Ports));
    }

    private static void Check(int result) => Assert.True(result == 0, $"errno {Marshal.GetLastPInvokeError()}");

    private struct Limit
    {
        public ulong Soft, Hard;
    }

    [DllImport("libc", SetLastError = true)]
    private static extern int getrlimit(int resource, out Limit limit);

    [DllImport("libc", SetLastError = true)]
    private static extern int setrlimit(int resource, in Limit limit);
}
