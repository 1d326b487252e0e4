// What CPUID has answered, by its two inputs: generated code looks there first, and asks the executor for what it does not find. It is void
// when one of the few things changes that an answer depends on (see ITranslationCache.IdentificationChanged).
using Lamina.Core.Engine;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86;
using static Lamina.Engines.Translator.Code.GuestRegisters;
using HostReg = Lamina.Engines.Translator.Code.HostRegister;

namespace Lamina.Engines.Translator.Runtime;

/// <summary>The answers of a vCPU.</summary>
/// <param name="entries">Where they are: <see cref="VcpuArea.Answers"/>.</param>
internal readonly unsafe struct CpuidAnswers(ulong* entries)
{
    // The inputs, EAX and EBX, ECX and EDX, and nothing.
    private const int EntryShift = 5;

    private static int IndexOf(ulong input) => (int)((uint)input ^ (uint)(input >> 32)) & (VcpuArea.AnswerEntries - 1);

    /// <summary>What CPUID is asked for: EAX, and ECX above it.</summary>
    public static ulong InputOf(CpuContext* cpu) => (uint)cpu->Gpr[GprIndex.Rax] | cpu->Gpr[GprIndex.Rcx] << 32;

    /// <summary>Forgets them.</summary>
    public void Clear()
    {
        // An input that belongs to another entry.
        for (var i = 0; i < VcpuArea.AnswerEntries; i++) entries[i * 4] = (ulong)(i ^ 1);
    }

    /// <summary>CPUID has answered, and its answer is in the registers.</summary>
    public void Note(ulong input, CpuContext* cpu)
    {
        var entry = entries + IndexOf(input) * 4;
        entry[0] = input;
        entry[1] = (uint)cpu->Gpr[GprIndex.Rax] | cpu->Gpr[GprIndex.Rbx] << 32;
        entry[2] = (uint)cpu->Gpr[GprIndex.Rcx] | cpu->Gpr[GprIndex.Rdx] << 32;
    }

    /// <summary>CPUID, flags being parked.</summary>
    public static ulong EmitLookUp(ref Assembler asm, ulong exit)
    {
        var start = asm.Here;
        asm.Mov(S0, HostReg.Rcx, wide: false);
        asm.Mov(S1, HostReg.Rax, wide: false);
        asm.Shift(4, S0, 32);
        asm.Rr(Op.Or, S1, S0);
        asm.Rr(Op.Xor, HostReg.Rcx, S1, wide: false);
        asm.RegImmediate(4, S1, VcpuArea.AnswerEntries - 1, wide: false);
        asm.Shift(4, S1, EntryShift, wide: false);
        asm.GsIndex(Op.CmpLoad, S0, S1, 0, Slot.Answers);
        asm.Jcc(Cond.NE, exit);
        asm.GsIndex(Op.MovLoad, HostReg.Rax, S1, 0, Slot.Answers + 8, wide: false);
        asm.GsIndex(Op.MovLoad, HostReg.Rbx, S1, 0, Slot.Answers + 12, wide: false);
        asm.GsIndex(Op.MovLoad, HostReg.Rcx, S1, 0, Slot.Answers + 16, wide: false);
        asm.GsIndex(Op.MovLoad, HostReg.Rdx, S1, 0, Slot.Answers + 20, wide: false);
        asm.Ret();
        return start;
    }
}
