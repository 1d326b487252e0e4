// A kept machine, locked, with a disk that another program serves: its guest uses it, and goes on when the connection is lost and found; where it is not found in the
// stated time the guest gets errors and the machine goes on.
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text.Json;
using Lamina.Images;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class NbdMachineTests : KeptMachines
{
    private const string Name = "web";

    private readonly CancellationToken _cancellation = TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task A_locked_machines_disk_is_lost_and_found_and_lost_for_too_long(bool isOnNetwork, bool isSecure)
    {
        var place = isOnNetwork ? $"127.0.0.1:{HostProcess.FreePort()}" : Folder.File("s");
        Expect(0, await RunAsync("disk", "create", Folder.File("disk.qcow2"), "64M"));
        if (isSecure) TestCertificates.Make(Folder.File("server"), Folder.File("client"));
        string[] serving = ["disk", "serve", Folder.File("disk.qcow2"), isOnNetwork ? "--listen" : "--unix", place, .. isSecure ? (string[])["--tls", Folder.File("server")] : []];
        var server = Start(serving);
        await server.SaidAsync("serves ");
        await StartAsync("--disk", $"{(isSecure ? $"nbds://{place},tls={Folder.File("client")}" : isOnNetwork ? $"nbd://{place}" : $"nbd+unix:///?socket={place}")},reconnect=20s");
        using (var status = JsonDocument.Parse((await RunAsync("inspect", Name)).Output))
            Assert.Superset((HashSet<string>)["calls", "files"], status.RootElement.GetProperty("status").GetProperty("locked-by").EnumerateArray().Select(part => part.GetString()!).ToHashSet());
        await GuestAsync("dd if=/dev/urandom of=/tmp/p bs=64k count=32 2>/dev/null; dd if=/tmp/p of=/dev/vda bs=64k conv=fsync 2>/dev/null");

        // The server goes in the middle, and another takes its place.
        server.Kill();
        server.Dispose();
        File.Delete(Folder.File("s"));
        var written = GuestAsync("dd if=/tmp/p of=/dev/vda bs=64k seek=100 conv=fsync 2>/dev/null && echo written");
        server = Start(serving);
        await server.SaidAsync("serves ");
        Assert.Equal("written\n", await written);
        Assert.Single((await GuestAsync("echo 3 >/proc/sys/vm/drop_caches; md5sum </tmp/p; for at in 0 100; do dd if=/dev/vda bs=64k skip=$at count=32 2>/dev/null | md5sum; done")).Split('\n', StringSplitOptions.RemoveEmptyEntries).ToHashSet());

        // Nobody comes.
        server.Signal(PosixSignal.SIGTERM);
        Assert.Equal(0, (await server.EndAsync()).ExitCode);
        server.Dispose();
        Assert.Equal("failed\n", await GuestAsync("dd if=/dev/vda of=/dev/null bs=64k skip=500 count=1 iflag=direct 2>/dev/null || echo failed"));
        server = Start(serving);
        await server.SaidAsync("serves ");
        Assert.Equal("read\n", await GuestAsync("until dd if=/dev/vda of=/dev/null bs=64k skip=500 count=1 iflag=direct 2>/dev/null; do usleep 100000; done; echo read"));
        Expect(0, await RunAsync("stop", Name));
        server.Signal(PosixSignal.SIGTERM);
        Assert.Equal(0, (await server.EndAsync()).ExitCode);
        server.Dispose();
        Expect(0, await RunAsync("disk", "check", Folder.File("disk.qcow2")));
    }

    private async Task StartAsync(params string[] words)
    {
        await StartTinyAsync(Name, ["--net", "none", .. words]);
        Expect(0, await RunAsync("exec", "--wait", "2m", Name, "--", "true"));
    }

    private async Task<string> GuestAsync(string command)
    {
        var outcome = await RunAsync("exec", Name, "--", "sh", "-c", command);
        Assert.Equal((0, ""), (outcome.ExitCode, outcome.Errors));
        return outcome.Output;
    }
}
