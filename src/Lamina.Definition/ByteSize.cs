// Sizes as people write them: 16M, 1G, 512MiB, 4096. Every unit is a power of 1024, as memory is counted.
using System.Globalization;

namespace Lamina.Definition;

/// <summary>Reads and writes sizes in bytes.</summary>
public static class ByteSize
{
    private const string Units = "KMGTPE";

    /// <summary>Reads a size: a whole number, then nothing, B, or K, M, G, T, P, E with or without "B" or "iB", in either case.</summary>
    public static bool TryParse(string text, out ulong bytes)
    {
        bytes = 0;
        var end = 0;
        while (end < text.Length && char.IsAsciiDigit(text[end])) end++;
        if (!ulong.TryParse(text.AsSpan(0, end), NumberStyles.None, CultureInfo.InvariantCulture, out var number)) return false;
        if (!TryParseUnit(text.AsSpan(end).Trim(' '), out var shift) || number > ulong.MaxValue >> shift) return false;
        bytes = number << shift;
        return true;
    }

    /// <summary>Writes a size with one decimal at most: 812 B, 4.1 MiB.</summary>
    public static string Format(ulong bytes)
    {
        if (bytes < 1024) return $"{bytes} B";
        var unit = (63 - (int)ulong.LeadingZeroCount(bytes)) / 10;
        return string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1ul << (unit * 10)):0.#} {Units[unit - 1]}iB");
    }

    /// <summary>Writes a size as <see cref="TryParse"/> reads it, exactly: 512M, 1G, 1000.</summary>
    public static string Exact(ulong bytes)
    {
        var unit = bytes == 0 ? 0 : Math.Min(System.Numerics.BitOperations.TrailingZeroCount(bytes) / 10, Units.Length);
        return string.Create(CultureInfo.InvariantCulture, $"{bytes >> (unit * 10)}{(unit == 0 ? "" : Units[unit - 1])}");
    }

    private static bool TryParseUnit(ReadOnlySpan<char> unit, out int shift)
    {
        shift = 0;
        if (unit.IsEmpty || unit is "B" or "b") return true;
        var index = Units.IndexOf(char.ToUpperInvariant(unit[0]), StringComparison.Ordinal);
        if (index < 0) return false;
        shift = (index + 1) * 10;
        return unit[1..] is "" or "B" or "b" or "iB" or "ib";
    }
}
