// Guests of random code: a run from a fixed seed, or from LAMINA_TORTURE_SEED for LAMINA_TORTURE_SECONDS.
using System.Globalization;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Hostile;

public sealed class RandomCodeTests(ITestOutputHelper output)
{
    private const int CasesOfAGuest = 2000, Guests = 12;

    [Fact]
    public async Task Random_code_in_every_mode_and_ring_ends_only_the_guest()
    {
        var seconds = Number("LAMINA_TORTURE_SECONDS") ?? 0;
        var first = Number("LAMINA_TORTURE_SEED") ?? 1;
        var start = TimeProvider.System.GetTimestamp();
        var ends = new SortedDictionary<string, int>();
        var failures = new List<string>();
        for (var seed = first; seed < first + Guests || TimeProvider.System.GetElapsedTime(start).TotalSeconds < seconds; seed++)
        {
            // Said before the run: should the process die, the log names the guest that did it.
            if (seconds > 0) Console.Error.WriteLine($"seed {seed}");
            var result = await GuestRun.TryAsync(RandomCode.Kernel(seed, CasesOfAGuest));
            if (result.End == MachineEnd.Failed && !GuestRun.IsBeyondKvm(result)) failures.Add($"seed {seed}: {result.Message}");
            var end = $"{result.End} {result.DebugExitCode}";
            ends[end] = ends.GetValueOrDefault(end) + 1;
        }
        Assert.Empty(failures);
        output.WriteLine(string.Join(", ", ends.Select(end => $"{end.Key}: {end.Value}")));
    }

    private static int? Number(string variable) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : null;
}
