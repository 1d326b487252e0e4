// What Iced's description means in the decoder's terms.
using Iced.Intel;
using Lamina.Engines.X86.Decode;
using EncodingKind = Lamina.Engines.X86.Decode.EncodingKind;
using Instruction = Lamina.Engines.X86.Decode.Instruction;
using Theirs = Iced.Intel.Instruction;

namespace Lamina.Tests.Engines.Decode;

internal static class Expectations
{
    private static readonly Dictionary<Mnemonic, InstructionId> s_identities = Identities();

    private static readonly HashSet<(Iced.Intel.EncodingKind, int, int)> s_used = [.. Enum.GetValues<Code>().Select(code => code.ToOpCode())
        .Where(opCode => opCode.IsInstruction).Select(opCode => (opCode.Encoding, MapOf(opCode), (int)opCode.OpCode))];

    /// <summary>Whether any instruction has this opcode.</summary>
    public static bool IsUsed(Iced.Intel.EncodingKind encoding, int map, int opcode) => s_used.Contains((encoding, map, opcode));

    public static int MapOf(OpCodeInfo opCode) => opCode.Table switch
    {
        OpCodeTableKind.Normal => 0,
        OpCodeTableKind.T0F => 1,
        OpCodeTableKind.T0F38 => 2,
        OpCodeTableKind.T0F3A => 3,
        OpCodeTableKind.MAP5 => 5,
        OpCodeTableKind.MAP6 => 6,
        _ => -1,
    };

    public static InstructionId IdOf(Theirs theirs, Instruction ours)
    {
        string code = theirs.Code.ToString();
        OpCodeInfo opCode = theirs.Code.ToOpCode();
        if (opCode.IsReservedNop || theirs.Code is Code.Nopw or Code.Nopd or Code.Nopq)
        {
            return InstructionId.Nop;
        }
        if (theirs.Mnemonic is Mnemonic.Movsd or Mnemonic.Cmpsd && !theirs.IsStringInstruction)
        {
            return InstructionId.Plain;
        }
        if (theirs.ConditionCode != ConditionCode.None && theirs.FlowControl == FlowControl.ConditionalBranch && theirs.IsJccShortOrNear)
        {
            return InstructionId.JumpConditional;
        }
        return theirs.Mnemonic switch
        {
            Mnemonic.Vmaskmovps or Mnemonic.Vmaskmovpd or Mnemonic.Vpmaskmovd or Mnemonic.Vpmaskmovq when ours.AddressSize < (theirs.CodeSize == Iced.Intel.CodeSize.Code64 ? 8 : 4) =>
                InstructionId.MaskMoveElements,
            Mnemonic.Mov when code.Contains("moffs", StringComparison.Ordinal) => InstructionId.MovMoffs,
            Mnemonic.Mov when theirs.Op1Register.IsCR() => InstructionId.MovFromCr,
            Mnemonic.Mov when theirs.Op0Register.IsCR() => InstructionId.MovToCr,
            Mnemonic.Mov when theirs.Op1Register.IsDR() => InstructionId.MovFromDr,
            Mnemonic.Mov when theirs.Op0Register.IsDR() => InstructionId.MovToDr,
            Mnemonic.Mov when theirs.Op1Kind == OpKind.Register && theirs.Op1Register.IsSegmentRegister() => InstructionId.MovFromSegment,
            Mnemonic.Mov when theirs.Op0Kind == OpKind.Register && theirs.Op0Register.IsSegmentRegister() => InstructionId.MovToSegment,
            Mnemonic.Xor or Mnemonic.Sub => theirs.Op0Kind == OpKind.Register && theirs.Op1Kind == OpKind.Register
                && theirs.Op0Register == theirs.Op1Register ? InstructionId.ZeroRegister : InstructionId.Plain,
            Mnemonic.Inc or Mnemonic.Dec => ours.HasModRm ? InstructionId.Plain : InstructionId.IncDecShort,
            Mnemonic.Rol or Mnemonic.Ror or Mnemonic.Rcl or Mnemonic.Rcr or Mnemonic.Shl or Mnemonic.Shr or Mnemonic.Sal or Mnemonic.Sar
                or Mnemonic.Shld or Mnemonic.Shrd => code.EndsWith("_CL", StringComparison.Ordinal) ? InstructionId.ShiftByCl : InstructionId.Plain,
            Mnemonic.Jmp => theirs.IsJmpShortOrNear ? InstructionId.JmpRelative : theirs.IsJmpFar ? InstructionId.JmpFarImmediate
                : theirs.IsJmpFarIndirect ? InstructionId.JmpFarIndirect : InstructionId.JmpIndirect,
            Mnemonic.Call => theirs.IsCallNear ? InstructionId.CallRelative : theirs.IsCallFar ? InstructionId.CallFarImmediate
                : theirs.IsCallFarIndirect ? InstructionId.CallFarIndirect : InstructionId.CallIndirect,
            Mnemonic.Push or Mnemonic.Pop => StackId(theirs),
            Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc =>
                theirs.Op0Kind == OpKind.Memory && theirs.Op1Kind == OpKind.Register ? InstructionId.BitTestMemory : InstructionId.Plain,
            _ => s_identities.GetValueOrDefault(theirs.Mnemonic, InstructionId.Plain),
        };
    }

    private static InstructionId StackId(Theirs theirs)
    {
        bool push = theirs.Mnemonic == Mnemonic.Push;
        if (theirs.Op0Kind == OpKind.Register && theirs.Op0Register.IsSegmentRegister())
        {
            return push ? InstructionId.PushSegment : InstructionId.PopSegment;
        }
        return theirs.Op0Kind is OpKind.Register or OpKind.Memory ? push ? InstructionId.Push : InstructionId.Pop : InstructionId.PushImmediate;
    }

    /// <summary>Mnemonics whose name is an identity's, and those of other names.</summary>
    private static Dictionary<Mnemonic, InstructionId> Identities()
    {
        var identities = new Dictionary<Mnemonic, InstructionId>();
        foreach (InstructionId id in Enum.GetValues<InstructionId>())
        {
            if (Enum.TryParse(id.ToString(), out Mnemonic mnemonic))
            {
                identities[mnemonic] = id;
            }
        }
        Add(InstructionId.Nop, "Nop Endbr32 Endbr64 Cldemote");
        Add(InstructionId.Divide, "Div Idiv");
        Add(InstructionId.RetFar, "Retf");
        Add(InstructionId.LoopEqual, "Loope");
        Add(InstructionId.LoopNotEqual, "Loopne");
        Add(InstructionId.JumpCxZero, "Jcxz Jecxz Jrcxz");
        Add(InstructionId.Iret, "Iretd Iretq");
        Add(InstructionId.Sysret, "Sysretq");
        Add(InstructionId.Sysexit, "Sysexitq");
        Add(InstructionId.Ud, "Ud0 Ud1 Ud2");
        Add(InstructionId.Pusha, "Pushad");
        Add(InstructionId.Popa, "Popad");
        Add(InstructionId.Pushf, "Pushfd Pushfq");
        Add(InstructionId.Popf, "Popfd Popfq");
        Add(InstructionId.Movs, "Movsb Movsw Movsd Movsq");
        Add(InstructionId.Stos, "Stosb Stosw Stosd Stosq");
        Add(InstructionId.Lods, "Lodsb Lodsw Lodsd Lodsq");
        Add(InstructionId.Scas, "Scasb Scasw Scasd Scasq");
        Add(InstructionId.Cmps, "Cmpsb Cmpsw Cmpsd Cmpsq");
        Add(InstructionId.Ins, "Insb Insw Insd");
        Add(InstructionId.Outs, "Outsb Outsw Outsd");
        Add(InstructionId.CompareExchangeWide, "Cmpxchg8b Cmpxchg16b");
        Add(InstructionId.Xlat, "Xlatb");
        Add(InstructionId.LoadFarPointer, "Les Lds Lss Lfs Lgs");
        Add(InstructionId.Gather, "Vgatherdps Vgatherdpd Vgatherqps Vgatherqpd Vpgatherdd Vpgatherdq Vpgatherqd Vpgatherqq");
        Add(InstructionId.Scatter, "Vscatterdps Vscatterdpd Vscatterqps Vscatterqpd Vpscatterdd Vpscatterdq Vpscatterqd Vpscatterqq");
        Add(InstructionId.MaskMoveBytes, "Maskmovq Maskmovdqu Vmaskmovdqu");
        Add(InstructionId.Fxsave, "Fxsave64");
        Add(InstructionId.Fxrstor, "Fxrstor64");
        Add(InstructionId.Xsave, "Xsave64");
        Add(InstructionId.Xrstor, "Xrstor64");
        Add(InstructionId.Xsaveopt, "Xsaveopt64");
        Add(InstructionId.Xsavec, "Xsavec64");
        Add(InstructionId.Xsaves, "Xsaves64");
        Add(InstructionId.Xrstors, "Xrstors64");
        Add(InstructionId.X87Environment, "Fldenv Fnstenv Frstor Fnsave");
        Add(InstructionId.MoveDirect64, "Movdir64b Enqcmd Enqcmds");
        Add(InstructionId.Wrmsr, "Wrmsrns");
        Add(InstructionId.Wbinvd, "Wbnoinvd");
        Add(InstructionId.Monitor, "Monitorx");
        Add(InstructionId.Mwait, "Mwaitx");
        Add(InstructionId.UserWait, "Umonitor Umwait Tpause");
        Add(InstructionId.Hypercall, "Vmcall Vmmcall");
        Add(InstructionId.CacheLineFlush, "Clflush Clflushopt Clwb");
        Add(InstructionId.ReadRandom, "Rdrand Rdseed");
        Add(InstructionId.Transaction, "Xbegin Xend Xabort Xtest");
        Add(InstructionId.Ldmxcsr, "Vldmxcsr");
        Add(InstructionId.Fwait, "Wait");
        return identities;

        void Add(InstructionId id, string mnemonics)
        {
            foreach (string mnemonic in mnemonics.Split(' '))
            {
                identities[Enum.Parse<Mnemonic>(mnemonic)] = id;
            }
        }
    }

    public static StateClass StateOf(Theirs theirs, OpCodeInfo opCode)
    {
        if (theirs.Mnemonic == Mnemonic.Wait)
        {
            return StateClass.Wait;
        }
        if (theirs.Mnemonic is Mnemonic.Fxsave or Mnemonic.Fxsave64 or Mnemonic.Fxrstor or Mnemonic.Fxrstor64
            || theirs.CpuidFeatures.Any(feature => feature.ToString().StartsWith("FPU", StringComparison.Ordinal)))
        {
            return StateClass.X87;
        }
        bool mmx = theirs.Mnemonic == Mnemonic.Emms, vector = theirs.Mnemonic is Mnemonic.Ldmxcsr or Mnemonic.Stmxcsr
            or Mnemonic.Vldmxcsr or Mnemonic.Vstmxcsr or Mnemonic.Vzeroall or Mnemonic.Vzeroupper, mask = false;
        for (int operand = 0; operand < opCode.OpCount; operand++)
        {
            string kind = opCode.GetOpKind(operand).ToString();
            mmx |= kind.StartsWith("mm_", StringComparison.Ordinal);
            vector |= kind.Contains("mm_", StringComparison.Ordinal) && !kind.StartsWith("mm_", StringComparison.Ordinal);
            mask |= kind is "k_reg" or "k_rm" or "k_vvvv" or "k_or_mem" or "kp1_reg";
        }
        if (theirs.Encoding == Iced.Intel.EncodingKind.EVEX || mask)
        {
            return StateClass.Avx512;
        }
        if (theirs.Encoding == Iced.Intel.EncodingKind.VEX)
        {
            return vector ? StateClass.Avx : StateClass.Integer;
        }
        return vector ? StateClass.Sse : mmx ? StateClass.Mmx : StateClass.Integer;
    }

    /// <summary>Operand size of instructions on general registers, or 0 if Iced does not say.</summary>
    public static int OperandSizeOf(Theirs theirs, OpCodeInfo opCode, Instruction ours)
    {
        if (theirs.Mnemonic is Mnemonic.Lgdt or Mnemonic.Lidt or Mnemonic.Sgdt or Mnemonic.Sidt || opCode.IsReservedNop)
        {
            return 0;
        }
        if (opCode.OperandSize != 0)
        {
            return opCode.OperandSize / 8;
        }
        if (ours.RegClass is FieldClass.Gpr or FieldClass.Gpr8 && opCode.GetOpKind(0) is not OpCodeOperandKind.r16_reg_mem)
        {
            for (int operand = 0; operand < opCode.OpCount; operand++)
            {
                if (opCode.GetOpKind(operand).ToString().Contains("_reg", StringComparison.Ordinal) && theirs.GetOpKind(operand) == OpKind.Register)
                {
                    return theirs.GetOpRegister(operand).GetSize();
                }
            }
        }
        for (int operand = 0; operand < opCode.OpCount; operand++)
        {
            if (theirs.GetOpKind(operand) == OpKind.Register && theirs.GetOpRegister(operand).IsGPR()
                && opCode.GetOpKind(operand) is not (OpCodeOperandKind.cl or OpCodeOperandKind.dx or OpCodeOperandKind.ax))
            {
                return theirs.GetOpRegister(operand).GetSize();
            }
        }
        return 0;
    }

    public static ushort MemorySizeOf(Theirs theirs, Instruction ours)
    {
        if (ours.Id is InstructionId.Nop)
        {
            return 0;
        }
        if (ours.Id is >= InstructionId.Xsave and <= InstructionId.Xrstors)
        {
            return 576; // legacy region and header; Iced leaves it open
        }
        return (ushort)theirs.MemorySize.GetSize();
    }

    /// <summary>#GP for misaligned operands: SDM vol. 2, table 2-14 to 2-17 and the instructions' own pages.</summary>
    public static byte AlignmentOf(Theirs theirs, Instruction ours)
    {
        switch (theirs.Mnemonic)
        {
            case Mnemonic.Fxsave or Mnemonic.Fxsave64 or Mnemonic.Fxrstor or Mnemonic.Fxrstor64 or Mnemonic.Cmpxchg16b:
                return 16;
            case Mnemonic.Xsave or Mnemonic.Xsave64 or Mnemonic.Xsaveopt or Mnemonic.Xsaveopt64 or Mnemonic.Xsavec or Mnemonic.Xsavec64
                or Mnemonic.Xsaves or Mnemonic.Xsaves64 or Mnemonic.Xrstor or Mnemonic.Xrstor64 or Mnemonic.Xrstors or Mnemonic.Xrstors64:
                return 64;
            case Mnemonic.Movups or Mnemonic.Movupd or Mnemonic.Movdqu or Mnemonic.Lddqu
                or Mnemonic.Pcmpestri or Mnemonic.Pcmpestri64 or Mnemonic.Pcmpestrm or Mnemonic.Pcmpestrm64 or Mnemonic.Pcmpistri or Mnemonic.Pcmpistrm:
                return 0;
            case Mnemonic.Vmovaps or Mnemonic.Vmovapd or Mnemonic.Vmovdqa or Mnemonic.Vmovdqa32 or Mnemonic.Vmovdqa64
                or Mnemonic.Vmovntps or Mnemonic.Vmovntpd or Mnemonic.Vmovntdq or Mnemonic.Vmovntdqa:
                return (byte)theirs.MemorySize.GetSize();
            default:
                return ours is { Encoding: EncodingKind.Legacy, State: StateClass.Sse } && theirs.MemorySize.GetSize() == 16 ? (byte)16 : (byte)0;
        }
    }

    public static OperandAccess AccessOf(Theirs theirs, InstructionInfo info, int operand)
    {
        OpAccess access = info.GetOpAccess(operand);
        bool register = theirs.GetOpKind(operand) == OpKind.Register;
        OperandAccess mapped = Map(access, conditionalReads: register);
        if (register && operand == 0 && WritesConditionally(theirs, info))
        {
            return OperandAccess.ReadWrite;
        }
        return mapped;
    }

    /// <summary>A register that is written only sometimes keeps its value: it is read too.</summary>
    public static OperandAccess Map(OpAccess access, bool conditionalReads) => access switch
    {
        OpAccess.None or OpAccess.NoMemAccess => OperandAccess.None,
        OpAccess.Read or OpAccess.CondRead => OperandAccess.Read,
        OpAccess.Write => OperandAccess.Write,
        OpAccess.CondWrite => conditionalReads ? OperandAccess.ReadWrite : OperandAccess.Write,
        _ => OperandAccess.ReadWrite,
    };

    public static bool WritesConditionally(Theirs theirs, InstructionInfo info) =>
        theirs.Mnemonic.ToString().StartsWith("Cmov", StringComparison.Ordinal)
        || (theirs.Op0Kind == OpKind.Register && theirs.Encoding == Iced.Intel.EncodingKind.Legacy && info.Op0Access == OpAccess.CondWrite
            && theirs.Code.ToOpCode().Op0Kind.ToString().EndsWith("_reg", StringComparison.Ordinal));

    public static byte ConditionOf(Theirs theirs, Instruction ours) =>
        ours.Id == InstructionId.JumpConditional ? (byte)(theirs.ConditionCode - ConditionCode.o) : (byte)0;

    public static bool FlagsMayStay(Theirs theirs)
    {
        bool byCl = theirs.Code.ToString().EndsWith("_CL", StringComparison.Ordinal);
        bool compares = theirs.Mnemonic is Mnemonic.Cmpsb or Mnemonic.Cmpsw or Mnemonic.Cmpsd or Mnemonic.Cmpsq
            or Mnemonic.Scasb or Mnemonic.Scasw or Mnemonic.Scasd or Mnemonic.Scasq;
        return byCl || (compares && theirs.IsStringInstruction && (theirs.HasRepPrefix || theirs.HasRepnePrefix));
    }

    public static Flags FlagsOf(RflagsBits bits)
    {
        var flags = Flags.None;
        flags |= (bits & RflagsBits.CF) != 0 ? Flags.CF : 0;
        flags |= (bits & RflagsBits.PF) != 0 ? Flags.PF : 0;
        flags |= (bits & RflagsBits.AF) != 0 ? Flags.AF : 0;
        flags |= (bits & RflagsBits.ZF) != 0 ? Flags.ZF : 0;
        flags |= (bits & RflagsBits.SF) != 0 ? Flags.SF : 0;
        flags |= (bits & RflagsBits.OF) != 0 ? Flags.OF : 0;
        return flags;
    }
}
