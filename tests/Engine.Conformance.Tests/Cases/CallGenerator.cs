// Cases that call and return: a loop over calls of a few functions that return as compilers have them do it, or by a jump, or
// to another place than they were called from, or twice; with the stack aligned or not, and flags that are read behind a return.
using Iced.Intel;
using Lamina.Tests.Engine.Conformance.Oracle;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Conformance.Cases;

/// <summary>The generator of calls and returns; 64-bit and flat 32-bit code.</summary>
internal static class CallGenerator
{
    private const int Counter = 1, StackPointer = 4, Again = 5, MostFunctions = 4;

    private sealed class Buffer : CodeWriter
    {
        public readonly List<byte> Bytes = [];

        public override void WriteByte(byte value) => Bytes.Add(value);
    }

    /// <summary>Fills a case.</summary>
    public static void Generate(TestCase test, ulong seed, CodeMode mode)
    {
        var random = new CaseRandom(seed);
        test.Reset(mode, random.Next());
        var mask = mode == CodeMode.Long ? ulong.MaxValue : uint.MaxValue;
        for (var i = 0; i < 16; i++) test.Gpr[i] = random.Value() & mask;
        test.Gpr[Counter] = (ulong)(1 + random.Below(5));
        test.Gpr[Again] = (ulong)random.Below(4);
        test.Gpr[StackPointer] = CaseLayout.Data + 0x400 + (ulong)random.Below(0x2000 / 8) * 8 + (random.Chance(20) ? (ulong)random.Below(8) : 0);
        // Lengths do not depend on where things are: the first pass finds the length.
        var choices = random.Next();
        var length = Assemble(test.Bits, choices, CaseLayout.Code).Count;
        var place = CasePlaces.Code(random, length);
        test.SetCode(place, Assemble(test.Bits, choices, CaseLayout.LinearOf(place)).ToArray());
    }

    private static List<byte> Assemble(int bits, ulong choices, ulong address)
    {
        var random = new CaseRandom(choices);
        var c = new Assembler(bits);
        var functions = new Label[1 + random.Below(MostFunctions)];
        for (var i = 0; i < functions.Length; i++) functions[i] = c.CreateLabel();
        var start = c.CreateLabel();
        c.Label(ref start);
        for (var n = 1 + random.Below(6); n > 0; n--)
        {
            AddArithmetic(random, c);
            AddCall(random, c, functions);
        }
        c.dec(ecx);
        c.jne(start);
        c.int3();
        for (var i = 0; i < functions.Length; i++)
        {
            c.Label(ref functions[i]);
            // A function only calls those behind it.
            AddFunction(random, c, functions.AsSpan(i + 1));
        }
        var buffer = new Buffer();
        c.Assemble(buffer, address);
        return buffer.Bytes;
    }

    private static void AddCall(CaseRandom random, Assembler c, ReadOnlySpan<Label> functions)
    {
        var target = functions[random.Below(functions.Length)];
        var skew = random.Chance(15) ? 1 + random.Below(24) : 0;
        if (skew != 0) MoveStack(c, -skew);
        if (random.Chance(75)) c.call(target);
        else CallByRegister(c, target);
        AddThreeBytes(random, c);
        if (random.Chance(15)) ReturnAgain(c);
        if (skew != 0) MoveStack(c, skew);
    }

    private static void CallByRegister(Assembler c, Label target)
    {
        if (c.Bitness == 64)
        {
            c.lea(rsi, __[target]);
            c.call(rsi);
            return;
        }
        // EIP + the rest of this function's code, as position-independent 32-bit code finds it.
        var here = c.CreateLabel();
        c.call(here);
        c.Label(ref here);
        c.pop(esi);
        c.call(target);
    }

    // The slot below the stack still holds the address of the call's return: it is taken a second time, and once more, while EBP lasts.
    private static void ReturnAgain(Assembler c)
    {
        var enough = c.CreateLabel();
        c.dec(ebp);
        c.jle(enough);
        MoveStack(c, c.Bitness == 64 ? -8 : -4);
        c.ret();
        c.Label(ref enough);
    }

    // What a function may skip, and what may read the flags that it returns.
    private static void AddThreeBytes(CaseRandom random, Assembler c)
    {
        switch (random.Below(5))
        {
            case 0: c.adc(ebx, 0); break;
            case 1: c.setl(dl); break;
            case 2: c.cmovo(ebx, edx); break;
            default: c.add(edx, 5); break;
        }
    }

    private static void AddFunction(CaseRandom random, Assembler c, ReadOnlySpan<Label> behind)
    {
        if (behind.Length > 0 && random.Chance(40)) AddCall(random, c, behind);
        AddArithmetic(random, c);
        switch (random.Below(10))
        {
            case 0: c.ret((short)(random.Below(4) * 4)); break;
            case 1: ReturnByJump(c); break;
            case 2: Skip(c); c.ret(); break;
            case 3: ReturnByPush(c); break;
            case 4: c.repe.ret(); break;
            default: c.ret(); break;
        }
    }

    private static void ReturnByJump(Assembler c)
    {
        if (c.Bitness == 64)
        {
            c.pop(rdi);
            c.jmp(rdi);
        }
        else
        {
            c.pop(edi);
            c.jmp(edi);
        }
    }

    private static void Skip(Assembler c)
    {
        if (c.Bitness == 64) c.add(__qword_ptr[rsp], 3);
        else c.add(__dword_ptr[esp], 3);
    }

    // By way of a slot that holds a copy: one below the call's.
    private static void ReturnByPush(Assembler c)
    {
        if (c.Bitness == 64) c.push(__qword_ptr[rsp]);
        else c.push(__dword_ptr[esp]);
        c.ret((short)(c.Bitness / 8));
    }

    private static void MoveStack(Assembler c, int by)
    {
        if (c.Bitness == 64) c.lea(rsp, __[rsp + by]);
        else c.lea(esp, __[esp + by]);
    }

    private static void AddArithmetic(CaseRandom random, Assembler c)
    {
        if (random.Chance(30)) return;
        if (random.Chance(50)) c.add(ebx, (int)random.Next() | 0x1000);
        else c.adc(edx, (int)random.Next() | 0x1000);
    }
}
