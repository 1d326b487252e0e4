// Random code from a seed: instruction bytes that mostly decode (prefixes, REX, the opcode maps, VEX, EVEX), in every mode,
// with registers that point to memory of every kind, and with code that lies across pages of different rights.

namespace Lamina.Tests.Boot.Hostile;

internal static class RandomCode
{
    private const int Slot = 64, RegisterSets = 64;

    private static readonly byte[] Prefixes = [0x66, 0x67, 0xF2, 0xF3, 0xF0, 0x2E, 0x36, 0x3E, 0x26, 0x64, 0x65];

    private static readonly ulong[] Interesting =
    [
        0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000, ulong.MaxValue,
        0x0000_7FFF_FFFF_FFF8, 0x0000_8000_0000_0000, 0xFFFF_8000_0000_0000, 0xFEE0_0000, 0xFEE0_0080, 0xFEE0_0FFC, 0xFEC0_0000, 0xFEC0_0010, 0xFEB0_0000, 0xFEB0_0FFF,
        0xFEB0_1050, 0xFEB0_7FFE, 0xBFFF_FFFF, 0xC000_0000, 0x03FF_FFFE, 0x0400_0000, 0x9000, 0x30_4000, 0xC000_0080, 0x1B, 0x10, 0x277, 0x3F8, 0x60,
    ];

    /// <summary>A kernel of random cases.</summary>
    internal static byte[] Kernel(int seed, int cases)
    {
        var random = new Random(seed);
        var registers = Enumerable.Range(0, RegisterSets).Select(_ => Enumerable.Range(0, 16).Select(_ => Value(random)).ToArray()).ToArray();
        var code = new byte[(cases * Slot) + 0x2000];
        var list = new GuestCase[cases];
        for (var i = 0; i < cases; i++)
        {
            var mode = random.Next(10) switch { < 4 => CaseMode.Long0, < 6 => CaseMode.Long3, var other => (CaseMode)(other - 4) };
            var at = i * Slot;
            Fill(code.AsSpan(at, Slot), random, mode <= CaseMode.Long3);
            // Some lie in the scratch memory instead: at the end of a page, before one of another kind.
            list[i] = new GuestCase(mode, CaseKernel.CaseCode + (uint)at, Stack(random), (uint)random.Next(1 << 22) & 0x0025_4FD5, random.Next(RegisterSets));
            if (random.Next(8) == 0) list[i] = list[i] with { Address = CaseKernel.Scratch + 0x8_0000 + ((uint)random.Next(64) << 12) - (uint)random.Next(1, 20) };
        }
        var scratch = new byte[CaseKernel.ScratchLength];
        random.NextBytes(scratch);
        for (var page = 0x7_F000; page + 0x1000 <= scratch.Length; page += 0x1000) Fill(scratch.AsSpan(page + 0x1000 - 32, 32), random, true);
        return CaseKernel.Build(list, registers, (CaseKernel.CaseCode, code), (CaseKernel.Scratch, scratch));
    }

    private static ulong Value(Random random) => random.Next(8) switch
    {
        < 4 => CaseKernel.Scratch + (uint)random.Next(0x8_0000),
        4 => CaseKernel.Scratch + ((uint)random.Next(1, 0x100) << 12) - (uint)random.Next(1, 40),
        5 => Interesting[random.Next(Interesting.Length)],
        6 => 0xFFFF_FFFF_0000_0000 | (CaseKernel.Scratch + (uint)random.Next((int)CaseKernel.ScratchLength)),
        _ => (ulong)random.NextInt64(),
    };

    private static ulong Stack(Random random) => random.Next(6) == 0 ? Value(random) : CaseKernel.Scratch + 0x1000 + (uint)random.Next(0x1000);

    private static void Fill(Span<byte> slot, Random random, bool is64)
    {
        var at = 0;
        var count = random.Next(1, 7);
        for (var i = 0; i < count && at < slot.Length - 26; i++) at += Instruction(slot[at..], random, is64);
        // Endings of different kinds: an exception, a trap, a loop that only the timer ends.
        ReadOnlySpan<byte> end = random.Next(16) switch { 0 => [0xEB, 0xFE], 1 => [0xF4, 0xEB, 0xFD], < 8 => [0xCC], _ => [0x0F, 0x0B] };
        end.CopyTo(slot[at..]);
    }

    private static int Instruction(Span<byte> to, Random random, bool is64)
    {
        var at = 0;
        while (at < 3 && random.Next(4) == 0) to[at++] = Prefixes[random.Next(Prefixes.Length)];
        if (is64 && random.Next(2) == 0) to[at++] = (byte)(0x40 | random.Next(16));
        var map = random.Next(100);
        if (map is >= 75 and < 85)
        {
            to[at++] = 0xC5;
            to[at++] = (byte)random.Next(256);
        }
        else if (map is >= 85 and < 93)
        {
            to[at++] = 0xC4;
            to[at++] = (byte)((random.Next(8) << 5) | random.Next(1, 4));
            to[at++] = (byte)random.Next(256);
        }
        else if (map >= 93)
        {
            to[at++] = 0x62;
            to[at++] = (byte)((random.Next(16) << 4) | random.Next(1, 4));
            to[at++] = (byte)(random.Next(256) | 4);
            to[at++] = (byte)random.Next(256);
        }
        else if (map >= 40)
        {
            to[at++] = 0x0F;
            if (map >= 68) to[at++] = map < 72 ? (byte)0x38 : (byte)0x3A;
        }
        to[at++] = (byte)random.Next(256);
        to[at++] = (byte)random.Next(256);
        if (random.Next(3) == 0) to[at++] = (byte)random.Next(256);
        if (random.Next(3) != 0)
        {
            var displacement = (uint)Value(random);
            for (var i = 0; i < 4; i++) to[at++] = (byte)(displacement >> (8 * i));
        }
        var immediate = random.Next(5);
        for (var i = 0; i < immediate; i++) to[at++] = (byte)random.Next(256);
        return at;
    }
}
