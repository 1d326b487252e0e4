// CLI, STI, CLD, STD, CLAC, STAC, HLT. SDM vol. 2.
using Lamina.Engines.X86.Decode;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private Outcome FlagInstruction(in Instruction i)
    {
        switch (i.Id)
        {
            case InstructionId.Cli:
                if (IsProtected && Context->Cpl > IoPrivilege) return FaultOutcome(GeneralProtection());
                Context->SystemFlags &= ~Rflags.IF;
                return Outcome.Next;
            case InstructionId.Sti:
                if (IsProtected && Context->Cpl > IoPrivilege) return FaultOutcome(GeneralProtection());
                if ((Context->SystemFlags & Rflags.IF) == 0) Context->InterruptShadow = ShadowSti;
                Context->SystemFlags |= Rflags.IF;
                return Outcome.Next;
            case InstructionId.Cld:
                Context->SystemFlags &= ~Rflags.DF;
                return Outcome.Next;
            case InstructionId.Std:
                Context->SystemFlags |= Rflags.DF;
                return Outcome.Next;
            case InstructionId.Clac or InstructionId.Stac:
                if ((_model.Cr4Mask & Cr4.SMAP) == 0 || Context->Cpl != 0) return FaultOutcome(InvalidOpcode());
                SetFlags(i.Id == InstructionId.Stac ? Flags | Rflags.AC : Flags & ~Rflags.AC);
                return Outcome.Next;
            default:
                return RequireCpl0() ? Outcome.Halted : Outcome.Fault;
        }
    }
}
