// What is on a screen at one moment that shows characters: which, where, and where the cursor is. No font matters to it.
using System.Text;

namespace Lamina.Core.Display;

/// <summary>A character on a screen.</summary>
/// <param name="Character">It, in Unicode.</param>
/// <param name="Attribute">Its colours as the display has them: the character's in bits 0 to 3, the background's in bits 4 to 7.</param>
public readonly record struct ScreenCell(char Character, byte Attribute);

/// <summary>A screen of characters.</summary>
/// <param name="Columns">Characters across.</param>
/// <param name="Rows">Lines of them.</param>
/// <param name="Cells">Line by line from the top.</param>
/// <param name="Cursor">Where the cursor is, column and row from 0; null where none is shown.</param>
public sealed record ScreenText(int Columns, int Rows, ScreenCell[] Cells, (int Column, int Row)? Cursor)
{
    /// <summary>One row, without the spaces at its end.</summary>
    /// <param name="row">Which, from 0.</param>
    public string Line(int row) => string.Create(Columns, (Cells, Start: row * Columns), static (line, from) =>
    {
        for (var i = 0; i < line.Length; i++) line[i] = from.Cells[from.Start + i].Character;
    }).TrimEnd(' ');

    /// <summary>All rows, each ended by a line feed; empty ones at the end are left out.</summary>
    public override string ToString()
    {
        var (text, empty) = (new StringBuilder(), 0);
        for (var row = 0; row < Rows; row++)
        {
            if (Line(row) is not { Length: > 0 } line)
            {
                empty++;
                continue;
            }
            text.Append('\n', empty).Append(line).Append('\n');
            empty = 0;
        }
        return text.ToString();
    }
}
