// What a terminal shows of a PC's screen: by a terminal of the test's own, which knows as much as is used.
using System.Globalization;
using System.Text.RegularExpressions;
using Lamina.Cli.TextScreens;
using Lamina.Core.Display;
using Xunit;

namespace Lamina.Tests.Cli.TextScreens;

public sealed partial class ScreenPainterTests
{
    private readonly ScreenPainter _painter = new();
    private readonly TestTerminal _terminal = new();

    private static ScreenText Screen(int columns, int rows, (int, int)? cursor, Func<int, int, ScreenCell> cell) =>
        new(columns, rows, [.. Enumerable.Range(0, columns * rows).Select(i => cell(i % columns, i / columns))], cursor);

    private int Show(ScreenText text, int columns, int rows)
    {
        var told = _painter.Paint(text, columns, rows);
        _terminal.Take(told);
        return told.Length;
    }

    [Fact]
    public void All_is_shown_and_then_what_changed()
    {
        var random = new Random(6);
        var text = Screen(80, 25, (3, 4), (_, _) => new ScreenCell("ab ─█"[random.Next(5)], (byte)random.Next(256)));
        Show(text, 100, 40);
        for (var i = 0; i < text.Cells.Length; i++) Assert.Equal(text.Cells[i], _terminal.At(i % 80, i / 80));
        Assert.Equal((3, 4), _terminal.Cursor);
        // Nothing, one character, the cursor gone.
        Assert.InRange(Show(text, 100, 40), 0, 20);
        text.Cells[81] = new ScreenCell('X', 0x1e);
        Assert.InRange(Show(text with { Cursor = null }, 100, 40), 1, 40);
        Assert.Equal(new ScreenCell('X', 0x1e), _terminal.At(1, 1));
        Assert.Null(_terminal.Cursor);
    }

    [Fact]
    public void Of_a_screen_that_is_larger_the_rows_are_shown_where_the_cursor_is()
    {
        var text = Screen(80, 25, (2, 24), (_, row) => new ScreenCell((char)('a' + row), 7));
        Show(text, 80, 24);
        Assert.Equal(('b', 'y'), (_terminal.At(0, 0).Character, _terminal.At(79, 23).Character));
        Assert.Equal((2, 23), _terminal.Cursor);
        Show(text with { Cursor = (50, 3) }, 40, 24);
        Assert.Equal(('a', 'x'), (_terminal.At(0, 0).Character, _terminal.At(39, 23).Character));
        Assert.Null(_terminal.Cursor);
        // As small as it can be.
        Show(text, 1, 1);
        Assert.Equal('y', _terminal.At(0, 0).Character);
    }

    [Fact]
    public void What_a_terminal_would_obey_is_a_space()
    {
        var told = _painter.Paint(Screen(4, 1, null, (column, _) => new ScreenCell("\e\x9b\n\ud800"[column], 7)), 80, 25);
        Assert.DoesNotContain('\x9b', told);
        Assert.DoesNotContain('\n', told);
        _terminal.Take(told);
        for (var column = 0; column < 4; column++) Assert.Equal(' ', _terminal.At(column, 0).Character);
    }

    [Fact]
    public void A_sentence_takes_the_rows_that_it_needs_and_leaves_nothing_else()
    {
        Show(Screen(80, 25, (0, 0), (_, _) => new ScreenCell('x', 7)), 80, 25);
        _terminal.Take(_painter.Say("a sentence that is longer than the terminal", 20, 25));
        Assert.Equal("a sentence that is longer than the terminal", string.Concat(Enumerable.Range(0, 60).Select(i => _terminal.At(i % 20, i / 20).Character)).TrimEnd());
        Assert.NotEqual('x', _terminal.At(0, 4).Character);
        // Too small for all of it.
        _terminal.Take(_painter.Say("a sentence that is longer than the terminal", 10, 2));
        Assert.Equal('a', _terminal.At(0, 0).Character);
        var text = Screen(80, 25, (0, 0), (_, _) => new ScreenCell('x', 7));
        Show(text, 80, 25);
        Assert.Equal('x', _terminal.At(79, 24).Character);
    }

    private sealed partial class TestTerminal
    {
        private readonly Dictionary<(int, int), ScreenCell> _cells = [];
        private int _column, _row;
        private byte _attribute = 7;

        internal (int Column, int Row)? Cursor { get; private set; }

        internal ScreenCell At(int column, int row) => _cells.GetValueOrDefault((column, row));

        internal void Take(string told)
        {
            for (var at = 0; at < told.Length;)
            {
                if (told[at] != '\e')
                {
                    Assert.False(char.IsControl(told[at]));
                    _cells[(_column++, _row)] = new ScreenCell(told[at++], _attribute);
                    continue;
                }
                var sequence = Sequences().Match(told, at);
                Assert.True(sequence.Success && sequence.Index == at);
                at += sequence.Length;
                var numbers = sequence.Groups[1].Value.TrimStart('?').Split(';').Select(number => int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var read) ? read : 0).ToArray();
                switch (sequence.Groups[2].Value)
                {
                    case "J": _cells.Clear(); break;
                    case "H": (_column, _row) = (numbers[1] - 1, numbers[0] - 1); break;
                    case "h": Cursor = (_column, _row); break;
                    case "l": Cursor = null; break;
                    case "m": _attribute = numbers.Length == 3 ? (byte)(Colour(numbers[1] - 30) | Colour(numbers[2] - 40) << 4) : (byte)7; break;
                }
            }
        }

        private static int Colour(int number) => (number >= 60 ? 8 : 0) | (number % 60 & 1) << 2 | number % 60 & 2 | number % 60 >> 2;

        [GeneratedRegex(@"\e\[([?\d;]*)([A-Za-z])")]
        private static partial Regex Sequences();
    }
}
