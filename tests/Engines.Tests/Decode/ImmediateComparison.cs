// Comparison of immediate operands, branch displacements and far pointers with Iced's.
using Iced.Intel;
using Lamina.Engines.X86.Decode;
using Instruction = Lamina.Engines.X86.Decode.Instruction;
using Theirs = Iced.Intel.Instruction;

namespace Lamina.Tests.Engines.Decode;

internal static class ImmediateComparison
{
    public static void Run(Oracle.Check check, Instruction ours, Theirs theirs)
    {
        var expected = new List<ulong>();
        int size = 0;
        for (int operand = 0; operand < theirs.OpCount; operand++)
        {
            switch (theirs.GetOpKind(operand))
            {
                case OpKind.Immediate8 or OpKind.Immediate8_2nd or OpKind.Immediate8to16 or OpKind.Immediate8to32 or OpKind.Immediate8to64
                    when theirs.Code.ToOpCode().GetOpKind(operand) != OpCodeOperandKind.imm8_const_1:
                    expected.Add(theirs.GetImmediate(operand));
                    size += 1;
                    break;
                case OpKind.Immediate16:
                    expected.Add(theirs.GetImmediate(operand));
                    size += 2;
                    break;
                case OpKind.Immediate32 or OpKind.Immediate32to64:
                    expected.Add(theirs.GetImmediate(operand));
                    size += 4;
                    break;
                case OpKind.Immediate64:
                    expected.Add(theirs.Immediate64);
                    size += 8;
                    break;
                case OpKind.NearBranch16 or OpKind.NearBranch32 or OpKind.NearBranch64:
                    expected.Add(theirs.NearBranchTarget - (ulong)theirs.Length);
                    size += BranchSize(theirs.Code.ToOpCode().GetOpKind(operand));
                    break;
                case OpKind.FarBranch16 or OpKind.FarBranch32:
                    bool is16 = theirs.GetOpKind(operand) == OpKind.FarBranch16;
                    expected.Add(is16 ? theirs.FarBranch16 : theirs.FarBranch32);
                    expected.Add(theirs.FarBranchSelector);
                    size += is16 ? 4 : 6;
                    break;
            }
        }
        if (HasRegisterInImmediate(theirs))
        {
            // The register number is in the upper half of the byte, and the byte may hold an immediate too.
            check.Equal("immediate size", 1, ours.ImmediateSize);
            return;
        }
        check.Equal("immediate size", size, ours.ImmediateSize);
        if (size != 0)
        {
            ulong mask = Mask(theirs, ours);
            check.Equal("immediate", expected[0] & mask, (ulong)ours.Immediate & mask);
            check.Equal("second immediate", expected.Count > 1 ? (ushort)expected[1] : (ushort)0, ours.Immediate2);
            check.Equal("immediate offset", ours.Length - size, ours.ImmediateOffset);
        }
    }

    // Iced wraps branch targets at the operand size, and keeps immediates in their own width.
    private static ulong Mask(Theirs theirs, Instruction ours) => theirs.Op0Kind switch
    {
        OpKind.NearBranch16 => 0xFFFF,
        OpKind.NearBranch32 => 0xFFFF_FFFF,
        OpKind.NearBranch64 => ulong.MaxValue,
        _ => ours.OperandSize switch { 1 => 0xFF, 2 => 0xFFFF, 4 => 0xFFFF_FFFF, _ => ulong.MaxValue },
    };

    private static int BranchSize(OpCodeOperandKind kind) => kind switch
    {
        OpCodeOperandKind.br16_1 or OpCodeOperandKind.br32_1 or OpCodeOperandKind.br64_1 => 1,
        OpCodeOperandKind.br16_2 or OpCodeOperandKind.xbegin_2 => 2,
        _ => 4,
    };

    private static bool HasRegisterInImmediate(Theirs theirs)
    {
        OpCodeInfo opCode = theirs.Code.ToOpCode();
        for (int operand = 0; operand < opCode.OpCount; operand++)
        {
            if (opCode.GetOpKind(operand) is OpCodeOperandKind.xmm_is4 or OpCodeOperandKind.ymm_is4)
            {
                return true;
            }
        }
        return false;
    }
}
