// What the decoder knows of an instruction while it reads it: the bytes, the place in them, and what the prefixes said.
// Reading past the end gives zeros and is noticed once, when the instruction is complete.
using System.Buffers.Binary;

namespace Lamina.Engines.X86.Decode;

/// <summary>The decoder's working state; lives on the stack for one instruction.</summary>
internal ref struct DecodeState
{
    /// <summary>Longest instruction: anything longer is #GP (SDM vol. 2, 2.3.11).</summary>
    internal const int MaximumLength = 15;

    private readonly ReadOnlySpan<byte> _code;

    /// <summary>Bytes read so far; beyond the end of the code if it was too short.</summary>
    internal int Position;

    internal readonly bool Is64;
    internal readonly bool Is16;

    /// <summary>Prefixes 66, 67 and F0.</summary>
    internal bool OperandSizePrefix, AddressSizePrefix, LockPrefix;

    /// <summary>The last of F2 and F3, or 0.</summary>
    internal byte RepeatPrefix;

    /// <summary>Segment override that counts, or -1.</summary>
    internal int Segment;

    /// <summary>REX, or 0.</summary>
    internal byte Rex;

    /// <summary>W of REX, VEX or EVEX.</summary>
    internal bool W;

    /// <summary>Extension bits at their places in a register number: R, X, B (8), R', V' (16; X as rm's for vectors).</summary>
    internal int R, X, B, R2, V2;

    /// <summary>VEX.vvvv or EVEX.vvvv, not inverted.</summary>
    internal int Vvvv;

    /// <summary>EVEX.aaa.</summary>
    internal int Mask;

    /// <summary>EVEX.z and EVEX.b.</summary>
    internal bool Zeroing, EvexB;

    /// <summary>Mandatory prefix as VEX.pp counts them: none, 66, F3, F2.</summary>
    internal int Prefix;

    /// <summary>VEX.L or EVEX.L'L.</summary>
    internal int Length;

    /// <summary>Legacy, VEX or EVEX.</summary>
    internal EncodingKind Encoding;

    /// <summary>As AMD's processors: fields of VEX and EVEX that an instruction has no use for are ignored where Intel's raise #UD.</summary>
    internal readonly bool IgnoresUnused;

    /// <summary>What the processor offers.</summary>
    internal readonly Extensions Offered;

    internal DecodeState(ReadOnlySpan<byte> code, CodeSize size, InstructionSet set)
    {
        (Offered, IgnoresUnused) = (set.Offered, set.IgnoresUnused);
        _code = code.Length > MaximumLength ? code[..MaximumLength] : code;
        Is64 = size == CodeSize.Code64;
        Is16 = size == CodeSize.Code16;
        Segment = -1;
    }

    /// <summary>Operand size by prefix 66 and W alone: 2, 4 or 8.</summary>
    internal readonly int OperandSize => W && Is64 ? 8 : OperandSizePrefix != Is16 ? 2 : 4;

    /// <summary>Address size: 2, 4 or 8.</summary>
    internal readonly int AddressSize => Is64 ? (AddressSizePrefix ? 4 : 8) : AddressSizePrefix != Is16 ? 2 : 4;

    /// <summary>The result when an instruction is complete or known to be invalid: bytes that were missing come first.</summary>
    internal readonly DecodeResult End(DecodeResult result) =>
        Position <= _code.Length ? result : _code.Length == MaximumLength ? DecodeResult.TooLong : DecodeResult.Truncated;

    internal byte ReadByte()
    {
        int position = Position++;
        return (uint)position < (uint)_code.Length ? _code[position] : (byte)0;
    }

    /// <summary>The next byte without taking it.</summary>
    internal readonly byte PeekByte() => (uint)Position < (uint)_code.Length ? _code[Position] : (byte)0;

    internal ushort ReadUInt16()
    {
        int position = Position;
        Position += 2;
        return Position <= _code.Length ? BinaryPrimitives.ReadUInt16LittleEndian(_code[position..]) : (ushort)0;
    }

    internal uint ReadUInt32()
    {
        int position = Position;
        Position += 4;
        return Position <= _code.Length ? BinaryPrimitives.ReadUInt32LittleEndian(_code[position..]) : 0;
    }

    internal ulong ReadUInt64()
    {
        int position = Position;
        Position += 8;
        return Position <= _code.Length ? BinaryPrimitives.ReadUInt64LittleEndian(_code[position..]) : 0;
    }
}
