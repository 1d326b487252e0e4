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
    [InlineData("vncx=127.0.0.1:1")]
    public void What_is_none_is_refused_with_examples(string text) =>
        Assert.Contains("vnc=127.0.0.1:5901", Assert.Throws<MachineException>(() => ScreenServer.Parse(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void Paths_are_mapped()
    {
        var machine = new MachineDefinition { Display = ScreenServer.Parse("vnc=unix:screen,password-file=password") }.MapPaths(path => "/srv/web/" + path);
        Assert.Equal("vnc=unix:/srv/web/screen,password-file=/srv/web/password", machine.Display!.ToString());
        machine = new MachineDefinition { Display = ScreenServer.Parse("vnc") }.MapPaths(_ => throw new InvalidOperationException());
        Assert.Equal(new IPEndPoint(IPAddress.Loopback, 5900), machine.Display!.Address);
    }
}
