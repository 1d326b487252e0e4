// Descriptor-table registers and instructions that look at descriptors: LGDT to VERW. SDM vol. 2.
using Lamina.Engines.X86.Decode;
using Lamina.Engines.X86.Paging;
using Lamina.Engines.X86.Segmentation;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private Outcome DescriptorInstruction(in Instruction i)
    {
        switch (i.Id)
        {
            case InstructionId.Lgdt or InstructionId.Lidt: return LoadTable(in i);
            case InstructionId.Sgdt: return StoreTable(in i, Context->GdtrLimit, Context->GdtrBase);
            case InstructionId.Sidt: return StoreTable(in i, Context->IdtrLimit, Context->IdtrBase);
            case InstructionId.Sldt: return StoreSelector(in i, Context->Ldtr.Selector);
            case InstructionId.Str: return StoreSelector(in i, Context->Tr.Selector);
            case InstructionId.Lldt or InstructionId.Ltr:
                if (IsFlatMode) return FaultOutcome(InvalidOpcode());
                if (!RequireCpl0() || !TryReadRm(in i, 2, out var selector)) return Outcome.Fault;
                return FaultOutcome(i.Id == InstructionId.Ltr ? TryLoadTaskRegister((ushort)selector) : TryLoadLdt((ushort)selector, Vector.GeneralProtection, 0));
            default:
                return Inspect(in i);
        }
    }

    private Outcome LoadTable(in Instruction i)
    {
        if (!i.HasMemory) return FaultOutcome(InvalidOpcode());
        if (!RequireCpl0()) return Outcome.Fault;
        var buffer = stackalloc byte[10];
        if (!TryReadMemory(i.Segment, EffectiveOffset(in i), new Span<byte>(buffer, Is64Bit ? 10 : 6))) return Outcome.Fault;
        var limit = *(ushort*)buffer;
        var tableBase = Is64Bit ? *(ulong*)(buffer + 2) : *(uint*)(buffer + 2) & (i.OperandSize == 2 ? 0x00ff_ffff : uint.MaxValue);
        if (!IsCanonical(tableBase)) return FaultOutcome(GeneralProtection());
        if (i.Id == InstructionId.Lgdt) (Context->GdtrLimit, Context->GdtrBase) = (limit, tableBase);
        else (Context->IdtrLimit, Context->IdtrBase) = (limit, tableBase);
        return Outcome.Next;
    }

    private Outcome StoreTable(in Instruction i, uint limit, ulong tableBase)
    {
        if (!i.HasMemory) return FaultOutcome(InvalidOpcode());
        if (!CheckUserModeInstructionPrevention()) return Outcome.Fault;
        var buffer = stackalloc byte[10];
        *(ushort*)buffer = (ushort)limit;
        *(ulong*)(buffer + 2) = tableBase;
        return FaultOutcome(TryWriteMemory(i.Segment, EffectiveOffset(in i), new ReadOnlySpan<byte>(buffer, Is64Bit ? 10 : 6)));
    }

    private Outcome StoreSelector(in Instruction i, ushort selector)
    {
        if (IsFlatMode) return FaultOutcome(InvalidOpcode());
        if (!CheckUserModeInstructionPrevention()) return Outcome.Fault;
        return FaultOutcome(TryWriteRm(in i, i.HasMemory ? 2 : i.OperandSize, selector));
    }

    /// <summary>LAR, LSL, VERR, VERW: ZF says whether the descriptor may be looked at or used.</summary>
    private Outcome Inspect(in Instruction i)
    {
        if (IsFlatMode) return FaultOutcome(InvalidOpcode());
        if (!TryReadRm(in i, 2, out var value)) return Outcome.Fault;
        var selector = (ushort)value;
        var visible = false;
        Descriptor descriptor = default;
        if (!IsNull(selector) && TryFindDescriptor(selector, 8, out var address))
        {
            if (!TryReadLinear(address, 8, out var raw, AccessMode.Implicit)) return Outcome.Fault;
            descriptor = new Descriptor(raw);
            visible = IsVisible(i.Id, selector, in descriptor);
        }
        if (visible && i.Id is InstructionId.Lar) WriteGpr(i.Reg, i.OperandSize, descriptor.Raw >> 32 & 0x00f0_ff00 & MaskOf(i.OperandSize));
        if (visible && i.Id is InstructionId.Lsl) WriteGpr(i.Reg, i.OperandSize, descriptor.Limit);
        SetZero(visible);
        return Outcome.Next;
    }

    private bool IsVisible(InstructionId id, ushort selector, in Descriptor descriptor)
    {
        var privileged = descriptor.IsConforming || (descriptor.Dpl >= Context->Cpl && descriptor.Dpl >= Rpl(selector));
        if (!privileged) return false;
        if (id == InstructionId.Verr) return descriptor.IsReadableOrData;
        if (id == InstructionId.Verw) return descriptor.IsWritableData;
        if (!descriptor.IsSystem) return true;
        // Which system types each accepts. SDM vol. 2, tables 3-53 (LAR) and 3-55 (LSL).
        var type = descriptor.Type;
        if (type is SystemType.Ldt or SystemType.AvailableTss32 or SystemType.BusyTss32) return true;
        if (IsLongMode) return id == InstructionId.Lar && type == SystemType.CallGate32;
        return type is SystemType.AvailableTss16 or SystemType.BusyTss16
            || (id == InstructionId.Lar && type is SystemType.CallGate16 or SystemType.TaskGate or SystemType.CallGate32);
    }
}
