// iPXE, from a CD or as a card's own firmware, boots from the network: it gets its address and the name of what it boots by DHCP, and loads it over HTTP.
using System.Text;
using Lamina.Images;
using Lamina.Images.Bios;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Firmware;

public sealed class NetworkBootTests : IDisposable
{
    private const byte Done = 9;
    private const string Prompt = "~ # ";

    private readonly CancellationTokenSource _patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
    private readonly TestServers _servers = new();

    public NetworkBootTests() => _patience.CancelAfter(TimeSpan.FromMinutes(5));

    private string From => $"http://10.0.2.2:{_servers.HttpPort}";

    public void Dispose()
    {
        _servers.Dispose();
        _patience.Dispose();
    }

    private async Task<MachineDefinition> DefinitionAsync(NetworkModel model, bool ofCard)
    {
        if (ofCard) await NetworkRomsAsync();
        var configuration = GuestConfiguration.Of(GuestConfiguration.Pc);
        return new MachineDefinition
        {
            Type = MachineType.Pc,
            Engine = configuration.Engine,
            Irqchip = TestEngine.Irqchip,
            MemoryBytes = configuration.MemoryBytes,
            DebugExitPort = TestKernels.DebugExitPort,
            Boot = new BootSource { Firmware = await SeaBiosImage.GetAsync(), From = ofCard ? BootMedium.Network : BootMedium.Disk },
            Devices =
            [
                new SerialDevice { To = new ConsoleTarget.Memory() }, new CdromDevice { Path = ofCard ? "" : await DriveImage.IpxeDiscAsync() },
                NetworkDevice.Parse($"user,host={_servers.HttpPort},boot={From}/start")! with { Model = model },
            ],
        };
    }

    private static IEnumerable<string> Shown(bool ofCard) => [ofCard ? "Booting from ROM..." : "Booting from DVD/CD...", "iPXE initialising devices...ok", "Configuring (net0 02:4c:41:00:00:01)"];

    [Fact]
    public async Task IPXE_on_a_CD_boots_over_HTTP()
    {
        _servers.Files["/start"] = Encoding.ASCII.GetBytes($"#!ipxe\nkernel {From}/kernel\nboot\n");
        _servers.Files["/kernel"] = TestKernels.Protected(new Code(TestKernels.Origin).Exit(Done));
        await using var machine = Machine.Create(await DefinitionAsync(NetworkModel.E1000e, ofCard: false));
        var run = machine.RunAsync(_patience.Token);
        var screen = new SerialScreen(machine);

        foreach (var text in Shown(ofCard: false)) await screen.WaitAsync(text, _patience.Token);
        Assert.Equal(GuestRun.CodeOf(Done), (await run).DebugExitCode);
    }

    [Theory]
    [InlineData(NetworkModel.E1000e, true)]
    [InlineData(NetworkModel.E1000, true)]
    [InlineData(NetworkModel.Virtio, true)]
    [InlineData(NetworkModel.E1000, false)]
    [InlineData(NetworkModel.Virtio, false)]
    public async Task IPXE_boots_Linux_over_HTTP(NetworkModel model, bool ofCard)
    {
        AllTests.SkipUnlessAsked("what iPXE boots from a CD shows as much");
        var image = await TinyImage.GetAsync();
        _servers.Files["/start"] = Encoding.ASCII.GetBytes($"#!ipxe\nkernel {From}/kernel {image.CommandLine} initrd=initrd\ninitrd {From}/initrd\nboot\n");
        _servers.Files["/kernel"] = await File.ReadAllBytesAsync(image.KernelPath, _patience.Token);
        _servers.Files["/initrd"] = await File.ReadAllBytesAsync(image.InitrdPath!, _patience.Token);
        await using var machine = Machine.Create(await DefinitionAsync(model, ofCard));
        _ = machine.RunAsync(_patience.Token);
        var screen = new SerialScreen(machine);

        foreach (var text in (IEnumerable<string>)[.. Shown(ofCard), $"{From}/start... ok", Prompt]) await screen.WaitAsync(text, _patience.Token);
    }

    private static async Task NetworkRomsAsync()
    {
        try
        {
            _ = await FirmwareStore.OfUser().FindOrBuildAsync(FirmwareStore.NetworkRoms, new Progress<ImageProgress>(), TestContext.Current.CancellationToken);
        }
        catch (ImageException e)
        {
            Assert.Skip($"the firmware of network cards cannot be had here: {e.Message}");
        }
    }
}
