// Of a machine that comes nothing reaches the host but what whoever takes it in named, whatever whoever sends it says.
using System.Text;
using Lamina.Hypervisor.Carrying;
using Xunit;

namespace Lamina.Tests.Hypervisor.Carrying;

public sealed class ArrivalPlacesTests
{
    // With everything that a device can have of its host; each path, name and address of that is a secret of the receiver's.
    private static readonly DeviceDefinition[] Hostile =
    [
        new DiskDevice { Name = "written", Path = "/secret/a", Format = ImageFormat.Raw, Direct = true, Aio = AioMode.IoUring, Backing = ["/secret/b", DiskDevice.AnyBacking], Size = 1 << 20 },
        new DiskDevice { Name = "read", Path = "/secret/c", ReadOnly = true, Format = ImageFormat.Raw, Backing = ["/secret/d"] },
        new DiskDevice { Name = "remote", Path = "nbds://secret/x", Tls = "/secret/e", Reconnect = TimeSpan.FromSeconds(1) },
        new CdromDevice { Name = "cd", Path = "/secret/f" },
        new FloppyDevice { Name = "floppy", Path = "/secret/g" },
        new ShareDevice { Name = "share", Path = "/secret/h", Tag = "data" },
        new NetworkDevice { Name = "switched", Link = new NetworkLink.Switch("/secret/i") { Vlan = NetworkLink.Switch.Trunk, Mtu = 9000 } },
        new NetworkDevice { Name = "tapped", Link = new NetworkLink.Tap("secret0", "secret1") },
        new NetworkDevice { Name = "socket", Link = new NetworkLink.Socket("/secret/j") },
        new NetworkDevice { Name = "own", Link = new NetworkLink.User { HostPorts = [4711], DnsServers = [new(new System.Net.IPAddress([127, 0, 0, 1]), 4711)], Allowed = [new(System.Net.IPNetwork.Parse("169.254.0.0/16"))], Mtu = 1400 } },
        new SerialDevice { Name = "serial", To = new ConsoleTarget.File("/secret/k") },
        new ConsoleDevice { Name = "console", To = new ConsoleTarget.Unix("/secret/l") },
        new ChannelDevice { Name = "channel", Port = "port", Path = "/secret/m" },
        new VsockDevice { Name = "vsock", Path = "/secret/n" },
    ];

    private static readonly string[] Named =
    [
        "written,path=/srv/a", "read,path=/srv/c", "remote,path=nbd://here/x", "cd,path=/srv/f", "floppy,path=/srv/g", "share,path=/srv/h,ro", "switched,path=/srv/i", "tapped,interface=tap7", "socket,link=tap=tap8", "own,dns=on", "serial,to=stdio", "console,to=null", "channel,path=/srv/m", "vsock,path=/srv/n",
    ];

    public static TheoryData<string> Names => [.. Hostile.Select(device => device.Name)];

    [Fact]
    public void Nothing_of_the_former_host_is_left_where_all_is_named()
    {
        var here = ArrivalPlaces.Parse(Named, []).Apply(Machine(Hostile));

        var text = Text(here);
        foreach (var left in (string[])["secret", "4711", "169.254", "trunk", "io_uring", "any", "direct"]) Assert.DoesNotContain(left, text, StringComparison.Ordinal);
        // What the guest sees is as it was.
        Assert.Equal(9000, Assert.IsType<NetworkLink.Switch>(here.DevicesOf<NetworkDevice>().First(card => card.Name == "switched").Link).Mtu);
        Assert.True(here.DevicesOf<ShareDevice>().Single().ReadOnly);
        Assert.Equal(Hostile.Select(device => (device.Name, device.Kind)), here.Devices.Select(device => (device.Name, device.Kind)));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void What_is_not_named_is_refused_with_the_word_to_add(string name)
    {
        var places = ArrivalPlaces.Parse(Named.Where(words => !words.StartsWith(name + ",", StringComparison.Ordinal)), []);

        var refusal = Assert.Throws<MachineException>(() => places.Apply(Machine(Hostile))).Message;
        Assert.Contains($" {name} leads to ", refusal, StringComparison.Ordinal);
        Assert.Contains($"add --device {name},", refusal, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_name_without_where_it_leads_is_none(string name)
    {
        var device = Hostile.Single(device => device.Name == name);
        var word = device switch { DiskDevice => "cache=writethrough", NetworkDevice => "plugged=on", ShareDevice => "ro", SerialDevice or ConsoleDevice => "at-end=eot", _ => null };
        if (word is null) return;

        Assert.ThrowsAny<MachineException>(() => ArrivalPlaces.Parse([$"{name},{word}"], []).Apply(Machine(device)));
    }

    // The process of the machine there says what it is by itself, once more.
    [Fact]
    public void What_the_other_process_says_of_its_devices_reaches_nothing_else()
    {
        var kept = ArrivalPlaces.Parse(Named, []).Apply(Machine(Hostile)).Devices;

        var here = Machine([.. Hostile.Zip(kept, ArrivalPlaces.Here).Where(device => device is not VsockDevice)]);
        foreach (var left in (string[])["secret", "4711", "169.254", "trunk"]) Assert.DoesNotContain(left, Text(here), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("written,path=nbd://here/x", "is a file where the machine comes from")]
    [InlineData("written,path=/srv/a,format=raw", "leave format=raw out")]
    [InlineData("remote,path=/srv/a", "is an NBD export, which is not copied")]
    [InlineData("serial,to=own", "for programs that run a machine themselves")]
    [InlineData("share,tag=other,path=/srv", "the guest knows the tag")]
    [InlineData("switched,mac=02:00:00:00:00:01,path=/srv", "the guest knows the mac")]
    [InlineData("share,where=/srv", "where")]
    [InlineData("switched,link=user", "not on a network of its own (user), and stays so")]
    [InlineData("own,link=tap=tap1", "on a network of its own (user), and stays so")]
    public void What_cannot_be_is_said(string words, string why)
    {
        var device = Hostile.Single(device => device.Name == words.Split(',')[0]);

        Assert.Contains(why, Assert.Throws<MachineException>(() => ArrivalPlaces.Parse([words], []).Apply(Machine(device))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("share0")]
    [InlineData(",path=/srv")]
    [InlineData("Share,path=/srv")]
    public void A_text_that_names_nothing_is_refused(string text) => Assert.Contains("does not say where a device leads", Assert.Throws<MachineException>(() => ArrivalPlaces.Parse([text], [])).Message, StringComparison.Ordinal);

    [Fact]
    public void Ports_that_are_published_here_take_the_place_of_those_that_were()
    {
        var card = new NetworkDevice { Link = new NetworkLink.User { Published = [PublishedPort.Parse("8080:80")] } };

        Assert.Contains("8080:80", Text(ArrivalPlaces.None.Apply(Machine(card))), StringComparison.Ordinal);
        var here = Text(ArrivalPlaces.Parse([], [PublishedPort.Parse("9090:90")]).Apply(Machine(card)));
        Assert.Contains("9090:90", here, StringComparison.Ordinal);
        Assert.DoesNotContain("8080", here, StringComparison.Ordinal);
        Assert.Contains("leave --publish out", Assert.Throws<MachineException>(() => ArrivalPlaces.Parse([], [PublishedPort.Parse("9090:90")]).Apply(Machine())).Message, StringComparison.Ordinal);
    }

    private static MachineDefinition Machine(params DeviceDefinition[] devices) => new() { Type = MachineType.Pc, Boot = new BootSource { KernelPath = "kernel" }, MemoryBytes = 64 << 20, Devices = devices };

    private static string Text(MachineDefinition definition) => Encoding.UTF8.GetString(DefinitionJson.Write(definition));
}
