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
            // It is drawn to its end, which the other one would do otherwise.
            await machine.WaitForStillScreenAsync(TimeSpan.FromSeconds(1), _patience.Token);
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

    // int 10h sets the mode; then 64 KiB at A000:0 are filled with a byte: the first bank of it.
    [Theory]
    [InlineData(0x4f02, 0x0144, 0xff, "graphics 1024x768, 32 bits", 1024, 768, 16, 0xffffffu)]
    [InlineData(0x4f02, 0x0103, 0x28, "graphics 800x600, 8 bits", 800, 600, 81, 0xff0000u)]
    [InlineData(0x4f02, 0x0102, 0xff, "graphics 800x600, 4 bits", 800, 600, 600, 0xffffffu)]
    [InlineData(0x0013, 0, 0x28, "graphics 640x400, 8 bits", 640, 400, 400, 0xff0000u)]
    [InlineData(0x0012, 0, 0xff, "graphics 640x480, 4 bits", 640, 480, 480, 0xffffffu)]
    public async Task A_boot_sector_draws_in_modes_that_it_asks_the_displays_firmware_for(int ax, int bx, byte fill, string mode, int width, int height, int lines, uint colour)
    {
        var sector = new byte[MiB];
        byte[] code =
        [
            0xb8, (byte)ax, (byte)(ax >> 8), 0xbb, (byte)bx, (byte)(bx >> 8), 0xcd, 0x10,          // mov ax, …; mov bx, …; int 0x10
            0xb8, 0x00, 0xa0, 0x8e, 0xc0, 0x31, 0xff, 0xb9, 0x00, 0x80, 0xb8, fill, fill, 0xfc, 0xf3, 0xab, // mov es, 0xa000; xor di, di; mov cx, 0x8000; cld; rep stosw
            0xba, 0xf8, 0x03, 0xb0, (byte)'!', 0xee, 0xf4, 0xeb, 0xfd,                             // mov dx, 0x3f8; out dx, '!'; hlt
        ];
        code.CopyTo(sector, 0);
        (sector[510], sector[511]) = (0x55, 0xaa);
        var disk = Path.Combine(_folder, "sector.raw");
        File.WriteAllBytes(disk, sector);
        await using var machine = Machine.Create(await DefinitionAsync(new DiskDevice { Path = disk, Format = ImageFormat.Raw }));
        _ = machine.RunAsync(_patience.Token);
        while (!machine.Serial.Text.Contains('!', StringComparison.Ordinal)) await Task.Delay(10, _patience.Token);

        var picture = machine.Screen.Look();

        Assert.Equal(mode, machine.Screen.Mode);
        Assert.Equal((width, height), (picture.Width, picture.Height));
        Assert.All(picture.Pixels[..(lines * width)], pixel => Assert.Equal(colour, pixel));
        Assert.All(picture.Pixels[((lines + 1) * width > picture.Pixels.Length ? ^0 : (lines + 1) * width)..], pixel => Assert.Equal(0u, pixel));
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
