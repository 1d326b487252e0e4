// What a boot on the machine pc shows on its screen: SeaBIOS by the display's own firmware, GRUB and memtest86+ by it or by the display's
// memory, read as text and drawn as a picture.
using Lamina.Core.Display;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Firmware;

public sealed class ScreenTests : IDisposable
{
    private const ulong MiB = 1 << 20;

    private readonly CancellationTokenSource _patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-screen-").FullName;

    public ScreenTests() => _patience.CancelAfter(TimeSpan.FromMinutes(8));

    public void Dispose()
    {
        _patience.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task SeaBIOS_says_on_the_screen_that_there_is_nothing_to_boot()
    {
        var blank = Path.Combine(_folder, "blank.raw");
        File.WriteAllBytes(blank, new byte[MiB]);
        await using var machine = Machine.Create(await DefinitionAsync(new DiskDevice { Path = blank, Format = ImageFormat.Raw }));
        _ = machine.RunAsync(_patience.Token);

        var text = await WaitAsync(machine, "not a bootable disk");

        Assert.Equal("text 80x25", machine.Screen.Mode);
        Assert.StartsWith("SeaBIOS (version", text.Line(0), StringComparison.Ordinal);
        Assert.Contains("Booting from Hard Disk", text.ToString(), StringComparison.Ordinal);
        // Grey on black, by the font that the display's firmware has loaded.
        var picture = machine.Screen.Look();
        Assert.Equal((720, 400), (picture.Width, picture.Height));
        Assert.Equal(new uint[] { 0, 0xaaaaaa }, picture.Pixels.Distinct().Order());
        Assert.InRange(picture.Pixels.Count(pixel => pixel != 0), 1000, 20_000);
    }

    [Fact]
    public async Task GRUB_and_memtest_are_seen_on_the_screen_and_a_saved_machine_has_it()
    {
        var place = Path.Combine(_folder, "saved");
        uint[] pixels;
        await using (var machine = Machine.Create(await DefinitionAsync(new DiskDevice { Path = await GrubDisk.GetAsync(), Format = ImageFormat.Raw, ReadOnly = true })))
        {
            _ = machine.RunAsync(_patience.Token);
            var serial = new SerialScreen(machine);
            await serial.WaitAsync("GRUB loading", _patience.Token);
            await machine.Serial.WriteAsync("\e[B", _patience.Token);
            var menu = await WaitAsync(machine, "*memtest");
            Assert.Contains("GNU GRUB", menu.ToString(), StringComparison.Ordinal);
            await machine.PauseAsync(_patience.Token);
            pixels = machine.Screen.Look().Pixels;
            await machine.SaveAsync(place, _patience.Token);
        }
        await using var restored = Machine.Restore(place);
        _ = restored.RunAsync(_patience.Token);
        await WaitAsync(restored, "*memtest");
        Assert.Equal(pixels, restored.Screen.Look().Pixels);
        await restored.Serial.WriteAsync("\r", _patience.Token);
        var memtest = await WaitAsync(restored, "Memtest86+");
        Assert.Contains("Memory", memtest.ToString(), StringComparison.Ordinal);
        // White on blue, by the display's memory and palette.
        Assert.Contains(0x0000aau, restored.Screen.Look().Pixels);
    }

    private static async Task<MachineDefinition> DefinitionAsync(DiskDevice disk)
    {
        var configuration = GuestConfiguration.Of(GuestConfiguration.Pc);
        return new MachineDefinition
        {
            Type = MachineType.Pc,
            Engine = configuration.Engine,
            Irqchip = TestEngine.Irqchip,
            MemoryBytes = 64 * MiB,
            Boot = new BootSource { Firmware = await SeaBiosImage.GetAsync() },
            Devices = [new SerialDevice { To = new ConsoleTarget.Memory() }, disk],
        };
    }

    private async Task<ScreenText> WaitAsync(Machine machine, string text)
    {
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        for (ScreenText? shown = null; ; shown = machine.Screen.Read() ?? shown)
        {
            if (shown?.ToString().Contains(text, StringComparison.Ordinal) == true) return shown;
            try
            {
                await poll.WaitForNextTickAsync(_patience.Token);
            }
            catch (OperationCanceledException late)
            {
                throw new TimeoutException($"the screen never showed \"{text}\" but, in the mode {machine.Screen.Mode}:\n{shown}", late);
            }
        }
    }
}
