// INVLPG in machine code: a page of 4 KiB that no code was run from, in parts of the tables that are known to be there. The rest is for
// the executor, and so is what this finds to be anything else.
using Lamina.Engines.Translator.Code;
using static Lamina.Engines.Translator.Code.GuestRegisters;
using HostReg = Lamina.Engines.Translator.Code.HostRegister;

namespace Lamina.Engines.Translator.Runtime;

internal static unsafe class PageStubs
{
    private const int Page = HostReg.Rax, Region = HostReg.Rcx, Piece = HostReg.Rdx, Temporary = S1;

    /// <summary>By 64-bit code at CPL 0, flags being parked. S0: the linear address.</summary>
    public static ulong EmitInvalidate(ref Assembler asm, ulong exit)
    {
        ReadOnlySpan<int> saved = [Page, Region, Piece];
        var regions = new[] { Slot.ClosedGs, Slot.OpenGs, Slot.UserGs };
        var fails = stackalloc byte*[16];
        var failCount = 0;
        var start = asm.Here;
        asm.PushAll(saved);
        asm.TestCanonical(S0, Temporary);
        fails[failCount++] = asm.JccForward(Cond.A);
        asm.PageNumber(Page, S0);
        asm.Mov(Piece, Page);
        asm.Shift(5, Piece, RegionHead.PieceShift);
        asm.Mov(Temporary, Piece);
        asm.Gs(Op.AddLoad, Temporary, Slot.LargeMap);
        EmitTestByte(ref asm, Temporary, 0);
        fails[failCount++] = asm.JccForward(Cond.NE);
        foreach (var region in regions)
        {
            asm.Gs(Op.MovLoad, Region, region);
            asm.Mov(Temporary, Page, wide: false);
            asm.RegImmediate(4, Temporary, Slot.CodeMarks - 1, wide: false);
            asm.Rr(Op.Add, Region, Temporary);
            EmitTestByte(ref asm, Temporary, Slot.CodeMark);
            fails[failCount++] = asm.JccForward(Cond.NE);
            asm.Mov(Temporary, Piece, wide: false);
            asm.RegImmediate(4, Temporary, RegionHead.KnownPieceCount - 1, wide: false);
            asm.Rx(Op.CmpLoad, Piece, Region, Temporary, 3, Slot.KnownPieces);
            fails[failCount++] = asm.JccForward(Cond.NE);
        }
        asm.Mov(Temporary, Page);
        asm.Unary(2, Temporary);
        asm.Rr(Op.Xor, Piece, Piece, wide: false);
        foreach (var region in regions)
        {
            asm.Gs(Op.MovLoad, Region, region);
            asm.Rx(Op.MovStore, Piece, Region, Page, 3, 0);
            asm.Rx(Op.MovStore, Piece, Region, Temporary, 3, Slot.WriteTable);
        }
        asm.PopAll(saved);
        asm.Ret();
        for (var i = 0; i < failCount; i++) asm.Bind(fails[i]);
        asm.PopAll(saved);
        asm.Jmp(exit);
        return start;
    }

    // cmp byte [register + displacement], 0
    private static void EmitTestByte(ref Assembler asm, int register, int displacement)
    {
        asm.Byte(0x41);
        asm.Byte(0x80);
        asm.ModRmBase(7, register, displacement);
        asm.Byte(0);
    }
}
