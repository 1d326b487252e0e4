// "lamina disk serve", and disks that are NBD exports for "lamina disk" and "lamina run", through the real program, with other people's clients where they are
// installed (Debian: qemu-utils, libnbd-bin).
using System.Runtime.InteropServices;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class NbdCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Image => _folder.File("disk.qcow2");

    private string Socket => _folder.File("s");

    private string Uri => $"nbd+unix:///work?socket={Socket}";

    public void Dispose() => _folder.Dispose();

    private async Task<HostProcess> ServeAsync(params string[] words)
    {
        if (!File.Exists(Image)) await Succeed("disk", "create", Image, "64M");
        var server = LaminaProgram.Start(["disk", "serve", Image, "--export", "work", .. words]);
        await server.SaidAsync("serves ");
        return server;
    }

    private static async Task<string> Succeed(params string[] words)
    {
        var outcome = await LaminaProgram.RunAsync(words);
        Assert.True(outcome.ExitCode == 0, $"lamina {string.Join(' ', words)}: {outcome.ExitCode}: {outcome.Errors}");
        return outcome.Output;
    }

    private static async Task Refused(string sentence, params string[] words)
    {
        var outcome = await LaminaProgram.RunAsync(words);
        Assert.NotEqual(0, outcome.ExitCode);
        Assert.Contains(sentence, Assert.Single(outcome.ErrorLines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_disk_is_served_looked_at_copied_and_let_go_of()
    {
        var content = new byte[3 << 20];
        new Random(1).NextBytes(content.AsSpan(1 << 20, 100_000));
        File.WriteAllBytes(_folder.File("from.raw"), content);
        using var server = await ServeAsync("--unix", Socket);

        Assert.Contains($"serves {Image} at {Uri}", server.Output, StringComparison.Ordinal);
        Assert.Contains("64 MiB (67108864 bytes)", await Succeed("disk", "info", Uri), StringComparison.Ordinal);
        await Succeed("disk", "convert", _folder.File("from.raw"), Uri, "--source-format", "raw");
        await Succeed("disk", "convert", Uri, _folder.File("to.raw"), "--format", "raw");
        Assert.Equal(content, File.ReadAllBytes(_folder.File("to.raw"))[..content.Length]);
        await Refused("in use by another", "disk", "serve", Image, "--unix", _folder.File("other"));
        await Refused("exists already", "disk", "serve", _folder.File("from.raw"), "--format", "raw", "--unix", Socket);
        await Refused("leave out --format", "disk", "convert", _folder.File("from.raw"), Uri, "--format", "qcow2");
        await Refused("no export 'other'", "disk", "info", $"nbd+unix:///other?socket={Socket}");
        await Refused("another program's", "disk", "check", Uri);

        server.Signal(PosixSignal.SIGTERM);
        Assert.Equal(0, (await server.EndAsync()).ExitCode);
        Assert.False(File.Exists(Socket));
        Assert.Contains("no errors", await Succeed("disk", "check", Image), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Other_peoples_clients_use_it_at_a_port_and_it_ends_when_they_have_left()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/nbdinfo") && File.Exists("/usr/bin/qemu-io"), "nbdinfo and qemu-io (libnbd-bin, qemu-utils) are not installed on this host");
        using (var server = await ServeAsync("--listen", "127.0.0.1:0", "--connections", "2"))
        {
            var uri = server.Output.Trim().Split(" at ")[1];
            Assert.Matches("^nbd://127\\.0\\.0\\.1:[0-9]+/work$", uri);
            var io = await HostProcess.RunAsync("/usr/bin/qemu-io", ["-f", "raw", uri, "-c", "write -P 5 1000 30000", "-c", "read -P 5 1000 30000", "-c", "flush"]);
            Assert.True(io.ExitCode == 0, io.Output + io.Errors);
            var map = await HostProcess.RunAsync("/usr/bin/nbdinfo", ["--map", uri]);
            Assert.Matches(@"0 +65536 +0 +data", map.Output);
            server.Signal(PosixSignal.SIGINT);
            Assert.Equal(0, (await server.EndAsync()).ExitCode);
        }
        using var once = await ServeAsync("--unix", Socket, "--read-only", "--once");
        var info = await HostProcess.RunAsync("/usr/bin/nbdinfo", [Uri]);
        Assert.Contains("is_read_only: true", info.Output, StringComparison.Ordinal);
        Assert.Equal(0, (await once.EndAsync()).ExitCode);
    }

    [Fact]
    public async Task What_is_wrong_with_the_words_is_one_sentence()
    {
        await Succeed("disk", "create", Image, "1M");

        await Refused("unseen and unasked", "disk", "serve", Image, "--listen", "0.0.0.0:0");
        await Refused("no address with a port", "disk", "serve", Image, "--listen", "127.0.0.1");
        await Refused("no address with a port", "disk", "serve", Image, "--listen", "127.0.0.1:99999");
        await Refused("leave out --unix or --listen", "disk", "serve", Image, "--listen", "127.0.0.1:0", "--unix", Socket);
        await Refused("from 1 to 256", "disk", "serve", Image, "--connections", "0");
        await Refused("cert.pem", "disk", "serve", Image, "--tls", _folder.File("none"));
        await Refused("none.qcow2", "disk", "serve", _folder.File("none.qcow2"));
        await Refused("there is no socket", "disk", "info", Uri);
        await Refused("no place of an NBD export", "disk", "info", "nbd://:x");
        await Refused("who the server", "disk", "info", "nbds://127.0.0.1");
        await Refused("without certificates", "disk", "info", Image, "--tls", _folder.File("none"));
        await Refused("leave them out for a file", "run", "tiny", "--disk", $"{Image},tls=x");
        await Refused("is not a time", "run", "tiny", "--disk", $"{Uri},reconnect=soon");
    }
}
