// Cases that push and pop registers one after the other, as functions do at their ends, with the stack anywhere: across
// the edges of pages that can be written, that cannot, that are not there, and where addresses are not canonical.
namespace Lamina.Tests.Engine.Conformance.Cases;

/// <summary>The generator of runs of PUSH and POP; 64-bit code.</summary>
internal static class StackRunGenerator
{
    private const int StackPointer = 4, MostRegisters = 9;

    /// <summary>Fills a case.</summary>
    public static void Generate(TestCase test, ulong seed)
    {
        var random = new CaseRandom(seed);
        test.Reset(CodeMode.Long, random.Next());
        for (var i = 0; i < 16; i++) test.Gpr[i] = random.Value();
        test.Gpr[StackPointer] = ChooseStack(random);
        List<byte> code = [];
        if (random.Chance(30)) AddFunction(random, code);
        else
            for (var n = 1 + random.Below(4); n > 0; n--)
            {
                AddRun(random, code, push: random.Chance(50), random.Below(MostRegisters));
                AddArithmetic(random, code);
            }
        test.SetCode(CasePlaces.Code(random, code.Count), [.. code]);
    }

    private static ulong ChooseStack(CaseRandom random) =>
        CasePlaces.Data(random, (ulong)random.Below(17) * 8 - 64 + (random.Chance(20) ? (ulong)random.Below(8) : 0));

    // A call, and behind a breakpoint what it calls: it pops as much as it has pushed, so that the return finds its way.
    private static void AddFunction(CaseRandom random, List<byte> code)
    {
        code.AddRange([0xe8, 1, 0, 0, 0, 0xcc]);
        var count = random.Below(MostRegisters);
        AddRun(random, code, push: true, count, stackPointer: false);
        AddArithmetic(random, code);
        AddRun(random, code, push: false, count, stackPointer: false);
        if (random.Chance(80)) code.Add(0xc3);
        else code.AddRange([0xc2, (byte)(8 * random.Below(4)), 0]);
    }

    private static void AddRun(CaseRandom random, List<byte> code, bool push, int count, bool stackPointer = true)
    {
        for (; count > 0; count--)
        {
            var register = random.Below(16);
            if (register == StackPointer && (!stackPointer || random.Chance(70))) register = 9 + random.Below(3);
            if (random.Chance(10)) code.Add(0x48);
            if (register >= 8) code.Add(0x41);
            code.Add((byte)((push ? 0x50 : 0x58) + (register & 7)));
        }
    }

    // ADD or ADC with a constant, so that flags are dead, live or read behind a run.
    private static void AddArithmetic(CaseRandom random, List<byte> code)
    {
        if (random.Chance(40)) return;
        var register = random.Pick<byte>([0, 1, 2, 3, 5, 6, 7]);
        code.AddRange([0x48, 0x83, (byte)(0xc0 | (random.Chance(50) ? 2 << 3 : 0) | register), (byte)random.Next()]);
    }
}
