// Debian's kernel and its own drivers on gigabit cards: files both ways, whose sums are the host's, what drivers count, a cable that is pulled, cards that are
// taken down and up, and a transfer through saves at any moment.
using System.Globalization;
using System.Security.Cryptography;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class NetworkCardTests : IDisposable
{
    private const string Gateway = "10.0.2.2", Up = "ip link set eth0 up && ip address replace 10.0.2.15/24 dev eth0 && ip route replace default via 10.0.2.2";

    private readonly TestServers _servers = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-cards-").FullName;

    public void Dispose()
    {
        _servers.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task<MachineDefinition> DefinitionAsync(NetworkModel model)
    {
        var image = await DriveImage.GetAsync();
        var configuration = GuestConfiguration.Of(GuestConfiguration.Pc);
        return new MachineDefinition
        {
            Type = MachineType.Pc,
            Engine = configuration.Engine,
            Irqchip = TestEngine.Irqchip,
            MemoryBytes = configuration.MemoryBytes,
            Cpus = 2,
            Boot = new BootSource { KernelPath = image.KernelPath, InitrdPath = image.InitrdPath, CommandLine = image.CommandLine },
            Devices = [new ConsoleDevice { To = new ConsoleTarget.Memory() }, NetworkDevice.Parse($"user,host={_servers.HttpPort},publish=0:80")! with { Model = model, Name = "net0" }],
        };
    }

    private string Sum => Convert.ToHexStringLower(SHA256.HashData(_servers.File));

    [Theory]
    [InlineData(NetworkModel.E1000)]
    [InlineData(NetworkModel.E1000e)]
    public async Task Linux_moves_files_both_ways(NetworkModel model)
    {
        await using var guest = await LinuxGuest.BootAsync(await DefinitionAsync(model));
        await guest.DoAsync(DriveImage.LoadDrivers);
        await guest.DoAsync("ip link set eth0 up; udhcpc -i eth0 -n -q -t 10");
        await guest.DoAsync(Up);
        Assert.Equal("1000\nfull\n02:4c:41:00:00:01\n", await guest.DoAsync("cat /sys/class/net/eth0/speed /sys/class/net/eth0/duplex /sys/class/net/eth0/address"));
        Assert.Contains($"/{(model == NetworkModel.E1000 ? "e1000" : "e1000e")}\n", await guest.DoAsync("readlink /sys/class/net/eth0/device/driver"), StringComparison.Ordinal);

        await TransferAsync(guest);
        Assert.Contains("3 packets received", await guest.DoAsync($"ping -c 3 -i 0.2 {Gateway}"), StringComparison.Ordinal);
        Assert.Contains("1 packets received", await guest.DoAsync($"ping -c 1 -s 4000 {Gateway}"), StringComparison.Ordinal);

        // A port of the host's that leads to the guest, by several connections at once.
        var sum = await guest.DoAsync("mkdir -p /tmp/www; dd if=/dev/urandom of=/tmp/www/file bs=1M count=4 2>/dev/null; httpd -p 80 -h /tmp/www; sha256sum < /tmp/www/file");
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(60) };
        var port = guest.Machine.Published.Single().Host.Port;
        var answers = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => client.GetByteArrayAsync(new Uri($"http://127.0.0.1:{port}/file"), TestContext.Current.CancellationToken)));
        Assert.All(answers, answer => Assert.StartsWith(Convert.ToHexStringLower(SHA256.HashData(answer)), sum, StringComparison.Ordinal));

        // The cable is pulled and put in.
        await guest.Machine.DoAsync(new MachineAction.Plug("net0", false), TestContext.Current.CancellationToken);
        await guest.DoAsync("until [ \"$(cat /sys/class/net/eth0/carrier)\" = 0 ]; do sleep 0.1; done");
        await guest.Machine.DoAsync(new MachineAction.Plug("net0", true), TestContext.Current.CancellationToken);
        await guest.DoAsync("until [ \"$(cat /sys/class/net/eth0/carrier)\" = 1 ]; do sleep 0.1; done");
        await TransferAsync(guest);
        // Down and up, and with long frames.
        for (var i = 0; i < 3; i++)
        {
            await guest.DoAsync("ip link set eth0 down");
            await guest.DoAsync(Up);
        }
        await guest.DoAsync("ip link set eth0 down; ip link set eth0 mtu 4000");
        await guest.DoAsync(Up);
        await TransferAsync(guest);
        Assert.Equal("0\n0\n0\n0\n", await guest.DoAsync("cd /sys/class/net/eth0/statistics; cat rx_errors tx_errors rx_crc_errors rx_length_errors; cd /"));
        var moved = (await guest.DoAsync("cat /sys/class/net/eth0/statistics/rx_bytes /sys/class/net/eth0/statistics/tx_bytes")).Split('\n');
        Assert.All(moved[..2], bytes => Assert.True(long.Parse(bytes, CultureInfo.InvariantCulture) > _servers.File.Length / 4));
        Assert.DoesNotMatch("(?i)(unit hang|reset adapter|watchdog:|error|fail)[^\n]*$", string.Join('\n', (await guest.DoAsync("dmesg")).Split('\n').Where(line => line.Contains("e1000", StringComparison.Ordinal) || line.Contains("eth0", StringComparison.Ordinal))));
        Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));
        KernelLog.AssertNoComplaints(await guest.DoAsync("dmesg"));
        await guest.TypeAsync("poweroff");
        Assert.Equal(MachineEnd.PoweredOff, (await guest.EndAsync()).End);
    }

    // Two cards of one machine on a switch, each in a network of its own, so that a connection between them outlives what is thrown away.
    [Fact]
    public async Task A_transfer_that_is_saved_and_goes_on_at_any_moment_comes_to_its_end()
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(TimeSpan.FromMinutes(8));
        var definition = await DefinitionAsync(NetworkModel.E1000);
        var lan = new NetworkLink.Switch(Path.Combine(_folder, "lan"));
        definition = definition with
        {
            Devices = [new SerialDevice { To = new ConsoleTarget.Memory() }, new NetworkDevice { Link = lan, Model = NetworkModel.E1000, Mac = "02:4c:41:00:00:01" }, new NetworkDevice { Link = lan, Model = NetworkModel.E1000e, Mac = "02:4c:41:00:00:02" }],
        };
        var random = new Random(82574);
        var boot = await SavedBoot.RunAsync(definition, _folder, 0, 0, patience.Token);
        var (machine, run, screen) = (boot.Machine, boot.Run, boot.Screen);
        try
        {
            foreach (var command in (string[])
            [
                $"{DriveImage.LoadDrivers}; mkdir /www; dd if=/dev/urandom of=/www/file bs=1M count=8 2>/dev/null",
                "unshare -n sh -c 'echo $$ >/tmp/other; exec sleep 100000' & sleep 1; other=$(cat /tmp/other)",
                "for e in eth0 eth1; do if [ $(cat /sys/class/net/$e/address) = 02:4c:41:00:00:01 ]; then own=$e; else ip link set $e netns $other; far=$e; fi; done",
                "ip address add 192.168.9.1/24 dev $own; ip link set $own up",
                "nsenter -t $other -n sh -c \"ip address add 192.168.9.2/24 dev $far; ip link set $far up; httpd -p 80 -h /www\"",
                "sum=$(sha256sum </www/file); r=0; i=0; while [ $i -lt 40 ]; do [ \"$(wget -q -O - http://192.168.9.2/file | sha256sum)\" = \"$sum\" ] || r=1; i=$((i+1)); done; dmesg | grep -i 'unit hang\\|reset adapter\\|watchdog:'; echo transfers: $i, wrong: $r.",
            ])
            {
                await machine.Serial.WriteAsync(command + "\r", patience.Token);
                if (!command.StartsWith("sum", StringComparison.Ordinal)) await screen.WaitAsync("~ # ", patience.Token);
            }
            var shown = "";
            for (var moment = 0; moment < 20 && !shown.Contains("wrong: 0.", StringComparison.Ordinal); moment++)
            {
                await Task.Delay(random.Next(20, 700), patience.Token);
                await machine.PauseAsync(patience.Token);
                var place = Path.Combine(_folder, $"saved-{moment}");
                await machine.SaveAsync(place, patience.Token);
                shown += machine.Serial.Text;
                await machine.DisposeAsync();
                Assert.Equal(MachineEnd.Stopped, (await run).End);
                machine = Machine.Restore(place);
                run = machine.RunAsync(patience.Token);
            }
            await new SerialScreen(machine, shown).WaitAsync("transfers: 40, wrong: 0.", patience.Token);
        }
        finally
        {
            await machine.DisposeAsync();
        }
    }

    private async Task TransferAsync(LinuxGuest guest)
    {
        Assert.StartsWith(Sum, await guest.DoAsync($"wget -q -O - http://{Gateway}:{_servers.HttpPort}/file | sha256sum"), StringComparison.Ordinal);
        await guest.DoAsync("dd if=/dev/urandom bs=1M count=4 2>/dev/null | base64 > /tmp/upload");
        var answer = await guest.DoAsync($"wget -q -O - --post-file=/tmp/upload http://{Gateway}:{_servers.HttpPort}/sum");
        Assert.StartsWith(answer, await guest.DoAsync("sha256sum < /tmp/upload; rm /tmp/upload"), StringComparison.Ordinal);
    }
}
