// Where a screen is served, in words.
using System.Net;
using Lamina.Definition;
using Xunit;

namespace Lamina.Tests.Definition;

public sealed class ScreenServerTests
{
    [Theory]
    [InlineData("vnc", "vnc=127.0.0.1:5900")]
    [InlineData("vnc=127.0.0.1:0", "vnc=127.0.0.1:0")]
    [InlineData("vnc=[::1]:5901", "vnc=[::1]:5901")]
    [InlineData("vnc=unix:/srv/web/screen", "vnc=unix:/srv/web/screen")]
    [InlineData("vnc,password-file=/srv/web/a,b", "vnc=127.0.0.1:5900,password-file=/srv/web/a,b")]
    [InlineData("vnc=0.0.0.0:5900,password-file=p", "vnc=0.0.0.0:5900,password-file=p")]
    [InlineData("vnc,websocket", "vnc=127.0.0.1:5900,websocket=127.0.0.1:5700")]
    [InlineData("vnc=unix:s,websocket=[::1]:0", "vnc=unix:s,websocket=[::1]:0")]
    [InlineData("vnc,tls=/srv/tls,origin=https://a.example,websocket,password-file=p,tls=x", "vnc=127.0.0.1:5900,websocket=127.0.0.1:5700,origin=https://a.example,tls=/srv/tls,password-file=p,tls=x")]
    public void Words_are_read_and_written(string text, string written)
    {
        Assert.Equal(written, ScreenServer.Parse(text).ToString());
        Assert.Equal(ScreenServer.Parse(text), ScreenServer.Parse(written));
    }

    [Theory]
    [InlineData("")]
    [InlineData("spice")]
    [InlineData("vnc=")]
    [InlineData("vnc=5900")]
    [InlineData("vnc=:5900")]
    [InlineData("vnc=127.0.0.1:70000")]
    [InlineData("vnc=localhost:5900")]
    [InlineData("vnc=unix:")]
    [InlineData("vnc,password=secret")]
    [InlineData("vnc,password-file=")]
    [InlineData("vnc,websocket=")]
    [InlineData("vnc,websocket=5700")]
    [InlineData("vnc,websocket=unix:/srv/web/socket")]
    [InlineData("vnc,websocket,websocket")]
    [InlineData("vnc,tls=")]
    [InlineData("vnc,tls=a,tls=b")]
    [InlineData("vnc,")]
    [InlineData("vnc,,websocket")]
    [InlineData("vncx=127.0.0.1:1")]
    public void What_is_none_is_refused_with_examples(string text) =>
        Assert.Contains("vnc=127.0.0.1:5901", Assert.Throws<MachineException>(() => ScreenServer.Parse(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void Paths_are_mapped()
    {
        var machine = new MachineDefinition { Display = ScreenServer.Parse("vnc=unix:screen,password-file=password") }.MapPaths(path => "/srv/web/" + path);
        Assert.Equal("vnc=unix:/srv/web/screen,password-file=/srv/web/password", machine.Display!.ToString());
        machine = new MachineDefinition { Display = ScreenServer.Parse("vnc,tls=tls") }.MapPaths(path => "/srv/web/" + path);
        Assert.Equal(["/srv/web/tls/cert.pem", "/srv/web/tls/key.pem"], machine.Display!.TlsFiles);
        machine = new MachineDefinition { Display = ScreenServer.Parse("vnc") }.MapPaths(_ => throw new InvalidOperationException());
        Assert.Equal(new IPEndPoint(IPAddress.Loopback, 5900), machine.Display!.Address);
    }

    [Theory]
    [InlineData("vnc,origin=https://a.example", "an origin is for viewers in browsers*")]
    [InlineData("vnc,websocket,origin=a.example", "'a.example' is no origin of pages*")]
    [InlineData("vnc,websocket,origin=https://a.example/", "'https://a.example/' is no origin of pages*")]
    [InlineData("vnc,websocket,origin=https://u@a.example", "'https://u@a.example' is no origin of pages*")]
    [InlineData("vnc,websocket,origin=ftp://a.example", "'ftp://a.example' is no origin of pages*")]
    [InlineData("vnc,websocket=0.0.0.0:5700", "*whoever reaches 0.0.0.0:5700 would see the screen*")]
    [InlineData("vnc,websocket=127.0.0.1:5900", "*5900 of the host is the display's both for VNC and for WebSocket*")]
    public void What_does_not_fit_together_is_refused(string text, string why)
    {
        var refused = Assert.Throws<MachineException>(() => MachineCheck.Check(new MachineDefinition { Type = MachineType.Pc, Display = ScreenServer.Parse(text) }));
        Assert.Contains(why.Trim('*'), refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("vnc,websocket,origin=http://a.example:8080")]
    [InlineData("vnc,websocket=0.0.0.0:5700,password-file=p")]
    [InlineData("vnc=127.0.0.1:0,websocket=127.0.0.1:0")]
    public void What_fits_together_is_taken(string text) => MachineCheck.Check(new MachineDefinition { Type = MachineType.Pc, Display = ScreenServer.Parse(text) });
}
