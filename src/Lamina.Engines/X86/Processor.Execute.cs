// Execution of one decoded instruction: what surrounds each (RIP, RF, interrupt shadow), and the table of who does it.
// The instructions themselves are in the room Instructions, by group.
using Lamina.Engines.X86.Decode;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private ulong _nextRip;

    /// <summary>RIP behind the instruction that is being executed.</summary>
    private ulong NextRip => _nextRip;

    /// <summary>Executes one instruction, RIP being at it. Every identity but <see cref="InstructionId.Plain"/> is known.</summary>
    public Outcome Execute(in Instruction instruction)
    {
        var shadow = Context->InterruptShadow;
        var resume = Context->SystemFlags & Rflags.RF;
        var (pending, watchHits) = (_pendingDebug, _watchHits);
        var rip = Context->Rip;
        _nextRip = rip + instruction.Length;
        if (!Is64Bit) _nextRip &= uint.MaxValue;
        Context->InterruptShadow = 0;
        Context->SystemFlags &= ~Rflags.RF;
        _taskSwitched = false;
        var outcome = Dispatch(in instruction);
        switch (outcome)
        {
            case Outcome.Next or Outcome.Halted:
                Context->Rip = _nextRip;
                break;
            case Outcome.Fault when !_taskSwitched:
                Context->InterruptShadow = shadow;
                Context->SystemFlags |= resume;
                (_pendingDebug, _watchHits) = (pending, watchHits);
                break;
            case Outcome.Branched when _stringUnfinished:
                // The same instruction goes on: its instruction breakpoint was reported already, if it has one.
                _stringUnfinished = false;
                if ((Context->Dr7 & Dr7Enables) != 0) Context->SystemFlags |= Rflags.RF;
                break;
        }
        return outcome;
    }

    /// <summary>An instruction was executed otherwise, and control goes on behind it: does what surrounds each.</summary>
    /// <param name="rip">RIP there.</param>
    public void GoOnAt(ulong rip)
    {
        Context->Rip = rip;
        Context->InterruptShadow = 0;
        Context->SystemFlags &= ~Rflags.RF;
    }

    private Outcome Dispatch(in Instruction i)
    {
        switch (i.Id)
        {
            case InstructionId.Lea: return Lea(in i);
            case InstructionId.Nop or InstructionId.Pause: return Outcome.Next;
            case InstructionId.Mov: return Mov(in i);
            case InstructionId.MovMoffs: return MovMoffs(in i);
            case InstructionId.ZeroRegister: return ZeroRegister(in i);
            case InstructionId.IncDecShort: return IncDecShort(in i);
            case InstructionId.Xchg: return Exchange(in i);
            case InstructionId.Divide: return Divide(in i);
            case InstructionId.ShiftByCl: return ShiftByCl(in i);
            case InstructionId.MovFromSegment: return MovFromSegment(in i);
            case InstructionId.MovToSegment: return MovToSegment(in i);
            case >= InstructionId.JmpRelative and <= InstructionId.Ud: return ControlTransfer(in i);
            case >= InstructionId.Push and <= InstructionId.Leave: return StackInstruction(in i);
            case >= InstructionId.Movs and <= InstructionId.Outs: return StringInstruction(in i);
            case >= InstructionId.BitTestMemory and <= InstructionId.MoveDirect64: return MemoryInstruction(in i);
            case >= InstructionId.Daa and <= InstructionId.Arpl: return LegacyInstruction(in i);
            case >= InstructionId.Cli and <= InstructionId.Hlt: return FlagInstruction(in i);
            case InstructionId.In or InstructionId.Out: return PortInstruction(in i);
            case >= InstructionId.Cpuid and <= InstructionId.Xsetbv: return ModelInstruction(in i);
            case >= InstructionId.MovFromCr and <= InstructionId.Smsw: return RegisterInstruction(in i);
            case >= InstructionId.Lgdt and <= InstructionId.Verw: return DescriptorInstruction(in i);
            case >= InstructionId.Invlpg and <= InstructionId.Fwait: return SystemInstruction(in i);
            default:
                // Plain instructions run on the host; asking for one here is a mistake of the caller's.
                throw new InvalidOperationException($"{i.Id} is not executed in C#");
        }
    }

    /// <summary>Whether register state is enabled. SDM vol. 1, 13.1; vol. 3, 2.5; vol. 2, table 2-21 and on. False: #UD or #NM.</summary>
    public bool TryCheckState(StateClass state)
    {
        var cr0 = Context->Cr0;
        switch (state)
        {
            case StateClass.Integer:
                return true;
            case StateClass.X87:
                return (cr0 & (Cr0.EM | Cr0.TS)) == 0 || DeviceNotAvailable();
            case StateClass.Wait:
                return (cr0 & (Cr0.MP | Cr0.TS)) != (Cr0.MP | Cr0.TS) || DeviceNotAvailable();
            case StateClass.Mmx:
                if ((cr0 & Cr0.EM) != 0) return InvalidOpcode();
                break;
            case StateClass.Sse:
                if ((cr0 & Cr0.EM) != 0 || (Context->Cr4 & Cr4.OSFXSR) == 0) return InvalidOpcode();
                break;
            default:
                var needed = state == StateClass.Avx ? 6UL : 0xe6;
                if (!IsProtected || IsVirtual8086 || (Context->Cr4 & Cr4.OSXSAVE) == 0 || (Context->Xcr0 & needed) != needed) return InvalidOpcode();
                break;
        }
        return (cr0 & Cr0.TS) == 0 || DeviceNotAvailable();
    }

    /// <summary>Whether an unmasked x87 exception waits for the next x87 or MMX instruction, to be raised as #MF. SDM vol. 1, 8.6.</summary>
    public bool HasPendingX87 => (Context->Cr0 & Cr0.NE) != 0 && Vectors.HasPendingX87;

    private bool RequireCpl0() => Context->Cpl == 0 || GeneralProtection();

    private bool RequireRegisterForm(in Instruction i) => !i.HasMemory || InvalidOpcode();
}
