// The window below 1 MiB onto video memory, with the graphics controller between: four planes that are written at once, or bytes that
// alternate between them. Plane p's byte n lies at 4n + p of video memory, so that a byte of each plane is one word of 32 bits. Where
// addresses alternate between planes (text, chain 4) the bytes of the planes lie close together and not every second or fourth, which
// software sees only where it reaches what it wrote that way in another one.
using System.Buffers.Binary;
using static Lamina.Devices.Display.VgaSpec;

namespace Lamina.Devices.Display;

/// <summary>Loads and stores by the window.</summary>
internal static class VgaWindow
{
    private const uint AllPlanes = 0x0101_0101;

    /// <summary>Where in the addresses of planes an offset of the window leads; negative where nothing answers.</summary>
    internal static int Locate(VgaRegisters registers, ulong offset)
    {
        if ((registers.Misc & MiscMemory) == 0) return -1;
        var (start, length) = (registers.GraphicsController[Miscellaneous] >> MapShift & 3) switch
        {
            0 => (0, 0x2_0000),
            1 => (0, 0x1_0000),
            2 => (0x1_0000, 0x8000),
            _ => (0x1_8000, 0x8000),
        };
        return offset >= (ulong)start && offset < (ulong)(start + length) ? (int)offset - start : -1;
    }

    /// <summary>Reads a byte.</summary>
    /// <param name="registers">Gets the latches.</param>
    /// <param name="memory">Video memory.</param>
    /// <param name="address">Where: an offset plus a bank's start.</param>
    internal static byte Read(VgaRegisters registers, ReadOnlySpan<byte> memory, int address)
    {
        var (word, plane) = Chained(registers) ? (address >> 2, address & 3)
            : (registers.GraphicsController[GraphicsMode] & OddEvenReads) != 0 ? (address >> 1, registers.GraphicsController[ReadMap] & 2 | address & 1)
            : (address, registers.GraphicsController[ReadMap] & 3);
        if ((uint)word >= (uint)memory.Length / Planes) return 0xff;
        var latches = registers.Latches = BinaryPrimitives.ReadUInt32LittleEndian(memory[(word * Planes)..]);
        if ((registers.GraphicsController[GraphicsMode] & ReadMode1) == 0 || Chained(registers)) return (byte)(latches >> (8 * plane));
        // A bit for each pixel: whether those planes that matter have the colour that is looked for.
        var other = (latches ^ Spread(registers.GraphicsController[ColourCompare])) & Spread(registers.GraphicsController[ColourDontCare]);
        other |= other >> 16;
        return (byte)~(other | other >> 8);
    }

    /// <summary>Writes a byte.</summary>
    /// <returns>The word of video memory that may have changed, in units of four bytes; negative where none has.</returns>
    internal static int Write(VgaRegisters registers, Span<byte> memory, int address, byte value)
    {
        var planes = registers.Sequencer[MapMask];
        int word;
        if (Chained(registers)) (word, planes) = (address >> 2, (byte)(planes & 1 << (address & 3)));
        else if ((registers.Sequencer[MemoryMode] & Sequential) == 0) (word, planes) = (address >> 1, (byte)(planes & ((address & 1) == 0 ? 0b0101 : 0b1010)));
        else word = address;
        if ((uint)word >= (uint)memory.Length / Planes || planes == 0) return -1;
        var place = memory[(word * Planes)..];
        var stored = Chained(registers) ? value * AllPlanes : Combine(registers, value);
        var mask = Spread(planes);
        BinaryPrimitives.WriteUInt32LittleEndian(place, BinaryPrimitives.ReadUInt32LittleEndian(place) & ~mask | stored & mask);
        return word;
    }

    private static bool Chained(VgaRegisters registers) => (registers.Sequencer[MemoryMode] & Chain4) != 0;

    // What the graphics controller makes of a byte: one for each plane.
    private static uint Combine(VgaRegisters registers, byte value)
    {
        var controller = registers.GraphicsController;
        var latches = registers.Latches;
        var mode = controller[GraphicsMode] & WriteModeMask;
        if (mode == 1) return latches;
        var rotated = byte.RotateRight(value, controller[Rotate] & 7);
        var bits = mode == 3 ? (byte)(controller[BitMask] & rotated) : controller[BitMask];
        var data = mode switch
        {
            2 => Spread((byte)(value & 0xf)),
            3 => Spread(controller[SetReset]),
            _ => rotated * AllPlanes & ~Spread(controller[EnableSetReset]) | Spread(controller[SetReset]) & Spread(controller[EnableSetReset]),
        };
        data = (controller[Rotate] >> 3 & 3) switch
        {
            1 => data & latches,
            2 => data | latches,
            3 => data ^ latches,
            _ => data,
        };
        var mask = bits * AllPlanes;
        return data & mask | latches & ~mask;
    }

    // All bits of those planes that a bit is set for.
    private static uint Spread(byte planes) => ((planes & 1u) | (planes & 2u) << 7 | (planes & 4u) << 14 | (planes & 8u) << 21) * 0xff;
}
