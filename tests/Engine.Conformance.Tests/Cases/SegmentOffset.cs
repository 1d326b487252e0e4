// Offsets into FS and GS in 64-bit code that are not canonical although the linear addresses are. The manuals check linear
// addresses (Intel SDM vol. 1, 3.3.7.1; AMD APM vol. 1, 2.2.2, as virtual ones), and so does the engine. AMD's processors
// (seen on Zen 4) raise #GP for the offset of any byte of the operand, before they have added the base; and for an operand that
// reaches over the last offset and the last address at once, though not for one that reaches over either alone.
using Iced.Intel;

namespace Lamina.Tests.Engine.Conformance.Cases;

/// <summary>Looks at operands by FS and GS.</summary>
internal static class SegmentOffset
{
    /// <summary>Whether the instruction that the host refused has an operand at a non-canonical offset and a canonical address.</summary>
    public static bool IsNonCanonicalAlone(TestCase test, CaseResult host)
    {
        var there = CaseReport.InstructionAt(test, host.Rip);
        if (test.Mode != CodeMode.Long || there.SegmentPrefix is not (Register.FS or Register.GS)) return false;
        // Which of its elements a gather refused is not told.
        if (there.IsVsib) return true;
        foreach (var memory in new InstructionInfoFactory().GetInfo(there).GetUsedMemory())
        {
            if (memory.Segment is not (Register.FS or Register.GS) || !memory.TryGetVirtualAddress(0, out var offset, Value)) continue;
            var size = Math.Max(1, memory.MemorySize.GetSize());
            offset += (ulong)(BitOffset(there, host) >> int.Log2(size * 8)) * (ulong)size;
            var last = (ulong)size - 1;
            var address = offset + (memory.Segment == Register.FS ? test.FsBase : test.GsBase);
            if (!IsCanonical(address) || !IsCanonical(address + last)) continue;
            if (!IsCanonical(offset) || !IsCanonical(offset + last) || offset + last < offset && address + last < address) return true;
        }
        return false;

        bool Value(Register register, int element, int size, out ulong value)
        {
            value = register.IsGPR() ? host.Gpr[register.GetFullRegister() - Register.RAX] : 0;
            return true;
        }
    }

    // BT and its like by a register address the word that the bit is in.
    private static long BitOffset(in Instruction instruction, CaseResult host)
    {
        if (instruction.Mnemonic is not (Mnemonic.Bt or Mnemonic.Btc or Mnemonic.Btr or Mnemonic.Bts) || instruction.Op1Kind != OpKind.Register) return 0;
        var value = (long)host.Gpr[instruction.Op1Register.GetFullRegister() - Register.RAX];
        return instruction.Op1Register.GetSize() switch { 2 => (short)value, 4 => (int)value, _ => value };
    }

    private static bool IsCanonical(ulong address) => (ulong)((long)(address << 16) >> 16) == address;
}
