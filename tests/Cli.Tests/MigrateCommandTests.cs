// A machine that goes to another user's store while it runs, over a socket, over TLS, and over the streams of a program that stands for ssh; and what becomes of it where that fails.
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Lamina.Backends.Disk;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed partial class MigrateCommandTests : TwoStores
{
    [Fact]
    public async Task A_machine_goes_with_all_that_it_does_and_comes_back()
    {
        await StartTinyWithDiskAsync("web");
        try
        {
            Assert.Equal("", await InAsync(RunAsync, "web", "echo on the disk | dd of=/dev/vda bs=4k conv=notrunc 2>/dev/null; echo in memory >/tmp/x; (while :; do dd if=/dev/urandom of=/tmp/load bs=64k count=16 2>/dev/null; done) >/dev/null 2>&1 & echo $! >/tmp/pid"));
            var boot = await InAsync(RunAsync, "web", "cat /proc/sys/kernel/random/boot_id; cat /sys/class/net/eth0/address");
            var messages = await InAsync(RunAsync, "web", "dmesg");
            var uptime = Seconds(await InAsync(RunAsync, "web", "cut -d' ' -f1 /proc/uptime"));
            var socket = Folder.File("in");
            using (await ReceiveAsync(socket))
                Expect(0, await RunAsync("migrate", "web", $"unix:{socket}"));

            Assert.Equal("gone", await StateAsync("web"));
            Expect(2, await RunAsync("start", "web"), $"lamina: the machine web went to unix:{socket} at * and runs there; remove what is left of it here with 'lamina rm web'");
            Assert.Equal(boot, await InAsync(RunThereAsync, "web", "cat /proc/sys/kernel/random/boot_id; cat /sys/class/net/eth0/address"));
            Assert.Equal("in memory\non the disk", await InAsync(RunThereAsync, "web", "cat /tmp/x; head -n1 /dev/vda; kill -0 $(cat /tmp/pid)"));
            Assert.True(Seconds(await InAsync(RunThereAsync, "web", "cut -d' ' -f1 /proc/uptime")) >= uptime);
            // Its kernel saw nothing of it.
            var after = (await InAsync(RunThereAsync, "web", "dmesg")).Split('\n').Except(messages.Split('\n'));
            Assert.DoesNotContain(after, line => NotedRegex().IsMatch(line));

            // It starts again there as here.
            Expect(0, await RunThereAsync("restart", "web"));
            Assert.Equal("on the disk", await InAsync(RunThereAsync, "web", "head -n1 /dev/vda"));

            // And back, under another name, over the streams of a program that stands for ssh.
            Expect(0, await RunAsync("rm", "web"));
            var programs = Directory.CreateDirectory(Folder.File("bin")).FullName;
            await File.WriteAllTextAsync(Path.Combine(programs, "ssh"), $"#!/bin/sh\n[ \"$1 $2\" = '-T back.example' ] || exit 99\nshift 2\n[ \"$*\" = 'lamina receive -' ] || exit 98\nLAMINA_HOME={Folder.File("home")} exec {LaminaProgram.File} receive - --name back\n", Token);
            File.SetUnixFileMode(Path.Combine(programs, "ssh"), UnixFileMode.UserRead | UnixFileMode.UserExecute);
            var went = await LaminaProgram.RunAsync(["migrate", "--remove", "-v", "web", "ssh:back.example"], new Dictionary<string, string?>(There) { ["PATH"] = $"{programs}:{System.Environment.GetEnvironmentVariable("PATH")}" });
            Assert.True(went.ExitCode == 0, went.Errors);
            Assert.Contains("web stood still for ", went.Errors, StringComparison.Ordinal);
            Assert.False(Directory.Exists(ThereHome("web")));
            Assert.Equal("on the disk", await InAsync(RunAsync, "back", "head -n1 /dev/vda"));
            Assert.Equal(Home("back", "disk.qcow2"), DiskTools.Inspect(Home("back", "disk.qcow2")).Path);
        }
        finally
        {
            await ClearThereAsync();
        }
    }

    [Fact]
    public async Task What_does_not_come_stays_and_nothing_of_it_is_left_there()
    {
        var socket = Folder.File("in");
        await CreateAsync("quiet", Guest.Halts);
        Expect(1, await RunAsync("migrate", "quiet", $"unix:{socket}"), $"lamina: nobody takes machines in at unix:{socket} (*); start 'lamina receive unix:{socket}' there first");
        Expect(2, await RunAsync("migrate", "quiet", "somewhere"), "lamina: 'somewhere' is no place that a machine can go to or come from; write unix:PATH, tcp:HOST:PORT (with --tls), ssh:HOST or - for the standard streams");
        Expect(2, await RunAsync("migrate", "nobody", $"unix:{socket}"), "lamina: there is no machine nobody*");
        using (await ReceiveAsync(socket, "--keep"))
        {
            // Who connects and says nothing holds nobody up.
            using var silent = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await silent.ConnectAsync(new UnixDomainSocketEndPoint(socket), Token);
            // Another one at the same place.
            Expect(1, await RunThereAsync("receive", $"unix:{socket}"), $"lamina: machines cannot be taken in at unix:{socket}: it exists already; *");
            // One that does not run.
            Expect(2, await RunAsync("migrate", "quiet", $"unix:{socket}"), "lamina: the machine quiet is not running*");
            // One of which snapshots would be removed.
            Expect(0, await RunAsync("snapshot", "create", "quiet", "kept"));
            Expect(2, await RunAsync("migrate", "--remove", "quiet", $"unix:{socket}"), "lamina: the machine quiet has snapshots, which stay here and would be removed with it; leave out --remove, or remove them first ('lamina snapshot rm')");
            Expect(0, await RunAsync("snapshot", "rm", "quiet", "kept"));
            Expect(2, await RunAsync("migrate", "--remove", "quiet", $"unix:{socket}"), "lamina: the machine quiet is not running*");
            Expect(0, await RunAsync("start", "quiet"));
            // One whose name is taken there.
            var other = await LaminaProgram.RunAsync(["create", "quiet", "--kernel", Folder.File("guest"), "--engine", "translator"], There);
            Assert.True(other.ExitCode == 0, other.Errors);
            Expect(1, await RunAsync("migrate", "quiet", $"unix:{socket}"), "lamina: there is a machine quiet already*");
            Assert.Equal("running", await StateAsync("quiet"));
            Expect(0, await RunThereAsync("rm", "quiet"));
            // One that leads to this host.
            Directory.CreateDirectory(Folder.File("shared"));
            await CreateAsync("shares", Guest.Halts, "--share", $"{Folder.File("shared")}:data");
            Expect(0, await RunAsync("start", "shares"));
            Expect(2, await RunAsync("migrate", "shares", $"unix:{socket}"), "lamina: the share share0 leads to * where the machine comes from, and it is not said where it leads here; add --device share0,path=FOLDER to what takes the machine in ('lamina receive')");
            Assert.Equal("running", await StateAsync("shares"));
            // Whoever connects and says nothing of sense.
            foreach (var said in (byte[][])["GET / HTTP/1.1\r\n\r\n"u8.ToArray(), new byte[(1 << 20) + 1]])
            {
                using var noise = new System.Net.Sockets.Socket(System.Net.Sockets.AddressFamily.Unix, System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Unspecified);
                await noise.ConnectAsync(new System.Net.Sockets.UnixDomainSocketEndPoint(socket), Token);
                await noise.SendAsync(said, Token);
                var answer = new byte[1000];
                Assert.Contains("is no migration of a machine", System.Text.Encoding.UTF8.GetString(answer, 0, await noise.ReceiveAsync(answer, Token)), StringComparison.Ordinal);
            }
            // And then one that comes.
            Expect(0, await RunAsync("migrate", "--downtime", "1s", "quiet", $"unix:{socket}"));
        }
        Assert.Equal(["quiet"], Directory.EnumerateDirectories(ThereHome(".")).Select(Path.GetFileName));
        await ClearThereAsync();
    }

    [Fact]
    public async Task Over_a_network_both_ends_prove_who_they_are()
    {
        await CreateAsync("quiet", Guest.Halts);
        Expect(0, await RunAsync("start", "quiet"));
        var (ours, theirs, strangers) = (Folder.File("ours"), Folder.File("theirs"), Folder.File("strangers"));
        TestCertificates.Make(ours, theirs);
        TestCertificates.Make(strangers, Folder.File("nobody"));
        Expect(2, await RunThereAsync("receive", "tcp:127.0.0.1:0"), "lamina: whoever comes over the network must prove who it is*");
        Expect(2, await RunThereAsync("receive", "tcp:127.0.0.1:0", "--tls", Folder.File("none")), "lamina: *cert.pem*");
        using var receiver = HostProcess.Start(LaminaProgram.File, ["receive", "tcp:127.0.0.1:0", "--tls", theirs, "--keep"], There);
        await receiver.SaidAsync("\n");
        var line = receiver.Errors.Trim();
        var port = int.Parse(line[(line.LastIndexOf(':') + 1)..], System.Globalization.CultureInfo.InvariantCulture);

        Expect(2, await RunAsync("migrate", "quiet", $"tcp:127.0.0.1:{port}"), "lamina: a machine's memory goes over a network only where both ends have proved who they are*");
        Expect(1, await RunAsync("migrate", "quiet", $"tcp:127.0.0.1:{port}", "--tls", strangers));
        Assert.Equal("running", await StateAsync("quiet"));
        // Not the name in the other's certificate.
        Expect(1, await RunAsync("migrate", "quiet", $"tcp:localhost:{port}", "--tls", ours));
        Expect(0, await RunAsync("migrate", "quiet", $"tcp:127.0.0.1:{port}", "--tls", ours));
        Assert.Equal("gone", await StateAsync("quiet"));
        Expect(0, await RunThereAsync("kill", "quiet"));
    }

    // What a kernel says that finds time or its devices other than they were.
    [GeneratedRegex("lockup|stall|clocksource|hung|jump|warn|bug|error|reset|rcu", RegexOptions.IgnoreCase)]
    private static partial Regex NotedRegex();

    private static double Seconds(string text) => double.Parse(text, System.Globalization.CultureInfo.InvariantCulture);
}
