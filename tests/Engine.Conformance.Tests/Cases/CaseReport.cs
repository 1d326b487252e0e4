// A case for people to read.
using System.Text;
using Iced.Intel;
using Lamina.Conformance.Oracle;

namespace Lamina.Conformance.Cases;

/// <summary>Describes cases.</summary>
internal static class CaseReport
{
    /// <summary>The instruction of the case's code at an offset in the code segment, as it stood at the start.</summary>
    public static Instruction InstructionAt(TestCase test, ulong rip)
    {
        var at = rip + test.CodeBase - CaseLayout.Code;
        if (at >= CaseLayout.CodeSize) return default;
        var decoder = Iced.Intel.Decoder.Create(test.Bits, new ByteArrayCodeReader(test.Memory[(CaseLayout.CodeInImage + (int)at)..]));
        return decoder.Decode();
    }

    /// <summary>Whether the code contains REP MOVS, REP STOS or REP INS.</summary>
    public static bool HasRepeatedStore(TestCase test)
    {
        var decoder = Iced.Intel.Decoder.Create(test.Bits, new ByteArrayCodeReader(test.Memory, test.CodeAt, test.CodeLength));
        foreach (var instruction in decoder)
            if (instruction.IsStringInstruction && (instruction.HasRepPrefix || instruction.HasRepnePrefix)) return true;
        return false;
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
