// Cases that access memory at constant distances from a few registers, as functions do with what is on their stack and
// with structures: with other instructions between, flags that are live across accesses, and the registers anywhere,
// across the edges of pages that can be written, that cannot, that are not there, and where addresses are not canonical.
namespace Lamina.Tests.Engine.Conformance.Cases;

/// <summary>The generator of groups of accesses by the same registers; 64-bit code.</summary>
internal static class AccessGroupGenerator
{
    // ADD, ADC, SBB, SUB, CMP, MOV between a register and a register or memory, both ways; TEST and XCHG are left out: one
    // leaves a flag undefined, the other locks.
    private static readonly byte[] Opcodes = [0x01, 0x03, 0x11, 0x13, 0x19, 0x1b, 0x29, 0x2b, 0x39, 0x3b, 0x00, 0x02, 0x88, 0x8a, 0x89, 0x8b, 0x89, 0x8b, 0x8b];

    // RSP, and registers whose encodings differ from each other's.
    private static readonly byte[] Bases = [4, 3, 5, 6, 12, 13, 9, 15];

    /// <summary>Fills a case.</summary>
    public static void Generate(TestCase test, ulong seed)
    {
        var random = new CaseRandom(seed);
        test.Reset(CodeMode.Long, random.Next());
        for (var i = 0; i < 16; i++) test.Gpr[i] = random.Value();
        byte[] bases = [random.Chance(50) ? (byte)4 : random.Pick<byte>(Bases), random.Pick<byte>(Bases)];
        foreach (var register in bases) test.Gpr[register] = ChoosePlace(random);
        List<byte> code = [];
        for (var n = 2 + random.Below(12); n > 0; n--) AddInstruction(random, code, bases);
        test.SetCode(CasePlaces.Code(random, code.Count), [.. code]);
    }

    private static ulong ChoosePlace(CaseRandom random) =>
        CasePlaces.Data(random, (ulong)random.Below(65) * 8 - 256 + (random.Chance(30) ? (ulong)random.Below(8) : 0));

    private static void AddInstruction(CaseRandom random, List<byte> code, byte[] bases)
    {
        var register = random.Chance(35) ? random.Pick<byte>([9, 10, 11, 15]) : (byte)random.Below(16);
        if (bases.Contains(register) && random.Chance(80)) register = 0;
        var memory = random.Chance(70);
        var rm = memory ? random.Chance(70) ? bases[0] : bases[1] : (byte)random.Below(16);
        if (!memory && bases.Contains(rm) && random.Chance(80)) rm = 2;
        if (random.Chance(10)) code.Add(0x66);
        code.Add((byte)(0x40 | (random.Chance(50) ? 8 : 0) | register >> 3 << 2 | rm >> 3));
        switch (random.Below(12))
        {
            case 0:                                             // SETcc, CMOVcc, MOVZX
                code.AddRange([0x0f, (byte)(random.Pick<byte>([0x90, 0x40]) + random.Below(16))]);
                AddOperand(random, code, register, rm, memory);
                break;
            case 1:
                code.AddRange([0x0f, random.Pick<byte>([0xb6, 0xb7, 0xbe, 0xbf])]);
                AddOperand(random, code, register, rm, memory);
                break;
            case 2:                                             // INC, DEC
                code.Add(0xff);
                AddOperand(random, code, random.Below(2), rm, memory);
                break;
            case 3:                                             // ADD … CMP with a constant, not the three that leave AF undefined
                code.Add(0x83);
                AddOperand(random, code, random.Pick<byte>([0, 2, 3, 5, 7]), rm, memory);
                code.Add((byte)random.Next());
                break;
            case 4:
                code.Add(0x8d);                                 // LEA
                AddOperand(random, code, register, rm, memory: true);
                break;
            default:
                code.Add(random.Pick<byte>(Opcodes));
                AddOperand(random, code, register, rm, memory);
                break;
        }
    }

    private static void AddOperand(CaseRandom random, List<byte> code, int register, int rm, bool memory)
    {
        var field = (register & 7) << 3 | rm & 7;
        var far = random.Chance(15);
        code.Add((byte)(!memory ? 0xc0 | field : (far ? 0x80 : 0x40) | field));
        if (!memory) return;
        if ((rm & 7) == 4) code.Add(0x24);
        var displacement = far ? random.Below(600) - 300 : (random.Below(32) - 16) * 8 + (random.Chance(20) ? random.Below(8) : 0);
        if (far) code.AddRange(BitConverter.GetBytes(displacement));
        else code.Add((byte)(sbyte)Math.Clamp(displacement, -128, 127));
    }
}
