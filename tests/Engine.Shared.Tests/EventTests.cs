// How events come to a vCPU: each of them once, in the order of priority, at the first boundary of instructions that lets it in, also
// where others ask for something else meanwhile and where the vCPU goes on on another engine.
using Lamina.Core.Engine;
using Lamina.Core.Interrupts;
using Lamina.Tests.Engine.Shared.Guest;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared;

public sealed class EventTests
{
    private const int Programs = 60, Moved = 15;

    // Where software plays the host's processor each takes a second and proves less.
    private const int FewerTimes = 5;

    public static TheoryData<string> Engines => [.. EngineKind.All];

    public static TheoryData<string, string> Directions => TransferTests.Directions;

    [Theory]
    [MemberData(nameof(Engines))]
    public void Random_events_come_once_each_in_the_order_of_priority(string engine)
    {
        for (var seed = 0; seed < Programs / (EngineKind.IsExact(engine) ? 1 : FewerTimes); seed++) Run(seed, engine, engine);
    }

    [Theory]
    [MemberData(nameof(Directions))]
    public void Random_events_come_once_each_where_the_vCPU_moves_between_engines(string from, string to)
    {
        for (var seed = 0; seed < Moved / (EngineKind.IsExact(from) && EngineKind.IsExact(to) ? 1 : FewerTimes); seed++) Run(Programs + seed, from, to);
    }

    /// <summary>
    /// Runs one random program, moving between two machines at each kick. On an exact engine all comes where the model has it come; on
    /// another one, which may be late and then does other things, each event still comes once.
    /// </summary>
    private static void Run(int seed, string from, string to)
    {
        // QEMU 7.2 asks for a virtual interrupt without its lock where a guest's guest writes CR8 while one waits (helper_write_crN), and
        // ends where it finds that out.
        // An INIT that waits when a vCPU is moved and the start-up IPI behind it do not meet where one of them is the kernel's.
        var hasStarts = from == to || (!EngineKind.HasKernelApics(from) && !EngineKind.HasKernelApics(to));
        var program = new EventProgram(new Random(seed), avoidsCr8: EngineKind.InQemu, hasStarts);
        using var run = new EventRun(program, from, to);
        try
        {
            var end = run.ToEnd();
            var log = program.ReadLog(run.Machine, end).ToArray();
            if (EngineKind.IsExact(from) && EngineKind.IsExact(to))
            {
                Assert.Equal(run.Model.Log, log);
                Assert.Equal(run.Model.Waiting, Waiting(run.Machine));
                return;
            }
            var waiting = Waiting(run.Machine).ToArray();
            // Two that wait are one.
            Assert.InRange(log.Count(entry => entry.Handler == EventProgram.Started), Math.Min(run.Inits, 1), run.Inits);
            foreach (var (handler, at) in run.Raised)
                Assert.True(waiting.Contains(handler) || (handler == EventProgram.NmiHandler && end.Pending.Nmi) || log.Skip(at).Any(entry => entry.Handler == handler || entry.Handler == EventProgram.Started), $"{handler} did not come after entry {at} of {log.Length}: {string.Join(" ", log)}");
            foreach (var handler in log.Select(entry => entry.Handler).Distinct().Except([EventProgram.Started]))
                Assert.True(log.Count(entry => entry.Handler == handler) <= run.Raised.Count(raised => raised.Handler == handler) + program.OwnInterrupts(handler, log), $"{handler} came too often");
        }
        catch (Exception e) when (e is Xunit.Sdk.XunitException)
        {
            throw new InvalidOperationException($"program {seed} on {from} and {to}: {e.Message}{Environment.NewLine}{program}", e);
        }
    }

    private static IEnumerable<int> Waiting(SmallMachine machine)
    {
        var registers = machine.LocalApic.Registers;
        return EventProgram.Vectors.Select(vector => (int)vector).Where(vector => (registers[0x200 + (vector >> 5) * 16 + (vector >> 3 & 3)] >> (vector & 7) & 1) != 0);
    }

    // A kernel that steps a guest to bring an interrupt to its end leaves the trap flag behind it.
    [Theory]
    [MemberData(nameof(Engines))]
    public void Interrupts_that_kicks_come_between_save_the_guests_own_flags(string engine)
    {
        const int vector = 0x60;
        var interrupts = EngineKind.IsExact(engine) ? 50_000 : 10_000;
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            var again = c.CreateLabel();
            LongPrograms.EnterX2Apic(c);
            c.xor(ebx, ebx);
            c.xor(r8d, r8d);
            c.xor(r9d, r9d);
            c.mov(r10d, interrupts);
            c.sti();
            c.Label(ref again);
            LongPrograms.WriteMsr(c, 0x83F, vector);
            c.dec(r10d);
            c.jne(again);
            c.cli();
        }, (_, _) => { })
        {
            Prepare = machine =>
            {
                FaultLog.Write64(machine);
                FaultLog.SetGate64(machine, vector, Layout.Far32);
                machine.Load(Layout.Far32, Modes.Assemble(64, Layout.Far32, c =>
                {
                    var clean = c.CreateLabel();
                    c.inc(ebx);
                    c.test(__dword_ptr[rsp + 16], 0x100);
                    c.je(clean);
                    c.inc(r9d);
                    c.Label(ref clean);
                    c.push(rax);
                    c.push(rcx);
                    c.push(rdx);
                    LongPrograms.WriteMsr(c, 0x80B, 0);
                    c.pop(rdx);
                    c.pop(rcx);
                    c.pop(rax);
                    c.iretq();
                }));
                FaultLog.SetGate64(machine, 1, Layout.Far64);
                machine.Load(Layout.Far64, Modes.Assemble(64, Layout.Far64, c =>
                {
                    c.inc(r8d);
                    c.iretq();
                }));
            },
        };
        using var machine = new SmallMachine(engine);
        machine.Vcpu.SetState(program.Load(machine));
        var over = false;
        var kicks = new Thread(() =>
        {
            for (var random = new Random(1); !Volatile.Read(ref over); Thread.SpinWait(random.Next(20_000))) machine.Vcpu.Kick();
        });
        kicks.Start();

        var state = machine.State();
        try
        {
            while (!machine.HasEnded)
            {
                Assert.Equal(VcpuExit.Kicked, machine.RunTo());
                state = machine.State();
            }
        }
        finally
        {
            Volatile.Write(ref over, true);
            kicks.Join();
        }

        Assert.Equal((0ul, 0ul), (state.Gpr[8], state.Gpr[9]));
        Assert.InRange(state.Gpr[GprIndex.Rbx], 1ul, (ulong)interrupts);
    }

    // As the state of a vCPU has it that was called out when a step's trap was under way.
    [Theory]
    [MemberData(nameof(Engines))]
    public void A_debug_trap_that_a_state_has_is_taken_before_the_next_instruction(string engine)
    {
        const ulong singleStep = 1 << 14;
        var program = new GuestProgram(GuestMode.Long, c => c.inc(r9d), (_, _) => { })
        {
            Prepare = machine =>
            {
                FaultLog.Write64(machine);
                FaultLog.SetGate64(machine, 1, Layout.Far64);
                machine.Load(Layout.Far64, Modes.Assemble(64, Layout.Far64, c =>
                {
                    c.inc(r8d);
                    c.mov(r10d, r9d);
                    c.mov(r11, dr6);
                    c.iretq();
                }));
            },
        };
        using var machine = new SmallMachine(engine);
        var state = program.Load(machine);
        (state.Gpr[8], state.Gpr[9], state.Gpr[10]) = (0, 0, 9);
        state.Pending = new PendingEvents { DebugTrap = singleStep };

        machine.Vcpu.SetState(state);
        var end = machine.Run();

        Assert.Equal((1ul, 1ul, 0ul, singleStep), (end.Gpr[8], end.Gpr[9], end.Gpr[10], end.Gpr[11] & singleStep));
    }

    // An NMI handler that makes a vector pending, and another NMI.
    [Theory]
    [MemberData(nameof(Engines))]
    public void An_interrupt_that_waits_behind_two_NMIs_is_delivered(string engine)
    {
        const int vector = 0x60;
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            var wait = c.CreateLabel();
            LongPrograms.EnterX2Apic(c);
            c.xor(ebx, ebx);
            c.xor(r8d, r8d);
            c.sti();
            c.nop();
            c.@out((byte)Layout.LogPort, al);
            c.mov(r9d, 1_000_000);
            c.Label(ref wait);
            c.dec(r9d);
            c.jne(wait);
            c.cli();
        }, (_, _) => { })
        {
            Prepare = machine =>
            {
                FaultLog.Write64(machine);
                LongPrograms.Handler(machine, vector, Layout.Far32, 1);
                FaultLog.SetGate64(machine, 2, Layout.Far64);
                machine.Load(Layout.Far64, Modes.Assemble(64, Layout.Far64, c =>
                {
                    var last = c.CreateLabel();
                    c.inc(r8d);
                    c.cmp(r8d, 1);
                    c.jne(last);
                    LongPrograms.WriteMsr(c, 0x83F, vector);
                    c.@out((byte)Layout.LogPort, al);
                    c.Label(ref last);
                    c.iretq();
                }));
            },
        };
        using var machine = new SmallMachine(engine);
        machine.Logged = _ => machine.Send(0, InterruptDeliveryMode.Nmi);

        var end = program.Run(machine);

        Assert.Equal((2ul, 1ul), (end.Gpr[8], end.Gpr[GprIndex.Rbx]));
    }
}
