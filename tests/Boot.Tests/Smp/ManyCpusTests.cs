// Machines with several virtual CPUs: a guest of a few instructions starts them as the manual says (INIT, start-up), and the
// machine is paused, reset and stopped while all of them run or halt.
using Lamina.Engines.Kvm;
using Lamina.Tests.Support;
using Xunit;

namespace Lamina.Tests.Smp;

public sealed class ManyCpusTests
{
    // The page at which started CPUs begin, and the word in which they count themselves.
    private const uint Trampoline = 0x7_0000, Counter = 0x7_0100, CommandRegister = 0xFEE0_0300;
    private const uint InitOthers = 0xC_4500, StartOthers = 0xC_4600 | Trampoline >> 12;
    private const ushort Com1 = 0x3F8;

    private static readonly byte[] s_halt = [0xF4, 0xEB, 0xFD], s_spin = [0xF3, 0x90, 0xEB, 0xFC];

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public static TheoryData<int, bool> CountsAndWays => new() { { 2, false }, { 2, true }, { 5, false }, { 16, false } };

    [Theory]
    [MemberData(nameof(CountsAndWays))]
    public async Task Every_CPU_is_started_and_the_machine_is_paused_reset_and_stopped(int cpus, bool spins)
    {
        SkipWithoutKvm();
        using var file = new KernelFile(Kernel(cpus, spins));
        await using var machine = Machine.Create(Spec(file.Path, cpus));
        var run = machine.RunAsync(TestContext.Current.CancellationToken);
        for (var round = 0; round < 3; round++)
        {
            using var patience = new CancellationTokenSource(Patience);
            await machine.Serial.ReadUntilAsync("up", patience.Token);
            await machine.PauseAsync().WaitAsync(Patience, TestContext.Current.CancellationToken);
            await machine.ResumeAsync().WaitAsync(Patience, TestContext.Current.CancellationToken);
            await machine.ResetAsync().WaitAsync(Patience, TestContext.Current.CancellationToken);
        }

        await machine.StopAsync().WaitAsync(Patience, TestContext.Current.CancellationToken);

        Assert.Equal(MachineEnd.Stopped, (await run).End);
        Assert.Equal(3, machine.Statistics["resets"]);
    }

    [Fact]
    public async Task A_machine_whose_other_CPUs_are_never_started_ends_as_its_first_one_says()
    {
        SkipWithoutKvm();
        using var file = new KernelFile(TestKernels.Long(new Code(TestKernels.Origin).Exit(9)));
        await using var machine = Machine.Create(Spec(file.Path, cpus: 8));

        Assert.Equal(GuestRun.CodeOf(9), (await machine.RunAsync(TestContext.Current.CancellationToken).WaitAsync(Patience, TestContext.Current.CancellationToken)).DebugExitCode);
    }

    [Fact]
    public async Task A_triple_fault_of_any_CPU_is_the_machines()
    {
        SkipWithoutKvm();
        // lidt [0x80], which is zeros; mov eax, cr0; or al, 1; mov cr0, eax; a load of ES from an empty table
        byte[] faults = [0x0F, 0x01, 0x1E, 0x80, 0x00, 0x0F, 0x20, 0xC0, 0x0C, 0x01, 0x0F, 0x22, 0xC0, 0xB8, 0x18, 0x00, 0x8E, 0xC0];
        using var file = new KernelFile(Kernel(cpus: 2, faults));
        await using var machine = Machine.Create(Spec(file.Path, cpus: 2) with { NoReboot = true });

        Assert.Equal(MachineEnd.TripleFault, (await machine.RunAsync(TestContext.Current.CancellationToken).WaitAsync(Patience, TestContext.Current.CancellationToken)).End);
    }

    private static void SkipWithoutKvm()
    {
        var missing = KvmSupport.WhyNot();
        Assert.SkipWhen(missing is not null, $"only KVM runs several virtual CPUs: {missing}");
    }

    private static MachineSpec Spec(string kernel, int cpus) => GuestRun.Spec(kernel) with { Engine = EngineChoice.Kvm, Cpus = cpus, NoReboot = false, Timeout = null };

    private static byte[] Kernel(int cpus, bool spins) => Kernel(cpus, spins ? s_spin : s_halt);

    private static byte[] Kernel(int cpus, byte[] others)
    {
        var code = new Code(TestKernels.Origin)
            .With32([0xC7, 0x04, 0x25], Counter).With32([], 0)
            .With32([0xB8], CommandRegister)                            // mov eax, CommandRegister
            .With32([0xC7, 0x00], InitOthers)                           // mov dword [rax], InitOthers
            .With32([0xC7, 0x00], StartOthers)
            .Label("wait")
            .Raw(0xF3, 0x90)                                            // pause
            .With32([0x81, 0x3C, 0x25], Counter).With32([], (uint)cpus - 1) // cmp dword [Counter], cpus - 1
            .To([0x0F, 0x85], "wait")
            .Out8(Com1, (byte)'u').Out8(Com1, (byte)'p')
            .Raw(0xF4, 0xEB, 0xFD);
        // 16 bits: mov ax, cs; mov ds, ax; lock inc dword [0x100]
        byte[] trampoline = [0x8C, 0xC8, 0x8E, 0xD8, 0xF0, 0x66, 0xFF, 0x06, 0x00, 0x01, .. others];
        return TestKernels.Long(code, (Trampoline, trampoline));
    }
}
