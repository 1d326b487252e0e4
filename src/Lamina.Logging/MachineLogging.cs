// The way from a machine's log to Microsoft.Extensions.Logging. An assembly and a package of its own, so that programs which log otherwise,
// the command line among them, have none of it.
using Lamina.Control;
using Microsoft.Extensions.Logging;

namespace Lamina.Logging;

/// <summary>Connects machines with loggers.</summary>
public static class MachineLogging
{
    /// <summary>
    /// Has a machine write to loggers: one for each of its units, whose category is the unit's name behind a prefix
    /// ("Lamina.devices/disk0"), with the levels that it has and the event's number and name
    /// (<see cref="Core.Logging.LogEvent"/>). Whether a level is taken is asked for each line, so that filters may change while it runs.
    /// </summary>
    /// <param name="hooks">What else the machine is connected with.</param>
    /// <param name="factory">Makes the loggers; it outlives the machine.</param>
    /// <param name="prefix">What stands before the units' names, such as the machine's own; empty for nothing.</param>
    /// <returns>The hooks with the log.</returns>
    public static MachineHooks WithLogger(this MachineHooks hooks, ILoggerFactory factory, string prefix = "Lamina.")
    {
        ArgumentNullException.ThrowIfNull(hooks);
        ArgumentNullException.ThrowIfNull(factory);
        ArgumentNullException.ThrowIfNull(prefix);
        return hooks with { Log = new Factory(factory, prefix) };
    }

    private sealed class Factory(ILoggerFactory factory, string prefix) : Core.Logging.ILogFactory
    {
        public Core.Logging.ILog CreateLog(string unit) => new UnitLog(factory.CreateLogger(prefix + unit), unit);
    }

    // Logs that keep values get the line and the unit as such.
    private sealed class UnitLog(ILogger logger, string unit) : Core.Logging.ILog
    {
        public bool IsEnabled(Core.Logging.LogLevel level) => logger.IsEnabled(Of(level));

        public void Write(Core.Logging.LogLevel level, Core.Logging.LogEvent what, string message)
        {
            KeyValuePair<string, object?>[] values = [new("Message", message), new("Unit", unit), new("{OriginalFormat}", "{Message}")];
            logger.Log(Of(level), new EventId((int)what, what.ToString()), values, null, static (values, _) => (string)values[0].Value!);
        }

        // Both count them from 0 for the trace to 4 for errors.
        private static LogLevel Of(Core.Logging.LogLevel level) => (LogLevel)level;
    }
}
