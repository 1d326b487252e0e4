// Parts of a picture as a client takes them: raw; ZRLE; Tight, with JPEG where the client has named a quality. The packed streams go on from one rectangle to the next, so
// there is one encoder for each client.
using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;
using Lamina.Core.Display;

namespace Lamina.Backends.Display;

/// <summary>Encodes for one client.</summary>
internal sealed class PictureEncoder : IDisposable
{
    private const byte TightFill = 0x80, TightJpeg = 0x90, TightFilter = 0x40, TightPalette = 1;

    private readonly PackedStream _zrle = new();
    // Of full colour, of two colours, of more.
    private readonly PackedStream[] _tight = [new(), new(), new()];
    private readonly Dictionary<uint, int> _palette = [];
    private readonly List<uint> _colours = [];

    /// <inheritdoc/>
    public void Dispose()
    {
        _zrle.Dispose();
        foreach (var stream in _tight) stream.Dispose();
    }

    /// <summary>Whether it knows an encoding.</summary>
    internal static bool Knows(int encoding) => encoding is RfbSpec.Raw or RfbSpec.Zrle or RfbSpec.Tight;

    /// <summary>Parts as an encoding takes them: Tight has a largest width, and a number for lengths that more pixels could exceed.</summary>
    internal static IEnumerable<ScreenPart> Cut(ScreenPart part, int encoding)
    {
        var width = encoding == RfbSpec.Tight ? Math.Min(RfbSpec.TightMostWidth, part.Width) : part.Width;
        var height = encoding == RfbSpec.Tight ? RfbSpec.TightMostPixels / width : part.Height;
        for (var y = 0; y < part.Height; y += height)
            for (var x = 0; x < part.Width; x += width)
                yield return new ScreenPart(part.X + x, part.Y + y, Math.Min(width, part.Width - x), Math.Min(height, part.Height - y));
    }

    /// <summary>Writes that a part is what the client has elsewhere ("CopyRect Encoding").</summary>
    internal static void WriteCopy(ArrayBufferWriter<byte> output, ScreenPart part, int fromY)
    {
        WriteHead(output, part.X, part.Y, part.Width, part.Height, RfbSpec.CopyRect);
        var from = output.GetSpan(4);
        BinaryPrimitives.WriteUInt16BigEndian(from, (ushort)part.X);
        BinaryPrimitives.WriteUInt16BigEndian(from[2..], (ushort)fromY);
        output.Advance(4);
    }

    /// <summary>Writes a rectangle, its head included.</summary>
    /// <param name="output">Takes it.</param>
    /// <param name="picture">What is shown.</param>
    /// <param name="part">Of which this part.</param>
    /// <param name="encoding">How.</param>
    /// <param name="format">The form of pixels.</param>
    /// <param name="quality">The level of JPEG's quality, 0 to 9, for what has many colours; null for no JPEG.</param>
    internal void Write(ArrayBufferWriter<byte> output, ScreenPicture picture, ScreenPart part, int encoding, PixelFormat format, int? quality)
    {
        WriteHead(output, part.X, part.Y, part.Width, part.Height, encoding);
        switch (encoding)
        {
            case RfbSpec.Zrle: WriteZrle(output, picture, part, format); break;
            case RfbSpec.Tight: WriteTight(output, picture, part, format, quality); break;
            default: WriteRaw(output, picture, part, format); break;
        }
    }

    /// <summary>Writes a rectangle's head.</summary>
    internal static void WriteHead(ArrayBufferWriter<byte> output, int x, int y, int width, int height, int encoding)
    {
        var head = output.GetSpan(12);
        BinaryPrimitives.WriteUInt16BigEndian(head, (ushort)x);
        BinaryPrimitives.WriteUInt16BigEndian(head[2..], (ushort)y);
        BinaryPrimitives.WriteUInt16BigEndian(head[4..], (ushort)width);
        BinaryPrimitives.WriteUInt16BigEndian(head[6..], (ushort)height);
        BinaryPrimitives.WriteInt32BigEndian(head[8..], encoding);
        output.Advance(12);
    }

    private static ReadOnlySpan<uint> Line(ScreenPicture picture, ScreenPart part, int line) => picture.Pixels.AsSpan(((part.Y + line) * picture.Width) + part.X, part.Width);

    private static void WriteRaw(ArrayBufferWriter<byte> output, ScreenPicture picture, ScreenPart part, PixelFormat format)
    {
        for (var y = 0; y < part.Height; y++)
        {
            var line = Line(picture, part, y);
            var length = part.Width * format.Bytes;
            var place = output.GetSpan(length);
            if (format.IsOwn) System.Runtime.InteropServices.MemoryMarshal.AsBytes(line).CopyTo(place);
            else
                for (var x = 0; x < line.Length; x++) format.WritePixel(place[(x * format.Bytes)..], line[x]);
            output.Advance(length);
        }
    }

    private void WriteZrle(ArrayBufferWriter<byte> output, ScreenPicture picture, ScreenPart part, PixelFormat format)
    {
        for (var y = 0; y < part.Height; y += RfbSpec.ZrleTile)
            for (var x = 0; x < part.Width; x += RfbSpec.ZrleTile)
                PackTile(picture, new ScreenPart(part.X + x, part.Y + y, Math.Min(RfbSpec.ZrleTile, part.Width - x), Math.Min(RfbSpec.ZrleTile, part.Height - y)), format);
        var packed = _zrle.Flush();
        BinaryPrimitives.WriteInt32BigEndian(output.GetSpan(sizeof(int)), packed.Length);
        output.Advance(sizeof(int));
        output.Write(packed);
    }

    // One colour, up to 16 with so many bits a pixel, or all of them as they are.
    private void PackTile(ScreenPicture picture, ScreenPart tile, PixelFormat format)
    {
        var colours = CollectPalette(picture, tile, RfbSpec.MostPaletteColours);
        Span<byte> buffer = stackalloc byte[1 + (RfbSpec.ZrleTile * sizeof(uint))];
        buffer[0] = (byte)colours;
        var at = 1;
        for (var i = 0; i < colours; i++)
        {
            var colour = _colours[i];
            format.WriteCompact(buffer[at..], colour);
            at += format.CompactBytes;
        }
        _zrle.Write(buffer[..at]);
        if (colours == 1) return;
        for (var y = 0; y < tile.Height; y++)
        {
            var line = Line(picture, tile, y);
            at = 0;
            if (colours == 0)
            {
                foreach (var colour in line)
                {
                    format.WriteCompact(buffer[at..], colour);
                    at += format.CompactBytes;
                }
            }
            else at = PackLine(buffer, line, colours <= 2 ? 1 : colours <= 4 ? 2 : 4);
            _zrle.Write(buffer[..at]);
        }
    }

    private int PackLine(Span<byte> buffer, ReadOnlySpan<uint> line, int bits)
    {
        var (at, held, value) = (0, 0, 0);
        foreach (var colour in line)
        {
            value = value << bits | _palette[colour];
            held += bits;
            if (held < 8) continue;
            buffer[at++] = (byte)value;
            (held, value) = (0, 0);
        }
        if (held > 0) buffer[at++] = (byte)(value << (8 - held));
        return at;
    }

    // How many colours there are; 0 where more than may be. They are in the palette, in the order in which they came.
    private int CollectPalette(ScreenPicture picture, ScreenPart part, int most)
    {
        _palette.Clear();
        _colours.Clear();
        for (var y = 0; y < part.Height; y++)
        {
            var last = uint.MaxValue;
            foreach (var colour in Line(picture, part, y))
            {
                if (colour == last) continue;
                last = colour;
                if (_palette.ContainsKey(colour)) continue;
                if (_palette.Count == most) return 0;
                _palette.Add(colour, _palette.Count);
                _colours.Add(colour);
            }
        }
        return _palette.Count;
    }

    private void WriteTight(ArrayBufferWriter<byte> output, ScreenPicture picture, ScreenPart part, PixelFormat format, int? quality)
    {
        var colours = CollectPalette(picture, part, 256);
        if (colours == 1)
        {
            WriteByte(output, TightFill);
            WriteTightPixels(output, _colours, format);
            return;
        }
        if (colours == 0 && quality is { } level && format.Bits > 8 && part.Width * part.Height >= RfbSpec.TightLeastJpegPixels)
        {
            var jpeg = new ArrayBufferWriter<byte>();
            JpegRectangle.Write(jpeg, picture, part, level);
            WriteByte(output, TightJpeg);
            WriteTightLength(output, jpeg.WrittenCount);
            output.Write(jpeg.WrittenSpan);
            return;
        }
        var stream = colours switch
        {
            0 => 0,
            2 => 1,
            _ => 2,
        };
        WriteByte(output, (byte)(stream << 4 | (colours > 0 ? TightFilter : 0)));
        if (colours > 0)
        {
            WriteByte(output, TightPalette);
            WriteByte(output, (byte)(colours - 1));
            WriteTightPixels(output, _colours, format);
        }
        var data = new ArrayBufferWriter<byte>();
        for (var y = 0; y < part.Height; y++)
        {
            var line = Line(picture, part, y);
            if (colours == 0) WriteTightPixels(data, line, format);
            else if (colours == 2) data.Advance(PackLine(data.GetSpan((line.Length + 7) / 8), line, 1));
            else
            {
                var place = data.GetSpan(line.Length);
                for (var x = 0; x < line.Length; x++) place[x] = (byte)_palette[line[x]];
                data.Advance(line.Length);
            }
        }
        if (data.WrittenCount < RfbSpec.TightLeastPacked)
        {
            output.Write(data.WrittenSpan);
            return;
        }
        _tight[stream].Write(data.WrittenSpan);
        var packed = _tight[stream].Flush();
        WriteTightLength(output, packed.Length);
        output.Write(packed);
    }

    // Seven bits a byte, the lowest first; the third has eight.
    private static void WriteTightLength(ArrayBufferWriter<byte> output, int length)
    {
        WriteByte(output, (byte)(length & 0x7f | (length > 0x7f ? 0x80 : 0)));
        if (length > 0x7f) WriteByte(output, (byte)(length >> 7 & 0x7f | (length > 0x3fff ? 0x80 : 0)));
        if (length > 0x3fff) WriteByte(output, (byte)(length >> 14));
    }

    private static void WriteByte(ArrayBufferWriter<byte> output, byte value)
    {
        output.GetSpan(1)[0] = value;
        output.Advance(1);
    }

    private static void WriteTightPixels(ArrayBufferWriter<byte> output, List<uint> colours, PixelFormat format)
    {
        foreach (var colour in colours) WriteTightPixel(output, colour, format);
    }

    private static void WriteTightPixels(ArrayBufferWriter<byte> output, ReadOnlySpan<uint> colours, PixelFormat format)
    {
        foreach (var colour in colours) WriteTightPixel(output, colour, format);
    }

    // TPIXEL: red, green and blue where a colour has 24 bits, whatever their order is else.
    private static void WriteTightPixel(ArrayBufferWriter<byte> output, uint colour, PixelFormat format)
    {
        var place = output.GetSpan(sizeof(uint));
        if (format is { Bits: 32, Depth: 24, RedMost: 255, GreenMost: 255, BlueMost: 255 })
        {
            (place[0], place[1], place[2]) = ((byte)(colour >> 16), (byte)(colour >> 8), (byte)colour);
            output.Advance(3);
            return;
        }
        format.WritePixel(place, colour);
        output.Advance(format.Bytes);
    }

    // A zlib stream (RFC 1950) that is given away piece by piece.
    private sealed class PackedStream : IDisposable
    {
        private readonly MemoryStream _packed = new();
        private ZLibStream? _packer;

        internal void Write(ReadOnlySpan<byte> bytes) => (_packer ??= new ZLibStream(_packed, CompressionLevel.Fastest, leaveOpen: true)).Write(bytes);

        /// <summary>What was written since the last time; void when more is written.</summary>
        internal ReadOnlySpan<byte> Flush()
        {
            // What the last flush gave is out by now.
            _packer?.Flush();
            var packed = _packed.GetBuffer().AsSpan(0, (int)_packed.Position);
            _packed.Position = 0;
            return packed;
        }

        public void Dispose()
        {
            _packer?.Dispose();
            _packed.Dispose();
        }
    }
}
