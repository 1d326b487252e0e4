// Servers on the loopback for guests on a network: a name server that knows two names, and a web server with one file that
// also tells the sum of what it is sent.
using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace Lamina.Tests.Boot.Support;

internal sealed class TestServers : IDisposable
{
    private readonly Socket _dns = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
    private readonly TcpListener _http = new(IPAddress.Loopback, 0), _closed = new(IPAddress.Loopback, 0);

    internal TestServers()
    {
        RandomNumberGenerator.Fill(File);
        _dns.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _http.Start();
        _closed.Start();
        _ = Task.Run(AnswerNamesAsync);
        _ = Task.Run(AnswerRequestsAsync);
    }

    internal byte[] File { get; } = new byte[16 << 20];

    /// <summary>What is found under a path, as "/start"; under any other is <see cref="File"/>.</summary>
    internal Dictionary<string, byte[]> Files { get; } = [];

    internal IPEndPoint Dns => (IPEndPoint)_dns.LocalEndPoint!;

    internal int HttpPort => ((IPEndPoint)_http.LocalEndpoint).Port;

    /// <summary>A port that somebody listens on, and that the guest must not reach.</summary>
    internal int ClosedPort => ((IPEndPoint)_closed.LocalEndpoint).Port;

    internal bool ClosedPortWasReached => _closed.Pending();

    public void Dispose()
    {
        _dns.Dispose();
        _http.Dispose();
        _closed.Dispose();
    }

    // RFC 1035, 4: the question is sent back with an answer behind it.
    private async Task AnswerNamesAsync()
    {
        var buffer = new byte[512];
        try
        {
            while (true)
            {
                var received = await _dns.ReceiveFromAsync(buffer, new IPEndPoint(IPAddress.Any, 0));
                await _dns.SendToAsync(Answer(buffer.AsSpan(0, received.ReceivedBytes)), received.RemoteEndPoint);
            }
        }
        catch (Exception ended) when (ended is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private static byte[] Answer(ReadOnlySpan<byte> question)
    {
        var name = new StringBuilder();
        var at = 12;
        for (; question[at] != 0; at += question[at] + 1) name.Append(Encoding.ASCII.GetString(question.Slice(at + 1, question[at]))).Append('.');
        var type = BinaryPrimitives.ReadUInt16BigEndian(question[(at + 1)..]);
        byte[] address = name.ToString() switch { "host.test." => [10, 0, 2, 2], "lamina.test." => [192, 0, 2, 77], _ => [] };
        var isKnown = type == 1 && address.Length != 0;
        byte[] answer = [.. question[..(at + 5)], .. isKnown ? (byte[])[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, .. address] : []];
        (answer[2], answer[3], answer[7]) = (0x81, (byte)(address.Length == 0 ? 0x83 : 0x80), (byte)(isKnown ? 1 : 0));
        answer.AsSpan(8, 4).Clear();
        return answer;
    }

    private async Task AnswerRequestsAsync()
    {
        try
        {
            while (true)
            {
                var client = await _http.AcceptTcpClientAsync();
                _ = Task.Run(() => AnswerAsync(client));
            }
        }
        catch (Exception ended) when (ended is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private async Task AnswerAsync(TcpClient client)
    {
        using (client)
        {
            try
            {
                var stream = client.GetStream();
                var head = new StringBuilder();
                var one = new byte[1];
                while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal) && await stream.ReadAsync(one) == 1) head.Append((char)one[0]);
                var lines = head.ToString().Split("\r\n");
                var length = lines.Where(line => line.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase)).Select(line => int.Parse(line[15..], CultureInfo.InvariantCulture)).FirstOrDefault();
                var body = new byte[length];
                await stream.ReadExactlyAsync(body);
                var answer = lines[0].StartsWith("POST", StringComparison.Ordinal) ? Encoding.ASCII.GetBytes(Convert.ToHexStringLower(SHA256.HashData(body)))
                    : Files.GetValueOrDefault(lines[0].Split(' ').ElementAtOrDefault(1) ?? "", File);
                await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.0 200 OK\r\nContent-Length: {answer.Length}\r\nConnection: close\r\n\r\n"));
                await stream.WriteAsync(answer);
            }
            catch (Exception gone) when (gone is IOException or SocketException)
            {
                // The guest hung up; its own test says so.
            }
        }
    }
}
