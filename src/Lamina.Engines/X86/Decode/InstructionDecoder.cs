// The x86 decoder: bytes in, one Instruction out. This file reads prefixes, escapes and VEX/EVEX payloads and finds the
// row of the opcode; InstructionDecoder.Operands.cs turns the row into the description. What the processor does not offer
// is no instruction; whether the CPU mode or privilege allow one is for its callers, the block builder and the executor.
// Where Intel's and AMD's processors differ, it does as Intel's: prefix 66 does not change
// near branches in 64-bit mode, LOCK MOV CR0 is not CR8, UD0 has a ModRM byte. But what is #UD for the fields of VEX and
// EVEX follows the vendor of host and guest: where it is ignored there, so it is here, and the host is given the very bytes.
using System.Runtime.CompilerServices;
using Lamina.Engines.X86.Decode.Tables;

namespace Lamina.Engines.X86.Decode;

/// <summary>Decodes x86 machine code of all three code sizes (SDM vol. 2, chapter 2 and appendix A).</summary>
internal static partial class InstructionDecoder
{
    /// <summary>Decodes the instruction at the start of <paramref name="code"/>.</summary>
    /// <param name="code">The bytes; 15 suffice for any instruction, fewer may end in <see cref="DecodeResult.Truncated"/>.</param>
    /// <param name="size">Code size of the segment they are in.</param>
    /// <param name="set">What the processor offers, and whose rules hold.</param>
    /// <param name="instruction">The instruction; of no meaning unless the result is <see cref="DecodeResult.Ok"/>.</param>
    /// <returns>
    /// What the bytes are. What is known to be invalid from the bytes given is <see cref="DecodeResult.Invalid"/> even
    /// if more would follow; what needs more bytes than were given is never anything but Truncated or TooLong.
    /// </returns>
    public static DecodeResult Decode(ReadOnlySpan<byte> code, CodeSize size, InstructionSet set, out Instruction instruction)
    {
        instruction = default;
        var state = new DecodeState(code, size, set);
        DecodeResult result = state.End(DecodeAny(ref state, ref instruction));
        instruction.Length = (byte)state.Position;
        return result;
    }

    private static DecodeResult DecodeAny(ref DecodeState state, ref Instruction instruction)
    {
        int opcode;
        uint entry;
        while (true)
        {
            opcode = state.ReadByte();
            entry = OpcodeIndex.Entry(OpcodeIndex.OneByte, opcode);
            if ((entry & OpcodeIndex.Prefix) == 0)
            {
                break;
            }
            if (opcode == 0x0F)
            {
                return DecodeEscape(ref state, ref instruction);
            }
            if (opcode is 0x62 or 0xC4 or 0xC5)
            {
                // Outside 64-bit mode these are BOUND, LES and LDS, whose operand must be memory (SDM vol. 2, 2.3.5, 2.7.1).
                if (state.Is64 || state.PeekByte() >= 0xC0)
                {
                    return DecodeVector(ref state, ref instruction, opcode);
                }
                break;
            }
            if (opcode is >= 0x40 and < 0x50)
            {
                if (!state.Is64)
                {
                    break;
                }
                state.Rex = (byte)opcode;
                continue;
            }
            state.Rex = 0;
            ApplyPrefix(ref state, opcode);
        }
        return DecodeLegacy(ref state, ref instruction, OpcodeIndex.OneByte, opcode, entry);
    }

    private static void ApplyPrefix(ref DecodeState state, int prefix)
    {
        switch (prefix)
        {
            case 0x66:
                state.OperandSizePrefix = true;
                break;
            case 0x67:
                state.AddressSizePrefix = true;
                break;
            case 0xF0:
                state.LockPrefix = true;
                break;
            case 0xF2 or 0xF3:
                state.RepeatPrefix = (byte)prefix;
                break;
            case 0x64 or 0x65:
                state.Segment = prefix - 0x60;
                break;
            default:
                if (!state.Is64)
                {
                    state.Segment = (prefix >> 3) & 3;
                }
                break;
        }
    }

    private static DecodeResult DecodeEscape(ref DecodeState state, ref Instruction instruction)
    {
        int opcode = state.ReadByte();
        int table = OpcodeIndex.Legacy0F;
        if (opcode is 0x38 or 0x3A)
        {
            table = opcode == 0x38 ? OpcodeIndex.Legacy0F38 : OpcodeIndex.Legacy0F3A;
            opcode = state.ReadByte();
        }
        return DecodeLegacy(ref state, ref instruction, table, opcode, OpcodeIndex.Entry(table, opcode));
    }

    private static DecodeResult DecodeLegacy(ref DecodeState state, ref Instruction instruction, int table, int opcode, uint entry)
    {
        int rex = state.Rex;
        if (rex != 0)
        {
            instruction.HasRex = true;
            state.W = (rex & 8) != 0;
            state.R = (rex & 4) << 1;
            state.X = (rex & 2) << 2;
            state.B = (rex & 1) << 3;
        }
        state.Prefix = state.RepeatPrefix == 0xF3 ? 2 : state.RepeatPrefix == 0xF2 ? 3 : state.OperandSizePrefix ? 1 : 0;
        instruction.Map = (byte)table;
        return DecodeRow(ref state, ref instruction, opcode, entry);
    }

    private static DecodeResult DecodeVector(ref DecodeState state, ref Instruction instruction, int escape)
    {
        if (state.Rex != 0 || state.OperandSizePrefix || state.RepeatPrefix != 0 || state.LockPrefix)
        {
            return DecodeResult.Invalid;
        }
        return escape == 0x62 ? DecodeEvex(ref state, ref instruction) : DecodeVex(ref state, ref instruction, escape);
    }

    /// <summary>VEX, SDM vol. 2, 2.3.5: C5 R.vvvv.L.pp, or C4 R.X.B.mmmmm W.vvvv.L.pp, all but W, m, L and p inverted.</summary>
    private static DecodeResult DecodeVex(ref DecodeState state, ref Instruction instruction, int escape)
    {
        int map = 1;
        int payload = state.ReadByte();
        if (escape == 0xC5)
        {
            state.R = ~payload >> 4 & 8;
        }
        else
        {
            map = payload & 0x1F;
            state.R = ~payload >> 4 & 8;
            state.X = ~payload >> 3 & 8;
            state.B = ~payload >> 2 & 8;
            payload = state.ReadByte();
            state.W = (payload & 0x80) != 0;
        }
        if (map is < 1 or > 3)
        {
            return DecodeResult.Invalid;
        }
        state.Vvvv = ~payload >> 3 & 15;
        if (!state.Is64)
        {
            // Eight registers only: R and X are what tells VEX from LES and LDS, B and vvvv[3] are ignored.
            state.R = state.X = state.B = 0;
        }
        state.Encoding = instruction.Encoding = EncodingKind.Vex;
        instruction.Map = (byte)map;
        int length = payload >> 2 & 1;
        instruction.VectorLength = (byte)length;
        state.Length = length;
        state.Prefix = payload & 3;
        int opcode = state.ReadByte();
        if (state.IgnoresUnused && map == 3)
        {
            // AMD's VPERMQ and VPERMPD ignore W; its VPEXTRQ and VPINSRQ are instructions of 64-bit mode only.
            if (opcode is 0x16 or 0x22 && state.W && !state.Is64)
            {
                return DecodeResult.Invalid;
            }
            state.W |= opcode is 0x00 or 0x01;
        }
        int table = OpcodeIndex.Vex + map;
        return DecodeRow(ref state, ref instruction, opcode, OpcodeIndex.Entry(table, opcode));
    }

    /// <summary>EVEX, SDM vol. 2, 2.7.1: R.X.B.R'.0.mmm, W.vvvv.1.pp, z.L'L.b.V'.aaa; R, X, B, R', V', vvvv inverted.</summary>
    private static DecodeResult DecodeEvex(ref DecodeState state, ref Instruction instruction)
    {
        int p0 = state.ReadByte();
        int p1 = state.ReadByte();
        int p2 = state.ReadByte();
        int map = p0 & 7;
        if ((p0 & 8) != 0 || (p1 & 4) == 0 || map is 0 or 4 or 7)
        {
            return DecodeResult.Invalid;
        }
        state.W = (p1 & 0x80) != 0;
        state.Vvvv = ~p1 >> 3 & 15;
        state.V2 = ~p2 << 1 & 16;
        if (state.Is64)
        {
            state.R = ~p0 >> 4 & 8;
            state.X = ~p0 >> 3 & 8;
            state.B = ~p0 >> 2 & 8;
            state.R2 = ~p0 & 16;
        }
        else if (state.V2 != 0)
        {
            if (!state.IgnoresUnused)
            {
                return DecodeResult.Invalid;
            }
            state.V2 = 0;
        }
        state.Mask = p2 & 7;
        state.Zeroing = (p2 & 0x80) != 0;
        state.EvexB = (p2 & 0x10) != 0;
        int length = p2 >> 5 & 3;
        if ((length == 3 && !state.EvexB) || (state.Zeroing && state.Mask == 0 && !state.IgnoresUnused))
        {
            return DecodeResult.Invalid;
        }
        state.Encoding = instruction.Encoding = EncodingKind.Evex;
        instruction.Map = (byte)map;
        instruction.VectorLength = (byte)length;
        state.Length = length;
        state.Prefix = p1 & 3;
        if (!state.Is64)
        {
            // Bits without meaning outside 64-bit mode, as they are in 64-bit code.
            p0 |= 0xF0;
            p1 |= 0x40;
            p2 |= 0x08;
        }
        instruction.EvexPayload = (uint)(p0 | p1 << 8 | p2 << 16);
        int opcode = state.ReadByte();
        int table = OpcodeIndex.Evex + (map > 3 ? map - 1 : map);
        return DecodeRow(ref state, ref instruction, opcode, OpcodeIndex.Entry(table, opcode));
    }

    /// <summary>Finds the row that the bytes match, among those of the opcode, and describes the instruction by it.</summary>
    private static DecodeResult DecodeRow(ref DecodeState state, ref Instruction instruction, int opcode, uint entry)
    {
        int row = (int)(entry & 0xFFFF);
        int rows = (int)(entry >> OpcodeIndex.CountShift & 0xFF);
        ulong[] words = OpcodeIndex.Words;
        if (rows == 0)
        {
            return DecodeResult.Invalid;
        }

        instruction.Opcode = (byte)opcode;
        int length = state.Length;
        ulong key = Row.KeyNoPrefix << state.Prefix;
        key |= state.Is64 ? Row.KeyMode64 : Row.KeyLegacyMode;
        key |= !state.W ? Row.KeyW0 : state.Is64 ? Row.KeyW1 : Row.KeyW1Legacy;

        // All rows of an opcode agree on whether a ModRM byte follows.
        if ((words[row + 1] & Row.ModRm) != 0)
        {
            int modRm = state.ReadByte();
            int digit = modRm >> 3 & 7;
            instruction.HasModRm = true;
            instruction.ModRm = (byte)modRm;
            key |= 1UL << (Row.DigitShift + digit) | 1UL << (Row.RmShift + (modRm & 7));
            if (modRm < 0xC0)
            {
                key |= Row.KeyMemory;
            }
            else
            {
                key |= Row.KeyRegister;
                if (state.EvexB && (!state.IgnoresUnused || HasRounding(words.AsSpan(row, rows * 2), key)))
                {
                    length = 2; // L'L is the rounding mode; the vector is 512 bits or a scalar (SDM vol. 2, 2.7.6)
                }
            }
            if ((entry & OpcodeIndex.ByDigit) != 0)
            {
                row += digit * 2;
                rows -= digit;
            }
        }
        key |= 1UL << (Row.LengthShift + length);

        for (; rows > 0; rows--, row += 2)
        {
            if ((words[row] & key) == 0)
            {
                if ((words[row + 1] & Requirements.Any) != 0 && !IsOffered(ref state, words[row], words[row + 1], length))
                {
                    continue;
                }
                instruction.MandatoryPrefix = (words[row] & Row.KeyNoPrefix) != 0 || state.Encoding != EncodingKind.Legacy
                    ? MandatoryPrefixes[state.Prefix] : (byte)0;
                return Describe(ref state, ref instruction, words[row], words[row + 1]);
            }
        }
        return DecodeResult.Invalid;
    }

    // Kept apart: most instructions need nothing, and are decoded faster without the code for this among theirs.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool IsOffered(ref DecodeState state, ulong match, ulong meaning, int length) =>
        (Requirements.Of(match, meaning, length) & ~state.Offered) == 0;

    /// <summary>Whether what the bytes match has embedded rounding or suppresses exceptions.</summary>
    private static bool HasRounding(ReadOnlySpan<ulong> rows, ulong key)
    {
        for (int i = 0; i < rows.Length; i += 2)
        {
            if ((rows[i] & key) == 0 && (rows[i] & (Row.Er | Row.Sae)) != 0)
            {
                return true;
            }
        }
        return false;
    }

    private static ReadOnlySpan<byte> MandatoryPrefixes => [0, 0x66, 0xF3, 0xF2];
}
