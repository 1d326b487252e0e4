// The counters of --stats as lines for a person: a name and a number each. vCPUs are summed up, since they share the guest's work; the
// parts of other kinds are told apart by their names in the machine's tree.
using Lamina.Core.Inspection;

namespace Lamina.Cli.Output;

/// <summary>Writes counters.</summary>
internal static class CounterTable
{
    private const string Vcpus = "vcpus/";

    /// <summary>Writes them to standard error.</summary>
    internal static void Write(IReadOnlyList<Counter> counters)
    {
        foreach (var line in Lines(counters)) Stderr.Line(line);
    }

    internal static IEnumerable<string> Lines(IReadOnlyList<Counter> counters) =>
        from counter in counters
        group counter by (Part: PartOf(counter), counter.Name, counter.Of, counter.Unit) into same
        let name = same.Key.Of is { } of ? $"{same.Key.Name} ({of})" : same.Key.Name
        select $"{same.Key.Part,-20} {name,-44} {Text(same.Sum(counter => counter.Value), same.Key.Unit),18}".TrimStart();

    private static string PartOf(Counter counter) => counter.Part.StartsWith(Vcpus, StringComparison.Ordinal) ? "vcpus" : counter.Part.Length == 0 ? "-" : counter.Part;

    // Nanoseconds are told as the name says; a person reads them in groups of three.
    private static string Text(long value, CounterUnit unit) => unit switch
    {
        CounterUnit.Bytes => $"{value:N0} B",
        CounterUnit.Nanoseconds => $"{value:N0} ns",
        _ => $"{value:N0}",
    };
}
