// Debian's kernel on a user-mode network: the address comes by DHCP, names are resolved, and bytes go both ways, out to a
// server of the test's and in through a published port.
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

/// <summary>A guest on a network, and the servers that it finds there.</summary>
public sealed class NetworkedGuest : IAsyncDisposable
{
    private LinuxGuest? _guest;

    internal TestServers Servers { get; } = new();

    /// <summary>The host's port that leads to one of the guest's.</summary>
    internal int PublishedPort(int guestPort) => _guest!.Machine.Published.Single(port => port.GuestPort == guestPort).Host.Port;

    internal async Task<LinuxGuest> GetAsync()
    {
        if (_guest is not null) return _guest;
        var image = await TinyImage.GetAsync();
        _guest = await LinuxGuest.BootAsync(new MachineDefinition
        {
            Boot = new BootSource { KernelPath = image.KernelPath, InitrdPath = image.InitrdPath, CommandLine = image.CommandLine },
            Devices = [NetworkDevice.Parse($"user,host={Servers.HttpPort},dns={Servers.Dns},publish=0:80,publish=0:7")!],
        });
        // The address comes in the background of the start.
        await _guest.DoAsync("until ip -4 address show dev eth0 | grep -q inet; do sleep 0.1; done");
        return _guest;
    }

    public async ValueTask DisposeAsync()
    {
        if (_guest is not null) await _guest.DisposeAsync();
        Servers.Dispose();
    }
}

public sealed class NetworkTests(NetworkedGuest network) : IClassFixture<NetworkedGuest>
{
    private const string Gateway = "10.0.2.2", Gateway6 = "fd6c:616d:696e:6100::2";

    private static string Sum(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    [Fact]
    public async Task The_address_comes_by_DHCP()
    {
        var guest = await network.GetAsync();

        Assert.Contains("inet 10.0.2.15/24 ", await guest.DoAsync("ip -4 address show dev eth0"), StringComparison.Ordinal);
        Assert.Contains($"default via {Gateway} dev eth0", await guest.DoAsync("ip route"), StringComparison.Ordinal);
        Assert.Equal("nameserver 10.0.2.3\n", await guest.DoAsync("cat /etc/resolv.conf"));
        Assert.Equal("02:4c:41:00:00:01\n", await guest.DoAsync("cat /sys/class/net/eth0/address"));
        Assert.Equal("1500\n", await guest.DoAsync("cat /sys/class/net/eth0/mtu"));
        Assert.Equal("1\n", await guest.DoAsync("cat /sys/class/net/eth0/carrier"));
    }

    [Fact]
    public async Task The_guest_makes_itself_an_IPv6_address()
    {
        var guest = await network.GetAsync();

        await guest.DoAsync("until ip -6 address show dev eth0 scope global | grep -q 'inet6 fd6c:616d:696e:6100:4c:41ff:fe00:1/64'; do sleep 0.1; done");

        Assert.Contains("2 packets received", await guest.DoAsync($"ping -c 2 -i 0.2 {Gateway6}"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_gateway_answers()
    {
        var guest = await network.GetAsync();

        Assert.Contains("3 packets received", await guest.DoAsync($"ping -c 3 -i 0.2 {Gateway}"), StringComparison.Ordinal);
        Assert.Contains("1 packets received", await guest.DoAsync($"ping -c 1 -s 4000 {Gateway}"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Names_are_resolved()
    {
        var guest = await network.GetAsync();

        Assert.Contains("192.0.2.77", await guest.DoAsync("nslookup -type=a lamina.test"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_is_fetched_by_name_and_arrives_whole()
    {
        var guest = await network.GetAsync();

        Assert.StartsWith(Sum(network.Servers.File), await guest.DoAsync($"wget -q -O - http://host.test:{network.Servers.HttpPort}/file | sha256sum"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_is_sent_and_arrives_whole()
    {
        var guest = await network.GetAsync();

        await guest.DoAsync("dd if=/dev/urandom bs=1M count=4 2>/dev/null | base64 > /tmp/upload");
        var answer = await guest.DoAsync($"wget -q -O - --post-file=/tmp/upload http://{Gateway}:{network.Servers.HttpPort}/sum");

        Assert.StartsWith(answer, await guest.DoAsync("sha256sum < /tmp/upload; rm /tmp/upload"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_hosts_other_ports_are_closed()
    {
        var guest = await network.GetAsync();

        var closed = await guest.AskAsync($"nc -w 5 {Gateway} {network.Servers.ClosedPort} </dev/null");
        var loopback = await guest.AskAsync("ip route get 127.0.0.2 | grep -q eth0");

        Assert.NotEqual(0, closed.ExitCode);
        Assert.NotEqual(0, loopback.ExitCode);
        Assert.False(network.Servers.ClosedPortWasReached);
    }

    [Fact]
    public async Task A_published_port_reaches_the_guest()
    {
        var guest = await network.GetAsync();
        var sum = await guest.DoAsync("mkdir -p /tmp/www; dd if=/dev/urandom of=/tmp/www/file bs=1M count=1 2>/dev/null; httpd -p 80 -h /tmp/www; sha256sum < /tmp/www/file");
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(60) };

        var fetches = Enumerable.Range(0, 8).Select(_ => client.GetByteArrayAsync(new Uri($"http://127.0.0.1:{network.PublishedPort(80)}/file"), TestContext.Current.CancellationToken));
        var answers = await Task.WhenAll(fetches);

        Assert.All(answers, answer => Assert.StartsWith(Sum(answer), sum, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Five_hundred_connections_come_in_at_once()
    {
        const int connections = 500;
        var guest = await network.GetAsync();
        // Each l makes the line of those that nc has not accepted yet longer by one.
        await guest.DoAsync($"(nc -{new string('l', connections)} -p 7 -e cat </dev/null >/dev/null 2>&1 &); until netstat -tln | grep -q ':7 '; do sleep 0.1; done");
        var clients = new List<TcpClient>();
        try
        {
            clients.AddRange(Enumerable.Range(0, connections).Select(_ => new TcpClient()));
            await Task.WhenAll(clients.Select(client => client.ConnectAsync(IPAddress.Loopback, network.PublishedPort(7), TestContext.Current.CancellationToken).AsTask()));

            await Task.WhenAll(clients.Select(EchoAsync));
            Assert.Equal($"{connections}\n", await guest.DoAsync("pidof cat | wc -w"));
        }
        finally
        {
            foreach (var client in clients) client.Dispose();
        }
        await guest.DoAsync("while pidof cat >/dev/null; do sleep 0.1; done; killall nc");

        static async Task EchoAsync(TcpClient client, int number)
        {
            var sent = RandomNumberGenerator.GetBytes(1000 + number);
            var received = new byte[sent.Length];
            await client.GetStream().WriteAsync(sent, TestContext.Current.CancellationToken);
            await client.GetStream().ReadExactlyAsync(received, TestContext.Current.CancellationToken);
            Assert.Equal(sent, received);
        }
    }

    [Fact]
    public async Task Checksums_and_segmentation_are_left_to_the_card()
    {
        var guest = await network.GetAsync();

        // VIRTIO_NET_F_CSUM, GUEST_CSUM, GUEST_TSO4, HOST_TSO4, MRG_RXBUF, CTRL_VQ: characters of the bit string, in order.
        var features = (await guest.DoAsync("cat /sys/class/net/eth0/device/features")).Trim();

        Assert.All((int[])[0, 1, 3, 5, 7, 8, 11, 12, 15, 16, 17, 18], bit => Assert.True(features[bit] == '1', $"bit {bit} of {features}"));
    }
}
