// Devices in the words in which people give them: what is meant, and what is said of words that mean nothing.
using System.Net;
using Lamina.Definition;
using Xunit;

namespace Lamina.Tests.Definition;

public sealed class WordsTests
{
    private static NetworkLink.User User(string text) => Assert.IsType<NetworkLink.User>(NetworkDevice.Parse(text)!.Link);

    [Fact]
    public void A_path_alone_is_a_disk_that_is_written_and_durable_when_flushed()
    {
        var disk = DiskDevice.Parse("disk.qcow2");

        Assert.Equal(new DiskDevice { Path = "disk.qcow2" }, disk);
        Assert.Equal((null, false, CacheMode.WriteBack, true, null), (disk.Format, disk.ReadOnly, disk.Cache, disk.Discard, disk.Queues));
    }

    [Fact]
    public void Every_option_of_a_disk_is_understood()
    {
        var disk = DiskDevice.Parse("a,,b.img,name=root,ro,format=raw,serial=x=1,cache=writethrough,direct,aio=io_uring,queues=4,block-size=4096,discard=off,on-full=pause,temporary,backing=c,,d,backing=e,backing=any");

        Assert.Equal(("a,b.img", "root", ImageFormat.Raw, true, CacheMode.WriteThrough, false, 4), (disk.Path, disk.Name, disk.Format, disk.ReadOnly, disk.Cache, disk.Discard, disk.Queues));
        Assert.Equal(("x=1", true, true, true, FullMode.Pause), (disk.Serial, disk.Direct, disk.Temporary, disk.TrustsBacking, disk.OnFull));
        Assert.Equal(["c,d", "e", "any"], disk.Backing);
        Assert.Equal((AioMode.IoUring, 4096), (disk.Aio, disk.BlockSize));
    }

    [Theory]
    [InlineData("", "needs the path")]
    [InlineData(",ro", "needs the path")]
    [InlineData("disk,", "a disk has no option \"\"")]
    [InlineData("disk,ro=1", "a disk has no option \"ro=1\"; there are name=NAME, path=PATH, bus=virtio|ide|sata|nvme, ro, format=raw|qcow2")]
    [InlineData("disk,format=vhd", "format: there is no 'vhd'; there are raw and qcow2")]
    [InlineData("disk,format", "format needs a value")]
    [InlineData("disk,queues=many", "queues: 'many' is not possible; use a number from 1 to 16")]
    [InlineData("disk,queues=17", "use a number from 1 to 16")]
    [InlineData("disk,block-size=1024", "block-size: '1024' is not possible; use 512 or 4096")]
    [InlineData("disk,block-size=4K", "block-size: '4K' is not possible; use 512 or 4096")]
    [InlineData("disk,aio=native", "there are auto, io_uring and threads")]
    [InlineData("disk,on-full=stop", "there are error and pause")]
    [InlineData("disk,discard=perhaps", "use on or off")]
    [InlineData("disk,serial=", "serial needs a value")]
    [InlineData("disk,serial=123456789012345678901", "longer than 20 bytes")]
    [InlineData("disk,backing=", "backing needs a value")]
    [InlineData("disk,name=A", "'A' cannot be a device's name")]
    public void What_is_no_disk_is_refused_in_a_sentence(string text, string sentence) =>
        Assert.Contains(sentence, Assert.Throws<MachineException>(() => DiskDevice.Parse(text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("/srv/data:data", "/srv/data", "data", false, false)]
    [InlineData("/srv/data:data:ro", "/srv/data", "data", true, false)]
    [InlineData("/srv/data:data:xattr", "/srv/data", "data", false, true)]
    [InlineData("/srv/data:data:xattr,ro", "/srv/data", "data", true, true)]
    [InlineData("/srv/data:data:other", "/srv/data:data", "other", false, false)]
    [InlineData("a:b:c", "a:b", "c", false, false)]
    [InlineData("/srv/a:b,tag=c,ro", "/srv/a:b", "c", true, false)]
    [InlineData("/srv/a:b,tag=c,xattr", "/srv/a:b", "c", false, true)]
    public void A_shared_folder_is_a_path_and_a_tag(string text, string path, string tag, bool readOnly, bool attributes) =>
        Assert.Equal(new ShareDevice { Path = path, Tag = tag, ReadOnly = readOnly, ExtendedAttributes = attributes }, ShareDevice.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData("folder")]
    [InlineData("folder:")]
    [InlineData(":tag")]
    [InlineData("ro")]
    [InlineData(":ro,xattr")]
    [InlineData("folder:ro")] // a folder that is called so for reading only, without a tag
    [InlineData("folder:1234567890123456789012345678901234567")]
    public void What_is_no_shared_folder_is_refused(string text) => Assert.Throws<MachineException>(() => ShareDevice.Parse(text));

    [Theory]
    [InlineData("3", "\"3\" is no socket device")]
    [InlineData("x,path=/tmp/s", "\"x\" is no socket device's address")]
    [InlineData("2,path=/tmp/s", "3 to 4294967294, not 2")]
    [InlineData("4294967295,path=/tmp/s", "not 4294967295")]
    public void What_is_no_socket_device_is_refused(string text, string sentence) =>
        Assert.Contains(sentence, Assert.Throws<MachineException>(() => VsockDevice.Parse(text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("stdio", typeof(ConsoleTarget.Stdio))]
    [InlineData("null", typeof(ConsoleTarget.Null))]
    [InlineData("memory", typeof(ConsoleTarget.Memory))]
    [InlineData("file:/tmp/a:b", typeof(ConsoleTarget.File))]
    [InlineData("unix=x", typeof(ConsoleTarget.Unix))]
    public void A_serial_target_is_read_from_text(string text, Type type) => Assert.IsType(type, ConsoleTarget.Parse(text));

    [Theory]
    [InlineData("stdio,when-full=drop,at-end=eot")]
    [InlineData("file:/tmp/a,,b,when-full=drop")]
    [InlineData("null")]
    public void A_serial_port_with_options_is_read_and_written_alike(string text) => Assert.Equal(text, Words.Write(SerialDevice.Shape, "to", SerialDevice.Parse(text)));

    [Theory]
    [InlineData("")]
    [InlineData("file:")]
    [InlineData("nowhere")]
    [InlineData(",when-full=drop")]
    public void What_is_no_serial_port_is_refused_with_what_there_is(string text) =>
        Assert.Contains("use stdio, null, file:PATH or unix:PATH", Assert.Throws<MachineException>(() => SerialDevice.Parse(text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("null,when-full=drop")]
    [InlineData("unix:x,at-end=eot")]
    [InlineData("stdio,at-end=never")]
    public void A_serial_port_has_no_option_that_means_nothing_there(string text) => Assert.Throws<MachineException>(() => SerialDevice.Parse(text));

    [Fact]
    public void A_path_with_a_colon_stays_whole() => Assert.Equal(new ConsoleTarget.File("/tmp/a:b"), ConsoleTarget.Parse("file:/tmp/a:b"));

    [Theory]
    [InlineData("")]
    [InlineData("file")]
    [InlineData("file:")]
    [InlineData("stdio:")]
    [InlineData("tcp:1")]
    public void Any_other_text_is_refused_with_the_choices(string text) =>
        Assert.Contains("unix:PATH", Assert.Throws<MachineException>(() => ConsoleTarget.Parse(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_plain_word_is_the_usual_network()
    {
        Assert.Equal(new NetworkDevice(), NetworkDevice.Parse("user"));
        Assert.Null(NetworkDevice.Parse("none"));
    }

    [Fact]
    public void Options_follow_with_commas()
    {
        var card = NetworkDevice.Parse("user,mac=02:00:00:00:00:AB,queues=2,mtu=9000,ipv6=off,hostname=box,subnet=192.168.7.0/24,publish=8080:80,publish=53:53/udp")!;
        var user = Assert.IsType<NetworkLink.User>(card.Link);

        Assert.Equal(("02:00:00:00:00:ab", 2), (card.Mac, card.Queues));
        Assert.Equal((9000, false, "box", "192.168.7.0/24"), (user.Mtu, user.Ipv6, user.HostName, user.Subnet.ToString()));
        Assert.Equal(["127.0.0.1:8080:80", "127.0.0.1:53:53/udp"], user.Published.Select(port => port.ToString()));
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
        Assert.Equal(new NetworkLink.Tap(), NetworkDevice.Parse("tap")!.Link);
        Assert.Equal(new NetworkLink.Tap("tap0", "br0"), NetworkDevice.Parse("tap=tap0,bridge=br0,mac=02:00:00:00:00:01")!.Link);
        Assert.Equal(new NetworkLink.Switch("/run/lan"), NetworkDevice.Parse("switch=/run/lan")!.Link);
        Assert.Equal(new NetworkLink.Switch("/run/l,an") { Vlan = 7, Mtu = 9000 }, NetworkDevice.Parse("switch=/run/l,,an,vlan=7,mtu=9000")!.Link);
        Assert.Equal(new NetworkLink.Switch("lan") { Vlan = NetworkLink.Switch.Trunk }, NetworkDevice.Parse("switch,path=lan,vlan=trunk")!.Link);
        Assert.Equal(new NetworkLink.Socket("/run/passt.socket") { Mtu = 65520 }, NetworkDevice.Parse("socket=/run/passt.socket,mtu=65520")!.Link);
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
    [InlineData("user,speed=1", "has no option \"speed=1\"; there are name=NAME")]
    [InlineData("user,isolated=yes", "has no option")]
    [InlineData("user,mac", "needs a value")]
    [InlineData("user,model=rtl8139", "there is no 'rtl8139'")]
    [InlineData("user,boot=", "boot")]
    [InlineData("user,boot=a b", "without spaces")]
    [InlineData("tap,boot=x", "boot")]
    [InlineData("user,mac=1", "is no network card's address")]
    [InlineData("user,mac=02:00:00:00:00", "is no network card's address")]
    [InlineData("user,mac=02:00:00:00:00:zz", "is no network card's address")]
    [InlineData("user,mac=01:00:00:00:00:01", "first byte must be even")]
    [InlineData("user,mac=00:00:00:00:00:00", "cannot be")]
    [InlineData("user,queues=many", "use a number from 1 to 8")]
    [InlineData("user,mtu=-5", "use a number from 1280 to 65520")]
    [InlineData("user,ipv6=perhaps", "use on or off")]
    [InlineData("user,hostname=a b", "a host name has")]
    [InlineData("user,subnet=10.0.2.1", "write a network as")]
    [InlineData("user,subnet=fd00::/64", "write a network as")]
    [InlineData("user,subnet=10.0.2.0/30", "of a length from 8 to 27")]
    [InlineData("user,host=0", "is no port")]
    [InlineData("user,host=65536", "is no port")]
    [InlineData("user,allow=", "needs a value")]
    [InlineData("user,allow=example.org", "is no destination")]
    [InlineData("user,allow=192.0.2.0/33", "is no destination")]
    [InlineData("user,allow=192.0.2.1:99999", "is no destination")]
    [InlineData("user,allow=1.2", "is no destination")]
    [InlineData("user,dns=server", "is no name server")]
    [InlineData("user,publish=80", "is no published port")]
    public void Words_that_mean_nothing_are_told_apart(string text, string sentence) =>
        Assert.Contains(sentence, Assert.Throws<MachineException>(() => NetworkDevice.Parse(text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("8080:80", "127.0.0.1:8080", 80, false)]
    [InlineData("0.0.0.0:2222:22", "0.0.0.0:2222", 22, false)]
    [InlineData("[::1]:5353:53/udp", "[::1]:5353", 53, true)]
    [InlineData("0:80/tcp", "127.0.0.1:0", 80, false)]
    public void A_published_port_is_an_address_and_two_ports(string text, string host, int guest, bool udp)
    {
        Assert.Equal(new PublishedPort(IPEndPoint.Parse(host), guest, udp), PublishedPort.Parse(text));
        Assert.Equal(PublishedPort.Parse(text), PublishedPort.Parse(PublishedPort.Parse(text).ToString()));
    }

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
        Assert.Contains("is no published port", Assert.Throws<MachineException>(() => PublishedPort.Parse(text)).Message, StringComparison.Ordinal);
}
