// Control and debug registers: MOV to and from them, CLTS, LMSW, SMSW. SDM vol. 3, 2.5, 4.1.2, 4.10.4, 18.2.
using Lamina.Engines.X86.Decode;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private Outcome RegisterInstruction(in Instruction i)
    {
        switch (i.Id)
        {
            case InstructionId.MovFromCr: return ReadControlRegister(in i);
            case InstructionId.MovToCr: return WriteControlRegister(in i);
            case InstructionId.MovFromDr or InstructionId.MovToDr: return MoveDebugRegister(in i);
            case InstructionId.Clts:
                if (!RequireCpl0()) return Outcome.Fault;
                return FaultOutcome(TryWriteCr0(Context->Cr0 & ~Cr0.TS));
            case InstructionId.Lmsw:
                if (!RequireCpl0() || !TryReadRm(in i, 2, out var word)) return Outcome.Fault;
                // PE can be set, not cleared. SDM vol. 2, LMSW.
                return FaultOutcome(TryWriteCr0((Context->Cr0 & ~(Cr0.MP | Cr0.EM | Cr0.TS)) | (word & (Cr0.PE | Cr0.MP | Cr0.EM | Cr0.TS))));
            default:
                if (!CheckUserModeInstructionPrevention()) return Outcome.Fault;
                return FaultOutcome(TryWriteRm(in i, i.HasMemory ? 2 : i.OperandSize, Context->Cr0 & MaskOf(i.HasMemory ? 2 : i.OperandSize)));
        }
    }

    private bool CheckUserModeInstructionPrevention() => Context->Cpl == 0 || (Context->Cr4 & Cr4.UMIP) == 0 || GeneralProtection();

    private Outcome ReadControlRegister(in Instruction i)
    {
        if (i.Reg is not (0 or 2 or 3 or 4 or 8)) return FaultOutcome(InvalidOpcode());
        if (!RequireCpl0()) return Outcome.Fault;
        var value = i.Reg switch
        {
            0 => Context->Cr0,
            2 => Context->Cr2,
            3 => Context->Cr3,
            4 => Context->Cr4,
            _ => Apic.TaskPriority,
        };
        WriteGpr(i.Rm, Is64Bit ? 8 : 4, value);
        return Outcome.Next;
    }

    private Outcome WriteControlRegister(in Instruction i)
    {
        if (i.Reg is not (0 or 2 or 3 or 4 or 8)) return FaultOutcome(InvalidOpcode());
        if (!RequireCpl0()) return Outcome.Fault;
        var value = ReadGpr(i.Rm, Is64Bit ? 8 : 4);
        switch (i.Reg)
        {
            case 0: return FaultOutcome(TryWriteCr0(value));
            case 2:
                Context->Cr2 = value;
                return Outcome.Next;
            case 3: return FaultOutcome(TryWriteCr3(value));
            case 4: return FaultOutcome(TryWriteCr4(value));
            default:
                if (value > 15) return FaultOutcome(GeneralProtection());
                _apic.TaskPriority = (byte)value;
                NoteTaskPriority();
                return Outcome.Next;
        }
    }

    private bool TryWriteCr0(ulong value)
    {
        if (value > uint.MaxValue) return GeneralProtection();
        value = (value & Cr0.Writable) | Cr0.ET;
        var old = Context->Cr0;
        var changed = old ^ value;
        if ((value & (Cr0.PG | Cr0.PE)) == Cr0.PG || (value & (Cr0.NW | Cr0.CD)) == Cr0.NW) return GeneralProtection();
        var efer = Context->Efer;
        if ((changed & value & Cr0.PG) != 0 && (efer & Efer.LME) != 0)
        {
            // Entering IA-32e mode. SDM vol. 3, 9.8.5.
            if ((Context->Cr4 & Cr4.PAE) == 0 || (Context->Cs.Attributes & SegmentAttributes.L) != 0
                || (Context->Tr.Attributes & SegmentAttributes.TypeMask) is SystemType.AvailableTss16 or SystemType.BusyTss16) return GeneralProtection();
            efer |= Efer.LMA;
        }
        if ((changed & old & Cr0.PG) != 0)
        {
            if (Is64Bit || (Context->Cr4 & Cr4.PCIDE) != 0) return GeneralProtection();
            efer &= ~Efer.LMA;
        }
        var isPae = (value & Cr0.PG) != 0 && (Context->Cr4 & Cr4.PAE) != 0 && (efer & Efer.LMA) == 0;
        if (isPae && (changed & (Cr0.PG | Cr0.CD | Cr0.NW)) != 0 && !TryLoadPdptes(Context->Cr3)) return false;
        if (changed == 0) return true;
        Context->Cr0 = value;
        Context->Efer = efer;
        if ((changed & Cr0.PE) != 0) EnterOrLeaveProtectedMode();
        // SDM vol. 3, 4.10.4.1: WP voids no translations.
        if ((changed & Cr0.PG) != 0) _cache.Flush(global: true);
        else if ((changed & value & Cr0.WP) != 0) _cache.WriteProtectionSet();
        _cache.ModeChanged();
        return true;
    }

    /// <summary>Segment registers keep their hidden parts; the privilege level is 0 on either side.</summary>
    private void EnterOrLeaveProtectedMode() => SetCpl(0);

    private bool TryWriteCr3(ulong value)
    {
        var keep = false;
        if (IsLongMode)
        {
            if ((Context->Cr4 & Cr4.PCIDE) != 0)
            {
                keep = value >> 63 != 0;
                value &= ulong.MaxValue >> 1;
            }
            if (value >> _model.PhysicalAddressBits != 0) return GeneralProtection();
        }
        else if ((Context->Cr4 & Cr4.PAE) != 0 && (Context->Cr0 & Cr0.PG) != 0 && !TryLoadPdptes(value)) return false;
        var old = Context->Cr3;
        Context->Cr3 = value;
        _cache.AddressSpaceChanged(old, value, keep);
        return true;
    }

    private bool TryWriteCr4(ulong value)
    {
        var old = Context->Cr4;
        var changed = old ^ value;
        if ((value & ~_model.Cr4Mask) != 0) return GeneralProtection();
        if (IsLongMode && (value & Cr4.PAE) == 0) return GeneralProtection();
        if ((changed & value & Cr4.PCIDE) != 0 && (!IsLongMode || (Context->Cr3 & 0xfff) != 0)) return GeneralProtection();
        var isPae = (Context->Cr0 & Cr0.PG) != 0 && (value & Cr4.PAE) != 0 && !IsLongMode;
        if (isPae && (changed & (Cr4.PAE | Cr4.PGE | Cr4.PSE | Cr4.SMEP)) != 0 && !TryLoadPdptes(Context->Cr3)) return false;
        if (changed == 0) return true;
        Context->Cr4 = value;
        if ((changed & Cr4.PagingBits) != 0) _cache.Flush(global: true);
        if ((changed & Cr4.OSXSAVE) != 0) _cache.IdentificationChanged();
        _cache.ModeChanged();
        return true;
    }

    private Outcome MoveDebugRegister(in Instruction i)
    {
        var number = (int)i.Reg;
        if (number > 7) return FaultOutcome(InvalidOpcode());
        // DR4 and DR5 are DR6 and DR7 unless CR4.DE. SDM vol. 3, 18.2.2.
        if (number is 4 or 5)
        {
            if ((Context->Cr4 & Cr4.DE) != 0) return FaultOutcome(InvalidOpcode());
            number += 2;
        }
        if (!RequireCpl0()) return Outcome.Fault;
        if ((Context->Dr7 & Dr7Gd) != 0) return FaultOutcome(Raise(Fault.Debug(Dr6Bd, trap: false)));
        var size = Is64Bit ? 8 : 4;
        if (i.Id == InstructionId.MovFromDr)
        {
            WriteGpr(i.Rm, size, number switch { 6 => Context->Dr6, 7 => Context->Dr7, _ => (&Context->Dr0)[number] });
            return Outcome.Next;
        }
        var value = ReadGpr(i.Rm, size);
        switch (number)
        {
            case 6 or 7 when value > uint.MaxValue:
                return FaultOutcome(GeneralProtection());
            case 6:
                Context->Dr6 = (value & 0xe00f) | Dr6Fixed;
                return Outcome.Next;
            case 7:
                Context->Dr7 = (value & ~0xd800UL) | Dr7Fixed;
                break;
            default:
                (&Context->Dr0)[number] = value;
                break;
        }
        DebugRegistersWritten();
        return Outcome.Next;
    }
}
