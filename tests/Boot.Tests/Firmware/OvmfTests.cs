// Debian's OVMF on the machine pc: UEFI finds the disk, begins the boot loader on it, and what that loads finds the machine by UEFI's word;
// saved and loaded at moments of it.
using Lamina.Tests.Boot.Linux;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Firmware;

public sealed class OvmfTests : IDisposable
{
    // A host with other work takes its time.
    private readonly CancellationTokenSource _patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-uefi-").FullName;

    public OvmfTests() => _patience.CancelAfter(TimeSpan.FromMinutes(10));

    private CancellationToken Cancellation => _patience.Token;

    public void Dispose()
    {
        _patience.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static async Task<MachineDefinition> DefinitionAsync(int cpus)
    {
        var configuration = GuestConfiguration.Of(GuestConfiguration.Pc);
        var (firmware, disk) = await UefiDisk.GetAsync();
        return new MachineDefinition
        {
            Type = MachineType.Pc,
            Engine = configuration.Engine,
            Irqchip = TestEngine.Irqchip,
            Cpus = cpus,
            MemoryBytes = 512ul << 20,
            Boot = new BootSource { Firmware = firmware },
            Devices = [new SerialDevice { To = new ConsoleTarget.Memory() }, new DiskDevice { Path = disk, Format = ImageFormat.Raw, ReadOnly = true }],
        };
    }

    [Fact]
    public async Task A_disk_boots_by_UEFI_and_its_kernel_finds_the_machine()
    {
        await using var guest = await LinuxGuest.BootAsync(await DefinitionAsync(2));

        Assert.Equal("2\n", await guest.DoAsync("nproc"));
        var log = await guest.DoAsync("dmesg");
        Assert.Contains("EFI v2.7", log, StringComparison.Ordinal);
        Assert.Contains("ACPI 2.0=", log, StringComparison.Ordinal);
        Assert.Empty(KernelLog.ComplaintsIn(log));
        Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));
        // UEFI found its flash chip, and keeps its variables there.
        Assert.NotEqual(0, guest.Machine.Counters.Single(counter => counter.Name == "flash_programmed_bytes").Value);
        await guest.TypeAsync("reboot");
        await guest.WaitAsync("BdsDxe: starting");
        await guest.WaitForPromptAsync();
        await guest.TypeAsync("poweroff");
        Assert.Equal(MachineEnd.PoweredOff, (await guest.EndAsync()).End);
    }

    [Fact]
    public async Task A_boot_by_UEFI_that_is_saved_and_goes_on_at_any_moment_ends_as_any_other()
    {
        var boot = await SavedBoot.RunAsync(await DefinitionAsync(1), _folder, AllTests.AreAsked ? 60 : 6, 0, Cancellation);
        await using var machine = boot.Machine;
        await machine.Serial.WriteLineAsync("echo sum-$((6*7)); dmesg | grep -c 'Call Trace'; poweroff", Cancellation);
        Assert.Contains("sum-42\r\n0\r\n", await boot.Screen.WaitAsync("\n0\r\n", Cancellation), StringComparison.Ordinal);
        Assert.Equal(MachineEnd.PoweredOff, (await boot.Run.WaitAsync(Cancellation)).End);
    }
}
