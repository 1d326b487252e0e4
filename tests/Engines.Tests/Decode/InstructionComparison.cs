// Field-by-field comparison of one instruction with Iced's decoding and instruction information.
using Iced.Intel;
using Lamina.Engines.X86.Decode;
using EncodingKind = Lamina.Engines.X86.Decode.EncodingKind;
using Instruction = Lamina.Engines.X86.Decode.Instruction;
using Theirs = Iced.Intel.Instruction;

namespace Lamina.Tests.Engines.Decode;

internal sealed class InstructionComparison(Oracle.Check check, Instruction ours, Theirs theirs, InstructionInfo info, int bits)
{
    private readonly OpCodeInfo _opCode = theirs.Code.ToOpCode();

    private int _fieldsRead, _fieldsWritten;

    public void Run()
    {
        check.Equal("identity", Expectations.IdOf(theirs, ours), ours.Id);
        check.Equal("length", theirs.Length, (int)ours.Length);
        check.Equal("encoding", theirs.Encoding.ToString().ToUpperInvariant(), ours.Encoding.ToString().ToUpperInvariant());
        check.Equal("state", Expectations.StateOf(theirs, _opCode), ours.State);
        CompareOpcode();
        CompareMemory();
        CompareOperands();
        CompareImplicitRegisters();
        CompareFlags();
        ImmediateComparison.Run(check, ours, theirs);
        CompareTraits();
    }

    private void CompareOpcode()
    {
        check.Equal("map", Expectations.MapOf(_opCode), (int)ours.Map);
        byte prefix = _opCode.MandatoryPrefix switch
        {
            MandatoryPrefix.P66 => 0x66,
            MandatoryPrefix.PF3 => 0xF3,
            MandatoryPrefix.PF2 => 0xF2,
            _ => 0,
        };
        if (theirs.Code != Code.Wbnoinvd)
        {
            check.Equal("mandatory prefix", prefix, ours.MandatoryPrefix);
        }
        int size = Expectations.OperandSizeOf(theirs, _opCode, ours);
        if (size != 0)
        {
            check.Equal("operand size", size, ours.OperandSize);
        }
    }

    private void CompareMemory()
    {
        bool hasMemory = ours.Id != InstructionId.Xlat && theirs.HasOpKind(OpKind.Memory);
        check.Equal("has memory", hasMemory, ours.HasMemory);
        CompareSegment();
        if (!hasMemory)
        {
            return;
        }
        check.Equal("memory size", Expectations.MemorySizeOf(theirs, ours), ours.MemorySize);
        check.Equal("alignment", Expectations.AlignmentOf(theirs, ours), ours.MemoryAlignment);
        check.Equal("base", RegisterNumber(theirs.MemoryBase), ours.Base);
        check.Equal("index", RegisterNumber(theirs.MemoryIndex), ours.Index);
        check.Equal("vector index", theirs.IsVsib, (ours.Traits & InstructionTraits.VectorIndex) != 0);
        if (theirs.MemoryIndex != Register.None)
        {
            check.Equal("scale", theirs.MemoryIndexScale, ours.Scale);
        }

        ulong displacement = theirs.MemoryDisplacement64;
        ulong mask = ours.AddressSize switch { 2 => 0xFFFF, 4 => 0xFFFF_FFFF, _ => ulong.MaxValue };
        if (theirs.IsIPRelativeMemoryOperand)
        {
            displacement -= (ulong)theirs.Length;
        }
        check.Equal("displacement", displacement & mask, (ulong)ours.Displacement & mask);
        if (ours.Id != InstructionId.MovMoffs)
        {
            check.Equal("displacement is sign-extended", ours.AddressSize == 2 ? (short)ours.Displacement : (int)ours.Displacement, ours.Displacement);
        }
        Register address = theirs.MemoryBase != Register.None ? theirs.MemoryBase : theirs.IsVsib ? Register.None : theirs.MemoryIndex;
        if (address != Register.None)
        {
            check.Equal("address size", address.GetSize(), ours.AddressSize);
        }
    }

    private void CompareSegment()
    {
        bool names = theirs.HasOpKind(OpKind.Memory) || theirs.HasOpKind(OpKind.MemorySegSI) || theirs.HasOpKind(OpKind.MemorySegESI)
            || theirs.HasOpKind(OpKind.MemorySegRSI) || theirs.HasOpKind(OpKind.MemorySegDI) || theirs.HasOpKind(OpKind.MemorySegEDI)
            || theirs.HasOpKind(OpKind.MemorySegRDI);
        if (!names)
        {
            return;
        }
        Register segment = theirs.MemorySegment;
        if (bits == 64 && segment is not (Register.FS or Register.GS))
        {
            // The prefixes of ES, CS, SS and DS do nothing in 64-bit mode; Iced shows them all the same.
            segment = theirs.MemoryBase is Register.RSP or Register.RBP or Register.ESP or Register.EBP ? Register.SS : Register.DS;
        }
        check.Equal("segment", segment - Register.ES, ours.Segment);
    }

    private void CompareOperands()
    {
        var expected = new Instruction();
        for (int operand = 0; operand < _opCode.OpCount; operand++)
        {
            OperandAccess access = Expectations.AccessOf(theirs, info, operand);
            OpKind kind = theirs.GetOpKind(operand);
            if (kind == OpKind.Memory)
            {
                expected.RmAccess = access;
                expected.RmClass = ours.RmClass;
            }
            else if (kind == OpKind.Register)
            {
                AddRegister(ref expected, _opCode.GetOpKind(operand), theirs.GetOpRegister(operand), access);
            }
        }
        if (ours.Id == InstructionId.Nop || IntendedDifferences.IsVectorZeroing(theirs, info))
        {
            return;
        }
        if (ours.Id is InstructionId.MovMoffs or InstructionId.Xlat)
        {
            expected.RmAccess = ours.RmAccess;
        }
        check.Equal("reg", (expected.RegClass, expected.RegAccess), (ours.RegClass, ours.RegAccess));
        check.Equal("rm", (expected.RmClass, expected.RmAccess), (ours.RmClass, ours.RmAccess));
        check.Equal("vvvv", (expected.VvvvClass, expected.VvvvAccess), (ours.VvvvClass, ours.VvvvAccess));
        check.Equal("opcode register", (expected.OpcodeRegClass, expected.OpcodeRegAccess), (ours.OpcodeRegClass, ours.OpcodeRegAccess));
        if (ours.RegClass != FieldClass.None || ours.Id is InstructionId.PushSegment or InstructionId.PopSegment)
        {
            check.Equal("reg number", expected.Reg, ours.Reg);
        }
        if (ours.RmClass != FieldClass.None && !ours.HasMemory)
        {
            check.Equal("rm number", expected.Rm, ours.Rm);
        }
        check.Equal("vvvv number", expected.Vvvv, ours.Vvvv);
        check.Equal("opcode register number", expected.OpcodeReg, ours.OpcodeReg);
    }

    private void AddRegister(ref Instruction expected, OpCodeOperandKind kind, Register register, OperandAccess access)
    {
        string field = kind.ToString();
        FieldClass registerClass = !register.IsGPR() ? FieldClass.Other : register.GetSize() == 1 ? FieldClass.Gpr8 : FieldClass.Gpr;
        byte number = (byte)RegisterNumber(register);
        if (field.EndsWith("_opcode", StringComparison.Ordinal) && kind != OpCodeOperandKind.sti_opcode)
        {
            (expected.OpcodeReg, expected.OpcodeRegClass, expected.OpcodeRegAccess) = (number, registerClass, access);
        }
        else if (field.EndsWith("_or_mem", StringComparison.Ordinal) || field.EndsWith("_rm", StringComparison.Ordinal) || kind == OpCodeOperandKind.sti_opcode)
        {
            (expected.Rm, expected.RmClass, expected.RmAccess) = (number, registerClass, access);
        }
        else if (field.EndsWith("_reg", StringComparison.Ordinal) || field.EndsWith("_reg_mem", StringComparison.Ordinal))
        {
            (expected.Reg, expected.RegClass, expected.RegAccess) = (number, registerClass, access);
        }
        else if (field.EndsWith("_vvvv", StringComparison.Ordinal))
        {
            (expected.Vvvv, expected.VvvvClass, expected.VvvvAccess) = (number, registerClass, access);
        }
        else if (register.IsSegmentRegister())
        {
            expected.Reg = number;
            return;
        }
        else
        {
            return;
        }
        if (register.IsGPR())
        {
            int bit = 1 << (register.GetFullRegister() - Register.RAX);
            _fieldsRead |= (access & OperandAccess.Read) != 0 ? bit : 0;
            _fieldsWritten |= (access & OperandAccess.Write) != 0 ? bit : 0;
        }
    }

    /// <summary>All general registers the instruction touches: those its fields name, its address, and the implicit ones.</summary>
    private void CompareImplicitRegisters()
    {
        if (ours.Id == InstructionId.Nop)
        {
            check.Equal("implicit registers", 0, ours.ImplicitRead | ours.ImplicitWritten);
            return;
        }
        int read = 0, written = 0;
        foreach (UsedRegister used in info.GetUsedRegisters())
        {
            if (used.Register.IsGPR())
            {
                int bit = 1 << (used.Register.GetFullRegister() - Register.RAX);
                OperandAccess access = Expectations.Map(used.Access, conditionalReads: true);
                read |= (access & OperandAccess.Read) != 0 ? bit : 0;
                written |= (access & OperandAccess.Write) != 0 ? bit : 0;
            }
        }
        int address = 0;
        bool addresses = ours.HasMemory && ours.Id != InstructionId.Ud;
        if (addresses && ours.Base is >= 0 and < 16)
        {
            address |= 1 << ours.Base;
        }
        if (addresses && ours.Index >= 0 && (ours.Traits & InstructionTraits.VectorIndex) == 0)
        {
            address |= 1 << ours.Index;
        }
        check.Equal("registers read", read.ToString("X4"), (_fieldsRead | address | ours.ImplicitRead).ToString("X4"));
        check.Equal("registers written", written.ToString("X4"), (_fieldsWritten | ours.ImplicitWritten).ToString("X4"));
    }

    private void CompareFlags()
    {
        if (IntendedDifferences.FlagsDiffer(theirs))
        {
            return;
        }
        check.Equal("flags read", Expectations.FlagsOf(theirs.RflagsRead), ours.FlagsRead);
        check.Equal("flags written", Expectations.FlagsOf(theirs.RflagsModified), ours.FlagsWritten);
        check.Equal("flags undefined", Expectations.FlagsOf(theirs.RflagsUndefined), ours.FlagsUndefined);
    }

    private void CompareTraits()
    {
        check.Equal("lock", theirs.HasLockPrefix, (ours.Traits & InstructionTraits.Lock) != 0);
        if (theirs.IsStringInstruction)
        {
            check.Equal("rep", theirs.HasRepPrefix, (ours.Traits & InstructionTraits.Rep) != 0);
            check.Equal("repne", theirs.HasRepnePrefix, (ours.Traits & InstructionTraits.Repne) != 0);
        }
        bool masked = ours.HasMemory && (theirs.HasOpMask || theirs.Mnemonic is Mnemonic.Vmaskmovps or Mnemonic.Vmaskmovpd or Mnemonic.Vpmaskmovd or Mnemonic.Vpmaskmovq);
        check.Equal("masked memory", masked, (ours.Traits & InstructionTraits.MaskedMemory) != 0);
        check.Equal("implicit lock", theirs.Mnemonic == Mnemonic.Xchg && ours.HasMemory, (ours.Traits & InstructionTraits.ImplicitLock) != 0);
        check.Equal("condition", Expectations.ConditionOf(theirs, ours), ours.Condition);
        check.Equal("conditional write", Expectations.WritesConditionally(theirs, info), (ours.Traits & InstructionTraits.ConditionalWrite) != 0);
        check.Equal("flags may stay", Expectations.FlagsMayStay(theirs), (ours.Traits & InstructionTraits.FlagsMayStay) != 0);
    }

    private static int RegisterNumber(Register register) => register switch
    {
        Register.None => Instruction.NoRegister,
        Register.RIP or Register.EIP => Instruction.RipBase,
        >= Register.SPL and <= Register.DIL => register - Register.SPL + 4,
        >= Register.R8L and <= Register.R15L => register - Register.R8L + 8,
        _ => register.GetNumber(),
    };
}
