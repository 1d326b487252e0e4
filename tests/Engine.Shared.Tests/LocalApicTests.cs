// Local APICs beside every engine, the machine's or the kernel's: level-triggered interrupts come again until their line is
// released, and what one of them remembers goes on on another.
using Lamina.Core.Engine;
using Lamina.Core.Interrupts;
using Lamina.Tests.Engine.Shared.Guest;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared;

public sealed class LocalApicTests
{
    private const uint TaskPriority = 0x808, TimerEntry = 0x832, InitialCount = 0x838, CurrentCount = 0x839, Divide = 0x83E, SelfIpi = 0x83F;
    private const uint IoApic = 0xFEC0_0000;
    private const int TimerVector = 0x60, WaitingVector = 0x75, LevelVector = 0x65, Gsi = 20, LevelTriggered = 1 << 15, RemoteIrr = 1 << 14, Masked = 1 << 16;
    private const byte ExternalBase = 0x50, ExternalInput = 3;

    public static TheoryData<string> Engines => [.. EngineKind.All];

    public static TheoryData<string, string> Directions => TransferTests.Directions;

    // A timer that runs, an interrupt that waits for STI, a task priority.
    private static readonly GuestProgram s_waiting = new(GuestMode.Long, c =>
    {
        LongPrograms.EnterX2Apic(c);
        LongPrograms.WriteMsr(c, TimerEntry, TimerVector);
        LongPrograms.WriteMsr(c, Divide, 0xB);
        LongPrograms.WriteMsr(c, InitialCount, 300_000_000);
        LongPrograms.WriteMsr(c, TaskPriority, 0x20);
        LongPrograms.WriteMsr(c, SelfIpi, WaitingVector);
        c.xor(ebx, ebx);
        c.@out((byte)Layout.LogPort, al);
        c.mov(r10d, ebx);
        LongPrograms.HaltUntil(c, 0x1_0001);
        c.mov(ecx, TaskPriority);
        c.rdmsr();
        c.mov(r8d, eax);
        c.mov(ecx, CurrentCount);
        c.rdmsr();
        c.mov(r9d, eax);
    }, (_, _) => { })
    {
        Prepare = machine =>
        {
            FaultLog.Write64(machine);
            LongPrograms.Handler(machine, TimerVector, Layout.Far32, 1);
            LongPrograms.Handler(machine, WaitingVector, Layout.Far64, 0x1_0000);
        },
    };

    [Theory]
    [MemberData(nameof(Directions))]
    public void A_running_timer_and_a_waiting_interrupt_go_on_on_the_other_engine(string from, string to)
    {
        using var first = new SmallMachine(from);
        first.Logged = _ => first.Vcpu.Kick();
        first.Vcpu.SetState(s_waiting.Load(first));
        Assert.Equal(VcpuExit.Kicked, first.RunTo());
        var (state, apic) = (first.State(), first.LocalApic);
        Assert.Equal((0xFEE0_0D00ul, 0x20u, 1u << (WaitingVector & 31)), (apic.Base, Word(apic, 0x80), Word(apic, 0x200 + ((WaitingVector >> 5) * 16))));
        Assert.InRange(Word(apic, 0x390), 1u, 300_000_000u);

        using var second = new SmallMachine(to);
        s_waiting.Load(second);
        second.Vcpu.SetState(state);
        second.LocalApic = apic;
        var end = second.Run();

        // Each handler ran once, on the second machine; the timer has run out.
        Assert.Equal((0x1_0001ul, 0ul, 0x20ul, 0ul), (end.Gpr[GprIndex.Rbx], end.Gpr[10], end.Gpr[8], end.Gpr[9]));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_timer_that_runs_across_a_pause_comes_once(string engine)
    {
        using var machine = new SmallMachine(engine);
        machine.Logged = _ => machine.Vcpu.Kick();
        machine.Vcpu.SetState(s_waiting.Load(machine));
        Assert.Equal(VcpuExit.Kicked, machine.RunTo());

        // Longer than the timer's count.
        machine.PauseFor(TimeSpan.FromMilliseconds(400));
        var end = machine.Run();

        Assert.Equal(0x1_0001ul, end.Gpr[GprIndex.Rbx]);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_level_triggered_interrupt_comes_again_until_its_line_is_released(string engine) => RunLevelTriggered(engine, masks: false);

    // As kernels do with a handler that is to run in a thread, or whose interrupt moves to another CPU.
    [Theory]
    [MemberData(nameof(Engines))]
    public void A_level_triggered_interrupt_that_is_masked_when_it_ends_comes_again_once_it_is_unmasked(string engine) => RunLevelTriggered(engine, masks: true);

    private static void RunLevelTriggered(string engine, bool masks)
    {
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            LongPrograms.EnterX2Apic(c);
            c.mov(edi, IoApic);
            c.mov(__dword_ptr[rdi], 0x10 + (2 * Gsi) + 1);
            c.mov(__dword_ptr[rdi + 0x10], 0);
            c.mov(__dword_ptr[rdi], 0x10 + (2 * Gsi));
            c.mov(__dword_ptr[rdi + 0x10], LevelVector | LevelTriggered);
            c.xor(ebx, ebx);
            c.mov(al, 1);
            c.@out((byte)Layout.LogPort, al);
            LongPrograms.HaltUntil(c, 3);
            // A fourth would come now.
            c.sti();
            c.nop();
            c.nop();
            c.cli();
        }, (_, _) => { })
        {
            Prepare = machine =>
            {
                FaultLog.Write64(machine);
                FaultLog.SetGate64(machine, LevelVector, Layout.Far32);
                machine.Load(Layout.Far32, Modes.Assemble(64, Layout.Far32, c =>
                {
                    if (masks) c.mov(__dword_ptr[rdi + 0x10], LevelVector | LevelTriggered | Masked);
                    c.inc(ebx);
                    c.mov(eax, ebx);
                    c.shl(eax, 4);
                    c.@out((byte)Layout.LogPort, al);
                    LongPrograms.WriteMsr(c, 0x80B, 0);
                    if (masks) c.mov(__dword_ptr[rdi + 0x10], LevelVector | LevelTriggered);
                    c.iretq();
                }));
            },
        };
        using var machine = new SmallMachine(engine);
        var line = machine.Controllers.Router.CreateLine(Gsi);
        machine.Logged = value => line.SetLevel(value < 0x30);

        var end = program.Run(machine);

        Assert.Equal(3ul, end.Gpr[GprIndex.Rbx]);
        Assert.Equal([0x1000_0001, 0x1000_0010, 0x1000_0020, 0x1000_0030], machine.PortLog);
    }

    // An input that is level triggered and whose interrupt has not ended, another that is masked, an edge that waits in the 8259 pair.
    [Theory]
    [MemberData(nameof(Directions))]
    public void The_other_interrupt_controllers_go_on_on_the_other_engine(string from, string to)
    {
        var entries = new Dictionary<int, ulong> { [Gsi] = LevelVector | LevelTriggered | RemoteIrr, [5] = 0x0100_0000_0001_0039 };
        var state = new IoApicState { Select = 0x18, Id = 3, Lines = 1 << Gsi };
        for (var n = 0; n < IoApicEntries.Count; n++) state.Entries[n] = entries.GetValueOrDefault(n, (ulong)Masked);
        var master = new Pic8259State { Initialised = true, VectorBase = 0x30, Mask = 0x71, Requests = 1 << 3, Lines = 1 << 3, InService = 1 << 6, LevelTriggered = 0x20, SpecialMask = true, ReadInService = true };
        var slave = new Pic8259State { Initialised = true, VectorBase = 0x38, Mask = 0xFF, HighestPriority = 5, AutoEoi = true, ExpectedIcw = 3, NeedsIcw4 = true };
        using var first = new SmallMachine(from);
        first.Controllers.Load(new IrqchipImage(state, master, slave));

        using var second = new SmallMachine(to);
        second.Controllers.Load(first.Controllers.Save());

        var image = second.Controllers.Save();
        Assert.Equal((state.Select, state.Id, state.Lines), (image.IoApic.Select, image.IoApic.Id, image.IoApic.Lines));
        for (var n = 0; n < IoApicEntries.Count; n++) Assert.Equal(state.Entries[n], image.IoApic.Entries[n]);
        Assert.Equal((master, slave), (image.Master, image.Slave));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void An_external_interrupt_wakes_a_halted_vCPU_whose_state_was_set(string engine)
    {
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            c.xor(ebx, ebx);
            // The 8259 pair, with only input 3 let through.
            foreach (var (port, value) in ((byte, byte)[])[(0x20, 0x11), (0x21, ExternalBase), (0x21, 4), (0x21, 1), (0x21, 0xF7)])
            {
                c.mov(al, value);
                c.@out(port, al);
            }
            c.sti();
            c.hlt();
            c.cli();
        }, (_, _) => { })
        {
            Prepare = machine =>
            {
                FaultLog.Write64(machine);
                FaultLog.SetGate64(machine, ExternalBase + ExternalInput, Layout.Far32);
                machine.Load(Layout.Far32, Modes.Assemble(64, Layout.Far32, c =>
                {
                    c.inc(ebx);
                    c.iretq();
                }));
            },
        };
        using var machine = new SmallMachine(engine);
        machine.Vcpu.SetState(program.Load(machine));
        using var kick = new Timer(_ => machine.Vcpu.Kick(), null, 20, 20);
        do Assert.Equal(VcpuExit.Kicked, machine.RunTo());
        while (machine.State().Activity != VcpuActivity.Halted);
        kick.Change(Timeout.Infinite, Timeout.Infinite);

        machine.Vcpu.SetState(machine.State());
        machine.Controllers.Router.CreateIsaLine(ExternalInput).SetLevel(true);
        var exit = machine.RunTo();
        // A kick that was late.
        if (exit == VcpuExit.Kicked && machine.State().Gpr[GprIndex.Rbx] == 0) exit = machine.RunTo();

        Assert.Equal((VcpuExit.Kicked, 1ul), (exit, machine.State().Gpr[GprIndex.Rbx]));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_devices_message_wakes_a_halted_vCPU(string engine)
    {
        const int vector = 0x91;
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            LongPrograms.EnterX2Apic(c);
            c.xor(ebx, ebx);
            c.sti();
            c.hlt();
            c.cli();
        }, (_, _) => { })
        {
            Prepare = machine =>
            {
                FaultLog.Write64(machine);
                FaultLog.SetGate64(machine, vector, Layout.Far32);
                machine.Load(Layout.Far32, Modes.Assemble(64, Layout.Far32, c =>
                {
                    c.inc(ebx);
                    LongPrograms.WriteMsr(c, 0x80B, 0);
                    c.iretq();
                }));
            },
        };
        using var machine = new SmallMachine(engine);
        machine.Vcpu.SetState(program.Load(machine));
        using var kick = new Timer(_ => machine.Vcpu.Kick(), null, 5, 5);
        do Assert.Equal(VcpuExit.Kicked, machine.RunTo());
        while (machine.State().Activity != VcpuActivity.Halted);
        kick.Change(Timeout.Infinite, Timeout.Infinite);

        Assert.True(machine.Controllers.Messages.Send(0xFEE0_0000, vector));
        var exit = machine.RunTo();
        // A kick that was late.
        if (exit == VcpuExit.Kicked && machine.State().Gpr[GprIndex.Rbx] == 0) exit = machine.RunTo();

        Assert.Equal((VcpuExit.Kicked, 1ul), (exit, machine.State().Gpr[GprIndex.Rbx]));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_halted_vCPU_that_was_moved_is_still_halted(string engine)
    {
        using var machine = new SmallMachine(engine);
        machine.Load(Layout.Code, [0xf4, 0xeb, 0xfd]);
        machine.Vcpu.SetState(machine.Start(GuestMode.Long));
        // On a busy host a kick may come before the vCPU has got as far as HLT.
        using var kick = new Timer(_ => machine.Vcpu.Kick(), null, TimeSpan.FromMilliseconds(5), TimeSpan.FromMilliseconds(5));
        VcpuState state;
        do
        {
            Assert.Equal(VcpuExit.Kicked, machine.RunTo());
            state = machine.State();
        }
        while (state.Activity != VcpuActivity.Halted);
        machine.Vcpu.SetState(state);
        Assert.Equal((VcpuActivity.Halted, state.Rip), (machine.State().Activity, machine.State().Rip));
        state.Activity = VcpuActivity.WaitForStartUp;
        machine.Vcpu.SetState(state);
        Assert.Equal(VcpuActivity.WaitForStartUp, machine.State().Activity);
    }

    private static uint Word(LocalApicImage image, int offset) => BitConverter.ToUInt32(image.Registers, offset);
}
