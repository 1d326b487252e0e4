// How a client wants pixels: PIXEL_FORMAT of the protocol. Only true colour is given; a client that asks for a palette gets an end.
using System.Buffers.Binary;

namespace Lamina.Backends.Display;

/// <summary>A form of pixels.</summary>
internal readonly record struct PixelFormat(int Bits, int Depth, bool IsBigEndian, ushort RedMost, ushort GreenMost, ushort BlueMost, byte RedShift, byte GreenShift, byte BlueShift)
{
    /// <summary>The screen's own: 32 bits, the lowest byte blue.</summary>
    internal static PixelFormat Own { get; } = new(32, 24, false, 255, 255, 255, 16, 8, 0);

    internal int Bytes => Bits / 8;

    /// <summary>Whether it is the form that pictures have.</summary>
    internal bool IsOwn => this == Own with { Depth = Depth };

    // ZRLE's CPIXEL: three bytes where all that counts is in them.
    private bool IsCompact => Bits == 32 && Depth <= 24 && (Highest <= 24 || Lowest >= 8);

    /// <summary>The bytes of a CPIXEL.</summary>
    internal int CompactBytes => IsCompact ? 3 : Bytes;

    private int Highest => Math.Max(Top(RedMost, RedShift), Math.Max(Top(GreenMost, GreenShift), Top(BlueMost, BlueShift)));

    private int Lowest => Math.Min(RedShift, Math.Min(GreenShift, BlueShift));

    /// <summary>Reads one.</summary>
    /// <returns>Null where it is none that can be given.</returns>
    internal static PixelFormat? Read(ReadOnlySpan<byte> format)
    {
        var read = new PixelFormat(format[0], format[1], format[2] != 0, BinaryPrimitives.ReadUInt16BigEndian(format[4..]), BinaryPrimitives.ReadUInt16BigEndian(format[6..]), BinaryPrimitives.ReadUInt16BigEndian(format[8..]),
            format[10], format[11], format[12]);
        return format[3] != 0 && read.Bits is 8 or 16 or 32 && read.Depth <= read.Bits && read.RedShift < 32 && read.GreenShift < 32 && read.BlueShift < 32 && read.Highest <= read.Bits ? read : null;
    }

    /// <summary>Writes it.</summary>
    internal void Write(Span<byte> format)
    {
        format.Clear();
        (format[0], format[1], format[2], format[3]) = ((byte)Bits, (byte)Depth, (byte)(IsBigEndian ? 1 : 0), 1);
        BinaryPrimitives.WriteUInt16BigEndian(format[4..], RedMost);
        BinaryPrimitives.WriteUInt16BigEndian(format[6..], GreenMost);
        BinaryPrimitives.WriteUInt16BigEndian(format[8..], BlueMost);
        (format[10], format[11], format[12]) = (RedShift, GreenShift, BlueShift);
    }

    /// <summary>Writes a pixel of 0x00RRGGBB.</summary>
    internal void WritePixel(Span<byte> place, uint colour)
    {
        var pixel = Convert(colour);
        switch (Bits, IsBigEndian)
        {
            case (8, _): place[0] = (byte)pixel; break;
            case (16, false): BinaryPrimitives.WriteUInt16LittleEndian(place, (ushort)pixel); break;
            case (16, true): BinaryPrimitives.WriteUInt16BigEndian(place, (ushort)pixel); break;
            case (_, false): BinaryPrimitives.WriteUInt32LittleEndian(place, pixel); break;
            default: BinaryPrimitives.WriteUInt32BigEndian(place, pixel); break;
        }
    }

    /// <summary>Writes a CPIXEL.</summary>
    internal void WriteCompact(Span<byte> place, uint colour)
    {
        Span<byte> whole = stackalloc byte[sizeof(uint)];
        WritePixel(whole, colour);
        // The byte that is left out is the highest one, or the lowest where that is not used.
        var from = IsCompact && (Highest <= 24 ? IsBigEndian : !IsBigEndian) ? 1 : 0;
        whole.Slice(from, CompactBytes).CopyTo(place);
    }

    private uint Convert(uint colour) => Scale(colour >> 16, RedMost) << RedShift | Scale(colour >> 8, GreenMost) << GreenShift | Scale(colour, BlueMost) << BlueShift;

    private static uint Scale(uint part, ushort most) => ((part & 0xff) * most + 127) / 255;

    private static int Top(ushort most, byte shift) => 32 - System.Numerics.BitOperations.LeadingZeroCount((uint)most) + shift;
}
