// REP MOVS and REP STOS in 64-bit mode as runs of the host's own instruction, each as long as source and destination
// stay in their pages; MOVS and STOS alone in 32-bit mode, of which compilers that save space make their copies (GRUB's, for one). What
// the tables do not know, elements that cross pages, DF, and pending exits are left to C#.
using Lamina.Engines.Translator.Code;
using static Lamina.Engines.Translator.Code.GuestRegisters;
using HostReg = Lamina.Engines.Translator.Code.HostRegister;

namespace Lamina.Engines.Translator.Runtime;

internal static unsafe class StringStubs
{
    private const int DirectionFlag = 0x400;

    /// <summary>Emits the stub for one instruction and element size; it is called with all guest registers live and flags parked.</summary>
    /// <param name="asm">Where.</param>
    /// <param name="move">MOVS, else STOS.</param>
    /// <param name="sizeBits">Logarithm of the element size.</param>
    /// <param name="stubs">The stubs that walk, and that leave for the executor.</param>
    public static ulong Emit(ref Assembler asm, bool move, int sizeBits, StubAddresses stubs)
    {
        var exit = stubs.System;
        var start = asm.Here;
        var fails = stackalloc byte*[8];
        var failCount = 0;
        asm.GsImmediate(0xf7, 0, Slot.SystemFlags, DirectionFlag);
        asm.Jcc(Cond.NE, exit);
        asm.Gs(Op.MovStore, HostReg.Rax, Slot.Save0);
        asm.Gs(Op.MovStore, HostReg.Rdx, Slot.Save1);
        asm.Gs(Op.MovStore, HostReg.Rbx, Slot.Save2);
        var loop = asm.Cursor;
        asm.Rr(Op.Test, HostReg.Rcx, HostReg.Rcx);
        var done = asm.JccForward(Cond.E);
        asm.MovImmediate(HostReg.Rdx, 4096);
        if (move)
        {
            EmitLookUp(ref asm, HostReg.Rsi, S0, write: false, stubs.WalkRead, fails, ref failCount);
            EmitBytesLeft(ref asm, HostReg.Rsi);
        }
        EmitLookUp(ref asm, HostReg.Rdi, S1, write: true, stubs.WalkWrite, fails, ref failCount);
        EmitBytesLeft(ref asm, HostReg.Rdi);
        // rdx: elements of this run, the least of what the pages and the count allow.
        if (sizeBits > 0) asm.Shift(5, HostReg.Rdx, sizeBits, wide: false);
        asm.Rr(Op.Test, HostReg.Rdx, HostReg.Rdx, wide: false);
        fails[failCount++] = asm.JccForward(Cond.E);
        asm.Rr(Op.Cmp, HostReg.Rcx, HostReg.Rdx);
        asm.Rr0F(0x40 | Cond.A, HostReg.Rdx, HostReg.Rcx, wide: true);      // cmova rdx, rcx
        asm.Mov(HostReg.Rbx, HostReg.Rcx);
        asm.Rr(Op.Sub, HostReg.Rdx, HostReg.Rbx);                           // what remains
        asm.Mov(HostReg.Rcx, HostReg.Rdx);
        if (move) asm.Rr(Op.Add, S0, HostReg.Rsi);
        else asm.Gs(Op.MovLoad, HostReg.Rax, Slot.Save0);
        asm.Rr(Op.Add, S1, HostReg.Rdi);
        if (sizeBits == 1) asm.Byte(0x66);
        asm.Byte(0xf3);
        if (sizeBits == 3) asm.Byte(0x48);
        asm.Byte((move ? 0xa4 : 0xaa) | (sizeBits > 0 ? 1 : 0));
        if (move) asm.Rr(Op.Sub, S0, HostReg.Rsi);
        asm.Rr(Op.Sub, S1, HostReg.Rdi);
        asm.Mov(HostReg.Rcx, HostReg.Rbx);
        asm.GsCompare8(Slot.ExitRequest, 0);
        asm.JccBack(Cond.E, loop);
        asm.Rr(Op.Test, HostReg.Rcx, HostReg.Rcx);
        fails[failCount++] = asm.JccForward(Cond.NE);
        asm.Bind(done);
        EmitRestore(ref asm);
        asm.Ret();
        for (var i = 0; i < failCount; i++) asm.Bind(fails[i]);
        EmitRestore(ref asm);
        asm.Jmp(exit);
        return start;
    }

    /// <summary>Emits the stub for one element of a flat 32-bit address space; called as the others are.</summary>
    /// <param name="asm">Where.</param>
    /// <param name="move">MOVS, else STOS.</param>
    /// <param name="sizeBits">Logarithm of the element size.</param>
    /// <param name="exit">The stub that leaves for the executor.</param>
    public static ulong EmitElement(ref Assembler asm, bool move, int sizeBits, ulong exit)
    {
        var start = asm.Here;
        asm.GsImmediate(0xf7, 0, Slot.SystemFlags, DirectionFlag);
        asm.Jcc(Cond.NE, exit);
        if (move) EmitNarrowLookUp(ref asm, HostReg.Rsi, S0, 1 << sizeBits, write: false, exit);
        EmitNarrowLookUp(ref asm, HostReg.Rdi, S1, 1 << sizeBits, write: true, exit);
        if (move) asm.Rr(Op.Add, S0, HostReg.Rsi);
        asm.Rr(Op.Add, S1, HostReg.Rdi);
        if (sizeBits == 1) asm.Byte(0x66);
        asm.Byte((move ? 0xa4 : 0xaa) | (sizeBits > 0 ? 1 : 0));
        // The addresses have 32 bits, behind the last one as well.
        if (move) asm.Rr(Op.Sub, S0, HostReg.Rsi);
        if (move) asm.Mov(HostReg.Rsi, HostReg.Rsi, wide: false);
        asm.Rr(Op.Sub, S1, HostReg.Rdi);
        asm.Mov(HostReg.Rdi, HostReg.Rdi, wide: false);
        asm.Ret();
        return start;
    }

    /// <summary>addend = table entry of the page at a 32-bit address; leaves where there is none, or the element does not end in that page.</summary>
    private static void EmitNarrowLookUp(ref Assembler asm, int address, int addend, int size, bool write, ulong exit)
    {
        asm.Mov(address, address, wide: false);
        asm.Mov(addend, address, wide: false);
        if (size > 1)
        {
            asm.RegImmediate(4, addend, 0xfff, wide: false);
            asm.RegImmediate(7, addend, 4096 - size, wide: false);
            asm.Jcc(Cond.A, exit);
            asm.Mov(addend, address, wide: false);
        }
        asm.Shift(5, addend, 12, wide: false);
        if (write) asm.Unary(2, addend);
        asm.GsIndex(Op.MovLoad, addend, addend, 3, write ? Slot.WriteTable : 0);
        asm.Rr(Op.Test, addend, addend);
        asm.Jcc(Cond.E, exit);
    }

    private static void EmitRestore(ref Assembler asm)
    {
        asm.Gs(Op.MovLoad, HostReg.Rax, Slot.Save0);
        asm.Gs(Op.MovLoad, HostReg.Rdx, Slot.Save1);
        asm.Gs(Op.MovLoad, HostReg.Rbx, Slot.Save2);
    }

    /// <summary>addend = table entry of the page at an address; fails where there is none or the address is not canonical.</summary>
    private static void EmitLookUp(ref Assembler asm, int address, int addend, bool write, ulong walk, byte** fails, ref int failCount)
    {
        asm.TestCanonical(address, HostReg.Rax);
        fails[failCount++] = asm.JccForward(Cond.A);
        asm.LoadAddendOrWalk(addend, address, write, walk);
        fails[failCount++] = asm.JccForward(Cond.E);
    }

    /// <summary>edx = the smaller of edx and the bytes left in an address's page.</summary>
    private static void EmitBytesLeft(ref Assembler asm, int address)
    {
        asm.Mov(HostReg.Rax, address, wide: false);
        asm.RegImmediate(4, HostReg.Rax, 0xfff, wide: false);
        asm.MovImmediate(HostReg.Rbx, 4096);
        asm.Rr(Op.Sub, HostReg.Rax, HostReg.Rbx, wide: false);
        asm.Rr(Op.Cmp, HostReg.Rdx, HostReg.Rbx, wide: false);
        asm.Rr0F(0x40 | Cond.B, HostReg.Rdx, HostReg.Rbx, wide: false);     // cmovb edx, ebx
    }
}
