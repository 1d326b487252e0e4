// What the process takes in which machines run, apart from what each machine counts.
using Lamina.Core.Inspection;

namespace Lamina.Control;

/// <summary>Counters of the process.</summary>
public static class ProcessCounters
{
    /// <summary>Reads them.</summary>
    public static IReadOnlyList<Counter> Read()
    {
        var counters = new CounterList();
        counters.Now("process_resident_bytes", Environment.WorkingSet, "memory of the host that the process has", CounterUnit.Bytes);
        counters.Now("process_managed_heap_bytes", GC.GetGCMemoryInfo().TotalCommittedBytes, "memory that the runtime took for objects", CounterUnit.Bytes);
        return counters.All;
    }
}
