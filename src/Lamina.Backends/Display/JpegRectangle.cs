// A rectangle of a picture as JPEG (ITU-T T.81, baseline), for Tight: JpegLibrary does the work.
using System.Buffers;
using System.Runtime.CompilerServices;
using JpegLibrary;
using Lamina.Core.Display;

namespace Lamina.Backends.Display;

/// <summary>Encodes rectangles as JPEG.</summary>
internal sealed class JpegRectangle : JpegBlockInputReader
{
    /// <summary>Levels of quality that a viewer can ask for, from 0.</summary>
    internal const int Levels = 10;

    // Above it colours are told for each pixel, below it for four at a time.
    private const int LastWithFewerColours = 6, Side = 8;

    // In percent, as other servers understand the levels (TigerVNC, TurboVNC).
    private static ReadOnlySpan<byte> Qualities => [15, 29, 41, 42, 62, 77, 79, 86, 92, 98];

    private readonly ScreenPicture _picture;
    private readonly ScreenPart _part;

    private JpegRectangle(ScreenPicture picture, ScreenPart part) => (_picture, _part) = (picture, part);

    /// <inheritdoc/>
    public override int Width => _part.Width;

    /// <inheritdoc/>
    public override int Height => _part.Height;

    /// <summary>Writes a JFIF stream.</summary>
    /// <param name="output">Takes it.</param>
    /// <param name="picture">What is shown.</param>
    /// <param name="part">Of which this part.</param>
    /// <param name="level">The quality, 0 to 9.</param>
    internal static void Write(ArrayBufferWriter<byte> output, ScreenPicture picture, ScreenPart part, int level)
    {
        var encoder = new JpegEncoder();
        encoder.SetQuantizationTable(JpegStandardQuantizationTable.ScaleByQuality(JpegStandardQuantizationTable.GetLuminanceTable(JpegElementPrecision.Precision8Bit, 0), Qualities[level]));
        encoder.SetQuantizationTable(JpegStandardQuantizationTable.ScaleByQuality(JpegStandardQuantizationTable.GetChrominanceTable(JpegElementPrecision.Precision8Bit, 1), Qualities[level]));
        encoder.SetHuffmanTable(isDcTable: true, 0, JpegStandardHuffmanEncodingTable.GetLuminanceDCTable());
        encoder.SetHuffmanTable(isDcTable: false, 0, JpegStandardHuffmanEncodingTable.GetLuminanceACTable());
        encoder.SetHuffmanTable(isDcTable: true, 1, JpegStandardHuffmanEncodingTable.GetChrominanceDCTable());
        encoder.SetHuffmanTable(isDcTable: false, 1, JpegStandardHuffmanEncodingTable.GetChrominanceACTable());
        var sampling = (byte)(level <= LastWithFewerColours ? 2 : 1);
        encoder.AddComponent(1, 0, 0, 0, sampling, sampling);
        encoder.AddComponent(2, 1, 1, 1, 1, 1);
        encoder.AddComponent(3, 1, 1, 1, 1, 1);
        encoder.SetInputReader(new JpegRectangle(picture, part));
        encoder.SetOutput(output);
        encoder.Encode();
    }

    /// <inheritdoc/>
    public override void ReadBlock(ref short blockRef, int componentIndex, int x, int y)
    {
        for (var row = 0; row < Side; row++)
        {
            // Beyond the edge it goes on as at it.
            var line = _picture.Pixels.AsSpan(((_part.Y + Math.Min(y + row, _part.Height - 1)) * _picture.Width) + _part.X, _part.Width);
            // The library gives the first of a block's 64 values.
            for (var column = 0; column < Side; column++) Unsafe.Add(ref blockRef, (row * Side) + column) = Convert(line[Math.Min(x + column, _part.Width - 1)], componentIndex);
        }
    }

    // ITU-T T.871, section 7: luminance and two differences of colour, in 16 bits behind the point.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static short Convert(uint colour, int component)
    {
        var (red, green, blue) = ((int)(colour >> 16 & 0xff), (int)(colour >> 8 & 0xff), (int)(colour & 0xff));
        return (short)Math.Clamp(component switch
        {
            0 => (19595 * red) + (38470 * green) + (7471 * blue) + 32768 >> 16,
            1 => ((-11056 * red) - (21712 * green) + (32768 * blue) + 32768 >> 16) + 128,
            _ => ((32768 * red) - (27440 * green) - (5328 * blue) + 32768 >> 16) + 128,
        }, 0, 255);
    }
}
