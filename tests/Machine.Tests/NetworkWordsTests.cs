// Networks and published ports in words: what is meant, and what is said of words that mean nothing.
using System.Net;
using Lamina.Backends.Net.Switch;
using Lamina.Backends.Net.User;
using Lamina.Networks;
using Xunit;

namespace Lamina.Tests.Machines;

public class NetworkWordsTests
{
    private static UserNetOptions User(string text) => Assert.IsType<NetworkTarget.User>(NetworkWords.Parse(text)!.Target).Options;

    [Fact]
    public void A_plain_word_is_the_usual_network()
    {
        var card = NetworkWords.Parse("user")!;

        Assert.Equal((null, 1), (card.Mac, card.Queues));
        Assert.Equal(new UserNetOptions(), User("user"));
        Assert.Null(NetworkWords.Parse("none"));
    }

    [Fact]
    public void Options_follow_with_commas()
    {
        var card = NetworkWords.Parse("user,mac=02:00:00:00:00:AB,queues=2,mtu=9000,ipv6=off,hostname=box,subnet=192.168.7.0/24")!;
        var options = User("user,mac=02:00:00:00:00:AB,queues=2,mtu=9000,ipv6=off,hostname=box,subnet=192.168.7.0/24");

        Assert.Equal(("02:00:00:00:00:ab", 2), (card.Mac, card.Queues));
        Assert.Equal((9000, null, "box", "192.168.7.0/24"), (options.Mtu, options.Network6, options.HostName, options.Network4.ToString()));
    }

    [Fact]
    public void What_a_guest_may_reach_is_listed()
    {
        Assert.Null(User("user").HostPorts);
        Assert.Empty(User("user,host").HostPorts!);
        Assert.Equal([80, 443], User("user,host=80,host=443").HostPorts!);
        Assert.Null(User("user").Allowed);
        Assert.Empty(User("user,isolated").Allowed!);
        Assert.Equal(
            [new(IPNetwork.Parse("192.0.2.0/24"), 443), new(IPNetwork.Parse("198.51.100.7/32")), new(IPNetwork.Parse("2001:db8::/32")), new(IPNetwork.Parse("2001:db8::1/128"), 22), new(IPNetwork.Parse("10.0.0.0/8"))],
            User("user,allow=192.0.2.0/24:443,allow=198.51.100.7,allow=2001:db8::/32,allow=[2001:db8::1]:22,allow=10.9.8.7/8").Allowed!);
        Assert.Equal(["192.0.2.53:53", "192.0.2.54:5353", "[2001:db8::53]:53"], User("user,dns=192.0.2.53,dns=192.0.2.54:5353,dns=2001:db8::53").DnsServers.Select(server => server.ToString()));
        Assert.False(User("user,dns=off").Dns);
    }

    [Fact]
    public void Other_networks_have_words_of_their_own()
    {
        Assert.Equal(new NetworkTarget.Tap(), NetworkWords.Parse("tap")!.Target);
        Assert.Equal(new NetworkTarget.Tap("tap0", "br0"), NetworkWords.Parse("tap=tap0,bridge=br0,mac=02:00:00:00:00:01")!.Target);
        Assert.Equal(new NetworkTarget.Switch("/run/lan", VlanMembership.Untagged), NetworkWords.Parse("switch=/run/lan")!.Target);
        Assert.Equal(new NetworkTarget.Switch("/run/lan", new VlanMembership(7), 9000), NetworkWords.Parse("switch=/run/lan,vlan=7,mtu=9000")!.Target);
        Assert.Equal(new NetworkTarget.Switch("lan", VlanMembership.Trunk), NetworkWords.Parse("switch=lan,vlan=trunk")!.Target);
        Assert.Equal(new NetworkTarget.Socket("/run/passt.socket", 65520), NetworkWords.Parse("socket=/run/passt.socket,mtu=65520")!.Target);
    }

    [Theory]
    [InlineData("tap=", "is no network")]
    [InlineData("tap,host", "has no option \"host\"")]
    [InlineData("switch", "is no network")]
    [InlineData("switch=", "is no network")]
    [InlineData("switch=lan,vlan=0", "use 1 to 4094")]
    [InlineData("switch=lan,vlan=4095", "use 1 to 4094")]
    [InlineData("switch=lan,bridge=br0", "has no option")]
    [InlineData("socket=passt,vlan=1", "has no option")]
    [InlineData("", "is no network")]
    [InlineData("users", "is no network")]
    [InlineData("user=1", "is no network")]
    [InlineData("none,mac=02:00:00:00:00:01", "is no network")]
    [InlineData("user,", "has no option")]
    [InlineData("user,speed=1", "has no option \"speed=1\"")]
    [InlineData("user,isolated=yes", "has no option")]
    [InlineData("user,mac", "needs a value")]
    [InlineData("user,mac=1", "is no network card's address")]
    [InlineData("user,mac=02:00:00:00:00", "is no network card's address")]
    [InlineData("user,mac=02:00:00:00:00:zz", "is no network card's address")]
    [InlineData("user,mac=01:00:00:00:00:01", "first byte must be even")]
    [InlineData("user,mac=00:00:00:00:00:00", "cannot be")]
    [InlineData("user,queues=many", "is no number")]
    [InlineData("user,mtu=-5", "is no number")]
    [InlineData("user,ipv6=perhaps", "use on or off")]
    [InlineData("user,hostname=a b", "a host name has")]
    [InlineData("user,subnet=10.0.2.1", "write a network as")]
    [InlineData("user,subnet=fd00::/64", "write a network as")]
    [InlineData("user,host=0", "is no port")]
    [InlineData("user,host=65536", "is no port")]
    [InlineData("user,allow=", "needs a value")]
    [InlineData("user,allow=example.org", "is no destination")]
    [InlineData("user,allow=192.0.2.0/33", "is no destination")]
    [InlineData("user,allow=192.0.2.1:99999", "is no destination")]
    [InlineData("user,allow=1.2", "is no destination")]
    [InlineData("user,dns=server", "is no name server")]
    public void Words_that_mean_nothing_are_told_apart(string text, string sentence) =>
        Assert.Contains(sentence, Assert.Throws<MachineException>(() => NetworkWords.Parse(text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("8080:80", "127.0.0.1:8080", 80, false)]
    [InlineData("0.0.0.0:2222:22", "0.0.0.0:2222", 22, false)]
    [InlineData("[::1]:5353:53/udp", "[::1]:5353", 53, true)]
    [InlineData("0:80/tcp", "127.0.0.1:0", 80, false)]
    public void A_published_port_is_an_address_and_two_ports(string text, string host, int guest, bool udp) =>
        Assert.Equal(new PublishedPort(IPEndPoint.Parse(host), guest, udp), NetworkWords.ParsePublished(text));

    [Theory]
    [InlineData("")]
    [InlineData("80")]
    [InlineData(":80")]
    [InlineData("80:")]
    [InlineData("80:0")]
    [InlineData("80:65536")]
    [InlineData("host:80:80")]
    [InlineData("80:80/sctp")]
    [InlineData("80:80/")]
    [InlineData("::1:80:80:")]
    [InlineData("127.1:80:80")]
    public void A_published_port_that_is_none_is_refused(string text) =>
        Assert.Contains("is no published port", Assert.Throws<MachineException>(() => NetworkWords.ParsePublished(text)).Message, StringComparison.Ordinal);
}
