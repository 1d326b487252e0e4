// A case for people to read.
using System.Text;
using Iced.Intel;
using Lamina.Tests.Engine.Conformance.Oracle;

namespace Lamina.Tests.Engine.Conformance.Cases;

/// <summary>Describes cases.</summary>
internal static class CaseReport
{
    /// <summary>The instruction of the case's code at an offset in the code segment, as it stood at the start.</summary>
    public static Instruction InstructionAt(TestCase test, ulong rip)
    {
        var code = BytesAt(test, rip).ToArray();
        if (code.Length == 0) return default;
        var instruction = Iced.Intel.Decoder.Create(test.Bits, code).Decode();
        if (!instruction.IsInvalid) return instruction;
        ClearUnused(code, test.Bits);
        return Iced.Intel.Decoder.Create(test.Bits, code).Decode();
    }

    /// <summary>The code from an address on; nothing where there is none.</summary>
    public static ReadOnlySpan<byte> BytesAt(TestCase test, ulong rip)
    {
        var at = rip + test.CodeBase - CaseLayout.Code;
        return at < CaseLayout.CodeSize ? test.Memory.AsSpan(CaseLayout.CodeInImage + (int)at) : [];
    }

    // The fields of EVEX that AMD's processors ignore and Iced does not: V' outside 64-bit mode, z without an opmask, b of registers.
    private static void ClearUnused(Span<byte> code, int bits)
    {
        var at = code.IndexOfAnyExcept<byte>([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x67]);
        if (at < 0 || at + 6 > code.Length || code[at] != 0x62) return;
        ref var last = ref code[at + 3];
        if (bits != 64) last |= 0x08;
        if ((last & 7) == 0) last &= 0x7f;
        if (code[at + 5] >= 0xc0) last &= 0xef;
    }

    /// <summary>Whether an instruction of the code is one of some.</summary>
    public static bool Contains(TestCase test, Func<Code, bool> isOne)
    {
        foreach (var instruction in Iced.Intel.Decoder.Create(test.Bits, new ByteArrayCodeReader(test.Memory, test.CodeAt, test.CodeLength)))
            if (isOne(instruction.Code)) return true;
        return false;
    }

    /// <summary>Whether the code contains REP MOVS, REP STOS or REP INS.</summary>
    public static bool HasRepeatedStore(TestCase test)
    {
        var decoder = Iced.Intel.Decoder.Create(test.Bits, new ByteArrayCodeReader(test.Memory, test.CodeAt, test.CodeLength));
        foreach (var instruction in decoder)
            if (instruction.IsStringInstruction && (instruction.HasRepPrefix || instruction.HasRepnePrefix)) return true;
        return false;
    }

    /// <summary>Whether the code would do something else for a supervisor: HLT, from which nothing wakes it; flags that users cannot change, and that PUSHF shows.</summary>
    public static bool NeedsUser(TestCase test)
    {
        var decoder = Iced.Intel.Decoder.Create(test.Bits, new ByteArrayCodeReader(test.Memory, test.CodeAt, test.CodeLength));
        bool pops = false, pushes = false;
        foreach (var instruction in decoder)
        {
            if (instruction.Mnemonic == Mnemonic.Hlt) return true;
            pops |= instruction.Mnemonic is Mnemonic.Popf or Mnemonic.Popfd or Mnemonic.Popfq;
            pushes |= instruction.Mnemonic is Mnemonic.Pushf or Mnemonic.Pushfd or Mnemonic.Pushfq;
        }
        return pops && pushes;
    }

    /// <summary>Mode, disassembly, starting registers.</summary>
    public static string Describe(TestCase test)
    {
        var text = new StringBuilder();
        text.AppendLine($"{test.Mode}, rflags {test.Rflags:x}, undefined {test.UndefinedFlags:x}");
        var code = test.Memory.AsSpan(test.CodeAt, test.CodeLength).ToArray();
        var decoder = Iced.Intel.Decoder.Create(test.Bits, new ByteArrayCodeReader(code));
        decoder.IP = test.Rip;
        while (decoder.IP - test.Rip < (ulong)code.Length)
        {
            var at = (int)(decoder.IP - test.Rip);
            var instruction = decoder.Decode();
            var length = Math.Min(Math.Max(instruction.Length, 1), code.Length - at);
            text.AppendLine($"  {test.Rip + (ulong)at:x}: {Convert.ToHexString(code.AsSpan(at, length)),-30} {instruction}");
        }
        string[] names = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
        for (var i = 0; i < (test.Bits == 64 ? 16 : 8); i++) text.Append($"{(i % 4 == 0 ? "  " : " ")}{names[i]}={test.Gpr[i]:x}{(i % 4 == 3 ? "\n" : "")}");
        return text.ToString();
    }
}
