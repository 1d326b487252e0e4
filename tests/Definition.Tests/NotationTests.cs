// The two notations over one table: whatever can be said of a machine or device survives words and JSON, property by property.
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Lamina.Definition;
using Xunit;

namespace Lamina.Tests.Definition;

public sealed class NotationTests
{
    // A device of each kind and link, with each of its properties said. A property that is missing here fails the test below.
    private static readonly (string Kind, string Words)[] Devices =
    [
        ("disk", "new.img,size=20G,format=raw"),
        ("disk", "nbds://h:7/work,name=far,tls=a,,b,reconnect=90s"),
        ("disk", "a,,b.img,name=root,bus=ide,ro,format=qcow2,serial=x=1,cache=unsafe,direct,aio=threads,queues=4,block-size=4096,discard=off,on-full=pause,temporary,backing=c,,d,backing=any,rate=50M,iops=1000,burst=2s"),
        ("floppy", "a,,b.img,name=a"),
        ("cdrom", "a,,b.iso,name=cd,bus=sata"),
        ("network", "user,name=net,model=e1000e,mac=02:00:00:00:00:01,queues=2,mtu=9000,hostname=box,boot=http://10.0.2.2/start.ipxe,subnet=192.168.7.0/24,ipv6=off,dns=on,dns=192.0.2.53,dns=[2001:db8::53]:5353,host=80,host=443,allow=192.0.2.0/24:443,allow=[2001:db8::1]:22,publish=8080:80,publish=[::1]:53:53/udp,rate=1000,packets=10,burst=500ms"),
        ("network", "user,host,isolated"),
        ("network", "tap=tap0,bridge=br0"),
        ("network", "tap"),
        ("network", "switch=/run/l,,an,vlan=7,mtu=9000"),
        ("network", "switch=/run/lan,vlan=trunk,plugged=off"),
        ("network", "socket=/run/passt,mtu=65520"),
        ("network", "own"),
        ("share", "/srv/a,,b,name=data,tag=data,ro,xattr"),
        ("channel", "org.qemu.guest_agent.0,name=qga"),
        ("channel", "a_b-c.0,path=/tmp/a,,b"),
        ("vsock", "5,name=sockets,path=/tmp/s"),
    ];

    private const string Machine = """
        {
          "name": "web", "image": "debian", "image-version": "12.5", "made": "2026-01-31T12:00:00Z", "machine": "micro",
          "kernel": "/boot/vmlinuz", "initrd": "initrd", "cmdline": "console=ttyS0 \"quiet\"", "module": ["a", "b c d"], "firmware": "/srv/bios.bin", "boot": "cdrom", "boot-menu": true, "self-unpack": true,
          "memory": "512M", "memory-most": "1G", "cpus": 4, "cpu": "host,-avx512f", "engine": "kvm", "irqchip": "split", "code-cache": "64M", "code-archive": "off", "lock": "strict",
          "no-reboot": true, "timeout": "90s", "stop-timeout": "10s", "debug-exit": "0xf4", "gdb": "1234,arch=i386", "display": "vnc=unix:/srv/web/screen,password-file=/srv/web/password",
          "cpu-cap": "150%", "cpu-weight": 300, "cpu-pin": "0-1,3", "cpu-reserve": "50%", "memory-reserve": "256M", "memory-least": "64M", "huge-pages": false, "share-pages": true, "memory-limit": "1G", "pool": "build",
          "devices": [
            { "kind": "serial", "capacity": 9, "name": "s", "to": "memory" }, { "kind": "console", "to": "memory", "capacity": 100, "name": "c" },
            { "kind": "serial", "to": "stdio", "when-full": "drop", "at-end": "eot" }, { "kind": "console", "to": "stdio", "when-full": "drop", "at-end": "eot" },
            { "kind": "balloon", "name": "b" }, { "kind": "rng", "name": "r" }
          ]
        }
        """;

    public static TheoryData<string, string> EachDevice => [.. Devices];

    [Theory]
    [MemberData(nameof(EachDevice))]
    public void A_device_survives_words_and_JSON(string kind, string words)
    {
        var device = Parse(kind, words);

        Assert.Equal(Json(device), Json(Parse(kind, device.ToString())));
        Assert.Equal(Json(device), Json(DefinitionJson.Read(Encoding.UTF8.GetBytes(Json(device))).Devices[0]));
    }

    [Fact]
    public void A_machine_survives_JSON()
    {
        var machine = DefinitionJson.Read(Encoding.UTF8.GetBytes(Machine));
        var written = DefinitionJson.Write(machine);

        Assert.Equal(("web", 512ul << 20, 4, "host,-avx512f", TimeSpan.FromSeconds(90), TimeSpan.FromSeconds(10), (ushort)0xf4, 1234, GdbArchitecture.I386), (machine.Name, machine.MemoryBytes, machine.Cpus, machine.Cpu, machine.Timeout, machine.StopTimeout, machine.DebugExitPort, machine.GdbPort, machine.GdbArchitecture));
        Assert.Equal("console=ttyS0 \"quiet\"", machine.Boot.CommandLine);
        Assert.Equal([new BootModule("a"), new BootModule("b", "c d")], machine.Boot.Modules);
        Assert.Equal(Encoding.UTF8.GetString(written), Encoding.UTF8.GetString(DefinitionJson.Write(DefinitionJson.Read(written))));
    }

    [Theory]
    [InlineData("1234", 1234, GdbArchitecture.X64, "\"1234\"")]
    [InlineData("\"0,arch=auto\"", 0, GdbArchitecture.Auto, "\"0,arch=auto\"")]
    [InlineData("\"1,arch=x86-64\"", 1, GdbArchitecture.X64, "\"1\"")]
    public void The_debuggers_port_is_a_number_or_words(string said, int port, GdbArchitecture architecture, string written)
    {
        var machine = DefinitionJson.Read(Encoding.UTF8.GetBytes($"{{ \"kernel\": \"k\", \"gdb\": {said} }}"));

        Assert.Equal((port, architecture), (machine.GdbPort, machine.GdbArchitecture));
        Assert.Contains($"\"gdb\": {written}", Encoding.UTF8.GetString(DefinitionJson.Write(machine)), StringComparison.Ordinal);
    }

    [Fact]
    public void No_property_is_left_out_of_these_tests()
    {
        using var machine = JsonDocument.Parse(Machine);
        var said = machine.RootElement.EnumerateObject().Select(property => ("a machine", property.Name)).ToHashSet();
        foreach (var device in machine.RootElement.GetProperty("devices").EnumerateArray())
            foreach (var property in device.EnumerateObject()) said.Add((device.GetProperty("kind").GetString()!, property.Name));
        foreach (var (kind, words) in Devices)
            foreach (var property in DeviceKind.Find(kind)!.Write(Parse(kind, words))) said.Add((kind, property.Name));

        var known = MachineShape.Shape.Properties.Where(property => property.Choices.Count != 1).Select(property => ("a machine", property.Name))
            .Concat(DeviceKind.All.SelectMany(kind => kind.Properties.Select(property => (kind.Name, property.Name))));

        Assert.Empty(known.Except(said));
    }

    [Fact]
    public void What_is_as_it_is_by_default_is_not_written() => Assert.Equal("{}\n", Encoding.UTF8.GetString(DefinitionJson.Write(new MachineDefinition())));

    [Fact]
    public void People_may_write_comments_commas_and_any_order()
    {
        var machine = DefinitionJson.Read("""
            // A machine of mine.
            { "devices": [ { "vlan": 7, "path": "/run/lan", "link": "switch", "kind": "network" }, ], "memory": 536870912, /* enough */ "no-reboot": false, }
            """u8);

        Assert.Equal((512ul << 20, false), (machine.MemoryBytes, machine.NoReboot));
        Assert.Equal(new NetworkLink.Switch("/run/lan") { Vlan = 7 }, machine.DevicesOf<NetworkDevice>().Single().Link);
    }

    [Theory]
    [InlineData("", "no JSON")]
    [InlineData("[]", "line 1: a machine is an object")]
    [InlineData("{\n\"memory\": \"1G\"\n\"cpus\": 2\n}", "line 3: this is no JSON")]
    [InlineData("{\n \"memroy\": \"1G\" }", "line 2: a machine has no property \"memroy\"; did you mean \"memory\"?")]
    [InlineData("{\n\n \"frobnication\": 1 }", "line 3: a machine has no property \"frobnication\"; there are name, image")]
    [InlineData("{ \"cpus\": 1,\n \"cpus\": 2 }", "line 2: \"cpus\" is said twice")]
    [InlineData("{ \"cpus\": \"2\" }", "\"cpus\" is a number, without quotation marks")]
    [InlineData("{ \"cpus\": 1.5 }", "cpus: '1.5' is not a number of CPUs")]
    [InlineData("{ \"memory\": \"lots\" }", "memory: 'lots' is not a size; write it like")]
    [InlineData("{ \"memory\": true }", "\"memory\" is a text in quotation marks")]
    [InlineData("{ \"no-reboot\": \"yes\" }", "\"no-reboot\" is true or false")]
    [InlineData("{ \"engine\": \"magic\" }", "engine: there is no 'magic'; there are auto, kvm and translator")]
    [InlineData("{ \"name\": \"A b\" }", "name: 'A b' cannot be a name")]
    [InlineData("{ \"devices\": {} }", "\"devices\" is a list")]
    [InlineData("{ \"devices\": [\n 1 ] }", "line 2: a device is an object")]
    [InlineData("{ \"devices\": [\n { \"path\": \"x\" } ] }", "line 2: a device has a \"kind\": disk, cdrom, floppy, network")]
    [InlineData("{ \"devices\": [ { \"kind\": \"dsik\" } ] }", "there is no kind of device \"dsik\"; did you mean \"disk\"?")]
    [InlineData("{ \"devices\": [ { \"kind\": \"disk\",\n \"chace\": \"unsafe\" } ] }", "line 2: a disk has no property \"chace\"; did you mean \"cache\"?")]
    [InlineData("{ \"devices\": [ { \"kind\": \"network\", \"vlan\": 1 } ] }", "such a network has no property \"vlan\"")]
    [InlineData("{ \"devices\": [ { \"kind\": \"disk\", \"backing\": [ {} ] } ] }", "\"backing\" is a list of texts")]
    [InlineData("{ \"devices\": [ { \"kind\": \"disk\", \"discard\": \"off\" } ] }", "\"discard\" is true or false")]
    [InlineData("{ \"a\": [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]] }", "no JSON")]
    [InlineData("{} {}", "no JSON")]
    public void What_is_no_definition_is_told_with_its_line(string text, string sentence)
    {
        var refusal = Assert.Throws<MachineException>(() => DefinitionJson.Read(Encoding.UTF8.GetBytes(text)));

        Assert.Contains(sentence, refusal.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refusal.Message);
        Assert.Equal(MachineError.Definition, refusal.Error);
    }

    [Fact]
    public void Bytes_that_are_no_text_are_refused() => Assert.Throws<MachineException>(() => DefinitionJson.Read([(byte)'{', (byte)'"', 0xff, (byte)'"', (byte)':', (byte)'1', (byte)'}']));

    [Fact]
    public void Whatever_is_cut_or_changed_in_a_file_ends_in_a_sentence()
    {
        var whole = Encoding.UTF8.GetBytes(Machine);
        var random = new Random(7);
        for (var i = 0; i < 3000; i++)
        {
            var text = whole[..random.Next(whole.Length + 1)];
            for (var changes = random.Next(3); changes > 0 && text.Length > 0; changes--) text[random.Next(text.Length)] = (byte)random.Next(256);
            try
            {
                MachineCheck.Check(DefinitionJson.Read(text));
            }
            catch (MachineException refusal)
            {
                Assert.NotEmpty(refusal.Message);
            }
        }
    }

    [Fact]
    public void A_contract_of_another_program_carries_a_definition()
    {
        var order = new Order { Machine = new MachineDefinition { Cpus = 3 }.With(new DiskDevice { Path = "a" }) };

        var text = JsonSerializer.Serialize(order, OrderJson.Default.Order);
        var back = JsonSerializer.Deserialize(text, OrderJson.Default.Order)!;

        Assert.Equal("{\"Machine\":{\"cpus\":3,\"devices\":[{\"kind\":\"disk\",\"path\":\"a\"}]}}", text);
        Assert.Equal(3, back.Machine!.Cpus);
        Assert.Contains("line 1", Assert.Throws<JsonException>(() => JsonSerializer.Deserialize("{\"Machine\":{\"cpus\":\"3\"}}", OrderJson.Default.Order)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0ul, "0")]
    [InlineData(1000ul, "1000")]
    [InlineData(1536ul, "1536")]
    [InlineData(512ul << 20, "512M")]
    [InlineData(3ul << 40, "3T")]
    [InlineData(1ul << 63, "8E")]
    public void A_size_is_written_as_it_is_read(ulong bytes, string text)
    {
        Assert.Equal(text, ByteSize.Exact(bytes));
        Assert.True(ByteSize.TryParse(text, out var read));
        Assert.Equal(bytes, read);
    }

    [Theory]
    [InlineData("0xf4", 0xf4)]
    [InlineData("0XF4", 0xf4)]
    [InlineData("244", 0xf4)]
    [InlineData("65535", 0xffff)]
    public void Ports_are_read_as_decimal_or_hexadecimal(string text, int port) => Assert.Equal(port, MachineShape.Shape.With(new MachineDefinition(), "debug-exit", text).DebugExitPort!.Value);

    [Theory]
    [InlineData("65536")]
    [InlineData("0x10000")]
    [InlineData("0x")]
    [InlineData("-1")]
    [InlineData("f4")]
    [InlineData("")]
    public void What_is_no_port_is_refused(string text) => Assert.Throws<MachineException>(() => MachineShape.Shape.With(new MachineDefinition(), "debug-exit", text));

    private static DeviceDefinition Parse(string kind, string words) => kind switch
    {
        "disk" => DiskDevice.Parse(words),
        "cdrom" => CdromDevice.Parse(words),
        "floppy" => FloppyDevice.Parse(words),
        "network" => NetworkDevice.Parse(words)!,
        "share" => ShareDevice.Parse(words),
        "channel" => ChannelDevice.Parse(words),
        _ => VsockDevice.Parse(words),
    };

    private static string Json(DeviceDefinition device) => Encoding.UTF8.GetString(DefinitionJson.Write(new MachineDefinition { Devices = [device] }));
}

internal sealed class Order
{
    [JsonConverter(typeof(MachineDefinitionConverter))]
    public MachineDefinition? Machine { get; set; }
}

[JsonSerializable(typeof(Order))]
internal sealed partial class OrderJson : JsonSerializerContext;
