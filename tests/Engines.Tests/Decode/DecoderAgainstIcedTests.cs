// The proof of the decoder: every opcode of every map with all prefixes and operand forms, and random bytes, against Iced.
using Lamina.Engines.Translator.Decode;
using Xunit;

namespace Lamina.Engines.Tests.Decode;

public sealed class DecoderAgainstIcedTests
{
    private static readonly byte[][] s_legacyPrefixes =
    [
        [], [0x66], [0xF3], [0xF2], [0x66, 0xF3], [0xF2, 0x66], [0xF3, 0xF2], [0xF2, 0xF3], [0xF0], [0x67], [0x66, 0x67], [0x2E], [0x65, 0x3E], [0x36, 0x64],
        [0xF0, 0x66], [0xF2, 0xF0], [0xF3, 0xF0],
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
                    CompareOpcodes(oracle, random, head);
                }
            }
        }

        oracle.AssertAgreement(atLeastValid: 100_000);
    }

    private static void CompareOpcodes(Oracle oracle, Random random, byte[] head)
    {
        Span<byte> code = stackalloc byte[24];
        for (int opcode = 0; opcode < 256; opcode++)
        {
            for (int modRm = 0; modRm < 256; modRm++)
            {
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
                for (int payload = 0; payload < 16; payload++)
                {
                    for (int form = 0; form < 48; form++)
                    {
                        random.NextBytes(code);
                        int at = 0;
                        if (form >= 44)
                        {
                            code[at++] = (byte)random.NextItem(0x66, 0x67, 0xF3, 0xF2, 0xF0, 0x48, 0x64, 0x2E);
                        }
                        code[at++] = 0xC4;
                        code[at++] = (byte)(random.Next(8) << 5 | map);
                        code[at++] = (byte)((payload & 8) << 4 | (form % 3 == 0 ? 0x78 : random.Next(16) << 3) | payload & 7);
                        code[at++] = (byte)opcode;
                        code[at] = (byte)((form & 1) != 0 ? code[at] | 0xC0 : code[at]);
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

        oracle.AssertAgreement(atLeastValid: 20_000);
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
                for (int payload = 0; payload < 8; payload++)
                {
                    for (int form = 0; form < 96; form++)
                    {
                        random.NextBytes(code);
                        int vvvv = form % 3 == 0 ? 15 : random.Next(16);
                        int high = vvvv == 15 || random.Next(4) != 0 ? 8 : 0;
                        code[0] = 0x62;
                        code[1] = (byte)(random.Next(16) << 4 | map | (random.Next(64) == 0 ? 8 : 0));
                        code[2] = (byte)((payload & 4) << 5 | vvvv << 3 | payload & 3 | (random.Next(64) == 0 ? 0 : 4));
                        code[3] = (byte)((form & 7) << 4 | high | (random.Next(3) == 0 ? 0 : random.Next(8)) | (random.Next(4) == 0 ? 0x80 : 0));
                        code[4] = (byte)opcode;
                        code[5] = (byte)((form & 8) != 0 ? code[5] | 0xC0 : code[5]);
                        oracle.Compare(code);
                    }
                }
            }
        }

        oracle.AssertAgreement(atLeastValid: 50_000);
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

        oracle.AssertAgreement(atLeastValid: 50_000);
    }
}

internal static class RandomExtensions
{
    public static T NextItem<T>(this Random random, params T[] items) => items[random.Next(items.Length)];
}
