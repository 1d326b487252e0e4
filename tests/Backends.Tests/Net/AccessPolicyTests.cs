// Where a guest may go, and where never.
using System.Net;
using Lamina.Backends.Net.User;
using Lamina.Backends.Net.Wire;
using Xunit;

namespace Lamina.Tests.Backends.Net;

public class AccessPolicyTests
{
    private static Route Find(UserNetOptions options, string destination, int? port = 80)
    {
        var servers = new NameServers(options.DnsServers, () => 0);
        return new AccessPolicy(options, new Addresses(options), servers).Find(UserLab.Ip(destination), port);
    }

    [Theory]
    [InlineData("192.0.2.1")]
    [InlineData("8.8.8.8")]
    [InlineData("10.0.3.1")]
    [InlineData("2001:db8::1")]
    public void The_outside_is_open(string destination) => Assert.Equal(new IPEndPoint(IPAddress.Parse(destination), 80), Find(new UserNetOptions(), destination).Host);

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("127.255.0.1")]
    [InlineData("0.0.0.0")]
    [InlineData("0.1.2.3")]
    [InlineData("::1")]
    [InlineData("::")]
    [InlineData("::127.0.0.1")]
    [InlineData("224.0.0.1")]
    [InlineData("255.255.255.255")]
    [InlineData("ff02::1")]
    [InlineData("169.254.169.254")]
    [InlineData("fe80::1")]
    [InlineData("10.0.2.2")]
    [InlineData("fd6c:616d:696e:6100::2")]
    [InlineData("10.0.2.3")]
    [InlineData("10.0.2.77")]
    [InlineData("fd6c:616d:696e:6100::77")]
    public void This_host_its_link_and_groups_are_closed(string destination)
    {
        Assert.Null(Find(new UserNetOptions(), destination).Host);
        // No list opens them, except for the link's own addresses.
        if (destination.StartsWith("169.254", StringComparison.Ordinal) || destination.StartsWith("fe80", StringComparison.Ordinal)) return;
        Assert.Null(Find(new UserNetOptions { Allowed = [new(IPNetwork.Parse("0.0.0.0/0")), new(IPNetwork.Parse("::/0"))] }, destination).Host);
    }

    /// <summary>Where clouds have what they trust the host with, and ways there by translators and tunnels.</summary>
    [Theory]
    [InlineData("169.254.169.254")]
    [InlineData("168.63.129.16")]
    [InlineData("100.100.100.200")]
    [InlineData("192.0.0.192")]
    [InlineData("fd00:ec2::254")]
    [InlineData("fd00:ec2::123")]
    [InlineData("fd20:ce::254")]
    [InlineData("64:ff9b::169.254.169.254")]
    [InlineData("64:ff9b::168.63.129.16")]
    [InlineData("64:ff9b::127.0.0.1")]
    [InlineData("64:ff9b:1::808:808")]
    [InlineData("2002:a9fe:a9fe::1")]
    [InlineData("::ffff:169.254.169.254")]
    public void Instance_data_of_clouds_are_closed_unless_they_are_listed(string destination)
    {
        Assert.Null(Find(new UserNetOptions(), destination).Host);

        // An address of this host's is none of another's, whatever way leads there.
        var isLoopback = destination.EndsWith("127.0.0.1", StringComparison.Ordinal);
        var address = IPAddress.Parse(destination);
        if (!isLoopback && !address.IsIPv4MappedToIPv6)
            Assert.NotNull(Find(new UserNetOptions { Allowed = [new(new IPNetwork(address, address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork ? 32 : 128))] }, destination).Host);
    }

    [Theory]
    [InlineData("168.63.129.15")]
    [InlineData("100.100.100.201")]
    [InlineData("fd00:ec3::254")]
    [InlineData("64:ff9b::8.8.8.8")]
    [InlineData("2002:808:808::1")]
    public void What_lies_beside_them_is_open(string destination) => Assert.NotNull(Find(new UserNetOptions(), destination).Host);

    [Fact]
    public void The_hosts_loopback_is_the_gateway_where_it_was_asked_for()
    {
        var all = new UserNetOptions { HostPorts = [] };
        var one = new UserNetOptions { HostPorts = [8080] };

        Assert.Equal(new IPEndPoint(IPAddress.Loopback, 22), Find(all, "10.0.2.2", 22).Host);
        Assert.Equal(new IPEndPoint(IPAddress.IPv6Loopback, 22), Find(all, "fd6c:616d:696e:6100::2", 22).Host);
        Assert.Equal(new IPEndPoint(IPAddress.Loopback, 8080), Find(one, "10.0.2.2", 8080).Host);
        Assert.Null(Find(one, "10.0.2.2", 22).Host);
        Assert.Null(Find(all, "127.0.0.1", 22).Host);
    }

    [Fact]
    public void A_list_closes_everything_else_names_included()
    {
        var options = new UserNetOptions { Allowed = [new(IPNetwork.Parse("192.0.2.0/24"), 443), new(IPNetwork.Parse("169.254.169.254/32")), new(IPNetwork.Parse("2001:db8::/32"))] };

        Assert.NotNull(Find(options, "192.0.2.9", 443).Host);
        Assert.Null(Find(options, "192.0.2.9", 80).Host);
        Assert.Null(Find(options, "192.0.2.9", null).Host);
        Assert.NotNull(Find(options, "169.254.169.254", 80).Host);
        Assert.NotNull(Find(options, "2001:db8::5", null).Host);
        Assert.Null(Find(options, "198.51.100.1").Host);
        Assert.Null(Find(options, "10.0.2.3", 53).Host);
        Assert.NotNull(Find(options with { Dns = true }, "10.0.2.3", 53).Host);
    }

    [Fact]
    public void Names_are_forwarded_unless_switched_off()
    {
        var server = new IPEndPoint(IPAddress.Parse("192.0.2.53"), 5353);
        var options = new UserNetOptions { DnsServers = [server] };

        Assert.Equal(server, Find(options, "10.0.2.3", 53).Host);
        Assert.Equal(server, Find(options, "fd6c:616d:696e:6100::3", 53).Host);
        Assert.Null(Find(options, "10.0.2.3", 80).Host);
        Assert.Null(Find(options with { Dns = false }, "10.0.2.3", 53).Host);
    }

    [Fact]
    public void An_address_of_the_link_that_nobody_has_is_unreachable_rather_than_forbidden()
    {
        Assert.Equal(Unreachable.Host, Find(new UserNetOptions(), "10.0.2.77").Reason);
        Assert.Equal(Unreachable.Prohibited, Find(new UserNetOptions(), "127.0.0.1").Reason);
    }

    [Fact]
    public void A_refusal_is_plain_to_the_guest()
    {
        using var lab = new UserLab(new UserNetOptions { Allowed = [] });

        new TcpGuest(lab, UserLab.Ip("192.0.2.1"), 80).SendSyn();
        lab.SendUdp(UserLab.Guest, 1, UserLab.Ip("192.0.2.1"), 2, [3]);
        lab.SendIp(UserLab.Guest, UserLab.Ip("192.0.2.1"), IpProtocol.Icmp4, [8, 0, 0, 0, 0, 1, 0, 1], 2);

        Assert.True(TcpGuest.Read(lab.Card.Frames[0]).Has(Tcp.Rst));
        Assert.Equal([(3, 13), (3, 13)], lab.Card.Frames.Skip(1).Select(frame => ((int)frame.Payload[0], (int)frame.Payload[1])));
    }
}
