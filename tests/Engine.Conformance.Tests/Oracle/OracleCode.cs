// The machine code of the oracle's process. It forks off the test's process, gives up everything of it but its own
// memory, and then runs cases: copy the memory image in, load the state, IRETQ to the case, and whatever signal the case
// ends in (each ends in one: code is surrounded by INT3) tells the whole state afterwards. Nothing of the C library or
// of .NET runs in it, so a case may do anything but harm: what is not the case's own is not mapped, system calls are
// filtered, and a timer ends what loops.
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Conformance.Oracle;

/// <summary>Where the oracle's parts lie in its one range of addresses.</summary>
internal sealed record OracleRange(ulong Start)
{
    public const int CodeBytes = 8192, StackBytes = 1 << 16, BatchCapacity = 128;

    public const ulong CodeAt = 0, ControlAt = CodeBytes, StackAt = ControlAt + 4096, AltStackAt = StackAt + StackBytes,
        ImageAt = AltStackAt + StackBytes, BatchAt = ImageAt + CaseLayout.ImageSize;

    public const ulong Length = BatchAt + (ulong)BatchCapacity * CaseRecord.Size;

    /// <summary>
    /// Where the frame of IRETQ lies: a page of its own whose address has zeros in bits 16 to 31, since IRETQ to a 16-bit
    /// stack leaves those of RSP as they were.
    /// </summary>
    public const ulong FramePage = 0x5a5a_0000_0000;

    public ulong Control => Start + ControlAt;

    public ulong Stack => Start + StackAt + StackBytes - 64;

    public ulong Image => Start + ImageAt;

    public ulong Batch => Start + BatchAt;

    public ulong End => Start + Length;
}

/// <summary>Assembles the process's code.</summary>
internal static class OracleCode
{
    // Linux x86-64 system calls.
    private const int Mmap = 9, Mprotect = 10, Munmap = 11, Sigaction = 13, Sigprocmask = 14, Sigreturn = 15, Mremap = 25, Setitimer = 38, Fork = 57,
        Getppid = 110, Sigaltstack = 131, ModifyLdt = 154, Prctl = 157, Futex = 202, RestartSyscall = 219, ExitGroup = 231, Rseq = 334, CloseRange = 436;

    private const int VirtualAlarm = 26, SaInfoOnStackNoDefer = 0x4 | 0x0800_0000 | 0x4000_0000 | 0x0400_0000;
    private const uint RseqSignature = 0x5305_3053;

    /// <summary>The signals by which a case may end: SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGVTALRM, SIGSYS.</summary>
    private static ReadOnlySpan<int> Signals => [4, 5, 7, 8, 11, VirtualAlarm, 31];

    /// <summary>The mask of all signals but <see cref="Signals"/>.</summary>
    public static ulong SignalMask
    {
        get
        {
            var mask = ulong.MaxValue;
            foreach (var signal in Signals) mask &= ~(1ul << (signal - 1));
            return mask;
        }
    }

    /// <summary>The seccomp filter (classic BPF, linux/filter.h): what the loop needs (a process that was stopped restarts its wait), the rest is SIGSYS.</summary>
    public static ulong[] Filter()
    {
        const ulong loadWord = 0x20, jumpEqual = 0x15, returns = 6;
        const ulong trap = 0x0003_0000, allow = 0x7fff_0000, archX64 = 0xc000_003e;
        static ulong Step(ulong code, ulong yes, ulong no, ulong value) => code | yes << 16 | no << 24 | value << 32;
        return
        [
            Step(loadWord, 0, 0, 4), Step(jumpEqual, 0, 6, archX64), Step(loadWord, 0, 0, 0),
            Step(jumpEqual, 5, 0, Futex), Step(jumpEqual, 4, 0, Getppid), Step(jumpEqual, 3, 0, ExitGroup), Step(jumpEqual, 2, 0, Sigreturn),
            Step(jumpEqual, 1, 0, RestartSyscall),
            Step(returns, 0, 0, trap), Step(returns, 0, 0, allow),
        ];
    }

    /// <summary>Emits the code for an address; also says where the signal handler and its restorer are.</summary>
    public static byte[] Assemble(OracleRange range, ulong vectorMask, int xsaveSize, long rseqOffset, out ulong handlerAt, out ulong restorerAt)
    {
        var c = new Assembler(64);
        Label child = c.CreateLabel(), handler = c.CreateLabel(), restorer = c.CreateLabel(), next = c.CreateLabel();
        c.mov(eax, Fork);
        c.syscall();
        c.test(eax, eax);
        c.je(child);
        c.ret();

        c.Label(ref child);
        c.mov(rbp, range.Control);
        c.mov(rsp, range.Stack);
        EmitStart(c, range, rseqOffset);
        EmitLoop(c, range, vectorMask, ref next);
        EmitHandler(c, range, xsaveSize, ref handler, ref next);
        c.Label(ref restorer);
        c.mov(eax, Sigreturn);
        c.syscall();

        using var stream = new MemoryStream();
        var result = c.Assemble(new StreamCodeWriter(stream), range.Start, BlockEncoderOptions.ReturnNewInstructionOffsets);
        handlerAt = result.GetLabelRIP(handler);
        restorerAt = result.GetLabelRIP(restorer);
        return stream.ToArray();
    }

    private static void EmitStart(Assembler c, OracleRange range, long rseqOffset)
    {
        // The C library's registration of restartable sequences points into memory that goes away.
        if (rseqOffset != 0)
        {
            c.rdfsbase(rdi);
            c.mov(rax, (ulong)rseqOffset);
            c.add(rdi, rax);
            c.mov(esi, 32);
            c.mov(edx, 1);
            c.mov(r10d, RseqSignature);
            c.mov(eax, Rseq);
            c.syscall();
        }
        Call(c, 1, CloseRange, 0, uint.MaxValue, 0);
        Call(c, 2, Munmap, 0x1_0000, range.Start - 0x1_0000);
        Call(c, 3, Munmap, range.End, 0x7fff_ffff_f000 - range.End);
        Call(c, 4, Sigaltstack, range.Control + OracleControl.AltStackAt, 0);
        foreach (var signal in Signals) Call(c, 5, Sigaction, (ulong)signal, range.Control + OracleControl.ActionAt, 0, 8);
        Call(c, 6, Sigprocmask, 2, range.Control + OracleControl.MaskAt, 0, 8);
        // A size of zero makes a second mapping of shared pages.
        const ulong mayMoveFixed = 3;
        const ulong privateAnonymousFixed = 0x32;
        Call(c, 7, Mmap, OracleRange.FramePage, 4096, 3, privateAnonymousFixed, ulong.MaxValue, 0);
        Call(c, 7, Mremap, range.Image, 0, CaseLayout.DataSize, mayMoveFixed, CaseLayout.Data);
        Call(c, 8, Mremap, range.Image + CaseLayout.CodeInImage, 0, CaseLayout.CodeSize, mayMoveFixed, CaseLayout.Code);
        Call(c, 9, Mprotect, CaseLayout.Data + CaseLayout.WritableData, CaseLayout.PageSize, 1);
        // A page that is not there yet would make another error code than one that is there and read-only.
        for (var page = 0; page < CaseLayout.DataSize; page += CaseLayout.PageSize)
        {
            c.mov(rax, (ulong)(CaseLayout.Data + page));
            c.mov(al, __byte_ptr[rax]);
        }
        Call(c, 10, Mprotect, CaseLayout.Code, CaseLayout.CodeSize, 7);
        for (var i = 0; i < 4; i++) Call(c, 11, ModifyLdt, 1, range.Control + OracleControl.LdtAt + (ulong)i * 16, 16);
        Call(c, 12, Setitimer, 1, range.Control + OracleControl.TimerAt, 0);
        const ulong noNewPrivileges = 38, setSeccomp = 22;
        Call(c, 13, Prctl, noNewPrivileges, 1, 0, 0, 0);
        Call(c, 14, Prctl, setSeccomp, 2, range.Control + OracleControl.ProgramAt, 0);
        c.mov(rax, range.Control);
        c.mov(__qword_ptr[rax + OracleControl.StageAt], 100);
    }

    // A system call that must succeed: otherwise the process ends, and the control page says at which stage.
    private static void Call(Assembler c, int stage, int number, params ReadOnlySpan<ulong> arguments)
    {
        var good = c.CreateLabel();
        c.mov(__qword_ptr[rbp + OracleControl.StageAt], stage);
        for (var i = 0; i < arguments.Length; i++)
        {
            var register = i switch { 0 => rdi, 1 => rsi, 2 => rdx, 3 => r10, 4 => r8, _ => r9 };
            c.mov(register, arguments[i]);
        }
        c.mov(eax, number);
        c.syscall();
        c.cmp(rax, -4095);
        c.jb(good);
        c.neg(eax);
        c.shl(eax, 8);
        c.or(__dword_ptr[rbp + OracleControl.StageAt], eax);
        c.mov(eax, ExitGroup);
        c.syscall();
        c.Label(ref good);
        c.nop();
    }

    private static void EmitLoop(Assembler c, OracleRange range, ulong vectorMask, ref Label next)
    {
        Label wait = c.CreateLabel(), work = c.CreateLabel(), finished = c.CreateLabel(), leave = c.CreateLabel();
        c.Label(ref wait);
        c.mov(rbp, range.Control);
        c.mov(edx, __dword_ptr[rbp + OracleControl.DoneAt]);
        c.cmp(edx, __dword_ptr[rbp + OracleControl.RequestAt]);
        c.jne(work);
        c.lea(rdi, __[rbp + OracleControl.RequestAt]);
        c.xor(esi, esi);
        c.lea(r10, __[rbp + OracleControl.TimeoutAt]);
        c.mov(eax, Futex);
        c.syscall();
        c.mov(eax, Getppid);
        c.syscall();
        c.cmp(eax, __dword_ptr[rbp + OracleControl.ParentAt]);
        c.je(wait);
        c.Label(ref leave);
        c.xor(edi, edi);
        c.mov(eax, ExitGroup);
        c.syscall();

        c.Label(ref work);
        c.mov(__qword_ptr[rbp + OracleControl.IndexAt], 0);
        c.Label(ref next);
        c.mov(rbp, range.Control);
        c.mov(rax, __[rbp + OracleControl.IndexAt]);
        c.cmp(rax, __[rbp + OracleControl.CountAt]);
        c.jae(finished);
        EmitCaseAddress(c, range);
        c.lea(rsi, __[rbx + CaseRecord.MemoryAt]);
        c.mov(rdi, range.Image);
        c.mov(ecx, CaseLayout.ImageSize / 8);
        c.rep.movsq();
        c.mov(ax, __word_ptr[rbx + CaseRecord.SegmentsAt]);
        c.mov(ds, ax);
        c.mov(ax, __word_ptr[rbx + CaseRecord.SegmentsAt + 2]);
        c.mov(es, ax);
        c.mov(ax, __word_ptr[rbx + CaseRecord.SegmentsAt + 4]);
        c.mov(fs, ax);
        c.mov(ax, __word_ptr[rbx + CaseRecord.SegmentsAt + 6]);
        c.mov(gs, ax);
        // Selectors other than null bring their bases with them.
        var based = c.CreateLabel();
        c.test(ax, ax);
        c.jne(based);
        c.mov(rax, __qword_ptr[rbx + CaseRecord.FsBaseAt]);
        c.wrfsbase(rax);
        c.mov(rax, __qword_ptr[rbx + CaseRecord.GsBaseAt]);
        c.wrgsbase(rax);
        c.Label(ref based);
        c.mov(eax, (uint)vectorMask);
        c.xor(edx, edx);
        c.xrstor64(__[rbx + CaseRecord.XsaveAt]);
        c.mov(rsp, OracleRange.FramePage);
        for (var word = 0; word < 5; word++)
        {
            c.mov(rax, __qword_ptr[rbx + CaseRecord.FrameAt + word * 8]);
            c.mov(__[rsp + word * 8], rax);
        }
        c.mov(rax, __[rbx]);
        c.mov(rcx, __[rbx + 8]);
        c.mov(rdx, __[rbx + 16]);
        c.mov(rbp, __[rbx + 40]);
        c.mov(rsi, __[rbx + 48]);
        c.mov(rdi, __[rbx + 56]);
        c.mov(r8, __[rbx + 64]);
        c.mov(r9, __[rbx + 72]);
        c.mov(r10, __[rbx + 80]);
        c.mov(r11, __[rbx + 88]);
        c.mov(r12, __[rbx + 96]);
        c.mov(r13, __[rbx + 104]);
        c.mov(r14, __[rbx + 112]);
        c.mov(r15, __[rbx + 120]);
        c.mov(rbx, __[rbx + 24]);
        c.iretq();

        c.Label(ref finished);
        c.mov(eax, __dword_ptr[rbp + OracleControl.RequestAt]);
        c.mov(__dword_ptr[rbp + OracleControl.DoneAt], eax);
        c.lea(rdi, __[rbp + OracleControl.DoneAt]);
        c.mov(esi, 1);
        c.mov(edx, 1);
        c.mov(eax, Futex);
        c.syscall();
        c.jmp(wait);
    }

    private static void EmitCaseAddress(Assembler c, OracleRange range)
    {
        c.imul(rbx, rax, CaseRecord.Size);
        c.mov(rcx, range.Batch);
        c.add(rbx, rcx);
    }

    private static void EmitHandler(Assembler c, OracleRange range, int xsaveSize, ref Label handler, ref Label next)
    {
        Label tick = c.CreateLabel(), finish = c.CreateLabel();
        c.Label(ref handler);
        c.push(2);
        c.popfq();
        c.mov(rbp, range.Control);
        c.mov(rax, __[rbp + OracleControl.IndexAt]);
        c.cmp(edi, VirtualAlarm);
        c.je(tick);
        c.Label(ref finish);
        EmitCaseAddress(c, range);
        c.mov(__qword_ptr[rbx + CaseRecord.OutAt + CaseRecord.ContextRegisterCount * 8], rdi);
        c.lea(rsi, __[rdx + CaseRecord.ContextRegisters]);
        c.lea(rdi, __[rbx + CaseRecord.OutAt]);
        c.mov(ecx, CaseRecord.ContextRegisterCount);
        c.rep.movsq();
        c.mov(rsi, __[rdx + CaseRecord.ContextVectors]);
        c.lea(rdi, __[rbx + CaseRecord.OutXsaveAt]);
        c.mov(ecx, xsaveSize / 8);
        c.rep.movsq();
        c.mov(rsi, range.Image);
        c.lea(rdi, __[rbx + CaseRecord.OutMemoryAt]);
        c.mov(ecx, CaseLayout.ImageSize / 8);
        c.rep.movsq();
        c.inc(__qword_ptr[rbp + OracleControl.IndexAt]);
        c.mov(rsp, range.Stack);
        c.jmp(next);

        // The timer: the case that ran at the last tick still runs, so it loops. Ticks in the oracle's own code do not count.
        var goesOn = c.CreateLabel();
        c.Label(ref tick);
        c.mov(rcx, __[rdx + CaseRecord.ContextRegisters + ContextRegister.Rip * 8]);
        c.shr(rcx, 32);
        c.jne(goesOn);
        c.mov(rcx, __[rbp + OracleControl.TickIndexAt]);
        c.mov(__[rbp + OracleControl.TickIndexAt], rax);
        c.cmp(rcx, rax);
        c.je(finish);
        c.Label(ref goesOn);
        c.ret();
    }
}
