// How long a run is, and which.
using System.Globalization;

namespace Lamina.Conformance;

/// <summary>LAMINA_CONFORMANCE_CASES and LAMINA_CONFORMANCE_SEED; without them a short run that is the same every time.</summary>
internal static class RunLength
{
    /// <summary>Cases for each setting and kind of code.</summary>
    public static long Cases { get; } = long.Parse(Environment.GetEnvironmentVariable("LAMINA_CONFORMANCE_CASES") ?? "2500", CultureInfo.InvariantCulture);

    /// <summary>The seed of the run.</summary>
    public static ulong Seed { get; } = ulong.Parse(Environment.GetEnvironmentVariable("LAMINA_CONFORMANCE_SEED") ?? "1", CultureInfo.InvariantCulture);
}
