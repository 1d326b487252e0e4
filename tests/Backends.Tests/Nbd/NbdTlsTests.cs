// TLS between client and server: who is believed, and who is not.
using Lamina.Backends.Disk;
using Lamina.Backends.Nbd;
using Lamina.Backends.Nbd.Server;
using Lamina.Host;
using Lamina.Host.Net;
using Lamina.Tests.Backends.Disk;
using Xunit;

namespace Lamina.Tests.Backends.Nbd;

public sealed class NbdTlsTests : IDisposable
{
    private const int Size = 4 << 20;

    private readonly TestFolder _folder = new();
    private readonly MemoryDisk _disk = new(Size);

    public NbdTlsTests()
    {
        TestCertificates.Make(_folder["server"], _folder["client"]);
        TestCertificates.Make(_folder["stranger"]);
        Directory.CreateDirectory(_folder["nobody"]);
        File.Copy(Path.Combine(_folder["client"], "ca.pem"), Path.Combine(_folder["nobody"], "ca.pem"));
    }

    public void Dispose() => _folder.Dispose();

    private ServedDisk Serve(TlsIdentity? identity) => new(_folder["s"], _disk, new NbdServerOptions { Identity = identity });

    private void Read(string uri, string folder)
    {
        using var disk = DiskImages.Open(new DiskOptions { Path = uri, TlsFolder = _folder[folder], Patience = TimeSpan.FromMilliseconds(200) });
        Assert.Equal(_disk.Content, disk.Read(0, Size));
        disk.Write(0, DiskModel.Filled(64, 3));
        Assert.Equal(DiskModel.Filled(64, 3), disk.Read(0, 64 * 512));
    }

    [Fact]
    public void Both_ends_prove_who_they_are()
    {
        _disk.Fill(4096, 2 << 20, 5);
        using var served = Serve(TlsIdentity.OfBoth(_folder["server"]));

        Read(served.UriOf("nbds", ""), "client");

        // Another authority; no certificate at all; another name than the server's.
        Assert.Contains("prove", Assert.Throws<NbdException>(() => Read(served.UriOf("nbds", ""), "stranger")).Message, StringComparison.Ordinal);
        Assert.ThrowsAny<IOException>(() => Read(served.UriOf("nbds", ""), "nobody"));
        Assert.Contains("prove that it is other.example", Assert.Throws<NbdException>(() => Read(served.UriOf("nbds", "") + "&tls-hostname=other.example", "client")).Message, StringComparison.Ordinal);
        // Who does not speak TLS is told so.
        Assert.Contains("wants TLS", Assert.Throws<NbdException>(() => DiskImages.Open(new DiskOptions { Path = served.Uri })).Message, StringComparison.Ordinal);
        Read(served.UriOf("nbds", ""), "client");
    }

    [Fact]
    public void A_server_for_anyone_asks_for_no_certificate_and_has_one()
    {
        using var served = Serve(TlsIdentity.OfAnyonesServer(_folder["server"]));

        Read(served.UriOf("nbds", ""), "nobody");
        Assert.Throws<NbdException>(() => Read(served.UriOf("nbds", ""), "stranger"));
    }

    [Fact]
    public void A_server_without_TLS_is_not_gone_on_with()
    {
        using var served = Serve(null);

        Assert.Contains("no TLS", Assert.Throws<NbdException>(() => Read(served.UriOf("nbds", ""), "client")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Before_TLS_nothing_is_told_and_what_came_in_the_clear_is_not_taken()
    {
        using var served = Serve(TlsIdentity.OfBoth(_folder["server"]));
        using (var peer = served.Connect().Greet())
        {
            foreach (var option in (NbdOption[])[NbdOption.List, NbdOption.Info, NbdOption.Go, NbdOption.StructuredReply, NbdOption.SetMetaContext, (NbdOption)99])
                Assert.Equal(NbdReply.TlsRequired, Assert.Single(peer.Ask(option, NbdPeer.Name(""))).Type);
            Assert.Equal(NbdReply.Invalid, peer.Ask(NbdOption.StartTls, [1])[0].Type);
            peer.Send(NbdOption.ExportName, []);
            Assert.True(peer.IsGone());
        }
        using (var peer = served.Connect().Greet())
        {
            using var both = new MemoryStream();
            var writer = new NbdWriter(both);
            foreach (var option in (NbdOption[])[NbdOption.StartTls, NbdOption.StructuredReply])
            {
                writer.WriteU64(NbdSpec.OptionMagic);
                writer.WriteU32((uint)option);
                writer.WriteU32(0);
            }
            writer.Flush();
            peer.Stream.Write(both.ToArray());
            peer.Reader.Skip(20);
            Assert.True(peer.IsGone());
        }
    }

    [Fact]
    public void A_server_that_goes_on_in_the_clear_is_not_believed()
    {
        using var server = new ScriptedServer(_folder["s"], (peer, _) =>
        {
            peer.Writer.WriteU64(NbdSpec.Magic);
            peer.Writer.WriteU64(NbdSpec.OptionMagic);
            peer.Writer.WriteU16(3);
            peer.Writer.Flush();
            peer.Reader.Skip(4 + 16);
            peer.Stream.Write([.. NbdPeer.Big(NbdSpec.OptionReplyMagic, 8), .. NbdPeer.Big((uint)NbdOption.StartTls, 4), .. NbdPeer.Big(1, 4), .. NbdPeer.Big(0, 4), 1, 2, 3]);
            peer.IsGone();
        });

        Assert.Contains("in the clear", Assert.Throws<NbdException>(() => Read(server.Uri.Replace("nbd+", "nbds+", StringComparison.Ordinal), "client")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Certificates_that_are_missing_are_told()
    {
        using var served = Serve(null);

        Assert.Contains("ca.pem", Assert.Throws<HostException>(() => Read(served.UriOf("nbds", ""), "none")).Message, StringComparison.Ordinal);
        Assert.Contains("cert.pem", Assert.Throws<HostException>(() => TlsIdentity.OfBoth(_folder["nobody"])).Message, StringComparison.Ordinal);
    }
}
