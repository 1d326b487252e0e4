// CPUID, time-stamp counter, MSRs and XCR0. SDM vol. 2.
using Lamina.Core.Engine;
using Lamina.Core.Logging;
using Lamina.Engines.X86.Decode;
using Lamina.Engines.X86.Msr;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private const ulong ApicGloballyEnabled = 1 << 11;

    private Outcome ModelInstruction(in Instruction i)
    {
        switch (i.Id)
        {
            case InstructionId.Cpuid:
                Identify();
                return Outcome.Next;
            case InstructionId.Rdtsc or InstructionId.Rdtscp:
                if ((Context->Cr4 & Cr4.TSD) != 0 && Context->Cpl != 0) return FaultOutcome(GeneralProtection());
                WritePair(ReadTsc());
                if (i.Id == InstructionId.Rdtscp) WriteGpr(GprIndex.Rcx, 4, Context->TscAux);
                return Outcome.Next;
            case InstructionId.Rdpid:
                if (i.HasMemory) return FaultOutcome(InvalidOpcode());
                Context->Gpr[i.Rm] = (uint)Context->TscAux;
                return Outcome.Next;
            case InstructionId.Rdmsr:
                if (!RequireCpl0()) return Outcome.Fault;
                var source = (uint)Context->Gpr[GprIndex.Rcx];
                if (!TryReadMsr(source, out var value)) return RefuseMsr("RDMSR", source, 0);
                WritePair(value);
                return Outcome.Next;
            case InstructionId.Wrmsr:
                if (!RequireCpl0()) return Outcome.Fault;
                var target = (uint)Context->Gpr[GprIndex.Rcx];
                return TryWriteMsr(target, ReadPair()) ? Outcome.Next : RefuseMsr("WRMSR", target, ReadPair());
            case InstructionId.Xgetbv: return GetXcr();
            case InstructionId.Xsetbv: return SetXcr();
            default:
                // RDPMC: there are no counters. SDM vol. 2, RDPMC.
                return FaultOutcome(GeneralProtection());
        }
    }

    private void WritePair(ulong value)
    {
        WriteGpr(GprIndex.Rax, 4, value);
        WriteGpr(GprIndex.Rdx, 4, value >> 32);
    }

    private ulong ReadPair() => (uint)Context->Gpr[GprIndex.Rax] | Context->Gpr[GprIndex.Rdx] << 32;

    private Outcome RefuseMsr(string what, uint index, ulong value)
    {
        _log.Trace(LogEvent.Msr, $"vcpu {_index}: {what} 0x{index:x} 0x{value:x}: #GP");
        return FaultOutcome(GeneralProtection());
    }

    /// <summary>Answers CPUID from EAX and ECX.</summary>
    private void Identify()
    {
        var enabled = !_apic.TryReadMsr(MsrIndex.ApicBase, out var apicBase) || (apicBase & ApicGloballyEnabled) != 0;
        var result = _model.Query((uint)Context->Gpr[GprIndex.Rax], (uint)Context->Gpr[GprIndex.Rcx], _index, Context->Cr4, Context->Xcr0, enabled);
        WriteGpr(GprIndex.Rax, 4, result.Eax);
        WriteGpr(GprIndex.Rbx, 4, result.Ebx);
        WriteGpr(GprIndex.Rcx, 4, result.Ecx);
        WriteGpr(GprIndex.Rdx, 4, result.Edx);
    }

    private Outcome GetXcr()
    {
        if ((Context->Cr4 & Cr4.OSXSAVE) == 0) return FaultOutcome(InvalidOpcode());
        switch ((uint)Context->Gpr[GprIndex.Rcx])
        {
            case 0:
                WritePair(Context->Xcr0);
                return Outcome.Next;
            case 1 when _model.HasXgetbv1:
                WritePair(Context->Xcr0 & Vectors.StateBits);
                return Outcome.Next;
            default:
                return FaultOutcome(GeneralProtection());
        }
    }

    /// <summary>XSETBV. SDM vol. 1, 13.3: which combinations are valid.</summary>
    private Outcome SetXcr()
    {
        if ((Context->Cr4 & Cr4.OSXSAVE) == 0) return FaultOutcome(InvalidOpcode());
        var value = ReadPair();
        var avx512 = value & 0xe0;
        var valid = Context->Cpl == 0 && (uint)Context->Gpr[GprIndex.Rcx] == 0 && (value & 1) != 0 && (value & ~_model.XcrMask) == 0
            && ((value & 4) == 0 || (value & 2) != 0) && (avx512 == 0 || (avx512 == 0xe0 && (value & 4) != 0));
        if (!valid) return FaultOutcome(GeneralProtection());
        if (Context->Xcr0 != value)
        {
            Context->Xcr0 = value;
            _cache.IdentificationChanged();
            _cache.ModeChanged();
        }
        return Outcome.Next;
    }
}
