// A PC's screen of characters as what a terminal understands (ECMA-48, and xterm's bright colours): what has changed since the last time, in
// as few bytes as come of themselves.
using System.Globalization;
using System.Text;
using Lamina.Core.Display;

namespace Lamina.Cli.TextScreens;

/// <summary>Paints screens on a terminal.</summary>
internal sealed class ScreenPainter
{
    /// <summary>What a terminal is told first: a screen of its own, on which nothing wraps.</summary>
    internal const string Begin = "\e[?1049h\e[?7l\e[2J";

    /// <summary>What it is told at the end: as it was.</summary>
    internal const string End = "\e[0m\e[?7h\e[?25h\e[?1049l";

    private const byte Usual = 0x07;

    // From a PC's colours, of which blue is the lowest bit, to a terminal's, of which red is.
    private static ReadOnlySpan<byte> Colours => [0, 4, 2, 6, 1, 5, 3, 7];

    private ScreenCell[]? _shown;
    private int _columns, _rows;

    /// <summary>Has the next picture be painted as a whole.</summary>
    internal void Forget() => _shown = null;

    /// <summary>Shows a screen; of one that is larger than the terminal its left, and the rows down to the cursor's.</summary>
    /// <param name="text">The screen.</param>
    /// <param name="columns">The terminal's columns.</param>
    /// <param name="rows">Its rows.</param>
    /// <returns>What the terminal is to be told.</returns>
    internal string Paint(ScreenText text, int columns, int rows)
    {
        columns = Math.Min(columns, text.Columns);
        rows = Math.Min(rows, text.Rows);
        var top = text.Cursor is { } at ? Math.Clamp(at.Row - rows + 1, 0, text.Rows - rows) : 0;
        var cells = new ScreenCell[columns * rows];
        for (var row = 0; row < rows; row++) text.Cells.AsSpan((top + row) * text.Columns, columns).CopyTo(cells.AsSpan(row * columns));
        return Paint(cells, columns, rows, text.Cursor is { } cursor && cursor.Column < columns ? (cursor.Column, cursor.Row - top) : null);
    }

    /// <summary>Shows a sentence, in as many rows as it takes, and nothing else.</summary>
    /// <param name="sentence">It.</param>
    /// <param name="columns">The terminal's columns.</param>
    /// <param name="rows">Its rows.</param>
    internal string Say(string sentence, int columns, int rows)
    {
        rows = Math.Clamp((sentence.Length + columns - 1) / columns, 1, rows);
        return Paint([.. sentence.PadRight(rows * columns)[..(rows * columns)].Select(character => new ScreenCell(character, Usual))], columns, rows, null);
    }

    private string Paint(ScreenCell[] cells, int columns, int rows, (int Column, int Row)? cursor)
    {
        var output = new StringBuilder();
        if (_shown is null || (columns, rows) != (_columns, _rows))
        {
            output.Append("\e[0m\e[2J");
            _shown = new ScreenCell[cells.Length];
        }
        var (next, attribute) = (-1, -1);
        for (var i = 0; i < cells.Length; i++)
        {
            var cell = cells[i];
            if (cell == _shown[i]) continue;
            if (i != next || i % columns == 0) output.Append(CultureInfo.InvariantCulture, $"\e[{(i / columns) + 1};{(i % columns) + 1}H");
            if (cell.Attribute != attribute)
            {
                attribute = cell.Attribute;
                output.Append(CultureInfo.InvariantCulture, $"\e[0;{Colour(attribute & 15, 30)};{Colour(attribute >> 4, 40)}m");
            }
            // A terminal would obey what a guest's screen shows as a sign.
            var character = char.IsControl(cell.Character) || char.IsSurrogate(cell.Character) ? ' ' : cell.Character;
            output.Append(character);
            // How far others bring a terminal is the terminal's to say.
            next = char.IsAscii(character) ? i + 1 : -1;
        }
        output.Append(cursor is { } at ? string.Create(CultureInfo.InvariantCulture, $"\e[{at.Row + 1};{at.Column + 1}H\e[?25h") : "\e[?25l");
        (_shown, _columns, _rows) = (cells, columns, rows);
        return output.ToString();
    }

    private static int Colour(int colour, int first) => first + (colour > 7 ? 60 : 0) + Colours[colour & 7];
}
