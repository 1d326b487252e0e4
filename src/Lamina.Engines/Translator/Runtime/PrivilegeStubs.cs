// SYSCALL, SYSRET and IRETQ between 64-bit user and supervisor code in machine code, for the plain case: no tracing, no
// debugger, no interrupt waiting, the flat segments that STAR names. Whatever is not plain goes to the executor.
// Called by a block with flags parked; the return address tells the executor's exit where; a stub that succeeds drops it.
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86;
using static Lamina.Engines.Translator.Code.GuestRegisters;
using HostReg = Lamina.Engines.Translator.Code.HostRegister;

namespace Lamina.Engines.Translator.Runtime;

internal static unsafe class PrivilegeStubs
{
    private const int SegmentBytes = 24, SelectorOffset = 16;

    // On the stack of a stub that was called.
    private const int ReturnAddress = 8;

    // Accessed 64-bit code and data descriptors, base 0, limit 4 GiB, without AVL (SDM vol. 3, 3.4.5).
    private const ulong KernelCode = 0x00af_9b00_0000_ffff, KernelStack = 0x00cf_9300_0000_ffff;
    private const ulong UserCode = 0x00af_fb00_0000_ffff, UserStack = 0x00cf_f300_0000_ffff;

    /// <summary>SYSCALL from CPL 3 (SDM vol. 2, SYSCALL). S0: the address behind it.</summary>
    public static ulong EmitSyscall(ref Assembler asm, StubAddresses stubs)
    {
        var (start, exit) = (asm.Here, stubs.System);
        asm.GsCompare8(Slot.EntryReady, 0);
        asm.Jcc(Cond.E, exit);
        asm.Mov(HostReg.Rcx, S0);
        EmitJoinFlags(ref asm);
        asm.RegImmediate(4, S1, ~(int)Rflags.RF);
        asm.Frame(Op.MovStore, S1, ReturnAddress + Frame.Of(11));
        asm.Gs(Op.MovLoad, S0, Slot.Sfmask);
        asm.Unary(2, S0);
        asm.Rr(Op.And, S0, S1);
        EmitSplitFlags(ref asm);
        EmitSegments(ref asm, Slot.KernelCode, Slot.KernelStack, level: 0);
        asm.Gs(Op.MovLoad, S0, Slot.ClosedGs);
        asm.EnterRegion(S0, stubs);
        asm.Gs(Op.MovLoad, S0, Slot.Lstar);
        EmitGo(ref asm);
        return start;
    }

    /// <summary>SYSRET to 64-bit code (SDM vol. 2, SYSRET).</summary>
    public static ulong EmitSysret(ref Assembler asm, StubAddresses stubs)
    {
        var (start, exit) = (asm.Here, stubs.System);
        EmitReturnChecks(ref asm, Slot.ReturnReady, exit);
        asm.TestCanonical(HostReg.Rcx, S0);
        asm.Jcc(Cond.A, exit);
        asm.Frame(Op.MovLoad, S1, ReturnAddress + Frame.Of(11));
        asm.TestInt32(S1, NotPlain);
        asm.Jcc(Cond.NE, exit);
        EmitSplitFlags(ref asm);
        EmitSegments(ref asm, Slot.UserCode, Slot.UserStack, level: 3);
        asm.Gs(Op.MovLoad, S0, Slot.UserGs);
        asm.EnterRegion(S0, stubs);
        EmitUserVectors(ref asm, stubs.LoadVectors);
        asm.Mov(S0, HostReg.Rcx);
        EmitGo(ref asm);
        return start;
    }

    /// <summary>IRETQ to CPL 3 or CPL 0 (SDM vol. 2, IRET).</summary>
    public static ulong EmitIret(ref Assembler asm, StubAddresses stubs)
    {
        const int frame = HostReg.Rbx, temporary = HostReg.Rax;
        var (start, walk, exit) = (asm.Here, stubs.WalkRead, stubs.System);
        EmitReturnChecks(ref asm, Slot.KernelReady, exit);
        asm.GsCompare8(Slot.NmiBlocked, 0);
        asm.Jcc(Cond.NE, exit);
        asm.GsImmediate(0xf7, 0, Slot.SystemFlags, (int)Rflags.NT);
        asm.Jcc(Cond.NE, exit);
        asm.Gs(Op.MovStore, temporary, Slot.Save0);
        asm.Gs(Op.MovStore, frame, Slot.Save1);
        var fails = stackalloc byte*[32];
        var failCount = 0;
        // The frame of five words lies in one page.
        asm.Mov(temporary, StackPointer, wide: false);
        asm.RegImmediate(4, temporary, 0xfff, wide: false);
        asm.RegImmediate(7, temporary, 4096 - 40, wide: false);
        fails[failCount++] = asm.JccForward(Cond.A);
        EmitHostAddress(ref asm, frame, StackPointer, temporary, walk, fails, ref failCount);
        asm.Rm(Op.MovLoad, S0, frame, 0);
        asm.TestCanonical(S0, temporary);
        fails[failCount++] = asm.JccForward(Cond.A);
        asm.Rm(Op.MovLoad, S1, frame, 16);
        asm.Gs(Op.Test, S1, Slot.NotPlainFlags);
        fails[failCount++] = asm.JccForward(Cond.NE);
        EmitSelectorCheck(ref asm, frame, 8, Slot.UserCode, temporary);
        var kernel = asm.JccForward(Cond.NE);

        asm.GsCompare8(Slot.ReturnReady, 0);
        fails[failCount++] = asm.JccForward(Cond.E);
        EmitSelectorCheck(ref asm, frame, 32, Slot.UserStack, temporary);
        fails[failCount++] = asm.JccForward(Cond.NE);
        asm.GsCompare8(Slot.DataSegmentsSafe, 0);
        fails[failCount++] = asm.JccForward(Cond.E);
        EmitDescriptorCheck(ref asm, Slot.UserCode, UserCode, walk, fails, ref failCount);
        EmitDescriptorCheck(ref asm, Slot.UserStack, UserStack, walk, fails, ref failCount);
        EmitUserVectors(ref asm, stubs.LoadVectors);
        EmitLeave(ref asm, stubs, Slot.UserCode, Slot.UserStack, 3, Slot.UserGs);

        asm.Bind(kernel);
        EmitSelectorCheck(ref asm, frame, 8, Slot.KernelCode, temporary);
        fails[failCount++] = asm.JccForward(Cond.NE);
        EmitDescriptorCheck(ref asm, Slot.KernelCode, KernelCode, walk, fails, ref failCount);
        EmitSelectorCheck(ref asm, frame, 32, Slot.KernelStack, temporary);
        var noStack = asm.JccForward(Cond.NE);
        EmitDescriptorCheck(ref asm, Slot.KernelStack, KernelStack, walk, fails, ref failCount);
        EmitLeave(ref asm, stubs, Slot.KernelCode, Slot.KernelStack, 0, Slot.ClosedGs);

        // A null stack segment, as Linux has it until it first comes back from a user: it was loaded at level 0 already.
        asm.Bind(noStack);
        EmitSelectorCheck(ref asm, frame, 32, Slot.Ss, temporary);
        fails[failCount++] = asm.JccForward(Cond.NE);
        asm.Rr(Op.Test, temporary, temporary, wide: false);
        fails[failCount++] = asm.JccForward(Cond.NE);
        EmitLeave(ref asm, stubs, Slot.KernelCode, Slot.Ss, 0, Slot.ClosedGs);

        for (var i = 0; i < failCount; i++) asm.Bind(fails[i]);
        EmitRestore(ref asm);
        asm.Jmp(exit);
        return start;

        static void EmitLeave(ref Assembler asm, StubAddresses stubs, int code, int stack, int level, int gs)
        {
            asm.Rm(Op.MovLoad, S1, frame, 16);
            EmitSplitFlags(ref asm);
            EmitSegments(ref asm, code, stack, level);
            asm.Rm(Op.MovLoad, StackPointer, frame, 24);
            asm.Rm(Op.MovLoad, S0, frame, 0);
            EmitRestore(ref asm);
            asm.Gs(Op.MovLoad, S1, gs);
            asm.EnterRegion(S1, stubs);
            EmitGo(ref asm);
        }

        static void EmitRestore(ref Assembler asm)
        {
            asm.Gs(Op.MovLoad, temporary, Slot.Save0);
            asm.Gs(Op.MovLoad, frame, Slot.Save1);
        }
    }

    /// <summary>Flags that a return restores only with the executor's help.</summary>
    public const int NotPlain = (int)(Rflags.TF | Rflags.NT | Rflags.VM | Rflags.AC | Rflags.VIF | Rflags.VIP);

    private static void EmitReturnChecks(ref Assembler asm, int ready, ulong exit)
    {
        asm.GsCompare8(ready, 0);
        asm.Jcc(Cond.E, exit);
        asm.GsCompare8(Slot.InterruptWaits, 0, wide: true);
        asm.Jcc(Cond.NE, exit);
    }

    /// <summary>RFLAGS from its parts to S1. Clobbers S0.</summary>
    private static void EmitJoinFlags(ref Assembler asm)
    {
        asm.Frame(Op.MovLoad, S0, ReturnAddress + Frame.ParkedFlags, wide: false);
        asm.Mov(S1, S0, wide: false);
        asm.RegImmediate(4, S1, 1, wide: false);
        asm.Shift(4, S1, 11, wide: false);
        asm.Shift(5, S0, 8, wide: false);
        asm.RegImmediate(4, S0, 0xff, wide: false);
        asm.Rr(Op.Or, S0, S1, wide: false);
        asm.Gs(Op.OrLoad, S1, Slot.SystemFlags);
    }

    /// <summary>RFLAGS in S1 to its parts, without RF. Clobbers S0 and S1.</summary>
    private static void EmitSplitFlags(ref Assembler asm)
    {
        asm.Mov(S0, S1, wide: false);
        asm.RegImmediate(4, S0, (int)(Rflags.System & ~(Rflags.RF | Rflags.VM)), wide: false);
        asm.RegImmediate(1, S0, (int)Rflags.Fixed, wide: false);
        asm.Gs(Op.MovStore, S0, Slot.SystemFlags);
        asm.Mov(S0, S1, wide: false);
        asm.Shift(5, S0, 11, wide: false);
        asm.RegImmediate(4, S0, 1, wide: false);
        asm.RegImmediate(4, S1, 0xff, wide: false);
        asm.Shift(4, S1, 8, wide: false);
        asm.Rr(Op.Or, S1, S0, wide: false);
        asm.Frame(Op.MovStore, S0, ReturnAddress + Frame.ParkedFlags, wide: false);
    }

    private static void EmitSegments(ref Assembler asm, int code, int stack, int level)
    {
        for (var i = 0; i < SegmentBytes; i += 8)
        {
            asm.Gs(Op.MovLoad, S0, code + i);
            asm.Gs(Op.MovStore, S0, Slot.Cs + i);
            asm.Gs(Op.MovLoad, S1, stack + i);
            asm.Gs(Op.MovStore, S1, Slot.Ss + i);
        }
        asm.GsImmediate(0xc7, 0, Slot.Cpl, level);
    }

    /// <summary>User code has the vector state in registers. Clobbers the host's flags alone.</summary>
    private static void EmitUserVectors(ref Assembler asm, ulong load)
    {
        asm.GsCompare8(Slot.VectorsLoaded, 0);
        var loaded = asm.JccShort(Cond.NE);
        asm.Call(load);
        asm.BindShort(loaded);
    }

    private static void EmitGo(ref Assembler asm)
    {
        asm.Rm(Op.Lea, HostReg.Rsp, HostReg.Rsp, ReturnAddress);
        asm.JumpThroughCache();
    }

    /// <summary>host = where the linear address in a register is in the host, by the read table. Clobbers S1.</summary>
    private static void EmitHostAddress(ref Assembler asm, int host, int linear, int temporary, ulong walk, byte** fails, ref int failCount)
    {
        asm.TestCanonical(linear, temporary);
        fails[failCount++] = asm.JccForward(Cond.A);
        asm.LoadAddendOrWalk(temporary, linear, write: false, walk);
        fails[failCount++] = asm.JccForward(Cond.E);
        asm.Rx(Op.Lea, host, linear, temporary, 0, 0);
    }

    private static void EmitSelectorCheck(ref Assembler asm, int frame, int offset, int segment, int temporary)
    {
        asm.GsLoadShort(temporary, segment + SelectorOffset, 2);
        asm.Byte(0x66);                             // cmp word [frame + offset], temporary
        asm.Rm(Op.Cmp, temporary, frame, offset, wide: false);
    }

    /// <summary>Fails unless the GDT holds just the descriptor that the ready segment stands for. Clobbers RAX and S1.</summary>
    private static void EmitDescriptorCheck(ref Assembler asm, int segment, ulong descriptor, ulong walk, byte** fails, ref int failCount)
    {
        asm.GsLoadShort(HostReg.Rax, segment + SelectorOffset, 2);
        asm.RegImmediate(1, HostReg.Rax, 7, wide: false);
        asm.Gs(Op.CmpLoad, HostReg.Rax, Slot.GdtrLimit, wide: false);
        fails[failCount++] = asm.JccForward(Cond.A);
        asm.RegImmediate(6, HostReg.Rax, 7, wide: false);
        asm.Gs(Op.AddLoad, HostReg.Rax, Slot.GdtrBase);
        asm.TestByte(HostReg.Rax, 7);
        fails[failCount++] = asm.JccForward(Cond.NE);
        EmitHostAddress(ref asm, HostReg.Rax, HostReg.Rax, S1, walk, fails, ref failCount);
        asm.MovImmediate(S1, descriptor);
        asm.Rm(Op.Cmp, S1, HostReg.Rax, 0);
        fails[failCount++] = asm.JccForward(Cond.NE);
    }
}
