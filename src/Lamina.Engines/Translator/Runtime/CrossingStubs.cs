// Accesses from one page to the next, in machine code. Two pages that follow one another in the host, too, are as good as
// one. Else the bounce buffer stands for them: what is read is put together there; a store is made there by the copy that
// lies behind the jump that such a stub otherwise returns to, and the stub behind the copy takes it over. What is not RAM,
// or would fault, is for C#, and so is a store that reads or that may leave bytes as they are.
using Lamina.Engines.Translator.Code;
using static Lamina.Engines.Translator.Code.GuestRegisters;
using HostReg = Lamina.Engines.Translator.Code.HostRegister;

namespace Lamina.Engines.Translator.Runtime;

internal static unsafe class CrossingStubs
{
    private const int Second = HostReg.Rax, Count = HostReg.Rcx, From = HostReg.Rsi, To = HostReg.Rdi;

    private static ReadOnlySpan<int> Saved => [Second, Count, From, To];

    /// <summary>Emits the part of a stub that S0, the address of an access that crosses a page, comes to; it returns with the addend in S1.</summary>
    /// <param name="asm">Where.</param>
    /// <param name="size">Bytes.</param>
    /// <param name="write">A store, maybe with a read before it.</param>
    /// <param name="bounces">Whether the bounce buffer may be used.</param>
    /// <param name="walk">The page walk.</param>
    /// <param name="exit">Leaves for the executor.</param>
    public static void Emit(ref Assembler asm, int size, bool write, bool bounces, ulong walk, ulong exit)
    {
        var fails = stackalloc byte*[5];
        var failCount = 0;
        asm.PushAll(Saved);
        asm.TestCanonical(S0, Second);
        fails[failCount++] = asm.JccForward(Cond.A);
        // Neither at the end of the canonical addresses nor at that of a segment of 4 GiB.
        asm.Rm(Op.Lea, Second, S0, size - 1);
        asm.Mov(Count, Second);
        asm.Rr(Op.Xor, S0, Count);
        asm.Shift(5, Count, 32);
        fails[failCount++] = asm.JccForward(Cond.NE);
        asm.RegImmediate(4, Second, -4096);
        asm.LoadAddendOrWalk(Count, Second, write, walk);
        fails[failCount++] = asm.JccForward(Cond.E);
        asm.LoadAddendOrWalk(S1, S0, write, walk);
        fails[failCount++] = asm.JccForward(Cond.E);
        asm.Rr(Op.Cmp, Count, S1);
        if (bounces)
        {
            var adjacent = asm.JccForward(Cond.E);
            EmitPlaces(ref asm);
            if (write) EmitPrepareCommit(ref asm, size);
            else EmitRead(ref asm, size);
            asm.Bind(adjacent);
        }
        else
        {
            fails[failCount++] = asm.JccForward(Cond.NE);
        }
        asm.PopAll(Saved);
        asm.Ret();
        for (var i = 0; i < failCount; i++) asm.Bind(fails[i]);
        asm.PopAll(Saved);
        asm.Jmp(exit);
    }

    // From the addends of both pages, in S1 and Count: From, Second are the operand's two places in the host, To is its place in
    // the buffer, as misaligned as it is in memory, and S1 leads there.
    private static void EmitPlaces(ref Assembler asm)
    {
        asm.Mov(From, S1);
        asm.Mov(To, S0, wide: false);
        asm.RegImmediate(4, To, VcpuArea.BounceAlignment - 1, wide: false);
        asm.Gs(Op.AddLoad, To, Slot.BounceStart);
        asm.Mov(S1, To);
        asm.Rr(Op.Sub, S0, S1);
        asm.Rr(Op.Add, S0, From);
        asm.Rr(Op.Add, Count, Second);
    }

    private static void EmitRead(ref Assembler asm, int size)
    {
        EmitFirstBytes(ref asm);
        asm.Push(Count);
        asm.RepeatMoveBytes();
        asm.Pop(Count);
        asm.Mov(From, Second);
        EmitOtherBytes(ref asm, size);
        asm.RepeatMoveBytes();
    }

    // Notes where the copied store is to go, and returns to the copy.
    private static void EmitPrepareCommit(ref Assembler asm, int size)
    {
        asm.Gs(Op.MovStore, To, Slot.BounceFrom);
        asm.Gs(Op.MovStore, From, Slot.BounceFirst);
        asm.Gs(Op.MovStore, Second, Slot.BounceSecond);
        EmitFirstBytes(ref asm);
        asm.Gs(Op.MovStore, Count, Slot.BounceFirstBytes);
        EmitOtherBytes(ref asm, size);
        asm.Gs(Op.MovStore, Count, Slot.BounceSecondBytes);
        var returns = Saved.Length * 8;
        asm.Rm(Op.MovLoad, Count, HostReg.Rsp, returns);
        asm.Rm(Op.Lea, Count, Count, Assembler.JumpBytes);
        asm.Rm(Op.MovStore, Count, HostReg.Rsp, returns);
    }

    // Count: from From to its page's end.
    private static void EmitFirstBytes(ref Assembler asm)
    {
        asm.Mov(Count, From, wide: false);
        asm.Unary(3, Count, wide: false);
        asm.RegImmediate(4, Count, 0xfff, wide: false);
    }

    // Count: the operand's other bytes.
    private static void EmitOtherBytes(ref Assembler asm, int size)
    {
        asm.Unary(3, Count, wide: false);
        asm.RegImmediate(0, Count, size, wide: false);
    }

    /// <summary>Emits the stub behind a store's copy: takes over what was prepared; anything else is for C#. Changes no flags.</summary>
    public static ulong EmitCommit(ref Assembler asm, ulong exit)
    {
        var start = asm.Here;
        asm.Push(Count);
        asm.Gs(Op.MovLoad, Count, Slot.BounceFirstBytes);
        var none = asm.JumpIfRcxZero();
        asm.Push(From);
        asm.Push(To);
        asm.Gs(Op.MovLoad, From, Slot.BounceFrom);
        asm.Gs(Op.MovLoad, To, Slot.BounceFirst);
        asm.RepeatMoveBytes();
        asm.Gs(Op.MovStore, Count, Slot.BounceFirstBytes);
        asm.Gs(Op.MovLoad, Count, Slot.BounceSecondBytes);
        asm.Gs(Op.MovLoad, To, Slot.BounceSecond);
        asm.RepeatMoveBytes();
        asm.Pop(To);
        asm.Pop(From);
        asm.Pop(Count);
        asm.Ret();
        asm.BindShort(none);
        asm.Pop(Count);
        asm.Jmp(exit);
        return start;
    }
}
