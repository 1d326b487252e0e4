// Places of exports as people write them, and what is none.
using Lamina.Backends.Nbd;
using Lamina.Host;
using Xunit;

namespace Lamina.Tests.Backends.Nbd;

public sealed class NbdUriTests
{
    [Theory]
    [InlineData("nbd://example.com", "example.com", 10809, null, "", false, "example.com")]
    [InlineData("nbd://example.com/", "example.com", 10809, null, "", false, "example.com")]
    [InlineData("nbd://example.com:7/disk", "example.com", 7, null, "disk", false, "example.com")]
    [InlineData("nbd://example.com//disk", "example.com", 10809, null, "/disk", false, "example.com")]
    [InlineData("nbd://example.com/hello%20world", "example.com", 10809, null, "hello world", false, "example.com")]
    [InlineData("nbds://[::1]:99/x", "::1", 99, null, "x", true, "::1")]
    [InlineData("nbds://[fe80::1]", "fe80::1", 10809, null, "", true, "fe80::1")]
    [InlineData("nbds://10.0.0.1/x?tls-hostname=store.example", "10.0.0.1", 10809, null, "x", true, "store.example")]
    [InlineData("nbd+unix:///disk?socket=/tmp/a%3fb", "", 0, "/tmp/a?b", "disk", false, "localhost")]
    [InlineData("nbds+unix:///?socket=/tmp/s&tls-hostname=h", "", 0, "/tmp/s", "", true, "h")]
    public void A_place_is_read(string text, string host, int port, string? socket, string export, bool isSecure, string name)
    {
        var uri = NbdUri.Parse(text);

        Assert.True(NbdUri.Is(text));
        Assert.Equal((host, port, socket, export, isSecure, name, text), (uri.HostName, uri.Port, uri.SocketPath, uri.Export, uri.IsSecure, uri.CertificateName, uri.ToString()));
    }

    [Theory]
    [InlineData("nbdx://h", "begins with none")]
    [InlineData("nbd:///x", "host is missing")]
    [InlineData("nbd://h:0", "no port")]
    [InlineData("nbd://h:65536", "no port")]
    [InlineData("nbd://h:1x", "no port")]
    [InlineData("nbd://[::1", "]")]
    [InlineData("nbd://[::1]x", "no port")]
    [InlineData("nbd://user@h", "user")]
    [InlineData("nbd://h/%zz", "escape")]
    [InlineData("nbd://h/%0", "escape")]
    [InlineData("nbd://h/%00", "zero byte")]
    [InlineData("nbd://h/x#y", "fragment")]
    [InlineData("nbd://h/?socket=/tmp/x", "socket")]
    [InlineData("nbd://h/?tls-hostname=x", "tls-hostname")]
    [InlineData("nbd+unix:///x", "socket's path is missing")]
    [InlineData("nbd+unix:///x?socket=relative", "begin with /")]
    [InlineData("nbd+unix://h/x?socket=/s", "no host")]
    [InlineData("nbd+unix:///x?socket=/s&socket=/t", "socket")]
    public void What_is_none_is_refused_with_the_reason(string text, string reason)
    {
        var refused = Assert.Throws<HostException>(() => NbdUri.Parse(text));

        Assert.Contains(reason, refused.Message, StringComparison.Ordinal);
        Assert.True(refused.IsOfTheName);
    }

    [Fact]
    public void A_name_that_is_too_long_is_refused()
    {
        Assert.Throws<HostException>(() => NbdUri.Parse($"nbd://h/{new string('x', NbdSpec.LongestString + 1)}"));
        Assert.Equal(NbdSpec.LongestString, NbdUri.Parse($"nbd://h/{new string('x', NbdSpec.LongestString)}").Export.Length);
    }

    [Theory]
    [InlineData("/tmp/nbd/disk.raw")]
    [InlineData("nbd.raw")]
    [InlineData("http://h/x")]
    public void A_files_path_is_not_meant_as_one(string path) => Assert.False(NbdUri.Is(path));
}
