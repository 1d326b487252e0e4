// iPXE boots from the network: it gets its address and the name of what it boots by DHCP, and loads it over HTTP.
using System.Text;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Firmware;

public sealed class NetworkBootTests : IDisposable
{
    private const string Prompt = "~ # ";

    private readonly CancellationTokenSource _patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);

    public NetworkBootTests() => _patience.CancelAfter(TimeSpan.FromMinutes(5));

    public void Dispose() => _patience.Dispose();

    [Theory]
    [InlineData(NetworkModel.E1000e)]
    [InlineData(NetworkModel.E1000)]
    [InlineData(NetworkModel.Virtio)]
    public async Task IPXE_on_a_CD_boots_a_kernel_over_HTTP(NetworkModel model)
    {
        if (model != NetworkModel.E1000e) AllTests.SkipUnlessAsked("the boot by e1000e shows as much");
        var image = await TinyImage.GetAsync();
        using var servers = new TestServers();
        var from = $"http://10.0.2.2:{servers.HttpPort}";
        servers.Files["/start"] = Encoding.ASCII.GetBytes($"#!ipxe\nkernel {from}/kernel {image.CommandLine} initrd=initrd\ninitrd {from}/initrd\nboot\n");
        servers.Files["/kernel"] = await File.ReadAllBytesAsync(image.KernelPath, _patience.Token);
        servers.Files["/initrd"] = await File.ReadAllBytesAsync(image.InitrdPath!, _patience.Token);
        var configuration = GuestConfiguration.Of(GuestConfiguration.Pc);
        await using var machine = Machine.Create(new MachineDefinition
        {
            Type = MachineType.Pc,
            Engine = configuration.Engine,
            Irqchip = TestEngine.Irqchip,
            MemoryBytes = configuration.MemoryBytes,
            Boot = new BootSource { Firmware = await SeaBiosImage.GetAsync() },
            Devices =
            [
                new SerialDevice { To = new ConsoleTarget.Memory() }, new CdromDevice { Path = await DriveImage.IpxeDiscAsync() },
                NetworkDevice.Parse($"user,host={servers.HttpPort},boot={from}/start")! with { Model = model },
            ],
        });
        _ = machine.RunAsync(_patience.Token);
        var screen = new SerialScreen(machine);

        foreach (var text in (string[])["Booting from DVD/CD...", "iPXE initialising devices...ok", "Configuring (net0 02:4c:41:00:00:01)", $"{from}/start... ok", Prompt]) await screen.WaitAsync(text, _patience.Token);
    }
}
