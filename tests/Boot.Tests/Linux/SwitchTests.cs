// Two guests on one switch reach one another, also over a VLAN; and a guest on another VLAN does not reach them.
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class SwitchTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lamina-");

    public void Dispose() => _folder.Delete(recursive: true);

    private async Task<LinuxGuest> BootAsync(string address, params int[] vlans)
    {
        var image = await TinyImage.GetAsync();
        var guest = await LinuxGuest.BootAsync(new MachineDefinition
        {
            Boot = new BootSource { KernelPath = image.KernelPath, InitrdPath = image.InitrdPath, CommandLine = image.CommandLine },
            MemoryBytes = 128 << 20,
            Devices = [.. vlans.Select(vlan => new NetworkDevice { Link = new NetworkLink.Switch(Path.Combine(_folder.FullName, "lan")) { Vlan = vlan } })],
        });
        for (var card = 0; card < vlans.Length; card++) await guest.DoAsync($"ip link set eth{card} up; ip address add 192.168.{card}.{address}/24 dev eth{card}");
        return guest;
    }

    [Fact]
    public async Task Guests_on_one_switch_reach_one_another_within_their_VLAN()
    {
        await using var first = await BootAsync("1", 0, 5);
        await using var second = await BootAsync("2", 0, 6);

        Assert.Contains("2 packets received", await second.DoAsync("ping -c 2 -i 0.2 192.168.0.1"), StringComparison.Ordinal);
        var sum = await first.DoAsync("mkdir -p /tmp/www; dd if=/dev/urandom of=/tmp/www/file bs=1M count=4 2>/dev/null; httpd -p 80 -h /tmp/www; sha256sum < /tmp/www/file");
        Assert.Equal(sum, await second.DoAsync("wget -q -O /tmp/file http://192.168.0.1/file; sha256sum < /tmp/file"));
        Assert.NotEqual(0, (await second.AskAsync("ping -c 1 -W 1 192.168.1.1")).ExitCode);
    }
}
