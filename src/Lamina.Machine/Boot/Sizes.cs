// Sizes as people read them, for messages.
using System.Globalization;

namespace Lamina.Boot;

internal static class Sizes
{
    private static readonly string[] Units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

    /// <summary>A size in the largest unit that keeps it whole, or with one decimal place.</summary>
    internal static string Text(ulong bytes)
    {
        var unit = 0;
        var scaled = bytes;
        while (scaled >= 1024 && scaled % 1024 == 0 && unit < Units.Length - 1) (scaled, unit) = (scaled / 1024, unit + 1);
        if (scaled < 10240) return $"{scaled} {Units[unit]}";
        var value = (double)scaled;
        while (value >= 1024 && unit < Units.Length - 1) (value, unit) = (value / 1024, unit + 1);
        return string.Create(CultureInfo.InvariantCulture, $"{value:0.#} {Units[unit]}");
    }
}
