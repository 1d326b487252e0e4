// What is on a machine's screen, through the real program.
using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class ScreenCommandTests : KeptMachines
{
    private async Task StartAsync(byte[] guest, params string[] words)
    {
        await CreateAsync("web", guest, words);
        Expect(0, await RunAsync("start", "web"));
        await PrintedAsync("web", "up");
    }

    [Fact]
    public async Task Text_is_shown_and_a_picture_is_a_PNG_file()
    {
        await StartAsync(Guest.ShowsText, "--machine", "pc");

        var outcome = await RunAsync("screen", "web");
        Expect(0, outcome);
        Assert.Equal(" hello←\n", outcome.Output);

        var file = Folder.File("screen.png");
        Expect(0, await RunAsync("screen", "web", file));
        var bytes = await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken);
        Assert.Equal([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52, 0, 0, 2, 0xd0, 0, 0, 1, 0x90], bytes[..24]);
        Expect(2, await RunAsync("screen", "web", Folder.File("missing/screen.png")), "lamina: *missing/screen.png cannot be written: *");
    }

    [Fact]
    public async Task What_is_waited_for_is_there_or_its_time_is_over()
    {
        await StartAsync(Guest.ShowsText, "--machine", "pc");

        Expect(0, await RunAsync("wait-screen", "web", "--text", "hell"));
        Expect(0, await RunAsync("wait-screen", "web", "--still=100ms", "--timeout", "5m"));
        Expect(124, await RunAsync("wait-screen", "web", "--text", "good bye", "--timeout", "100ms"), "lamina: the screen of web did not show \"good bye\" within 100ms; 'lamina screen web' shows what it shows*");
        Expect(2, await RunAsync("wait-screen", "web"), "lamina: what is to be waited for? say either --text TEXT or --still*");
        Expect(2, await RunAsync("wait-screen", "web", "--text", "a", "--still"), "lamina: what is to be waited for? say either --text TEXT or --still*");
        Expect(2, await RunAsync("wait-screen", "web", "--text", "a", "--timeout", "soon"), "lamina: --timeout is a time, like 500ms, 90s or 5m, and not 'soon'*");
    }

    [Fact]
    public async Task A_wait_ends_with_the_machine()
    {
        await StartAsync(Guest.ShowsText, "--machine", "pc");
        var waits = RunAsync("wait-screen", "web", "--text", "good bye");
        Expect(0, await RunAsync("wait-screen", "web", "--text", "hello"));

        Expect(0, await RunAsync("kill", "web"));

        // One that had not asked by then finds no machine.
        Expect(2, await waits, "lamina: the machine *");
    }

    [Fact]
    public async Task A_machine_without_a_screen_and_one_whose_screen_is_blank_say_so()
    {
        await StartAsync(Guest.Halts);
        Expect(2, await RunAsync("screen", "web"), "lamina: the machine has no screen; one of the kind pc has (--machine pc)*");
        Expect(2, await RunAsync("wait-screen", "web", "--still"), "lamina: the machine has no screen*");
        Expect(0, await RunAsync("kill", "web"));
        Expect(0, await RunAsync("rm", "web"));

        await StartAsync(Guest.Halts, "--machine", "pc");
        Expect(2, await RunAsync("screen", "web"), "lamina: the screen of web is blank*");
    }

    [Fact]
    public async Task A_viewer_sees_the_screen_at_a_port_and_at_a_socket_of_a_locked_machine()
    {
        var password = Folder.File("password");
        await File.WriteAllTextAsync(password, "secret\n", TestContext.Current.CancellationToken);
        await StartAsync(Guest.ShowsText, "--machine", "pc", "--display", $"vnc=127.0.0.1:0,password-file={password}");
        using var inspected = JsonDocument.Parse((await RunAsync("inspect", "web")).Output);
        var where = inspected.RootElement.GetProperty("status").GetProperty("display").GetString()!;
        Assert.Equal([2], await OfferedAsync(IPEndPoint.Parse(where)));
        Expect(0, await RunAsync("kill", "web"));

        var socket = Folder.File("screen");
        Expect(0, await RunAsync("set", "web", "--display", $"vnc=unix:{socket}"));
        Expect(0, await RunAsync("start", "web"));
        Assert.Equal([1], await OfferedAsync(new UnixDomainSocketEndPoint(socket)));
        Expect(0, await RunAsync("suspend", "web"));
        Assert.False(File.Exists(socket));
        Expect(0, await RunAsync("start", "web"));
        Assert.Equal([1], await OfferedAsync(new UnixDomainSocketEndPoint(socket)));
        Assert.Equal(" hello←\n", (await RunAsync("screen", "web")).Output);
    }

    [Fact]
    public async Task A_browser_sees_the_screen_of_a_locked_machine_over_TLS()
    {
        var tls = Folder.File("tls");
        TestCertificates.Make(tls);
        await StartAsync(Guest.ShowsText, "--machine", "pc", "--display", $"vnc=127.0.0.1:0,websocket=127.0.0.1:0,tls={tls}");
        using var inspected = JsonDocument.Parse((await RunAsync("inspect", "web")).Output);
        var status = inspected.RootElement.GetProperty("status");
        Assert.Equal([19], await OfferedAsync(IPEndPoint.Parse(status.GetProperty("display").GetString()!)));

        using var browser = new ClientWebSocket();
        browser.Options.RemoteCertificateValidationCallback = (_, certificate, _, _) =>
        {
            using var chain = new X509Chain();
            chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
            chain.ChainPolicy.CustomTrustStore.Add(X509CertificateLoader.LoadCertificateFromFile(Path.Combine(tls, "ca.pem")));
            chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
            return chain.Build((X509Certificate2)certificate!);
        };
        await browser.ConnectAsync(new Uri($"wss://{status.GetProperty("display-websocket").GetString()}/websockify"), TestContext.Current.CancellationToken);
        await using var stream = WebSocketStream.Create(browser, WebSocketMessageType.Binary);
        Assert.Equal([1], await OfferedAsync(stream));
    }

    [Fact]
    public async Task Browsers_are_answered_by_a_machine_on_a_terminal_that_is_locked()
    {
        var port = HostProcess.FreePort();
        using var run = LaminaProgram.Start(["run", "--engine", "translator", "--machine", "pc", "--kernel", Guest.In(Folder, Guest.ShowsText), "--display", $"vnc=127.0.0.1:0,websocket=127.0.0.1:{port}"]);
        await run.SaidAsync("up");

        using var browser = new ClientWebSocket();
        await browser.ConnectAsync(new Uri($"ws://127.0.0.1:{port}"), TestContext.Current.CancellationToken);
        await using var stream = WebSocketStream.Create(browser, WebSocketMessageType.Binary);

        Assert.Equal([1], await OfferedAsync(stream));
    }

    [Fact]
    public async Task What_cannot_be_served_is_one_sentence()
    {
        await CreateAsync("web", Guest.Halts);
        Expect(2, await RunAsync("set", "web", "--display", "vnc"), "lamina: a display is of a machine of the kind pc; add --machine pc*");
        Expect(2, await RunAsync("set", "web", "--machine", "pc", "--display", "vnc=0.0.0.0:5900"), "lamina: whoever reaches 0.0.0.0:5900 would see the screen*");
        Expect(2, await RunAsync("set", "web", "--display", "spice"), "lamina: *'spice' is no place for a screen*");
        var empty = Folder.File("empty");
        await File.WriteAllTextAsync(empty, "\n", TestContext.Current.CancellationToken);
        Expect(0, await RunAsync("set", "web", "--machine", "pc", "--display", $"vnc=127.0.0.1:0,password-file={empty}"));
        Expect(2, await RunAsync("set", "web", "--display", "vnc=127.0.0.1:0,websocket=0.0.0.0:5700"), "lamina: whoever reaches 0.0.0.0:5700 would see the screen*");
        Expect(2, await RunAsync("start", "web"), $"lamina: the first line of {empty} is empty; write the password there*");
        var tls = Folder.File("tls");
        Expect(0, await RunAsync("set", "web", "--display", $"vnc=127.0.0.1:0,tls={tls}"));
        Expect(2, await RunAsync("start", "web"), $"lamina: {tls}/cert.pem and {tls}/key.pem are no certificate in PEM with its key: *");
    }

    // Speaks so far that the server says which kinds of security it has.
    private static async Task<byte[]> OfferedAsync(EndPoint place)
    {
        using var socket = new Socket(place.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(place, TestContext.Current.CancellationToken);
        await using var stream = new NetworkStream(socket);
        return await OfferedAsync(stream);
    }

    private static async Task<byte[]> OfferedAsync(Stream stream)
    {
        var greeting = new byte[12];
        await stream.ReadExactlyAsync(greeting, TestContext.Current.CancellationToken);
        Assert.Equal("RFB 003.008\n"u8, greeting);
        await stream.WriteAsync(greeting, TestContext.Current.CancellationToken);
        var count = new byte[1];
        await stream.ReadExactlyAsync(count, TestContext.Current.CancellationToken);
        var offered = new byte[count[0]];
        await stream.ReadExactlyAsync(offered, TestContext.Current.CancellationToken);
        return offered;
    }
}
