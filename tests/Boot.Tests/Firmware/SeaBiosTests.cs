// Debian's SeaBIOS on a machine: it finds the disks by the tables that it is given, begins the boot loader on one of them over the serial
// port, and what that loads finds the machine by SeaBIOS' word. Through resets, and saved and loaded at any moment of it.
using Lamina.Core.Input;
using Lamina.Tests.Boot.Linux;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Firmware;

public sealed class SeaBiosTests : IDisposable
{
    private const ulong MiB = 1 << 20;
    private const string Prompt = "~ # ", Down = "\e[B";

    // A host with other work takes its time.
    private readonly CancellationTokenSource _patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-firmware-").FullName;

    public static TheoryData<string> OneOfEach => GuestConfiguration.OneOfEachWhereAsked;

    // With one CPU on the machine pc, where SeaBIOS gives the devices their places.
    public static TheoryData<string> OneOfEachAndPc => [.. OneOfEach.Select(one => one.Data), GuestConfiguration.Pc];

    public SeaBiosTests() => _patience.CancelAfter(TimeSpan.FromMinutes(8));

    private CancellationToken Cancellation => _patience.Token;

    public void Dispose()
    {
        _patience.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task<MachineDefinition> DefinitionAsync(string name, params DiskDevice[] disks)
    {
        var configuration = GuestConfiguration.Of(name);
        return new MachineDefinition
        {
            Type = configuration.Machine,
            Engine = configuration.Engine,
            Irqchip = TestEngine.Irqchip,
            Cpus = configuration.Cpus,
            MemoryBytes = configuration.MemoryBytes,
            Boot = new BootSource { Firmware = await SeaBiosImage.GetAsync() },
            Devices = [new SerialDevice { To = new ConsoleTarget.Memory() }, .. disks],
        };
    }

    private static async Task<DiskDevice> GrubAsync() => new() { Path = await GrubDisk.GetAsync(), Format = ImageFormat.Raw, ReadOnly = true };

    private string Blank(string name)
    {
        var path = Path.Combine(_folder, name);
        File.WriteAllBytes(path, new byte[MiB]);
        return path;
    }

    [Theory]
    [MemberData(nameof(OneOfEachAndPc))]
    public async Task A_disk_boots_by_the_boot_loader_in_it_and_its_kernel_finds_the_machine(string name)
    {
        var definition = await DefinitionAsync(name, await GrubAsync());
        await using var guest = await LinuxGuest.BootAsync(definition);

        var screen = new SerialScreen(guest.Machine);
        foreach (var text in (string[])["SeaBIOS (version", "Booting from Hard Disk", "GRUB", "~ # "]) await screen.WaitAsync(text, Cancellation);
        Assert.Equal($"{definition.Cpus}\n", await guest.DoAsync("nproc"));
        Assert.Equal($"Lamina\n{(definition.Type == MachineType.Pc ? "pc" : "micro")}\n", await guest.DoAsync("cat /sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_name"));
        Assert.Equal("vda\nvda1\n", await guest.DoAsync("ls /dev | grep vd"));
        Assert.Contains("BOOT_IMAGE=/boot/kernel", await guest.DoAsync("cat /proc/cmdline"), StringComparison.Ordinal);
        var log = await guest.DoAsync("dmesg");
        Assert.Contains("SMBIOS 2.8 present", log, StringComparison.Ordinal);
        Assert.Matches(@"ACPI: DSDT 0x\w+ \w+ \(v02 LAMINA", log);
        Assert.Equal("\\_SB_.VGEN\n", await guest.DoAsync("cat /sys/bus/acpi/devices/LMNA0001:00/path"));
        Assert.Matches("^ *0 .*enabled", await guest.DoAsync("cat /sys/firmware/acpi/interrupts/gpe01"));
        KernelLog.AssertNoComplaints(log);
        Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));

        await guest.TypeAsync("reboot");
        await screen.WaitAsync("SeaBIOS (version", Cancellation);
        await screen.WaitAsync("GRUB", Cancellation);
        // The prompt at which it was typed stands before that.
        await guest.WaitAsync("BusyBox v");
        await guest.WaitForPromptAsync();
        Assert.Equal($"{definition.Cpus}\n", await guest.DoAsync("nproc"));
        await guest.TypeAsync("poweroff");
        Assert.Equal(MachineEnd.PoweredOff, (await guest.EndAsync()).End);
    }

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task A_boot_that_is_saved_and_goes_on_at_any_moment_of_it_ends_as_any_other(string name)
    {
        // SeaBIOS takes a part of a second, GRUB some seconds, the kernel some more.
        var moments = AllTests.AreAsked ? 60 : 12;
        var boot = await SavedBoot.RunAsync(await DefinitionAsync(name, await GrubAsync()), _folder, moments, moments / 3, Cancellation);
        await using var machine = boot.Machine;
        await machine.Serial.WriteLineAsync("echo sum-$((6*7)); dmesg | grep -c 'Call Trace'; reboot", Cancellation);
        Assert.Contains("sum-42\r\n0\r\n", await boot.Screen.WaitAsync("SeaBIOS (version", Cancellation), StringComparison.Ordinal);
        await boot.Screen.WaitAsync(Prompt, Cancellation);
    }

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task Memtest_finds_no_error(string name)
    {
        AllTests.SkipUnlessAsked("memtest86+ takes minutes");
        var definition = await DefinitionAsync(name, await GrubAsync()) with { MemoryBytes = 32 * MiB };
        await using var machine = Machine.Create(definition);
        var run = machine.RunAsync(Cancellation);
        // A key that waits already when the menu appears keeps it from counting down.
        var screen = new SerialScreen(machine);
        await screen.WaitAsync("GRUB loading", Cancellation);
        await machine.Serial.WriteAsync(Down, Cancellation);
        await screen.WaitAsync("*memtest", Cancellation);
        await machine.Serial.WriteAsync("\r", Cancellation);

        // All tests but the last one, which waits for minutes.
        var shown = await screen.WaitAsync("[Bit fade test", Cancellation);

        Assert.Contains("[Modulo 20", shown, StringComparison.Ordinal);
        Assert.Contains($"{definition.Cpus} Cores", shown, StringComparison.Ordinal);
        Assert.DoesNotMatch("Errors: *[1-9]", shown);
        await machine.Serial.WriteAsync("\e", Cancellation);
        // It resets the machine when it is left.
        await screen.WaitAsync("SeaBIOS (version", Cancellation);
        Assert.False(run.IsCompleted);
    }

    [Fact]
    public async Task On_pc_a_keyboard_is_typed_at_in_the_boot_menu_and_in_Linux()
    {
        const string text = "The quick brown fox, 2 * {x} = \"~\"";
        var definition = await DefinitionAsync(GuestConfiguration.Pc, new DiskDevice { Path = Blank("first.raw"), Format = ImageFormat.Raw }, await GrubAsync());
        await using var machine = Machine.Create(definition with { Boot = definition.Boot with { BootMenu = true } });
        _ = machine.RunAsync(Cancellation);
        var screen = new SerialScreen(machine);
        await screen.WaitAsync("Press ESC for boot menu", Cancellation);
        await TypeAsync("\e");
        await screen.WaitAsync("2. Virtio disk", Cancellation);
        await TypeAsync("2");
        await screen.WaitAsync(Prompt, Cancellation);
        await machine.Serial.WriteLineAsync("dmesg | grep -e i8042 -e Translated; echo log-$((6*7)); (head -n 1 /dev/tty1 >/tmp/typed; echo end-$((6*7)); cat /tmp/typed; echo end-$((6*8))) & sleep 1; echo waits-$((6*7))", Cancellation);
        var log = await screen.WaitAsync("log-42", Cancellation);
        foreach (var found in (string[])["i8042: PNP: PS/2 Controller [PNP0303:KBD,PNP0f13:MOU]", "serio: i8042 KBD port", "serio: i8042 AUX port", "AT Translated Set 2 keyboard"]) Assert.Contains(found, log, StringComparison.Ordinal);
        await screen.WaitAsync("waits-42", Cancellation);

        await TypeAsync(text + "\n");

        await screen.WaitAsync("end-42", Cancellation);
        Assert.Contains(text, await screen.WaitAsync("end-48", Cancellation), StringComparison.Ordinal);

        Task TypeAsync(string written) => machine.TypeAsync(KeyboardLayout.Find("us")!.Write(written).Strokes, cancellationToken: Cancellation);
    }

    [Fact]
    public async Task The_first_disk_is_booted_and_the_menu_lists_all()
    {
        var first = GuestConfiguration.OneOfEach.First().Data;
        var definition = await DefinitionAsync(first, new DiskDevice { Path = Blank("first.raw"), Format = ImageFormat.Raw }, await GrubAsync());
        await using (var machine = Machine.Create(definition))
        {
            _ = machine.RunAsync(Cancellation);
            await new SerialScreen(machine).WaitAsync("not a bootable disk", Cancellation);
        }
        definition = definition with { Boot = definition.Boot with { BootMenu = true } };
        await using (var machine = Machine.Create(definition))
        {
            _ = machine.RunAsync(Cancellation);
            var screen = new SerialScreen(machine);
            await screen.WaitAsync("Press ESC for boot menu", Cancellation);
            await machine.Serial.WriteAsync("\e", Cancellation);
            Assert.Contains("1. Virtio disk mmio:0xfeb02000", await screen.WaitAsync("2. Virtio disk", Cancellation), StringComparison.Ordinal);
            await machine.Serial.WriteAsync("2", Cancellation);
            Assert.DoesNotContain("not a bootable disk", await screen.WaitAsync("GRUB", Cancellation), StringComparison.Ordinal);
        }
    }
}
