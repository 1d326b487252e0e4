// Where the rows of an opcode stand in its table. Rows are sorted by opcode and carry it, so the index is derived from
// them once, at first use, in one pass over the constant data of each table; there is nothing else to initialise.
// Called by the decoder only.
namespace Lamina.Engines.X86.Decode.Tables;

/// <summary>The opcode tables by number, and an index over all of them.</summary>
internal static class OpcodeIndex
{
    /// <summary>Tables by number: legacy one-byte, 0F, 0F38, 0F3A; VEX maps 1 to 3; EVEX maps 1, 2, 3, 5, 6.</summary>
    internal const int OneByte = 0, Legacy0F = 1, Legacy0F38 = 2, Legacy0F3A = 3, Vex = 3, Evex = 6, TableCount = 12;

    /// <summary>An entry's fields: first row in bits 0-15, number of rows in bits 16-23.</summary>
    internal const int CountShift = 16;

    /// <summary>The first eight rows are those of the eight digits in ModRM.reg: start at the digit's.</summary>
    internal const uint ByDigit = 1u << 24;

    /// <summary>Prefix or escape byte (one-byte table).</summary>
    internal const uint Prefix = 1u << 25;

    /// <summary>All rows, table after table, two words each. Written once, by the constructor.</summary>
    internal static readonly ulong[] Words;

    /// <summary>256 entries a table. Written once, by the constructor.</summary>
    private static readonly uint[] s_entries;

    static OpcodeIndex()
    {
        int length = 0;
        for (int table = 0; table < TableCount; table++)
        {
            length += Rows(table).Length;
        }
        Words = new ulong[length];
        s_entries = new uint[TableCount << 8];
        int first = 0;
        for (int table = 0; table < TableCount; table++)
        {
            ReadOnlySpan<ulong> rows = Rows(table);
            rows.CopyTo(Words.AsSpan(first));
            IndexTable(rows, first, s_entries.AsSpan(table << 8, 256));
            first += rows.Length;
        }
        MarkPrefixes(s_entries);
    }

    /// <summary>The entry of an opcode; 0 rows if there is no such instruction.</summary>
    internal static uint Entry(int table, int opcode) => s_entries[(table << 8) | opcode];

    /// <summary>The rows of a table, two words each.</summary>
    private static ReadOnlySpan<ulong> Rows(int table) => table switch
    {
        OneByte => LegacyOneByte.Rows,
        Legacy0F => Tables.Legacy0F.Rows,
        Legacy0F38 => Tables.Legacy0F38.Rows38,
        Legacy0F3A => Tables.Legacy0F38.Rows3A,
        Vex + 1 => Tables.Vex.Map1,
        Vex + 2 => Tables.Vex.Map2,
        Vex + 3 => Tables.Vex.Map3,
        Evex + 1 => Evex1.Rows,
        Evex + 2 => Evex2.Rows,
        Evex + 3 => Evex3.Map3,
        Evex + 4 => Evex3.Map5,
        Evex + 5 => Evex3.Map6,
        _ => default,
    };

    /// <summary>26, 2E, 36, 3E, 40-4F, 62, 64-67, C4, C5, F0, F2, F3 and the escape 0F.</summary>
    private static void MarkPrefixes(uint[] entries)
    {
        ReadOnlySpan<byte> prefixes = [0x0F, 0x26, 0x2E, 0x36, 0x3E, 0x62, 0x64, 0x65, 0x66, 0x67, 0xC4, 0xC5, 0xF0, 0xF2, 0xF3];
        foreach (byte prefix in prefixes)
        {
            entries[prefix] |= Prefix;
        }
        for (int rex = 0x40; rex < 0x50; rex++)
        {
            entries[rex] |= Prefix;
        }
    }

    private static void IndexTable(ReadOnlySpan<ulong> rows, int start, Span<uint> entries)
    {
        for (int row = 0; row < rows.Length;)
        {
            int first = row;
            byte opcode = (byte)rows[first];
            while (row < rows.Length && (byte)rows[row] == opcode)
            {
                row += 2;
            }
            uint entry = (uint)(start + first) | ((uint)(row - first) / 2) << CountShift;
            entries[opcode] = HasRowPerDigit(rows[first..row]) ? entry | ByDigit : entry;

            // A register in the opcode's low bits: the last row stands for the other seven opcodes too.
            if ((rows[row - 1] & Row.OpcodeRegister) != 0)
            {
                entries.Slice(opcode + 1, 7).Fill((uint)(start + row - 2) | 1u << CountShift);
            }
        }
    }

    private static bool HasRowPerDigit(ReadOnlySpan<ulong> rows)
    {
        for (int digit = 0; digit < 8; digit++)
        {
            if (digit * 2 >= rows.Length || (byte)~(rows[digit * 2] >> Row.DigitShift) != 1 << digit)
            {
                return false;
            }
        }
        return true;
    }
}
