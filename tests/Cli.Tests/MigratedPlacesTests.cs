// A machine that leads to its host by folders, disks, a switch and sockets goes to another user's store, where whoever takes it in says where those lead.
using Lamina.Backends.Disk;
using Lamina.Backends.Net.Switch;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class MigratedPlacesTests : TwoStores
{
    [Fact]
    public async Task What_a_machine_leads_to_is_named_where_it_comes_to()
    {
        var (here, there, served) = (Directory.CreateDirectory(Folder.File("here-share")).FullName, Directory.CreateDirectory(Folder.File("there-share")).FullName, Folder.File("served.qcow2"));
        await File.WriteAllTextAsync(Path.Combine(here, "file"), "here\n", Token);
        await File.WriteAllTextAsync(Path.Combine(there, "file"), "there\n", Token);
        Expect(0, await RunAsync("disk", "create", served, "16M"));
        Expect(0, await RunAsync("disk", "create", Folder.File("further.qcow2"), "16M"));
        using var server = Start(["disk", "serve", served, "--unix", Folder.File("nbd")]);
        await server.SaidAsync("serves ");
        await StartTinyWithDiskAsync("web", "--share", $"{here}:data", "--net", $"switch={Folder.File("lan-here")},vlan=7", "--disk", $"{Folder.File("further.qcow2")},name=further", "--disk", $"nbd+unix:///?socket={Folder.File("nbd")},name=served", "--serial", $"unix:{Folder.File("tty-here")}");
        try
        {
            Assert.Equal("here", await InAsync(RunAsync, "web", "mkdir -p /mnt && mount -t virtiofs data /mnt && cat /mnt/file && echo copied | dd of=/dev/vdb bs=4k conv=notrunc,sync 2>/dev/null && echo kept | dd of=/dev/vdc bs=4k conv=notrunc,sync 2>/dev/null; (while :; do dd if=/dev/urandom of=/dev/vdb bs=64k count=32 seek=16 2>/dev/null; done) >/dev/null 2>&1 &"));
            var address = await InAsync(RunAsync, "web", "ip address add 10.9.0.1/24 dev eth0 && ip link set eth0 up && cat /sys/class/net/eth0/address");
            var listener = new FrameListener();
            using var lan = new SwitchBackend(Folder.File("lan-there"), VlanMembership.Untagged);
            lan.Attach(listener);
            lan.Start();
            // What is not named goes nowhere, and the word to add is said.
            string[][] words =
            [
                ["share0,path=" + there], ["network0,link=switch=" + Folder.File("lan-there")], ["further,path=" + Folder.File("there.qcow2")], ["served,path=nbd+unix:///?socket=" + Folder.File("nbd")], ["serial0,to=stdio"],
            ];
            var names = words.Select(word => word[0].Split(',')[0]).ToList();
            foreach (var name in names)
            {
                using var receiver = await ReceiveAsync(Folder.File("in"), [.. words.Where(word => !word[0].StartsWith(name + ",", StringComparison.Ordinal)).SelectMany(word => (string[])["--device", .. word])]);
                Expect(2, await RunAsync("migrate", "web", $"unix:{Folder.File("in")}"), $"lamina: the * {name} leads to * add --device {name},*");
                Assert.Equal(2, (await receiver.EndAsync()).ExitCode);
                Assert.False(File.Exists(Folder.File("there.qcow2")));
            }
            string[] all = [.. words.SelectMany(word => (string[])["--device", .. word])];
            // A file that is there is nobody's to write to.
            await File.WriteAllTextAsync(Folder.File("there.qcow2"), "somebody's", Token);
            using (await ReceiveAsync(Folder.File("in"), all)) Expect(2, await RunAsync("migrate", "web", $"unix:{Folder.File("in")}"), "lamina: the disk further is copied to *there.qcow2, and there is such a file already; *");
            Assert.Equal("somebody's", await File.ReadAllTextAsync(Folder.File("there.qcow2"), Token));
            File.Delete(Folder.File("there.qcow2"));
            using (await ReceiveAsync(Folder.File("in"), [.. all, "--device", "other0,path=/x"])) Expect(2, await RunAsync("migrate", "web", $"unix:{Folder.File("in")}"), "lamina: the machine has no device other0; *");
            using (await ReceiveAsync(Folder.File("in"), [.. all, "--device", "further,serial=x"])) Expect(2, await RunAsync("migrate", "web", $"unix:{Folder.File("in")}"), "lamina: the guest knows the serial of its device further, *");
            Assert.Equal("running", await StateAsync("web"));

            using (var receiver = await ReceiveAsync(Folder.File("in"), all))
            {
                Expect(0, await RunAsync("migrate", "web", $"unix:{Folder.File("in")}"));
                Assert.Equal(0, (await receiver.EndAsync()).ExitCode);
            }
            Assert.Equal($"there\ncopied\nkept\n{address}", await InAsync(RunThereAsync, "web", "echo 3 >/proc/sys/vm/drop_caches; cat /mnt/file; head -n1 /dev/vdb; head -n1 /dev/vdc; cat /sys/class/net/eth0/address; echo written >/mnt/new"));
            Assert.Equal("written\n", await File.ReadAllTextAsync(Path.Combine(there, "new"), Token));
            Assert.False(File.Exists(Path.Combine(here, "new")));
            // The host's side says where the card is, and its driver, which knows the guest's address: RARP, and ARP of oneself (RFC 5227).
            var card = Convert.FromHexString(address.Replace(":", "", StringComparison.Ordinal));
            await listener.HeardAsync(frame => frame.AsSpan(6, 6).SequenceEqual(card) && frame[12..14] is [0x80, 0x35] && frame.AsSpan(22, 6).SequenceEqual(card), "RARP");
            await listener.HeardAsync(frame => frame.AsSpan(6, 6).SequenceEqual(card) && frame[12..14] is [0x08, 0x06] && frame[28..32] is [10, 9, 0, 1] && frame[38..42] is [10, 9, 0, 1], "ARP");
            // The switch that it is on now is the other one; the disk that was copied is this one's.
            Assert.True(File.Exists(Folder.File("lan-there")));
            Assert.Equal(DiskFormat.Qcow2, DiskTools.Inspect(Folder.File("there.qcow2")).Format);
            // It starts there again with the same.
            Expect(0, await RunThereAsync("kill", "web"));
            Expect(0, await RunThereAsync("start", "web"));
            Assert.Equal("copied\nkept", await InAsync(RunThereAsync, "web", "head -n1 /dev/vdb; head -n1 /dev/vdc"));
        }
        finally
        {
            await ClearThereAsync();
        }
    }

    [Fact]
    public async Task Words_for_another_host_go_there_by_ssh()
    {
        await CreateAsync("quiet", Guest.Halts, "--share", $"{Directory.CreateDirectory(Folder.File("shared")).FullName}:data", "--net", "user,host=8080", "--publish", "0:80");
        Expect(0, await RunAsync("start", "quiet"));
        Expect(2, await RunAsync("migrate", "quiet", $"unix:{Folder.File("in")}", "--device", "share0,path=/srv"), "lamina: what the machine is there is said there; give --device to 'lamina receive', unless that is started by ssh");
        Expect(2, await RunThereAsync("receive", $"unix:{Folder.File("in")}", "--device", "share0"), "lamina: 'share0' does not say where a device leads; *");
        // The shell of a host splits words.
        var programs = Directory.CreateDirectory(Folder.File("bin")).FullName;
        await File.WriteAllTextAsync(Path.Combine(programs, "ssh"), $"#!/bin/sh\nshift 2\nset -- \"$*\"\nLAMINA_HOME={Folder.File("there")} exec sh -c \"exec {LaminaProgram.File} ${{1#lamina }}\"\n", Token);
        File.SetUnixFileMode(Path.Combine(programs, "ssh"), UnixFileMode.UserRead | UnixFileMode.UserExecute);
        var folder = Directory.CreateDirectory(Folder.File("it's there")).FullName;
        var environment = new Dictionary<string, string?>(Environment) { ["PATH"] = $"{programs}:{System.Environment.GetEnvironmentVariable("PATH")}" };
        try
        {
            Expect(2, await LaminaProgram.RunAsync(["migrate", "quiet", "ssh:other.example", "--device", $"share0,path={folder}"], environment));
            Expect(0, await LaminaProgram.RunAsync(["migrate", "quiet", "ssh:other.example", "--name", "moved", "--device", $"share0,path={folder}", "--device", "network0,link=user", "--publish", $"127.0.0.1:{HostProcess.FreePort()}:81"], environment));
            var kept = await File.ReadAllTextAsync(ThereHome("moved", "machine.json"), Token);
            Assert.Contains("it's there", System.Text.RegularExpressions.Regex.Unescape(kept), StringComparison.Ordinal);
            Assert.Contains(":81", kept, StringComparison.Ordinal);
            Assert.DoesNotContain("8080", kept, StringComparison.Ordinal);
            Assert.DoesNotContain(":80\"", kept, StringComparison.Ordinal);
        }
        finally
        {
            await ClearThereAsync();
        }
    }
}
