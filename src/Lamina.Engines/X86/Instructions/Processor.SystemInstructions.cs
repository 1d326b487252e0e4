// The remaining system instructions: translation invalidation, caches, FS and GS bases, hypercalls, waiting, random
// numbers, and what is known but not offered. SDM vol. 2; APM vol. 3.
using Lamina.Core.Engine;
using Lamina.Engines.X86.Decode;
using Lamina.Engines.X86.Memory;
using Lamina.Host;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private const int CacheLine = 64;

    // Hypercalls by the interface that CPUID 0x40000000 names; none is offered. Linux include/uapi/linux/kvm_para.h.
    private const long HypercallUnknown = -1000, HypercallForbidden = -1;

    private Outcome SystemInstruction(in Instruction i)
    {
        switch (i.Id)
        {
            case InstructionId.Invlpg: return InvalidatePage(in i);
            case InstructionId.Invpcid: return InvalidateByPcid(in i);
            case InstructionId.Invd or InstructionId.Wbinvd: return RequireCpl0() ? Outcome.Next : Outcome.Fault;
            case InstructionId.Swapgs: return SwapGs();
            case InstructionId.Rdfsbase or InstructionId.Rdgsbase or InstructionId.Wrfsbase or InstructionId.Wrgsbase: return SegmentBaseInstruction(in i);
            case InstructionId.Hypercall:
                Context->Gpr[GprIndex.Rax] = (ulong)(Context->Cpl == 0 ? HypercallUnknown : HypercallForbidden);
                if (!Is64Bit) Context->Gpr[GprIndex.Rax] = (uint)Context->Gpr[GprIndex.Rax];
                return Outcome.Next;
            case InstructionId.CacheLineFlush:
                return FaultOutcome(TryReadMemory(i.Segment, EffectiveOffset(in i), 1, out _));
            case InstructionId.Clzero: return ZeroCacheLine(in i);
            case InstructionId.ReadRandom: return ReadRandom(in i);
            case InstructionId.Ldmxcsr: return LoadMxcsr(in i);
            case InstructionId.Fwait: return FaultOutcome(TryCheckState(StateClass.Wait) && CheckX87Error());
            default:
                // MONITOR, MWAIT, UMWAIT, RSM, TSX, shadow stacks: not in CPUID.
                return FaultOutcome(InvalidOpcode());
        }
    }

    private Outcome InvalidatePage(in Instruction i)
    {
        if (!i.HasMemory) return FaultOutcome(InvalidOpcode());
        if (!RequireCpl0()) return Outcome.Fault;
        var offset = EffectiveOffset(in i);
        if (Is64Bit)
        {
            var linear = i.Segment >= SegmentIndex.Fs ? offset + Segment(i.Segment)->Base : offset;
            // A non-canonical address is no fault and invalidates nothing. SDM vol. 2, INVLPG.
            if (IsCanonical(linear)) _cache.PageInvalidated(linear);
        }
        else _cache.PageInvalidated((Segment(i.Segment)->Base + offset) & uint.MaxValue);
        return Outcome.Next;
    }

    private Outcome InvalidateByPcid(in Instruction i)
    {
        if (!i.HasMemory) return FaultOutcome(InvalidOpcode());
        if (IsVirtual8086 || !RequireCpl0()) return FaultOutcome(GeneralProtection());
        var type = ReadGpr(i.Reg, Is64Bit ? 8 : 4);
        var descriptor = stackalloc ulong[2];
        if (!TryReadMemory(i.Segment, EffectiveOffset(in i), new Span<byte>(descriptor, 16))) return Outcome.Fault;
        var pcid = descriptor[0];
        if (type > 3 || (type < 2 && pcid >> 12 != 0) || (type < 2 && pcid != 0 && (Context->Cr4 & Cr4.PCIDE) == 0)) return FaultOutcome(GeneralProtection());
        if (type == 0 && !IsCanonical(descriptor[1])) return FaultOutcome(GeneralProtection());
        var current = (Context->Cr4 & Cr4.PCIDE) != 0 ? Context->Cr3 & 0xfff : 0;
        switch (type)
        {
            case 0 when pcid == current: _cache.PageInvalidated(descriptor[1]); break;
            case 0 or 1: _cache.FlushPcid((ushort)pcid); break;
            default: _cache.Flush(global: type == 2); break;
        }
        return Outcome.Next;
    }

    private Outcome SwapGs()
    {
        if (!Is64Bit) return FaultOutcome(InvalidOpcode());
        if (!RequireCpl0()) return Outcome.Fault;
        (Context->Gs.Base, Context->KernelGsBase) = (Context->KernelGsBase, Context->Gs.Base);
        _cache.SegmentBaseOrLimitChanged();
        return Outcome.Next;
    }

    private Outcome SegmentBaseInstruction(in Instruction i)
    {
        if (!Is64Bit || (Context->Cr4 & Cr4.FSGSBASE) == 0 || i.HasMemory) return FaultOutcome(InvalidOpcode());
        var segment = i.Id is InstructionId.Rdfsbase or InstructionId.Wrfsbase ? SegmentIndex.Fs : SegmentIndex.Gs;
        if (i.Id is InstructionId.Rdfsbase or InstructionId.Rdgsbase)
        {
            WriteGpr(i.Rm, i.OperandSize, Segment(segment)->Base);
            return Outcome.Next;
        }
        return FaultOutcome(TryWriteSegmentBase(segment, ReadGpr(i.Rm, i.OperandSize)) || GeneralProtection());
    }

    private Outcome ZeroCacheLine(in Instruction i)
    {
        var zeros = stackalloc byte[CacheLine];
        new Span<byte>(zeros, CacheLine).Clear();
        var offset = Context->Gpr[GprIndex.Rax] & MaskOf(i.AddressSize) & ~(ulong)(CacheLine - 1);
        return FaultOutcome(TryWriteMemory(i.Segment, offset, new ReadOnlySpan<byte>(zeros, CacheLine)));
    }

    private Outcome ReadRandom(in Instruction i)
    {
        if (i.HasMemory) return FaultOutcome(InvalidOpcode());
        ulong value;
        HostRandom.Fill(new Span<byte>(&value, 8));
        WriteGpr(i.Rm, i.OperandSize, value);
        Context->ArithmeticFlags = Rflags.CF;
        return Outcome.Next;
    }

    private Outcome LoadMxcsr(in Instruction i)
    {
        if (!i.HasMemory) return FaultOutcome(InvalidOpcode());
        if (!TryCheckState(i.State) || !TryReadMemory(i.Segment, EffectiveOffset(in i), 4, out var value)) return Outcome.Fault;
        if ((value & ~(ulong)Vectors.MxcsrMask) != 0) return FaultOutcome(GeneralProtection());
        Vectors.Begin(XsaveImage.Sse);
        Vectors.Mxcsr = (uint)value;
        return Outcome.Next;
    }

    /// <summary>#MF where an unmasked x87 exception waits. Without CR0.NE the error goes out as IRQ 13 on machines that wire it; here it is #MF as well.</summary>
    private bool CheckX87Error()
    {
        var status = *(ushort*)(Context->XsaveArea + XsaveImage.StatusAt);
        return !Vectors.InUse(XsaveImage.X87) || (status & 0x80) == 0 || Raise(Fault.Plain(Vector.X87));
    }
}
