// The host's end of tests: a server or client of the loopback.
using System.Net;
using System.Net.Sockets;

namespace Lamina.Tests.Backends.Net;

internal sealed class HostServer : IDisposable
{
    private readonly Socket _listener;

    public HostServer(IPAddress? address = null)
    {
        address ??= IPAddress.Loopback;
        _listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        _listener.Bind(new IPEndPoint(address, 0));
        _listener.Listen(16);
    }

    public int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

    public Socket Accept()
    {
        if (!_listener.Poll(Waiting.Limit, SelectMode.SelectRead)) throw new TimeoutException("nobody connected");
        var client = _listener.Accept();
        client.ReceiveTimeout = client.SendTimeout = (int)Waiting.Limit.TotalMilliseconds;
        return client;
    }

    /// <summary>A port of the loopback where nobody listens.</summary>
    public static int FreePort()
    {
        using var server = new HostServer();
        return server.Port;
    }

    public void Dispose() => _listener.Dispose();
}

internal static class HostPeers
{
    public static byte[] ReceiveExactly(this Socket socket, int count)
    {
        var bytes = new byte[count];
        for (var done = 0; done < count;)
        {
            var now = socket.Receive(bytes.AsSpan(done));
            if (now == 0) throw new EndOfStreamException($"the stream ended after {done} of {count} bytes");
            done += now;
        }
        return bytes;
    }

    public static byte[] Pattern(int count, int seed = 1)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
