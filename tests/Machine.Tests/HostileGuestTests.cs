// Guests that do all they can do wrong, on the real engine: whatever they do ends in an orderly report. Each is a flat
// Multiboot image of a few instructions; its source stands beside the bytes (assembled with NASM, org 0x200040).
using Lamina.Tests.Machines.Boot;
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Machines;

public sealed class HostileGuestTests : IDisposable
{
    private const ushort DebugExit = 0xF4;
    private const int Code = 0x40, ExitCode = 0x21;

    // mov eax, 0xF0000000; jmp eax
    private const string JumpToNowhere = "b8000000f0ffe0";

    // lidt [nothing]; int3; nothing: dw 0; dd 0
    private const string NullInterruptTable = "0f011d48002000cc000000000000";

    // mov esp, 0xF0000000; push eax; call far [0]
    private const string StackNowhere = "bc000000f050ff1d00000000";

    // For each port but those of the debug exit: out of 0 and in, with 8, 16 and 32 bits; then 0x10 to the debug exit.
    private const string EveryPort = "31d289d02df400000083f804720a31c0ee66efefec66eded664275e666baf400b010eef4";

    // Each page of the hole; then each byte of the virtio devices', the I/O APIC's and the local APIC's registers with
    // accesses of all sizes and alignments; then the debug exit.
    private const string EveryDeviceRegister =
        "bf000000c0c707ffffffff8b0781c70010000075f0bf0000b0fe8b07c707ffffffffc6070166c747025555c707000000004781ff0080b0fe72e0"
        + "bf0000c0fe8b07c707ffffffffc6070183c70181ff0008c0fe72eabf0000e0fe8b07c7070000010083c70481ff0004e0fe72ed66baf400b010eef4";

    // cld; mov edi, 0x300000; mov ecx, (64 MiB - 0x300000) / 4; mov eax, 0xA5A5A5A5; rep stosd; then the debug exit.
    private const string AllOfMemory = "fcbf00003000b90000f400b8a5a5a5a5f3ab66baf400b010eef4";

    // An IDT whose #GP handler skips the two bytes of WRMSR or RDMSR; then writes of three values to, and reads of, each
    // of the MSRs from 0, 0x4B564D00, 0x40000000 and 0xC0000000 on; then the debug exit.
    private const string EveryMsr =
        "0f011d90002000bc00802000be960020008b0e8b6e0485ed742383c608b8ffffffff89c20f300f3231c031d20f30b801f0ffff31d20f30414d75e2ebd466baf400b010eef483c40483042402cf9090906f00c00020000000000000200000004d564b200000000000004000020000000000c0002000000000"
        + "0000000000009090000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000085001000008e2000";

    private readonly KernelFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(JumpToNowhere)]
    [InlineData(NullInterruptTable)]
    [InlineData(StackNowhere)]
    public async Task A_guest_that_loses_itself_ends_in_a_triple_fault(string code) =>
        Assert.Equal(MachineEnd.TripleFault, (await RunAsync(code)).End);

    [Theory]
    [InlineData(EveryPort)]
    [InlineData(EveryDeviceRegister)]
    [InlineData(AllOfMemory)]
    [InlineData(EveryMsr)]
    public async Task A_guest_that_touches_everything_goes_on_to_its_own_end(string code)
    {
        var result = await RunAsync(code);

        Assert.Equal((MachineEnd.DebugExit, ExitCode), (result.End, result.DebugExitCode!.Value));
    }

    [Fact]
    public async Task A_guest_that_faults_for_ever_can_be_stopped()
    {
        await using var machine = Machine.Create(Spec(NullInterruptTable) with { NoReboot = false });
        var run = machine.RunAsync(Token);
        while (machine.Count("machine_resets") < 3) await Task.Yield();

        await machine.StopAsync(Token);

        Assert.Equal(MachineEnd.Stopped, (await run).End);
    }

    [Fact]
    public async Task A_guest_with_64_gibibytes_runs()
    {
        await using var machine = Machine.Create(Spec(EveryPort) with { MemoryBytes = 64ul << 30 });

        Assert.Equal(MachineEnd.DebugExit, (await machine.RunAsync(Token)).End);
    }

    [Fact]
    public void More_memory_than_the_engine_takes_is_refused_in_a_sentence() =>
        Assert.Contains("1 TiB", Assert.Throws<MachineException>(() => Machine.Create(Spec(EveryPort) with { MemoryBytes = 60_000ul << 30 })).Message, StringComparison.Ordinal);

    private async Task<MachineResult> RunAsync(string code)
    {
        await using var machine = Machine.Create(Spec(code));
        return await machine.RunAsync(Token);
    }

    private MachineDefinition Spec(string code)
    {
        var image = KernelImages.MultibootFlat();
        Convert.FromHexString(code).CopyTo(image, Code);
        File.WriteAllBytes(_folder.Kernel, image);
        return new MachineDefinition
        {
            Boot = new BootSource { KernelPath = _folder.Kernel },
            MemoryBytes = 64 << 20,
            DebugExitPort = DebugExit,
            NoReboot = true,
            Timeout = TimeSpan.FromMinutes(2),
        };
    }
}
