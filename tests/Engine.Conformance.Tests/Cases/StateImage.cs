// Makes the image of state that a case saved into its memory comparable. What is not defined of it: the x87's instruction and
// operand pointers (addresses of the engine in a guest, and written by AMD's processors only with a pending exception), and whether
// a component in its initial state is told as such, or saved as what it is (SDM vol. 1, 13.6).
using System.Buffers.Binary;
using Lamina.Tests.Engine.Conformance.Oracle;

namespace Lamina.Tests.Engine.Conformance.Cases;

/// <summary>How an image of state is laid out (SDM vol. 1, 10.5 and 13.4).</summary>
internal enum ImageFormat
{
    /// <summary>FXSAVE's.</summary>
    Legacy,

    /// <summary>XSAVE's and XSAVEOPT's.</summary>
    Standard,

    /// <summary>XSAVEC's.</summary>
    Compacted,
}

/// <summary>An image in a case's memory.</summary>
/// <param name="At">Where.</param>
/// <param name="Format">Its layout.</param>
internal readonly record struct StateImage(int At, ImageFormat Format)
{

    private const int HeaderAt = 512, HeaderEnd = 576, XmmAt = 160, LegacyEnd = 416, RegistersAt = 32, MxcsrAt = 24, PointersAt = 6, ControlLength = 6;
    /// <summary>Clears what is not defined of it.</summary>
    /// <param name="memory">The case's memory.</param>
    /// <param name="bits">Code size: outside 64-bit mode half of the registers are neither saved nor restored.</param>
    public void Normalize(Span<byte> memory, int bits)
    {
        var image = memory[At..CaseLayout.WritableData];
        if (image.Length < HeaderEnd) return;
        image[PointersAt..MxcsrAt].Clear();
        if (Format == ImageFormat.Legacy) return;
        var present = BinaryPrimitives.ReadUInt64LittleEndian(image[HeaderAt..]);
        var layout = BinaryPrimitives.ReadUInt64LittleEndian(image[(HeaderAt + 8)..]);
        var compacted = HeaderEnd;
        for (var component = 0; component < 8; component++)
        {
            var (length, offset) = VectorComponents.Place(component);
            if (component > 1 && Format == ImageFormat.Compacted)
            {
                if ((layout >> component & 1) == 0) continue;
                if (VectorComponents.IsAligned(component)) compacted = (compacted + 63) & ~63;
                offset = compacted;
                compacted += length;
            }
            if (length == 0 || offset + length > image.Length) continue;
            var bytes = component switch { 0 => image[RegistersAt..XmmAt], 1 => image[XmmAt..LegacyEnd], _ => image.Slice(offset, length) };
            var visible = bits == 64 ? bytes : component switch { 1 or 2 or 6 => bytes[..(bytes.Length / 2)], 7 => [], _ => bytes };
            var initial = !visible.ContainsAnyExcept((byte)0) && (component != 0 || image[..ControlLength].SequenceEqual<byte>([0x7f, 3, 0, 0, 0, 0]));
            if ((present >> component & 1) != 0 && !initial) continue;
            present &= ~(1ul << component);
            bytes.Clear();
            if (component == 0) image[..ControlLength].Clear();
            // XSAVEC leaves out MXCSR with the XMM registers.
            if (component == 1 && Format == ImageFormat.Compacted) image[MxcsrAt..RegistersAt].Clear();
        }
        BinaryPrimitives.WriteUInt64LittleEndian(image[HeaderAt..], present);
    }
}
