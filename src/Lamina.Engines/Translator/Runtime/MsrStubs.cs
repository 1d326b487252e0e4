// RDMSR and WRMSR in machine code, by 64-bit code at CPL 0 and with flags parked, for the three registers that kernels use at
// each switch between tasks: the bases of FS and GS, and the one that SWAPGS exchanges. SDM vol. 4, table 2-2.
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86.Msr;
using static Lamina.Engines.Translator.Code.GuestRegisters;
using HostReg = Lamina.Engines.Translator.Code.HostRegister;

namespace Lamina.Engines.Translator.Runtime;

internal static unsafe class MsrStubs
{
    // By their distance from the first.
    private static ReadOnlySpan<int> Slots => new[] { Slot.FsBase, Slot.GsBase, Slot.KernelGsBase };

    /// <summary>RDMSR.</summary>
    public static ulong EmitRead(ref Assembler asm, ulong exit)
    {
        var start = asm.Here;
        EmitNumber(ref asm, exit);
        var others = stackalloc byte*[Slots.Length];
        var count = 0;
        for (var n = 0; n < Slots.Length; n++)
        {
            var next = EmitTest(ref asm, n);
            asm.Gs(Op.MovLoad, S1, Slots[n]);
            if (next == null) break;
            others[count++] = asm.JmpShort();
            asm.BindShort(next);
        }
        for (var i = 0; i < count; i++) asm.BindShort(others[i]);
        asm.Mov(HostReg.Rax, S1, wide: false);
        asm.Shift(5, S1, 32);
        asm.Mov(HostReg.Rdx, S1, wide: false);
        asm.Ret();
        return start;
    }

    /// <summary>WRMSR: an address that is not canonical is for the executor, which raises #GP.</summary>
    public static ulong EmitWrite(ref Assembler asm, ulong exit)
    {
        const int saved = HostReg.Rbx;
        var start = asm.Here;
        EmitNumber(ref asm, exit);
        asm.Push(saved);
        asm.Mov(S1, HostReg.Rdx, wide: false);
        asm.Shift(4, S1, 32);
        asm.Mov(saved, HostReg.Rax, wide: false);
        asm.Rr(Op.Or, saved, S1);
        asm.TestCanonical(S1, saved);
        asm.Pop(saved);
        asm.Jcc(Cond.A, exit);
        for (var n = 0; n < Slots.Length; n++)
        {
            var next = EmitTest(ref asm, n);
            asm.Gs(Op.MovStore, S1, Slots[n]);
            asm.Ret();
            if (next != null) asm.BindShort(next);
        }
        return start;
    }

    // S0: which one of them ECX names; others leave.
    private static void EmitNumber(ref Assembler asm, ulong exit)
    {
        asm.Mov(S0, HostReg.Rcx, wide: false);
        asm.RegImmediate(5, S0, unchecked((int)MsrIndex.FsBase), wide: false);
        asm.RegImmediate(7, S0, Slots.Length - 1, wide: false);
        asm.Jcc(Cond.A, exit);
    }

    // The jump to be taken where it is not this one; null for the last, which needs no test.
    private static byte* EmitTest(ref Assembler asm, int number)
    {
        if (number == Slots.Length - 1) return null;
        asm.RegImmediate(7, S0, number, wide: false);
        return asm.JccShort(Cond.NE);
    }
}
