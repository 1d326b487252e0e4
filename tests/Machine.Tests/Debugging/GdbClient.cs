// A debugger as far as the tests need one: sends packets, acknowledges answers.
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Lamina.Tests.Machines.Debugging;

internal sealed class GdbClient : IDisposable
{
    private readonly TcpClient _client = new();
    private bool _acknowledges = true;

    private static CancellationToken Token => Xunit.TestContext.Current.CancellationToken;

    internal static async Task<GdbClient> ConnectAsync(int port)
    {
        var client = new GdbClient();
        await client._client.ConnectAsync(IPAddress.Loopback, port, Token);
        return client;
    }

    /// <summary>Sends a command and returns its answer.</summary>
    internal async Task<string> AskAsync(string command)
    {
        await SendAsync(command);
        return await AnswerAsync();
    }

    internal async Task SendAsync(string command)
    {
        var sum = Encoding.Latin1.GetBytes(command).Aggregate(0, (total, value) => (total + value) & 0xFF);
        await SendRawAsync($"${command}#{sum:x2}");
        if (_acknowledges && await ReadByteAsync() is var reply && reply != '+') throw new InvalidOperationException($"{command} was answered with {reply}");
        if (command == "QStartNoAckMode") (_, _acknowledges) = (await AnswerAsync(), false);
    }

    internal async Task SendRawAsync(string raw) => await _client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(raw), Token);

    /// <summary>The next packet from the server.</summary>
    internal async Task<string> AnswerAsync()
    {
        while (await ReadByteAsync() != '$')
        {
        }
        var text = new StringBuilder();
        var sum = 0;
        for (var next = await ReadByteAsync(); next != '#'; next = await ReadByteAsync())
        {
            sum += next;
            if (next == '}')
            {
                next = await ReadByteAsync();
                sum += next;
                next = (char)(next ^ 0x20);
            }
            text.Append(next);
        }
        var claimed = byte.Parse($"{await ReadByteAsync()}{await ReadByteAsync()}", NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        if (claimed != (sum & 0xFF)) throw new InvalidOperationException("the answer's sum is wrong");
        if (_acknowledges) await SendRawAsync("+");
        return text.ToString();
    }

    internal async Task<char> ReadByteAsync()
    {
        var one = new byte[1];
        return await _client.GetStream().ReadAsync(one, Token) == 1 ? (char)one[0] : throw new EndOfStreamException();
    }

    public void Dispose() => _client.Dispose();
}
