// The host's end of a connection to what a program in the guest (the host's own socat, see HostProgram) listens on at its socket device.
using System.Net.Sockets;
using System.Text;
using Xunit;

namespace Lamina.Tests.Boot.Support;

internal static class VsockClient
{
    /// <summary>Connects to a port of the guest's through the machine's Unix socket, as soon as somebody listens there.</summary>
    internal static async Task<Socket> ConnectAsync(string path, int port)
    {
        // The guest's program may not listen yet: until it does, the connection is closed without an answer.
        var started = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var program = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await program.ConnectAsync(new UnixDomainSocketEndPoint(path), TestContext.Current.CancellationToken);
            await program.SendAsync(Encoding.ASCII.GetBytes($"CONNECT {port}\n"), TestContext.Current.CancellationToken);
            var answer = await ReadLineAsync(program);
            if (answer.Length != 0)
            {
                Assert.Matches("^OK [0-9]+\n$", answer);
                return program;
            }
            program.Dispose();
            Assert.True(TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromMinutes(1), "nobody in the guest listens");
            await Task.Delay(TimeSpan.FromMilliseconds(100), TestContext.Current.CancellationToken);
        }
    }

    // Empty where the stream ends before.
    private static async Task<string> ReadLineAsync(Socket socket)
    {
        var (line, next) = (new StringBuilder(), new byte[1]);
        try
        {
            while (await socket.ReceiveAsync(next, TestContext.Current.CancellationToken) == 1)
            {
                line.Append((char)next[0]);
                if (next[0] == '\n') return line.ToString();
            }
        }
        catch (SocketException)
        {
        }
        return "";
    }
}
