// Boot loaders and tools that other machines are booted and mended with, from disks, CDs and floppy disks, by a PC's BIOS and by UEFI.
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Firmware;

public sealed class MediaTests : IDisposable
{
    private const ulong MiB = 1 << 20;

    private readonly CancellationTokenSource _patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-media-").FullName;

    public MediaTests() => _patience.CancelAfter(TimeSpan.FromMinutes(8));

    private CancellationToken Cancellation => _patience.Token;

    public void Dispose()
    {
        _patience.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static async Task<MachineDefinition> DefinitionAsync(bool uefi, int cpus, params DeviceDefinition[] drives)
    {
        var configuration = GuestConfiguration.Of(GuestConfiguration.Pc);
        return new MachineDefinition
        {
            Type = MachineType.Pc,
            Engine = configuration.Engine,
            Irqchip = TestEngine.Irqchip,
            Cpus = cpus,
            MemoryBytes = 128 * MiB,
            Boot = new BootSource { Firmware = uefi ? (await UefiDisk.GetFirmwareAsync()) : await SeaBiosImage.GetAsync() },
            Devices = [new SerialDevice { To = new ConsoleTarget.Memory() }, .. drives],
        };
    }

    private static DiskDevice Disk(string path) => new() { Path = path, Format = ImageFormat.Raw, ReadOnly = true };

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Memtest_finds_no_error_where_rEFInd_boots_it_by_UEFI(int cpus)
    {
        AllTests.SkipUnlessAsked("it tests memory for a minute");
        await using var machine = Machine.Create(await DefinitionAsync(uefi: true, cpus, Disk((await MediaImage.GetAsync()).Refind)));
        _ = machine.RunAsync(Cancellation);
        var screen = new SerialScreen(machine);
        await screen.WaitAsync("Boot memtest86+", Cancellation);
        await machine.Serial.WriteAsync("\r", Cancellation);

        await screen.WaitAsync("Memtest86+", Cancellation);
        var shown = await screen.WaitAsync("[Moving inversions, 64 bit pattern]", Cancellation);

        Assert.Contains($"{cpus} Cores", shown, StringComparison.Ordinal);
        Assert.DoesNotMatch("Errors: +[1-9]", shown);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_CD_with_GRUB_for_both_boots_by_UEFI_and_by_BIOS(bool uefi)
    {
        if (!uefi) AllTests.SkipUnlessAsked("other CDs boot by BIOS");
        await using var machine = Machine.Create(await DefinitionAsync(uefi, 1, new CdromDevice { Path = (await MediaImage.GetAsync()).GrubDisc }));
        _ = machine.RunAsync(Cancellation);
        var screen = new SerialScreen(machine);

        await screen.WaitAsync(MediaImage.Greeting, Cancellation);
        await screen.WaitAsync("grub>", Cancellation);
        await machine.Serial.WriteAsync("lspci\r", Cancellation);
        await screen.WaitAsync("8086:7010", Cancellation);
    }

    [Fact]
    public async Task ISOLINUX_boots_and_its_tool_finds_the_machine()
    {
        AllTests.SkipUnlessAsked("other CDs boot by BIOS");
        await using var machine = Machine.Create(await DefinitionAsync(uefi: false, 2, new CdromDevice { Path = (await MediaImage.GetAsync()).IsolinuxDisc }));
        _ = machine.RunAsync(Cancellation);
        var screen = new SerialScreen(machine);

        await screen.WaitAsync("isolinux is here", Cancellation);
        await screen.WaitAsync("boot:", Cancellation);
        await machine.Serial.WriteAsync("hdt\r", Cancellation);
        await screen.WaitAsync("hdt>", Cancellation);
        // A PC's keyboard buffer has 15 keys.
        await machine.Serial.WriteAsync("show summary\r", Cancellation);
        var shown = await screen.WaitAsync("Kernel modules", Cancellation);
        Assert.Contains("Lamina", shown, StringComparison.Ordinal);
        Assert.Contains("128 MB", shown, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rescue_disks_boot_as_floppy_and_as_hard_disk()
    {
        AllTests.SkipUnlessAsked("the rescue CD boots in any case");
        var media = await MediaImage.GetAsync();
        foreach (var drive in (DeviceDefinition[])[new FloppyDevice { Path = media.RescueFloppy }, Disk(media.RescueUsb), Disk(media.RescueUsb) with { Bus = DriveBus.Ide }])
        {
            await using var machine = Machine.Create(await DefinitionAsync(uefi: false, 1, drive));
            _ = machine.RunAsync(Cancellation);
            await new SerialScreen(machine).WaitAsync("*GNU/Linux", Cancellation);
        }
    }

    // Its boot loader says a dot for each part of itself that it reads; by UEFI it draws: white on blue.
    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task The_image_of_a_CD_boots_from_a_disk_and_by_UEFI_from_both(bool uefi, bool isDisc)
    {
        AllTests.SkipUnlessAsked("other CDs boot in any case");
        var path = (await MediaImage.GetAsync()).MemtestDisc;
        await using var machine = Machine.Create(await DefinitionAsync(uefi, 2, isDisc ? new CdromDevice { Path = path } : Disk(path)));
        _ = machine.RunAsync(Cancellation);
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
        while (machine.Screen.Look().Pixels.Count(pixel => pixel == 0x0000aa) < 50_000) await poll.WaitForNextTickAsync(Cancellation);
        // It goes on testing.
        var before = machine.Screen.Look().Pixels;
        while (machine.Screen.Look().Pixels is var now && before.Length == now.Length && before.AsSpan().SequenceEqual(now)) await poll.WaitForNextTickAsync(Cancellation);
    }

    [Fact]
    public async Task A_boot_by_UEFI_from_a_CD_that_is_saved_at_any_moment_goes_on()
    {
        AllTests.SkipUnlessAsked("it saves a machine again and again");
        var definition = await DefinitionAsync(uefi: true, 2, new CdromDevice { Path = (await MediaImage.GetAsync()).GrubDisc });
        var boot = await SavedBoot.RunAsync(definition, _folder, 40, 40, Cancellation, prompt: "grub>");
        await using var machine = boot.Machine;
        await machine.Serial.WriteAsync("lspci\r", Cancellation);
        await boot.Screen.WaitAsync("8086:7010", Cancellation);
    }
}
