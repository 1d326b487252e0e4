// MOV to CR8 in machine code: any priority that is not below what the local APIC has. See Processor.TaskPriority.
using Lamina.Engines.Translator.Code;
using static Lamina.Engines.Translator.Code.GuestRegisters;

namespace Lamina.Engines.Translator.Runtime;

internal static unsafe class PriorityStub
{
    private const int Highest = 15;

    /// <summary>By 64-bit code at CPL 0, flags being parked. S0: the value.</summary>
    public static ulong Emit(ref Assembler asm, ulong exit)
    {
        var start = asm.Here;
        asm.RegImmediate(7, S0, Highest);
        asm.Jcc(Cond.A, exit);
        asm.Gs(Op.CmpLoad, S0, Slot.KnownTaskPriority);
        asm.Jcc(Cond.B, exit);
        asm.Gs(Op.MovStore, S0, Slot.TaskPriority);
        asm.GsImmediate(0xc7, 0, Slot.TaskPriorityAhead, 1);
        asm.Ret();
        return start;
    }
}
