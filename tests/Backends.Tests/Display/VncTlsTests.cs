// The screen over TLS: by VeNCrypt for viewers of VNC, and before all else for browsers.
using System.Net;
using System.Net.Security;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Lamina.Backends.Display;
using Lamina.Core.Inspection;
using Xunit;

namespace Lamina.Tests.Backends.Display;

public sealed class VncTlsTests : IDisposable
{
    private readonly CancellationTokenSource _patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
    private readonly TestScreen _screen = new(200, 100);
    private readonly X509Certificate2 _certificate = MakeCertificate();
    private VncServer? _server;

    public VncTlsTests() => _patience.CancelAfter(TimeSpan.FromMinutes(2));

    private CancellationToken Token => _patience.Token;

    public void Dispose()
    {
        _server?.Dispose();
        _certificate.Dispose();
        _patience.Dispose();
    }

    private static X509Certificate2 MakeCertificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return new CertificateRequest("CN=Lamina test", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
    }

    private async Task<TestViewer> ConnectAsync(string? password = null, TimeSpan? patience = null)
    {
        _server ??= new VncServer(_screen, new VncOptions
        {
            Name = "Lamina: web",
            Address = new IPEndPoint(IPAddress.Loopback, 0),
            WebSocket = new IPEndPoint(IPAddress.Loopback, 0),
            Certificate = SslStreamCertificateContext.Create(_certificate, null, offline: true),
            Password = password is null ? (ReadOnlyMemory<byte>?)null : Encoding.ASCII.GetBytes(password),
            Patience = patience ?? TimeSpan.FromMinutes(1),
        });
        return await TestViewer.ConnectAsync(_server.Address, Token);
    }

    private async Task LookAsync(TestViewer viewer)
    {
        await viewer.SetEncodingsAsync(Token, 0);
        await viewer.RequestAsync(incremental: false, Token);
        await viewer.ReadMessageAsync(Token);
        Assert.Equal(200 * 100, viewer.Pixels);
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
    [InlineData("RFB 003.007\n", null)]
    [InlineData("RFB 003.008\n", null)]
    [InlineData("RFB 003.007\n", "secret")]
    [InlineData("RFB 003.008\n", "secret")]
    public async Task A_viewer_gets_the_certificate_and_sees_the_screen(string version, string? password)
    {
        await using var viewer = await ConnectAsync(password);
        await viewer.GreetAsync(Token, challenge => VncPassword.Answer("secret"u8, challenge), version);
        Assert.Equal("CN=Lamina test", viewer.Certificate);
        // With 1.3 TigerVNC 1.12 may wait for ever.
        Assert.Equal(System.Security.Authentication.SslProtocols.Tls12, viewer.Protocol);
        await LookAsync(viewer);
        var node = new InspectNode("vnc");
        _server!.Inspect(node);
        Assert.Contains("TLS", node.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wrong_password_is_refused()
    {
        await using var viewer = await ConnectAsync("secret");
        Assert.Equal("this is not the password", (await Assert.ThrowsAsync<UnauthorizedAccessException>(() => viewer.GreetAsync(Token, challenge => VncPassword.Answer("Secret"u8, challenge)))).Message);
        Assert.True(await viewer.IsHungUpAsync(Token));
    }

    [Fact]
    public async Task Nothing_is_said_in_the_clear()
    {
        await using (var oldest = await ConnectAsync())
        {
            await oldest.SendAsync("RFB 003.003\n"u8.ToArray(), Token);
            Assert.Equal([.. "RFB 003.008\n"u8, 0, 0, 0, 0, 0, 0, 0], (await oldest.ReadToEndAsync(Token))[..19]);
        }
        foreach (var bytes in (byte[][])
        [
            // No security; the password's; another version of VeNCrypt; TLSNone; no subtype that there is; no TLS behind the right one.
            [1], [2], [19, 0, 1], [19, 0, 2, 0, 0, 1, 1], [19, 0, 2, 0xff, 0xff, 0xff, 0xff], [19, 0, 2, 0, 0, 1, 4, .. "this is no TLS, but long enough to be one"u8],
        ])
        {
            await using var viewer = await ConnectAsync();
            await viewer.SendAsync([.. "RFB 003.008\n"u8, .. bytes], Token);
            var answer = await viewer.ReadToEndAsync(Token);
            Assert.DoesNotContain("Lamina: web", Encoding.Latin1.GetString(answer), StringComparison.Ordinal);
            if (bytes.Length == 3) Assert.Equal([0, 2, 1], answer[14..]);
            if (bytes.Length == 7) Assert.Equal([0, 2, 0, 1, 0, 0, 1, 4, 0], answer[14..]);
        }
        await UntilNobodyIsConnectedAsync();
    }

    [Fact]
    public async Task One_that_does_not_go_on_with_TLS_loses_its_connection()
    {
        await using var viewer = await ConnectAsync(patience: TimeSpan.FromMilliseconds(200));
        await viewer.SendAsync([.. "RFB 003.008\n"u8, 19, 0, 2, 0, 0, 1, 4], Token);
        await viewer.ReadToEndAsync(Token);
        await UntilNobodyIsConnectedAsync();
    }

    [Fact]
    public async Task Random_bytes_within_TLS_end_a_connection_at_most()
    {
        var random = new Random(3);
        for (var round = 0; round < 20; round++)
        {
            await using var viewer = await ConnectAsync();
            await viewer.GreetAsync(Token);
            var noise = new byte[random.Next(1, 300)];
            random.NextBytes(noise);
            await viewer.SendAsync(noise, Token);
        }
        await UntilNobodyIsConnectedAsync();
    }

    [Theory]
    [InlineData(null)]
    [InlineData("secret")]
    public async Task A_browser_has_TLS_first_and_then_what_any_viewer_has(string? password)
    {
        await using var other = await ConnectAsync(password);
        using var browser = new ClientWebSocket();
        browser.Options.RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate?.Subject == "CN=Lamina test";
        await browser.ConnectAsync(new Uri($"wss://{_server!.WebSocketAddress}/websockify"), Token);
        await using var viewer = new TestViewer(WebSocketStream.Create(browser, WebSocketMessageType.Binary));
        await viewer.GreetAsync(Token, challenge => VncPassword.Answer("secret"u8, challenge));
        Assert.Null(viewer.Certificate);
        await LookAsync(viewer);

        using var plain = new ClientWebSocket();
        await Assert.ThrowsAnyAsync<WebSocketException>(() => plain.ConnectAsync(new Uri($"ws://{_server!.WebSocketAddress}/websockify"), Token));
    }
}
