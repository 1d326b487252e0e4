// What is drawn of registers and memory, in each kind of mode, and what characters are read.
using Lamina.Core.Display;
using Xunit;

namespace Lamina.Tests.Devices.Display;

public sealed class PictureTests : IDisposable
{
    private const ulong Window = 0xa_0000, Text = 0xb_8000, Linear = VgaTestMachine.VideoMemory;

    private readonly VgaTestMachine _machine = new();

    public void Dispose() => _machine.Dispose();

    // The colour that SetMode gives to an index.
    private static uint Colour(int index)
    {
        return Wide(index) << 16 | Wide(index + 16) << 8 | Wide(index + 32);

        static uint Wide(int six) => (uint)((six & 0x3f) << 2 | (six & 0x3f) >> 4);
    }

    private ScreenPicture Look() => _machine.Display.Look();

    private static uint At(ScreenPicture picture, int x, int y) => picture.Pixels[(y * picture.Width) + x];

    private void Write(string text, int row, byte attribute = 7)
    {
        for (var i = 0; i < text.Length; i++) _machine.Poke(Text + (ulong)(((row * 80) + i) * 2), (byte)text[i], attribute);
    }

    // A glyph in plane 2, as a driver loads it.
    private void Load(int font, int character, params byte[] lines)
    {
        _machine.Set(0x3c4, 2, 4);
        _machine.Set(0x3c4, 4, 6);
        _machine.Set(0x3ce, 5, 0);
        _machine.Set(0x3ce, 6, 4);
        _machine.Poke(Window + (ulong)((font * 0x2000) + (character * 32)), lines);
        _machine.Set(0x3c4, 2, 3);
        _machine.Set(0x3c4, 4, 2);
        _machine.Set(0x3ce, 5, 0x10);
        _machine.Set(0x3ce, 6, 0x0e);
    }

    [Fact]
    public void Characters_are_read_with_the_cursor_and_in_Unicode()
    {
        _machine.SetTextMode();
        Write("Booting from Hard Disk...", 0);
        Write("\u00c9\u00cd\u00bb \u0001\u009b", 2, 0x1e);
        _machine.Set(0x3d4, 0xa, 0xd);
        _machine.Set(0x3d4, 0xe, 0);
        _machine.Set(0x3d4, 0xf, 85);

        var text = _machine.Display.Read()!;

        Assert.Equal("text 80x25", _machine.Display.Mode);
        Assert.Equal((80, 25, (5, 1)), (text.Columns, text.Rows, text.Cursor));
        Assert.Equal("Booting from Hard Disk...\n\n╔═╗ ☺¢\n", text.ToString());
        Assert.Equal(new ScreenCell('╔', 0x1e), text.Cells[160]);
        // Another first word, and no cursor.
        _machine.Set(0x3d4, 0xd, 160);
        _machine.Set(0x3d4, 0xa, 0x20);
        text = _machine.Display.Read()!;
        Assert.Equal(("╔═╗ ☺¢", null), (text.Line(0), text.Cursor));
        _machine.In(0x3da);
        _machine.Out(0x3c0, 0);
        Assert.Null(_machine.Display.Read());
        Assert.All(Look().Pixels, pixel => Assert.Equal(0u, pixel));
    }

    [Fact]
    public void Characters_are_drawn_by_the_font_nine_dots_wide()
    {
        _machine.SetTextMode();
        Load(0, 'A', 0x81, 0x7e);
        Load(0, 0xc4, 0xff);
        Load(0, 0xfe, 0xff);
        _machine.Poke(Text, (byte)'A', 0x1e, 0xc4, 0x1e, 0xfe, 0x1e);
        _machine.Set(0x3d4, 0xa, 0x20);

        var picture = Look();

        Assert.Equal((720, 400), (picture.Width, picture.Height));
        var (ink, paper) = (Colour(14), Colour(1));
        Assert.Equal([ink, paper, paper, paper, paper, paper, paper, ink, paper], picture.Pixels[..9]);
        Assert.Equal([paper, ink, ink, ink, ink, ink, ink, paper, paper], picture.Pixels[720..729]);
        // Lines are drawn through to the next character, other signs are not.
        Assert.All(picture.Pixels[9..18], dot => Assert.Equal(ink, dot));
        Assert.Equal(paper, picture.Pixels[26]);
        Assert.Equal(Colour(0), picture.Pixels[27]);
    }

    [Fact]
    public void The_cursor_a_second_font_and_blinking_characters_are_drawn()
    {
        _machine.SetTextMode();
        Load(4, 'A', 0xff);
        // Font 2 of the second half, for characters with bit 3.
        _machine.Set(0x3c4, 3, 0b00_1000);
        _machine.Poke(Text, (byte)'A', 0x97, (byte)'A', 0x9f);
        _machine.Set(0x3d4, 0xa, 14);
        _machine.Set(0x3d4, 0xb, 15);
        _machine.Set(0x3d4, 0xe, 0);
        _machine.Set(0x3d4, 0xf, 2);

        var picture = Look();

        Assert.Equal(Colour(1), At(picture, 0, 0));
        Assert.Equal(Colour(15), At(picture, 9, 0));
        _machine.SetAttribute(0x10, 4);
        _machine.Show();
        Assert.Equal(Colour(9), At(Look(), 0, 0));
        _machine.Poke(Text + 4, (byte)' ', 7);
        picture = Look();
        Assert.Equal((Colour(0), Colour(7), Colour(7)), (At(picture, 18, 13), At(picture, 18, 14), At(picture, 26, 15)));
    }

    [Fact]
    public void Planes_give_a_bit_each_through_the_palette()
    {
        _machine.SetPlanarMode();
        _machine.Memory.TryWrite(Linear, 0x0f33_5580u);
        _machine.Memory.TryWrite(Linear + (80 * 4), 0x0000_00ffu);

        var picture = Look();

        Assert.Equal("graphics 640x480, 4 bits", _machine.Display.Mode);
        Assert.Equal((640, 480), (picture.Width, picture.Height));
        Assert.Equal(new[] { 1, 2, 4, 6, 8, 10, 12, 14 }.Select(Colour), picture.Pixels[..8]);
        Assert.Equal(Colour(1), At(picture, 7, 1));
        // Panning, a plane that is switched off, another palette, and the part behind the line that begins anew.
        _machine.SetAttribute(0x13, 3);
        _machine.SetAttribute(0x12, 0b0111);
        _machine.SetAttribute(6, 3);
        _machine.Show();
        _machine.Set(0x3d4, 0x18, 99);
        _machine.Set(0x3d4, 7, 0x2e);
        _machine.Set(0x3d4, 9, 0);
        picture = Look();
        Assert.Equal(Colour(3), At(picture, 0, 0));
        Assert.Equal(Colour(0), At(picture, 1, 0));
        Assert.Equal(Colour(3), At(picture, 0, 100));
        Assert.Equal(Colour(1), At(picture, 0, 101));
    }

    [Fact]
    public void Bytes_are_colours_of_two_dots_and_two_lines()
    {
        _machine.SetByteMode();
        _machine.SetColour(200, 1, 2, 3);
        _machine.Poke(Window, 5, 200);
        _machine.Poke(Window + 320, 7);

        var picture = Look();

        Assert.Equal((640, 400), (picture.Width, picture.Height));
        Assert.Equal([Colour(5), Colour(5), 0x04080cu, 0x04080cu], picture.Pixels[..4]);
        Assert.Equal(Colour(5), At(picture, 1, 1));
        Assert.Equal(Colour(7), At(picture, 0, 2));
        // Without chains, as games have it: a byte of the window is four pixels, of which one is chosen.
        _machine.Set(0x3c4, 4, 6);
        _machine.Set(0x3c4, 2, 0b0100);
        _machine.Poke(Window + 1, 6);
        Assert.Equal(Colour(6), At(Look(), 12, 0));
        _machine.Set(0x3d4, 0xd, 1);
        Assert.Equal(Colour(6), At(Look(), 4, 0));
    }

    [Fact]
    public void Two_bits_a_pixel_lie_in_banks_by_turns()
    {
        _machine.SetByteMode();
        _machine.Set(0x3c4, 2, 3);
        _machine.Set(0x3c4, 4, 2);
        _machine.Set(0x3d4, 0x11, 0);
        _machine.Set(0x3ce, 5, 0x30);
        _machine.Set(0x3ce, 6, 0x0f);
        _machine.Set(0x3c4, 1, 9);
        _machine.Set(0x3d4, 1, 0x27);
        _machine.Set(0x3d4, 9, 0xc1);
        _machine.Set(0x3d4, 0x13, 0x14);
        _machine.Set(0x3d4, 0x17, 0xa2);
        _machine.SetAttribute(0x10, 1);
        _machine.Show();
        _machine.Poke(Text, 0b00_01_10_11, 0b11_00_00_00);
        _machine.Poke(Text + 0x2000, 0b10_00_00_00);

        var picture = Look();

        Assert.Equal((640, 400), (picture.Width, picture.Height));
        Assert.Equal(new[] { 0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 0 }.Select(Colour), picture.Pixels[..11]);
        Assert.Equal(Colour(2), At(picture, 0, 2));
    }

    [Theory]
    [InlineData(8, 0x0000_0005u, 0u)]
    [InlineData(15, 0b0_11111_00000_10000u, 0xff_00_84u)]
    [InlineData(16, 0b10000_111111_00001u, 0x84_ff_08u)]
    [InlineData(24, 0x0011_2233u, 0x11_22_33u)]
    [InlineData(32, 0xff11_2233u, 0x11_22_33u)]
    public void Linear_pixels_have_the_colours_that_they_say(int depth, uint pixel, uint colour)
    {
        _machine.SetByteMode();
        _machine.SetLinearMode(800, 600, depth);
        Assert.Equal($"graphics 800x600, {depth} bits", _machine.Display.Mode);
        var bytes = (depth + 7) / 8;
        // The second pixel of the second line.
        _machine.Memory.TryWrite(Linear + (ulong)((800 + 1) * bytes), pixel);

        var picture = Look();

        Assert.Equal((800, 600), (picture.Width, picture.Height));
        Assert.Equal(depth == 8 ? Colour(5) : colour, At(picture, 1, 1));
        Assert.Null(_machine.Display.Read());
        // A larger line, of which another part is shown.
        _machine.SetExtension(6, 1600);
        _machine.SetExtension(8, 8);
        _machine.SetExtension(9, 3);
        _machine.Memory.TryWrite(Linear + (ulong)(((3 * 1600) + 8) * bytes), pixel);
        Assert.Equal(depth == 8 ? Colour(5) : colour, At(Look(), 0, 0));
    }

    [Fact]
    public void Byte_order_and_colours_of_eight_bits_are_minded()
    {
        _machine.SetLinearMode(8, 1, 32);
        _machine.Memory.TryWrite(Linear, 0x4433_2211u);
        _machine.Machine.WriteMemory(VgaTestMachine.Registers + 0x604, 0xbebe_bebe);
        Assert.Equal(0x22_33_44u, Look().Pixels[0]);
        _machine.SetLinearMode(8, 1, 8);
        _machine.SetExtension(4, 0x61);
        _machine.SetColour(9, 0x81, 0x92, 0xa3);
        _machine.Out(0x3c6, 0x0f);
        _machine.Memory.TryWrite(Linear, (byte)0xf9);
        Assert.Equal(0x81_92_a3u, Look().Pixels[0]);
    }

    [Fact]
    public void Planes_of_the_extensions_are_drawn_as_well()
    {
        _machine.SetPlanarMode();
        _machine.SetLinearMode(1024, 768, 4);
        _machine.Memory.TryWrite(Linear + ((1024 / 8) * 4), 0x8000_0080u);
        var picture = Look();
        Assert.Equal((1024, 768), (picture.Width, picture.Height));
        Assert.Equal(Colour(9), At(picture, 0, 1));
    }
}
