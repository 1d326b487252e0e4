// Tables for people: columns as wide as what is in them, and lines no longer than the terminal.
using Lamina.Host.Terminals;

namespace Lamina.Cli.Output;

/// <summary>Writes tables.</summary>
internal static class Columns
{
    private const int Gap = 2, Least = 20;

    /// <summary>Writes rows, the first of which has the headings.</summary>
    /// <param name="output">Where.</param>
    /// <param name="rows">As many cells each.</param>
    /// <param name="width">The terminal's; null where there is none, and nothing is cut.</param>
    /// <param name="right">The columns whose cells stand to the right.</param>
    public static void Write(TextWriter output, IReadOnlyList<string[]> rows, int? width, params int[] right)
    {
        int[] widths = [.. Enumerable.Range(0, rows[0].Length).Select(column => rows.Max(row => row[column].Length))];
        foreach (var row in rows)
        {
            var line = string.Join(new string(' ', Gap), row.Select((cell, column) => right.Contains(column) ? cell.PadLeft(widths[column]) : cell.PadRight(widths[column]))).TrimEnd();
            output.WriteLine(width is { } most && most >= Least && line.Length > most ? string.Concat(line.AsSpan(0, most - 1), "…") : line);
        }
    }

    /// <summary>How wide the terminal is that standard output goes to; null where it goes elsewhere.</summary>
    public static int? TerminalWidth()
    {
        using var terminal = Terminal.TryOpen(Host.Io.HostIo.Output);
        return terminal?.Size.Columns is > 0 and var columns ? columns : null;
    }
}
