// A random program whose instructions let events in and keep them out: a main routine, a handler for each of a few vectors, one for
// NMIs, and what begins the main routine anew behind INIT and a start-up IPI. Where it writes to the log's port its machine makes events pending. EventModel says what must come of it.
using Iced.Intel;
using Lamina.Core.Engine;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared.Guest;

/// <summary>What a step of a routine does. Each begins with a NOP, which the shadow of the step before covers.</summary>
internal enum EventStep
{
    Nothing,
    ForbidInterrupts,
    AllowInterrupts,
    AllowByFlags,
    LoadStackSegment,

    /// <summary>CR8 = the argument, or TPR where that says the same.</summary>
    SetPriority,

    /// <summary>The machine makes pending what is next on its list.</summary>
    Raise,

    /// <summary>An interrupt to itself, whose vector is the argument.</summary>
    SelfInterrupt,

    /// <summary>With interrupts off: the machine raises what is next, then STI and HLT where that wakes the vCPU.</summary>
    RaiseAndHalt,

    /// <summary>The machine is told and does nothing.</summary>
    Leave,

    /// <summary>End of interrupt.</summary>
    EndInterrupt,

    /// <summary>IRET; the end of the program in the main routine.</summary>
    Return,
}

/// <summary>INIT and start-up IPIs that come with other events.</summary>
internal enum EventStart
{
    None,

    /// <summary>INIT, and a start-up IPI right behind it.</summary>
    AtOnce,

    /// <summary>INIT, and a start-up IPI when the vCPU has left.</summary>
    WhenLeft,

    /// <summary>A start-up IPI, for which nobody waits.</summary>
    Unasked,
}

/// <summary>What a machine makes pending at once.</summary>
internal sealed record EventRaise(byte[] Vectors, bool Nmi, bool Kick, EventStart Start = EventStart.None)
{
    internal bool HasInit => Start is EventStart.AtOnce or EventStart.WhenLeft;
}

internal sealed class EventProgram
{
    internal const int Main = -1, NmiHandler = 2;

    /// <summary>Stands in the log for a start; where it came is lost with all else.</summary>
    internal const int Started = 1;

    /// <summary>The page of the start-up IPI.</summary>
    internal const byte StartPage = 0xE;

    internal static readonly byte[] Vectors = [0x41, 0x4F, 0x50, 0x7A, 0xA3, 0xE0];

    private const uint RoutineSpace = 0x800, Routines = 0x4_0000, Answer = 0xF000, Start = StartPage << 12, StartIn64Bits = Start + 0x80, StartTables = Start + 0xF0, Stack = 0x7_0000, Log = 0x5_0000;
    private const ulong EntryLength = 16;

    /// <summary>What it writes to the log's port.</summary>
    internal const byte WantsEvents = 1, AsksToHalt = 2, WantsNothing = 3;

    private readonly bool _avoidsCr8;
    private readonly Dictionary<int, (EventStep Step, int Argument)[]> _routines = [];
    private readonly Dictionary<int, ulong[]> _places = [];

    /// <param name="random">Makes it.</param>
    /// <param name="avoidsCr8">Whether it sets its priority by the local APIC's register instead, which is the same (SDM vol. 3, 11.8.6).</param>
    /// <param name="hasStarts">Whether INIT and start-up IPIs are among its events.</param>
    internal EventProgram(Random random, bool avoidsCr8, bool hasStarts)
    {
        _avoidsCr8 = avoidsCr8;
        _routines[Main] = [.. Steps(random, 50, own: true), (EventStep.SetPriority, 0), (EventStep.AllowInterrupts, 0), .. Enumerable.Repeat((EventStep.Leave, 0), 8), (EventStep.ForbidInterrupts, 0), (EventStep.Return, 0)];
        _routines[NmiHandler] = [.. Steps(random, 6, own: true), (EventStep.Return, 0)];
        // The end of the interrupt somewhere in it.
        foreach (var vector in Vectors)
            _routines[vector] = [.. Steps(random, random.Next(5), own: false), (EventStep.EndInterrupt, 0), .. Steps(random, random.Next(5), own: false), (EventStep.Return, 0)];
        Raises = [.. Enumerable.Range(0, 60).Select(_ => new EventRaise(
            [.. Vectors.Where(_ => random.Next(5) == 0)], random.Next(3) == 0, random.Next(3) == 0, (EventStart)Math.Max(0, random.Next(30) - 26)))];
        if (!hasStarts) Raises = [.. Raises.Select(raise => raise with { Start = EventStart.None })];
    }

    /// <summary>What is raised, in order; nothing when all were.</summary>
    internal IReadOnlyList<EventRaise> Raises { get; }

    internal (EventStep Step, int Argument) StepOf(int routine, int index) => _routines[routine][index];

    /// <summary>Tells a step that wants to know whether it may halt.</summary>
    internal static void Tell(SmallMachine machine, bool halts) => machine.Load(Answer, [halts ? (byte)1 : (byte)0]);

    /// <summary>Puts it into a machine's memory, and gives the state to start from.</summary>
    internal VcpuState Load(SmallMachine machine)
    {
        FaultLog.Write64(machine);
        var at = Routines;
        foreach (var (routine, steps) in _routines)
        {
            var places = new ulong[steps.Length];
            byte[] code = [];
            if (routine != Main) code = Modes.Assemble(64, at, c => Enter(c, routine));
            for (var n = 0; n < steps.Length; n++)
            {
                places[n] = at + (ulong)code.Length;
                code = [.. code, .. Modes.Assemble(64, places[n], c => Write(c, routine, steps[n]))];
            }
            machine.Load(at, code);
            _places[routine] = places;
            if (routine != Main) FaultLog.SetGate64(machine, routine, at);
            at += RoutineSpace;
        }
        machine.Load(Layout.Code, Modes.Assemble(64, Layout.Code, c =>
        {
            LongPrograms.EnterX2Apic(c, isBootstrap: false);
            c.mov(edi, Log);
            c.mov(rax, _places[Main][0]);
            c.jmp(rax);
        }));
        WriteStart(machine);
        var state = machine.Start(GuestMode.Long);
        state.Gpr[GprIndex.Rsp] = Stack;
        return state;
    }

    /// <summary>What its handlers noted: which of them, and the step that it came in.</summary>
    internal IEnumerable<(int Handler, int Routine, int Step)> ReadLog(SmallMachine machine, VcpuState end)
    {
        for (ulong at = Log; at < end.Gpr[GprIndex.Rdi]; at += EntryLength)
        {
            var (routine, step) = At(machine.Read<ulong>(at + 8));
            yield return ((int)machine.Read<ulong>(at), routine, step);
        }
    }


    /// <summary>How many handlers have run so far.</summary>
    internal static int LogLength(SmallMachine machine)
    {
        var length = 0;
        while (machine.Read<ulong>(Log + (ulong)length * EntryLength) != 0) length++;
        return length;
    }

    /// <summary>How many interrupts of a vector the routines that ran may have sent themselves.</summary>
    internal int OwnInterrupts(int vector, IEnumerable<(int Handler, int Routine, int Step)> log)
    {
        int Of(int routine) => _routines[routine].Count(step => step == (EventStep.SelfInterrupt, vector));
        return Of(Main) * (1 + log.Count(entry => entry.Handler == Started)) + log.Count(entry => entry.Handler == NmiHandler) * Of(NmiHandler);
    }

    private (int Routine, int Step) At(ulong place) =>
        (from routine in _places
         where place >= routine.Value[0] && place < routine.Value[0] + RoutineSpace
         select (routine.Key, routine.Value.Count(start => start <= place) - 1)).FirstOrDefault((0, 0));

    /// <inheritdoc/>
    public override string ToString() => string.Join(Environment.NewLine, _routines.Select(routine => $"{routine.Key}: {string.Join(", ", routine.Value.Select((step, n) => $"{n} {step.Step} {step.Argument}"))}"));

    private static IEnumerable<(EventStep, int)> Steps(Random random, int count, bool own)
    {
        EventStep[] kinds = [EventStep.Nothing, EventStep.ForbidInterrupts, EventStep.AllowInterrupts, EventStep.AllowByFlags, EventStep.LoadStackSegment, EventStep.SetPriority, EventStep.Raise, EventStep.Raise,
            EventStep.RaiseAndHalt, .. own ? (EventStep[])[EventStep.SelfInterrupt, EventStep.SelfInterrupt] : []];
        for (var n = 0; n < count; n++)
        {
            var kind = kinds[random.Next(kinds.Length)];
            yield return (kind, kind == EventStep.SetPriority ? random.Next(3) * 4 : Vectors[random.Next(Vectors.Length)]);
        }
    }

    // From real mode to the main routine, with another entry of the log.
    private void WriteStart(SmallMachine machine)
    {
        const int pae = 1 << 5, osFxsr = 1 << 9, pe = 1, ne = 1 << 5, wp = 1 << 16, pg = unchecked((int)(1u << 31)), efer = unchecked((int)0xC000_0080), lme = 1 << 8;
        var (gdt, idt) = (Layout.GdtRegister, Layout.Idt);
        machine.Load(Start, Modes.Assemble(16, 0, c =>
        {
            c.mov(ax, cs);
            c.mov(ds, ax);
            c.lgdt(__[(int)(StartTables - Start)]);
            c.lidt(__[(int)(StartTables - Start) + 6]);
            c.mov(eax, pae | osFxsr);
            c.mov(cr4, eax);
            c.mov(eax, Layout.PageTables);
            c.mov(cr3, eax);
            c.mov(ecx, efer);
            c.mov(eax, lme);
            c.xor(edx, edx);
            c.wrmsr();
            c.mov(eax, pe | ne | wp | pg);
            c.mov(cr0, eax);
            // jmp far Code64:StartIn64Bits
            c.db(0x66, 0xEA);
            c.dd(StartIn64Bits);
            c.dw(Layout.Code64);
        }));
        machine.Load(StartTables, [.. BitConverter.GetBytes((ushort)gdt.Limit), .. BitConverter.GetBytes((uint)gdt.Base), 0xFF, 0x0F, .. BitConverter.GetBytes(idt)]);
        machine.Load(StartIn64Bits, Modes.Assemble(64, StartIn64Bits, c =>
        {
            var (next, found) = (c.CreateLabel(), c.CreateLabel());
            c.mov(eax, Layout.Data32);
            c.mov(ds, eax);
            c.mov(es, eax);
            c.mov(ss, eax);
            c.mov(esp, Stack);
            LongPrograms.EnterX2Apic(c, isBootstrap: false);
            c.mov(edi, Log);
            c.Label(ref next);
            c.cmp(__qword_ptr[rdi], 0);
            c.je(found);
            c.add(edi, (int)EntryLength);
            c.jmp(next);
            c.Label(ref found);
            c.mov(__qword_ptr[rdi], Started);
            c.add(edi, (int)EntryLength);
            c.mov(rax, _places[Main][0]);
            c.jmp(rax);
        }));
    }

    private static void Enter(Assembler c, int routine)
    {
        c.push(rax);
        c.push(rcx);
        c.push(rdx);
        c.mov(rax, __qword_ptr[rsp + 24]);
        c.mov(__qword_ptr[rdi], routine);
        c.mov(__qword_ptr[rdi + 8], rax);
        c.lea(rdi, __[rdi + (int)EntryLength]);
    }

    private void Write(Assembler c, int routine, (EventStep Step, int Argument) step)
    {
        c.nop();
        switch (step.Step)
        {
            case EventStep.Nothing: c.nop(); break;
            case EventStep.ForbidInterrupts: c.cli(); break;
            case EventStep.AllowInterrupts: c.sti(); break;
            case EventStep.AllowByFlags:
                c.push(0x202);
                c.popfq();
                break;
            case EventStep.LoadStackSegment:
                c.mov(eax, Layout.Data32);
                c.mov(ss, eax);
                break;
            case EventStep.SetPriority when _avoidsCr8: LongPrograms.WriteMsr(c, 0x808, (ulong)step.Argument << 4); break;
            case EventStep.SetPriority:
                c.mov(eax, step.Argument);
                c.mov(cr8, rax);
                break;
            case EventStep.Raise:
            case EventStep.Leave:
                c.mov(eax, (int)(step.Step == EventStep.Raise ? WantsEvents : WantsNothing));
                c.@out((byte)Layout.LogPort, al);
                break;
            case EventStep.SelfInterrupt: LongPrograms.WriteMsr(c, 0x83F, (ulong)step.Argument); break;
            case EventStep.EndInterrupt: LongPrograms.WriteMsr(c, 0x80B, 0); break;
            case EventStep.RaiseAndHalt:
                c.cli();
                c.mov(eax, (int)AsksToHalt);
                c.@out((byte)Layout.LogPort, al);
                c.cmp(__byte_ptr[Answer], 0);
                c.db(0x74, 2); // je over both
                c.sti();
                c.hlt();
                break;
            case EventStep.Return when routine == Main:
                c.@out((byte)Layout.EndPort, al);
                c.hlt();
                break;
            case EventStep.Return:
                c.pop(rdx);
                c.pop(rcx);
                c.pop(rax);
                c.iretq();
                break;
        }
    }
}
