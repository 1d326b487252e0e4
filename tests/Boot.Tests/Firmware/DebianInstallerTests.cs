// Debian's installer from a CD, as its users have it: by a BIOS and by UEFI, onto disks of each kind and over two kinds of cards, asking nothing; and the one
// with a picture, by keys and mouse.
using Lamina.Core.Display;
using Lamina.Core.Input;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Firmware;

public sealed class DebianInstallerTests : IDisposable
{
    private readonly CancellationTokenSource _patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-installer-").FullName;

    public DebianInstallerTests() => _patience.CancelAfter(TimeSpan.FromMinutes(10));

    private CancellationToken Cancellation => _patience.Token;

    public void Dispose()
    {
        _patience.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task<MachineDefinition> DefinitionAsync(bool uefi, DriveBus bus, NetworkModel card, params DeviceDefinition[] drives) => new()
    {
        Type = MachineType.Pc,
        Engine = GuestConfiguration.Of(GuestConfiguration.Pc).Engine,
        Irqchip = TestEngine.Irqchip,
        MemoryBytes = 1 << 30,
        Boot = new BootSource { Firmware = uefi ? await UefiDisk.GetFirmwareAsync() : await SeaBiosImage.GetAsync(), From = drives.Length > 0 ? BootMedium.Cdrom : BootMedium.Disk },
        Devices =
        [
            new SerialDevice { To = new ConsoleTarget.Memory() },
            new DiskDevice { Path = Path.Combine(_folder, "installed.qcow2"), Size = 4ul << 30, Bus = bus },
            NetworkDevice.Parse("user")! with { Model = card },
            .. drives,
        ],
    };

    [Theory]
    [InlineData(false, DriveBus.Virtio, NetworkModel.Virtio)]
    [InlineData(true, DriveBus.Nvme, NetworkModel.E1000e)]
    [InlineData(false, DriveBus.Sata, NetworkModel.E1000e)]
    [InlineData(true, DriveBus.Ide, NetworkModel.Virtio)]
    public async Task It_finds_card_and_mirror_and_installs_a_system_that_boots(bool uefi, DriveBus bus, NetworkModel card)
    {
        AllTests.SkipUnlessAsked("a system is installed from packages, which takes minutes and a package source");
        var discs = await InstallerDiscs.GetAsync();
        await using (var machine = Machine.Create(await DefinitionAsync(uefi, bus, card, new CdromDevice { Path = discs.Text })))
        {
            var run = machine.RunAsync(Cancellation);
            var screen = new SerialScreen(machine);
            await screen.WaitAsync("Configuring the network with DHCP", Cancellation);
            await screen.WaitAsync("Checking the Debian archive mirror", Cancellation);
            await screen.WaitAsync("100%", Cancellation);
            await ComponentsAsync(machine, run);
            _patience.CancelAfter(TimeSpan.FromHours(1));
            Assert.Equal(MachineEnd.PoweredOff, (await run.WaitAsync(Cancellation)).End);
        }

        await using var installed = Machine.Create(await DefinitionAsync(uefi, bus, card));
        _ = installed.RunAsync(Cancellation);
        var console = new SerialScreen(installed);
        await console.WaitAsync("installed login: ", Cancellation);
        await installed.Serial.WriteAsync("root\r", Cancellation);
        await console.WaitAsync("Password: ", Cancellation);
        await installed.Serial.WriteAsync($"{InstallerDiscs.Password}\r", Cancellation);
        await console.WaitAsync("root@installed:~# ", Cancellation);
    }

    // The installer's own parts, which it has from the mirror; not every source of packages has them.
    private async Task ComponentsAsync(Machine machine, Task run)
    {
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
        while (!run.IsCompleted && !machine.Serial.Text.Contains("Installing the base system", StringComparison.Ordinal))
        {
            Assert.DoesNotContain("Bad archive mirror", machine.Serial.Text, StringComparison.Ordinal);
            Assert.SkipWhen(machine.Serial.Text.Contains("Downloading a file failed", StringComparison.Ordinal), "the source of packages has not all of the installer's own parts (udebs): it came as far as loading them");
            await poll.WaitForNextTickAsync(Cancellation);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_graphical_one_is_led_by_keys_and_mouse(bool uefi)
    {
        AllTests.SkipUnlessAsked("it takes two minutes");
        var discs = await InstallerDiscs.GetAsync();
        await using var machine = Machine.Create(await DefinitionAsync(uefi, DriveBus.Virtio, NetworkModel.Virtio, new CdromDevice { Path = discs.Graphical }));
        _ = machine.RunAsync(Cancellation);

        // Its first question has a list of languages, on white, below a banner.
        var picture = await UntilAsync(machine, look => White(look) > look.Pixels.Length / 3);
        picture = await ChangedAsync(machine, picture, "ret");
        picture = await ChangedAsync(machine, picture, "down");

        // "Continue" is at the lower right, and the pointer stops at the edges.
        for (var i = 0; i < 200; i++) await Mouse.MoveAsync(machine, 8, 8, Cancellation);
        for (var i = 0; i < 25; i++) await Mouse.MoveAsync(machine, -2, -1, Cancellation);
        await Mouse.ClickAsync(machine, Cancellation);
        var clicked = await UntilAsync(machine, look => Differing(picture, look) > look.Pixels.Length / 50);
        // The banner stays.
        Assert.Equal(picture.Pixels[..(picture.Width * 60)], clicked.Pixels[..(picture.Width * 60)]);
    }

    private static int White(ScreenPicture look) => look.Pixels.Count(pixel => (pixel & 0xff_ffff) == 0xff_ffff);

    private static int Differing(ScreenPicture before, ScreenPicture now) => before.Pixels.Length != now.Pixels.Length ? 0 : before.Pixels.Zip(now.Pixels).Count(pair => pair.First != pair.Second);

    private async Task<ScreenPicture> ChangedAsync(Machine machine, ScreenPicture before, string key)
    {
        await machine.TypeAsync([KeyStroke.Read(key).Stroke!], cancellationToken: Cancellation);
        return await UntilAsync(machine, look => Differing(before, look) > 1000);
    }

    // A picture that is so, and stays as it is for a moment.
    private async Task<ScreenPicture> UntilAsync(Machine machine, Func<ScreenPicture, bool> holds)
    {
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(500));
        ScreenPicture? last = null;
        while (true)
        {
            if (machine.Screen.Look() is { } look && holds(look))
            {
                if (last is not null && last.Pixels.AsSpan().SequenceEqual(look.Pixels)) return look;
                last = look;
            }
            await poll.WaitForNextTickAsync(Cancellation);
        }
    }
}
