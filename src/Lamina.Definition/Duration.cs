// Durations as people write them: 90s, 5m, 500ms, 1.5h, 90 (seconds). Used by the command line and by definition files.
using System.Globalization;

namespace Lamina.Definition;

/// <summary>Reads and writes durations.</summary>
public static class Duration
{
    // Far more than any machine takes, and far from what a TimeSpan cannot hold.
    private static readonly TimeSpan Longest = TimeSpan.FromDays(10_000);

    /// <summary>Reads a positive duration: a number with a decimal point at most, then nothing (seconds), ms, s, m, h or d.</summary>
    public static bool TryParse(string text, out TimeSpan duration)
    {
        duration = default;
        var end = 0;
        while (end < text.Length && (char.IsAsciiDigit(text[end]) || text[end] == '.')) end++;
        if (!double.TryParse(text.AsSpan(0, end), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)) return false;
        double? milliseconds = text[end..] switch
        {
            "ms" => 1,
            "" or "s" => 1000,
            "m" or "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => null,
        };
        if (milliseconds is not { } factor || number * factor is not (>= 1 and var total) || total > Longest.TotalMilliseconds) return false;
        duration = TimeSpan.FromMilliseconds(total);
        return true;
    }

    /// <summary>Writes a duration as <see cref="TryParse"/> reads it, to the millisecond.</summary>
    public static string Exact(TimeSpan duration) => duration.TotalMilliseconds % 1000 == 0
        ? string.Create(CultureInfo.InvariantCulture, $"{duration.TotalSeconds:0}s")
        : string.Create(CultureInfo.InvariantCulture, $"{duration.TotalMilliseconds:0}ms");
}
