// Debian's OVMF on the machine pc: UEFI finds the disk, begins the boot loader on it, and what that loads finds the machine by UEFI's word;
// saved and loaded at moments of it.
using Lamina.Tests.Boot.Linux;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Firmware;

public sealed class OvmfTests : IDisposable
{
    private const string Mount = "{ test -d /sys/firmware/efi/efivars/ && grep -q efivarfs /proc/mounts || { insmod /uefi/*efivarfs.ko; mount -t efivarfs efivarfs /sys/firmware/efi/efivars; }; }";
    private const string Guid = "9a1d9b62-4c3e-4d55-8a70-5b1f6a0a7c11";
    private const string Variable = $"/sys/firmware/efi/efivars/Kept-{Guid}";

    // Before its content a variable's file has four bytes of attributes: here not volatile, and for boot services and at run time.
    private const string WriteVariable = $"{Mount} && printf '\\007\\000\\000\\000kept' > {Variable} && sync";
    private const string ReadVariable = $"{Mount} && tail -c +5 {Variable} && echo";

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
        Assert.Equal("\\_SB_.VGEN\n", await guest.DoAsync("cat /sys/bus/acpi/devices/LMNA0001:00/path"));
        Assert.Matches("^ *0 .*enabled", await guest.DoAsync("cat /sys/firmware/acpi/interrupts/gpe01"));
        KernelLog.AssertNoComplaints(log);
        Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));
        // UEFI found its flash chip, and keeps its variables there.
        Assert.NotEqual(0, guest.Machine.Counters.Single(counter => counter.Name == "flash_programmed_bytes").Value);
        await guest.DoAsync(WriteVariable);
        await guest.TypeAsync("reboot");
        await guest.WaitAsync("BdsDxe: starting");
        await guest.WaitForPromptAsync();
        Assert.Equal("kept\n", await guest.DoAsync(ReadVariable));
        await guest.TypeAsync("poweroff");
        Assert.Equal(MachineEnd.PoweredOff, (await guest.EndAsync()).End);
    }

    [Fact]
    public async Task Variables_are_there_when_the_machine_was_killed_and_starts_anew()
    {
        AllTests.SkipUnlessAsked("it boots UEFI twice");
        var hooks = new MachineHooks { FirmwareVariables = Path.Combine(_folder, "variables.fd") };
        var kept = Path.Combine(_folder, "killed.fd");
        await using (var guest = await LinuxGuest.BootAsync(await DefinitionAsync(1), hooks))
        {
            await guest.DoAsync(WriteVariable);
            // What is there now is what a killed process leaves.
            File.Copy(hooks.FirmwareVariables, kept);
        }
        await using var next = await LinuxGuest.BootAsync(await DefinitionAsync(1), hooks with { FirmwareVariables = kept });
        Assert.Equal("kept\n", await next.DoAsync(ReadVariable));
    }

    [Fact]
    public async Task The_shell_sets_a_variable_and_has_it_after_a_reset_and_in_the_next_machine()
    {
        var hooks = new MachineHooks { FirmwareVariables = Path.Combine(_folder, "variables.fd") };
        var definition = await DefinitionAsync(1);
        definition = definition.Without<DiskDevice>();
        await using (var machine = Machine.Create(definition, hooks))
        {
            _ = machine.RunAsync(Cancellation);
            var screen = new SerialScreen(machine);
            await ShellAsync(machine, screen);
            Assert.Contains("Mapping table", await AskAsync(machine, screen, "map"), StringComparison.Ordinal);
            await AskAsync(machine, screen, $"setvar Typed -guid {Guid} -nv -bs -rt =H\"4c616d696e61\"");
            Assert.Contains("4C 61 6D 69 6E 61", await AskAsync(machine, screen, $"dmpstore Typed -guid {Guid}"), StringComparison.Ordinal);
            await machine.Serial.WriteAsync("reset\r", Cancellation);
            await ShellAsync(machine, screen);
            Assert.Contains("4C 61 6D 69 6E 61", await AskAsync(machine, screen, $"dmpstore Typed -guid {Guid}"), StringComparison.Ordinal);
        }
        await using var next = Machine.Create(definition, hooks);
        _ = next.RunAsync(Cancellation);
        var shown = new SerialScreen(next);
        await ShellAsync(next, shown);
        Assert.Contains("4C 61 6D 69 6E 61", await AskAsync(next, shown, $"dmpstore Typed -guid {Guid}"), StringComparison.Ordinal);
    }

    // It looks for a script first, at once where a key is pressed; ESC alone might become a longer sequence, which it waits for.
    private async Task ShellAsync(Machine machine, SerialScreen screen)
    {
        await screen.WaitAsync("to skip", Cancellation);
        await machine.Serial.WriteAsync("\r", Cancellation);
        await screen.WaitAsync("Shell> ", Cancellation);
    }

    private async Task<string> AskAsync(Machine machine, SerialScreen screen, string command)
    {
        await machine.Serial.WriteAsync($"{command}\r", Cancellation);
        return await screen.WaitAsync("Shell> ", Cancellation);
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
