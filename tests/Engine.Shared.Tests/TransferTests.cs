// A state that one engine saved goes on on the other as if nothing had happened: in the middle of loops, with vector registers
// live, between STI and the instruction behind it.
using Lamina.Core.Engine;
using Lamina.Tests.Engine.Shared.Guest;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared;

public sealed class TransferTests
{
    private const uint Rounds = 200_000;
    private const ulong OsXsave = 1 << 18;

    private static readonly (string From, string To)[] s_directions =
    [
        (EngineKind.Translator, EngineKind.Kvm),
        (EngineKind.Kvm, EngineKind.Translator),
        (EngineKind.Kvm, EngineKind.Kvm),
        (EngineKind.Translator, EngineKind.KvmSplit),
        (EngineKind.KvmSplit, EngineKind.Translator),
        (EngineKind.KvmSplit, EngineKind.Kvm),
        (EngineKind.Translator, EngineKind.KvmKernel),
        (EngineKind.KvmKernel, EngineKind.Translator),
        (EngineKind.KvmKernel, EngineKind.KvmSplit),
        (EngineKind.Translator, EngineKind.Translator),
    ];

    public static TheoryData<string, string> Directions => [.. s_directions.Where(way => EngineKind.All.Contains(way.From) || EngineKind.All.Contains(way.To))];

    // Integer, x87 and vector work whose every round depends on the one before.
    private static readonly GuestProgram s_loop = new(GuestMode.LongUser, c =>
    {
        var again = c.CreateLabel();
        c.mov(ecx, Rounds);
        c.mov(rbx, 0x9E37_79B9_7F4A_7C15);
        c.movq(xmm0, rbx);
        c.fldpi();
        c.fld1();
        c.Label(ref again);
        c.imul(rax, rbx, 31);
        c.adc(rax, rcx);
        c.rol(rbx, 7);
        c.xor(rbx, rax);
        c.movq(xmm1, rbx);
        c.paddq(xmm0, xmm1);
        c.pshufd(xmm2, xmm0, 0x4E);
        c.pxor(xmm0, xmm2);
        c.paddq(xmm9, xmm0);
        c.fadd(st1, st0);
        c.push(rbx);
        c.pop(__qword_ptr[Layout.Data]);
        c.dec(ecx);
        c.jne(again);
        c.fstp(__qword_ptr[Layout.Data + 8]);
    }, (_, _) => { });

    private static readonly GuestProgram s_wideLoop = new(GuestMode.LongUser, c =>
    {
        var again = c.CreateLabel();
        c.mov(ecx, Rounds);
        c.mov(eax, 0x1234_5678);
        c.vmovd(xmm0, eax);
        c.vbroadcastss(ymm0, xmm0);
        c.vpcmpeqd(ymm3, ymm3, ymm3);
        c.Label(ref again);
        c.vpsubd(ymm0, ymm0, ymm3);
        c.vpaddd(ymm1, ymm1, ymm0);
        c.vpermq(ymm1, ymm1, 0x39);
        c.vpxor(ymm2, ymm2, ymm1);
        c.dec(ecx);
        c.jne(again);
    }, (_, _) => { })
    {
        Adjust = state =>
        {
            state.Cr4 |= OsXsave;
            state.Xcr0 = 7;
        },
    };

    [Theory]
    [MemberData(nameof(Directions))]
    public void A_loop_with_live_vector_registers_goes_on_on_the_other_engine_again_and_again(string from, string to) => MoveBackAndForth(s_loop, from, to);

    [Theory]
    [MemberData(nameof(Directions))]
    public void A_loop_with_wide_vector_registers_goes_on_on_the_other_engine(string from, string to)
    {
        foreach (var engine in (string[])[from, to])
        {
            using var machine = new SmallMachine(engine);
            try
            {
                Assert.Empty(machine.Vcpu.SetState(s_wideLoop.Load(machine)));
            }
            catch (ArgumentException)
            {
                Assert.Skip($"{engine} offers no 256-bit vectors here");
            }
        }
        MoveBackAndForth(s_wideLoop, from, to);
    }

    [Theory]
    [MemberData(nameof(Directions))]
    public void A_program_that_was_stopped_at_a_port_goes_on_on_the_other_engine(string from, string to)
    {
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            var again = c.CreateLabel();
            c.mov(ecx, 20);
            c.mov(edx, Layout.LogPort);
            c.Label(ref again);
            c.imul(eax, ecx, 77);
            c.add(ebx, eax);
            c.@out(dx, eax);
            c.@in(al, dx);
            c.dec(ecx);
            c.jne(again);
        }, (_, _) => { });
        using var reference = new SmallMachine(from);
        var expected = program.Run(reference);

        var machines = SmallMachine.Each([from, to]);
        try
        {
            var state = program.Load(machines[0]);
            program.Load(machines[1]);
            var at = 0;
            foreach (var machine in machines) machine.Logged = _ => machine.Vcpu.Kick();
            for (var moves = 0; moves < 20; moves++, at ^= 1)
            {
                machines[at].Take(state);
                Assert.Equal(VcpuExit.Kicked, machines[at].RunTo());
                machines[at].Vcpu.GetState(state);
            }
            var end = machines[at].Run(state);
            // What is read from the port counts up in each machine; everything else is the same.
            (end.Gpr[0], expected.Gpr[0]) = (0, 0);
            Assert.Empty(StateComparison.Differences(expected, end));
            Assert.Equal(reference.PortLog.Order(), machines[0].PortLog.Concat(machines[1].PortLog).Order());
        }
        finally
        {
            foreach (var machine in machines) machine.Dispose();
        }
    }

    [Theory]
    [MemberData(nameof(Directions))]
    public void An_interrupt_shadow_holds_on_the_other_engine(string from, string to)
    {
        const int vector = 0x60;
        if (EngineKind.IsKvm(from) || EngineKind.IsKvm(to)) EngineKind.SkipInQemu("does not keep interrupt shadows of its guests");
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            var wait = c.CreateLabel();
            LongPrograms.EnterX2Apic(c);
            c.xor(ebx, ebx);
            c.@out((byte)Layout.LogPort, al);
            c.sti();
            c.mov(r8d, ebx);    // covered by the shadow: the handler has not run yet
            c.Label(ref wait);
            c.test(ebx, ebx);
            c.je(wait);
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
                    c.mov(r9, __qword_ptr[rsp]);
                    c.mov(r10d, r8d);
                    c.iretq();
                }));
            },
            Adjust = state => state.Gpr[8] = 0x55,
        };
        using var first = new SmallMachine(from);
        using var second = new SmallMachine(to);
        foreach (var machine in (SmallMachine[])[first, second])
        {
            machine.Logged = _ => machine.Vcpu.Kick();
            machine.Vcpu.SetState(program.Load(machine));
            Assert.Equal(VcpuExit.Kicked, machine.RunTo());
        }

        first.Vcpu.SetDebug(new HashSet<ulong>(), [], singleStep: true);
        Assert.Equal(VcpuExit.Debug, first.RunTo());
        var state = first.State();
        Assert.True(state.Shadow == InterruptShadow.Sti, "the engine keeps no shadow of a STI that it stepped over");
        Assert.True(second.Interrupt(vector));
        var end = second.Run(state);

        // The handler ran once, behind the instruction that the shadow covers.
        Assert.Equal((1ul, 0ul, 0ul), (end.Gpr[GprIndex.Rbx], end.Gpr[8], end.Gpr[10]));
        Assert.True(end.Gpr[9] > state.Rip, "the interrupt came before the covered instruction");
    }

    [Theory]
    [MemberData(nameof(Directions))]
    public void A_loop_goes_on_on_the_other_engine_under_the_same_lower_CPU_model(string from, string to) => MoveBackAndForth(s_loop, from, to, "x86-64-v1");

    [Theory]
    [MemberData(nameof(Directions))]
    public void A_state_with_more_than_the_other_CPU_model_has_is_refused_by_name(string from, string to)
    {
        using var rich = new SmallMachine(from);
        using var poor = new SmallMachine(to, cpuModel: "x86-64-v1");
        var program = new GuestProgram(GuestMode.LongUser, _ => { }, (_, _) => { }) { Adjust = state => state.Cr4 |= OsXsave };
        var components = new GuestProgram(GuestMode.LongUser, _ => { }, (_, _) => { }).Load(poor);
        components.Xsave = new byte[1024];
        components.Xsave[512] = 1 << 2;

        Assert.Contains("CR4 0x40000", Assert.Throws<ArgumentException>(() => poor.Vcpu.SetState(program.Load(rich))).Message, StringComparison.Ordinal);
        Assert.Contains("vector components 0x4", Assert.Throws<ArgumentException>(() => poor.Vcpu.SetState(components)).Message, StringComparison.Ordinal);
    }

    private static void MoveBackAndForth(GuestProgram program, string from, string to, string cpuModel = "host")
    {
        VcpuState expected;
        using (var reference = new SmallMachine(from, cpuModel: cpuModel)) expected = program.Run(reference);
        var machines = SmallMachine.Each([from, to], cpuModel: cpuModel);
        try
        {
            var state = program.Load(machines[0]);
            program.Load(machines[1]);
            var (at, moves, ended) = (0, 0, false);
            foreach (var machine in machines) machine.Ended = () => { ended = true; machine.Vcpu.Kick(); };
            while (true)
            {
                var machine = machines[at];
                machine.Take(state);
                // The first stretches are short, so that some moves come in the middle on any host; the last one runs to the end.
                using (var kick = new Timer(_ => machine.Vcpu.Kick(), null, moves < 12 ? TimeSpan.FromMilliseconds(0.3) : Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan))
                    Assert.Equal(VcpuExit.Kicked, machine.RunTo());
                machine.Vcpu.GetState(state);
                if (ended) break;
                moves++;
                CopyMemory(machine, machines[at ^= 1]);
            }
            Assert.Empty(StateComparison.Differences(expected, state));
        }
        finally
        {
            foreach (var machine in machines) machine.Dispose();
        }
    }

    internal static void CopyMemory(SmallMachine from, SmallMachine to)
    {
        var bytes = new byte[Layout.RamSize];
        Assert.True(from.Memory.TryRead(0, bytes) && to.Memory.TryWrite(0, bytes));
    }
}
