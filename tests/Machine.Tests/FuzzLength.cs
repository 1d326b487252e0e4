// How long tests with random input run: LAMINA_FUZZ_CASES and LAMINA_FUZZ_SEED, all of it where everything was asked for (./test --all), or a few.
using System.Globalization;

namespace Lamina.Tests.Machines;

internal static class FuzzLength
{
    /// <summary>Where the seeds begin.</summary>
    internal static int Seed { get; } = Read("LAMINA_FUZZ_SEED") ?? 0;

    /// <summary>How many cases.</summary>
    internal static int Cases(int usual, int all) => Read("LAMINA_FUZZ_CASES") ?? (Environment.GetEnvironmentVariable("LAMINA_TEST_ALL") == "1" ? all : usual);

    private static int? Read(string variable) => Environment.GetEnvironmentVariable(variable) is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : null;
}
