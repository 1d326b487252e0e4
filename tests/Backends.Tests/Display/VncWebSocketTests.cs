// The screen by WebSocket: .NET's own client as the browser, and requests and frames of which a browser sends none.
using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using Lamina.Backends.Display;
using Lamina.Core.Display;
using Lamina.Core.Inspection;
using Lamina.Host;
using Xunit;

namespace Lamina.Tests.Backends.Display;

public sealed class VncWebSocketTests : IDisposable
{
    // A key as section 1.3 of RFC 6455 has it, with what it says is answered.
    private const string Key = "dGhlIHNhbXBsZSBub25jZQ==", Answer = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    private const string Usual = $"Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {Key}\r\n";

    private readonly CancellationTokenSource _patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
    private readonly TestScreen _screen = new(200, 100);
    private readonly RecordingInput _input = new();
    private VncServer? _server;

    public VncWebSocketTests() => _patience.CancelAfter(TimeSpan.FromMinutes(2));

    private CancellationToken Token => _patience.Token;

    public void Dispose()
    {
        _server?.Dispose();
        _patience.Dispose();
    }

    private IPEndPoint Serve(string? origin = null, TimeSpan? patience = null)
    {
        _server = new VncServer(_screen, new VncOptions
        {
            Name = "Lamina: web",
            Address = new IPEndPoint(IPAddress.Loopback, 0),
            WebSocket = new IPEndPoint(IPAddress.Loopback, 0),
            WebSocketOrigin = origin,
            Keyboard = _input,
            Pointer = _input,
            Patience = patience ?? TimeSpan.FromMinutes(1),
        });
        return IPEndPoint.Parse(_server.WebSocketAddress!);
    }

    private async Task<NetworkStream> ConnectAsync(IPEndPoint place)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(place, Token);
        return new NetworkStream(socket, ownsSocket: true);
    }

    // What is answered, to the end where the server hangs up, else to the end of the head.
    private async Task<string> AskAsync(Stream stream, string request)
    {
        await stream.WriteAsync(Encoding.Latin1.GetBytes(request), Token);
        return await ReadAsync(stream);
    }

    private async Task<string> ReadAsync(Stream stream)
    {
        var (text, buffer) = (new StringBuilder(), new byte[1]);
        while (!(text.ToString().StartsWith("HTTP/1.1 101 ", StringComparison.Ordinal) && text.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal)))
        {
            try
            {
                if (await stream.ReadAsync(buffer, Token) == 0) break;
            }
            catch (IOException)
            {
                break;
            }
            text.Append((char)buffer[0]);
        }
        return text.ToString();
    }

    private async Task UntilNobodyIsConnectedAsync()
    {
        for (var node = new InspectNode("vnc"); ; node = new InspectNode("vnc"))
        {
            _server!.Inspect(node);
            if (!node.Nodes.Any()) break;
            await Task.Delay(5, Token);
        }
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/websockify?token=web")]
    public async Task A_browser_sees_what_is_shown_and_operates_it(string path)
    {
        var place = Serve();
        using var browser = new ClientWebSocket();
        browser.Options.AddSubProtocol("binary");
        browser.Options.SetRequestHeader("Origin", $"http://127.0.0.1:{place.Port + 1}");
        await browser.ConnectAsync(new Uri($"ws://{place}{path}"), Token);
        Assert.Equal("binary", browser.SubProtocol);
        await using var viewer = new TestViewer(WebSocketStream.Create(browser, WebSocketMessageType.Binary));
        await viewer.GreetAsync(Token);
        Assert.Equal("Lamina: web", viewer.Name);
        await viewer.SetEncodingsAsync(Token, 0);
        // More than one message.
        var picture = new ScreenPicture(200, 100, [.. Enumerable.Range(0, 20_000).Select(i => (uint)i * 77)]);
        _screen.Show(picture);
        await viewer.RequestAsync(incremental: false, Token);
        await viewer.ReadMessageAsync(Token);
        Assert.Equal(picture.Pixels, viewer.Picture.Pixels);
        await viewer.SendAsync([4, 1, 0, 0, 0, 0, 0, (byte)'A'], Token);
        while (_input.Seen.Length < 1) await Task.Delay(1, Token);
        await browser.CloseAsync(WebSocketCloseStatus.NormalClosure, null, Token);
        Assert.Equal(WebSocketCloseStatus.NormalClosure, browser.CloseStatus);
        await UntilNobodyIsConnectedAsync();
        Assert.Equal(["+1e", "-1e"], _input.Seen);
    }

    [Fact]
    public async Task The_key_is_answered_and_frames_come_in_pieces_with_pings_between()
    {
        await using var stream = await ConnectAsync(Serve());
        Assert.Contains($"Sec-WebSocket-Accept: {Answer}\r\n", await AskAsync(stream, $"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n{Usual}\r\n"), StringComparison.Ordinal);
        Assert.Equal([0x82, 12, .. "RFB 003.008\n"u8], await ReadAsync(stream, 14));
        // "RFB 0", an empty ping with four bytes, the rest in another frame, an empty one.
        await stream.WriteAsync((byte[])[.. Frame(0x02, "RFB 0"u8), .. Frame(0x89, "ping"u8), .. Frame(0x00, []), .. Frame(0x80, "03.008\n"u8), .. Frame(0x82, [])], Token);
        var answer = await ReadAsync(stream, 6 + 4);
        Assert.Equal([0x8a, 4, .. "ping"u8, 0x82, 2, 1, 1], answer);
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 426)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: " + Key + "\r\n\r\n", 426)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhl\r\n\r\n", 400)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: not base 64 at all!!\r\n\r\n", 400)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n" + Usual + "\r\n", 400)]
    [InlineData("GET / HTTP/1.1\r\n" + Usual + "\r\n", 400)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\n folded: line\r\n" + Usual + "\r\n", 400)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\n" + Usual + "\r\nmore", 400)]
    [InlineData("GET / HTTP/1.0\r\nHost: a\r\n" + Usual + "\r\n", 400)]
    [InlineData("GET http://a/ HTTP/1.1\r\nHost: a\r\n" + Usual + "\r\n", 400)]
    [InlineData("GET\r\n\r\n", 400)]
    [InlineData("\x16\x03\x01\x02", 400)]
    [InlineData("GET /vnc.html HTTP/1.1\r\nHost: a\r\n" + Usual + "\r\n", 404)]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\n" + Usual + "\r\n", 405)]
    public async Task What_is_no_request_gets_one_line(string request, int status)
    {
        await using var stream = await ConnectAsync(Serve());
        var answer = await AskAsync(stream, request);
        Assert.StartsWith($"HTTP/1.1 {status} ", answer, StringComparison.Ordinal);
        var body = answer[(answer.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..];
        Assert.Contains($"Content-Length: {body.Length}\r\n", answer, StringComparison.Ordinal);
        Assert.Single(body.TrimEnd('\n').Split('\n'));
        await UntilNobodyIsConnectedAsync();
    }

    [Fact]
    public async Task A_request_has_an_end()
    {
        await using var stream = await ConnectAsync(Serve());
        Assert.StartsWith("HTTP/1.1 400 ", await AskAsync(stream, "GET / HTTP/1.1\r\nHost: a\r\nA: " + new string('a', WebSocketUpgrade.LongestRequest)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, "127.0.0.1:5700", "http://127.0.0.1:8080", true)]
    [InlineData(null, "localhost:5700", "https://localhost", true)]
    [InlineData(null, "[::1]:5700", "http://[::1]:8080", true)]
    [InlineData(null, "127.0.0.1:5700", "http://localhost:8080", false)]
    [InlineData(null, "127.0.0.1:5700", "https://evil.example", false)]
    // A name that was made to lead here is its own host.
    [InlineData(null, "evil.example:5700", "http://evil.example:5700", false)]
    [InlineData(null, "127.0.0.1:5700", "null", false)]
    [InlineData(null, "127.0.0.1:5700", "file://127.0.0.1/", false)]
    [InlineData(null, "127.0.0.1:5700", "http://127.0.0.1\r\nOrigin: http://127.0.0.1", false)]
    [InlineData("https://console.example.org", "screens.example.org", "https://console.example.org", true)]
    [InlineData("https://console.example.org", "screens.example.org", "https://console.example.org:8443", false)]
    [InlineData("https://console.example.org", "screens.example.org", "http://console.example.org", false)]
    [InlineData("https://console.example.org", "127.0.0.1:5700", "http://127.0.0.1:8080", true)]
    public async Task Pages_from_elsewhere_see_nothing(string? allowed, string host, string origin, bool isAllowed)
    {
        await using var stream = await ConnectAsync(Serve(allowed));
        Assert.StartsWith(isAllowed ? "HTTP/1.1 101 " : "HTTP/1.1 403 ", await AskAsync(stream, $"GET / HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n{Usual}\r\n"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Frames_that_may_not_be_cost_a_connection()
    {
        var place = Serve();
        foreach (var frames in (byte[][])
        [
            // Text; without a mask; with a reserved bit; of an unknown kind; a control frame in pieces; one that is too long; a piece of nothing.
            Frame(0x81, "RFB 003.008\n"u8), [0x82, 12, .. "RFB 003.008\n"u8], Frame(0xc2, "RFB 003.008\n"u8), Frame(0x83, "RFB 003.008\n"u8), Frame(0x09, "ping"u8),
            [0x89, 0xfe, 0, 200, 0, 0, 0, 0, .. new byte[200]], Frame(0x80, "RFB 003.008\n"u8),
            // As long as a number can say, and beyond.
            [0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, .. new byte[100]], [0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4],
        ])
        {
            await using var stream = await ConnectAsync(place);
            Assert.StartsWith("HTTP/1.1 101 ", await AskAsync(stream, $"GET / HTTP/1.1\r\nHost: a\r\n{Usual}\r\n"), StringComparison.Ordinal);
            await stream.WriteAsync(frames, Token);
            await ReadAsync(stream);
        }
        await UntilNobodyIsConnectedAsync();
    }

    [Fact]
    public async Task Random_bytes_end_a_connection_at_most()
    {
        var place = Serve();
        var random = new Random(11);
        for (var round = 0; round < 100; round++)
        {
            await using var stream = await ConnectAsync(place);
            if (round % 2 == 0) await AskAsync(stream, $"GET / HTTP/1.1\r\nHost: a\r\n{Usual}\r\n");
            var noise = new byte[random.Next(1, 300)];
            random.NextBytes(noise);
            if (round % 4 == 0) noise[0] = 0x82;
            await stream.WriteAsync(noise, Token);
        }
        await UntilNobodyIsConnectedAsync();
    }

    [Fact]
    public async Task One_that_says_nothing_or_half_a_request_loses_its_connection()
    {
        var place = Serve(patience: TimeSpan.FromMilliseconds(50));
        await using var silent = await ConnectAsync(place);
        await using var half = await ConnectAsync(place);
        await half.WriteAsync("GET / HTTP/1.1\r\n"u8.ToArray(), Token);
        Assert.Equal("", await ReadAsync(silent));
        Assert.Equal("", await ReadAsync(half));
    }

    [Fact]
    public void A_port_that_is_taken_is_one_sentence_and_leaves_nothing_open()
    {
        using var other = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        other.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        other.Listen();
        var free = new IPEndPoint(IPAddress.Loopback, 0);
        foreach (var (address, web) in ((EndPoint, IPEndPoint)[])[(free, (IPEndPoint)other.LocalEndPoint!), (other.LocalEndPoint!, free)])
            Assert.StartsWith($"the screen cannot be served at {other.LocalEndPoint}: ", Assert.Throws<HostException>(() => new VncServer(_screen, new VncOptions { Name = "web", Address = address, WebSocket = web })).Message, StringComparison.Ordinal);
    }

    private async Task<byte[]> ReadAsync(Stream stream, int length)
    {
        var bytes = new byte[length];
        await stream.ReadExactlyAsync(bytes, Token);
        return bytes;
    }

    // A frame as a client sends it, with a mask.
    private static byte[] Frame(byte head, ReadOnlySpan<byte> data)
    {
        byte[] mask = [0x11, 0x22, 0x33, 0x44];
        var masked = data.ToArray();
        for (var i = 0; i < masked.Length; i++) masked[i] ^= mask[i % 4];
        return [head, (byte)(0x80 | masked.Length), .. mask, .. masked];
    }
}
