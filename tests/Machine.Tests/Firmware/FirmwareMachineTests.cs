// Machines that begin with firmware: from the processor's first instruction, through resets, and from one process to another.
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Machines.Firmware;

public sealed class FirmwareMachineTests : IDisposable
{
    private readonly KernelFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    private MachineDefinition Definition(byte[] image)
    {
        File.WriteAllBytes(_folder.In("bios.bin"), image);
        return new()
        {
            Boot = new BootSource { Firmware = _folder.In("bios.bin") },
            MemoryBytes = 16 << 20,
            Engine = EngineChoice.Translator,
            DebugExitPort = 0xf4,
            Devices = [new SerialDevice { To = new ConsoleTarget.Memory() }],
        };
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Firmware_begins_at_its_end_works_in_its_copy_and_finds_that_made_anew_after_each_reset(int cpus)
    {
        await using var machine = Machine.Create(Definition(TestFirmware.Image) with { Cpus = cpus });
        var run = machine.RunAsync(Token);
        await machine.Serial.WriteAsync("x", Token);

        var result = await run;

        Assert.Equal((MachineEnd.DebugExit, TestFirmware.Success), (result.End, result.DebugExitCode));
    }

    [Theory]
    [InlineData(64 << 10)]
    [InlineData(256 << 10)]
    [InlineData(4 << 20)]
    [InlineData(16 << 20)]
    public async Task Firmware_of_any_length_ends_at_4_GiB_and_at_1_MiB(int length)
    {
        await using var machine = Machine.Create(Definition(TestFirmware.Other(length)));

        Assert.Equal(TestFirmware.Failure, (await machine.RunAsync(Token)).DebugExitCode);
    }

    [Fact]
    public async Task A_machine_goes_on_and_starts_again_with_the_firmware_that_it_began_with()
    {
        var machine = Machine.Create(Definition(TestFirmware.Image));
        var run = machine.RunAsync(Token);
        await machine.PauseAsync(Token);
        await machine.SaveAsync(_folder.In("saved"), Token);
        await machine.DisposeAsync();
        await run;
        // The package was brought up to date meanwhile; the new image is longer, too.
        File.WriteAllBytes(_folder.In("bios.bin"), TestFirmware.Other(128 << 10));

        await using var restored = Machine.Restore(_folder.In("saved"));
        run = restored.RunAsync(Token);
        await restored.Serial.WriteAsync("x", Token);

        Assert.Equal(TestFirmware.Success, (await run).DebugExitCode);
    }

    [Fact]
    public async Task Its_parts_can_be_looked_at()
    {
        await using var machine = Machine.Create(Definition(TestFirmware.Image) with { Cpus = 2 });
        var run = machine.RunAsync(Token);

        var seen = (await machine.InspectAsync("firmware", Token)).ToString();

        Assert.Contains("firmware ROM", seen, StringComparison.Ordinal);
        Assert.Contains("start: 0xffff0000", seen, StringComparison.Ordinal);
        Assert.Contains("etc-table-loader", seen, StringComparison.Ordinal);
        await machine.Serial.WriteAsync("x", Token);
        await run;
    }

    [Fact]
    public void A_machine_with_nothing_to_boot_is_told_so() =>
        Assert.Contains("nothing to boot", Assert.Throws<MachineException>(() => Machine.Create(new MachineDefinition())).Message, StringComparison.Ordinal);
}
