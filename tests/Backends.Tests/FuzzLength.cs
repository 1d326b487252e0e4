// How long the tests with random input run: LAMINA_FUZZ_CASES and LAMINA_FUZZ_SEED, or as long as each does by itself.
using System.Globalization;

namespace Lamina.Tests.Backends;

internal static class FuzzLength
{
    /// <summary>Where the seeds begin.</summary>
    public static int Seed { get; } = Read("LAMINA_FUZZ_SEED") ?? 0;

    /// <summary>How many cases.</summary>
    public static int CasesOr(int usual) => Read("LAMINA_FUZZ_CASES") ?? usual;

    private static int? Read(string variable) =>
        Environment.GetEnvironmentVariable(variable) is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : null;
}
