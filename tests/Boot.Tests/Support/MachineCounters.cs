// What machines count, for tests that ask one by its name.
using Lamina.Core.Inspection;

namespace Lamina.Tests.Boot.Support;

internal static class MachineCounters
{
    /// <summary>The value of a counter, of all parts that have it together.</summary>
    internal static long Count(this Machine machine, string counter) => Count(machine.Counters, counter);

    /// <summary>The same of some counters.</summary>
    internal static long Count(this IReadOnlyList<Counter> counters, string counter) => counters.Where(one => one.Name == counter).Sum(one => one.Value);
}
