// The proof of the decoder: every opcode of every map with all prefixes and operand forms, and random bytes, against Iced.
using Lamina.Engines.X86.Decode;
using Xunit;

namespace Lamina.Tests.Engines.Decode;

public sealed class DecoderAgainstIcedTests
{
    private static readonly byte[][] s_legacyPrefixes =
    [
        [], [0x66], [0xF3], [0xF2], [0x66, 0xF3], [0xF2, 0x66], [0xF3, 0xF2], [0xF2, 0xF3], [0xF0], [0x67], [0x66, 0x67], [0x2E], [0x65, 0x3E], [0x36, 0x64],
        [0xF0, 0x66], [0xF2, 0xF0], [0xF3, 0xF0], [0x67, 0xF3], [0x67, 0xF2],
    ];

    [Theory]
    [InlineData(CodeSize.Code16)]
    [InlineData(CodeSize.Code32)]
    [InlineData(CodeSize.Code64)]
    public void EveryLegacyOpcodeWithEveryModRm(CodeSize size)
    {
        var oracle = new Oracle(size);
        var random = new Random(1);
        byte[][] escapes = [[], [0x0F], [0x0F, 0x38], [0x0F, 0x3A]];
        int[] rexes = size == CodeSize.Code64 ? [-1, 0x40, 0x48, 0x41, 0x44, 0x4F] : [-1];
        foreach (byte[] prefixes in s_legacyPrefixes)
        {
            foreach (int rex in rexes)
            {
                foreach (byte[] escape in escapes)
                {
                    byte[] head = rex < 0 ? [.. prefixes, .. escape] : [.. prefixes, (byte)rex, .. escape];
                    CompareOpcodes(oracle, random, head, everyModRm: prefixes.Length <= 1 && rex is -1 or 0x48);
                }
            }
        }

        oracle.AssertAgreement();
        oracle.AssertComplete(Iced.Intel.EncodingKind.Legacy);
    }

    // All ModRM bytes, or each digit with a random register or memory form.
    private static void CompareOpcodes(Oracle oracle, Random random, byte[] head, bool everyModRm)
    {
        Span<byte> code = stackalloc byte[24];
        for (int opcode = 0; opcode < 256; opcode++)
        {
            for (int form = 0; form < (everyModRm ? 256 : 16); form++)
            {
                int modRm = everyModRm ? form : (form & 7) << 3 | (form < 8 ? 0xC0 : random.Next(3) << 6) | random.Next(8);
                random.NextBytes(code);
                head.CopyTo(code);
                code[head.Length] = (byte)opcode;
                code[head.Length + 1] = (byte)modRm;
                oracle.Compare(code);
            }
        }
    }

    [Theory]
    [InlineData(CodeSize.Code16)]
    [InlineData(CodeSize.Code32)]
    [InlineData(CodeSize.Code64)]
    public void EveryVexOpcode(CodeSize size)
    {
        var oracle = new Oracle(size);
        var random = new Random(2);
        Span<byte> code = stackalloc byte[24];
        for (int map = 0; map < 6; map++)
        {
            for (int opcode = 0; opcode < 256; opcode++)
            {
                int forms = Expectations.IsUsed(Iced.Intel.EncodingKind.VEX, map, opcode) ? 192 : 4;
                for (int payload = 0; payload < 16; payload++)
                {
                    for (int form = 0; form < forms; form++)
                    {
                        random.NextBytes(code);
                        int at = WritePrefix(code, random, size);
                        code[at++] = 0xC4;
                        code[at++] = (byte)((random.Next(2) == 0 ? 7 : random.Next(8)) << 5 | map);
                        code[at++] = (byte)((payload & 8) << 4 | UsualVvvv(random) << 3 | payload & 7);
                        code[at++] = (byte)opcode;
                        code[at] = ModRmOf(form, random);
                        oracle.Compare(code);
                    }
                }
            }
        }
        for (int i = 0; i < 256 * 256; i++)
        {
            random.NextBytes(code);
            code[0] = 0xC5;
            code[1] = (byte)i;
            code[2] = (byte)(i >> 8);
            oracle.Compare(code);
        }

        oracle.AssertAgreement();
        oracle.AssertComplete(Iced.Intel.EncodingKind.VEX);
    }

    // No prefix; or one that changes the address; or, rarely, one that VEX and EVEX forbid.
    private static int WritePrefix(Span<byte> code, Random random, CodeSize size)
    {
        if (size == CodeSize.Code16 && random.Next(2) == 0)
        {
            code[0] = 0x67; // without it there is no SIB byte
            return 1;
        }
        if (random.Next(3) != 0)
        {
            return 0;
        }
        code[0] = random.Next(16) == 0 ? random.NextItem<byte>(0x66, 0xF3, 0xF2, 0xF0, 0x48) : random.NextItem<byte>(0x67, 0x64, 0x2E);
        return 1;
    }

    private static int UsualVvvv(Random random) => random.Next(2) == 0 ? 15 : random.Next(16);

    // Each digit with a register, any memory form, and two with a SIB byte.
    private static byte ModRmOf(int form, Random random)
    {
        int digit = (form & 7) << 3;
        return (byte)((form >> 3 & 3) switch
        {
            0 => 0xC0 | digit | random.Next(8),
            1 => random.Next(3) << 6 | digit | random.Next(8),
            _ => random.Next(3) << 6 | digit | 4,
        });
    }

    [Theory]
    [InlineData(CodeSize.Code16)]
    [InlineData(CodeSize.Code32)]
    [InlineData(CodeSize.Code64)]
    public void EveryEvexOpcode(CodeSize size)
    {
        var oracle = new Oracle(size);
        var random = new Random(3);
        Span<byte> code = stackalloc byte[24];
        for (int map = 0; map < 8; map++)
        {
            for (int opcode = 0; opcode < 256; opcode++)
            {
                int forms = Expectations.IsUsed(Iced.Intel.EncodingKind.EVEX, map, opcode) ? 256 : 4;
                for (int payload = 0; payload < 32; payload++)
                {
                    for (int form = 0; form < forms; form++)
                    {
                        // Unused vvvv, no mask and no broadcast are what most instructions want: often, but not always.
                        random.NextBytes(code);
                        int at = WritePrefix(code, random, size);
                        int high = random.Next(8) != 0 ? 8 : 0;
                        int extensions = random.Next(4) == 0 ? random.Next(16) : 15;
                        int mask = random.Next(3) == 0 ? random.Next(8) : random.Next(2);
                        int broadcast = random.Next(3) == 0 ? 0x10 : 0;
                        code[at++] = 0x62;
                        code[at++] = (byte)(extensions << 4 | map | (random.Next(64) == 0 ? 8 : 0));
                        code[at++] = (byte)((payload & 4) << 5 | UsualVvvv(random) << 3 | payload & 3 | (random.Next(64) == 0 ? 0 : 4));
                        code[at++] = (byte)((payload & 0x18) << 2 | broadcast | high | mask | (mask != 0 && random.Next(3) == 0 ? 0x80 : 0));
                        code[at++] = (byte)opcode;
                        code[at] = ModRmOf(form, random);
                        oracle.Compare(code);
                    }
                }
            }
        }

        oracle.AssertAgreement();
        oracle.AssertComplete(Iced.Intel.EncodingKind.EVEX);
    }

    [Theory]
    [InlineData(CodeSize.Code16)]
    [InlineData(CodeSize.Code32)]
    [InlineData(CodeSize.Code64)]
    public void RandomBytes(CodeSize size)
    {
        var oracle = new Oracle(size);
        var random = new Random(4);
        byte[] frequent = [0x66, 0x67, 0xF2, 0xF3, 0xF0, 0x2E, 0x36, 0x64, 0x65, 0x0F, 0x48, 0x41, 0x4F, 0x62, 0xC4, 0xC5];
        Span<byte> code = stackalloc byte[24];
        for (int i = 0; i < 300_000; i++)
        {
            random.NextBytes(code);
            int prefixes = random.Next(6);
            for (int at = 0; at < prefixes; at++)
            {
                code[at] = random.NextItem(frequent);
            }
            oracle.Compare(code[..random.Next(1, 20)]);
        }

        oracle.AssertAgreement();
    }
}

internal static class RandomExtensions
{
    public static T NextItem<T>(this Random random, params T[] items) => items[random.Next(items.Length)];
}
