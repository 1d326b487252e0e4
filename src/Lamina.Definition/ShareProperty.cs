// Properties that say a part of the host: of its processors, of its memory. Machines and pools have the same, by the same names.
using System.Globalization;

namespace Lamina.Definition;

/// <summary>Makes properties of shares.</summary>
internal static class ShareProperty
{
    /// <summary>The word for a share that is not said.</summary>
    internal const string None = "none";

    /// <summary>A part of a processor, or several, in percent; or none.</summary>
    internal static Property<T> Percent<T>(string name, string meaning, Func<T, int?> get, Func<T, int?, T> set) => new(name, ValueKind.Text, "N%|none", meaning)
    {
        Read = (it, text) => set(it, Property.Needed(name, text) == None ? null
            : text![^1] == '%' && int.TryParse(text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var percent) && percent is >= 1 and <= CpuLimit.MostPercent ? percent
            : throw Property.Refuse(name, text, "a share of a processor", "25% or 150%, or none")),
        Write = it => get(it) is { } percent ? [string.Create(CultureInfo.InvariantCulture, $"{percent}%")] : [],
    };

    /// <summary>Some memory; or none.</summary>
    internal static Property<T> Memory<T>(string name, string meaning, Func<T, ulong?> get, Func<T, ulong?, T> set) => new(name, ValueKind.Text, "SIZE|none", meaning)
    {
        Read = (it, text) => set(it, Property.Needed(name, text) == None ? null : ByteSize.TryParse(text!, out var bytes) && bytes > 0 ? bytes : throw Property.Refuse(name, text, "a size", "512M or 2G, or none")),
        Write = it => get(it) is { } bytes ? [ByteSize.Exact(bytes)] : [],
    };

    /// <summary>A weight.</summary>
    internal static Property<T> Weight<T>(string meaning, Func<T, int> get, Func<T, int, T> set) =>
        Property.Number<T>("cpu-weight", meaning, (1, CpuLimit.MostWeight), it => get(it) == CpuLimit.UsualWeight ? null : get(it), (it, weight) => set(it, (int)weight));
}
