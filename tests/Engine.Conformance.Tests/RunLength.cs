// How long a run is, and which.
using System.Globalization;

namespace Lamina.Tests.Engine.Conformance;

/// <summary>LAMINA_CONFORMANCE_CASES, _SEED, _ONLY and _REPORTED; without them a short run that is the same every time.</summary>
internal static class RunLength
{
    /// <summary>Cases for each setting and kind of code.</summary>
    public static long Cases { get; } = long.Parse(Environment.GetEnvironmentVariable("LAMINA_CONFORMANCE_CASES") ?? "2500", CultureInfo.InvariantCulture);

    /// <summary>Cases with a flipped bit for each kind of code.</summary>
    public static long Flipped { get; } = Environment.GetEnvironmentVariable("LAMINA_CONFORMANCE_CASES") is null ? 12_000 : Cases;

    /// <summary>Cases that are printed when many differ.</summary>
    public static int Reported { get; } = int.Parse(Environment.GetEnvironmentVariable("LAMINA_CONFORMANCE_REPORTED") ?? "25", CultureInfo.InvariantCulture);

    /// <summary>Whether a setting and kind of code, as "default/Long", is asked for.</summary>
    public static bool Includes(string run) => Environment.GetEnvironmentVariable("LAMINA_CONFORMANCE_ONLY") is not { } only || only.Split(',').Contains(run);

    /// <summary>The seed of the run.</summary>
    public static ulong Seed { get; } = ulong.Parse(Environment.GetEnvironmentVariable("LAMINA_CONFORMANCE_SEED") ?? "1", CultureInfo.InvariantCulture);
}
