// Where all that a machine has to say comes together: each unit writes to a log of its own, by the unit's name. From here it goes to
// the program's log, and what the user must be told goes to those who watch events as well.
using Lamina.Core.Logging;

namespace Lamina.Control;

/// <summary>The log of one machine. Any thread.</summary>
/// <param name="hooks">The program's.</param>
/// <param name="events">Those who watch.</param>
internal sealed class MachineLog(MachineHooks hooks, EventSource events)
{
    /// <summary>What the machine's life writes to, which tells its events by itself.</summary>
    internal ILog? OfLife { get; } = hooks.Log?.CreateLog("life");

    /// <summary>What a unit writes to.</summary>
    /// <param name="unit">Its name in the tree.</param>
    internal ILog Of(string unit) => new UnitLog(unit, hooks.Log?.CreateLog(unit), events);

    private sealed class UnitLog(string unit, ILog? log, EventSource events) : ILog
    {
        public bool IsEnabled(LogLevel level) => level >= LogLevel.Warning || (log is not null && log.IsEnabled(level));

        public void Write(LogLevel level, LogEvent what, string message)
        {
            if (log is not null && log.IsEnabled(level)) log.Write(level, what, message);
            if (level >= LogLevel.Warning) events.Tell(new MachineEvent.Reported(unit, message));
        }
    }
}
