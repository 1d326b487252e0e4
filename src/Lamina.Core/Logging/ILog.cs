// What the units of a machine have to say, on its way to whoever reads it. A unit has a log of its own and knows nothing of where its lines
// go; a program gives the machine an ILogFactory, or nothing. The levels and what a line has are those of Microsoft.Extensions.Logging,
// to which Lamina.Logging hands them; nothing here needs it.
namespace Lamina.Core.Logging;

/// <summary>How much a line matters. A log that takes a level takes those above it.</summary>
public enum LogLevel
{
    /// <summary>Each exit and exception of a guest's CPU.</summary>
    Trace,

    /// <summary>What a guest does wrong, which its machine answers as hardware would.</summary>
    Debug,

    /// <summary>What happens in a machine's life.</summary>
    Information,

    /// <summary>Something that the machine's user should know.</summary>
    Warning,

    /// <summary>Something was lost, or the machine ends because of it.</summary>
    Error,
}

/// <summary>What one unit writes to. Any thread.</summary>
public interface ILog
{
    /// <summary>Whether anybody reads lines of this level.</summary>
    bool IsEnabled(LogLevel level);

    /// <summary>Writes a line.</summary>
    /// <param name="level">How much it matters.</param>
    /// <param name="what">What it is about.</param>
    /// <param name="message">The line, without an end.</param>
    void Write(LogLevel level, LogEvent what, string message);
}

/// <summary>Makes the logs of a machine's units. Any thread.</summary>
public interface ILogFactory
{
    /// <summary>The log of a unit.</summary>
    /// <param name="unit">Its name in the machine's tree ("devices/disk0"), by which it can be looked at, too.</param>
    ILog CreateLog(string unit);
}
