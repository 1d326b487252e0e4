// String instructions, with REP. One call does a bounded number of elements and then leaves RIP at the instruction, so
// that interrupts are seen; registers are exact after every element. SDM vol. 2, MOVS and on, REP.
using Lamina.Core.Engine;
using Lamina.Engines.X86.Decode;
using Lamina.Engines.X86.Paging;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private const int StringElementsPerCall = 4096;

    private bool _stringUnfinished;

    private Outcome StringInstruction(in Instruction i)
    {
        var repeated = (i.Traits & (InstructionTraits.Rep | InstructionTraits.Repne)) != 0;
        if (i.Id is InstructionId.Ins or InstructionId.Outs && !TryCheckPort((ushort)Context->Gpr[GprIndex.Rdx], i.OperandSize)) return Outcome.Fault;
        if (!repeated) return FaultOutcome(TryStringElement(in i));

        var counted = i.AddressSize;
        var budget = (Context->SystemFlags & Rflags.TF) != 0 ? 1 : StringElementsPerCall;
        while (ReadGpr(GprIndex.Rcx, counted) != 0)
        {
            var left = ReadGpr(GprIndex.Rcx, counted);
            var done = StringRun(in i, Math.Min(left, (ulong)budget));
            if (done == 0)
            {
                // A fault in a later element leaves the earlier ones done, with RIP still at the instruction.
                if (!TryStringElement(in i)) return Outcome.Fault;
                done = 1;
            }
            WriteGpr(GprIndex.Rcx, counted, left - done);
            if (i.Id is InstructionId.Cmps or InstructionId.Scas)
            {
                var equal = (Context->ArithmeticFlags & Rflags.ZF) != 0;
                if (equal != ((i.Traits & InstructionTraits.Rep) != 0)) return Outcome.Next;
            }
            budget -= (int)done;
            if (budget > 0 && !HasPendingTraps) continue;
            if (ReadGpr(GprIndex.Rcx, counted) == 0) break;
            _stringUnfinished = true;
            return Outcome.Branched;
        }
        return Outcome.Next;
    }

    // Where both operands of CMPS fault, the second one's fault is raised; with REPE CMPSB the first one's. The manuals do not say;
    // AMD's processors do so.
    private bool TryReadCompared(in Instruction i, ulong source, ulong destination, out ulong left, out ulong right)
    {
        left = right = 0;
        return ComparesSourceFirst(in i)
            ? TryReadMemory(i.Segment, source, i.OperandSize, out left) && TryReadMemory(SegmentIndex.Es, destination, i.OperandSize, out right)
            : TryReadMemory(SegmentIndex.Es, destination, i.OperandSize, out right) && TryReadMemory(i.Segment, source, i.OperandSize, out left);
    }

    private static bool ComparesSourceFirst(in Instruction i) => (i.Traits & InstructionTraits.Rep) != 0 && i.OperandSize == 1;

    private bool TryStringElement(in Instruction i)
    {
        var size = i.OperandSize;
        var step = (Context->SystemFlags & Rflags.DF) != 0 ? -(long)size : size;
        var source = ReadGpr(GprIndex.Rsi, i.AddressSize);
        var destination = ReadGpr(GprIndex.Rdi, i.AddressSize);
        ulong value;
        switch (i.Id)
        {
            case InstructionId.Movs:
                if (!TryReadMemory(i.Segment, source, size, out value) || !TryWriteMemory(SegmentIndex.Es, destination, size, value)) return false;
                break;
            case InstructionId.Stos:
                if (!TryWriteMemory(SegmentIndex.Es, destination, size, ReadGpr(GprIndex.Rax, size))) return false;
                break;
            case InstructionId.Lods:
                if (!TryReadMemory(i.Segment, source, size, out value)) return false;
                WriteGpr(GprIndex.Rax, size, value);
                break;
            case InstructionId.Scas:
                if (!TryReadMemory(SegmentIndex.Es, destination, size, out value)) return false;
                SetCompareFlags(ReadGpr(GprIndex.Rax, size), value, size);
                break;
            case InstructionId.Cmps:
                if (!TryReadCompared(in i, source, destination, out var left, out value)) return false;
                SetCompareFlags(left, value, size);
                break;
            case InstructionId.Ins:
                // The destination is checked before the port is read: a read may have effects.
                if (!TryLinearize(SegmentIndex.Es, destination, size, write: true, out var linear) || !CheckAlignment(linear, size)
                    || !TryProbe(linear, size, AccessKind.Write)) return false;
                if (!TryWriteLinear(linear, size, ReadPort((ushort)Context->Gpr[GprIndex.Rdx], size))) return false;
                break;
            default:
                if (!TryReadMemory(i.Segment, source, size, out value)) return false;
                WritePort((ushort)Context->Gpr[GprIndex.Rdx], size, value);
                break;
        }
        if (i.Id is InstructionId.Movs or InstructionId.Lods or InstructionId.Cmps or InstructionId.Outs) WriteGpr(GprIndex.Rsi, i.AddressSize, source + (ulong)step);
        if (i.Id is not (InstructionId.Lods or InstructionId.Outs)) WriteGpr(GprIndex.Rdi, i.AddressSize, destination + (ulong)step);
        return true;
    }

    /// <summary>The flags of CMP.</summary>
    private void SetCompareFlags(ulong left, ulong right, int size)
    {
        var result = (left - right) & MaskOf(size);
        var flags = ResultFlags(result, size);
        if (left < right) flags |= Rflags.CF;
        if (((left ^ right ^ result) & 0x10) != 0) flags |= Rflags.AF;
        if (((left ^ right) & (left ^ result) & SignBit(size)) != 0) flags |= Rflags.OF;
        Context->ArithmeticFlags = flags;
    }
}
