// Other people's programs at both ends: our server for nbdinfo, nbdcopy, qemu-img and qemu-io, and disks that qemu-nbd and nbdkit serve. Tests are skipped where
// these are not installed (Debian: qemu-utils, nbdkit, libnbd-bin).
using System.Diagnostics;
using Lamina.Backends.Disk;
using Lamina.Backends.Nbd.Server;
using Lamina.Core.Block;
using Lamina.Core.Inspection;
using Lamina.Host.Net;
using Lamina.Tests.Backends.Disk;
using Xunit;

namespace Lamina.Tests.Backends.Nbd;

public sealed class NbdToolsTests : IDisposable
{
    private const int Size = 16 << 20;

    private readonly TestFolder _folder = new();
    private readonly List<Process> _servers = [];

    public void Dispose()
    {
        foreach (var server in _servers)
        {
            if (!server.HasExited) server.Kill();
            server.WaitForExit();
            server.Dispose();
        }
        _folder.Dispose();
    }

    private string Image
    {
        get
        {
            var path = _folder["disk.qcow2"];
            if (!File.Exists(path)) DiskTools.Create(new DiskCreation { Path = path, Size = Size });
            return path;
        }
    }

    private static void Need(params string[] programs) =>
        Assert.SkipUnless(Array.TrueForAll(programs, program => File.Exists($"/usr/bin/{program}") || File.Exists($"/usr/sbin/{program}")), $"{string.Join(" and ", programs)} (qemu-utils, nbdkit, libnbd-bin) are not installed on this host");

    private static string Run(string program, params string[] words)
    {
        var (code, output) = Start(program, words);
        Assert.True(code == 0, $"{program} {string.Join(' ', words)} exited with {code}: {output}");
        return output;
    }

    private static (int Code, string Output) Start(string program, string[] words)
    {
        var info = new ProcessStartInfo(program) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var word in words) info.ArgumentList.Add(word);
        using var process = Process.Start(info)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + errors.Result);
    }

    // A server of somebody else's, which is there when it listens at its socket.
    private Process Serve(string socket, string program, params string[] words)
    {
        var info = new ProcessStartInfo(program);
        foreach (var word in words) info.ArgumentList.Add(word);
        var server = Process.Start(info)!;
        _servers.Add(server);
        Waiting.Until(() => Listens(socket) || server.HasExited);
        Assert.False(server.HasExited, $"{program} ended at once");
        return server;
    }

    // proc_net(5): the flags are the fourth column, and __SO_ACCEPTCON is this.
    private static bool Listens(string socket) => File.ReadLines("/proc/net/unix").Any(line => line.EndsWith($" {socket}", StringComparison.Ordinal) && line.Contains(" 00010000 ", StringComparison.Ordinal));

    private static InspectNode Look(IBlockBackend disk)
    {
        var node = new InspectNode("disk");
        ((IInspected)disk).Inspect(node);
        return node;
    }

    [Fact]
    public void Nbdinfo_and_nbdcopy_see_the_disk_its_name_and_its_holes()
    {
        Need("nbdinfo", "nbdcopy");
        using var disk = DiskImages.Open(new DiskOptions { Path = Image });
        disk.Write(1 << 20, DiskModel.Filled(128, 7));
        using var served = new ServedDisk(_folder["s"], disk, new NbdServerOptions { Export = "work", Description = "a disk" });

        var info = Run("nbdinfo", served.UriOf("nbd", "work"));
        var list = Run("nbdinfo", "--list", served.Uri);
        var map = Run("nbdinfo", "--map", "--totals", served.Uri);
        Run("nbdcopy", served.Uri, _folder["copy.raw"]);

        Assert.Contains("newstyle-fixed without TLS, using structured packets", info, StringComparison.Ordinal);
        Assert.Contains($"export-size: {Size} (16M)", info, StringComparison.Ordinal);
        Assert.Contains("can_multi_conn: true", info, StringComparison.Ordinal);
        Assert.Contains("base:allocation", info, StringComparison.Ordinal);
        Assert.Contains("export=\"work\"", list, StringComparison.Ordinal);
        Assert.Matches(@"65536\s+0\.4%\s+0 data", map);
        var expected = new byte[Size];
        DiskModel.Filled(128, 7).CopyTo(expected, 1 << 20);
        Assert.Equal(expected, File.ReadAllBytes(_folder["copy.raw"]));
    }

    [Fact]
    public void Qemu_io_reads_back_what_it_writes_at_any_place_and_the_image_stays_sound()
    {
        Need("qemu-io", "qemu-img");
        using (var disk = DiskImages.Open(new DiskOptions { Path = Image }))
        using (var served = new ServedDisk(_folder["s"], disk))
        {
            var output = Run("qemu-io", "-f", "raw", served.Uri, "-c", "write -P 5 1000 3001", "-c", "read -P 5 1000 3001", "-c", "read -P 0 0 1000", "-c", "write -f -P 6 3M 5M", "-c", "write -z -u 4M 1000001",
                "-c", "read -P 0 4M 1000001", "-c", "read -P 6 5194305 100", "-c", "discard 3M 64k", "-c", "aio_write -P 9 10M 1M", "-c", "aio_write -P 8 12M 1M", "-c", "aio_flush", "-c", "read -P 9 10M 1M", "-c", "flush");
            Assert.DoesNotContain("failed", output, StringComparison.OrdinalIgnoreCase);
            Assert.NotEqual(0, Start("qemu-io", ["-f", "raw", "-r", served.UriOf("nbd", "other"), "-c", "read 0 512"]).Code);
            Assert.Contains("virtual size: 16 MiB", Run("qemu-img", "info", served.Uri), StringComparison.Ordinal);
        }
        QemuImg.AssertClean(Image);
    }

    [Fact]
    public void Nbdinfo_and_nbdcopy_speak_TLS_with_it_and_are_refused_without_a_certificate()
    {
        Need("nbdinfo", "nbdcopy");
        TestCertificates.Make(_folder["server"], _folder["client"]);
        // Their names for the same files.
        File.Copy(Path.Combine(_folder["client"], "ca.pem"), Path.Combine(_folder["client"], "ca-cert.pem"));
        Directory.CreateDirectory(_folder["bare"]);
        File.Copy(Path.Combine(_folder["client"], "ca.pem"), Path.Combine(_folder["bare"], "ca-cert.pem"));
        File.Copy(Path.Combine(_folder["client"], "cert.pem"), Path.Combine(_folder["client"], "client-cert.pem"));
        File.Copy(Path.Combine(_folder["client"], "key.pem"), Path.Combine(_folder["client"], "client-key.pem"));
        using var disk = DiskImages.Open(new DiskOptions { Path = Image });
        disk.Write(0, DiskModel.Filled(2048, 3));
        using var served = new ServedDisk(_folder["s"], disk, new NbdServerOptions { Identity = TlsIdentity.OfBoth(_folder["server"]) });

        Assert.Contains("with TLS", Run("nbdinfo", $"{served.UriOf("nbds", "")}&tls-certificates={_folder["client"]}"), StringComparison.Ordinal);
        Run("nbdcopy", $"{served.UriOf("nbds", "")}&tls-certificates={_folder["client"]}", _folder["copy.raw"]);

        Assert.Equal(DiskModel.Filled(2048, 3), File.ReadAllBytes(_folder["copy.raw"])[..(1 << 20)]);
        Assert.NotEqual(0, Start("nbdinfo", [$"{served.UriOf("nbds", "")}&tls-certificates={_folder["bare"]}"]).Code);
        Assert.NotEqual(0, Start("nbdinfo", [served.Uri]).Code);
    }

    [Fact]
    public void A_disk_that_qemu_nbd_serves_is_read_and_written_over_several_connections()
    {
        Need("qemu-nbd", "qemu-img");
        var socket = _folder["q"];
        var server = Serve(socket, "qemu-nbd", "-t", "-e", "8", "-f", "qcow2", "-k", socket, "-x", "work", Image);
        byte[] read;
        using (var disk = DiskImages.Open(new DiskOptions { Path = $"nbd+unix:///work?socket={socket}" }))
        {
            Waiting.Until(() => Look(disk)["connections"] is 4ul);
            disk.Write(1 << 20, DiskModel.Filled(8192, 5));
            disk.WriteZeroes(2 << 20, 1 << 20, mayUnmap: true);
            disk.Discard(3 << 20, 65536);
            disk.Flush();
            Assert.Equal((true, 1ul << 20), (disk.Extent(0).IsZero, disk.Extent(0).Length));
            Assert.Equal(DiskModel.Filled(2048, 5), disk.Read(1 << 20, 1 << 20));
            read = disk.Read(0, Size);
        }
        server.Kill();
        server.WaitForExit();

        QemuImg.AssertClean(Image);
        Assert.Equal(QemuImg.ReadAll(Image, _folder["all.raw"]), read);
    }

    [Fact]
    public void A_disk_that_nbdkit_serves_in_blocks_of_4_KiB_is_read_and_written()
    {
        Need("nbdkit");
        var socket = _folder["k"];
        Serve(socket, "nbdkit", "-f", "-U", socket, "--filter=blocksize-policy", "memory", "16M", "blocksize-minimum=4096", "blocksize-error-policy=error");
        using var disk = DiskImages.Open(new DiskOptions { Path = $"nbd+unix:///?socket={socket}" });

        disk.Write(512, DiskModel.Filled(3, 7));
        disk.WriteZeroes(1024, 512, mayUnmap: true);
        disk.Write(8192, DiskModel.Filled(4096, 9));

        Assert.Equal(4096, disk.Limits.LogicalBlockSize);
        Assert.Equal([.. new byte[512], .. DiskModel.Filled(1, 7), .. new byte[512], .. DiskModel.Filled(1, 7), .. new byte[512]], disk.Read(0, 2560));
        Assert.Equal(DiskModel.Filled(4096, 9), disk.Read(8192, 4096 * 512));
    }

    [Fact]
    public void An_nbdkit_that_is_killed_and_started_again_is_found_again()
    {
        Need("nbdkit");
        var socket = _folder["k"];
        File.WriteAllBytes(_folder["disk.raw"], new byte[Size]);
        string[] words = ["-f", "-U", socket, "file", _folder["disk.raw"]];
        var server = Serve(socket, "nbdkit", words);
        using var disk = DiskImages.Open(new DiskOptions { Path = $"nbd+unix:///?socket={socket}", Patience = TimeSpan.FromMinutes(1) });
        disk.Write(0, DiskModel.Filled(1, 1));
        disk.Flush();

        server.Kill();
        server.WaitForExit();
        File.Delete(socket);
        var written = Waiting.Run(() => disk.Write(512, DiskModel.Filled(1, 2)));
        Serve(socket, "nbdkit", words);

        Assert.True(written.Join(Waiting.Limit));
        Assert.Equal([.. DiskModel.Filled(1, 1), .. DiskModel.Filled(1, 2)], disk.Read(0, 1024));
    }

    [Theory]
    [InlineData("--no-sr")]
    [InlineData("--mask-handshake=0")]
    [InlineData("--mask-handshake=1")]
    public void An_nbdkit_that_knows_less_of_the_protocol_is_read_and_written(string less)
    {
        Need("nbdkit");
        var socket = _folder["k"];
        Serve(socket, "nbdkit", "-f", "-U", socket, less, "memory", "16M");
        using var disk = DiskImages.Open(new DiskOptions { Path = $"nbd+unix:///?socket={socket}" });

        disk.Write(4096, DiskModel.Filled(64, 3));

        Assert.Equal(DiskModel.Filled(64, 3), disk.Read(4096, 32768));
        Assert.False(disk.Extent(0).IsZero);
    }

    [Fact]
    public void Errors_of_an_nbdkit_are_errors_of_the_requests()
    {
        Need("nbdkit");
        var socket = _folder["k"];
        Serve(socket, "nbdkit", "-f", "-U", socket, "--filter=error", "memory", "16M", "error-pread-rate=100%", "error-pwrite=ENOSPC", "error-pwrite-rate=100%");
        using var disk = DiskImages.Open(new DiskOptions { Path = $"nbd+unix:///?socket={socket}" });

        Assert.ThrowsAny<IOException>(() => disk.Read(0, 512));
        Assert.True(Assert.ThrowsAny<IOException>(() => disk.Write(0, new byte[512])).IsDiskFull());
        disk.Flush();
    }

    [Fact]
    public void An_nbdkit_with_certificates_is_believed_by_its_authority()
    {
        Need("nbdkit");
        var socket = _folder["k"];
        TestCertificates.Make(_folder["server"], _folder["client"]);
        TestCertificates.Make(_folder["stranger"]);
        foreach (var (ours, theirs) in ((string, string)[])[("ca", "ca-cert"), ("cert", "server-cert"), ("key", "server-key")]) File.Copy(Path.Combine(_folder["server"], ours + ".pem"), Path.Combine(_folder["server"], theirs + ".pem"));
        Serve(socket, "nbdkit", "-f", "-U", socket, "--tls=require", $"--tls-certificates={_folder["server"]}", "--tls-verify-peer", "memory", "16M");

        using (var disk = DiskImages.Open(new DiskOptions { Path = $"nbds+unix:///?socket={socket}", TlsFolder = _folder["client"] }))
        {
            disk.Write(0, DiskModel.Filled(4096, 3));
            Assert.Equal(DiskModel.Filled(4096, 3), disk.Read(0, 2 << 20));
        }

        Assert.ThrowsAny<IOException>(() => DiskImages.Open(new DiskOptions { Path = $"nbds+unix:///?socket={socket}", TlsFolder = _folder["stranger"] }));
        Assert.ThrowsAny<IOException>(() => DiskImages.Open(new DiskOptions { Path = $"nbd+unix:///?socket={socket}" }));
    }
}
