// What a machine's process takes of the host, from the kernel's files. proc(5).
using System.Diagnostics;
using System.Globalization;

namespace Lamina.Cli.Verbs;

/// <summary>A look at a process.</summary>
/// <param name="ResidentBytes">Memory that it has.</param>
/// <param name="CpuTime">Processor time that it took so far.</param>
/// <param name="Age">How old it was.</param>
/// <param name="Timestamp">When it was looked at.</param>
internal sealed record ProcessUse(long ResidentBytes, TimeSpan CpuTime, TimeSpan Age, long Timestamp)
{
    /// <summary>Looks at a process; null where there is none of that number, or it is another user's.</summary>
    public static ProcessUse? Of(int id)
    {
        try
        {
            using var process = Process.GetProcessById(id);
            return new ProcessUse(process.WorkingSet64, process.TotalProcessorTime, DateTime.Now - process.StartTime, Stopwatch.GetTimestamp());
        }
        catch (Exception gone) when (gone is ArgumentException or InvalidOperationException or System.ComponentModel.Win32Exception or NotSupportedException)
        {
            return null;
        }
    }

    /// <summary>The share of a processor since a look before, or since it began.</summary>
    public string Share(ProcessUse? before)
    {
        var (time, took) = before is null ? (Age, CpuTime) : (Stopwatch.GetElapsedTime(before.Timestamp, Timestamp), CpuTime - before.CpuTime);
        return time <= TimeSpan.Zero ? "-" : string.Create(CultureInfo.InvariantCulture, $"{100 * took / time:0.0}%");
    }
}
