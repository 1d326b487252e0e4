// The machine code that all blocks share: the way in, the ways out, and the way from address to code.
using System.Numerics;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86.Memory;
using Lamina.Host.Threads;
using static Lamina.Engines.Translator.Code.GuestRegisters;
using HostReg = Lamina.Engines.Translator.Code.HostRegister;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe class Stubs
{
    private readonly List<(ulong Start, string Name)> _names = [];

    /// <summary>Emits them.</summary>
    /// <param name="buffer">Where.</param>
    /// <param name="gsBase">How the GS base is to be changed.</param>
    public Stubs(CodeBuffer buffer, GsBaseChange gsBase)
    {
        var asm = buffer.Begin();
        Name("exit", asm.Here);
        var common = EmitCommonExit(ref asm);
        Name("entry", asm.Here);
        Enter = (delegate* unmanaged<ulong, uint>)EmitEnter(ref asm, again: false, gsBase);
        EnterAgain = (delegate* unmanaged<ulong, uint>)EmitEnter(ref asm, again: true, gsBase);
        Name("vector state", asm.Here);
        var loadVectors = EmitLoadVectors(ref asm);
        Name("exit of a site", asm.Here);
        Addresses = new StubAddresses
        {
            GsBase = gsBase,
            Commit = CrossingStubs.EmitCommit(ref asm, EmitExit(ref asm, SiteKind.Commit, common)),
            Segment = EmitExit(ref asm, SiteKind.Segment, common),
            System = EmitExit(ref asm, SiteKind.System, common),
            Port = EmitExit(ref asm, SiteKind.Port, common),
            Poll = EmitExit(ref asm, SiteKind.Poll, common),
            Link = EmitExit(ref asm, SiteKind.Link, common),
            FarLink = EmitExit(ref asm, SiteKind.FarLink, common),
            Stale = EmitExit(ref asm, SiteKind.Stale, common),
            Step = EmitExit(ref asm, SiteKind.Step, common),
            BadTarget = EmitExit(ref asm, SiteKind.BadTarget, common),
            Undecodable = EmitExit(ref asm, SiteKind.Undecodable, common),
            LoadVectors = loadVectors,
        };
        Name("GS base", asm.Here);
        if (gsBase == GsBaseChange.Asked) Addresses.SetGsBase = EmitSetGsBase(ref asm);
        Name("exit of an access", asm.Here);
        var readExit = EmitExit(ref asm, SiteKind.Read, common);
        var writeExit = EmitExit(ref asm, SiteKind.Write, common);
        Name("page walk", asm.Here);
        Addresses.WalkRead = WalkStub.Emit(ref asm, write: false);
        Addresses.WalkWrite = WalkStub.Emit(ref asm, write: true);
        var reads = new WalkStub.Ways(Addresses.WalkRead, WalkStub.EmitBeside(ref asm, write: false), readExit);
        var writes = new WalkStub.Ways(Addresses.WalkWrite, WalkStub.EmitBeside(ref asm, write: true), writeExit);
        Addresses.Read = WalkStub.EmitMiss(ref asm, reads);
        Addresses.Write = WalkStub.EmitMiss(ref asm, writes);
        for (var size = 1; size < Addresses.ReadSized.Length; size++)
        {
            Addresses.ReadSized[size] = WalkStub.EmitSizedMiss(ref asm, 1 << size, write: false, bounces: true, reads);
            Addresses.WriteSized[size] = WalkStub.EmitSizedMiss(ref asm, 1 << size, write: true, bounces: false, writes);
            Addresses.StoreSized[size] = WalkStub.EmitSizedMiss(ref asm, 1 << size, write: true, bounces: true, writes);
        }
        Name("jump", asm.Here);
        Addresses.JumpMiss = EmitJumpedExit(ref asm, SiteKind.JumpMiss, common);
        Addresses.JumpEmpty = EmitJumpEmpty(ref asm, Addresses.JumpMiss, buffer.ExecutableBase);
        Addresses.JumpSecond = EmitJumpSecond(ref asm, Addresses.JumpEmpty);
        Addresses.Jump = asm.Here;
        asm.JumpThroughCache();
        Name("change of privilege", asm.Here);
        Addresses.Syscall = PrivilegeStubs.EmitSyscall(ref asm, Addresses);
        Addresses.Sysret = PrivilegeStubs.EmitSysret(ref asm, Addresses);
        Addresses.Iret = PrivilegeStubs.EmitIret(ref asm, Addresses);
        Name("system instruction", asm.Here);
        Addresses.Cpuid = CpuidAnswers.EmitLookUp(ref asm, Addresses.System);
        Addresses.ReadMsr = MsrStubs.EmitRead(ref asm, Addresses.System);
        Addresses.WriteMsr = MsrStubs.EmitWrite(ref asm, Addresses.System);
        Addresses.InvalidatePage = PageStubs.EmitInvalidate(ref asm, Addresses.System);
        Addresses.WriteTaskPriority = PriorityStub.Emit(ref asm, Addresses.System);
        Name("exit of a fault", asm.Here);
        HostFault = EmitJumpedExit(ref asm, SiteKind.HostFault, common);
        Name("string instruction", asm.Here);
        for (var size = 0; size < 4; size++)
        {
            Addresses.Move[size] = StringStubs.Emit(ref asm, move: true, size, Addresses);
            Addresses.Store[size] = StringStubs.Emit(ref asm, move: false, size, Addresses);
            if (size == 3) continue;
            Addresses.MoveElement[size] = StringStubs.EmitElement(ref asm, move: true, size, Addresses.System);
            Addresses.StoreElement[size] = StringStubs.EmitElement(ref asm, move: false, size, Addresses.System);
        }
        buffer.End(asm.Cursor);
        buffer.KeepAllSoFar();
    }

    /// <summary>Enters generated code at <see cref="VcpuArea.EnterAddress"/> with a GS base; returns a <see cref="SiteKind"/>.</summary>
    public delegate* unmanaged<ulong, uint> Enter { get; }

    /// <summary>
    /// The same, by a thread that left it in the same region and has run nothing but .NET since: the GS base is still there. Where a switch
    /// between threads loses it there may have been one, by a wake-up of another vCPU for one, and it is looked at: that costs less by
    /// thousands than the fault that would come of it.
    /// </summary>
    public delegate* unmanaged<ulong, uint> EnterAgain { get; }

    /// <summary>What generated code calls.</summary>
    public StubAddresses Addresses { get; }

    /// <summary>Where the signal handler sends a thread that faulted in generated code.</summary>
    public ulong HostFault { get; }

    /// <summary>The stub that an address is in, for a report.</summary>
    public string NameAt(ulong address) => _names.FindLast(stub => stub.Start <= address).Name ?? "unknown stub";

    private void Name(string name, ulong start) => _names.Add((start, name));

    private static ulong EmitEnter(ref Assembler asm, bool again, GsBaseChange gsBase)
    {
        var start = asm.Here;
        asm.Push(HostReg.Rbx);
        asm.Push(HostReg.Rbp);
        for (var r = HostReg.R12; r <= HostReg.R15; r++) asm.Push(r);
        if (!again) EmitFirstRegion(ref asm, gsBase);
        else if (gsBase == GsBaseChange.Lost) EmitGsBase(ref asm);
        asm.Rm(Op.Lea, HostReg.Rsp, HostReg.Rsp, -Frame.Size);
        asm.Gs(Op.MovStore, HostReg.Rsp, Slot.HostStack);
        foreach (var (offset, slot) in Frame.Slots)
        {
            asm.Gs(Op.MovLoad, HostReg.Rax, slot);
            asm.Frame(Op.MovStore, HostReg.Rax, offset);
        }
        asm.GsCompare8(Slot.VectorsLoaded, 0);
        var inMemory = asm.JccShort(Cond.E);
        EmitXrstor(ref asm);
        asm.BindShort(inMemory);
        asm.Gs(Op.MovLoad, HostReg.Rax, Slot.HostFlags, wide: false);
        asm.FlagsFromRax();
        for (var guest = 1; guest < 16; guest++)
            if (!IsDisplaced(guest)) asm.Gs(Op.MovLoad, HostOf(guest), Slot.GprSlot(guest));
        asm.MovImmediate(PageField, Slot.PageNumberBits << 8 | 12);
        asm.Gs(Op.MovLoad, S0, Slot.Scratch0);
        asm.Gs(Op.MovLoad, S1, Slot.Scratch1);
        asm.Gs(Op.MovLoad, HostReg.Rax, Slot.GprSlot(0));
        asm.Byte(0x65);
        asm.Byte(0xff);
        asm.GsAddress(4, Slot.EnterAddress);
        return start;
    }

    // Goes to the region in RDI from anywhere.
    private static void EmitFirstRegion(ref Assembler asm, GsBaseChange gsBase)
    {
        if (gsBase == GsBaseChange.Asked)
        {
            asm.Mov(HostReg.Rsi, HostReg.Rdi);
            EmitAskForGsBase(ref asm);
            return;
        }
        EmitGsBase(ref asm);
        if (gsBase == GsBaseChange.Lost) asm.Gs(Op.MovStore, HostReg.Rdi, Slot.CurrentGs);
    }

    // Most of the time it is there still, which is seen in a tenth of the time that writing it takes. Clobbers RAX.
    private static void EmitGsBase(ref Assembler asm)
    {
        asm.ReadGsBase(HostReg.Rax);
        asm.Rr(Op.Cmp, HostReg.Rax, HostReg.Rdi);
        var there = asm.JccShort(Cond.E);
        asm.WriteGsBase(HostReg.Rdi);
        asm.BindShort(there);
    }

    // To the region in CurrentGs. Clobbers nothing.
    private static ulong EmitSetGsBase(ref Assembler asm)
    {
        // What the system call takes, and what it clobbers.
        ReadOnlySpan<int> used = [HostReg.Rax, HostReg.Rcx, HostReg.Rsi, HostReg.Rdi, HostReg.R11];
        var start = asm.Here;
        foreach (var register in used) asm.Push(register);
        asm.Gs(Op.MovLoad, HostReg.Rsi, Slot.CurrentGs);
        EmitAskForGsBase(ref asm);
        for (var i = used.Length - 1; i >= 0; i--) asm.Pop(used[i]);
        asm.Ret();
        return start;
    }

    // The kernel refuses no address of the process's own.
    private static void EmitAskForGsBase(ref Assembler asm)
    {
        asm.MovImmediate(HostReg.Rdi, ThreadGsBase.SetGs);
        asm.MovImmediate(HostReg.Rax, ThreadGsBase.SystemCall);
        asm.Byte(0x0f);                                     // syscall
        asm.Byte(0x05);
    }

    // Clobbers RAX and RDX.
    private static void EmitXrstor(ref Assembler asm)
    {
        asm.Gs(Op.MovLoad, HostReg.Rax, Slot.XsaveMask, wide: false);
        asm.Rr(Op.Xor, HostReg.Rdx, HostReg.Rdx, wide: false);
        asm.Byte(0x65);                                     // xrstor64 gs:[xsave]
        asm.Byte(0x48);
        asm.Byte(0x0f);
        asm.Byte(0xae);
        asm.GsAddress(5, Slot.Xsave);
    }

    private static ulong EmitLoadVectors(ref Assembler asm)
    {
        var start = asm.Here;
        asm.Push(HostReg.Rax);
        asm.Push(HostReg.Rdx);
        EmitXrstor(ref asm);
        asm.GsImmediate(0xc7, 0, Slot.VectorsLoaded, 1);
        asm.Pop(HostReg.Rdx);
        asm.Pop(HostReg.Rax);
        asm.Ret();
        return start;
    }

    private static ulong EmitExit(ref Assembler asm, SiteKind kind, ulong common)
    {
        var start = asm.Here;
        asm.Byte(0x65);                                     // pop gs:[exit address]
        asm.Byte(0x8f);
        asm.GsAddress(0, Slot.ExitAddress);
        EmitSaveStart(ref asm, kind, common);
        return start;
    }

    private static ulong EmitJumpedExit(ref Assembler asm, SiteKind kind, ulong common)
    {
        var start = asm.Here;
        EmitSaveStart(ref asm, kind, common);
        return start;
    }

    // From a pad that is for another address than S0: looks into the second level.
    private static ulong EmitJumpSecond(ref Assembler asm, ulong miss)
    {
        var start = asm.Here;
        EmitMultipliedHash(ref asm, S1, Slot.SecondBits, Slot.SecondEntryBytes);
        asm.GsIndex(Op.CmpLoad, S0, S1, 0, Slot.SecondCache);
        asm.Jcc(Cond.NE, miss);
        asm.GsIndex(0xff, 4, S1, 0, Slot.SecondCache + 8, wide: false);
        return start;
    }

    // The bytes to what S0 has its place in, of a size that is a power of two.
    private static void EmitMultipliedHash(ref Assembler asm, int register, int bits, int size)
    {
        asm.MultiplyImmediate(register, S0, Slot.SecondFactor);
        asm.Shift(5, register, 32 - bits - BitOperations.Log2((uint)size), wide: false);
        asm.RegImmediate(4, register, -size, wide: false);
    }

    // What an empty entry leads to, and where the second level does not have S0: takes a pad that another address space uses if
    // the page is known to be the same, and enters it into the first level where that has room.
    private static ulong EmitJumpEmpty(ref Assembler asm, ulong miss, ulong codeBase)
    {
        const int Pad = HostReg.Rax, Other = HostReg.Rcx;
        var start = asm.Here;
        var fails = stackalloc byte*[3];
        asm.Push(Pad);
        asm.Push(Other);
        asm.Mov(Pad, S0);
        asm.Shift(5, Pad, 12);
        asm.Mov(Other, Pad, wide: false);
        asm.RegImmediate(4, Other, Slot.KnownPages - 1, wide: false);
        asm.Shift(4, Other, 4, wide: false);
        asm.RegImmediate(0, Pad, 1);
        asm.GsIndex(Op.CmpLoad, Pad, Other, 0, Slot.KnownCodePages);
        fails[0] = asm.JccForward(Cond.NE);
        asm.GsIndex(Op.MovLoad, Other, Other, 0, Slot.KnownCodePages + 8);
        EmitMultipliedHash(ref asm, Pad, SharedPads.SetBits, SharedPads.Ways * SharedPads.EntryBytes);
        asm.Gs(Op.AddLoad, Pad, Slot.SharedPads);
        var ways = stackalloc byte*[SharedPads.Ways];
        for (var way = 0; way < SharedPads.Ways; way++)
        {
            if (way > 0) asm.RegImmediate(0, Pad, SharedPads.EntryBytes);
            asm.Rm(Op.CmpLoad, S0, Pad, 0);
            ways[way] = asm.JccShort(Cond.E);
        }
        fails[1] = asm.JmpForward();
        for (var way = 0; way < SharedPads.Ways; way++) asm.BindShort(ways[way]);
        asm.Rm(Op.MovLoad, Pad, Pad, 8);
        asm.Mov(S1, Pad);
        asm.Shift(5, S1, 32);
        asm.Rr(Op.Cmp, S1, Other);
        fails[2] = asm.JccForward(Cond.NE);
        asm.Mov(Pad, Pad, wide: false);
        asm.MovImmediate(S1, codeBase);
        asm.Rr(Op.Add, S1, Pad);
        // Entry of the first level, times four.
        asm.Mov(Other, S0, wide: false);
        asm.Shift(5, Other, Slot.JumpCacheShift, wide: false);
        asm.Rr(Op.Xor, S0, Other, wide: false);
        asm.RegImmediate(4, Other, Slot.JumpCacheMask, wide: false);
        asm.MovImmediate(S1, start);
        asm.GsIndex(Op.CmpLoad, S1, Other, 1, Slot.JumpCache);
        var taken = asm.JccShort(Cond.NE);
        asm.Gs(Op.MovLoad, S1, Slot.SetLog, wide: false);
        asm.RegImmediate(7, S1, Slot.SetLogEntries - 1, wide: false);
        var full = asm.JccShort(Cond.AE);
        asm.RegImmediate(0, S1, 1, wide: false);
        asm.Gs(Op.MovStore, S1, Slot.SetLog, wide: false);
        asm.GsIndex(Op.MovStore, Pad, Other, 1, Slot.JumpCache);
        asm.GsIndex(Op.MovStore, S0, Other, 1, Slot.JumpLinears);
        asm.Shift(5, Other, 2, wide: false);
        asm.GsIndex(Op.MovStore, Other, S1, 2, Slot.SetLog, wide: false);
        asm.BindShort(taken);
        asm.BindShort(full);
        asm.Mov(S1, Pad);
        asm.Pop(Other);
        asm.Pop(Pad);
        asm.Rr(0xff, 4, S1, wide: false);                   // jmp S1
        for (var i = 0; i < 3; i++) asm.Bind(fails[i]);
        asm.Pop(Other);
        asm.Pop(Pad);
        asm.Jmp(miss);
        return start;
    }

    private static void EmitSaveStart(ref Assembler asm, SiteKind kind, ulong common)
    {
        asm.Gs(Op.MovStore, HostReg.Rax, Slot.GprSlot(0));
        asm.Byte(0x9f);                                     // lahf
        asm.Rr0F(0x90, 0, HostReg.Rax, false);              // seto al
        asm.Gs(Op.MovStore, HostReg.Rax, Slot.HostFlags, wide: false);
        asm.MovImmediate(HostReg.Rax, (ulong)kind);
        asm.Jmp(common);
    }

    private static ulong EmitCommonExit(ref Assembler asm)
    {
        var start = asm.Here;
        for (var guest = 1; guest < 16; guest++)
            if (!IsDisplaced(guest)) asm.Gs(Op.MovStore, HostOf(guest), Slot.GprSlot(guest));
        asm.Gs(Op.MovStore, S0, Slot.Scratch0);
        asm.Gs(Op.MovStore, S1, Slot.Scratch1);
        asm.Mov(HostReg.Rbx, HostReg.Rax);
        asm.Gs(Op.MovLoad, HostReg.Rsp, Slot.HostStack);
        foreach (var (offset, slot) in Frame.Slots)
        {
            asm.Frame(Op.MovLoad, HostReg.Rax, offset);
            asm.Gs(Op.MovStore, HostReg.Rax, slot);
        }
        asm.Gs(Op.MovLoad, HostReg.Rax, Slot.ThisRegion, wide: false);
        asm.Gs(Op.MovStore, HostReg.Rax, Slot.RegionNumber, wide: false);
        asm.GsCompare8(Slot.VectorsLoaded, 0);
        var inMemory = asm.JccShort(Cond.E);
        asm.Gs(Op.MovLoad, HostReg.Rax, Slot.XsaveMask, wide: false);
        asm.Rr(Op.Xor, HostReg.Rdx, HostReg.Rdx, wide: false);
        // Not XSAVEOPT: it may leave out what it takes for unchanged while it says that it is in use (seen on Zen 4 after an
        // XRSTOR that initialized the AVX state), and it saves but 20 of 200 ns.
        asm.Byte(0x65);                                     // xsave64 gs:[xsave]
        asm.Byte(0x48);
        asm.Byte(0x0f);
        asm.Byte(0xae);
        asm.GsAddress(4, Slot.Xsave);
        asm.Byte(0x65);                                     // test byte gs:[XSTATE_BV], 1: x87 not in its initial state?
        asm.Byte(0xf6);
        asm.GsAddress(0, Slot.Xsave + XsaveImage.HeaderAt);
        asm.Byte(1);
        var initial = asm.JccShort(Cond.E);
        asm.Byte(0xdb);                                     // fninit
        asm.Byte(0xe3);
        asm.BindShort(initial);
        asm.Byte(0x65);                                     // ldmxcsr gs:[host mxcsr]
        asm.Byte(0x0f);
        asm.Byte(0xae);
        asm.GsAddress(2, Slot.HostMxcsr);
        if (HostFeatures.HasAvx)
        {
            asm.Byte(0xc5);                                 // vzeroupper
            asm.Byte(0xf8);
            asm.Byte(0x77);
        }
        asm.BindShort(inMemory);
        asm.Mov(HostReg.Rax, HostReg.Rbx, wide: false);
        asm.Rm(Op.Lea, HostReg.Rsp, HostReg.Rsp, Frame.Size);
        for (var r = HostReg.R15; r >= HostReg.R12; r--) asm.Pop(r);
        asm.Pop(HostReg.Rbp);
        asm.Pop(HostReg.Rbx);
        // Not RET: the call that processors would pair it with is the one from the site that leaves, and they would go there first.
        asm.Pop(HostReg.Rcx);
        asm.Rr(0xff, 4, HostReg.Rcx, wide: false);          // jmp rcx
        return start;
    }
}
