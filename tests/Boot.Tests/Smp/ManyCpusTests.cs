// Machines with several virtual CPUs: a guest of a few instructions starts them as the manual says (INIT, start-up), and the
// machine is paused, reset and stopped while all of them run or halt.
using Lamina.Choice;
using Lamina.Engines.Kvm;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Smp;

public sealed class ManyCpusTests
{
    // The page at which started CPUs begin, and the word in which they count themselves.
    private const uint Trampoline = 0x7_0000, Counter = 0x7_0100, CommandRegister = 0xFEE0_0300;
    private const uint InitOthers = 0xC_4500, StartOthers = 0xC_4600 | Trampoline >> 12;
    private const ushort Com1 = 0x3F8;

    private static readonly byte[] s_halt = [0xF4, 0xEB, 0xFD], s_spin = [0xF3, 0x90, 0xEB, 0xFC];

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public static TheoryData<EngineChoice, int, bool> CountsAndWays => new(
        from engine in Engines
        from way in ((int, bool)[])[(2, false), (2, true), (5, false), (16, false)]
        select (engine, way.Item1, way.Item2));

    public static TheoryData<EngineChoice> OneOfEach => [.. Engines];

    private static IEnumerable<EngineChoice> Engines =>
        ((EngineChoice[])[EngineChoice.Translator, EngineChoice.Kvm]).Where(engine => TestEngine.Only is not { } only || engine == only);

    [Theory]
    [MemberData(nameof(CountsAndWays))]
    public async Task Every_CPU_is_started_and_the_machine_is_paused_reset_and_stopped(EngineChoice engine, int cpus, bool spins)
    {
        SkipWithout(engine);
        using var file = new KernelFile(Kernel(cpus, spins));
        await using var machine = Machine.Create(Spec(engine, file.Path, cpus));
        var run = machine.RunAsync(TestContext.Current.CancellationToken);
        for (var round = 0; round < 3; round++)
        {
            using var patience = new CancellationTokenSource(Patience);
            await machine.Serial.ReadUntilAsync("up", patience.Token);
            await machine.PauseAsync(TestContext.Current.CancellationToken).WaitAsync(Patience, TestContext.Current.CancellationToken);
            await machine.ResumeAsync(TestContext.Current.CancellationToken).WaitAsync(Patience, TestContext.Current.CancellationToken);
            await machine.ResetAsync(TestContext.Current.CancellationToken).WaitAsync(Patience, TestContext.Current.CancellationToken);
        }

        await machine.StopAsync(TestContext.Current.CancellationToken).WaitAsync(Patience, TestContext.Current.CancellationToken);

        Assert.Equal(MachineEnd.Stopped, (await run).End);
        Assert.Equal(3, machine.Count("machine_resets"));
    }

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task A_machine_whose_other_CPUs_are_never_started_ends_as_its_first_one_says(EngineChoice engine)
    {
        SkipWithout(engine);
        using var file = new KernelFile(TestKernels.Long(new Code(TestKernels.Origin).Exit(9)));
        await using var machine = Machine.Create(Spec(engine, file.Path, cpus: 8));

        Assert.Equal(GuestRun.CodeOf(9), (await machine.RunAsync(TestContext.Current.CancellationToken).WaitAsync(Patience, TestContext.Current.CancellationToken)).DebugExitCode);
    }

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task A_triple_fault_of_any_CPU_is_the_machines(EngineChoice engine)
    {
        SkipWithout(engine);
        // lidt [0x80], which is zeros; mov eax, cr0; or al, 1; mov cr0, eax; a load of ES from an empty table
        byte[] faults = [0x0F, 0x01, 0x1E, 0x80, 0x00, 0x0F, 0x20, 0xC0, 0x0C, 0x01, 0x0F, 0x22, 0xC0, 0xB8, 0x18, 0x00, 0x8E, 0xC0];
        using var file = new KernelFile(Kernel(cpus: 2, faults));
        await using var machine = Machine.Create(Spec(engine, file.Path, cpus: 2) with { NoReboot = true });

        Assert.Equal(MachineEnd.TripleFault, (await machine.RunAsync(TestContext.Current.CancellationToken).WaitAsync(Patience, TestContext.Current.CancellationToken)).End);
    }

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task Locked_additions_of_two_CPUs_lose_nothing_even_across_pages(EngineChoice engine)
    {
        SkipWithout(engine);
        // "kvm: emulating exchange as write", says the kernel then.
        Assert.SkipWhen(engine == EngineChoice.Kvm && !new KvmHost().Judge().IsHardware, "/dev/kvm is software-assisted here: the kernel emulates the guest, and locked operations across pages not as atomic");
        const int times = 20_000;
        // 16 bits: mov ecx, times; again: lock inc dword [0xFFE]; lock inc dword [0xF00]; loopd again; lock inc dword [0xE00]; hlt
        byte[] adds =
        [
            0x66, 0xB9, .. BitConverter.GetBytes(times), 0xF0, 0x66, 0xFF, 0x06, 0xFE, 0x0F, 0xF0, 0x66, 0xFF, 0x06, 0x00, 0x0F, 0x67, 0xE2, 0xF1,
            0xF0, 0x66, 0xFF, 0x06, 0x00, 0x0E, 0xF4, 0xEB, 0xFD,
        ];
        var code = Start(new Code(TestKernels.Origin))
            .With32([0xB9], times)                                              // mov ecx, times
            .Label("again")
            .With32([0xF0, 0xFF, 0x04, 0x25], Trampoline + 0xFFE)
            .With32([0xF0, 0xFF, 0x04, 0x25], Trampoline + 0xF00)
            .Raw(0xFF, 0xC9)                                                    // dec ecx
            .To([0x0F, 0x85], "again")
            .Label("wait")
            .Raw(0xF3, 0x90)
            .With32([0x83, 0x3C, 0x25], Trampoline + 0xE00).Raw(1)              // cmp dword [done], 1
            .To([0x0F, 0x85], "wait")
            .With32([0x81, 0x3C, 0x25], Trampoline + 0xFFE).With32([], 2 * times)
            .To([0x0F, 0x85], "lost")
            .With32([0x81, 0x3C, 0x25], Trampoline + 0xF00).With32([], 2 * times)
            .To([0x0F, 0x85], "lost")
            .Exit(1)
            .Label("lost")
            .Exit(2);
        using var file = new KernelFile(TestKernels.Long(code, (Trampoline, [0x8C, 0xC8, 0x8E, 0xD8, .. adds])));
        await using var machine = Machine.Create(Spec(engine, file.Path, cpus: 2));

        Assert.Equal(GuestRun.CodeOf(1), (await machine.RunAsync(TestContext.Current.CancellationToken).WaitAsync(Patience, TestContext.Current.CancellationToken)).DebugExitCode);
    }

    private static void SkipWithout(EngineChoice engine)
    {
        var missing = engine == EngineChoice.Kvm ? KvmSupport.WhyNot() : null;
        Assert.SkipWhen(missing is not null, $"KVM cannot run here: {missing}");
    }

    private static MachineDefinition Spec(EngineChoice engine, string kernel, int cpus) => GuestRun.Spec(kernel) with { Engine = engine, Cpus = cpus, NoReboot = false, Timeout = null };

    private static byte[] Kernel(int cpus, bool spins) => Kernel(cpus, spins ? s_spin : s_halt);

    private static byte[] Kernel(int cpus, byte[] others)
    {
        var code = Start(new Code(TestKernels.Origin).With32([0xC7, 0x04, 0x25], Counter).With32([], 0))
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

    private static Code Start(Code code) => code
        .With32([0xB8], CommandRegister)                            // mov eax, CommandRegister
        .With32([0xC7, 0x00], InitOthers)                           // mov dword [rax], InitOthers
        .With32([0xC7, 0x00], StartOthers);
}
