// Keys of a terminal as strokes of a PC's keyboard.
using System.Text;
using Lamina.Cli.TextScreens;
using Lamina.Core.Input;
using Xunit;

namespace Lamina.Tests.Cli.TextScreens;

public sealed class TerminalKeysTests
{
    private static string Read(TerminalKeys keys, string typed) => Names(keys.Read(Encoding.UTF8.GetBytes(typed)));

    private static string Names(IReadOnlyList<KeyStroke> strokes) => string.Join(' ', strokes.Select(stroke => string.Join('-', stroke.Keys.Select(key => KeyNames.NameOf(key)))));

    [Theory]
    [InlineData("aZ1!", "a shift-z 1 shift-1")]
    [InlineData("\r\t\b\x7f", "enter tab backspace backspace")]
    [InlineData("\x01\x03\x1a\n\0", "ctrl-a ctrl-c ctrl-z ctrl-j ctrl-space")]
    [InlineData("\x1c\x1d\x1e\x1f", "ctrl-backslash ctrl-bracket_right ctrl-shift-6 ctrl-shift-minus")]
    [InlineData("\e", "esc")]
    [InlineData("\e\e", "esc esc")]
    [InlineData("\ex\eX\e\r", "alt-x alt-shift-x alt-enter")]
    [InlineData("\e[A\e[B\e[C\e[D\e[H\e[F\eOA\eOH", "up down right left home end up home")]
    [InlineData("\e[1~\e[2~\e[3~\e[4~\e[5~\e[6~\e[7~\e[8~", "home insert delete end page_up page_down home end")]
    [InlineData("\eOP\eOQ\eOR\eOS\e[15~\e[17~\e[21~\e[23~\e[24~", "f1 f2 f3 f4 f5 f6 f10 f11 f12")]
    [InlineData("\e[11~\e[[A\e[[E", "f1 f1 f5")]
    [InlineData("\e[1;5C\e[3;3~\e[1;2P\e[1;8A\e[Z", "ctrl-right alt-delete shift-f1 ctrl-alt-shift-up shift-tab")]
    // No keys: an answer of the terminal's, mice, what no layout has.
    [InlineData("a\e[?1;2cb\e[99~\e[I\e[200~é☺c", "a b c")]
    public void What_a_terminal_sends_is_a_stroke(string typed, string strokes) => Assert.Equal(strokes, Read(new TerminalKeys(KeyboardLayout.All[0]), typed));

    [Fact]
    public void The_layout_is_the_guests()
    {
        var keys = new TerminalKeys(KeyboardLayout.Find("de")!);
        Assert.Equal("y z apostrophe alt_r-q ctrl-y", Read(keys, "zyä@\x1a"));
        // A dead key, and the space bar behind it.
        Assert.Equal("grave space", Read(keys, "^"));
    }

    [Fact]
    public void What_comes_in_pieces_is_put_together()
    {
        var keys = new TerminalKeys(KeyboardLayout.Find("de")!);
        Assert.Equal("", Read(keys, "\e["));
        Assert.Equal("", Read(keys, "1;5"));
        Assert.Equal("ctrl-up a", Read(keys, "Aa"));
        Assert.Equal("", Names(keys.Read([0xc3])));
        Assert.Equal("apostrophe", Names(keys.Read([0xa4])));
        // What has no end is no key.
        Assert.Equal("", Read(keys, "\e[" + new string('1', 100)));
        Assert.Equal("a", Read(keys, "a"));
    }

    [Fact]
    public void No_bytes_are_too_strange()
    {
        var (random, keys) = (new Random(5), new TerminalKeys(KeyboardLayout.All[0]));
        for (var round = 0; round < 5000; round++)
        {
            var typed = new byte[random.Next(1, 30)];
            random.NextBytes(typed);
            for (var i = 0; i < typed.Length; i++)
                if (random.Next(3) == 0) typed[i] = "\e[O;~1A"u8[random.Next(7)];
            Assert.All(keys.Read(typed), stroke => Assert.InRange(stroke.Keys.Count, 1, KeyStroke.MostKeys));
        }
        Assert.Equal("a", Read(keys, "~~~~~~~~~~~~~~~~~~~a").Split(' ')[^1]);
    }
}
