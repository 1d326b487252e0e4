// What every engine promises about a vCPU: kicks, halts, NMIs, a debugger's wishes, several vCPUs that start and interrupt one
// another.
using Lamina.Core.Engine;
using Lamina.Tests.Engine.Shared.Guest;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared;

public sealed class VcpuTests
{
    private static readonly byte[] s_endless = [0xEB, 0xFE];

    public static TheoryData<string> Engines => [.. EngineKind.All];

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_kick_before_the_run_ends_it_at_once(string engine)
    {
        using var machine = new SmallMachine(engine);
        machine.Load(Layout.Code, s_endless);
        machine.Vcpu.SetState(machine.Start(GuestMode.Long));

        machine.Vcpu.Kick();

        Assert.Equal(VcpuExit.Kicked, machine.RunTo());
        Assert.Equal(Layout.Code, machine.State().Rip);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Kicks_from_another_thread_end_an_endless_loop_each_time(string engine)
    {
        using var machine = new SmallMachine(engine);
        machine.Load(Layout.Code, s_endless);
        machine.Vcpu.SetState(machine.Start(GuestMode.LongUser));
        KickAgainAndAgain(machine);
        Assert.Equal(Layout.Code, machine.State().Rip);
    }

    // One return address, taken from the same slot again and again: no branch goes backwards.
    [Theory]
    [MemberData(nameof(Engines))]
    public void Kicks_from_another_thread_end_a_loop_of_nothing_but_returns(string engine)
    {
        using var machine = new SmallMachine(engine);
        machine.Load(Layout.Code, Modes.Assemble(64, Layout.Code, c =>
        {
            var function = c.CreateLabel();
            c.call(function);
            c.lea(rsp, __[rsp - 8]);
            c.Label(ref function);
            c.ret();
        }));
        machine.Vcpu.SetState(machine.Start(GuestMode.LongUser));
        KickAgainAndAgain(machine);
        Assert.InRange(machine.State().Rip, Layout.Code, Layout.Code + 16ul);
    }

    private static void KickAgainAndAgain(SmallMachine machine)
    {
        for (var n = 0; n < 50; n++)
        {
            var kick = new Thread(machine.Vcpu.Kick);
            kick.Start();

            Assert.Equal(VcpuExit.Kicked, machine.RunTo());

            kick.Join();
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_halted_vCPU_is_kicked_and_stays_halted(string engine)
    {
        using var machine = new SmallMachine(engine);
        machine.Load(Layout.Code, [0xF4, 0xEB, 0xFD]);
        machine.Vcpu.SetState(machine.Start(GuestMode.Long));
        using var kick = new Timer(_ => machine.Vcpu.Kick(), null, 20, 20);

        // Kicks may come before it halts.
        do Assert.Equal(VcpuExit.Kicked, machine.RunTo());
        while (machine.State().Activity != VcpuActivity.Halted);
        Assert.Equal(VcpuExit.Kicked, machine.RunTo());

        Assert.Equal((VcpuActivity.Halted, Layout.Code + 1ul), (machine.State().Activity, machine.State().Rip));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void An_NMI_wakes_a_halted_vCPU_with_interrupts_off(string engine)
    {
        var program = new GuestProgram(GuestMode.Long, c => c.hlt(), (_, _) => { })
        {
            Prepare = machine =>
            {
                FaultLog.Write64(machine);
                machine.Load(Layout.Handlers + 2 * 16, Modes.Assemble(64, Layout.Handlers + 2 * 16, c =>
                {
                    c.inc(ebx);
                    c.iretq();
                }));
            },
        };
        using var machine = new SmallMachine(engine);
        machine.Vcpu.SetState(program.Load(machine));
        using var nmi = new Timer(_ => machine.Vcpu.NonMaskableInterrupt(), null, 20, 50);

        Assert.NotEqual(0ul, machine.Run().Gpr[GprIndex.Rbx]);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_triple_fault_ends_the_run(string engine)
    {
        using var machine = new SmallMachine(engine);
        machine.Load(Layout.Code, [0x0F, 0x0B]);
        machine.Vcpu.SetState(machine.Start(GuestMode.Long));

        Assert.Equal(VcpuExit.TripleFault, machine.RunTo());
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Code_outside_memory_does_not_fail_the_engine(string engine)
    {
        using var machine = new SmallMachine(engine);
        var state = machine.Start(GuestMode.Long);
        state.Rip = 0xE000_0000;
        machine.Vcpu.SetState(state);

        Assert.Equal(VcpuExit.TripleFault, machine.RunTo());
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_single_step_executes_one_instruction(string engine)
    {
        using var machine = new SmallMachine(engine);
        machine.Load(Layout.Code, Modes.Assemble(64, Layout.Code, c =>
        {
            c.inc(rbx);
            c.@out((byte)Layout.LogPort, al);
            c.mov(__byte_ptr[Layout.Device], al);
            c.@in(al, (byte)Layout.LogPort);
            c.inc(rbx);
        }));
        machine.Vcpu.SetState(machine.Start(GuestMode.Long));
        foreach (var next in (uint[])[3, 5, 14, 16, 19])
        {
            machine.Vcpu.SetDebug(new HashSet<ulong>(), [], singleStep: true);

            Assert.Equal(VcpuExit.Debug, machine.RunTo());

            Assert.Equal(Layout.Code + next, machine.State().Rip);
        }
        Assert.Equal((2ul, 0x11ul), (machine.State().Gpr[GprIndex.Rbx], machine.State().Gpr[GprIndex.Rax]));
        Assert.Single(machine.PortLog);
    }

    [Theory]
    [InlineData(EngineKind.Translator, 1)]
    [InlineData(EngineKind.Translator, 7)]
    [InlineData(EngineKind.Kvm, 1)]
    [InlineData(EngineKind.Kvm, 7)]
    [InlineData(EngineKind.KvmSplit, 1)]
    [InlineData(EngineKind.KvmSplit, 7)]
    [InlineData(EngineKind.KvmKernel, 1)]
    [InlineData(EngineKind.KvmKernel, 7)]
    public void Breakpoints_stop_before_their_instruction_each_time_round(string engine, int breakpoints)
    {
        if (EngineKind.IsKvm(engine)) EngineKind.SkipWhereSoftwareAssisted();
        if (EngineKind.IsKvm(engine) && breakpoints <= 4) EngineKind.SkipInQemu("does not arm the debug registers of its guests");
        using var machine = new SmallMachine(engine);
        // again: inc rbx (3 bytes); then single-byte NOPs with breakpoints; jmp again
        machine.Load(Layout.Code, [0x48, 0xFF, 0xC3, .. Enumerable.Repeat((byte)0x90, 10), 0xEB, 0xF1]);
        machine.Vcpu.SetState(machine.Start(GuestMode.Long));
        var places = Enumerable.Range(0, breakpoints).Select(n => Layout.Code + 3ul + (ulong)n).ToHashSet();
        for (var round = 1ul; round <= 3; round++)
        {
            foreach (var place in places.Order())
            {
                machine.Vcpu.SetDebug(places, [], singleStep: false);

                Assert.Equal(VcpuExit.Debug, machine.RunTo());

                Assert.Equal((place, round), (machine.State().Rip, machine.State().Gpr[GprIndex.Rbx]));
            }
        }
        machine.Vcpu.SetDebug(new HashSet<ulong>(), [], singleStep: false);
        using var kick = new Timer(_ => machine.Vcpu.Kick(), null, 20, Timeout.Infinite);
        Assert.Equal(VcpuExit.Kicked, machine.RunTo());
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Watchpoints_stop_behind_the_access_and_leave_the_guest_s_debug_registers_alone(string engine)
    {
        if (EngineKind.IsKvm(engine)) EngineKind.SkipWhereSoftwareAssisted();
        if (EngineKind.IsKvm(engine)) EngineKind.SkipInQemu("does not arm the debug registers of its guests");
        using var machine = new SmallMachine(engine);
        // again: mov al, [Data] (7 bytes, a read); mov [Data + 4], al (7 bytes, a write); inc rbx; jmp again
        machine.Load(Layout.Code, Modes.Assemble(64, Layout.Code, c =>
        {
            var again = c.CreateLabel();
            c.Label(ref again);
            c.mov(cl, __byte_ptr[Layout.Data]);
            c.mov(__byte_ptr[Layout.Data + 4], cl);
            c.inc(rbx);
            c.jmp(again);
        }));
        var start = machine.Start(GuestMode.Long);
        (start.Dr[3], start.Dr[7]) = (0x1234, 0x400);
        machine.Vcpu.SetState(start);
        var read = new Watchpoint(Layout.Data, 4, WatchKind.Access);
        var write = new Watchpoint(Layout.Data + 4, 1, WatchKind.Write);
        var never = new Watchpoint(Layout.Data, 1, WatchKind.Write);
        for (var round = 0ul; round < 3; round++)
        {
            foreach (var (hit, place) in ((Watchpoint, uint)[])[(read, 7), (write, 14)])
            {
                machine.Vcpu.SetDebug(new HashSet<ulong>(), [never, read, write], singleStep: false);

                Assert.Equal(VcpuExit.Debug, machine.RunTo());

                Assert.Equal(hit, machine.Vcpu.WatchHit);
                var state = machine.State();
                Assert.Equal((Layout.Code + place, round), (state.Rip, state.Gpr[GprIndex.Rbx]));
                Assert.Equal((start.Dr[3], 0x400ul, 0xffff_0ff0ul), (state.Dr[3], state.Dr[7], state.Dr[6]));
            }
        }
        machine.Vcpu.SetDebug(new HashSet<ulong>(), [], singleStep: false);
        using var kick = new Timer(_ => machine.Vcpu.Kick(), null, 20, Timeout.Infinite);
        Assert.Equal(VcpuExit.Kicked, machine.RunTo());
        Assert.Null(machine.Vcpu.WatchHit);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_debugger_reads_and_writes_through_the_guests_page_tables(string engine)
    {
        using var machine = new SmallMachine(engine);
        // 1 GiB is mapped to the page of the data as well.
        Assert.True(machine.Memory.TryWrite(Layout.PageTables + 0x3000, (ulong)0 | 0x83));
        machine.Vcpu.SetState(machine.Start(GuestMode.Long));
        machine.Load(Layout.Data, [1, 2, 3, 4]);
        var data = new byte[4];

        Assert.True(machine.Vcpu.TryReadLinear(0x4000_0000 + Layout.Data, data));
        Assert.Equal([1, 2, 3, 4], data);
        Assert.True(machine.Vcpu.TryWriteLinear(0x4000_0000 + Layout.Data, [9, 9]));
        Assert.Equal(0x0403_0909u, machine.Read<uint>(Layout.Data));
        Assert.False(machine.Vcpu.TryReadLinear(0x7FFF_0000_0000, data));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_state_comes_out_as_it_went_in(string engine)
    {
        using var machine = new SmallMachine(engine);
        var state = machine.Start(GuestMode.LongUser);
        var random = new Random(7);
        for (var n = 0; n < 16; n++) state.Gpr[n] = (ulong)random.NextInt64();
        (state.Rip, state.Cr2) = (0x1234_5678, 0xDEAD_0000);
        state.Rflags = 0x0000_0ED7;
        (state.Dr[0], state.Dr[1], state.Dr[2], state.Dr[3]) = (0x1000, 0x2000, 0x3000, 0x4000);
        state.Segments[SegmentIndex.Fs].Base = 0x7FFF_1234_5000;
        state.Segments[SegmentIndex.Gs].Base = 0xFFFF_8000_0000_1000;
        state.Msrs[0xC000_0102] = 0xFFFF_9000_0000_0000;
        state.Msrs[0xC000_0082] = 0xFFFF_FFFF_8123_4567;
        state.Msrs[0x277] = 0x0007_0106_0007_0406;
        state.Msrs[0x2FF] = 0xC06;
        state.Xsave[512] = 3;
        for (var at = 160; at < 416; at++) state.Xsave[at] = (byte)random.Next();
        var copy = machine.Start(GuestMode.LongUser);

        machine.Vcpu.SetState(state);
        machine.Vcpu.GetState(copy);

        Assert.Empty(StateComparison.Differences(state, copy));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_vCPU_starts_another_and_they_interrupt_each_other(string engine)
    {
        const uint rounds = 200, trampoline = 0x6000;
        using var machine = new SmallMachine(engine, cpus: 2);
        // vCPU 1 begins at 0x6000 in real mode: it counts in memory, as often as vCPU 0 tells it to, and answers in another word.
        machine.Load(trampoline, Modes.Assemble(16, 0, c =>
        {
            var (wait, again) = (c.CreateLabel(), c.CreateLabel());
            c.xor(ax, ax);
            c.mov(ds, ax);
            c.mov(ecx, 0);
            c.Label(ref again);
            c.inc(ecx);
            c.Label(ref wait);
            c.pause();
            c.cmp(__dword_ptr[0x5000], ecx);
            c.jne(wait);
            c.mov(__dword_ptr[0x5004], ecx);
            c.jmp(again);
        }));
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            var (wait, again) = (c.CreateLabel(), c.CreateLabel());
            LongPrograms.WriteMsr(c, 0x1B, 0xFEE0_0D00);
            LongPrograms.WriteMsr(c, 0x830, 1ul << 32 | 0x4500);                       // INIT
            LongPrograms.WriteMsr(c, 0x830, 1ul << 32 | 0x4600 | trampoline >> 12);     // start-up
            c.xor(ebx, ebx);
            c.Label(ref again);
            c.inc(ebx);
            c.mov(__dword_ptr[0x5000], ebx);
            c.Label(ref wait);
            c.pause();
            c.cmp(__dword_ptr[0x5004], ebx);
            c.jne(wait);
            c.cmp(ebx, (int)rounds);
            c.jne(again);
        }, (_, _) => { });
        var other = new Thread(() => machine.Vcpus[1].Run()) { IsBackground = true };
        other.Start();

        var state = program.Run(machine);
        machine.Vcpus[1].Kick();

        Assert.True(other.Join(TimeSpan.FromSeconds(10)), "vCPU 1 does not heed a kick");
        Assert.Equal((rounds, rounds), ((uint)state.Gpr[GprIndex.Rbx], machine.Read<uint>(0x5004)));
    }

    // Two readers that are told different points of two clocks would see time go backwards between them.
    [Theory]
    [MemberData(nameof(Engines))]
    public void The_paravirtual_clocks_of_two_vCPUs_show_the_same_time(string engine)
    {
        const uint trampoline = 0x6000, systemTime = 0x4b56_4d01, first = 0x5100, second = 0x5180, done = 0x5000;
        using var machine = new SmallMachine(engine, cpus: 2);
        machine.Load(trampoline, Modes.Assemble(16, 0, c =>
        {
            var end = c.CreateLabel();
            c.xor(ax, ax);
            c.mov(ds, ax);
            c.mov(ecx, systemTime);
            c.mov(eax, second | 1);
            c.xor(edx, edx);
            c.wrmsr();
            c.mov(__dword_ptr[(short)done], 1);
            c.Label(ref end);
            c.hlt();
            c.jmp(end);
        }));
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            var wait = c.CreateLabel();
            LongPrograms.WriteMsr(c, 0x1B, 0xFEE0_0D00);
            LongPrograms.WriteMsr(c, systemTime, first | 1);
            LongPrograms.WriteMsr(c, 0x830, 1ul << 32 | 0x4500);                       // INIT
            LongPrograms.WriteMsr(c, 0x830, 1ul << 32 | 0x4600 | trampoline >> 12);     // start-up
            c.Label(ref wait);
            c.pause();
            c.cmp(__dword_ptr[done], 0);
            c.je(wait);
        }, (_, _) => { });
        var other = new Thread(() => machine.Vcpus[1].Run()) { IsBackground = true };
        other.Start();

        program.Run(machine);
        machine.Vcpus[1].Kick();

        Assert.True(other.Join(TimeSpan.FromSeconds(10)), "vCPU 1 does not heed a kick");
        Assert.All((uint[])[first, second], at => Assert.Equal(0, machine.Read<int>(at) & 1));
        for (var tsc = 1ul << 30; tsc < 1ul << 50; tsc += tsc / 3) Assert.Equal(TimeAt(first, tsc), TimeAt(second, tsc));

        ulong TimeAt(uint at, ulong tsc)
        {
            var shift = machine.Read<sbyte>(at + 28);
            UInt128 ticks = tsc - machine.Read<ulong>(at + 8);
            ticks = shift < 0 ? ticks >> -shift : ticks << shift;
            return machine.Read<ulong>(at + 16) + (ulong)(ticks * machine.Read<uint>(at + 24) >> 32);
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_vCPU_that_nobody_starts_waits_and_heeds_a_kick(string engine)
    {
        using var machine = new SmallMachine(engine, cpus: 3);
        var exits = new List<VcpuExit>();
        var threads = machine.Vcpus.Skip(1).Select(vcpu => new Thread(() =>
        {
            var exit = vcpu.Run();
            lock (exits) exits.Add(exit);
        })).ToArray();
        foreach (var thread in threads) thread.Start();

        foreach (var vcpu in machine.Vcpus.Skip(1)) vcpu.Kick();

        Assert.All(threads, thread => Assert.True(thread.Join(TimeSpan.FromSeconds(10))));
        Assert.Equal([VcpuExit.Kicked, VcpuExit.Kicked], exits);
    }
}
