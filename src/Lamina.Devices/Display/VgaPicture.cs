// Draws what a VGA with the extensions shows, from a copy of its registers and from video memory as it is at that moment. Blinking
// characters and the cursor are shown as they are when they are lit. No address leads out of video memory, whatever the registers say.
using System.Buffers.Binary;
using Lamina.Core.Display;
using static Lamina.Devices.Display.VgaSpec;

namespace Lamina.Devices.Display;

/// <summary>Draws.</summary>
internal sealed class VgaPicture
{
    private const int WordMask = PlaneLength - 1, FontLength = 0x2000, GlyphLength = 32;
    private const byte CharactersWithNinthDot = 0xc0, CharactersWithNinthDotEnd = 0xdf;

    private readonly VgaRegisters _registers;
    private readonly VgaExtensions _extensions;
    private readonly VgaGeometry _shape;
    private readonly uint[] _colours = new uint[256];

    /// <summary>Prepares to draw.</summary>
    /// <param name="registers">The VGA's, which nobody else writes.</param>
    /// <param name="extensions">The extensions', likewise.</param>
    internal VgaPicture(VgaRegisters registers, VgaExtensions extensions)
    {
        (_registers, _extensions, _shape) = (registers, extensions, new VgaGeometry(registers));
        for (var i = 0; i < _colours.Length; i++)
        {
            var part = registers.Palette.AsSpan(i * 3, 3);
            _colours[i] = registers.EightBitColours ? (uint)(part[0] << 16 | part[1] << 8 | part[2]) : Wide(part[0]) << 16 | Wide(part[1]) << 8 | Wide(part[2]);
        }
    }

    /// <summary>What is shown, in some words.</summary>
    internal string Mode => _extensions.IsOn ? $"graphics {_extensions.Width}x{_extensions.Height}, {_extensions.Depth} bits"
        : _shape.IsBlank ? "blank"
        : _shape.Kind == VgaKind.Text ? $"text {_shape.Columns}x{_shape.Rows}"
        : $"graphics {_shape.Width}x{_shape.Height}, {(_shape.Kind == VgaKind.Bytes ? 8 : _shape.Kind == VgaKind.TwoBits ? 2 : 4)} bits";

    /// <summary>Draws it.</summary>
    /// <param name="memory">Video memory.</param>
    /// <param name="reuse">A picture whose memory may be taken; or null.</param>
    internal ScreenPicture Draw(ReadOnlySpan<byte> memory, ScreenPicture? reuse)
    {
        var (width, height) = _extensions.IsOn ? (_extensions.Width, _extensions.Height) : (_shape.Width, _shape.Height);
        var picture = reuse is not null && (reuse.Width, reuse.Height) == (width, height) ? reuse : new ScreenPicture(width, height, new uint[width * height]);
        if (_extensions.IsOn) DrawLinear(memory, picture);
        else if (!_shape.IsBlank) DrawLines(memory, picture);
        else Array.Clear(picture.Pixels);
        return picture;
    }

    /// <summary>The characters that are shown; null where there are none.</summary>
    internal ScreenText? Read(ReadOnlySpan<byte> memory)
    {
        if (_extensions.IsOn || _shape.IsBlank || _shape.Kind != VgaKind.Text) return null;
        var (columns, rows) = (_shape.Columns, _shape.Rows);
        var cells = new ScreenCell[columns * rows];
        for (var row = 0; row < rows; row++)
            for (var column = 0; column < columns; column++)
            {
                var (character, attribute) = CellAt(memory, _shape.Start + (row * _shape.Stride) + column);
                cells[(row * columns) + column] = new ScreenCell(CodePage437.Of(character), attribute);
            }
        if (CursorWord is not { } cursor || _shape.Stride == 0) return new ScreenText(columns, rows, cells, null);
        var (cursorRow, cursorColumn) = Math.DivRem((cursor - _shape.Start) & WordMask, _shape.Stride);
        return new ScreenText(columns, rows, cells, cursorRow < rows && cursorColumn < columns ? (cursorColumn, cursorRow) : null);
    }

    private static uint Wide(byte sixBits) => (uint)((sixBits & 0x3f) << 2 | (sixBits & 0x3f) >> 4);

    private static (byte Character, byte Attribute) CellAt(ReadOnlySpan<byte> memory, int word)
    {
        var at = (word & WordMask) * Planes;
        return (memory[at], memory[at + 1]);
    }

    private int? CursorWord
    {
        get
        {
            var crt = _registers.Crt;
            return (crt[CursorStart] & CursorOff) != 0 || (crt[CursorStart] & ScanLineMask) > (crt[CursorEnd] & ScanLineMask) ? null : crt[CursorHigh] << 8 | crt[CursorLow];
        }
    }

    // Colours of four bits go through the attribute controller.
    private uint ColourOf(int value)
    {
        var attributes = _registers.Attribute;
        var palette = attributes[value & attributes[PlaneEnable] & 0xf];
        var colour = (attributes[AttributeMode] & ColourSelects) != 0 ? (palette & 0xf) | (attributes[ColourSelect] & 0xf) << 4 : palette | (attributes[ColourSelect] & 0xc) << 4;
        return _colours[colour & _registers.PaletteMask];
    }

    private uint[] FourBitColours()
    {
        var colours = new uint[16];
        for (var i = 0; i < colours.Length; i++) colours[i] = ColourOf(i);
        return colours;
    }

    private void DrawLines(ReadOnlySpan<byte> memory, ScreenPicture picture)
    {
        var (crt, panning) = (_registers.Crt, _registers.Attribute[Panning]);
        var colours = FourBitColours();
        // One group of dots more than is shown, so that there is something to come in from the right.
        var line = new uint[(_shape.Columns + 1) * _shape.CharacterWidth];
        var (word, rowLine, repeated) = (_shape.Start, _shape.FirstRowLine, 0);
        for (var y = 0; y < _shape.Height; y++)
        {
            var at = word;
            // Rows of CGA and Hercules lie in memory by turns.
            var bank = (crt[CrtMode] & BytesNotWords) != 0 ? 1 : 0;
            if ((crt[CrtMode] & 1) == 0) at = at & ~(1 << (12 + bank)) | (rowLine & 1) << (12 + bank);
            if ((crt[CrtMode] & 2) == 0) at = at & ~(1 << (13 + bank)) | (rowLine >> 1 & 1) << (13 + bank);
            switch (_shape.Kind)
            {
                case VgaKind.Text: DrawCharacters(memory, line, colours, at, rowLine); break;
                case VgaKind.Planes: DrawPlanes(memory, line, colours, at); break;
                case VgaKind.TwoBits: DrawTwoBits(memory, line, colours, at); break;
                default: DrawBytes(memory, line, at); break;
            }
            Copy(line.AsSpan(DotsOf(panning)), picture.Pixels.AsSpan(y * picture.Width, picture.Width));
            if (y == _shape.SplitLine)
            {
                (word, rowLine, repeated) = (0, 0, 0);
                if ((_registers.Attribute[AttributeMode] & PanningResets) != 0) panning = _shape.CharacterWidth == 9 ? (byte)8 : (byte)0;
            }
            else if (++repeated == _shape.Repeats)
            {
                repeated = 0;
                if (++rowLine < _shape.RowHeight) continue;
                rowLine = 0;
                word += _shape.Stride;
            }
        }
    }

    // By how many dots the picture is moved to the left.
    private int DotsOf(byte panning) => _shape.CharacterWidth == 9 ? panning >= 8 ? 0 : panning + 1 : _shape.Kind == VgaKind.Bytes ? panning & 6 : panning & 7;

    private void Copy(ReadOnlySpan<uint> dots, Span<uint> line)
    {
        if (_shape.DotWidth == 1) dots[..line.Length].CopyTo(line);
        else
            for (var x = 0; x < line.Length; x++) line[x] = dots[x / 2];
    }

    private void DrawCharacters(ReadOnlySpan<byte> memory, Span<uint> line, ReadOnlySpan<uint> colours, int word, int rowLine)
    {
        var (map, mode, crt) = (_registers.Sequencer[CharacterMap], _registers.Attribute[AttributeMode], _registers.Crt);
        var (upper, lower) = (FontAt(map >> 2 & 3 | map >> 3 & 4), FontAt(map & 3 | map >> 2 & 4));
        var cursor = CursorWord is { } place && rowLine >= (crt[CursorStart] & ScanLineMask) && rowLine <= (crt[CursorEnd] & ScanLineMask) ? place : -1;
        for (var column = 0; column <= _shape.Columns; column++)
        {
            var (character, attribute) = CellAt(memory, word + column);
            var font = (attribute & 8) != 0 ? upper : lower;
            var dots = memory[((font + (character * GlyphLength) + rowLine) * Planes) + 2] << 1;
            if ((mode & NineDotLines) != 0 && character is >= CharactersWithNinthDot and <= CharactersWithNinthDotEnd) dots |= dots >> 1 & 1;
            if ((attribute & 7) == 1 && rowLine == (crt[UnderlineLocation] & ScanLineMask)) dots = 0x1ff;
            if (((word + column) & WordMask) == cursor) dots = 0x1ff;
            var (ink, paper) = (colours[attribute & 0xf], colours[attribute >> 4 & ((mode & Blinks) != 0 ? 7 : 0xf)]);
            var group = line.Slice(column * _shape.CharacterWidth, _shape.CharacterWidth);
            for (var x = 0; x < group.Length; x++) group[x] = (dots >> (8 - x) & 1) != 0 ? ink : paper;
        }
    }

    // Fonts lie in the order 0, 2, 4, 6, 1, 3, 5, 7.
    private static int FontAt(int number) => (((number & 3) * 2) + (number >> 2)) * FontLength;

    private void DrawPlanes(ReadOnlySpan<byte> memory, Span<uint> line, ReadOnlySpan<uint> colours, int word)
    {
        for (var column = 0; column <= _shape.Columns; column++) DrawWord(memory[(((word + column) & WordMask) * Planes)..], line.Slice(column * 8, 8), colours);
    }

    private static void DrawWord(ReadOnlySpan<byte> planes, Span<uint> dots, ReadOnlySpan<uint> colours)
    {
        for (var x = 0; x < 8; x++)
            dots[x] = colours[(planes[0] >> (7 - x) & 1) | (planes[1] >> (7 - x) & 1) << 1 | (planes[2] >> (7 - x) & 1) << 2 | (planes[3] >> (7 - x) & 1) << 3];
    }

    // The first byte of a word has the first four pixels, the second the others; the planes above give the colour's higher bits.
    private void DrawTwoBits(ReadOnlySpan<byte> memory, Span<uint> line, ReadOnlySpan<uint> colours, int word)
    {
        for (var column = 0; column <= _shape.Columns; column++)
        {
            var planes = memory.Slice(((word + column) & WordMask) * Planes, Planes);
            for (var x = 0; x < 8; x++)
            {
                var shift = 6 - (2 * (x & 3));
                line[(column * 8) + x] = colours[(planes[x >> 2] >> shift & 3) | (planes[2 + (x >> 2)] >> shift & 3) << 2];
            }
        }
    }

    private void DrawBytes(ReadOnlySpan<byte> memory, Span<uint> line, int word)
    {
        for (var x = 0; x < line.Length; x++)
        {
            var pixel = memory[(((word * Planes) + (x / 2)) & (VgaLength - 1))];
            line[x] = _colours[pixel & _registers.PaletteMask];
        }
    }

    private void DrawLinear(ReadOnlySpan<byte> memory, ScreenPicture picture)
    {
        var (depth, length) = (_extensions.Depth, _extensions.LineLength);
        var colours = depth == 4 ? FourBitColours() : _colours;
        for (var y = 0; y < picture.Height; y++)
        {
            var from = memory[(_extensions.Start + (y * length))..];
            var line = picture.Pixels.AsSpan(y * picture.Width, picture.Width);
            switch (depth)
            {
                case 4:
                    for (var x = 0; x < line.Length; x += 8) DrawWord(from[(x / 2)..], line.Slice(x, 8), colours);
                    break;
                case 8:
                    for (var x = 0; x < line.Length; x++) line[x] = colours[from[x] & _registers.PaletteMask];
                    break;
                case 15 or 16:
                    for (var x = 0; x < line.Length; x++)
                    {
                        var pixel = _extensions.IsBigEndian ? BinaryPrimitives.ReadUInt16BigEndian(from[(x * 2)..]) : BinaryPrimitives.ReadUInt16LittleEndian(from[(x * 2)..]);
                        line[x] = depth == 15 ? Five(pixel >> 10) << 16 | Five(pixel >> 5) << 8 | Five(pixel)
                            : Five(pixel >> 11) << 16 | (uint)((pixel >> 5 & 0x3f) << 2 | (pixel >> 9 & 3)) << 8 | Five(pixel);
                    }
                    break;
                case 24:
                    for (var x = 0; x < line.Length; x++)
                    {
                        var pixel = from.Slice(x * 3, 3);
                        line[x] = _extensions.IsBigEndian ? (uint)(pixel[0] << 16 | pixel[1] << 8 | pixel[2]) : (uint)(pixel[2] << 16 | pixel[1] << 8 | pixel[0]);
                    }
                    break;
                default:
                    for (var x = 0; x < line.Length; x++)
                        line[x] = (_extensions.IsBigEndian ? BinaryPrimitives.ReadUInt32BigEndian(from[(x * 4)..]) : BinaryPrimitives.ReadUInt32LittleEndian(from[(x * 4)..])) & 0xff_ffff;
                    break;
            }
        }
    }

    private static uint Five(int bits) => (uint)((bits & 0x1f) << 3 | (bits & 0x1f) >> 2);
}
