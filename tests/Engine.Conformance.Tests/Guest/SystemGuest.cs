// A guest at privilege level 0 that runs a few lines of assembly: what the host CPU cannot be asked about from a program,
// and the manual has to judge.
using Iced.Intel;
using Lamina.Core.Engine;
using Lamina.Tests.Engine.Conformance.Cases;
using Lamina.Tests.Engine.Conformance.Oracle;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Conformance.Guest;

/// <summary>Runs assembly in the guest, from the start of the case's code to INT3 or an exception.</summary>
internal sealed class SystemGuest : IDisposable
{
    private readonly TestCase _case = new(576, 3);

    public SystemGuest(string profile) => Machine = new GuestMachine(GuestProfile.All.First(candidate => candidate.Name == profile) with { Mode = GuestMode.Supervisor }, 3);

    public GuestMachine Machine { get; }

    public CaseResult Result { get; } = new(576);

    /// <summary>What a page-table entry holds now.</summary>
    public ulong Entry(ulong linear)
    {
        Assert(Machine.Memory.TryRead<ulong>(GuestTables.EntryOf(GuestTables.SupervisorRoot, linear), out var value));
        return value;
    }

    /// <summary>Sets a page-table entry from outside.</summary>
    public void SetEntry(ulong linear, ulong value) => Assert(Machine.Memory.TryWrite(GuestTables.EntryOf(GuestTables.SupervisorRoot, linear), value));

    /// <summary>How often the counting handlers ran.</summary>
    public ulong Count
    {
        get
        {
            Assert(Machine.Memory.TryRead<ulong>(GuestTables.Counter, out var value));
            return value;
        }
    }

    /// <summary>Lets an exception or interrupt be counted and returned from.</summary>
    public void CountVector(int vector)
    {
        var at = GuestTables.High + GuestTables.Handlers + (ulong)vector * GuestTables.HandlerStride;
        var routine = GuestTables.High + GuestTables.Routines;
        Assert(Machine.Memory.TryWrite(GuestTables.Routines, Assemble(routine, c =>
        {
            c.push(rax);
            c.mov(rax, GuestTables.High + GuestTables.Counter);
            c.inc(__qword_ptr[rax]);
            c.pop(rax);
            c.iretq();
        })));
        Assert(Machine.Memory.TryWrite(at - GuestTables.High, Assemble(at, c => c.jmp(routine))));
    }

    /// <summary>Runs.</summary>
    /// <param name="write">Writes the program; INT3 follows it.</param>
    /// <param name="adjust">Changes the starting state.</param>
    public CaseResult Run(Action<Assembler> write, Action<VcpuState>? adjust = null)
    {
        _case.Reset(CodeMode.Long, 1);
        Array.Clear(_case.Gpr);
        _case.Gpr[GprIndex.Rsp] = CaseLayout.Data + 0x2800;
        _case.Rflags = TestCase.FlagsBase & ~0x200ul;
        _case.SetCode(CaseLayout.CodeInImage, Assemble(CaseLayout.Code, c =>
        {
            write(c);
            c.int3();
        }));
        Machine.Run(_case, Result, adjust);
        return Result;
    }

    public void Dispose() => Machine.Dispose();

    private static byte[] Assemble(ulong at, Action<Assembler> write)
    {
        var c = new Assembler(64);
        write(c);
        using var stream = new MemoryStream();
        c.Assemble(new StreamCodeWriter(stream), at);
        return stream.ToArray();
    }

    private static void Assert(bool done)
    {
        if (!done) throw new InvalidOperationException("not in the guest's memory");
    }
}
