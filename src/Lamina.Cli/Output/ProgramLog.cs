// What the program does with the log of its machine: what the user must know goes to standard error, what the guest's CPUs do to --trace.
using Lamina.Core.Logging;

namespace Lamina.Cli.Output;

/// <summary>The program's log.</summary>
internal static class ProgramLog
{
    /// <summary>The log of a machine.</summary>
    /// <param name="trace">Where a trace goes, or null.</param>
    public static ILogFactory Of(TraceSink? trace) => Log.To(line =>
    {
        // What happens to the machine as a whole the program says by itself, when it ends.
        if (line.Event < LogEvent.Access)
        {
            if (line.Event == LogEvent.Reset) trace?.Write(line.Message);
        }
        else if (line.Level >= LogLevel.Warning) Stderr.Say(line.Message);
        else trace?.Write(line.Message);
    }, trace is null ? LogLevel.Warning : LogLevel.Trace);
}
