// lamina upgrade-running for machines that lead to their host in every way: folders, networks, screens, disks of other programs, UEFI's variables, pools.
using System.Net.Sockets;
using System.Text;
using Lamina.Backends.Net.Switch;
using Lamina.Images;
using Lamina.Images.Bios;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class UpgradeRunningDevicesTests : TwoStores
{
    [Fact]
    public async Task Folders_networks_a_screen_and_a_served_disk_go_along()
    {
        var shared = Directory.CreateDirectory(Folder.File("shared")).FullName;
        Expect(0, await RunAsync("disk", "create", Folder.File("served.qcow2"), "16M"));
        using var server = Start(["disk", "serve", Folder.File("served.qcow2"), "--unix", Folder.File("nbd")]);
        await server.SaidAsync("serves ");
        var screen = Folder.File("screen");
        await StartTinyWithDiskAsync("web", "--machine", "pc", "--share", $"{shared}:data", "--net", $"switch={Folder.File("lan")}", "--disk", $"nbd+unix:///?socket={Folder.File("nbd")}", "--display", $"vnc=unix:{screen}");
        var address = await InAsync(RunAsync, "web", "mkdir -p /mnt && mount -t virtiofs data /mnt && ip address add 10.9.0.1/24 dev eth0 && ip link set eth0 up && echo kept | dd of=/dev/vdb bs=4k conv=notrunc,sync 2>/dev/null; cat /sys/class/net/eth0/address; (exec 3>>/mnt/held; echo before >&3; until [ -e /tmp/go ]; do sleep 0.1; done; echo behind >&3; touch /tmp/gone) >/dev/null 2>&1 </dev/null &");
        var card = Convert.FromHexString(address.Replace(":", "", StringComparison.Ordinal));
        var listener = new FrameListener();
        using var lan = new SwitchBackend(Folder.File("lan"), VlanMembership.Untagged);
        lan.Attach(listener);
        lan.Start();
        using var viewer = await LookAsync(screen);

        var went = await RunAsync("upgrade-running", "--force", "-v", "web");
        Assert.True(went.ExitCode == 0, went.Errors);
        TestContext.Current.TestOutputHelper?.WriteLine(went.Errors);

        // Its card has a new place on the switch, and says so.
        await listener.HeardAsync(frame => frame.AsSpan(6, 6).SequenceEqual(card) && frame[12..14] is [0x80, 0x35], "RARP of the card");
        await listener.HeardAsync(frame => frame.AsSpan(6, 6).SequenceEqual(card) && frame[12..14] is [0x08, 0x06] && frame[28..32] is [10, 9, 0, 1], "ARP of the guest");
        // Viewers are cut off, and come back.
        Assert.Equal(0, await viewer.ReceiveAsync(new byte[1], Token));
        using (await LookAsync(screen))
        {
            // A file that was open goes on, the disk is the same.
            Assert.Equal($"kept\nbefore\nbehind\n{address}", await InAsync(RunAsync, "web", "touch /tmp/go; until [ -e /tmp/gone ]; do sleep 0.1; done; echo 3 >/proc/sys/vm/drop_caches; head -n1 /dev/vdb; cat /mnt/held; cat /sys/class/net/eth0/address; echo new >/mnt/new"));
        }
        Assert.Equal("new\n", await File.ReadAllTextAsync(Path.Combine(shared, "new"), Token));
    }

    [Fact]
    public async Task A_tap_interface_is_there_again()
    {
        Assert.SkipUnless(System.Environment.IsPrivilegedProcess && File.Exists("/dev/net/tun"), "an interface is made by root, where there is /dev/net/tun");
        var name = $"lm{System.Environment.ProcessId}";
        await CreateAsync("quiet", Guest.Halts, "--net", $"tap={name}");
        var started = await RunAsync("start", "quiet");
        Assert.SkipUnless(started.ExitCode == 0, $"this host makes no tap interfaces: {started.Errors}");
        await PrintedAsync("quiet", "up");
        Assert.True(Directory.Exists($"/sys/class/net/{name}"));

        Expect(0, await RunAsync("upgrade-running", "--force", "quiet"));

        Assert.True(Directory.Exists($"/sys/class/net/{name}"));
        Expect(0, await RunAsync("pause", "quiet"));
        Expect(0, await RunAsync("kill", "quiet"));
        Assert.True(SpinWait.SpinUntil(() => !Directory.Exists($"/sys/class/net/{name}"), TimeSpan.FromMinutes(2)), "what was made goes with the machine");
    }

    [Fact]
    public async Task Variables_of_UEFI_stay_and_are_written_on()
    {
        try
        {
            await FirmwareStore.OfUser().FindOrBuildAsync("ovmf", new Progress<ImageProgress>(), Token);
        }
        catch (ImageException cannot)
        {
            Assert.Skip($"the firmware ovmf cannot be had here: {cannot.Message}");
        }
        Expect(0, await RunAsync("create", "web", "--machine", "pc", "--firmware", "ovmf", "--engine", "translator", "--memory", "128M", "--net", "none"));
        Expect(0, await RunAsync("start", "web"));
        // It has written some when its shell is there; the test is long over where it never comes.
        var variables = Home("web", "run", "uefi-variables.fd");
        await PrintedAsync("web", "Shell>");
        var before = await File.ReadAllBytesAsync(variables, Token);

        Expect(0, await RunAsync("upgrade-running", "--force", "web"));

        Assert.Equal(before, await File.ReadAllBytesAsync(variables, Token));
        // What is set now is in the file.
        Expect(0, await RunAsync("type", "web", "set Kept 12345678\n"));
        Assert.True(SpinWait.SpinUntil(() => File.ReadAllBytes(variables).AsSpan().IndexOf(Encoding.Unicode.GetBytes("12345678")) >= 0, TimeSpan.FromMinutes(3)), "the variable is not in the file");
    }

    [Fact]
    public async Task A_pool_whose_memory_is_limited_has_not_room_for_it_twice()
    {
        Expect(0, await RunAsync("pool", "create", "outer", "--memory-limit", "8G"));
        Expect(0, await RunAsync("pool", "create", "inner", "--parent", "outer"));
        await CreateAsync("quiet", Guest.Halts, "--pool", "inner");
        Expect(0, await RunAsync("start", "quiet"));
        await PrintedAsync("quiet", "up");

        Expect(2, await RunAsync("upgrade-running", "--force", "quiet"), "lamina: the machine quiet is in the pool outer, whose memory limit would count its memory twice for a moment; suspend it and start it again, or lift the limit meanwhile");
        Expect(0, await RunAsync("pool", "set", "outer", "--memory-limit", "none"));
        Expect(0, await RunAsync("upgrade-running", "--force", "quiet"));
        Expect(0, await RunAsync("pause", "quiet"));
    }

    // RFC 6143, 7.1.1: the server says its version first.
    private static async Task<Socket> LookAsync(string path)
    {
        var viewer = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await viewer.ConnectAsync(new UnixDomainSocketEndPoint(path), Token);
        var greeting = new byte[12];
        for (var had = 0; had < greeting.Length;)
        {
            var count = await viewer.ReceiveAsync(greeting.AsMemory(had), Token);
            Assert.NotEqual(0, count);
            had += count;
        }
        Assert.Equal("RFB 003.008\n", Encoding.ASCII.GetString(greeting));
        return viewer;
    }
}
